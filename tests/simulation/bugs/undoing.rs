//! What can be wrong with finding out what became of a write, and with taking it back.

use crate::bugs::Bug;
use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{
            Call, Capabilities, Dialect, Done, Made, Mark, Page, PageRequest, Plan, Proof,
            Resources, Step, Target, Trace, Usage, WrittenResource, written::Written,
        },
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
    },
    model::{
        Attachment, Connection, ConnectionChange, NewConnection, Resource, ResourceChange,
        ResourceKind, ResourceSpec, Sighting, TunnelStatistics,
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// The dialect with this bug, or as it is.
pub fn hasty(bug: Option<Bug>, dialect: Arc<dyn Dialect>) -> Arc<dyn Dialect> {
    match bug {
        Some(
            bug @ (Bug::UndoLeavesPolicies
            | Bug::LostIsNotDone
            | Bug::RemovalsAreTakenForDone
            | Bug::RemovedByName
            | Bug::OwnIsTakenForJoint
            | Bug::NothingCanBeTraced
            | Bug::DeletesAreTakenOnTrust),
        ) => Arc::new(Hasty {
            bug,
            dialect,
            names: Mutex::default(),
        }),
        _ => dialect,
    }
}

#[derive(Debug)]
struct Hasty {
    bug: Bug,
    dialect: Arc<dyn Dialect>,
    /// What was to be made with each mark is called so.
    names: Mutex<BTreeMap<String, String>>,
}

impl Hasty {
    fn inner(&self) -> &dyn Resources {
        self.dialect.resources()
    }

    /// Removes everything of the kind that has the name of what a step made.
    async fn remove_by_name(&self, step: &Step, call: &Call) -> Result<()> {
        let mark = step.mark.as_ref().map(Mark::as_str).unwrap_or_default();
        let name = self.names.lock().unwrap().get(mark).cloned();
        let mut kinds = ResourceKind::ALL.into_iter();
        let kind = kinds.find(|kind| kind.collection().segment() == step.collection);
        let (Some(name), Some(kind)) = (name, kind) else {
            return Ok(());
        };
        let page = PageRequest {
            size: 1_000,
            ..PageRequest::default()
        };
        for there in self.inner().list(kind, &page, call).await?.items {
            if there.spec.display_name == name {
                let step = Step {
                    id: Some(there.id),
                    ..step.clone()
                };
                self.dialect.remove(&step, call).await?;
            }
        }
        Ok(())
    }

    fn seen(&self, mut resource: Resource) -> Resource {
        resource.joint |= self.bug == Bug::OwnIsTakenForJoint && resource.managed;
        resource
    }
}

/// A removal that is not sent.
struct Trusting<'a>(Box<dyn Plan<Written> + 'a>, String);

#[async_trait]
impl Plan<Written> for Trusting<'_> {
    fn steps(&self) -> &[Step] {
        self.0.steps()
    }

    async fn perform(&mut self, index: usize, _made: &Made, _call: &Call) -> Result<Done> {
        Ok(Done {
            id: self.0.steps()[index].id.clone().unwrap_or_default(),
            request_id: None,
        })
    }

    fn written(self: Box<Self>) -> Written {
        Written {
            id: self.1,
            connection: None,
            proof: Proof::AnyStatus,
            warnings: Vec::new(),
        }
    }
}

#[async_trait]
impl Dialect for Hasty {
    fn capabilities(&self) -> &Capabilities {
        self.dialect.capabilities()
    }

    fn refuse_create(&self, wanted: &NewConnection) -> Vec<Violation> {
        self.dialect.refuse_create(wanted)
    }

    fn refuse_update(&self, change: &ConnectionChange) -> Vec<Violation> {
        self.dialect.refuse_update(change)
    }

    async fn attach(&self, wanted: NewConnection, call: &Call) -> Result<NewConnection> {
        self.dialect.attach(wanted, call).await
    }

    async fn as_networks(
        &self,
        there: &Connection,
        call: &Call,
    ) -> Result<Option<isthmus::model::Selectors>> {
        self.dialect.as_networks(there, call).await
    }

