//! The writes of connections.

use crate::{
    core::{
        dialect::{Action, Call, Plan, Proof, Written},
        error::{Error, ErrorReason, Result},
        etag,
        watch::knowledge::WriteKind,
        writes::{
            accepted::{Accepted, Outcome},
            desk::{Writes, accepted, intent},
            joint, removal,
            run::{About, Write},
        },
    },
    model::{ConnectionChange, ConnectionName, Intent, NewConnection},
};
use async_trait::async_trait;

/// Creates a connection with its parts.
#[derive(Debug)]
pub struct Create {
    pub wanted: NewConnection,
}

/// Updates a connection.
#[derive(Debug)]
pub struct Update {
    pub name: ConnectionName,
    pub change: ConnectionChange,
}

/// Deletes a connection and the parts that only it uses.
#[derive(Debug)]
pub struct Delete {
    pub name: ConnectionName,
    /// The etag that the caller expects, if any.
    pub etag: Option<String>,
    /// Whether deleting a connection that does not exist succeeds.
    pub allow_missing: bool,
}

pub fn about(action: Action, name: Option<&ConnectionName>) -> About {
    About {
        action,
        kind: None,
        object: name.map(|name| name.id.to_string()),
    }
}

/// Records an accepted write of a connection with the watch, and returns its answer.
///
/// # Errors
/// If the cloud's id cannot be part of a resource name.
pub(super) async fn accept(
    on: &Writes,
    kind: WriteKind,
    meant: Intent,
    written: Written,
    remains: bool,
) -> Result<Accepted> {
    let name = on.connection_name(&written.id)?;
    let outcome = match (kind, &written.proof) {
        (WriteKind::Create, _) => Outcome::Created,
        (WriteKind::Update, Proof::Nothing) | (WriteKind::Delete, _) => Outcome::Unchanged,
        (WriteKind::Update, _) => Outcome::Changed,
    };
    let write = accepted(kind, written.proof, meant, remains);
    Ok(Accepted {
        write_token: on.note(&name, &write).await,
        name: Some(name),
        connection: written.connection,
        warnings: written.warnings,
        outcome,
        plan: Vec::new(),
    })
}

#[async_trait]
impl Write for Create {
    type Left = Written;
    type Answer = Accepted;

    fn about(&self) -> About {
        about(Action::Create, None)
    }

    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        joint::plan(on, &self.wanted, call).await
    }

    async fn accept(&self, on: &Writes, left: Written, remains: bool) -> Result<Accepted> {
        let meant = intent(self.wanted.spec.admin_enabled);
        accept(on, WriteKind::Create, meant, left, remains).await
    }

    fn told(&self, error: Error) -> Error {
        error.during("creating a connection")
    }
}

#[async_trait]
impl Write for Update {
    type Left = Written;
    type Answer = Accepted;

    fn about(&self) -> About {
        about(Action::Update, Some(&self.name))
    }

    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let change = self.change.clone();
        on.dialect().plan_update(&self.name.id, change, call).await
    }

    async fn accept(&self, on: &Writes, left: Written, remains: bool) -> Result<Accepted> {
        let enabled = left.connection.as_ref().and_then(|it| it.admin_enabled);
        accept(on, WriteKind::Update, intent(enabled), left, remains).await
    }

    fn plans_anew(&self) -> bool {
        etag::given(self.change.etag.as_deref()).is_none()
    }

    fn told(&self, error: Error) -> Error {
        error.missing(&self.name).during("updating a connection")
    }
}

#[async_trait]
impl Write for Delete {
    type Left = Written;
    type Answer = Accepted;

    fn about(&self) -> About {
        about(Action::Delete, Some(&self.name))
    }

    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        removal::plan(on, &self.name.id, self.etag.clone(), call).await
    }

    async fn accept(&self, on: &Writes, left: Written, remains: bool) -> Result<Accepted> {
        accept(on, WriteKind::Delete, Intent::Deleted, left, remains).await
    }

    fn forgives(&self, error: &Error) -> bool {
        self.allow_missing && error.reason == ErrorReason::ConnectionNotFound
    }

    fn told(&self, error: Error) -> Error {
        error.missing(&self.name).during("deleting a connection")
    }
}
