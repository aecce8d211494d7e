//! The answers of the Manager API, read leniently: every field may be absent, numbers may be strings, and unknown
//! fields stay in their [`Body`].

use crate::{dialects::nsx::body::Body, rest::json};
use serde_json::{Map, Value};

pub const SESSIONS: &str = "sessions";
pub const PEER_ENDPOINTS: &str = "peer-endpoints";

/// The VPN service: a text in a session, a reference in a local endpoint.
pub const VPN_SERVICE: &str = "ipsec_vpn_service_id";

/// `resource_type` of a session that selects its traffic by policy.
pub const POLICY_BASED: &str = "PolicyBasedIPSecVPNSession";
/// `resource_type` of a session that selects its traffic by routing.
pub const ROUTE_BASED: &str = "RouteBasedIPSecVPNSession";

/// `/state`: how far the configuration has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    pub state: Option<String>,
    /// `failure_code`, which does not indicate a failure by itself.
    pub failure_code: Option<String>,
    /// `failure_message`, which does not either: NSX also fills it for `in_progress` and `unknown`.
    pub failure_message: String,
    /// `details`.
    pub nodes: Vec<NodeState>,
}

/// One of `details` of `/state`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeState {
    /// `sub_system_type`.
    pub kind: String,
    /// `sub_system_id`.
    pub id: String,
    /// `sub_system_name`.
    pub name: String,
    pub state: Option<String>,
    pub failure_code: Option<String>,
    pub failure_message: String,
}

impl State {
    /// Reads a state. Returns `None` if the value is not an object.
    pub fn of(value: Value) -> Option<State> {
        let body = Body::of(value)?;
        let nodes = body.list("details").iter().filter_map(Value::as_object);
        Some(State {
            state: body.text("state"),
            failure_code: body.text("failure_code"),
            failure_message: body.text("failure_message").unwrap_or_default(),
            nodes: nodes.map(NodeState::of).collect(),
        })
    }
}

impl NodeState {
    fn of(object: &Map<String, Value>) -> NodeState {
        let text = |key| json::text(object, key).unwrap_or_default();
        NodeState {
            kind: text("sub_system_type"),
            id: text("sub_system_id"),
            name: text("sub_system_name"),
            state: json::text(object, "state"),
            failure_code: json::text(object, "failure_code"),
            failure_message: text("failure_message"),
        }
    }
}

/// `/status`: whether there are security associations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// `session_status`.
    pub session: Option<String>,
    /// `ike_status.ike_session_state`.
    pub ike: Option<String>,
    /// `ike_status.fail_reason`.
    pub fail_reason: String,
    /// `total_tunnels`.
    pub total: i64,
    /// `negotiated_tunnels`.
    pub negotiated: i64,
    /// `failed_tunnels`.
    pub failed: i64,
    /// `last_update_timestamp`, in milliseconds since 1970.
    pub updated: Option<i64>,
}

impl Status {
    /// Reads a status. Returns `None` if the value is not an object.
    pub fn of(value: Value) -> Option<Status> {
        let body = Body::of(value)?;
        let ike = body.object().get("ike_status").and_then(Value::as_object);
        Some(Status {
            session: body.text("session_status"),
            ike: ike.and_then(|ike| json::text(ike, "ike_session_state")),
            fail_reason: ike
                .and_then(|ike| json::text(ike, "fail_reason"))
                .unwrap_or_default(),
            total: body.integer("total_tunnels").unwrap_or_default(),
            negotiated: body.integer("negotiated_tunnels").unwrap_or_default(),
            failed: body.integer("failed_tunnels").unwrap_or_default(),
            updated: body.integer("last_update_timestamp"),
        })
    }
}
