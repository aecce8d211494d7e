//! Foreign writes: awaited writes made by other clients of the cloud, such as Terraform. Polls ask the cloud about each
//! by its id. The answer is kept apart from the status of the connection, because a client can name any id: one that
//! the cloud does not know, or that belongs to another object, must not change what other clients see.
//!
//! A write to a part counts as a foreign write to each connection that uses the part. If the cloud gave no id for it,
//! the write is assumed to be in effect after the quiet time, as after an update of the connection itself.

use crate::{
    core::{
        dialect::Proof,
        settings::PollSettings,
        watch::{
            judge::{Terms, Verdict, judge},
            knowledge::{Knowledge, PollResult, Write, WriteKind},
            status::ConnectionStatus,
        },
    },
    model::{Intent, RealizationState as State, Reason, Sighting, codes},
};
use tokio::time::Instant;

/// The most ids in one request, and in one poll.
pub const MAX_REQUEST_IDS: usize = 4;
/// The most writes of one connection that can be awaited at the same time; they take turns in polls.
pub const MAX_AWAITED: usize = 16;

/// A write that was not made to the connection through this gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForeignWrite {
    /// A write that the cloud can be asked about, by the id that the cloud gave it.
    Traceable(String),
    /// A write that the cloud cannot be asked about. Polls since the first client began to wait for it are judged like
    /// polls after an update of the connection.
    Untraceable {
        key: String,
        /// Whether the cloud could report on the write if its id were known. If not, the write is also proven when the
        /// cloud is seen at work on the connection and then finishes.
        id_is_missing: bool,
    },
}

/// The awaited foreign writes of one connection.
#[derive(Debug, Default)]
pub struct Elsewhere {
    /// In the order of their turns; the next comes first.
    awaited: Vec<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    write: ForeignWrite,
    waiters: usize,
    /// Polls that began earlier say nothing about the write, unless the cloud itself names the write they speak for.
    since: Instant,
    knowledge: Knowledge,
}

impl Awaited {
    fn new(write: &ForeignWrite, now: Instant) -> Awaited {
        let mut knowledge = Knowledge::default();
        if let ForeignWrite::Untraceable { id_is_missing, .. } = write {
            let proof = match id_is_missing {
                true => Proof::RequestIdMissing,
                // The status before the write is not known.
                false => Proof::StatusMustMove {
                    native_state: String::new(),
                },
            };
            knowledge.wrote(&Write {
                kind: WriteKind::Update,
                proof,
                intent: Intent::Unknown,
                done: now,
                parts_remain: false,
            });
        }
        Awaited {
            write: write.clone(),
            waiters: 1,
            since: now,
            knowledge,
        }
    }

    /// Returns the status of the write, or `None` if no poll covered it.
    fn status(&self) -> Option<&ConnectionStatus> {
        let status = self.knowledge.status();
        // An ACCEPTED without a reason is the write itself; no poll saw it.
        status.filter(|status| status.state != State::Accepted || status.reason.is_some())
    }

    /// Returns the part of a poll that is about this write.
    fn of(&self, poll: &PollResult) -> Option<PollResult> {
        let sighting = poll.result.as_ref().ok()?;
        let seen = match &self.write {
            ForeignWrite::Traceable(id) => {
                let mut of_write = sighting.elsewhere.iter();
                let (_, seen) = of_write.find(|(told, _)| told == id)?;
                let mut seen = seen.clone();
                seen.admin_enabled = sighting.admin_enabled;
                seen.request_ids = vec![id.clone()];
                seen
            }
            ForeignWrite::Untraceable { .. } if poll.begun < self.since => return None,
            ForeignWrite::Untraceable { .. } => Sighting {
                elsewhere: Vec::new(),
                ..sighting.clone()
            },
        };
        Some(PollResult {
            begun: poll.begun,
            // Writes to the connection do not count here.
            after_writes: u64::MAX,
            ended: poll.ended,
            result: Ok(seen),
        })
    }
}

