//! Tracks the objects that a delete removes besides its connection. The connection is reported gone only once they are,
//! and the delete has failed if any stays for good. Pure.

use crate::{
    core::watch::status::ConnectionStatus,
    model::{Assurance, Intent, RealizationState as State, Reason, codes},
};
use serde::{Deserialize, Serialize};

/// How many names of remaining objects are reported.
const NAMED: usize = 8;
/// Maximum reported length of each name, in characters.
const NAME_LENGTH: usize = 200;

/// What a delete still has to remove besides its connection. It outlives the process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Remains {
    /// Whether a removal is in progress, or its result is being found out.
    settling: bool,
    /// A sentence about what is left after the removal was given up; empty otherwise.
    left: String,
    /// The status to report once nothing is left, for a connection that is itself proven gone.
    gone: Option<Box<ConnectionStatus>>,
}

impl Remains {
    /// Applies a write. A delete that leaves objects starts a removal, and any other delete lets one go on; a write that
    /// is not a delete ends it.
    pub fn wrote(&mut self, deletes: bool, parts_remain: bool) {
        let settling = deletes && (parts_remain || self.settling);
        *self = Remains {
            settling,
            ..Remains::default()
        };
    }

    /// Reports whether objects are still being removed.
    pub fn is_settling(&self) -> bool {
        self.settling
    }

    /// Reports whether the connection itself is gone, so that its polls have nothing more to tell.
    pub fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// Reports whether objects stay for good although the connection itself is gone.
    pub fn is_left_alone(&self) -> bool {
        self.is_gone() && !self.left.is_empty()
    }

    /// Adjusts the status that a poll gives the connection itself.
    pub fn overlay(&mut self, status: &mut ConnectionStatus) {
        let is_over = !self.settling && self.left.is_empty();
        if status.intent != Intent::Deleted || is_over {
            return;
        }
        let gone = status.state == State::Deleted;
        self.gone = gone.then(|| Box::new(status.clone()));
        if !self.left.is_empty() {
            self.fail(status);
        } else if gone {
            status.state = State::Deleting;
            status.assurance = status.assurance.min(Assurance::IntentStored);
            status.reason = Some(Reason::new(
                codes::PARTS_REMAIN,
                "the connection itself is gone; what was made together with it is still being removed",
            ));
        }
    }

    /// Ends the removal; `left` names what remains. Returns the new status if it differs from `said`.
    pub fn settle(
        &mut self,
        left: &[String],
        said: Option<&ConnectionStatus>,
    ) -> Option<ConnectionStatus> {
        if !self.settling {
            return None;
        }
        self.settling = false;
        if left.is_empty() {
            return self.gone.take().map(|gone| *gone);
        }
        self.left = named(left);
        let mut status = said.cloned().unwrap_or_default();
        self.fail(&mut status);
        Some(status)
    }

    /// Sets FAILED. The gateway knows this itself, so no confirmation is needed.
    fn fail(&self, status: &mut ConnectionStatus) {
        status.state = State::Failed;
        status.reason = Some(Reason::new(codes::PARTS_REMAIN, self.left.clone()));
        status.confirmed = true;
        status.login_lost = false;
    }
}

/// Returns a sentence that names what is left, short enough to be sent and stored.
fn named(left: &[String]) -> String {
    let names: Vec<String> = left.iter().take(NAMED).map(|name| cut(name)).collect();
    let more = match left.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    format!(
        "the gateway gave up removing what was made together with the connection; left are {}{more}",
        names.join(", ")
    )
}

fn cut(name: &str) -> String {
    name.chars().take(NAME_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: State) -> ConnectionStatus {
        ConnectionStatus {
            state,
            assurance: Assurance::ControlPlane,
            intent: Intent::Deleted,
            ..ConnectionStatus::default()
        }
    }

    /// The states reported after these polls; `left` is settled before the poll at that place.
    fn said(polls: &[State], settled: Option<(usize, &[String])>) -> Vec<(State, bool)> {
        let mut remains = Remains::default();
        remains.wrote(true, true);
        let mut last = None;
        let mut all = Vec::new();
        for (place, state) in polls.iter().enumerate() {
            if let Some((at, left)) = settled
                && at == place
                && let Some(status) = remains.settle(left, last.as_ref())
            {
                all.push((status.state, status.reason.is_some()));
            }
            let mut status = status(*state);
            remains.overlay(&mut status);
            all.push((status.state, status.reason.is_some()));
            last = Some(status);
        }
        all
    }

    #[test]
    fn the_table() {
        use State::{Deleted, Deleting, Failed};
        let left = ["backends/a/ikePolicies/1".to_owned()];
        let (plain, told) = (false, true);
        for (polls, settled, expected) in [
            // Held back until the removal is settled.
            (
                vec![Deleting, Deleted, Deleted],
                None,
                vec![(Deleting, plain), (Deleting, told), (Deleting, told)],
            ),
            // Settled after the proof: reported at once, and it stays.
            (
                vec![Deleted, Deleted],
                Some((1, &[][..])),
                vec![(Deleting, told), (Deleted, plain), (Deleted, plain)],
            ),
            // Settled before the proof: the proof is reported.
            (
                vec![Deleting, Deleting, Deleted],
                Some((1, &[][..])),
                vec![(Deleting, plain), (Deleting, plain), (Deleted, plain)],
            ),
            // Given up: failed, whatever a later poll says.
            (
                vec![Deleted, Deleted, Deleting],
                Some((1, &left[..])),
                vec![
                    (Deleting, told),
                    (Failed, told),
                    (Failed, told),
                    (Failed, told),
                ],
            ),
        ] {
            assert_eq!(said(&polls, settled), expected, "{polls:?} {settled:?}");
        }
    }

    #[test]
    fn whatever_is_left_its_names_are_bounded() {
        let left: Vec<String> = (0..100).map(|_| "n".repeat(1000)).collect();
        let sentence = named(&left);
        assert!(sentence.ends_with("and 92 more"), "{sentence}");
        assert!(sentence.len() < 2000, "{}", sentence.len());
    }

    #[test]
    fn another_write_begins_anew() {
        let mut remains = Remains::default();
        remains.wrote(true, true);
        remains.wrote(true, false);
        assert!(remains.is_settling(), "a repeat does not end the first");
        remains.wrote(false, false);
        assert!(!remains.is_settling());
    }
}
