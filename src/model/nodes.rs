//! The nodes of one poll: all of them if there are few, otherwise the worst ones.

use crate::model::realization::{Node, RealizationState};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Deref};

/// The most nodes of a connection that are listed one by one. NSX reports a state for each transport node that a
/// connection spans, up to 20,000. Nobody reads that many, and no client accepts them in one message.
pub const MOST_NODES: usize = 64;

/// The nodes of one poll, at most [`MOST_NODES`] of them. Two values compare equal only if all of their nodes do,
/// listed or not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Nodes {
    #[serde(rename = "nodes")]
    told: Vec<Node>,
    /// Summary of all nodes, if there are more than are listed.
    #[serde(rename = "all_nodes", skip_serializing_if = "Option::is_none")]
    all: Option<All>,
}

/// Summary of all nodes. The digest makes a change of an unlisted node visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct All {
    counts: Vec<(RealizationState, u32)>,
    digest: u64,
}

impl Nodes {
    /// Counts all nodes by state, in the order of [`RealizationState::ALL`].
    pub fn counts(&self) -> Vec<(RealizationState, u32)> {
        match &self.all {
            Some(all) => all.counts.clone(),
            None => count(self.told.iter().map(|node| node.state)),
        }
    }
}

impl Deref for Nodes {
    type Target = [Node];

    /// The listed nodes. Up to [`MOST_NODES`] of them are in the cloud's order. Beyond that, the worst come first, and
    /// nodes of equal rank keep the cloud's order.
    fn deref(&self) -> &[Node] {
        &self.told
    }
}

impl FromIterator<Node> for Nodes {
    /// Collects nodes in the cloud's order. Buffers at most `2 * MOST_NODES` of them.
    fn from_iter<I: IntoIterator<Item = Node>>(nodes: I) -> Nodes {
        let mut told: Vec<Node> = Vec::new();
        let mut states = Vec::new();
        let mut digest = Digest::default();
        for node in nodes {
            states.push(node.state);
            digest.add(&node);
            told.push(node);
            if told.len() >= 2 * MOST_NODES {
                keep_worst(&mut told);
            }
        }
        if states.len() <= MOST_NODES {
            return Nodes { told, all: None };
        }
        keep_worst(&mut told);
        told.shrink_to_fit();
        let all = Some(All {
            counts: count(states.into_iter()),
            digest: digest.0,
        });
        Nodes { told, all }
    }
}

impl From<Vec<Node>> for Nodes {
    fn from(nodes: Vec<Node>) -> Nodes {
        nodes.into_iter().collect()
    }
}

/// The stored form. Records without `all_nodes` may hold any number of nodes.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Kept {
    nodes: Vec<Node>,
    all_nodes: Option<All>,
}

impl From<Kept> for Nodes {
    fn from(mut kept: Kept) -> Nodes {
        if kept.all_nodes.is_none() {
            return kept.nodes.into();
        }
        kept.nodes.truncate(MOST_NODES);
        Nodes {
            told: kept.nodes,
            all: kept.all_nodes,
        }
    }
}

fn keep_worst(nodes: &mut Vec<Node>) {
    // The sort is stable: among equally bad nodes the first ones stay.
    nodes.sort_by_key(|node| rank(node.state));
    nodes.truncate(MOST_NODES);
}

fn count(states: impl Iterator<Item = RealizationState>) -> Vec<(RealizationState, u32)> {
    let mut counts: BTreeMap<usize, u32> = BTreeMap::new();
    for state in states {
        let at = RealizationState::ALL.iter().position(|it| *it == state);
        *counts.entry(at.unwrap_or_default()).or_default() += 1;
    }
    let counts = counts.into_iter();
    counts
        .map(|(at, count)| (RealizationState::ALL[at], count))
        .collect()
}

