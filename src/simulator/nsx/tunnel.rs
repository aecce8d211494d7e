//! Whether the tunnels of a session are up: the content of `/status`.

use serde_json::{Value, json};

/// The tunnels of a session, as the active node sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `session_status`: UP, DOWN, DEGRADED or any other text. `None` leaves it out.
    pub status: Option<String>,
    /// `ike_status.ike_session_state`: UP, DOWN, NEGOTIATING or any other text. `None` leaves `ike_status` out.
    pub ike: Option<String>,
    /// `ike_status.fail_reason`, free text. Empty if nothing failed.
    pub fail_reason: String,
    /// `total_tunnels`.
    pub total: u32,
    /// `negotiated_tunnels`.
    pub negotiated: u32,
    /// `failed_tunnels`.
    pub failed: u32,
}

/// The session, the reporting node and the time of an answer.
pub(crate) struct Subject<'a> {
    pub(crate) session: &'a str,
    /// `display_name`.
    pub(crate) name: Option<&'a Value>,
    /// The active transport node.
    pub(crate) node: &'a str,
    /// Milliseconds since 1970.
    pub(crate) at: u64,
}

impl Tunnel {
    /// Every tunnel is up.
    pub fn up(total: u32) -> Self {
        Self {
            total,
            negotiated: total,
            ..Self::of("UP", "UP", "")
        }
    }

    /// Some tunnels are up, the others have failed.
    pub fn degraded(total: u32, negotiated: u32) -> Self {
        let failed = total.saturating_sub(negotiated);
        Self {
            total,
            negotiated,
            failed,
            ..Self::of("DEGRADED", "UP", "")
        }
    }

    /// No tunnel is up, for this reason, such as "Peer not reachable".
    pub fn down(fail_reason: &str) -> Self {
        Self {
            total: 1,
            failed: 1,
            ..Self::of("DOWN", "DOWN", fail_reason)
        }
    }

    /// A young session, as in the reference's example.
    pub fn negotiating() -> Self {
        Self::of("DOWN", "NEGOTIATING", "Unknown")
    }

    /// `IPSecVPNSessionStatus`, with the traffic counters of all tunnels.
    pub(crate) fn answer(&self, subject: Subject<'_>, counters: Value) -> Value {
        let mut answer = self.heading(subject);
        answer["total_tunnels"] = json!(self.total);
        answer["negotiated_tunnels"] = json!(self.negotiated);
        answer["failed_tunnels"] = json!(self.failed);
        answer["aggregate_traffic_counters"] = counters;
        if let Some(status) = &self.status {
            answer["session_status"] = json!(status);
        }
        answer
    }

    /// The fields that a session's status and its statistics share.
    pub(crate) fn heading(&self, subject: Subject<'_>) -> Value {
        let mut heading = json!({
            "ipsec_vpn_session_id": subject.session,
            "display_name": subject.name,
            "last_update_timestamp": subject.at,
        });
        if let Some(ike) = &self.ike {
            heading["ike_status"] = json!({
                "ike_session_state": ike,
                "fail_reason": self.fail_reason,
                "transport_node_id": subject.node,
            });
        }
        heading
    }

    fn of(status: &str, ike: &str, fail_reason: &str) -> Self {
        Self {
            status: Some(status.to_owned()),
            ike: Some(ike.to_owned()),
            fail_reason: fail_reason.to_owned(),
            total: 0,
            negotiated: 0,
            failed: 0,
        }
    }
}
