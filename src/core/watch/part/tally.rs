//! Counts how many of the connections that use a part have a write to it, and derives their combined status. Pure.
//!
//! | connections that use the part | state | outcome |
//! | --- | --- | --- |
//! | none exists | REALIZED, NOT_IN_USE | SUCCEEDED |
//! | the write failed for good on at least one | FAILED | FAILED, once none is still waiting |
//! | at least one has not been polled yet | ACCEPTED | |
//! | at least one is still waiting for the write | IN_PROGRESS | |
//! | on at least one, the cloud cannot tell | REALIZED, with the assumption | UNDETERMINED |
//! | all have the write | REALIZED | SUCCEEDED |
//!
//! The first matching line applies. A failure does not end the watch of the others: an operator who has to repair it
//! wants to know how many connections have the write.

use crate::{
    core::watch::{
        judge::Verdict,
        status::{Assumption, ConnectionStatus},
        stream::Outcome,
    },
    model::{Assurance, ConnectionName, RealizationState as State, Reason, codes},
};
use std::collections::BTreeMap;

/// How many waiting connections are named.
pub const NAMED: usize = 64;

/// How far a write to a part has come on the connections that use it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartUse {
    /// How many connections use the part.
    pub connections: usize,
    /// How many connections have the write.
    pub proven: usize,
    /// On how many connections the write failed for good.
    pub failed: usize,
    /// The connections that neither have the write nor failed: the first [`NAMED`] by name.
    pub waiting: Vec<ConnectionName>,
}

/// The connections that use a part.
#[derive(Debug)]
pub struct Tally {
    /// The connections that neither have the write nor failed.
    open: BTreeMap<ConnectionName, Progress>,
    /// How many of `open` have not been polled yet.
    unseen: usize,
    /// For how many of `open` the cloud cannot tell whether they have the write.
    unclear: usize,
    proven: usize,
    failed: usize,
    /// The lowest assurance among the proven connections.
    assurance: Assurance,
    /// Why the write failed on the first connection where it did.
    failure: Option<Reason>,
    /// Why the cloud cannot tell whether the write is in effect, for the first connection where it cannot.
    doubt: Option<Reason>,
    /// The reason of the first assumption that stands in for proof on one of the connections.
    assumption: Option<Reason>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Unseen,
    Seen,
    Unclear,
}

impl Tally {
    /// Creates a tally of connections of which nothing is known.
    pub fn new(connections: impl IntoIterator<Item = ConnectionName>) -> Tally {
        let each = connections.into_iter();
        let open: BTreeMap<_, _> = each.map(|name| (name, Progress::Unseen)).collect();
        Tally {
            unseen: open.len(),
            open,
            unclear: 0,
            proven: 0,
            failed: 0,
            assurance: Assurance::TunnelUp,
            failure: None,
            doubt: None,
            assumption: None,
        }
    }

    /// Records the verdict on a connection that was polled. Ignores a connection that is already decided or not in the
    /// tally. Reports whether it is decided.
    pub fn seen(
        &mut self,
        name: &ConnectionName,
        verdict: Verdict,
        status: &ConnectionStatus,
    ) -> bool {
        if verdict == Verdict::GoesOn {
            if self.take(name).is_some() {
                self.open.insert(name.clone(), Progress::Seen);
            }
            return false;
        }
        if self.take(name).is_none() {
            return true;
        }
        let assumption = status.assumption.as_ref().map(|it| it.reason.clone());
        self.assumption = self.assumption.take().or(assumption);
        match verdict {
            Verdict::GoesOn => {}
            Verdict::Success(_) => {
                self.proven += 1;
                self.assurance = self.assurance.min(status.assurance);
            }
            Verdict::Failure(reason) => {
                self.failed += 1;
                let of = |reason: Reason| {
                    Reason::new(reason.code, format!("`{name}`: {}", reason.message))
                };
                self.failure = self.failure.take().or(Some(of(reason)));
            }
            Verdict::Undetermined(reason) => {
                self.unclear += 1;
                self.open.insert(name.clone(), Progress::Unclear);
                self.doubt = self.doubt.take().or(Some(reason));
            }
        }
        true
    }

    /// Removes a connection that is gone.
    pub fn gone(&mut self, name: &ConnectionName) {
        self.take(name);
    }

    /// Removes a connection that is not decided, and returns its progress.
    fn take(&mut self, name: &ConnectionName) -> Option<Progress> {
        let progress = *self.open.get(name)?;
        if progress == Progress::Unclear {
            return None;
        }
        self.unseen -= usize::from(progress == Progress::Unseen);
        self.open.remove(name)
    }

