//! Has a connection be as it is described: made if it is not there, changed where it differs, and left alone where it does not.
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

/// What is to be there.
#[derive(Debug, Clone)]
pub struct Description {
    /// The connection with its parts.
    pub wanted: NewConnection,
    /// Which connection is meant; else the one of its display name.
    pub name: Option<ConnectionName>,
    /// Whether the key is written to a connection that is there.
    pub write_key: bool,
    /// Of which state of a connection that is there the description was made; of any if there is none.
    pub etag: Option<String>,
}

/// What became of a description, or would.
#[derive(Debug, Clone, Default)]
pub struct Applied {
    /// What became of the connection.
    pub result: Outcome,
    /// The write. Of one that was only tried it has the plan, and the name of what is there.
    pub accepted: Accepted,
    /// As it was, if it was only tried and is there.
    pub before: Option<NewConnection>,
    /// The description as the backend takes it, if it was only tried; without the key.
    pub taken: Option<NewConnection>,
}

/// A description that is being applied.
struct Applying {
    writes: Arc<Writes>,
    /// As its caller wrote it.
    written: NewConnection,
    /// As its backend takes it.
    fitted: Fitted,
    name: Option<ConnectionName>,
    write_key: bool,
    etag: Option<String>,
    deadline: Instant,
}

impl Gateway {
    /// Has a connection be as it is described. Its caller waits until `deadline`; the write goes on.
    ///
    /// The connection is the one of that name, or the one that the gateway made under that display name; where connections
    /// carry no mark, the one that has it, and of several the one with that peer. Who has the same display name applied
    /// meanwhile waits. What the description leaves open is left as it is. Of a part that differs and is not the
    /// connection's alone another is used, where the connection can refer to another. Nothing is removed for it but endpoint
    /// groups that others take the place of.
    ///
    /// # Errors
    /// As [`Gateway::create`] and [`Gateway::update`]. `FailedPrecondition` with `NameNotUnique` or `NotManaged`, naming what
    /// there is; with `ReplacementNeeded`, by the fields that only another connection can have so. `Unavailable` /
    /// `WriteUnderWay` while what is meant is being removed, or written by somebody else until `deadline`. `Stale` if there is an
    /// etag, and it is another's than what is there, or nothing is.
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
            // A host name that was resolved is left alone.
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

    /// What makes it.
    ///
    /// # Errors
    /// `Stale` if it was there; `InvalidArgument` with what the description lacks; what the backend cannot express.
    fn creation(&self, applying: &Applying) -> Result<Create> {
        let backend = applying.writes.name();
        // What is not there has no etag.
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

    /// What changes it.
    ///
    /// # Errors
    /// What the backend cannot express and is not so already.
    fn amendment(&self, applying: &Applying, there: Connection) -> Result<Amend> {
        let writes = &applying.writes;
        let wanted = applying.fitted.wanted.clone();
        let said = described::said(&wanted.spec, applying.write_key);
        // Also of what is left alone: there is nothing to leave to a cloud that could not have it.
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

    /// Finds it, in the turn of its display name; and takes the turn of what is found. If somebody's write has ended
    /// meanwhile, it looks again: what was found may be gone by then.
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
                // Nobody's write has ended since it was read, and nobody's is under way.
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

/// A write that was done.
fn done(accepted: Accepted) -> Applied {
    Applied {
        result: accepted.outcome,
        accepted,
        before: None,
        taken: None,
    }
}
