//! A connection and the parts that nobody else uses, as one plan. Parts that were made together with connections belong to
//! those that use them, and go with the last; what was made by a call of its own stays.

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

/// Plans to remove a connection, and the parts that are used by no other.
///
/// # Errors
/// As the connection itself cannot be removed, or what it refers to cannot be read.
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

/// The removal of each part that was made together with others and that nobody uses but this connection.
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
    // Any connection may be the last that uses a part, also one that somebody made who only referred to it.
    let resources = on.dialect().resources();
    let reads = parts.into_iter().map(async |(kind, step)| {
        let id = step.id.as_deref().unwrap_or_default();
        match resources.get(kind, id, call).await {
            Ok(part) => Ok(part.joint.then_some((kind, step))),
            // What the account may not see, it did not make.
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

/// Who may use a part, beside whoever asks: every connection that is not being removed, and every local endpoint.
pub(super) struct Users {
    connections: Vec<Connection>,
    endpoints: Vec<Resource>,
}

impl Users {
    /// All but this connection.
    ///
    /// # Errors
    /// As they cannot be listed.
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

    /// Whether any of them uses this part; what is removed before it does not count.
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
    /// Whether anybody uses this part, but for what the same write is to make or to remove, and connections that are
    /// being removed. What is no part is used by nobody who could be asked.
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

/// The connection, then its parts.
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
