//! LIST: filters, sorting, pages and `fields`, as Neutron's API layer emulates them above the plugin.
//!
//! Three traps of Neutron are kept. A page whose marker is gone is empty and has no next link. `fields` joined with
//! commas name a single unknown field. A text filter ignores case and trailing spaces, because MariaDB compares that
//! way.

use std::cmp::Ordering;

use serde_json::{Map, Value, json};

use crate::simulator::openstack::reply::{Refusal, python_repr, python_str};
use crate::simulator::openstack::validate::boolean;

/// One complete object as it is shown.
pub(crate) type Shown = Map<String, Value>;

/// A decoded query, in order and with repetitions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(pub(crate) Vec<(String, String)>);

/// Which `fields` count if a query has several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldsTaken {
    /// All of them, as in Neutron.
    #[default]
    All,
    /// Only the first.
    First,
    /// Only the last.
    Last,
}

impl Query {
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of a parameter. WebOb reads a parameter this way that should occur once.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .rev()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The query as seen by a server that takes only some of several `fields`.
    pub(crate) fn taking(mut self, taken: FieldsTaken) -> Self {
        let is_field = |(name, _): &(String, String)| name == "fields";
        let kept = match taken {
            FieldsTaken::All => return self,
            FieldsTaken::First => self.0.iter().position(is_field),
            FieldsTaken::Last => self.0.iter().rposition(is_field),
        };
        let mut at = 0..;
        self.0.retain(|pair| at.next() == kept || !is_field(pair));
        self
    }

    /// The requested fields. Empty means all.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.all("fields")
            .filter(|field| !field.is_empty())
            .collect()
    }
}

/// The collection that a LIST reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListContext<'a> {
    /// The key of the rows in the body.
    pub(crate) plural: &'a str,
    /// Whether filters, sorting and pages are supported. Otherwise only `fields` is.
    pub(crate) narrowed: bool,
    /// Names that `sort_key` accepts.
    pub(crate) sort_keys: &'a [&'a str],
    /// Names that filters accept, if others are refused. `None` ignores unknown filters.
    pub(crate) filters: Option<&'a [&'a str]>,
    /// `pagination_max_limit`.
    pub(crate) page_cap: Option<usize>,
    /// The absolute address of the collection, as the request named it.
    pub(crate) href: &'a str,
}

/// Returns the body of a LIST of these rows, which are ordered by id.
pub(crate) fn list(
    place: ListContext<'_>,
    query: &Query,
    mut rows: Vec<Shown>,
) -> Result<Value, Refusal> {
    let mut body = Map::new();
    if !place.narrowed {
        let rows: Vec<_> = rows
            .into_iter()
            .map(|row| Value::Object(only(&query.fields(), row)))
            .collect();
        body.insert(place.plural.to_owned(), Value::Array(rows));
        return Ok(Value::Object(body));
    }
    filter(place, query, &mut rows)?;
    sort(place.sort_keys, query, &mut rows)?;
    let (rows, links) = page(place, query, rows)?;
    let rows: Vec<_> = rows
        .into_iter()
        .map(|row| Value::Object(only(&query.fields(), row)))
        .collect();
    body.insert(place.plural.to_owned(), Value::Array(rows));
    if !links.is_empty() {
        body.insert(format!("{}_links", place.plural), Value::Array(links));
    }
    Ok(Value::Object(body))
}

/// Keeps the requested members, in the row's own order. An empty request keeps all.
pub(crate) fn only(fields: &[&str], mut row: Shown) -> Shown {
    if !fields.is_empty() {
        row.retain(|name, _| fields.contains(&name.as_str()));
    }
    row
}

const NOT_FILTERS: [&str; 6] = [
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
];

/// Keeps the rows that match. Of several values for one name, one is enough. Every name must match.
fn filter(place: ListContext<'_>, query: &Query, rows: &mut Vec<Shown>) -> Result<(), Refusal> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &query.0 {
        if !NOT_FILTERS.contains(&name.as_str()) && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if let Some(known) = place.filters {
        let known =
            |name: &str| matches!(name, "tenant_id" | "project_id") || known.contains(&name);
        let unknown: Vec<_> = names
            .iter()
            .filter(|name| !known(name))
            .map(|name| Value::from(*name))
            .collect();
        if !unknown.is_empty() {
            let message = format!(
                "{} is invalid attribute for filtering",
                python_repr(&Value::Array(unknown))
            );
            return Err(Refusal::bad_request(message));
        }
    }
    for name in names {
        let wanted: Vec<_> = query.all(name).collect();
        rows.retain(|row| match row.get(name) {
            // A name that is neither column nor attribute is ignored, and so is an attribute stored in its own table.
            None | Some(Value::Array(_) | Value::Object(_)) => true,
            Some(found) => wanted.iter().any(|wanted| equal(found, wanted)),
        });
    }
    Ok(())
}

/// Whether the database treats these as equal.
fn equal(found: &Value, wanted: &str) -> bool {
    match found {
        Value::Bool(found) => boolean(&Value::from(wanted)) == Some(*found),
        Value::Null => false,
        found => {
            let folded = |text: &str| text.trim_end_matches(' ').to_lowercase();
            folded(&python_str(found)) == folded(wanted)
        }
    }
}