impl Elsewhere {
    /// Adds a wait for each of these writes, until [`Elsewhere::release`]. Returns false and changes nothing if more than
    /// [`MAX_AWAITED`] writes would be awaited. A write that is repeated counts once, here and in `release`: the ids
    /// come from clients.
    pub fn await_all(&mut self, writes: &[ForeignWrite]) -> bool {
        let mut fresh: Vec<&ForeignWrite> = Vec::new();
        for write in writes {
            let is_known = self.awaited.iter().any(|it| it.write == *write);
            if !is_known && !fresh.contains(&write) {
                fresh.push(write);
            }
        }
        if self.awaited.len() + fresh.len() > MAX_AWAITED {
            return false;
        }
        for awaited in &mut self.awaited {
            awaited.waiters += usize::from(writes.contains(&awaited.write));
        }
        let now = Instant::now();
        let fresh = fresh.into_iter().map(|write| Awaited::new(write, now));
        self.awaited.extend(fresh);
        true
    }

    /// Ends one wait for each of these writes.
    pub fn release(&mut self, writes: &[ForeignWrite]) {
        self.awaited.retain_mut(|awaited| {
            awaited.waiters -= usize::from(writes.contains(&awaited.write));
            awaited.waiters > 0
        });
    }

    /// Returns the ids that the next poll asks about, and moves them to the end of the turns.
    pub fn take_turn(&mut self) -> Vec<String> {
        let (mut ids, mut asked, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for awaited in self.awaited.drain(..) {
            match &awaited.write {
                ForeignWrite::Traceable(id) if ids.len() < MAX_REQUEST_IDS => {
                    ids.push(id.clone());
                    asked.push(awaited);
                }
                _ => rest.push(awaited),
            }
        }
        rest.append(&mut asked);
        self.awaited = rest;
        ids
    }

    /// Applies a poll to every awaited write that it covers.
    pub fn apply_poll(&mut self, poll: &PollResult, settings: &PollSettings) {
        for awaited in &mut self.awaited {
            if let Some(poll) = awaited.of(poll) {
                awaited.knowledge.apply_poll(&poll, settings);
            }
        }
    }

    /// Reports whether a poll has covered each of these writes.
    pub fn has_seen(&self, writes: &[ForeignWrite]) -> bool {
        writes.iter().all(|write| self.status(write).is_some())
    }

    /// Combines `verdict`, on the connection, with the verdicts on these writes.
    pub fn judge(&self, writes: &[ForeignWrite], terms: Terms, mut verdict: Verdict) -> Verdict {
        for write in writes {
            let said = match self.status(write) {
                Some(status) => judge(status, terms),
                None => Verdict::GoesOn,
            };
            verdict = verdict.and(said);
        }
        verdict
    }

    /// Returns the status of the connection for a client that asks about these writes. If one of them is not in place
    /// yet, returns the status of that one.
    pub fn overlay(&self, writes: &[ForeignWrite], status: &ConnectionStatus) -> ConnectionStatus {
        let mut overlaid = status.clone();
        for write in writes {
            match self.status(write) {
                Some(seen) if in_place(seen.state) => {
                    if in_place(overlaid.state) {
                        add(&mut overlaid, write, seen);
                    }
                }
                Some(seen) => {
                    overlaid = ConnectionStatus {
                        writes: status.writes,
                        ..seen.clone()
                    };
                    if seen.state == State::Failed {
                        break;
                    }
                }
                None => {
                    let which = match write {
                        ForeignWrite::Traceable(id) => format!("`{id}`"),
                        ForeignWrite::Untraceable { .. } => "the connection since".to_owned(),
                    };
                    let sentence = format!("the cloud was not asked about {which} yet");
                    overlaid = ConnectionStatus {
                        reason: Some(Reason::new(codes::AWAITING_PROOF, sentence)),
                        writes: status.writes,
                        intent: status.intent,
                        ..ConnectionStatus::default()
                    };
                }
            }
        }
        overlaid
    }

    fn status(&self, write: &ForeignWrite) -> Option<&ConnectionStatus> {
        let mut all = self.awaited.iter();
        all.find(|it| it.write == *write)?.status()
    }
}

/// Adds a write that is in place to the status of a connection that is in place.
fn add(said: &mut ConnectionStatus, write: &ForeignWrite, seen: &ConnectionStatus) {
    match write {
        ForeignWrite::Traceable(id) if !said.request_ids.contains(id) => {
            said.request_ids.push(id.clone());
        }
        ForeignWrite::Untraceable { .. } if seen.assumption.is_some() => {
            said.assurance = said.assurance.min(seen.assurance);
            said.reason.clone_from(&seen.reason);
            said.assumption.clone_from(&seen.assumption);
        }
        _ => {}
    }
}

fn in_place(state: State) -> bool {
    matches!(
        state,
        State::Realized | State::Active | State::Degraded | State::Down | State::Disabled
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Assurance, Goal};
    use std::time::Duration;

    fn ids(names: &[&str]) -> Vec<ForeignWrite> {
        let each = names.iter();
        each.map(|name| ForeignWrite::Traceable((*name).to_owned()))
            .collect()
    }

    fn poll(second: u64, seen: &[(&str, State)]) -> PollResult {
        let at = Instant::now() + Duration::from_secs(second);
        let elsewhere = seen.iter().map(|(id, state)| {
            let sighting = Sighting {
                state: *state,
                assurance: Assurance::ControlPlane,
                ..Sighting::default()
            };
            ((*id).to_owned(), sighting)
        });
        PollResult {
            begun: at,
            ended: at,
            after_writes: 0,
            result: Ok(Sighting {
                elsewhere: elsewhere.collect(),
                ..Sighting::default()
            }),
        }
    }

    const TERMS: Terms = Terms {
        goal: Goal::Config,
        accept_partial: false,
        accept_assumed: false,
        wanted: None,
    };

    #[test]
    fn an_outcome_needs_every_write_that_is_waited_for() {
        let settings = PollSettings::default();
        let mut elsewhere = Elsewhere::default();
        let both = ids(&["a", "b"]);
        assert!(elsewhere.await_all(&both));
        let judged = |elsewhere: &Elsewhere| {
            elsewhere.judge(&both, TERMS, Verdict::Success(None)) == Verdict::Success(None)
        };
        assert!(!judged(&elsewhere), "nobody has looked");
        elsewhere.apply_poll(&poll(1, &[("a", State::Realized)]), &settings);
        assert!(!judged(&elsewhere), "of one of them");
        let late = [("a", State::Realized), ("b", State::InProgress)];
        elsewhere.apply_poll(&poll(2, &late), &settings);
        assert!(!judged(&elsewhere), "one is on its way");
        elsewhere.apply_poll(&poll(3, &[("b", State::Realized)]), &settings);
        assert!(judged(&elsewhere));
        let unproven = elsewhere.judge(&both, TERMS, Verdict::GoesOn);
        assert_eq!(
            unproven,
            Verdict::GoesOn,
            "the connection itself counts, too"
        );
    }

    #[test]
    fn a_failure_of_one_is_confirmed_like_any_other() {
        let settings = PollSettings::default();
        let mut elsewhere = Elsewhere::default();
        let one = ids(&["a"]);
        assert!(elsewhere.await_all(&one));
        let fails = |elsewhere: &Elsewhere| {
            let verdict = elsewhere.judge(&one, TERMS, Verdict::Success(None));
            matches!(verdict, Verdict::Failure(_))
        };
        elsewhere.apply_poll(&poll(1, &[("a", State::Failed)]), &settings);
        assert!(!fails(&elsewhere));
        elsewhere.apply_poll(&poll(12, &[("a", State::Failed)]), &settings);
        assert!(fails(&elsewhere));
    }

    #[test]
    fn ids_take_turns_and_are_bounded() {
        let mut elsewhere = Elsewhere::default();
        let numbers: Vec<String> = (0..MAX_AWAITED).map(|number| number.to_string()).collect();
        let names: Vec<ForeignWrite> = numbers
            .iter()
            .cloned()
            .map(ForeignWrite::Traceable)
            .collect();
        for four in names.chunks(4) {
            assert!(elsewhere.await_all(four));
        }
        assert!(!elsewhere.await_all(&ids(&["one more"])));
        assert!(elsewhere.await_all(&names[..1]), "known already");
        let asked: Vec<String> = (0..4).flat_map(|_| elsewhere.take_turn()).collect();
        assert_eq!(asked, numbers);
        elsewhere.release(&names[..2]);
        assert_eq!(
            elsewhere.awaited.len(),
            MAX_AWAITED - 1,
            "one is held twice"
        );
        assert!(elsewhere.await_all(&ids(&["one more"])));
    }

    #[test]
    fn a_write_that_is_named_twice_leaves_nothing_behind() {
        let mut elsewhere = Elsewhere::default();
        let (once, twice) = (ids(&["a"]), ids(&["a", "b", "a"]));
        assert!(elsewhere.await_all(&twice));
        assert!(elsewhere.await_all(&once));
        elsewhere.release(&twice);
        assert_eq!(elsewhere.take_turn(), ["a"], "another client awaits it");
        elsewhere.release(&once);
        assert_eq!(elsewhere.take_turn(), Vec::<String>::new());
        let repeated = ids(&["a"; MAX_AWAITED + 1]);
        assert!(elsewhere.await_all(&repeated), "it is one write");
    }

    #[test]
    fn an_answer_speaks_for_the_one_that_is_least_far() {
        let settings = PollSettings::default();
        let mut elsewhere = Elsewhere::default();
        let both = ids(&["a", "b"]);
        assert!(elsewhere.await_all(&both));
        let realized = ConnectionStatus {
            state: State::Realized,
            ..ConnectionStatus::default()
        };
        assert_eq!(elsewhere.overlay(&both, &realized).state, State::Unknown);
        let seen = [("a", State::Realized), ("b", State::InProgress)];
        elsewhere.apply_poll(&poll(1, &seen), &settings);
        assert_eq!(elsewhere.overlay(&both, &realized).state, State::InProgress);
        elsewhere.apply_poll(&poll(2, &[("b", State::Realized)]), &settings);
        let said = elsewhere.overlay(&both, &realized);
        let told = ["a", "b"].map(str::to_owned).to_vec();
        assert_eq!((said.state, said.request_ids), (State::Realized, told));
    }

    /// What Neutron says of a connection, second by second; then the verdict on a write that it cannot report on.
    #[test]
    fn a_write_that_leaves_no_trace_is_judged_as_an_update_would_be() {
        let settings = PollSettings::default();
        let said = |native: &str, second: u64| {
            let (state, assurance) = match native {
                "ACTIVE" => (State::Active, Assurance::TunnelUp),
                "PENDING_UPDATE" => (State::InProgress, Assurance::IntentStored),
                _ => (State::Failed, Assurance::IntentStored),
            };
            let at = Instant::now() + Duration::from_secs(second);
            PollResult {
                begun: at,
                ended: at,
                after_writes: 0,
                result: Ok(Sighting {
                    state,
                    assurance,
                    native_state: native.to_owned(),
                    ..Sighting::default()
                }),
            }
        };
        const QUIET: &str = codes::ASSUMED_AFTER_QUIET_TIME;
        for (polls, id_is_missing, expected) in [
            (vec![("ACTIVE", 1), ("ACTIVE", 70)], false, "--"),
            (vec![("ACTIVE", 1), ("ACTIVE", 77)], false, QUIET),
            (vec![("PENDING_UPDATE", 1), ("ACTIVE", 3)], false, "proven"),
            (vec![("PENDING_UPDATE", 1), ("ACTIVE", 3)], true, "--"),
            (
                vec![("ACTIVE", 1), ("ACTIVE", 77)],
                true,
                codes::NO_REQUEST_ID,
            ),
            (
                vec![("ERROR", 1), ("ERROR", 80), ("ERROR", 91)],
                false,
                "failed",
            ),
        ] {
            let write = [ForeignWrite::Untraceable {
                key: "k".to_owned(),
                id_is_missing,
            }];
            let mut elsewhere = Elsewhere::default();
            assert!(elsewhere.await_all(&write));
            assert!(!elsewhere.has_seen(&write));
            assert_eq!(elsewhere.take_turn(), Vec::<String>::new());
            for (native, second) in &polls {
                elsewhere.apply_poll(&said(native, *second), &settings);
            }
            assert!(elsewhere.has_seen(&write), "{polls:?}");
            let told = match elsewhere.judge(&write, TERMS, Verdict::Success(None)) {
                Verdict::Success(Some(reason)) => reason.code,
                Verdict::Success(None) => "proven".to_owned(),
                Verdict::Failure(_) => "failed".to_owned(),
                Verdict::GoesOn | Verdict::Undetermined(_) => "--".to_owned(),
            };
            assert_eq!(told, expected, "{polls:?}");
            let in_effect = Terms {
                goal: Goal::InEffect,
                ..TERMS
            };
            let verdict = elsewhere.judge(&write, in_effect, Verdict::Success(None));
            let is_assumed = expected == QUIET || expected == codes::NO_REQUEST_ID;
            assert_eq!(matches!(verdict, Verdict::Undetermined(_)), is_assumed);
        }
    }
}
