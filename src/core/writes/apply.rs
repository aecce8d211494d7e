//! Makes a connection match its description: creates it if it does not exist, changes what differs, leaves the rest
//! alone.
//!
//! ```text
//!   fit ─► the turn of its name ─► find ─┬─ not there ─► create, as CreateConnection does
//!                                        └─ there ─────► the turn of the connection ─► amend
//! ```

pub use crate::core::writes::accepted::Outcome;

use crate::{
    core::{
        dialect::{Action, Call},
        error::{Error, Result},
        etag,
        gateway::{Gateway, caller, repeated},
        ledger::book::{Held, site},
        margin,
        portable::{
            export::{as_described, describe},
            fit::Fitted,
            lacking::lacking,
        },
        request_id::How,
        writes::{
            accepted::Accepted,
            amend::Amend,
            connections::{Create, about},
            described,
            desk::{Writes, refused},
            run::Begun,
        },
    },
    model::{BackendName, Connection, ConnectionName, Field, NewConnection},
};
use std::sync::Arc;
use tokio::time::Instant;

/// The desired connection.
#[derive(Debug, Clone)]
pub struct Description {
    pub wanted: NewConnection,
    /// Selects the connection; `None` selects it by its display name.
    pub name: Option<ConnectionName>,
    /// Whether to write the key to an existing connection.
    pub write_key: bool,
    /// The etag of the existing connection that the description is based on; `None` accepts any state.
    pub etag: Option<String>,
}

/// The result of applying a description, or of only validating it.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    pub result: Outcome,
    /// The answer of the write. If it was only validated, it has the plan and the name of the existing connection.
    pub accepted: Accepted,
    /// The existing connection before the change, if the apply was only validated.
    pub before: Option<NewConnection>,
    /// The description as fitted to the backend, without the key, if the apply was only validated.
    pub taken: Option<NewConnection>,
}

struct Applying {
    writes: Arc<Writes>,
    /// The description as its caller wrote it.
    written: NewConnection,
    /// The description as fitted to the backend.
    fitted: Fitted,
    name: Option<ConnectionName>,
    write_key: bool,
    etag: Option<String>,
    deadline: Instant,
}

impl Gateway {
    /// Makes a connection match its description. The caller waits until `deadline`; the write goes on after that.
    ///
    /// The connection is the one named in the description. Without a name, it is the one that the gateway made with
    /// that display name. Where connections carry no mark, any connection with that display name counts, and among
    /// several the one with the described peer. Concurrent applies of the same display name run one after the other.
    /// What the description leaves open stays as it is. If a part differs and is not this connection's alone, the
    /// connection refers to another part instead, where it can. Nothing is removed except endpoint groups that are
    /// replaced.
    ///
    /// # Errors
    /// - Those of [`Gateway::create`] and [`Gateway::update`].
    /// - `FailedPrecondition` with `NameNotUnique` or `NotManaged`, and the names of the connections found.
    /// - `FailedPrecondition` with `ReplacementNeeded`, and the fields that only another connection can have.
    /// - `Unavailable` / `WriteUnderWay` while the connection is being removed, or if another write of it does not end
    ///   by `deadline`.
    /// - `Stale` if the description has an etag that does not match the connection, or if the connection does not
    ///   exist.
    pub async fn apply(
        &self,
        backend: &BackendName,
        description: Description,
        how: How,
        deadline: Instant,
    ) -> Result<Applied> {
        let writes = self.writable(backend)?;
        let written = description.wanted;
        let fitted = self.fitted_if_there(backend, written.clone())?;
        let begun = writes.begin(about(Action::Create, None), &how, deadline);
        let begun = begun.await?;
        let applying = Applying {
            writes,
            written,
            fitted,
            name: description.name,
            write_key: description.write_key,
            etag: description.etag,
            deadline,
        };
        let applied = match begun {
            Begun::Tried => self.try_to_apply(&applying).await,
            Begun::Answered(answer) => repeated(answer).map(done),
            Begun::Now(held) => self.apply_now(&applying, held).await,
        };
        let fitted = &applying.fitted;
        let mut applied = applied.map_err(|error| fitted.told_error(error))?;
        let warnings = std::mem::take(&mut applied.accepted.warnings);
        applied.accepted.warnings = fitted.told_warnings(warnings);
        Ok(applied)
    }

