//! Derives the status of a connection from its writes and polls. Pure: no clock, no I/O.
//!
//! ```text
//!             write done                  poll begun after the write
//!   anything ───────────► ACCEPTED ──┬─ the poll brings proof (request ids, any status) ──► as seen
//!                            ▲       │
//!                            │       └─ status may predate the write:
//!                            │             ACCEPTED / AWAITING_PROOF
//!                            │               │ the cloud was at work on it and has finished ──► as seen
//!                            │               │ quiet for `quiet_after_update` ──► as seen, INTENT_STORED,
//!                            │               │                                    ASSUMED_AFTER_QUIET_TIME
//!                            └───────────────┘ next write
//! ```
//!
//! Three rules, the same for every cloud, apply to what is seen (`status`). A connection that is switched off on
//! purpose is DISABLED. A connection that the gateway deletes is DELETING until it is proven gone with all that belongs
//! to it (`remains`). Bad news is `confirmed` once two polls `confirm_failure` apart brought the same.

use crate::{
    core::{
        dialect::Proof,
        error::{Error, ErrorKind},
        settings::PollSettings,
        watch::{
            remains::Remains,
            status::{ConnectionStatus, ProofState, is_settled, overlay_intent, overlay_proof},
        },
    },
    model::{Assurance, Intent, RealizationState as State, Reason, Sighting, codes},
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// The most upstream request ids that one poll asks for. All ids of the last write are asked for, in as many polls as
/// that takes. Ids of earlier writes are kept only as far as there is room, since newer writes contain older ones.
const MAX_ASKED: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WriteKind {
    Create,
    Update,
    Delete,
}

/// A write that the cloud accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub kind: WriteKind,
    /// How a poll can tell that it speaks for this write.
    pub proof: Proof,
    pub intent: Intent,
    /// When the write's last answer arrived.
    pub done: Instant,
    /// Whether the write is a delete whose parts were not all proven gone yet. [`Knowledge::parts_settled`] ends this
    /// state.
    pub parts_remain: bool,
}

/// The result of one poll.
#[derive(Debug, Clone)]
pub struct PollResult {
    pub begun: Instant,
    /// The number of writes done when the poll began ([`Knowledge::writes`]). A count and not a time, because a write
    /// and a poll can happen at the same instant.
    pub after_writes: u64,
    /// When the answer arrived.
    pub ended: Instant,
    pub result: Result<Sighting, Error>,
}

/// The knowledge of a connection that outlives the process, apart from its status. Times do not outlive it: a wait for
/// a time starts again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    pub intent: Intent,
    /// The kind and intent of the last write.
    pub last_write: Option<(WriteKind, Intent)>,
    pub writes: u64,
    /// The intent of each of the last writes, by write number.
    pub wanted: Vec<(u64, Intent)>,
    /// Upstream ids of unproven writes, newest last.
    pub outstanding: Vec<String>,
    /// The stored form of the wait for proof of the last write, if one is under way.
    pub quiet: Option<QuietMemory>,
    /// What the last delete still has to remove besides the connection.
    pub remains: Remains,
}

/// The stored form of a wait for proof that a status does not predate a write.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QuietMemory {
    /// Whether a change of status can be proof.
    pub movement_proves: bool,
    /// Whether the write created the connection.
    pub made: bool,
    /// The last status: what the cloud said, and its normalized state.
    pub last: Option<(String, State)>,
}

/// Everything known about one connection.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    status: Option<ConnectionStatus>,
    intent: Intent,
    last_write: Option<(WriteKind, Intent)>,
    writes: u64,
    /// Upstream ids of unproven writes, newest last.
    outstanding: Vec<String>,
    quiet: Option<Quiet>,
    remains: Remains,
    bad_run: Option<BadRun>,
    login_refused_since: Option<Instant>,
}

/// A wait for proof that a status does not predate a write.
#[derive(Debug, Clone)]
struct Quiet {
    /// Whether a change of status can be proof. If not, only time counts.
    movement_proves: bool,
    /// Whether the write created the connection.
    made: bool,
    last: Option<(String, State)>,
    since: Instant,
}

/// Consecutive polls that brought the same bad news.
#[derive(Debug, Clone)]
struct BadRun {
    state: State,
    code: Option<String>,
    since: Instant,
    /// Whether two polls agreed before a restart, which does not keep their times.
    confirmed: bool,
}

