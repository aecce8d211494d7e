//! Identifies what a step created: by its mark, or where the cloud has no room for one, by its absence before the
//! step.

use crate::{
    core::dialect::Step,
    dialects::openstack::{mark, translate::is_same_address, wire::Body},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// What identifies the object that a POST creates, beside the mark or in place of it. Kept in [`Step::memo`].
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Told {
    /// The type of an endpoint group: one call may create two with the same mark.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub group_type: Option<String>,
    /// For objects that cannot carry a mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmarked: Option<Unmarked>,
}

impl Told {
    /// Returns the value to keep in [`Step::memo`].
    pub fn memo(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Identifies an object that cannot carry a mark: it was not there before the POST, and has these values.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Unmarked {
    /// The ids of all objects of the kind before the POST.
    pub before: BTreeSet<String>,
    pub name: String,
    pub peer_address: String,
    /// `None` if the same call creates the service.
    pub vpnservice_id: Option<String>,
}

/// Reports whether the POST of this step may have created this object.
pub fn is_made_by(step: &Step, row: &Body) -> bool {
    // An unreadable memo adds nothing to the mark.
    let told = Told::deserialize(&step.memo).unwrap_or_default();
    let text = |key: &str| row.text(key).unwrap_or_default();
    match (&step.mark, &told.unmarked) {
        (Some(mark), _) => {
            let is_type = told.group_type.is_none_or(|it| it == text("type"));
            mark::is(&text("description"), mark) && is_type
        }
        (None, Some(unmarked)) => {
            let service = unmarked.vpnservice_id.as_deref();
            !unmarked.before.contains(&row.id())
                && text("name") == unmarked.name
                && is_same_address(&text("peer_address"), &unmarked.peer_address)
                && service.is_none_or(|id| id == text("vpnservice_id"))
        }
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::dialect::{Action, Mark};
    use serde_json::json;

    fn row(value: Value) -> Body {
        Body::new(value.as_object().unwrap().clone())
    }

    #[test]
    fn the_groups_of_one_call_are_told_apart_by_their_type() {
        let mark = Mark::joint();
        let step = |group_type: Option<&str>| {
            let group_type = group_type.map(str::to_owned);
            let told = Told {
                group_type,
                ..Told::default()
            };
            let memo = told.memo();
            Step {
                mark: Some(mark.clone()),
                memo,
                ..Step::new(Action::Create, "endpointGroups", None)
            }
        };
        let made = row(json!({"id": "1", "type": "cidr", "description": mark::put("", &mark)}));
        assert!(is_made_by(&step(Some("cidr")), &made) && is_made_by(&step(None), &made));
        assert!(!is_made_by(&step(Some("subnet")), &made));
        let other =
            row(json!({"id": "2", "type": "cidr", "description": mark::put("", &Mark::joint())}));
        assert!(!is_made_by(&step(Some("cidr")), &other));
        let unmarked = Step::new(Action::Create, "connections", None);
        assert!(!is_made_by(&unmarked, &made), "nothing tells");
    }

    #[test]
    fn what_cannot_be_marked_was_not_there_before_and_is_what_was_wanted() {
        let told = Told {
            unmarked: Some(Unmarked {
                before: BTreeSet::from(["1".to_owned()]),
                name: "n".to_owned(),
                peer_address: "2001:db8::1".to_owned(),
                vpnservice_id: Some("s".to_owned()),
            }),
            ..Told::default()
        };
        let step = Step {
            memo: told.memo(),
            ..Step::new(Action::Create, "connections", None)
        };
        let is = |id: &str, name: &str, service: &str| {
            let fields = json!({"id": id, "name": name, "peer_address": "2001:DB8:0::1", "vpnservice_id": service});
            is_made_by(&step, &row(fields))
        };
        assert!(is("2", "n", "s"));
        assert!(!is("1", "n", "s") && !is("2", "m", "s") && !is("2", "n", "t"));
    }
}
