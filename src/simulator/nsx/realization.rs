//! How far the transport nodes have realized each write: the content of `/state`.
//!
//! ```text
//!   step        0        1            2          3            4          (then success: 5, 6)
//!   node 0   pending  in_progress  in_sync    in_sync      in_sync       success  success
//!   node 1   pending  pending      pending    in_progress  in_sync       in_sync  success
//!   state    pending  in_progress  ……………………  ……………………      in_sync       in_sync  success
//! ```
//!
//! A test takes the steps ([`Pace::Manual`]), or the clock does ([`Pace::Elapsed`]). All writes of one session step
//! together, each from its own position, so an older write is never behind a newer one.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::simulator::nsx::forced::ForcedState;

/// What advances the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Only the levers `advance` and `finish`.
    #[default]
    Manual,
    /// Time. One node follows the other, each taking `per_node` from pending to in_sync.
    Elapsed {
        /// Time for one node, counted from the end of the previous node: half of it pending, half in_progress. Zero
        /// means at once.
        per_node: Duration,
    },
}

/// Where realization ends. The documents disagree: the guide ends at `in_sync`, the field's description says that
/// `success` follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Settle {
    /// Stays at `in_sync` forever.
    #[default]
    InSync,
    /// Goes on to `success`, again node by node, each taking half of a node's time.
    Success,
}

/// The rules by which nodes advance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Course {
    pub(crate) pace: Pace,
    pub(crate) settle: Settle,
    pub(crate) nodes: u32,
}

impl Course {
    fn in_sync_at(self) -> u32 {
        2 * self.nodes
    }

    fn last_step(self) -> u32 {
        match self.settle {
            Settle::InSync => self.in_sync_at(),
            Settle::Success => self.in_sync_at() + self.nodes,
        }
    }

    fn node(self, node: u32, step: u32) -> &'static str {
        if step > self.in_sync_at() + node {
            "success"
        } else if step >= 2 + 2 * node {
            "in_sync"
        } else if step == 1 + 2 * node {
            "in_progress"
        } else {
            "pending"
        }
    }
}

/// The realization of one session: the progress of each write that concerns it, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Track {
    writes: VecDeque<Write>,
    /// Node states to send in place of the true ones, by the node's index.
    pub(crate) nodes: HashMap<usize, String>,
    pub(crate) forced: Option<ForcedState>,
}

#[derive(Debug)]
struct Write {
    request_id: String,
    since: Instant,
    steps: u32,
}

impl Track {
    pub(crate) fn wrote(&mut self, request_id: &str, now: Instant) {
        if self.writes.len() == REMEMBERED {
            self.writes.pop_front();
        }
        self.writes.push_back(Write {
            request_id: request_id.to_owned(),
            since: now,
            steps: 0,
        });
    }

    /// Advances every write by this many steps.
    pub(crate) fn advance(&mut self, steps: u32) {
        for write in &mut self.writes {
            write.steps = write.steps.saturating_add(steps);
        }
    }

    /// Whether every node has the newest write.
    pub(crate) fn in_sync(&self, course: Course, now: Instant) -> bool {
        self.step(None, course, now) >= course.in_sync_at()
    }

    /// When the newest write is, or will be, on every node. `None` unless time alone decides.
    pub(crate) fn in_sync_since(&self, course: Course) -> Option<Instant> {
        match course.pace {
            Pace::Manual => None,
            Pace::Elapsed { per_node } => self
                .writes
                .back()
                .map(|write| write.since + per_node * course.nodes),
        }
    }

    /// The `IPSecVPNSessionState` for one write, or for the newest if the request id is unknown or absent.
    pub(crate) fn state(
        &self,
        request_id: Option<&str>,
        node_ids: &[String],
        course: Course,
        now: Instant,
    ) -> Value {
        let step = self.step(request_id, course, now);
        let states: Vec<_> = (0..course.nodes)
            .zip(0..)
            .map(|(node, place)| match self.nodes.get(&place) {
                Some(said) => said.as_str(),
                None => course.node(node, step),
            })
            .collect();
        let details: Vec<_> = node_ids
            .iter()
            .zip(&states)
            .map(|(id, state)| element(id, state))
            .collect();
        if let Some(forced) = &self.forced {
            return forced.answer(details);
        }
        let whole = aggregate(&states);
        let mut answer = json!({ "details": details, "state": whole });
        match whole {
            "in_progress" => answer["failure_message"] = json!(WHOLE_IN_PROGRESS),
            "unknown" => answer["failure_message"] = json!(WHOLE_UNKNOWN),
            _ => {}
        }
        answer
    }