impl Knowledge {
    /// Creates empty knowledge whose writes are numbered after `base`.
    pub fn counting_from(base: u64) -> Knowledge {
        Knowledge {
            writes: base,
            ..Knowledge::default()
        }
    }

    /// Restores what was known along with `status`, as far as it outlived the process.
    pub fn recalled(status: ConnectionStatus, memory: &Memory, now: Instant) -> Knowledge {
        let bad_run = status.confirmed.then(|| BadRun {
            state: status.state,
            code: status.reason.as_ref().map(|reason| reason.code.clone()),
            since: now,
            confirmed: true,
        });
        Knowledge {
            intent: memory.intent,
            last_write: memory.last_write,
            writes: memory.writes,
            outstanding: memory.outstanding.clone(),
            quiet: memory.quiet.clone().map(|quiet| Quiet {
                movement_proves: quiet.movement_proves,
                made: quiet.made,
                last: quiet.last,
                since: now,
            }),
            remains: memory.remains.clone(),
            bad_run,
            status: Some(status),
            login_refused_since: None,
        }
    }

    /// Returns what outlives the process.
    pub fn memory(&self) -> Memory {
        Memory {
            intent: self.intent,
            last_write: self.last_write,
            writes: self.writes,
            wanted: Vec::new(),
            outstanding: self.outstanding.clone(),
            quiet: self.quiet.as_ref().map(|quiet| QuietMemory {
                movement_proves: quiet.movement_proves,
                made: quiet.made,
                last: quiet.last.clone(),
            }),
            remains: self.remains.clone(),
        }
    }

