//! What NSX answers, read leniently: everything may be absent, numbers may be strings, and what nobody here
//! knows stays in the body it came in.
//!
//! Nothing here holds a pre-shared key: NSX does not give it out, and if it did, [`Body`] would drop it.

use crate::rest::json;
use serde_json::{Map, Value};
use std::fmt;

/// An object as the cloud gave it, whole, so that an update can give back what nobody here knows.
#[derive(Clone, Default, PartialEq)]
pub struct Body(Map<String, Value>);

impl fmt::Debug for Body {
    /// Names the object only: a body may hold what a log should not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", self.text("id").unwrap_or_default())
    }
}

impl Body {
    /// Takes an object over, but for its key.
    pub fn new(mut object: Map<String, Value>) -> Body {
        object.remove("psk");
        Body(object)
    }

    /// The same of any JSON; `None` if it is no object.
    pub fn of(value: Value) -> Option<Body> {
        match value {
            Value::Object(object) => Some(Body::new(object)),
            _ => None,
        }
    }

    /// The object.
    pub fn object(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A field as text.
    pub fn text(&self, key: &str) -> Option<String> {
        json::text(&self.0, key)
    }

    /// A field as a whole number.
    pub fn integer(&self, key: &str) -> Option<i64> {
        json::integer(&self.0, key)
    }

    /// A field as a boolean.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        json::boolean(&self.0, key)
    }

    /// A field as a list; empty if it is none.
    pub fn list(&self, key: &str) -> &[Value] {
        self.0
            .get(key)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// `id`; empty if there is none.
    pub fn id(&self) -> String {
        self.text("id").unwrap_or_default()
    }

    /// `_revision`.
    pub fn revision(&self) -> Option<i64> {
        self.integer("_revision")
    }
}

/// `resource_type` of a session whose traffic is chosen by policy.
pub const POLICY_BASED: &str = "PolicyBasedIPSecVPNSession";
/// `resource_type` of a session whose traffic is chosen by routing.
pub const ROUTE_BASED: &str = "RouteBasedIPSecVPNSession";

/// One page of a list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// `results`, those that are objects.
    pub results: Vec<Body>,
    /// Where the next page starts; `None` at the end.
    pub cursor: Option<String>,
    /// `result_count`: how many there are on all pages, told on the first only.
    pub count: Option<usize>,
}

impl ListPage {
    /// Reads a list. `None` if it is none: an object without `results` tells nothing of what is there.
    ///
    /// The end is an absent cursor or, in older managers, one that starts with `0000` (vmware-nsxlib
    /// 19.4.3, `v3/client.py`, `NULL_CURSOR_PREFIX`).
    pub fn of(value: Value) -> Option<ListPage> {
        let Value::Object(mut object) = value else {
            return None;
        };
        let Some(Value::Array(results)) = object.remove("results") else {
            return None;
        };
        Some(ListPage {
            results: results.into_iter().filter_map(Body::of).collect(),
            cursor: json::text(&object, "cursor")
                .filter(|cursor| !cursor.is_empty() && !cursor.starts_with("0000")),
            count: json::integer(&object, "result_count").and_then(|count| count.try_into().ok()),
        })
    }
}

/// `/state`: how far the configuration has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// `state`.
    pub state: Option<String>,
    /// `failure_code`, which is no sign of failure by itself.
    pub failure_code: Option<String>,
    /// `failure_message`, which is none either: it is filled for `in_progress` and `unknown` too.
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
    /// `state`.
    pub state: Option<String>,
    /// `failure_code`.
    pub failure_code: Option<String>,
    /// `failure_message`.
    pub failure_message: String,
}

impl State {
    /// Reads a state. `None` if it is no object.
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
    /// `last_update_timestamp`, milliseconds since 1970.
    pub updated: Option<i64>,
}

impl Status {
    /// Reads a status. `None` if it is no object.
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

/// What NSX says when it refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiError {
    /// `error_code`: a number from the manager, a string from the proxy before it.
    pub code: String,
    /// `error_message`, with the messages of `related_errors` behind it.
    pub message: String,
    /// `module_name`: which part of NSX refuses.
    pub module: String,
    /// `httpStatus`, or `http_status`: the HTTP status as a word.
    pub status: String,
}

impl ApiError {
    /// Reads an error. `None` if it carries neither a code nor a message, so that it is not NSX's own.
    pub fn of(value: &Value) -> Option<ApiError> {
        let object = value.as_object()?;
        let mut messages: Vec<String> = json::text(object, "error_message").into_iter().collect();
        let related = object.get("related_errors").and_then(Value::as_array);
        for error in related.into_iter().flatten().take(MOST_RELATED) {
            messages.extend(
                error
                    .as_object()
                    .and_then(|e| json::text(e, "error_message")),
            );
        }
        let text = |key| json::text(object, key);
        let error = ApiError {
            code: text("error_code").unwrap_or_default(),
            message: messages.join("; "),
            module: text("module_name").unwrap_or_default(),
            status: text("httpStatus")
                .or_else(|| text("http_status"))
                .unwrap_or_default(),
        };
        (!error.code.is_empty() || !error.message.is_empty()).then_some(error)
    }
}

/// Related errors that are shown; there may be one for each object of a transaction.
const MOST_RELATED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_end_markers_end_a_list() {
        let cursor = |list: Value| ListPage::of(list).unwrap().cursor;
        assert_eq!(cursor(json!({ "results": [] })), None);
        assert_eq!(cursor(json!({ "results": [], "cursor": null })), None);
        assert_eq!(cursor(json!({ "results": [], "cursor": "" })), None);
        assert_eq!(cursor(json!({ "results": [], "cursor": "0000abc" })), None);
        assert_eq!(
            cursor(json!({ "results": [], "cursor": "0036abc" })).as_deref(),
            Some("0036abc")
        );
    }

    #[test]
    fn what_is_no_list_is_not_an_empty_one() {
        for value in [json!([]), json!({}), json!({ "results": null }), json!("x")] {
            assert_eq!(ListPage::of(value), None);
        }
    }

    #[test]
    fn a_code_may_be_a_number_or_a_string_and_the_status_key_does_not_matter() {
        let error = |text| ApiError::of(&json::parse(text).unwrap()).unwrap();
        for text in [
            &include_bytes!(
                "../../../tests/fixtures/nsx/error_service_disabled_http_status_camel.json"
            )[..],
            include_bytes!(
                "../../../tests/fixtures/nsx/made_error_service_disabled_http_status_snake.json"
            ),
        ] {
            assert_eq!(error(text).code, "110199");
        }
        let throttled = error(include_bytes!(
            "../../../tests/fixtures/nsx/error_rate_limited_string_code.json"
        ));
        assert_eq!(throttled.code, "102");
        assert!(throttled.message.contains("exceeded request rate"));
        assert_eq!(ApiError::of(&json!({ "message": "not NSX" })), None);
        assert_eq!(ApiError::of(&json!("text")), None);
    }

    #[test]
    fn a_key_that_should_not_be_there_is_dropped() {
        let body = Body::of(json!({ "id": "a", "psk": "canary" })).unwrap();
        assert!(!body.object().contains_key("psk"));
        assert!(!format!("{body:?}").contains("canary"));
    }
}
