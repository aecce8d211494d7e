//! Writes made elsewhere, with Terraform or by a colleague, that somebody waits for: the cloud is asked about each
//! by its own id, and what it says of one is kept apart from what is said of the connection.
//!
//! Apart, because anybody can name an id: one that the cloud does not know, or that is of another object, must not
//! change what everybody else is told.

use crate::{
    core::{
        settings::PollSettings,
        watch::{
            judge::{Terms, Verdict, judge},
            knowledge::{Knowledge, PollResult},
            status::ConnectionStatus,
        },
    },
    model::{RealizationState as State, Reason, codes},
};

/// The most ids of one request, and of one poll.
pub const MAX_REQUEST_IDS: usize = 4;
/// The most ids of one connection that can be waited for at the same time; they take turns in polls.
pub const MAX_AWAITED: usize = 16;

/// The writes to one connection that somebody waits for.
#[derive(Debug, Default)]
pub struct Elsewhere {
    /// Whose turn is next comes first.
    awaited: Vec<Awaited>,
}

#[derive(Debug)]
struct Awaited {
    request_id: String,
    waiters: usize,
    knowledge: Knowledge,
}

impl Elsewhere {
    /// Has each of these asked about until it is released as often as it was awaited. `false`, and nothing has
    /// changed, if that would be more than [`MAX_AWAITED`].
    pub fn await_all(&mut self, request_ids: &[String]) -> bool {
        let known = |id: &&String| self.awaited.iter().any(|it| it.request_id == **id);
        let fresh = request_ids.len() - request_ids.iter().filter(known).count();
        if self.awaited.len() + fresh > MAX_AWAITED {
            return false;
        }
        for id in request_ids {
            match self.awaited.iter_mut().find(|it| it.request_id == *id) {
                Some(awaited) => awaited.waiters += 1,
                None => self.awaited.push(Awaited {
                    request_id: id.clone(),
                    waiters: 1,
                    knowledge: Knowledge::default(),
                }),
            }
        }
        true
    }

    /// Somebody who waited for these no longer does.
    pub fn release(&mut self, request_ids: &[String]) {
        self.awaited.retain_mut(|awaited| {
            awaited.waiters -= usize::from(request_ids.contains(&awaited.request_id));
            awaited.waiters > 0
        });
    }

    /// Which the next poll asks about.
    pub fn take_turn(&mut self) -> Vec<String> {
        let turn = self.awaited.len().min(MAX_REQUEST_IDS);
        let ids = self.awaited[..turn].iter();
        let ids = ids.map(|awaited| awaited.request_id.clone()).collect();
        self.awaited.rotate_left(turn);
        ids
    }

    /// Takes in what a poll brought of them.
    pub fn apply_poll(&mut self, poll: &PollResult, settings: &PollSettings) {
        let Ok(sighting) = &poll.result else {
            return;
        };
        for (id, seen) in &sighting.elsewhere {
            let Some(awaited) = self.awaited.iter_mut().find(|it| it.request_id == *id) else {
                continue;
            };
            let mut seen = seen.clone();
            seen.admin_enabled = sighting.admin_enabled;
            seen.request_ids = vec![id.clone()];
            let poll = PollResult {
                result: Ok(seen),
                ..poll.clone()
            };
            awaited.knowledge.apply_poll(&poll, settings);
        }
    }

    /// What the cloud says of these writes for whoever waits for them, beside what is said of the connection.
    pub fn judge(&self, request_ids: &[String], terms: Terms, mut verdict: Verdict) -> Verdict {
        for id in request_ids {
            let said = match self.status(id) {
                Some(status) => judge(status, terms),
                None => Verdict::GoesOn,
            };
            verdict = verdict.and(said);
        }
        verdict
    }

    /// What is said of the connection, for whoever asks about these writes: where one of them is not in place yet,
    /// how far that one is.
    pub fn overlay(&self, request_ids: &[String], status: &ConnectionStatus) -> ConnectionStatus {
        let mut overlaid = status.clone();
        for id in request_ids {
            match self.status(id) {
                Some(seen) if in_place(seen.state) => {
                    if in_place(overlaid.state) && !overlaid.request_ids.contains(id) {
                        overlaid.request_ids.push(id.clone());
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
                    let sentence = format!("the cloud was not asked about `{id}` yet");
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

    fn status(&self, request_id: &str) -> Option<&ConnectionStatus> {
        let mut all = self.awaited.iter();
        all.find(|it| it.request_id == request_id)?
            .knowledge
            .status()
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
    use crate::model::{Assurance, Goal, Sighting};
    use std::time::Duration;
    use tokio::time::Instant;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
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
        let names: Vec<String> = (0..MAX_AWAITED).map(|number| number.to_string()).collect();
        for four in names.chunks(4) {
            assert!(elsewhere.await_all(four));
        }
        assert!(!elsewhere.await_all(&ids(&["one more"])));
        assert!(elsewhere.await_all(&names[..1]), "known already");
        let asked: Vec<String> = (0..4).flat_map(|_| elsewhere.take_turn()).collect();
        assert_eq!(asked, names);
        elsewhere.release(&names[..2]);
        assert_eq!(
            elsewhere.awaited.len(),
            MAX_AWAITED - 1,
            "one is held twice"
        );
        assert!(elsewhere.await_all(&ids(&["one more"])));
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
        assert_eq!((said.state, said.request_ids), (State::Realized, both));
    }
}