    /// Returns the status, or `None` if nothing was ever seen or written.
    pub fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }

    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// Returns the number of the last write.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// Returns the upstream ids that the next poll must ask for: the newest unproven ones.
    pub fn outstanding(&self) -> &[String] {
        let older = self.outstanding.len().saturating_sub(MAX_ASKED);
        &self.outstanding[older..]
    }

    /// Reports whether a write is in progress, or bad news is not confirmed yet, so that fast polling pays.
    pub fn unsettled(&self) -> bool {
        let waiting = matches!(
            self.status.as_ref().map(|status| status.state),
            Some(State::Accepted | State::Pending | State::InProgress | State::Deleting)
        );
        let unconfirmed =
            self.bad_run.is_some() && self.status.as_ref().is_some_and(|status| !status.confirmed);
        // While only parts remain, polls of the connection have nothing more to tell.
        let waiting = waiting && !self.remains.is_gone();
        waiting || unconfirmed || !self.outstanding.is_empty()
    }

    /// Applies a write that the cloud accepted.
    pub fn wrote(&mut self, write: &Write) {
        self.writes += 1;
        self.last_write = Some((write.kind, write.intent));
        self.intent = write.intent;
        self.remains
            .wrote(write.kind == WriteKind::Delete, write.parts_remain);
        if !matches!(write.proof, Proof::Nothing | Proof::Descriptive) {
            self.bad_run = None;
            self.quiet = None;
        }
        let quiet = |last: Option<(String, State)>| Quiet {
            movement_proves: last.is_some(),
            made: write.kind == WriteKind::Create,
            last,
            since: write.done,
        };
        match &write.proof {
            Proof::RequestIds(ids) => {
                self.outstanding.extend(ids.iter().cloned());
                let kept = MAX_ASKED.max(ids.len());
                let excess = self.outstanding.len().saturating_sub(kept);
                self.outstanding.drain(..excess);
            }
            Proof::StatusMustMove { native_state } => {
                self.quiet = Some(quiet(Some((native_state.clone(), State::Unknown))));
            }
            Proof::RequestIdMissing => self.quiet = Some(quiet(None)),
            Proof::AnyStatus | Proof::Descriptive | Proof::Nothing => {}
        }
        let deleting = write.intent == Intent::Deleted;
        self.status = Some(ConnectionStatus {
            state: if deleting {
                State::Deleting
            } else {
                State::Accepted
            },
            assurance: Assurance::IntentStored,
            intent: self.intent,
            request_ids: self.outstanding.clone(),
            writes: self.writes,
            ..ConnectionStatus::default()
        });
    }

    /// Reports whether parts that a delete removes with the connection are still being removed.
    pub fn parts_remain(&self) -> bool {
        self.remains.is_settling()
    }

    /// Reports whether the connection is certainly gone: the delete through this gateway is over, or two polls agreed
    /// that another client deleted it.
    pub fn is_gone(&self) -> bool {
        let proven = |status: &ConnectionStatus| {
            status.state == State::Deleted && (status.intent == Intent::Deleted || status.confirmed)
        };
        self.status.as_ref().is_some_and(proven) || self.remains.is_left_alone()
    }

    /// Records that the removal of the delete's parts has ended and that the parts in `left`, as resource names,
    /// remain. If none remain, a delete that is proven is reported done; otherwise it has failed. Returns whether the
    /// status changed.
    pub fn parts_settled(&mut self, left: &[String]) -> bool {
        let next = self.remains.settle(left, self.status.as_ref());
        let changed = next.is_some();
        self.status = next.or(self.status.take());
        changed
    }

    /// Applies a poll. Ignores a poll that began before the last write was done. Returns whether the status changed.
    pub fn apply_poll(&mut self, poll: &PollResult, settings: &PollSettings) -> bool {
        if poll.after_writes < self.writes {
            return false;
        }
        let next = match &poll.result {
            Ok(sighting) => {
                self.login_refused_since = None;
                Some(self.seen(sighting, poll, settings))
            }
            Err(error) => self.not_seen(error, poll, settings),
        };
        match next {
            Some(next)
                if !self
                    .status
                    .as_ref()
                    .is_some_and(|status| status.says_the_same(&next)) =>
            {
                self.status = Some(next);
                true
            }
            _ => false,
        }
    }

    fn seen(
        &mut self,
        sighting: &Sighting,
        poll: &PollResult,
        settings: &PollSettings,
    ) -> ConnectionStatus {
        // A delete through this gateway stands whatever the cloud says. Otherwise the cloud knows best whether the
        // connection is enabled.
        if self.intent != Intent::Deleted {
            match sighting.admin_enabled {
                Some(true) => self.intent = Intent::Enabled,
                Some(false) => self.intent = Intent::Disabled,
                None => {}
            }
        }
        let proof = self.proof(sighting, poll, settings);
        let mut status = ConnectionStatus {
            state: sighting.state,
            assurance: sighting.assurance,
            reason: sighting.reason.clone(),
            native_state: sighting.native_state.clone(),
            intent: self.intent,
            nodes: sighting.nodes.clone(),
            tunnel: sighting.tunnel.clone(),
            request_ids: sighting.request_ids.clone(),
            writes: self.writes,
            ..ConnectionStatus::default()
        };
        overlay_intent(&mut status);
        overlay_proof(&mut status, proof);
        if status.state == State::Deleted && status.intent == Intent::Deleted {
            // Proven gone: whatever was written to the connection, nothing is left to prove.
            self.outstanding.clear();
        }
        status.confirmed = self.confirm(&status, poll, settings);
        self.remains.overlay(&mut status);
        status
    }

    /// Returns how far the proof of the last write is, given this poll.
    fn proof(
        &mut self,
        sighting: &Sighting,
        poll: &PollResult,
        settings: &PollSettings,
    ) -> ProofState {
        if !self.outstanding.is_empty() {
            let to_ask = self.outstanding();
            let older = self.outstanding.len() - to_ask.len();
            let is_asked = |id: &String| sighting.request_ids.contains(id);
            if !to_ask.iter().all(is_asked) {
                return ProofState::Awaiting(codes::AWAITING_PROOF);
            }
            let in_place = matches!(
                sighting.state,
                State::Realized | State::Active | State::Degraded | State::Down
            );
            if in_place && sighting.assurance >= Assurance::ControlPlane {
                // Proven. Later polls ask without ids: they cost a request less and are never older than this one.
                self.outstanding.truncate(older);
                if older > 0 {
                    return ProofState::Awaiting(codes::AWAITING_PROOF);
                }
            }
        }
        let Some(quiet) = &mut self.quiet else {
            return ProofState::Proven;
        };
        let proof = quiet.poll(sighting, poll, settings);
        if proof == ProofState::Proven {
            self.quiet = None;
        }
        proof
    }

    /// Reports whether bad news has been the same for long enough.
    fn confirm(
        &mut self,
        status: &ConnectionStatus,
        poll: &PollResult,
        settings: &PollSettings,
    ) -> bool {
        let wanted = self.last_write.map(|(_, intent)| intent);
        let bad = match status.state {
            State::Failed => true,
            State::Deleting | State::Deleted => status.intent != Intent::Deleted,
            // DISABLED on purpose is bad news only for a write through this gateway that enables the connection.
            State::Disabled => status.intent != Intent::Disabled || wanted == Some(Intent::Enabled),
            _ => false,
        };
        if !bad {
            self.bad_run = None;
            return false;
        }
        let code = status.reason.as_ref().map(|reason| reason.code.clone());
        let same = self
            .bad_run
            .as_ref()
            .is_some_and(|run| run.state == status.state && run.code == code);
        if !same {
            // The cloud said so at an unknown time during its poll, at the latest by its end.
            self.bad_run = Some(BadRun {
                state: status.state,
                code,
                since: poll.ended,
                confirmed: false,
            });
        }
        if self.bad_run.as_ref().is_some_and(|run| run.confirmed) {
            return true;
        }
        let since = self.bad_run.as_ref().map_or(poll.ended, |run| run.since);
        let made_here = matches!(self.last_write, Some((WriteKind::Create, _)));
        let needed = if status.state == State::Deleted && made_here {
            // A cloud may take time to show what it has just created.
            settings.vanish_grace.max(settings.confirm_failure)
        } else {
            settings.confirm_failure
        };
        poll.begun.saturating_duration_since(since) >= needed
    }

    /// Applies a poll that told nothing about the connection. A refused login changes the status. Any other error gives
    /// a status only where there was none.
    fn not_seen(
        &mut self,
        error: &Error,
        poll: &PollResult,
        settings: &PollSettings,
    ) -> Option<ConnectionStatus> {
        // A login that may not poll sees as little as one that is refused.
        if matches!(
            error.kind,
            ErrorKind::BackendAuth | ErrorKind::PermissionDenied
        ) {
            let since = *self.login_refused_since.get_or_insert(poll.begun);
            return Some(ConnectionStatus {
                state: State::Unknown,
                assurance: Assurance::None,
                reason: Some(Reason::new(codes::UPSTREAM_AUTH, error.to_string())),
                intent: self.intent,
                writes: self.writes,
                login_lost: poll.ended.duration_since(since) >= settings.auth_window,
                ..ConnectionStatus::default()
            });
        }
        if self.status.is_some() {
            return None;
        }
        let code = if error.is_outage() {
            codes::UPSTREAM_UNREACHABLE
        } else {
            error.reason.as_str()
        };
        Some(ConnectionStatus {
            state: State::Unknown,
            assurance: Assurance::None,
            reason: Some(Reason::new(code, error.to_string())),
            ..ConnectionStatus::default()
        })
    }
}