    pub(crate) fn knows(&self, request_id: &str) -> bool {
        self.writes
            .iter()
            .any(|write| write.request_id == request_id)
    }

    fn step(&self, request_id: Option<&str>, course: Course, now: Instant) -> u32 {
        let asked = request_id
            .and_then(|id| self.writes.iter().find(|write| write.request_id == id))
            .or(self.writes.back());
        // An object that was planted and never written counts as fully realized.
        let Some(write) = asked else {
            return course.last_step();
        };
        let by_time = match course.pace {
            Pace::Manual => 0,
            Pace::Elapsed { per_node } => {
                let elapsed = now.saturating_duration_since(write.since).as_nanos();
                (2 * elapsed)
                    .checked_div(per_node.as_nanos())
                    .map_or(u32::MAX, |steps| u32::try_from(steps).unwrap_or(u32::MAX))
            }
        };
        write.steps.saturating_add(by_time).min(course.last_step())
    }
}

fn element(id: &str, state: &str) -> Value {
    let mut element = json!({
        "sub_system_type": "TransportNode",
        "sub_system_id": id,
        "state": state,
    });
    let message = match state {
        "in_progress" => Some("Message:State realization is in progress at the node."),
        "unknown" => Some(
            "Message: Unable to get response from the node. Please retry operation after some time.",
        ),
        "failed" | "error" => Some("Message:State realization failed at the node."),
        _ => None,
    };
    if let Some(message) = message {
        element["failure_message"] = json!(format!("CCP Id:{CCP_ID}, {message}"));
    }
    element
}

/// The overall state. The guide shows in_progress and unknown prevailing over in_sync. The rest follows the
/// descriptions of the enum's values.
fn aggregate<'a>(nodes: &[&'a str]) -> &'a str {
    let any = |states: &[&str]| nodes.iter().copied().find(|node| states.contains(node));
    let all = |states: &[&str]| nodes.iter().all(|node| states.contains(node));
    if nodes.is_empty() || all(&["success"]) {
        return "success";
    }
    if let Some(strange) = nodes.iter().copied().find(|node| !KNOWN.contains(node)) {
        return strange;
    }
    if let Some(unknown) = any(&["unknown"]) {
        unknown
    } else if all(&["pending"]) {
        "pending"
    } else if any(&["in_progress", "pending"]).is_some() {
        "in_progress"
    } else if let Some(failed) = any(&["failed", "error"]) {
        if all(&["failed", "error"]) {
            failed
        } else {
            "partial_success"
        }
    } else {
        "in_sync"
    }
}