    async fn try_to_apply(&self, applying: &Applying) -> Result<Applied> {
        let (writes, deadline) = (Arc::clone(&applying.writes), applying.deadline);
        let there = applying.find().await?;
        let mut taken = as_described(applying.fitted.wanted.clone());
        let Some(there) = there else {
            let write = self.creation(applying)?;
            let accepted = self
                .carry_out(writes, write, Begun::Tried, deadline)
                .await?;
            return Ok(Applied {
                result: Outcome::Created,
                accepted,
                before: None,
                taken: Some(taken),
            });
        };
        let call = applying.call();
        let before = describe(writes.backend(), &there, &call).await;
        let before = writes.backend().record_caller_result(before)?;
        let write = self.amendment(applying, there)?;
        let address = &mut taken.spec.peer_address;
        if !address.is_empty() && !write.change.fields.contains(&Field::PeerAddress) {
            // The peer address stays if the cloud may have resolved the described host name to it.
            address.clone_from(&write.there.peer.address);
        }
        let (name, warnings) = (write.name.clone(), write.warnings.clone());
        let tried: Accepted = self
            .carry_out(writes, write, Begun::Tried, deadline)
            .await?;
        let is_written = tried.plan.iter().any(|step| step.action != Action::Reuse);
        Ok(Applied {
            result: match is_written {
                true => Outcome::Changed,
                false => Outcome::Unchanged,
            },
            accepted: Accepted {
                name: Some(name),
                warnings,
                ..tried
            },
            before: Some(before.site),
            taken: Some(taken),
        })
    }

    async fn apply_now(&self, applying: &Applying, mut held: Held) -> Result<Applied> {
        let (writes, deadline) = (Arc::clone(&applying.writes), applying.deadline);
        let there = applying.take_and_find(&mut held).await?;
        let begun = Begun::Now(held);
        let accepted = match there {
            None => {
                let write = self.creation(applying)?;
                self.carry_out(writes, write, begun, deadline).await?
            }
            Some(there) => {
                let write = self.amendment(applying, there)?;
                self.carry_out(writes, write, begun, deadline).await?
            }
        };
        Ok(done(accepted))
    }

    /// Returns the write that creates the connection.
    ///
    /// # Errors
    /// `Stale` if the description has an etag; `InvalidArgument` with what the description lacks; `NotExpressible` with
    /// what the backend cannot express.
    fn creation(&self, applying: &Applying) -> Result<Create> {
        let backend = applying.writes.name();
        // A connection that does not exist has no etag.
        etag::check(applying.etag.as_deref(), "").map_err(|error| error.on(backend))?;
        let missing = lacking(&applying.fitted.wanted);
        if !missing.is_empty() {
            return Err(Error::invalid(missing).on(backend));
        }
        let fitted = self.fitted(backend, applying.written.clone())?;
        Ok(Create {
            wanted: fitted.wanted,
        })
    }

    /// Returns the write that changes the existing connection.
    ///
    /// # Errors
    /// `NotExpressible` with what the backend cannot express and the connection does not already have.
    fn amendment(&self, applying: &Applying, there: Connection) -> Result<Amend> {
        let writes = &applying.writes;
        let wanted = applying.fitted.wanted.clone();
        let said = described::said(&wanted.spec, applying.write_key);
        // This includes fields that `described::change` leaves alone: a backend that cannot express them has no value
        // to keep.
        let violations = self.refuse_change(writes.backend(), &said, &there);
        refused(violations, writes.name())?;
        let (mut change, warnings) = described::change(said, &there);
        change.etag.clone_from(&applying.etag);
        Ok(Amend {
            name: writes.connection_name(&there.id)?,
            there,
            wanted,
            change,
            warnings,
        })
    }
}

impl Applying {
    fn call(&self) -> Call {
        caller(margin::before(self.deadline))
    }

    async fn find(&self) -> Result<Option<Connection>> {
        let (wanted, call) = (&self.fitted.wanted.spec, self.call());
        let found = self.writes.meant(self.name.as_ref(), wanted, &call).await;
        found.map_err(|error| error.during("finding the connection that is described"))
    }

    /// Finds the connection while holding the turn of its display name, then takes the turn of the connection found. If
    /// another write ended in between, it looks again: that write may have removed the connection.
    async fn take_and_find(&self, held: &mut Held) -> Result<Option<Connection>> {
        let until = margin::before(self.deadline);
        let turns = &self.writes.ledger().turns;
        let name = &self.fitted.wanted.spec.display_name;
        if self.name.is_none() {
            let turn = turns.take(&site(name), until).await;
            let turn = turn.map_err(|error| error.on(self.writes.name()))?;
            held.turns.push(turn);
            held.site = Some(name.clone());
        }
        let mut taken: Option<String> = None;
        loop {
            let before = turns.ended();
            let Some(there) = self.find().await? else {
                return Ok(None);
            };
            if taken.as_ref() == Some(&there.id) {
                return Ok(Some(there));
            }
            let object = format!("connections/{}", there.id);
            if let Some(turn) = turns.try_take(&object) {
                held.turns.push(turn);
                // No write has ended since the read, and none of this connection is in flight.
                if turns.ended() == before {
                    return Ok(Some(there));
                }
            } else {
                let turn = turns.take(&object, until).await;
                held.turns.push(self.writes.turn(turn, &object)?);
            }
            taken = Some(there.id);
        }
    }
}

fn done(accepted: Accepted) -> Applied {
    Applied {
        result: accepted.outcome,
        accepted,
        before: None,
        taken: None,
    }
}
