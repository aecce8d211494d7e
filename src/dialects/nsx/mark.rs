//! The tag on everything the gateway makes: scope `isthmus`, tag the UUID of the call that made it.

use crate::{core::dialect::Mark, dialects::nsx::wire::Body};
use serde_json::{Map, Value, json};

const SCOPE: &str = "isthmus";

/// Puts the tag on an object that is about to be made.
pub fn put(body: &mut Map<String, Value>, mark: &Mark) {
    let tag = json!([{ "scope": SCOPE, "tag": mark.as_str() }]);
    body.insert("tags".to_owned(), tag);
}

/// Whether the gateway made this.
pub fn is_on(body: &Body) -> bool {
    tags(body).any(is_ours)
}

/// Whether the call with this mark made this.
pub fn is(body: &Body, mark: &Mark) -> bool {
    tags(body).any(|tag| is_ours(tag) && tag["tag"] == mark.as_str())
}

/// Takes the gateway's tag off what is shown, and `tags` with it if there is no other.
pub fn hide(shown: &mut Map<String, Value>) {
    if let Some(Value::Array(tags)) = shown.get_mut("tags") {
        tags.retain(|tag| !is_ours(tag));
        if tags.is_empty() {
            shown.remove("tags");
        }
    }
}

fn tags(body: &Body) -> impl Iterator<Item = &Value> {
    body.list("tags").iter()
}

fn is_ours(tag: &Value) -> bool {
    tag["scope"] == SCOPE
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
}
