//! Reads resources, one object each.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest, resources::absent},
        error::Result,
    },
    dialects::nsx::{
        client::Client,
        manager::{
            read,
            resources::{inward, kinds},
        },
    },
    model::{Resource, ResourceKind},
};

/// Returns the collection of a kind.
///
/// # Errors
/// `Unimplemented` / `KindAbsent` if NSX has no such kind.
pub fn collection(kind: ResourceKind) -> Result<&'static str> {
    kinds::collection(kind).ok_or_else(|| absent(kind))
}

pub async fn get(client: &Client, kind: ResourceKind, id: &str, call: &Call) -> Result<Resource> {
    let body = read::there(client, collection(kind)?, id, call).await?;
    Ok(inward::resource(kind, &body))
}

/// Reads one page of resources of a kind, ordered by id.
pub async fn list(
    client: &Client,
    kind: ResourceKind,
    request: &PageRequest,
    call: &Call,
) -> Result<Page<Resource>> {
    let page = match kind {
        ResourceKind::LocalEndpoint => {
            read::objects_of_service(client, kinds::LOCAL_ENDPOINTS, request, call).await?
        }
        kind => read::objects(client, collection(kind)?, request, call).await?,
    };
    let resources = page.items.iter().map(|body| inward::resource(kind, body));
    Ok(Page {
        items: resources.collect(),
        next: page.next,
    })
}
