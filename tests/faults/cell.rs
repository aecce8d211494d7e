//! One cell, how it ended, and what there was in the cloud.

use crate::{
    bench::{Bench, Bystander},
    columns::{Column, Dialect},
    rows::Row,
};
use isthmus::simulator::faults::Gate;
use tonic::Status;

/// What [`Act::Rekey`] changes the key to.
pub const NEW_KEY: &str = "canary-psk-of-the-change";

/// Where [`Act::Update`] moves the peer to, on NSX.
pub const NEW_PEER: &str = "198.51.100.77";

/// What one cell is made with.
pub struct Cell<'a> {
    /// The row.
    pub row: &'a Row,
    /// The column.
    pub column: Column,
    /// The table.
    pub dialect: Dialect,
    /// The backend that must notice nothing.
    pub bystander: &'a Bystander,
    /// Where the column has it, the first faulty request waits here until somebody else has changed its object.
    pub edited: Gate,
}

/// How the use case ended for its client.
pub enum Ended {
    Ok(&'static str),
    Failed(Box<Status>),
}

/// What there is in the cloud.
pub struct World {
    pub connections: Vec<String>,
    pub peers: Vec<String>,
    /// The first connection, as text.
    pub first: String,
    /// The peer endpoint that was there before, as text.
    pub first_peer: String,
}

impl World {
    /// As it is now.
    pub fn of(bench: &Bench) -> World {
        let text = |ids: &[String]| ids.first().map(|id| bench.cloud.object(id));
        World {
            connections: bench.cloud.connections(),
            peers: bench.cloud.peers(),
            first: text(&bench.ids).unwrap_or_default(),
            first_peer: text(&bench.peers).unwrap_or_default(),
        }
    }
}
