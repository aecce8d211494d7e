//! Reads resources: one, or a page.

use crate::{
    core::{
        dialect::{Call, Page, PageRequest},
        error::Result,
        filter::{Restriction, Wanted},
    },
    dialects::openstack::{
        client::Client,
        read::{is_safe, page, present},
        resources::inward::resource,
        wire::kind::Kind,
    },
    model::{Resource, ResourceKind},
};

pub async fn get(
    client: &Client,
    (of, kind): (ResourceKind, &'static Kind),
    id: &str,
    call: &Call,
) -> Result<Resource> {
    let body = present(client, kind, id, call).await?;
    Ok(resource(of, body, client.variant()))
}

/// Returns one page of resources, sorted by id.
pub async fn list(
    client: &Client,
    (of, kind): (ResourceKind, &'static Kind),
    request: &PageRequest,
    call: &Call,
) -> Result<Page<Resource>> {
    // Every kind has a name. The core applies the rest of the filter.
    let named = |restriction: &Restriction| match restriction {
        Restriction::DisplayName(Wanted::Equal(name)) if is_safe(name) => {
            Some(("name", name.clone()))
        }
        _ => None,
    };
    let restrictions = request.filter.restrictions().iter();
    let narrow: Vec<(&'static str, String)> = restrictions.filter_map(named).collect();
    let page = page(client, kind, request, &narrow, call).await?;
    let rows = page.items.into_iter();
    Ok(Page {
        items: rows
            .map(|row| resource(of, row, client.variant()))
            .collect(),
        next: page.next,
    })
}