    /// Reports whether every connection has been polled.
    pub fn all_seen(&self) -> bool {
        self.unseen == 0
    }

    /// Returns the counts.
    pub fn part_use(&self) -> PartUse {
        PartUse {
            connections: self.open.len() + self.proven + self.failed,
            proven: self.proven,
            failed: self.failed,
            waiting: self.open.keys().take(NAMED).cloned().collect(),
        }
    }

    /// Returns the outcome, or `None` while a connection waits.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.open.len() > self.unclear {
            return None;
        }
        Some(match (&self.failure, &self.doubt) {
            (Some(reason), _) => Outcome::Failed(reason.clone()),
            (None, Some(reason)) => Outcome::Undetermined(reason.clone()),
            (None, None) if self.proven == 0 => Outcome::Succeeded(Some(not_in_use())),
            (None, None) => Outcome::Succeeded(self.assumption.clone()),
        })
    }

    /// Returns the combined status of the connections.
    pub fn status(&self) -> ConnectionStatus {
        let is_settled = self.open.len() == self.unclear;
        let (state, reason) = match &self.failure {
            Some(reason) => (State::Failed, Some(reason.clone())),
            None if !self.all_seen() => (State::Accepted, None),
            None if !is_settled => (State::InProgress, None),
            None if self.proven == 0 && self.unclear == 0 => (State::Realized, Some(not_in_use())),
            None => (State::Realized, self.assumption.clone()),
        };
        let is_realized = state == State::Realized;
        let is_proven = is_realized && self.unclear == 0 && self.proven > 0;
        let assumption = self.assumption.as_ref().filter(|_| is_realized);
        ConnectionStatus {
            state,
            assumption: assumption.map(|reason| Assumption {
                reason: reason.clone(),
                as_is: Assurance::IntentStored,
                made: false,
            }),
            assurance: match is_proven {
                true => self.assurance,
                false => Assurance::IntentStored,
            },
            reason,
            confirmed: state == State::Failed,
            ..ConnectionStatus::default()
        }
    }
}

