//! What the step of a PUT records, so that a later task can tell whether the PUT was done, and undo it. Pure.
//!
//! It holds only the fields that the PUT changes, and no key.

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

/// The fields that a PUT changes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memo {
    /// The revision of the object that the PUT replaces.
    revision: Option<i64>,
    /// The changed fields before the PUT; null if they were absent.
    before: Map<String, Value>,
    /// The changed fields as the PUT writes them; null if it leaves them out.
    wanted: Map<String, Value>,
    /// The fields that refer to an object that an earlier step creates. Its id was not known when the step was
    /// recorded. If such a field differs from before, that shows no more than that some client has changed it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    to_be_made: BTreeSet<String>,
}

/// Builds the step of a PUT that replaces `before` by `body`. `fields` is what the step says it writes. A field that
/// `body` sets to null refers to an object that an earlier step creates.
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

/// Does the same, and puts a nonce on the body if there is room.
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

/// Returns what the present object shows about a PUT.
pub fn trace(step: &Step, now: &Body) -> Trace<()> {
    let memo = Memo::in_step(step);
    let has_nonce = step.mark.as_ref();
    if has_nonce.is_some_and(|nonce| mark::has_nonce(now, nonce)) {
        Trace::Done(())
    } else if now.revision() == memo.revision {
        Trace::NotDone
    } else if !step.bears_key && memo.is_as_wanted(now) {
        // A key cannot be read, so only a nonce proves that one was written.
        Trace::Done(())
    } else {
        Trace::Covered
    }
}

/// Returns the object with the fields that a PUT changed as they were before. Fields that another client has changed
/// since stay. Returns `None` if there is nothing to restore.
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

    /// Reports whether a field has the wanted value. A field that was left out counts if it differs from before,
    /// because NSX fills in its default.
    fn is_said(&self, key: &str, now: &Body) -> bool {
        let now = now.object().get(key).unwrap_or(&Value::Null);
        match self.wanted.get(key) {
            None | Some(Value::Null) => self.before.get(key) != Some(now),
            Some(wanted) => covers(wanted, now),
        }
    }
}

/// Reports whether everything that was sent is there. NSX adds what it derives, such as the id of a rule.
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

    /// A PUT that renames the object, removes its description, and sets rules and a key; and the object that NSX has
    /// after it.
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

    /// The id was not known when the step was recorded. Only the nonce shows that a PUT that refers to it was done.
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
        // A client that writes after the PUT leaves its nonce in place.
        let later = json!({ "display_name": "third", "_revision": 9 });
        assert_eq!(is(&step, &with(now.clone(), later)), "done");
        // Without the nonce, the readable fields decide, unless the PUT carried a key.
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
        // Either restored already, or never done.
        assert_eq!(put_back(&step, &before()), None);
    }
}
