//! What stands in the tables: JSON, so that a later version may add fields and an operator may read it.

use crate::{
    core::watch::{
        knowledge::{Memory, View},
        log::{Observation, Wire},
    },
    model::name::{Collection, ResourceName},
};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::SystemTime};

/// A change.
#[derive(Debug, Serialize, Deserialize)]
pub struct Change {
    name: String,
    epoch: u64,
    sequence: u64,
    previous: u64,
    observe_time: Option<SystemTime>,
    view: View,
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
            sequence: observation.sequence,
            previous: observation.previous,
            observe_time: observation.observe_time,
            view: observation.view.clone(),
        }
    }

    fn into_observation(self) -> Result<Arc<Observation>, String> {
        let name = ResourceName::parse(Collection::Connections, &self.name)
            .map_err(|error| format!("`{}`: {error}", self.name))?;
        Ok(Arc::new(Observation {
            name,
            epoch: self.epoch,
            sequence: self.sequence,
            previous: self.previous,
            observe_time: self.observe_time,
            view: self.view,
            wire: Wire::default(),
        }))
    }
}

/// A change as a row.
pub fn change(observation: &Observation) -> Vec<u8> {
    serde_json::to_vec(&Change::of(observation)).expect("changes are plain data")
}

/// A connection as a row.
pub fn connection(latest: &Observation, memory: &Memory) -> Vec<u8> {
    let row = Connection {
        latest: Change::of(latest),
        memory: memory.clone(),
    };
    serde_json::to_vec(&row).expect("connections are plain data")
}

/// A change from a row.
pub fn read_change(bytes: &[u8]) -> Result<Arc<Observation>, String> {
    let row: Change = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    row.into_observation()
}

/// A connection from a row.
pub fn read_connection(bytes: &[u8]) -> Result<(Arc<Observation>, Memory), String> {
    let row: Connection = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok((row.latest.into_observation()?, row.memory))
}
