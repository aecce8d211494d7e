//! What the step of a PUT keeps of it, so that whoever comes later can tell whether it was done, and take it back. Pure.
//!
//! It holds no more than what the PUT changes, and no key.

use crate::{
    core::dialect::{Action, Step},
    dialects::{
        lost_write::Trace,
        nsx::{body::Body, mark},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What a PUT changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memo {
    /// The revision of the object that it replaces.
    revision: Option<i64>,
    /// The fields that it changes, as they were; null if they were not there.
    before: Map<String, Value>,
    /// As it writes them; null if it leaves them out.
    wanted: Map<String, Value>,
    /// Those that are to refer to what is made just before. Nobody knew its id when the step was noted: that such a field
    /// says anything else than before tells no more than that somebody has changed it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    to_be_made: BTreeSet<String>,
}

/// The step of a PUT that writes `body` in place of `before`. `fields` is what is told of it. A field that `body` sets to null
/// is to refer to what is made just before.
pub fn replacing(
    collection: &str,
    before: &Body,
    body: &Map<String, Value>,
    fields: Vec<String>,
) -> Step {
    let memo = serde_json::to_value(Memo::of(before, body));
    Step {
        bears_key: body.contains_key("psk"),
        fields,
        memo: memo.expect("texts and numbers become JSON"),
        ..Step::new(Action::Update, collection, Some(before.id()))
    }
}

/// The same with a nonce, which it puts on the body if there is room.
pub fn replacing_with_nonce(
    collection: &str,
    before: &Body,
    body: &mut Map<String, Value>,
    fields: Vec<String>,
) -> Step {
    Step {
        mark: mark::put_nonce(body),
        ..replacing(collection, before, body, fields)
    }
}

/// What the object as it is `now` tells of a PUT.
pub fn trace(step: &Step, now: &Body) -> Trace<()> {
    let memo = Memo::in_step(step);
    let has_nonce = step.mark.as_ref();
    if has_nonce.is_some_and(|nonce| mark::has_nonce(now, nonce)) {
        Trace::Done(())
    } else if now.revision() == memo.revision {
        Trace::NotDone
    } else if !step.bears_key && memo.is_as_wanted(now) {
        // Nobody can read a key, so nothing but a nonce speaks for one.
        Trace::Done(())
    } else {
        Trace::Covered
    }
}

/// The object with what a PUT changed as it was before, but for what somebody else has changed since. `None` if there is
/// nothing to put back.
pub fn put_back(step: &Step, now: &Body) -> Option<Map<String, Value>> {
    let memo = Memo::in_step(step);
    let mut body = now.object().clone();
    let ours = memo.wanted.keys().filter(|key| memo.is_said(key, now));
    for key in ours {
        match memo.before.get(key) {
            Some(Value::Null) | None => body.remove(key),
            Some(before) => body.insert(key.clone(), before.clone()),
        };
    }
    (body != *now.object()).then_some(body)
}

impl Memo {
    fn of(before: &Body, after: &Map<String, Value>) -> Memo {
        let keys = before.object().keys().chain(after.keys());
        let differs = |key: &&String| before.object().get(*key) != after.get(*key);
        let keys = keys.filter(|key| !matches!(key.as_str(), "psk" | "tags"));
        let mut memo = Memo {
            revision: before.revision(),
            ..Memo::default()
        };
        for key in keys.filter(differs) {
            let value = |of: &Map<String, Value>| of.get(key).cloned().unwrap_or_default();
            memo.before.insert(key.clone(), value(before.object()));
            memo.wanted.insert(key.clone(), value(after));
            if after.get(key).is_some_and(Value::is_null) {
                memo.to_be_made.insert(key.clone());
            }
        }
        memo
    }

    fn in_step(step: &Step) -> Memo {
        Memo::deserialize(&step.memo).unwrap_or_default()
    }

    fn is_as_wanted(&self, now: &Body) -> bool {
        let is_noted = !self.wanted.is_empty() && self.to_be_made.is_empty();
        is_noted && self.wanted.keys().all(|key| self.is_said(key, now))
    }

    /// Whether a field says what was wanted. In place of one that was left out NSX says its default.
    fn is_said(&self, key: &str, now: &Body) -> bool {
        let now = now.object().get(key).unwrap_or(&Value::Null);
        match self.wanted.get(key) {
            None | Some(Value::Null) => self.before.get(key) != Some(now),
            Some(wanted) => covers(wanted, now),
        }
    }
}

/// Whether all of what was sent is there. NSX adds what it derives, as the id of a rule.
fn covers(sent: &Value, there: &Value) -> bool {
    match (sent, there) {
        (Value::Object(sent), Value::Object(there)) => sent
            .iter()
            .all(|(key, sent)| there.get(key).is_some_and(|there| covers(sent, there))),
        (Value::Array(sent), Value::Array(there)) => {
            sent.len() == there.len()
                && sent
                    .iter()
                    .zip(there)
                    .all(|(sent, there)| covers(sent, there))
        }
        (sent, there) => sent == there,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::dialect::Mark;
    use serde_json::json;

    fn body(value: Value) -> Body {
        Body::of(value).unwrap()
    }

    fn before() -> Body {
        body(json!({
            "id": "a", "_revision": 3, "display_name": "old", "description": "x", "enabled": true,
            "vendor": { "token": "canary" },
        }))
    }

    /// A PUT that names it anew, takes the description away, sets rules and a key; and what NSX has after it.
    fn planned() -> (Step, Map<String, Value>, Value) {
        let mut after = before().object().clone();
        after.insert("display_name".into(), "new".into());
        after.remove("description");
        after.insert("policy_rules".into(), json!([{ "sources": [] }]));
        let step = replacing_with_nonce(
            "connections",
            &before(),
            &mut after,
            vec!["display_name".into()],
        );
        let mut now = after.clone();
        now.insert("_revision".into(), 4.into());
        now.insert("policy_rules".into(), json!([{ "sources": [], "id": "7" }]));
        (step, after, Value::Object(now))
    }

    fn with(mut now: Value, fields: Value) -> Body {
        let fields = fields.as_object().unwrap().clone();
        now.as_object_mut().unwrap().extend(fields);
        body(now)
    }

    #[test]
    fn a_step_keeps_what_its_put_changes_and_nothing_else() {
        let mut after = before().object().clone();
        after.insert("display_name".into(), "new".into());
        after.insert("psk".into(), "not-a-real-key".into());
        let step = replacing_with_nonce("peerEndpoints", &before(), &mut after, Vec::new());
        assert_eq!(
            (step.action, step.id.as_deref()),
            (Action::Update, Some("a"))
        );
        assert!(step.bears_key);
        let expected = json!({
            "revision": 3, "before": { "display_name": "old" }, "wanted": { "display_name": "new" },
        });
        assert_eq!(step.memo, expected);
        assert!(mark::has_nonce(
            &Body::new(after),
            step.mark.as_ref().unwrap()
        ));
    }

    /// Nobody knew the id when the step was noted: without its nonce nothing tells that a PUT which refers to it was done.
    #[test]
    fn what_refers_to_something_new_is_traced_by_its_nonce_alone() {
        let before = body(json!({ "id": "a", "_revision": 3, "local_endpoint_id": "old" }));
        let mut after = before.object().clone();
        after.insert("local_endpoint_id".into(), Value::Null);
        let step = replacing_with_nonce("connections", &before, &mut after, Vec::new());
        assert_eq!(step.memo["to_be_made"], json!(["local_endpoint_id"]));
        let now = |local: &str| {
            let mut now = after.clone();
            now.insert("local_endpoint_id".into(), local.into());
            now.insert("_revision".into(), 4.into());
            now
        };
        assert!(matches!(
            trace(&step, &Body::new(now("new"))),
            Trace::Done(())
        ));
        let mut without = now("new");
        without.remove("tags");
        assert!(matches!(trace(&step, &Body::new(without)), Trace::Covered));
        let back = put_back(&step, &Body::new(now("new"))).unwrap();
        assert_eq!(back["local_endpoint_id"], "old");
        assert_eq!(put_back(&step, &Body::new(now("old"))), None);
    }

    #[test]
    fn a_put_is_traced_by_its_nonce_or_by_what_it_wrote() {
        let (step, _, now) = planned();
        let is = |step: &Step, now: &Body| match trace(step, now) {
            Trace::Done(()) => "done",
            Trace::NotDone => "not done",
            Trace::Unclear => "unclear",
            Trace::Covered => "covered",
        };
        assert_eq!(is(&step, &before()), "not done");
        // Whoever writes after it leaves its nonce.
        let later = json!({ "display_name": "third", "_revision": 9 });
        assert_eq!(is(&step, &with(now.clone(), later)), "done");
        // Without it, what can be read speaks, but for a key.
        let bare = |fields| {
            with(
                with(now.clone(), json!({ "tags": [] }))
                    .object()
                    .clone()
                    .into(),
                fields,
            )
        };
        assert_eq!(is(&step, &bare(json!({}))), "done");
        assert_eq!(is(&step, &bare(json!({ "enabled": false }))), "done");
        assert_eq!(is(&step, &bare(json!({ "description": "" }))), "done");
        assert_eq!(is(&step, &bare(json!({ "description": "x" }))), "covered");
        assert_eq!(
            is(&step, &bare(json!({ "display_name": "third" }))),
            "covered"
        );
        assert_eq!(is(&step, &bare(json!({ "policy_rules": [] }))), "covered");
        let keyed = Step {
            bears_key: true,
            ..step.clone()
        };
        assert_eq!(is(&keyed, &bare(json!({}))), "covered");
        let other = Step {
            mark: Some(Mark::new()),
            ..keyed
        };
        assert_eq!(is(&other, &body(now)), "covered");
    }

    #[test]
    fn what_somebody_else_has_changed_since_is_not_put_back() {
        let (step, _, now) = planned();
        let back = put_back(&step, &body(now.clone())).unwrap();
        for (key, expected) in [
            ("display_name", json!("old")),
            ("description", json!("x")),
            ("policy_rules", json!(null)),
            ("enabled", json!(true)),
            ("_revision", json!(4)),
        ] {
            assert_eq!(
                back.get(key).cloned().unwrap_or_default(),
                expected,
                "{key}"
            );
        }
        let meanwhile = json!({ "display_name": "third", "enabled": false, "_revision": 5 });
        let back = put_back(&step, &with(now, meanwhile)).unwrap();
        assert_eq!(
            (&back["display_name"], &back["enabled"]),
            (&json!("third"), &json!(false))
        );
        assert_eq!(back["description"], "x");
        // Put back already, or never done.
        assert_eq!(put_back(&step, &before()), None);
    }
}
