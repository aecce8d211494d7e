//! From what was known, what was written and what was seen, to what is said. Pure: no clock, no I/O.
//!
//! ```text
//!             write done                  poll begun after the write
//!   anything ───────────► ACCEPTED ──┬─ proof is in the poll (request ids, any status) ──► as seen
//!                            ▲       │
//!                            │       └─ status may be of before the write:
//!                            │             ACCEPTED / AWAITING_PROOF
//!                            │               │ the cloud was at work on it, and no longer is ──► as seen
//!                            │               │ quiet for `quiet_after_update` ──► as seen, INTENT_STORED,
//!                            │               │                                    ASSUMED_AFTER_QUIET_TIME
//!                            └───────────────┘ next write
//! ```
//!
//! On top of what is seen stand three rules that are the same for every cloud (`status`): what is switched off on
//! purpose is DISABLED, what we delete is DELETING until proven gone, with all that belongs to it (`remains`), and bad news is `confirmed` once two
//! polls `confirm_failure` apart brought the same.

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

/// The most upstream request ids that one poll asks for. Those of the last write are all asked for, in as many polls as that
/// takes; of writes before it only as many as there is room for, since older ones are contained in newer ones.
const MAX_ASKED: usize = 4;

/// What a write was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum WriteKind {
    /// It made the connection.
    Create,
    /// It changed the connection.
    Update,
    /// It removed the connection.
    Delete,
}

/// A write that the cloud accepted, as the rules need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// What it was.
    pub kind: WriteKind,
    /// How a poll can tell that it speaks for it.
    pub proof: Proof,
    /// What it wants.
    pub intent: Intent,
    /// When its last answer arrived.
    pub done: Instant,
    /// It is a delete, and what it removes beside the connection was not all proven gone yet. Somebody says when that is
    /// over: [`Knowledge::parts_settled`].
    pub parts_remain: bool,
}

/// One poll of the cloud.
#[derive(Debug, Clone)]
pub struct PollResult {
    /// When it began.
    pub begun: Instant,
    /// How many writes were done by then ([`Knowledge::writes`]). A count and not a time: two things can
    /// happen at the same instant.
    pub after_writes: u64,
    /// When its answer arrived.
    pub ended: Instant,
    /// What it brought.
    pub result: Result<Sighting, Error>,
}

/// What of the knowledge of a connection outlives the process, beside what is said of it. Times do not: what waits
/// for one waits anew.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    /// What the connection is meant to be.
    pub intent: Intent,
    /// What the last write was, and what it wanted.
    pub last_write: Option<(WriteKind, Intent)>,
    /// The number of the last write.
    pub writes: u64,
    /// What each of the last writes wanted, by its number.
    pub wanted: Vec<(u64, Intent)>,
    /// Upstream ids of writes that are not proven yet, newest last.
    pub outstanding: Vec<String>,
    /// What may be of before the last write, if its proof is still awaited.
    pub quiet: Option<QuietMemory>,
    /// What the last delete is to remove beside the connection.
    pub remains: Remains,
}

/// Which statuses may be of before a write.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct QuietMemory {
    /// Whether a status that moves can be proof at all.
    pub movement_proves: bool,
    /// The write made the connection.
    pub made: bool,
    /// What the cloud said last.
    pub last: Option<(String, State)>,
}

/// Everything known about one connection.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    status: Option<ConnectionStatus>,
    intent: Intent,
    last_write: Option<(WriteKind, Intent)>,
    writes: u64,
    /// Upstream ids that are not proven yet, newest last.
    outstanding: Vec<String>,
    quiet: Option<Quiet>,
    remains: Remains,
    bad_run: Option<BadRun>,
    login_refused_since: Option<Instant>,
}

/// Waiting for proof that a status is not of before a write.
#[derive(Debug, Clone)]
struct Quiet {
    /// Whether a status that moves can be proof at all, or nothing but time.
    movement_proves: bool,
    /// The write made the connection.
    made: bool,
    last: Option<(String, State)>,
    since: Instant,
}

/// Polls in a row that brought the same bad news.
#[derive(Debug, Clone)]
struct BadRun {
    state: State,
    code: Option<String>,
    since: Instant,
    /// Two polls agreed already; when is no longer known.
    confirmed: bool,
}

