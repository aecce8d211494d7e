//! The answers of Neutron and its descendants, read leniently: every field but the id may be absent, numbers and
//! booleans may be strings, and unknown fields stay in the body.
//!
//! Neutron returns pre-shared keys in clear. Nothing here holds one: a [`Body`] drops the key on reading and
//! remembers only that there is one.

pub mod kind;

use crate::rest::{json, redact::forget_secrets};
use serde_json::{Map, Value};
use std::{collections::HashSet, fmt};

/// One object as the cloud returned it, without its secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Body {
    fields: Map<String, Value>,
    psk_set: bool,
}

impl fmt::Debug for Body {
    /// Prints only the id: a body may hold what a log should not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({})", self.id())
    }
}

impl Body {
    /// Takes an object and drops its secrets.
    pub fn new(mut object: Map<String, Value>) -> Body {
        let psk_set = object
            .get("psk")
            .is_some_and(|psk| !psk.is_null() && psk.as_str() != Some(""));
        forget_secrets(&mut object);
        Body {
            fields: object,
            psk_set,
        }
    }

    /// Returns the object under `key` of an answer, the form of every GET, POST and PUT. `None` if there is none.
    pub fn under(key: &str, mut answer: Value) -> Option<Body> {
        match answer.get_mut(key)?.take() {
            Value::Object(object) => Some(Body::new(object)),
            _ => None,
        }
    }

    pub fn object(&self) -> &Map<String, Value> {
        &self.fields
    }

    pub fn into_object(self) -> Map<String, Value> {
        self.fields
    }

    pub fn psk_set(&self) -> bool {
        self.psk_set
    }

    /// Returns a field as text.
    pub fn text(&self, key: &str) -> Option<String> {
        json::text(&self.fields, key)
    }

    /// Returns a field as a boolean.
    pub fn boolean(&self, key: &str) -> Option<bool> {
        json::boolean(&self.fields, key)
    }

    /// Returns `id`, or an empty string if there is none.
    pub fn id(&self) -> String {
        self.text("id").unwrap_or_default()
    }

    /// Returns `status`; `None` if it is absent or null.
    pub fn status(&self) -> Option<String> {
        self.text("status")
    }

    /// Returns `admin_state_up`.
    pub fn admin_enabled(&self) -> Option<bool> {
        self.boolean("admin_state_up")
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct ListPage {
    /// The rows that are objects with an id. Of rows with the same id only the first.
    pub rows: Vec<Body>,
    /// The number of the first row without an id, counted from 1. Nothing identifies such a row, so a list with one
    /// is not complete.
    pub nameless: Option<usize>,
    /// The marker of the next page; `None` at the end.
    pub marker: Option<String>,
}

impl ListPage {
    /// Reports whether the page has no rows at all, not even rows without an id.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.nameless.is_none()
    }

    /// Reports whether every row has each of these fields, null included.
    pub fn has(&self, fields: &[&str]) -> bool {
        let has = |row: &Body| fields.iter().all(|field| row.fields.contains_key(*field));
        (self.nameless.is_none() || !fields.contains(&"id")) && self.rows.iter().all(has)
    }

    /// Reads a LIST of `collection`. Returns `None` if the answer is not an object with the rows.
    ///
    /// Of the link to the next page only the `marker` is used. Behind a proxy the link may name another scheme or
    /// host, and following it would send the token there.
    pub fn of(collection: &str, answer: Value) -> Option<ListPage> {
        let Value::Object(mut answer) = answer else {
            return None;
        };
        let Some(Value::Array(rows)) = answer.remove(collection) else {
            return None;
        };
        let links = answer.get(&format!("{collection}_links"));
        let (mut nameless, mut ids) = (None, HashSet::new());
        let mut named = Vec::with_capacity(rows.len());
        for (at, row) in rows.into_iter().enumerate() {
            let body = match row {
                Value::Object(row) => Body::new(row),
                _ => Body::default(),
            };
            let id = body.id();
            if id.is_empty() {
                nameless = nameless.or(Some(at + 1));
            } else if ids.insert(id) {
                named.push(body);
            }
        }
        Some(ListPage {
            rows: named,
            nameless,
            marker: links
                .and_then(Value::as_array)
                .and_then(|links| next(links)),
        })
    }
}

/// A refusal of one of these clouds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// `NeutronError.type`, or the code if there is no type.
    pub kind: String,
    pub message: String,
    /// Whether the refusal has Neutron's own form, with a type. Proxies and middleware before Neutron use other
    /// forms.
    pub is_neutrons: bool,
}

