//! Removes a connection and the parts that nothing else uses, as one plan. Parts that were made together with
//! connections belong to the connections that use them, and go with the last one. Parts that were made by a call of
//! their own stay.

use crate::{
    core::{
        dialect::{Action, Call, Done, Made, Pages, Plan, Step, Written},
        error::{ErrorKind, Result},
        ledger::record::{Entry, Progress, StepState},
        references::references,
        writes::desk::Writes,
    },
    model::{Connection, Resource, ResourceKind, Settings},
};
use async_trait::async_trait;
use futures_util::future::join_all;

/// Plans to remove a connection and the parts that no other connection uses.
///
/// # Errors
/// If the connection cannot be removed, or if its parts or their users cannot be read.
pub async fn plan<'a>(
    on: &'a Writes,
    id: &'a str,
    etag: Option<String>,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let own = on.dialect().plan_delete(id, etag, call).await?;
    if on.backend().capabilities().resources.is_empty() {
        return Ok(own);
    }
    let there = match own.there() {
        Some(there) => there.clone(),
        None => on.dialect().get(id, call).await?,
    };
    let parts = unused_parts(on, &there, own.steps(), call).await?;
    if parts.is_empty() {
        return Ok(own);
    }
    let steps = own.steps().iter().cloned().chain(parts).collect();
    Ok(Box::new(Removal { on, steps, own }))
}

/// Plans the removal of each part that was made together with connections and that only this connection uses.
async fn unused_parts(
    on: &Writes,
    there: &Connection,
    planned: &[Step],
    call: &Call,
) -> Result<Vec<Step>> {
    let mut parts = Vec::new();
    for (kind, id) in references(there) {
        let collection = kind.collection().segment();
        let step = Step::new(Action::Delete, collection, Some(id.to_owned()));
        let is_planned = |it: &Step| it.collection == step.collection && it.id == step.id;
        if on.backend().capabilities().takes(kind).is_some() && !planned.iter().any(is_planned) {
            parts.push((kind, step));
        }
    }
    // Any connection can be the last user of a part, also one that another client made and that only refers to the
    // part.
    let resources = on.dialect().resources();
    let reads = parts.into_iter().map(async |(kind, step)| {
        let id = step.id.as_deref().unwrap_or_default();
        match resources.get(kind, id, call).await {
            Ok(part) => Ok(part.joint.then_some((kind, step))),
            // The part is gone, or the account may not read it and so did not create it.
            Err(error)
                if matches!(
                    error.kind,
                    ErrorKind::NotFound | ErrorKind::PermissionDenied
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(error.during(format!("reading the {}", kind.noun()))),
        }
    });
    let read = join_all(reads).await.into_iter();
    let joint: Vec<_> = read.filter_map(Result::transpose).collect::<Result<_>>()?;
    if joint.is_empty() {
        return Ok(Vec::new());
    }
    let users = Users::of(on, Some(&there.id), call).await?;
    let mut steps: Vec<Step> = Vec::new();
    for (kind, step) in joint {
        let id = step.id.as_deref().unwrap_or_default();
        if !users.use_it(kind, id, &steps) && !steps.contains(&step) {
            steps.push(step);
        }
    }
    Ok(steps)
}

/// What may use a part: every connection that is not being removed, and every local endpoint.
pub(super) struct Users {
    connections: Vec<Connection>,
    endpoints: Vec<Resource>,
}

impl Users {
    /// Reads all users except the connection `but`.
    ///
    /// # Errors
    /// If they cannot be listed.
    pub(super) async fn of(on: &Writes, but: Option<&str>, call: &Call) -> Result<Users> {
        let mut users = Users {
            connections: Vec::new(),
            endpoints: Vec::new(),
        };
        let mut pages = Pages::all();
        while let Some(request) = pages.next_page()? {
            let others = pages.read(on.backend().list(&request, call).await?);
            let others = others.into_iter();
            let others = others.filter(|it| but != Some(&*it.id) && !on.ledger.is_removing(&it.id));
            users.connections.extend(others);
        }
        let kind = ResourceKind::LocalEndpoint;
        if on.backend().capabilities().takes(kind).is_none() {
            return Ok(users);
        }
        let mut pages = Pages::all();
        while let Some(request) = pages.next_page()? {
            let page = on.backend().list_resources(kind, &request, call).await?;
            users.endpoints.extend(pages.read(page));
        }
        Ok(users)
    }

    /// Reports whether a connection or local endpoint uses this part. Local endpoints in `removed` do not count.
    pub(super) fn use_it(&self, kind: ResourceKind, id: &str, removed: &[Step]) -> bool {
        let refers = |it: &Connection| references(it).any(|given| given == (kind, id));
        let is_removed = |endpoint: &Resource| {
            let collection = ResourceKind::LocalEndpoint.collection().segment();
            let mut before = removed.iter();
            before.any(|it| it.collection == collection && it.id.as_ref() == Some(&endpoint.id))
        };
        let belongs = |endpoint: &&Resource| match &endpoint.spec.settings {
            Settings::LocalEndpoint(it) => it.vpn_service.as_deref() == Some(id),
            _ => false,
        };
        let mut endpoints = self.endpoints.iter().filter(belongs);
        self.connections.iter().any(refers)
            || kind == ResourceKind::VpnService && endpoints.any(|it| !is_removed(it))
    }
}

impl Writes {
    /// Reports whether anything uses the part that `step` is about. What the same write creates or removes does not
    /// count, nor do connections that are being removed. A step that is not about a part is never in use.
    pub(super) async fn is_used(&self, step: &Step, by: &Entry, call: &Call) -> Result<bool> {
        let mut kinds = ResourceKind::ALL.into_iter();
        let kind = kinds.find(|kind| kind.collection().segment() == step.collection);
        let (Some(kind), Some(id)) = (kind, step.id.as_deref()) else {
            return Ok(false);
        };
        let users = Users::of(self, by.object_id(), call).await?;
        let goes = by.steps.iter().filter(|it| it.state != StepState::Stays);
        let goes: Vec<Step> = goes.map(Progress::with_id).collect();
        Ok(users.use_it(kind, id, &goes))
    }
}

/// A plan that removes the connection, then its parts.
struct Removal<'a> {
    on: &'a Writes,
    steps: Vec<Step>,
    own: Box<dyn Plan<Written> + 'a>,
}

#[async_trait]
impl Plan<Written> for Removal<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done> {
        match index < self.own.steps().len() {
            true => self.own.perform(index, made, call).await,
            false => self.on.dialect().remove(&self.steps[index], call).await,
        }
    }

    fn written(self: Box<Self>) -> Written {
        self.own.written()
    }
}
