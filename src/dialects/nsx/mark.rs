//! The gateway's two tags. An object that the gateway creates carries the mark: scope `isthmus`, tag the UUID of the
//! call that created it. An object that the gateway changes carries a nonce: scope `isthmus-write`, tag a UUID of the
//! PUT that wrote it last.
//!
//! Only the mark makes an object the gateway's. When the answer to a PUT is lost, the nonce tells whether that PUT
//! moved the revision.

use crate::{core::dialect::Mark, dialects::nsx::body::Body};
use serde_json::{Map, Value, json};

const SCOPE: &str = "isthmus";
const NONCE_SCOPE: &str = "isthmus-write";

/// The most tags on one object, including those of other clients: the limit that vmware-nsxlib 19.4.3 keeps.
const MOST_TAGS: usize = 15;

/// Puts the mark on an object that is about to be created.
pub fn put(body: &mut Map<String, Value>, mark: &Mark) {
    let tag = json!([{ "scope": SCOPE, "tag": mark.as_str() }]);
    body.insert("tags".to_owned(), tag);
}

/// Reports whether the gateway created this object.
pub fn is_on(body: &Body) -> bool {
    tags(body).any(is_mark)
}

/// Reports whether the gateway created this object together with others.
pub fn is_joint(body: &Body) -> bool {
    tags(body).any(|tag| is_mark(tag) && tag["tag"].as_str().is_some_and(Mark::is_joint))
}

/// Reports whether the call with this mark created this object.
pub fn is(body: &Body, mark: &Mark) -> bool {
    tags(body).any(|tag| is_mark(tag) && tag["tag"] == mark.as_str())
}

/// Removes the gateway's tags from an object that is shown, and `tags` itself if no other tag remains.
pub fn hide(shown: &mut Map<String, Value>) {
    if let Some(Value::Array(tags)) = shown.get_mut("tags") {
        tags.retain(|tag| !is_mark(tag) && !is_nonce(tag));
        if tags.is_empty() {
            shown.remove("tags");
        }
    }
}

/// Puts a nonce on an object that is about to be replaced, in place of the nonce of an earlier PUT. The nonce proves
/// that one particular PUT wrote the object. Returns `None` if other clients' tags leave no room, or if `tags` is not a
/// list.
pub fn put_nonce(body: &mut Map<String, Value>) -> Option<Mark> {
    let tags = body.entry("tags").or_insert(Value::Null);
    if tags.is_null() {
        *tags = Value::Array(Vec::new());
    }
    let tags = tags.as_array_mut()?;
    tags.retain(|tag| !is_nonce(tag));
    if tags.len() >= MOST_TAGS {
        return None;
    }
    let nonce = Mark::new();
    tags.push(json!({ "scope": NONCE_SCOPE, "tag": nonce.as_str() }));
    Some(nonce)
}

/// Reports whether the PUT with this nonce wrote this object, even if the object was changed after it.
pub fn has_nonce(body: &Body, nonce: &Mark) -> bool {
    tags(body).any(|tag| is_nonce(tag) && tag["tag"] == nonce.as_str())
}

fn tags(body: &Body) -> impl Iterator<Item = &Value> {
    body.list("tags").iter()
}

fn is_mark(tag: &Value) -> bool {
    tag["scope"] == SCOPE
}

fn is_nonce(tag: &Value) -> bool {
    tag["scope"] == NONCE_SCOPE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_and_hidden_and_leaves_other_tags_alone() {
        let (mine, other) = (Mark::new(), Mark::new());
        let mut map = Map::new();
        put(&mut map, &mine);
        let body = Body::new(map.clone());
        assert!(is_on(&body) && is(&body, &mine) && !is(&body, &other));
        hide(&mut map);
        assert_eq!(Value::Object(map), json!({}));

        let foreign = json!({ "tags": [{ "scope": "team", "tag": mine.as_str() }, 7] });
        let mut map = foreign.as_object().unwrap().clone();
        assert!(!is_on(&Body::new(map.clone())));
        hide(&mut map);
        assert_eq!(Value::Object(map), foreign);
    }

    #[test]
    fn a_nonce_is_found_and_hidden_and_is_no_mark() {
        for tags in [json!({}), json!({ "tags": null }), json!({ "tags": [] })] {
            let mut map = tags.as_object().unwrap().clone();
            let first = put_nonce(&mut map).unwrap();
            let second = put_nonce(&mut map).unwrap();
            let body = Body::new(map.clone());
            assert!(has_nonce(&body, &second) && !has_nonce(&body, &first));
            assert!(!is_on(&body) && body.list("tags").len() == 1);
            hide(&mut map);
            assert_eq!(Value::Object(map), json!({}));
        }
        let mut odd = json!({ "tags": "none" }).as_object().unwrap().clone();
        assert!(put_nonce(&mut odd).is_none());
        assert_eq!(odd["tags"], "none");
    }
}