fn not_in_use() -> Reason {
    Reason::new(
        codes::NOT_IN_USE,
        "no connection uses it, so there is nothing to be made real",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BackendName;

    fn named(id: &str) -> ConnectionName {
        let backend: BackendName = "a".parse().unwrap();
        ConnectionName::connection(&backend, id).unwrap()
    }

    fn of(ids: &str) -> Tally {
        Tally::new(ids.chars().map(|id| named(&id.to_string())))
    }

    fn status(assurance: Assurance) -> ConnectionStatus {
        ConnectionStatus {
            state: State::Realized,
            assurance,
            ..ConnectionStatus::default()
        }
    }

    fn assumed() -> ConnectionStatus {
        ConnectionStatus {
            assumption: Some(Assumption {
                reason: Reason::new(codes::ASSUMED_AFTER_QUIET_TIME, ""),
                as_is: Assurance::TunnelUp,
                made: false,
            }),
            ..status(Assurance::IntentStored)
        }
    }

    /// Applies one letter for each connection 1, 2, ...: `-` goes on, `s` success, `S` success in effect, `q` success
    /// after a quiet time, `f` failure, `u` undetermined, `g` gone, ` ` not asked.
    fn take_in(tally: &mut Tally, letters: &str) {
        for (place, letter) in letters.chars().enumerate() {
            let name = named(&(place + 1).to_string());
            let because = |code| Reason::new(code, "why");
            let (verdict, status) = match letter {
                ' ' => continue,
                'g' => {
                    tally.gone(&name);
                    continue;
                }
                's' => (Verdict::Success(None), status(Assurance::ControlPlane)),
                'S' => (Verdict::Success(None), status(Assurance::InEffect)),
                'q' => (Verdict::Success(None), assumed()),
                'f' => (
                    Verdict::Failure(because(codes::UPSTREAM_ERROR)),
                    status(Assurance::ControlPlane),
                ),
                'u' => (
                    Verdict::Undetermined(because(codes::ASSUMED_AFTER_QUIET_TIME)),
                    assumed(),
                ),
                _ => (Verdict::GoesOn, status(Assurance::None)),
            };
            tally.seen(&name, verdict, &status);
        }
    }

    fn ended(tally: &Tally) -> String {
        let code = |reason: &Reason| reason.code.clone();
        match tally.outcome() {
            None => String::new(),
            Some(Outcome::Succeeded(None)) => "succeeded".to_owned(),
            Some(Outcome::Succeeded(Some(reason))) => format!("succeeded {}", code(&reason)),
            Some(Outcome::Failed(reason)) => format!("failed {}", code(&reason)),
            Some(Outcome::Undetermined(reason)) => format!("undetermined {}", code(&reason)),
        }
    }

    #[test]
    fn the_table() {
        use Assurance::{ControlPlane, InEffect, IntentStored};
        const QUIET: &str = "ASSUMED_AFTER_QUIET_TIME";
        let succeeded = |code: &str| format!("succeeded {code}");
        let (plain, none) = ("succeeded".to_owned(), String::new());
        let failed = "failed UPSTREAM_ERROR".to_owned();
        for (letters, state, assurance, outcome, counts) in [
            (
                "",
                State::Realized,
                IntentStored,
                succeeded("NOT_IN_USE"),
                (0, 0, 0, 0),
            ),
            (
                "gg",
                State::Realized,
                IntentStored,
                succeeded("NOT_IN_USE"),
                (0, 0, 0, 0),
            ),
            (
                "  ",
                State::Accepted,
                IntentStored,
                none.clone(),
                (2, 0, 0, 2),
            ),
            (
                "s ",
                State::Accepted,
                IntentStored,
                none.clone(),
                (2, 1, 0, 1),
            ),
            (
                "s-",
                State::InProgress,
                IntentStored,
                none.clone(),
                (2, 1, 0, 1),
            ),
            (
                "u-",
                State::InProgress,
                IntentStored,
                none.clone(),
                (2, 0, 0, 2),
            ),
            (
                "ss",
                State::Realized,
                ControlPlane,
                plain.clone(),
                (2, 2, 0, 0),
            ),
            ("SS", State::Realized, InEffect, plain.clone(), (2, 2, 0, 0)),
            (
                "sS",
                State::Realized,
                ControlPlane,
                plain.clone(),
                (2, 2, 0, 0),
            ),
            ("sg", State::Realized, ControlPlane, plain, (1, 1, 0, 0)),
            (
                "sq",
                State::Realized,
                IntentStored,
                succeeded(QUIET),
                (2, 2, 0, 0),
            ),
            (
                "su",
                State::Realized,
                IntentStored,
                format!("undetermined {QUIET}"),
                (2, 1, 0, 1),
            ),
            (
                "f ",
                State::Failed,
                IntentStored,
                none.clone(),
                (2, 0, 1, 1),
            ),
            ("f-", State::Failed, IntentStored, none, (2, 0, 1, 1)),
            (
                "fs",
                State::Failed,
                IntentStored,
                failed.clone(),
                (2, 1, 1, 0),
            ),
            ("fu", State::Failed, IntentStored, failed, (2, 0, 1, 1)),
        ] {
            let mut tally = of(&"12"[..letters.len()]);
            take_in(&mut tally, letters);
            let said = tally.status();
            let told = tally.part_use();
            assert_eq!(
                (said.state, said.assurance),
                (state, assurance),
                "{letters}"
            );
            assert_eq!(ended(&tally), outcome, "{letters}");
            let counted = (
                told.connections,
                told.proven,
                told.failed,
                told.waiting.len(),
            );
            assert_eq!(counted, counts, "{letters}");
        }
    }

    #[test]
    fn what_is_decided_stays_so() {
        let mut tally = of("123");
        take_in(&mut tally, "sfu");
        let before = (tally.part_use(), ended(&tally));
        for letters in ["fsg", "---", "uuu", "ggg"] {
            // A connection that is gone after it was decided still counts: it existed when it had the write.
            take_in(&mut tally, letters);
            assert_eq!((tally.part_use(), ended(&tally)), before, "{letters}");
        }
    }

    #[test]
    fn the_first_failure_is_told_with_its_connection() {
        let mut tally = of("12");
        take_in(&mut tally, "-f");
        take_in(&mut tally, "f ");
        let reason = tally.status().reason.unwrap();
        assert_eq!(reason.message, "`backends/a/connections/2`: why");
    }

    #[test]
    fn few_of_those_that_wait_are_named_in_their_order() {
        let names = (0..NAMED + 9).rev().map(|id| named(&format!("{id:03}")));
        let told = Tally::new(names).part_use();
        assert_eq!(told.connections, NAMED + 9);
        let first: Vec<ConnectionName> = (0..NAMED).map(|id| named(&format!("{id:03}"))).collect();
        assert_eq!(told.waiting, first);
    }
}
