//! What can become of one request.

use crate::support::site::World;
use http::StatusCode;
use isthmus::simulator::faults::{Answer, Fault, Gate};
use serde_json::json;
use std::time::Duration;

/// One way in which a request can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Refused as wrong.
    S400,
    /// Refused as in conflict.
    S409,
    /// Refused as too many.
    S429,
    /// The server fails; nothing is done.
    S500,
    /// The connection is reset before the request is read.
    Reset,
    /// It is done, and its answer is lost.
    Lost,
    /// It is done, and its answer breaks off.
    Cut,
    /// It is done, and its answer does not come.
    Late,
    /// A proxy gives up, and it is done a while later.
    Goes,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Trouble; 9] = [
        Trouble::S400,
        Trouble::S409,
        Trouble::S429,
        Trouble::S500,
        Trouble::Reset,
        Trouble::Lost,
        Trouble::Cut,
        Trouble::Late,
        Trouble::Goes,
    ];

    /// Whether the cloud says that it has done nothing.
    pub fn is_refusal(self) -> bool {
        matches!(self, Trouble::S400 | Trouble::S409 | Trouble::S429)
    }

    /// What a simulated cloud does.
    pub fn fault(self, world: World) -> Fault {
        let says = |status: u16| Fault::Answer(says(world, status));
        match self {
            Trouble::S400 => says(400),
            Trouble::S409 => says(409),
            Trouble::S429 => says(429),
            Trouble::S500 => says(500),
            Trouble::Reset => Fault::CutBeforeHandling,
            Trouble::Lost => Fault::CutAfterHandling,
            Trouble::Cut => Fault::TruncateBody,
            Trouble::Late => Fault::HoldAnswer(Gate::default()),
            Trouble::Goes => Fault::AnswerMeanwhile(Answer::html_unavailable(), GOES_ON),
        }
    }
}

/// How long a cloud goes on behind a proxy that gave up; less than the backend's timeout.
const GOES_ON: Duration = Duration::from_millis(400);

/// A refusal as a cloud words it.
fn says(world: World, status: u16) -> Answer {
    let words = "as the cloud itself says";
    let body = match (world, status) {
        (World::Nsx, _) => json!({
            "httpStatus": "REFUSED", "module_name": "common-services", "error_message": words,
            "error_code": match status { 429 => 102, 500 => 607, other => other },
        }),
        (_, 429) => json!({ "error": { "code": status, "title": "Refused", "message": words } }),
        (_, 400) => neutron("InvalidInput", words),
        (_, 409) => neutron("Conflict", words),
        _ => neutron("HTTPInternalServerError", words),
    };
    let answer = Answer::json(StatusCode::from_u16(status).unwrap(), &body);
    match status {
        429 => answer.retry_after(1),
        _ => answer,
    }
}

fn neutron(kind: &str, message: &str) -> serde_json::Value {
    json!({ "NeutronError": { "type": kind, "message": message, "detail": "" } })
}