/// Ranks states, worst first: failed, disabled, unknown, then from the least to the most advanced.
fn rank(state: RealizationState) -> u8 {
    match state {
        RealizationState::Failed => 0,
        RealizationState::Disabled => 1,
        RealizationState::Unknown => 2,
        RealizationState::Accepted => 3,
        RealizationState::Pending => 4,
        RealizationState::InProgress => 5,
        RealizationState::Deleting => 6,
        RealizationState::Partial => 7,
        RealizationState::Degraded => 8,
        RealizationState::Down => 9,
        RealizationState::Deleted => 10,
        RealizationState::Realized => 11,
        RealizationState::Active => 12,
    }
}

/// FNV-1a over every field of every node. Implemented here because the digest is stored and must not change with a
/// library.
struct Digest(u64);

impl Default for Digest {
    fn default() -> Digest {
        Digest(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    fn add(&mut self, node: &Node) {
        let texts = [
            &node.id,
            &node.kind,
            &node.display_name,
            &node.native_state,
            &node.message,
        ];
        for text in texts {
            // This byte does not occur in UTF-8, so it marks the end of a text.
            self.bytes(text.bytes().chain([0xff]));
        }
        self.bytes([rank(node.state)].into_iter());
    }

    fn bytes(&mut self, bytes: impl Iterator<Item = u8>) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RealizationState::{Failed, InProgress, Pending, Realized};
    use proptest::prelude::*;

    fn nodes(states: impl IntoIterator<Item = RealizationState>) -> Vec<Node> {
        let node = |(at, state): (usize, RealizationState)| Node {
            id: at.to_string(),
            state,
            ..Node::default()
        };
        states.into_iter().enumerate().map(node).collect()
    }

    #[test]
    fn up_to_the_bound_all_are_told_as_the_cloud_has_them() {
        let few = nodes((0..MOST_NODES).map(|at| if at % 2 == 0 { Realized } else { Failed }));
        let told = Nodes::from(few.clone());
        assert_eq!(&told[..], few);
        assert_eq!(told.counts(), [(Realized, 32), (Failed, 32)]);
        assert_eq!(Nodes::default().counts(), []);
    }

    #[test]
    fn beyond_it_a_change_of_any_is_a_change() {
        let many = nodes([Pending; 1_000]);
        let told = Nodes::from(many.clone());
        assert_eq!(told, Nodes::from(many.clone()));
        for at in [0, 500, 999] {
            let mut changed = many.clone();
            changed[at].message = "b".to_owned();
            assert_ne!(told, Nodes::from(changed), "{at}");
            let mut changed = many.clone();
            changed[at].id = format!("another {at}");
            assert_ne!(told, Nodes::from(changed), "{at}");
        }
    }

    #[test]
    fn what_was_kept_before_there_was_a_bound_is_read_as_if_it_was_seen_now() {
        let many = nodes([InProgress; 1_000]);
        let before = serde_json::json!({ "nodes": &many });
        let read: Nodes = serde_json::from_value(before).unwrap();
        let now = Nodes::from(many);
        assert_eq!(read, now);
        let kept = serde_json::to_string(&now).unwrap();
        assert_eq!(serde_json::from_str::<Nodes>(&kept).unwrap(), now);
        let few = serde_json::to_string(&Nodes::from(nodes([Pending]))).unwrap();
        assert!(!few.contains("all_nodes"), "{few}");
    }

    proptest! {
        #[test]
        fn the_worst_are_told_the_first_first(
            states in prop::collection::vec(0..RealizationState::ALL.len(), MOST_NODES + 1..600),
        ) {
            let many = nodes(states.into_iter().map(|at| RealizationState::ALL[at]));
            let told = Nodes::from(many.clone());
            let mut sorted = many.clone();
            sorted.sort_by_key(|node| rank(node.state));
            prop_assert_eq!(&told[..], &sorted[..MOST_NODES]);
            let counted: u32 = told.counts().iter().map(|(_, count)| count).sum();
            prop_assert_eq!(counted as usize, many.len());
        }
    }
}
