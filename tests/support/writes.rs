//! Writes at the seam, as one call each: planned and performed at once, with nobody who keeps a ledger.

use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{Call, Dialect, Made, Mark, Plan, WrittenResource, written::Written},
        error::{Result, Violation},
        execute::{NoJournal, execute},
    },
    model::{
        ConnectionChange, ConnectionSpec, NewConnection, ResourceChange, ResourceKind, ResourceSpec,
    },
};

/// What a dialect's plans come to.
#[async_trait]
pub trait Writes {
    /// What of a connection alone cannot be expressed.
    fn refuse_alone(&self, spec: &ConnectionSpec) -> Vec<Violation>;

    /// Makes a connection alone.
    async fn create(&self, spec: &ConnectionSpec, mark: &Mark, call: &Call) -> Result<Written>;

    /// Changes a connection.
    async fn update(&self, id: &str, change: &ConnectionChange, call: &Call) -> Result<Written>;

    /// Removes a connection.
    async fn delete(&self, id: &str, etag: Option<&str>, call: &Call) -> Result<Written>;

    /// Makes a resource.
    async fn create_resource(
        &self,
        spec: &ResourceSpec,
        mark: &Mark,
        call: &Call,
    ) -> Result<WrittenResource>;

    /// Changes a resource.
    async fn update_resource(
        &self,
        id: &str,
        change: &ResourceChange,
        call: &Call,
    ) -> Result<WrittenResource>;

    /// Removes a resource.
    async fn delete_resource(
        &self,
        kind: ResourceKind,
        id: &str,
        etag: Option<&str>,
        call: &Call,
    ) -> Result<WrittenResource>;
}

#[async_trait]
impl Writes for dyn Dialect {
    fn refuse_alone(&self, spec: &ConnectionSpec) -> Vec<Violation> {
        self.refuse_create(&NewConnection::alone(spec.clone()))
    }

    async fn create(&self, spec: &ConnectionSpec, mark: &Mark, call: &Call) -> Result<Written> {
        let wanted = NewConnection::alone(spec.clone());
        let plan = self.plan_create(wanted, mark.clone(), call).await?;
        perform(self, plan, call).await
    }

    async fn update(&self, id: &str, change: &ConnectionChange, call: &Call) -> Result<Written> {
        let plan = self.plan_update(id, change.clone(), call).await?;
        perform(self, plan, call).await
    }

    async fn delete(&self, id: &str, etag: Option<&str>, call: &Call) -> Result<Written> {
        let plan = self.plan_delete(id, etag.map(str::to_owned), call).await?;
        perform(self, plan, call).await
    }

    async fn create_resource(
        &self,
        spec: &ResourceSpec,
        mark: &Mark,
        call: &Call,
    ) -> Result<WrittenResource> {
        let resources = self.resources();
        let plan = resources.plan_create(spec.clone(), mark.clone(), call);
        perform(self, plan.await?, call).await
    }

    async fn update_resource(
        &self,
        id: &str,
        change: &ResourceChange,
        call: &Call,
    ) -> Result<WrittenResource> {
        let plan = self.resources().plan_update(id, change.clone(), call);
        perform(self, plan.await?, call).await
    }

    async fn delete_resource(
        &self,
        kind: ResourceKind,
        id: &str,
        etag: Option<&str>,
        call: &Call,
    ) -> Result<WrittenResource> {
        let etag = etag.map(str::to_owned);
        let plan = self.resources().plan_delete(kind, id, etag, call);
        perform(self, plan.await?, call).await
    }
}

async fn perform<W>(dialect: &dyn Dialect, plan: Box<dyn Plan<W> + '_>, call: &Call) -> Result<W> {
    execute(dialect, plan, &Made::new(), &NoJournal, call).await
}
