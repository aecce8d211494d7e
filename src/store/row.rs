//! The format of the rows: JSON, so that a later version may add fields and an operator may read it.

use crate::{
    core::watch::{
        knowledge::Memory,
        log::{Observation, Wire},
        status::ConnectionStatus,
    },
    model::name::{Collection, ResourceName},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::SystemTime};

#[derive(Debug, Serialize, Deserialize)]
pub struct Change {
    name: String,
    epoch: u64,
    sequence: u64,
    previous: u64,
    observe_time: Option<SystemTime>,
    view: ConnectionStatus,
}

/// A connection with its newest change.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connection {
    latest: Change,
    memory: Memory,
}

impl Change {
    fn of(observation: &Observation) -> Change {
        Change {
            name: observation.name.to_string(),
            epoch: observation.epoch,
            sequence: observation.revision,
            previous: observation.previous,
            observe_time: observation.observe_time,
            view: observation.status.clone(),
        }
    }

    fn into_observation(self) -> Result<Arc<Observation>, String> {
        let name = ResourceName::parse(Collection::Connections, &self.name)
            .map_err(|error| format!("`{}`: {error}", self.name))?;
        Ok(Arc::new(Observation {
            name,
            epoch: self.epoch,
            revision: self.sequence,
            previous: self.previous,
            observe_time: self.observe_time,
            status: self.view,
            wire: Wire::default(),
        }))
    }
}

pub fn change(observation: &Observation) -> Vec<u8> {
    serde_json::to_vec(&Change::of(observation)).expect("changes are plain data")
}

pub fn connection(latest: &Observation, memory: &Memory) -> Vec<u8> {
    let row = Connection {
        latest: Change::of(latest),
        memory: memory.clone(),
    };
    serde_json::to_vec(&row).expect("connections are plain data")
}

pub fn read_change(bytes: &[u8]) -> Result<Arc<Observation>, String> {
    let row: Change = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    row.into_observation()
}

pub fn read_connection(bytes: &[u8]) -> Result<(Arc<Observation>, Memory), String> {
    let row: Connection = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok((row.latest.into_observation()?, row.memory))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ConnectionName, MOST_NODES, Node, Nodes, RealizationState};

    fn nodes(count: usize) -> Vec<Node> {
        // As long as a dialect lets them be, and made of characters that take two bytes in JSON.
        let node = |at: usize| Node {
            id: format!("{at:05}{}", "\"".repeat(155)),
            kind: "\"".repeat(160),
            display_name: "\"".repeat(512),
            state: RealizationState::Failed,
            native_state: "\"".repeat(160),
            message: "\"".repeat(690),
        };
        (0..count).map(node).collect()
    }

    fn observation(nodes: Nodes) -> Observation {
        Observation {
            name: ConnectionName::connection(&"a".parse().unwrap(), "1").unwrap(),
            epoch: 1,
            revision: 2,
            previous: 1,
            observe_time: None,
            status: ConnectionStatus {
                nodes,
                ..ConnectionStatus::default()
            },
            wire: Wire::default(),
        }
    }

    #[test]
    fn a_row_is_bounded_however_many_nodes_there_are() {
        let seen = observation(nodes(20_000).into());
        for row in [change(&seen), connection(&seen, &Memory::default())] {
            assert!(row.len() < 256 * 1024, "{}", row.len());
        }
        assert_eq!(*read_change(&change(&seen)).unwrap(), seen);
        let weight = seen.status.weight();
        assert!((100_000..150_000).contains(&weight), "{weight}");
    }

    #[test]
    fn a_row_of_before_there_was_a_bound_is_read() {
        let few = observation(nodes(3).into());
        let mut row: serde_json::Value = serde_json::from_slice(&change(&few)).unwrap();
        let fields: Vec<&String> = row["view"].as_object().unwrap().keys().collect();
        assert!(
            fields.iter().all(|field| *field != "all_nodes"),
            "as before"
        );
        row["view"]["nodes"] = serde_json::to_value(nodes(1_000)).unwrap();
        let read = read_change(row.to_string().as_bytes()).unwrap();
        assert_eq!(read.status.nodes.len(), MOST_NODES);
        assert_eq!(read.status.nodes, nodes(1_000).into());
        assert_eq!(
            read.status.nodes.counts(),
            [(RealizationState::Failed, 1_000)]
        );
    }
}
