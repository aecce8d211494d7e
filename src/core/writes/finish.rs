//! Finishes a write after its call has ended: reports it to the watch, and returns the answer that a repeat of its
//! request receives.

use crate::{
    core::{
        dialect::{Action, Call, Proof},
        error::{ErrorKind, Result},
        ledger::record::Entry,
        watch::{knowledge::WriteKind, part},
        writes::{
            accepted::{Accepted, AcceptedResource, Outcome},
            desk::{Writes, accepted, intent},
        },
    },
    model::{Intent, ResourceKind, ResourceName},
};
use serde::Serialize;
use serde_json::Value;

impl Writes {
    /// Records what the write left behind and returns the answer its caller would have received, without its warnings:
    /// the ledger does not keep them.
    ///
    /// # Errors
    /// If the connection or resource cannot be read.
    pub(super) async fn finish(&self, entry: &Entry, call: &Call) -> Result<Value> {
        match entry.kind {
            None => self.finish_connection(entry, call).await,
            Some(kind) => self.finish_resource(kind, entry, call).await,
        }
    }

    async fn finish_connection(&self, entry: &Entry, call: &Call) -> Result<Value> {
        let id = entry.object_id().unwrap_or_default();
        let name = self.connection_name(id)?;
        let connection = match entry.action {
            Action::Delete => None,
            _ => found(
                self.backend()
                    .record_result(self.dialect().get(id, call).await),
            )?,
        };
        let (kind, meant) = match entry.action {
            Action::Delete => (WriteKind::Delete, Intent::Deleted),
            Action::Update => (WriteKind::Update, enabled(connection.as_ref())),
            Action::Create | Action::Reuse => (WriteKind::Create, enabled(connection.as_ref())),
        };
        let remains = !entry.to_remove().is_empty();
        let write = accepted(kind, self.proof(entry), meant, remains);
        Ok(kept(&Accepted {
            write_token: self.note(&name, &write).await,
            name: Some(name),
            connection,
            outcome: match entry.action {
                Action::Create | Action::Reuse => Outcome::Created,
                Action::Update => Outcome::Changed,
                Action::Delete => Outcome::Unchanged,
            },
            ..Accepted::default()
        }))
    }

    /// Returns how a poll can prove that it reflects a write whose answers are lost.
    fn proof(&self, entry: &Entry) -> Proof {
        let ids = entry.request_ids();
        match entry.action {
            _ if !ids.is_empty() => Proof::RequestIds(ids),
            _ if self.backend().capabilities().write_tracking => Proof::RequestIdMissing,
            // The status before the update is lost too, so a poll cannot prove that it has moved.
            Action::Update => Proof::RequestIdMissing,
            Action::Create | Action::Reuse | Action::Delete => Proof::AnyStatus,
        }
    }

    async fn finish_resource(
        &self,
        kind: ResourceKind,
        entry: &Entry,
        call: &Call,
    ) -> Result<Value> {
        let id = entry.object_id().unwrap_or_default();
        let resource = match entry.action {
            Action::Delete => None,
            _ => {
                let read = self.dialect().resources().get(kind, id, call).await;
                found(self.backend().record_result(read))?
            }
        };
        let request_ids = entry.request_ids();
        let name = ResourceName {
            backend: self.name().clone(),
            collection: kind.collection(),
            id: id.into(),
        };
        let write_token = match entry.action {
            Action::Update => part::token(&name, &request_ids),
            _ => String::new(),
        };
        Ok(kept(&AcceptedResource {
            resource,
            request_ids,
            write_token,
            ..AcceptedResource::default()
        }))
    }
}

fn enabled(connection: Option<&crate::model::Connection>) -> Intent {
    intent(connection.and_then(|it| it.admin_enabled))
}

/// Returns what was read, or `None` if another client has removed it.
fn found<T>(read: Result<T>) -> Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn kept(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap_or_default()
}