impl Refusal {
    /// Reads a refusal in any of the forms seen. Returns `None` for any other answer.
    ///
    /// | form | from |
    /// | --- | --- |
    /// | `{"NeutronError": {type, message, detail}}` | Neutron |
    /// | `{"NeutronError": "…"}` | older Neutron |
    /// | `{"error": {code, title, message}}` | Keystone, and its middleware before Neutron |
    /// | `{"code": "VPC.…", "message"}`, `{"error_code", "error_msg"}` | Open Telekom Cloud and the gateway before it |
    pub fn of(answer: &Value) -> Option<Refusal> {
        let object = answer.as_object()?;
        match object.get("NeutronError") {
            Some(Value::Object(error)) => {
                return Some(Refusal {
                    is_neutrons: true,
                    ..Refusal::read(error, "type", "message")
                });
            }
            Some(Value::String(message)) => {
                return Some(Refusal {
                    message: message.clone(),
                    ..Refusal::default()
                });
            }
            _ => {}
        }
        match object.get("error") {
            Some(Value::Object(error)) if error.contains_key("title") => {
                return Some(Refusal::read(error, "title", "message"));
            }
            Some(Value::Object(error)) => return Some(Refusal::read(error, "code", "message")),
            _ => {}
        }
        [("code", "message"), ("error_code", "error_msg")]
            .into_iter()
            .find(|(code, _)| object.contains_key(*code))
            .map(|(code, message)| Refusal::read(object, code, message))
    }

    fn read(object: &Map<String, Value>, kind: &str, message: &str) -> Refusal {
        Refusal {
            kind: json::text(object, kind).unwrap_or_default(),
            message: json::text(object, message).unwrap_or_default(),
            is_neutrons: false,
        }
    }
}

