//! Plans writes of resources, one object each.

use crate::{
    core::{
        dialect::{Action, Call, Done, Made, Mark, Plan, Step, WrittenResource},
        error::{Error, Result, Violation},
        etag,
    },
    dialects::nsx::{
        api_error,
        body::Body,
        client::Client,
        manager::{
            error::{self, of_resource},
            read,
            resources::{
                inward::{self, SERVICE},
                outward,
                read::collection,
            },
            write::{
                memo::replacing_with_nonce,
                object::{InDoubt, Left, make, remove, replace},
            },
        },
    },
    model::{ResourceChange, ResourceField, ResourceKind, ResourceSpec},
};
use async_trait::async_trait;
use serde_json::{Map, Value, json as object};

/// Plans to create a resource.
pub fn create<'a>(client: &'a Client, spec: &ResourceSpec, mark: &Mark) -> Result<OneObject<'a>> {
    let kind = spec.kind();
    collection(kind)?;
    let body = outward::new(spec, mark).map_err(Error::not_expressible)?;
    let step = Step {
        fields: outward::paths(None, kind.fields(), spec),
        mark: Some(mark.clone()),
        ..Step::new(Action::Create, kind.collection().segment(), None)
    };
    Ok(OneObject {
        client,
        kind,
        steps: vec![step],
        body,
        left: nothing(),
    })
}

/// Plans to change what differs.
pub async fn update<'a>(
    client: &'a Client,
    id: &str,
    change: &ResourceChange,
    call: &Call,
) -> Result<OneObject<'a>> {
    let kind = change.values.kind();
    let before = read::there(client, collection(kind)?, id, call).await?;
    etag::check(change.etag.as_deref(), &inward::etag(&before))?;
    let mut body = outward::changed(&before, change).map_err(Error::not_expressible)?;
    if body.is_some() {
        refuse_what_is_others(&before)?;
    }
    let fields: Vec<ResourceField> = change.fields.iter().copied().collect();
    let step = body.as_mut().map(|body| {
        let fields = outward::paths(Some(&before), &fields, &change.values);
        replacing_with_nonce(kind.collection().segment(), &before, body, fields)
    });
    Ok(OneObject {
        client,
        kind,
        steps: step.into_iter().collect(),
        body: body.unwrap_or_default(),
        left: WrittenResource {
            resource: Some(inward::resource(kind, &before)),
            ..nothing()
        },
    })
}

/// Plans to remove a resource.
pub async fn delete<'a>(
    client: &'a Client,
    kind: ResourceKind,
    id: &str,
    etag: Option<&str>,
    call: &Call,
) -> Result<OneObject<'a>> {
    let before = read::there(client, collection(kind)?, id, call).await?;
    etag::check(etag, &inward::etag(&before))?;
    refuse_what_is_others(&before)?;
    let segment = kind.collection().segment();
    Ok(OneObject {
        client,
        kind,
        steps: vec![Step::new(Action::Delete, segment, Some(id.to_owned()))],
        body: Map::new(),
        left: nothing(),
    })
}

/// A write of one object, or no write if the object needs no change.
pub struct OneObject<'a> {
    client: &'a Client,
    kind: ResourceKind,
    steps: Vec<Step>,
    /// The body to send. A local endpoint may still lack the id of its service.
    body: Map<String, Value>,
    left: WrittenResource,
}

impl OneObject<'_> {
    async fn send(&mut self, step: &Step, made: &Made, call: &Call) -> Result<Done> {
        let (client, kind) = (self.client, self.kind);
        let left = match step.action {
            Action::Create => {
                if kind == ResourceKind::LocalEndpoint {
                    complete(&mut self.body, made)?;
                }
                make(client, step, &self.body, &[], call).await?
            }
            Action::Update => replace(client, step, &self.body, &[], call).await?,
            Action::Reuse | Action::Delete => return self.remove(step, call).await,
        };
        let done = left.done();
        self.left = written(kind, left);
        Ok(done)
    }

    async fn remove(&mut self, step: &Step, call: &Call) -> Result<Done> {
        let removed = remove(self.client, step, InDoubt::FindOut, call).await;
        let removed = read::proven(self.client, collection(self.kind)?, removed, call).await;
        // Another client may have removed the object first.
        let request_id = error::if_there(removed)?.flatten();
        self.left.request_ids = request_id.iter().cloned().collect();
        Ok(Done {
            id: step.id.clone().unwrap_or_default(),
            request_id,
        })
    }
}

#[async_trait]
impl Plan<WrittenResource> for OneObject<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done> {
        let step = self.steps[index].clone();
        let sent = self.send(&step, made, call).await;
        sent.map_err(|error| of_resource(self.kind, error))
    }

    fn written(self: Box<Self>) -> WrittenResource {
        self.left
    }
}

/// Puts the created service into a local endpoint that leaves its service open.
///
/// # Errors
/// Fails if no service was created.
fn complete(local_endpoint: &mut Map<String, Value>, made: &Made) -> Result<()> {
    if local_endpoint.contains_key(SERVICE) {
        return Ok(());
    }
    let service = made.get(&ResourceKind::VpnService).ok_or_else(|| {
        let field = ResourceField::VpnService.path();
        let what = "must be given: a local endpoint belongs to a VPN service";
        Error::invalid(vec![Violation::new(field, what)])
    })?;
    local_endpoint.insert(SERVICE.to_owned(), object!({ "target_id": service }));
    Ok(())
}

/// Refuses what NSX would refuse: NSX's own objects, and objects that the gateway's account may not write, or only with
/// a header that the gateway does not send (`_protection`, NSX Python SDK 4.2.0).
fn refuse_what_is_others(body: &Body) -> Result<()> {
    let protection = body.text("_protection").unwrap_or_default();
    if body.boolean("_system_owned") == Some(true) {
        Err(error::system_owned())
    } else if matches!(protection.as_str(), "PROTECTED" | "REQUIRE_OVERRIDE") {
        Err(api_error::not_owner())
    } else {
        Ok(())
    }
}

fn written(kind: ResourceKind, left: Left) -> WrittenResource {
    WrittenResource {
        resource: Some(inward::resource(kind, &left.body)),
        request_ids: left.request_id.into_iter().collect(),
        warnings: Vec::new(),
    }
}

fn nothing() -> WrittenResource {
    WrittenResource {
        resource: None,
        request_ids: Vec::new(),
        warnings: Vec::new(),
    }
}