impl Knowledge {
    /// Nothing; writes are numbered from `base` on.
    pub fn counting_from(base: u64) -> Knowledge {
        Knowledge {
            writes: base,
            ..Knowledge::default()
        }
    }

    /// What was known when `status` was said, as far as it outlived the process.
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

    /// What of it outlives the process.
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

    /// What is said now; `None` if nothing was ever seen or written.
    pub fn status(&self) -> Option<&ConnectionStatus> {
        self.status.as_ref()
    }

    /// What the connection is meant to be.
    pub fn intent(&self) -> Intent {
        self.intent
    }

    /// The number of the last write.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// The upstream ids that the next poll must ask for: the newest of those that are not proven yet.
    pub fn outstanding(&self) -> &[String] {
        let older = self.outstanding.len().saturating_sub(MAX_ASKED);
        &self.outstanding[older..]
    }

    /// Whether a write is still on its way, so that polling often is worth it.
    pub fn unsettled(&self) -> bool {
        let waiting = matches!(
            self.status.as_ref().map(|status| status.state),
            Some(State::Accepted | State::Pending | State::InProgress | State::Deleting)
        );
        let unconfirmed =
            self.bad_run.is_some() && self.status.as_ref().is_some_and(|status| !status.confirmed);
        // Where only parts remain, polls of the connection have nothing more to tell.
        let waiting = waiting && !self.remains.is_gone();
        waiting || unconfirmed || !self.outstanding.is_empty()
    }

    /// Takes in a write that the cloud accepted.
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

    /// Whether what a delete removes beside the connection is still being removed.
    pub fn parts_remain(&self) -> bool {
        self.remains.is_settling()
    }

    /// Whether it is certainly not there any more: our own delete is over, or two polls agreed that somebody else's is.
    pub fn is_gone(&self) -> bool {
        let proven = |status: &ConnectionStatus| {
            status.state == State::Deleted && (status.intent == Intent::Deleted || status.confirmed)
        };
        self.status.as_ref().is_some_and(proven) || self.remains.is_left_alone()
    }

    /// What the delete removes beside the connection is not being removed any more, and these are left, as resource
    /// names. If none is, a delete that was proven is told now; else it has failed. Returns whether what is said has changed.
    pub fn parts_settled(&mut self, left: &[String]) -> bool {
        let next = self.remains.settle(left, self.status.as_ref());
        let changed = next.is_some();
        self.status = next.or(self.status.take());
        changed
    }

    /// Takes in a poll. Returns whether what is said has changed.
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
        // Our own delete stands whatever the cloud says; otherwise the cloud knows who switched it last.
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
            // Proven gone: whatever was written to it, there is nothing left to prove.
            self.outstanding.clear();
        }
        status.confirmed = self.confirm(&status, poll, settings);
        self.remains.overlay(&mut status);
        status
    }

    /// How far the proof of the last write is, given what this poll saw.
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
                // Proven. What comes later is asked without ids: a request less, and never older than this.
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

    /// Whether bad news has been the same for long enough.
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
            // Switched off on purpose is bad only for a write of ours that wants it on.
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
            // When in its poll the cloud said so is not known, only that it has by the end of it.
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
            // A cloud may take its time to show what it has just made.
            settings.vanish_grace.max(settings.confirm_failure)
        } else {
            settings.confirm_failure
        };
        poll.begun.saturating_duration_since(since) >= needed
    }

    /// A poll that told nothing about the connection. Only a refused login changes what is said; an outage
    /// is said only where nothing was known before.
    fn not_seen(
        &mut self,
        error: &Error,
        poll: &PollResult,
        settings: &PollSettings,
    ) -> Option<ConnectionStatus> {
        // Who may not poll sees no more than who cannot log in.
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
            // When it changed is not known, only that it has by now.
            self.since = poll.ended;
            // Only of what the cloud itself calls work on a change can the end be the end of this one. A tunnel that
            // goes and comes proves nothing, in either direction: dead peer detection, a peer that reboots and a
            // re-authentication all bring the networks and the key back that were there before the update.
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