/// Returns the `marker` in the link to the next page.
fn next(links: &[Value]) -> Option<String> {
    let href = links
        .iter()
        .find(|link| link["rel"] == "next")
        .and_then(|link| link["href"].as_str())?;
    let (_, query) = href.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    // `Url` cannot parse a query alone, so this gives it an address.
    let address = reqwest::Url::parse(&format!("marker:?{query}")).ok()?;
    let found = address.query_pairs().find(|(key, _)| key == "marker");
    found
        .map(|(_, marker)| marker.into_owned())
        .filter(|marker| !marker.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::openstack::wire::kind::CONNECTIONS;
    use serde_json::json;

    const ONE: &str = CONNECTIONS.one;
    const MANY: &str = CONNECTIONS.many;

    #[test]
    fn a_body_knows_that_there_is_a_key_and_not_which() {
        let body = Body::under(ONE, json!({ ONE: {"id": "a", "psk": "canary"} })).unwrap();
        assert!(body.psk_set());
        assert!(!format!("{body:?} {:?}", body.object()).contains("canary"));
        for psk in [json!(null), json!("")] {
            assert!(
                !Body::under(ONE, json!({ ONE: {"psk": psk} }))
                    .unwrap()
                    .psk_set()
            );
        }
        let nested = Body::under(ONE, json!({ ONE: {"x": [{"PSK": "canary", "y": 1}]} })).unwrap();
        assert_eq!(
            Value::Object(nested.object().clone()),
            json!({"x": [{"y": 1}]})
        );
    }

    #[test]
    fn repeated_keys_and_odd_types_are_read() {
        let text = include_bytes!("../../../tests/fixtures/openstack/made_show_repeated_keys.json");
        let body = Body::under(ONE, json::parse(text).unwrap()).unwrap();
        assert_eq!(body.status().as_deref(), Some("ACTIVE"));
        let text =
            include_bytes!("../../../tests/fixtures/openstack/made_show_numbers_as_strings.json");
        let body = Body::under(ONE, json::parse(text).unwrap()).unwrap();
        assert_eq!(body.admin_enabled(), Some(true));
        assert_eq!(Body::under(ONE, json!({ ONE: [] })), None);
        assert_eq!(Body::under(ONE, json!([])), None);
    }

    #[test]
    fn only_the_marker_is_taken_from_a_link() {
        let link = |rel: &str, href: &str| json!({"rel": rel, "href": href});
        let page = |links: Value| {
            let answer =
                json!({ MANY: [{"id": "a"}, {}, 7], "ipsec_site_connections_links": links });
            ListPage::of(MANY, answer).unwrap()
        };
        let href = "http://elsewhere.example/x?limit=2&marker=a%2Fb&fields=id";
        let found = page(json!([link("previous", "?marker=z"), link("next", href)]));
        assert_eq!(found.marker.as_deref(), Some("a/b"));
        assert_eq!((found.rows.len(), found.nameless), (1, Some(2)));
        for links in [
            json!(null),
            json!([]),
            json!([link("previous", href)]),
            json!([link("next", "x")]),
        ] {
            assert_eq!(page(links).marker, None);
        }
        assert_eq!(ListPage::of(MANY, json!({})), None);
        assert_eq!(ListPage::of(MANY, json!({ MANY: null })), None);
    }

    #[test]
    fn rows_that_come_twice_are_one_and_rows_without_an_id_are_told() {
        let page = |rows: Value| ListPage::of(MANY, json!({ MANY: rows })).unwrap();
        let twice = page(json!([{"id": "a", "name": "first"}, {"id": "b"}, {"id": "a"}]));
        let ids: Vec<String> = twice.rows.iter().map(Body::id).collect();
        assert_eq!(
            (ids, twice.nameless),
            (vec!["a".to_owned(), "b".to_owned()], None)
        );
        assert_eq!(twice.rows[0].text("name").as_deref(), Some("first"));
        for odd in [
            json!({}),
            json!({"id": null}),
            json!({"id": ""}),
            json!(null),
            json!([]),
        ] {
            let found = page(json!([{"id": "a"}, odd, {"id": "b"}, {}]));
            assert_eq!((found.rows.len(), found.nameless), (2, Some(2)));
            assert!(!found.is_empty() && !found.has(&["id"]));
        }
        let found = page(json!([{"id": "a", "status": null}, {"id": "b", "status": "x"}]));
        assert!(found.has(&["id", "status"]) && !found.has(&["name"]));
        assert!(page(json!([])).is_empty() && page(json!([])).has(&["id"]));
    }

    #[test]
    fn refusals_are_read_in_every_form() {
        let read = |answer: Value| Refusal::of(&answer).map(|said| (said.kind, said.message));
        let is_neutrons = |answer: Value| Refusal::of(&answer).is_some_and(|said| said.is_neutrons);
        assert!(is_neutrons(
            json!({"NeutronError": {"type": "x", "message": "m"}})
        ));
        for other in [
            json!({"NeutronError": "m"}),
            json!({"error": {"title": "x"}}),
            json!({"code": "x"}),
        ] {
            assert!(!is_neutrons(other));
        }
        let both = |kind: &str, message: &str| Some((kind.to_owned(), message.to_owned()));
        assert_eq!(
            read(json!({"NeutronError": {"type": "OverQuota", "message": "m", "detail": ""}})),
            both("OverQuota", "m")
        );
        assert_eq!(read(json!({"NeutronError": "m"})), both("", "m"));
        assert_eq!(
            read(json!({"error": {"code": 401, "title": "Unauthorized", "message": "m"}})),
            both("Unauthorized", "m")
        );
        assert_eq!(
            read(json!({"code": "VPC.1003", "message": "m"})),
            both("VPC.1003", "m")
        );
        assert_eq!(
            read(json!({"error_code": "APIGW.0301", "error_msg": "m"})),
            both("APIGW.0301", "m")
        );
        for none in [json!({}), json!("m"), json!({"message": "m"})] {
            assert_eq!(read(none), None);
        }
    }
}