fn sort(sort_keys: &[&str], query: &Query, rows: &mut [Shown]) -> Result<(), Refusal> {
    let keys: Vec<_> = query
        .all("sort_key")
        .filter(|key| !key.is_empty())
        .collect();
    let directions: Vec<_> = query
        .all("sort_dir")
        .filter(|direction| !direction.is_empty())
        .collect();
    if keys.len() != directions.len() {
        return Err(Refusal::bad_request(
            "The number of sort_keys and sort_dirs must be same",
        ));
    }
    let python_list = |texts: Vec<&str>| python_repr(&json!(texts));
    let unknown: Vec<_> = keys
        .iter()
        .copied()
        .filter(|key| !sort_keys.contains(key))
        .collect();
    if !unknown.is_empty() {
        return Err(Refusal::bad_request(format!(
            "{} is invalid attribute for sort_keys",
            python_list(unknown)
        )));
    }
    let invalid: Vec<_> = directions
        .iter()
        .copied()
        .filter(|word| !matches!(*word, "asc" | "desc"))
        .collect();
    if !invalid.is_empty() {
        let message = format!(
            "{} is invalid value for sort_dirs, valid value is 'asc' and 'desc'",
            python_list(invalid)
        );
        return Err(Refusal::bad_request(message));
    }
    let text = |row: &Shown, key: &str| row.get(key).map(python_str).unwrap_or_default();
    rows.sort_by(|one, other| {
        let mut order = Ordering::Equal;
        for (key, direction) in keys.iter().zip(&directions) {
            let ascending = text(one, key).cmp(&text(other, key));
            order = order.then(if *direction == "asc" {
                ascending
            } else {
                ascending.reverse()
            });
        }
        order
    });
    Ok(())
}

/// Returns one page of the rows and its links. Without a limit, returns everything and no links.
fn page(
    place: ListContext<'_>,
    query: &Query,
    rows: Vec<Shown>,
) -> Result<(Vec<Shown>, Vec<Value>), Refusal> {
    let Some(limit) = limit(query, place.page_cap)? else {
        return Ok((rows, Vec::new()));
    };
    let reverse = query
        .one("page_reverse")
        .is_some_and(|word| word.eq_ignore_ascii_case("true"));
    let id = |row: &Shown| row.get("id").map(python_str).unwrap_or_default();
    let marker = query.one("marker").filter(|marker| !marker.is_empty());
    // With a missing marker, Neutron's loop ends at the last row, so nothing follows it.
    let at = marker.map(|marker| {
        rows.iter()
            .position(|row| id(row) == marker)
            .unwrap_or(rows.len().wrapping_sub(1))
    });
    let page: Vec<_> = match (reverse, at) {
        (false, None) => rows.into_iter().take(limit).collect(),
        (false, Some(at)) => rows
            .into_iter()
            .skip(at.wrapping_add(1))
            .take(limit)
            .collect(),
        (true, None) => {
            let skipped = rows.len().saturating_sub(limit);
            rows.into_iter().skip(skipped).collect()
        }
        (true, Some(at)) => {
            let first = at.saturating_sub(limit);
            rows.into_iter()
                .skip(first)
                .take(at.saturating_sub(first))
                .collect()
        }
    };
    let full = page.len() >= limit;
    let mut links = Vec::new();
    if full || reverse {
        let href = href(place.href, query, page.last().map(id), false);
        links.push(json!({"rel": "next", "href": href}));
    }
    if full || !reverse {
        let href = href(place.href, query, page.first().map(id), true);
        links.push(json!({"rel": "previous", "href": href}));
    }
    Ok((page, links))
}

/// The number of rows on a page. 0 means all, unless the server has a cap.
fn limit(query: &Query, cap: Option<usize>) -> Result<Option<usize>, Refusal> {
    let given = query.one("limit").unwrap_or("0");
    let limit: usize = given.trim().parse().map_err(|_| {
        let message =
            format!("Bad limit request: Limit must be an integer 0 or greater and not '{given}'.");
        Refusal::new(400, "BadRequest", message)
    })?;
    Ok(match (limit, cap) {
        (0, cap) => cap,
        (limit, cap) => Some(limit.min(cap.unwrap_or(limit))),
    })
}

/// The request's own address with a new marker, which comes last.
fn href(base: &str, query: &Query, marker: Option<String>, reverse: bool) -> String {
    let kept = query
        .0
        .iter()
        .filter(|(key, _)| key != "marker" && key != "page_reverse");
    let mut pairs: Vec<_> = kept
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    if let Some(marker) = &marker {
        pairs.push(("marker", marker));
    }
    if reverse {
        pairs.push(("page_reverse", "True"));
    }
    let encoded: Vec<_> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", quoted(key), quoted(value)))
        .collect();
    format!("{base}?{}", encoded.join("&"))
}

/// Encodes like Python's `quote_plus`.
fn quoted(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' => {
            char::from(byte).to_string()
        }
        b' ' => "+".to_owned(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}
