//! The nodes of a poll: all of them where there are few, the worst of them where there are many.

use crate::model::realization::{Node, RealizationState};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, ops::Deref};

/// The most nodes of a connection that are told one by one. NSX has a state of every transport node that a connection
/// reaches, which may be 20,000; nobody reads so many, and no client takes them in one message.
pub const MOST_NODES: usize = 64;

/// The nodes of one poll. Whatever made them, there are never more here than [`MOST_NODES`], and still two of these are
/// equal only if all of their nodes are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Kept")]
pub struct Nodes {
    #[serde(rename = "nodes")]
    told: Vec<Node>,
    /// What there is to tell of all of them, where there are more.
    #[serde(rename = "all_nodes", skip_serializing_if = "Option::is_none")]
    all: Option<All>,
}

/// What there is to tell of more nodes than are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct All {
    counts: Vec<(RealizationState, u32)>,
    digest: u64,
}

impl Nodes {
    /// How many nodes are in which state, of all of them, in the order of [`RealizationState::ALL`].
    pub fn counts(&self) -> Vec<(RealizationState, u32)> {
        match &self.all {
            Some(all) => all.counts.clone(),
            None => count(self.told.iter().map(|node| node.state)),
        }
    }
}

impl Deref for Nodes {
    type Target = [Node];

    /// Those that are told: all in the cloud's order; if there are more than [`MOST_NODES`], the worst of them, and of
    /// those that are equally bad the first.
    fn deref(&self) -> &[Node] {
        &self.told
    }
}

impl FromIterator<Node> for Nodes {
    /// Takes them in the order of the cloud; no more than are told are kept on the way.
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

/// As they are kept. Before there was a bound all of them were.
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
    // Stable, so that of equally bad ones the first stay.
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

/// Worst first: what failed, what nobody can tell of, what is the least far, what is in place.
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

/// FNV-1a over every field of every node. Written down here because it is kept: it must not change with a library.
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
            // UTF-8 has no such byte, so that it ends a text.
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
