//! Making, changing and removing resources: one object each.

use crate::{
    core::{
        dialect::{Call, Mark, WrittenResource},
        error::{Error, Result},
        etag,
    },
    dialects::nsx::{
        body::Body,
        client::Client,
        manager::{
            error, read,
            resources::{inward, outward, read::collection},
            write::object::{Done, InDoubt, Put, make, remove, replace},
        },
    },
    model::{ResourceChange, ResourceKind, ResourceSpec},
};

/// Makes a resource.
pub async fn create(
    client: &Client,
    spec: &ResourceSpec,
    mark: &Mark,
    call: &Call,
) -> Result<WrittenResource> {
    let kind = spec.kind();
    let collection = collection(kind)?;
    let body = outward::new(spec, mark).map_err(Error::not_expressible)?;
    let done = make(client, collection, &body, mark, &[], call).await?;
    Ok(written(kind, done))
}

/// Changes what differs.
pub async fn update(
    client: &Client,
    id: &str,
    change: &ResourceChange,
    call: &Call,
) -> Result<WrittenResource> {
    let kind = change.values.kind();
    let collection = collection(kind)?;
    let before = read::there(client, collection, id, call).await?;
    etag::check(change.etag.as_deref(), &inward::etag(&before))?;
    let wanted = outward::changed(&before, change).map_err(Error::not_expressible)?;
    let Some(body) = wanted else {
        return Ok(WrittenResource {
            resource: Some(inward::resource(kind, &before)),
            request_ids: Vec::new(),
            warnings: Vec::new(),
        });
    };
    refuse_the_systems(&before)?;
    let put = Put {
        collection,
        before: &before,
        body,
        secrets: &[],
    };
    let as_wanted = |now: &Body| matches!(outward::changed(now, change), Ok(None));
    let done = replace(client, put, as_wanted, call).await?;
    Ok(written(kind, done))
}

/// Removes a resource.
pub async fn delete(
    client: &Client,
    kind: ResourceKind,
    id: &str,
    etag: Option<&str>,
    call: &Call,
) -> Result<WrittenResource> {
    let collection = collection(kind)?;
    let before = read::there(client, collection, id, call).await?;
    etag::check(etag, &inward::etag(&before))?;
    refuse_the_systems(&before)?;
    let removed = remove(client, collection, id, InDoubt::FindOut, call).await;
    let request_id = read::proven(client, collection, removed, call).await?;
    Ok(WrittenResource {
        resource: None,
        request_ids: request_id.into_iter().collect(),
        warnings: Vec::new(),
    })
}

fn refuse_the_systems(body: &Body) -> Result<()> {
    match body.boolean("_system_owned") {
        Some(true) => Err(error::system_owned()),
        Some(false) | None => Ok(()),
    }
}

fn written(kind: ResourceKind, done: Done) -> WrittenResource {
    WrittenResource {
        resource: Some(inward::resource(kind, &done.body)),
        request_ids: done.request_id.into_iter().collect(),
        warnings: Vec::new(),
    }
}