impl Quiet {
    fn poll(
        &mut self,
        sighting: &Sighting,
        poll: &PollResult,
        settings: &PollSettings,
    ) -> ProofState {
        let native = &sighting.native_state;
        let came_from = self.last.replace((native.clone(), sighting.state));
        if let Some((before, state_before)) = came_from
            && before != *native
        {
            // The status changed at an unknown time, at the latest by the end of this poll.
            self.since = poll.ended;
            // Only the end of what the cloud itself calls work on a change can be the end of this change. A tunnel that
            // goes down and comes up proves nothing: dead peer detection, a peer reboot and a re-authentication all
            // restore the networks and the key from before the update.
            let at_work = state_before == State::InProgress;
            if self.movement_proves && at_work && is_settled(sighting.state) {
                return ProofState::Proven;
            }
        }
        let quiet_enough = poll.begun >= self.since + settings.quiet_after_update;
        match (quiet_enough, self.movement_proves) {
            (true, true) => ProofState::Assumed(codes::ASSUMED_AFTER_QUIET_TIME, self.made),
            (false, true) => ProofState::Awaiting(codes::AWAITING_PROOF),
            (true, false) => ProofState::Assumed(codes::NO_REQUEST_ID, self.made),
            (false, false) => ProofState::Awaiting(codes::NO_REQUEST_ID),
        }
    }
}

#[cfg(test)]
mod tests;