    fn refuse_to_become(&self, change: &ConnectionChange, there: &Connection) -> Vec<Violation> {
        self.dialect.refuse_to_become(change, there)
    }

    fn resources(&self) -> &dyn Resources {
        self
    }

    fn usage(&self) -> Usage {
        self.dialect.usage()
    }

    async fn probe(&self, call: &Call) -> Result<()> {
        self.dialect.probe(call).await
    }

    async fn get(&self, id: &str, call: &Call) -> Result<Connection> {
        self.dialect.get(id, call).await
    }

    async fn list(&self, page: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        self.dialect.list(page, call).await
    }

    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.dialect.plan_create(wanted, mark, call).await
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.dialect.plan_update(id, change, call).await
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let plan = self.dialect.plan_delete(id, etag, call).await?;
        Ok(match self.bug {
            Bug::DeletesAreTakenOnTrust => Box::new(Trusting(plan, id.to_owned())),
            _ => plan,
        })
    }

    async fn trace(&self, step: &Step, call: &Call) -> Result<Trace> {
        match self.bug {
            Bug::LostIsNotDone => Ok(Trace::NotDone),
            Bug::NothingCanBeTraced => Err(Error::new(
                ErrorKind::Unavailable,
                ErrorReason::UpstreamUnreachable,
                "nobody can tell",
            )),
            _ => self.dialect.trace(step, call).await,
        }
    }

    async fn undo(&self, step: &Step, call: &Call) -> Result<()> {
        if self.bug == Bug::UndoLeavesPolicies && step.collection.ends_with("Policies") {
            return Ok(());
        }
        self.dialect.undo(step, call).await?;
        if self.bug == Bug::RemovedByName {
            self.remove_by_name(step, call).await?;
        }
        Ok(())
    }

    async fn remove(&self, step: &Step, call: &Call) -> Result<Done> {
        if self.bug == Bug::RemovalsAreTakenForDone {
            let id = step.id.clone().unwrap_or_default();
            let request_id = None;
            return Ok(Done { id, request_id });
        }
        self.dialect.remove(step, call).await
    }

    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        self.dialect.poll(targets, call).await
    }
}

#[async_trait]
impl Resources for Hasty {
    fn refuse_create(&self, spec: &ResourceSpec) -> Vec<Violation> {
        self.inner().refuse_create(spec)
    }

    fn refuse_update(&self, change: &ResourceChange) -> Vec<Violation> {
        self.inner().refuse_update(change)
    }

    async fn get(&self, kind: ResourceKind, id: &str, call: &Call) -> Result<Resource> {
        let resource = self.inner().get(kind, id, call).await?;
        Ok(self.seen(resource))
    }

    async fn list(
        &self,
        kind: ResourceKind,
        page: &PageRequest,
        call: &Call,
    ) -> Result<Page<Resource>> {
        let page = self.inner().list(kind, page, call).await?;
        let items = page.items.into_iter().map(|it| self.seen(it));
        Ok(Page {
            items: items.collect(),
            next: page.next,
        })
    }

    fn is_equal(&self, spec: &ResourceSpec, there: &Resource) -> bool {
        self.inner().is_equal(spec, there)
    }

    async fn plan_create<'a>(
        &'a self,
        spec: ResourceSpec,
        mark: Mark,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        let named = (mark.as_str().to_owned(), spec.display_name.clone());
        self.names.lock().unwrap().extend([named]);
        self.inner().plan_create(spec, mark, call).await
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ResourceChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        self.inner().plan_update(id, change, call).await
    }

    async fn plan_delete<'a>(
        &'a self,
        kind: ResourceKind,
        id: &'a str,
        etag: Option<String>,
        call: &Call,
    ) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
        self.inner().plan_delete(kind, id, etag, call).await
    }

    async fn attachments(&self, page: &PageRequest, call: &Call) -> Result<Page<Attachment>> {
        self.inner().attachments(page, call).await
    }

    async fn statistics(&self, connection: &str, call: &Call) -> Result<TunnelStatistics> {
        self.inner().statistics(connection, call).await
    }
}