const KNOWN: [&str; 7] = [
    "pending",
    "in_progress",
    "in_sync",
    "success",
    "unknown",
    "failed",
    "error",
];
/// The controller in the guide's examples.
const CCP_ID: &str = "ab5958df-d98a-468e-a72b-d89dcdae5346";
const WHOLE_IN_PROGRESS: &str = "The state realization is in progress at transport nodes.";
const WHOLE_UNKNOWN: &str = "The state realization is unknown at transport nodes";
/// How many writes of one session keep their own progress.
const REMEMBERED: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    const MANUAL: Course = Course {
        pace: Pace::Manual,
        settle: Settle::InSync,
        nodes: 2,
    };

    fn ids() -> Vec<String> {
        vec![
            "fe651e63-04bd-43a4-a8ec-45381a3b71b9".into(),
            "ebe174ac-e4f1-4135-ba72-3dd2eb7099e3".into(),
        ]
    }

    fn states(track: &Track, course: Course, now: Instant) -> String {
        let answer = track.state(None, &ids(), course, now);
        let nodes: Vec<_> = answer["details"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["state"].as_str().unwrap())
            .collect();
        format!(
            "{} = {}",
            nodes.join(" + "),
            answer["state"].as_str().unwrap()
        )
    }

    #[test]
    fn nodes_go_one_by_one() {
        let now = Instant::now();
        let mut track = Track::default();
        track.wrote("r", now);
        let course = Course {
            settle: Settle::Success,
            ..MANUAL
        };
        for expected in [
            "pending + pending = pending",
            "in_progress + pending = in_progress",
            "in_sync + pending = in_progress",
            "in_sync + in_progress = in_progress",
            "in_sync + in_sync = in_sync",
            "success + in_sync = in_sync",
            "success + success = success",
            "success + success = success",
        ] {
            assert_eq!(states(&track, course, now), expected);
            track.advance(1);
        }
        assert_eq!(states(&track, MANUAL, now), "in_sync + in_sync = in_sync");
    }

    #[test]
    fn time_paces_them() {
        let start = Instant::now();
        let mut track = Track::default();
        track.wrote("r", start);
        let course = Course {
            pace: Pace::Elapsed {
                per_node: Duration::from_secs(2),
            },
            ..MANUAL
        };
        for (seconds, expected) in [
            (0, "pending + pending = pending"),
            (1, "in_progress + pending = in_progress"),
            (2, "in_sync + pending = in_progress"),
            (3, "in_sync + in_progress = in_progress"),
            (4, "in_sync + in_sync = in_sync"),
            (400, "in_sync + in_sync = in_sync"),
        ] {
            assert_eq!(
                states(&track, course, start + Duration::from_secs(seconds)),
                expected
            );
        }
        let at_once = Course {
            pace: Pace::Elapsed {
                per_node: Duration::ZERO,
            },
            ..MANUAL
        };
        assert!(track.in_sync(at_once, start));
    }

    #[test]
    fn a_write_is_asked_for_by_its_request_id_and_the_newest_without() {
        let now = Instant::now();
        let mut track = Track::default();
        track.wrote("old", now);
        track.advance(4);
        track.wrote("new", now);
        let said = |id| track.state(id, &ids(), MANUAL, now)["state"].clone();
        assert_eq!(said(Some("old")), "in_sync");
        assert_eq!(said(Some("new")), "pending");
        assert_eq!(said(None), "pending");
        assert_eq!(said(Some("never heard of")), "pending");
    }

    #[test]
    fn in_progress_reads_as_in_the_guide() {
        let now = Instant::now();
        let mut track = Track::default();
        track.wrote("r", now);
        track.advance(4);
        track.nodes.insert(0, "in_progress".into());
        assert_eq!(
            track.state(None, &ids(), MANUAL, now),
            json!({
                "details": [
                    {
                        "sub_system_type": "TransportNode",
                        "sub_system_id": "fe651e63-04bd-43a4-a8ec-45381a3b71b9",
                        "state": "in_progress",
                        "failure_message": "CCP Id:ab5958df-d98a-468e-a72b-d89dcdae5346, Message:State realization is in progress at the node."
                    },
                    {
                        "sub_system_type": "TransportNode",
                        "sub_system_id": "ebe174ac-e4f1-4135-ba72-3dd2eb7099e3",
                        "state": "in_sync"
                    }
                ],
                "state": "in_progress",
                "failure_message": "The state realization is in progress at transport nodes."
            })
        );
    }

    #[test]
    fn unknown_reads_as_in_the_guide_in_both_shapes() {
        let now = Instant::now();
        let mut track = Track::default();
        track.nodes.insert(0, "unknown".into());
        let answer = track.state(None, &ids(), MANUAL, now);
        assert_eq!(
            answer["details"][0]["failure_message"],
            "CCP Id:ab5958df-d98a-468e-a72b-d89dcdae5346, Message: Unable to get response from the node. Please retry operation after some time."
        );
        assert_eq!(answer["state"], "unknown");
        assert_eq!(
            answer["failure_message"],
            "The state realization is unknown at transport nodes"
        );
        track.forced = Some(ForcedState::unknown());
        assert_eq!(
            track.state(None, &ids(), MANUAL, now),
            json!({
                "state": "unknown",
                "failure_message": "Unable to get response from any CCP node. Please retry operation after some time."
            })
        );
    }

    #[test]
    fn the_whole_follows_from_the_nodes() {
        for (nodes, expected) in [
            (["failed", "in_sync"], "partial_success"),
            (["failed", "in_progress"], "in_progress"),
            (["error", "error"], "error"),
            (["orphaned", "in_sync"], "orphaned"),
            (["success", "in_sync"], "in_sync"),
        ] {
            assert_eq!(aggregate(&nodes), expected, "{nodes:?}");
        }
    }
}
