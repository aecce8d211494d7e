//! How what a step made is told from the rest: by its mark, or where there is no room for one by what was not there before.

use crate::{
    core::dialect::Step,
    dialects::openstack::{mark, translate::is_same_address, wire::Body},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeSet;

/// What tells what a POST makes from everything else, beside the mark or in its place. Kept in [`Step::memo`].
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Told {
    /// The type of an endpoint group: one call may make two with one mark.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub group_type: Option<String>,
    /// Where no mark can be left: what was there before, which cannot be what the POST made, and what that has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unmarked: Option<Unmarked>,
}

impl Told {
    /// What is kept of it.
    pub fn memo(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// What a POST makes that cannot be marked.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct Unmarked {
    /// The ids of all that there were.
    pub before: BTreeSet<String>,
    /// `name`
    pub name: String,
    /// `peer_address`
    pub peer_address: String,
    /// `vpnservice_id`; `None` if it is made by the same call.
    pub vpnservice_id: Option<String>,
}

/// Whether this may be what the POST of this step made.
pub fn is_made_by(step: &Step, row: &Body) -> bool {
    // A memo that is none tells nothing more than the mark.
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
