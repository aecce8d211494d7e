//! What can become of one request: each fault of the table of `tests/faults.rs`, and refusals for certain.

use crate::{
    columns::{COLUMNS, Column, Dialect, FOREIGN},
    support::site::World,
};
use http::StatusCode;
use isthmus::simulator::faults::{Answer, Fault};
use serde_json::json;

/// One way in which a request can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The cloud refuses it in its own words with this status: nothing is done.
    Says(u16),
    /// As in the table.
    Of(Column),
}

/// Those that are tried on every cloud.
const SOME: [Trouble; 9] = [
    Trouble::Says(400),
    Trouble::Says(409),
    Trouble::Of(Column::S429After),
    Trouble::Of(Column::S500),
    Trouble::Of(Column::Reset),
    Trouble::Of(Column::Lost),
    Trouble::Of(Column::Cut),
    Trouble::Of(Column::Late),
    Trouble::Of(Column::Goes503),
];

impl Trouble {
    /// What is tried on a cloud: the whole table on one cloud of each dialect.
    pub fn all(world: World) -> Vec<Trouble> {
        if !matches!(world, World::Nsx | World::Neutron) {
            return SOME.to_vec();
        }
        let table = COLUMNS.into_iter().chain(FOREIGN);
        // What somebody else edits meanwhile has tables of its own.
        let table = table.map(|(_, column)| Trouble::Of(column));
        [Trouble::Says(400), Trouble::Says(409)]
            .into_iter()
            .chain(table)
            .collect()
    }

    /// Whether it is the whole cloud that goes, after the request.
    pub fn is_outage(self) -> bool {
        self == Trouble::Of(Column::Refused)
    }

    /// What a simulated cloud does.
    pub fn fault(self, world: World) -> Fault {
        let dialect = match world {
            World::Nsx => Dialect::Nsx,
            _ => Dialect::Openstack,
        };
        match self {
            Trouble::Says(status) => Fault::Answer(says(dialect, status)),
            Trouble::Of(column) => {
                let fault = column.fault(dialect, "http://127.0.0.1:9/elsewhere");
                fault.unwrap_or(Fault::Shut)
            }
        }
    }
}

/// A refusal as a cloud words it.
fn says(dialect: Dialect, status: u16) -> Answer {
    let words = "as the cloud itself says";
    let body = match dialect {
        Dialect::Nsx => json!({
            "httpStatus": "REFUSED", "module_name": "common-services", "error_message": words,
            "error_code": status,
        }),
        Dialect::Openstack => {
            let kind = match status {
                409 => "Conflict",
                _ => "InvalidInput",
            };
            json!({ "NeutronError": { "type": kind, "message": words, "detail": "" } })
        }
    };
    Answer::json(StatusCode::from_u16(status).unwrap(), &body)
}
