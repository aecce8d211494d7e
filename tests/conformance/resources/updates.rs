//! What is changed, and what is not.

use super::{Cell, assert_refused, covers, id_of, only};
use crate::support::values::Choice;
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tonic::Code;

/// Every field that can be changed is changed alone, by one write; the same change again writes nothing.
pub async fn every_field_can_be_changed(cell: &Cell<'_>) {
    let mut changed = BTreeSet::new();
    for (number, change) in cell.taken.changes().into_iter().enumerate() {
        let made = cell.make(number).await;
        let before = cell.get(&made).await;
        let mut body = Value::Object(change.set.clone());
        body["name"] = made["name"].clone();
        let writes = cell.site.writes();
        let answer = cell.update(&body, Some(&change.mask())).await;
        let answer = answer.unwrap_or_else(|error| panic!("{body}: {error:?}"));
        assert_eq!(cell.site.writes(), writes + 1, "{body}");
        let after = cell.get(&made).await;
        cell.assert_as_read(&answer, &after);
        assert_ne!(after["etag"], before["etag"], "{body}");
        for field in cell.taken.fields() {
            let path = field.path();
            let wanted = change.set.get(path).or(change.also.get(path));
            let wanted = wanted.unwrap_or(&before[path]);
            assert!(covers(&after[path], wanted), "{path} after {body}: {after}");
        }
        let again = cell.update(&body, Some(&change.mask())).await.unwrap();
        cell.assert_as_read(&again, &after);
        assert_eq!(cell.site.writes(), writes + 1, "{body} again");
        changed.extend(change.set.keys().cloned());
    }
    // Nothing that its backend lets be changed was left out, but for what has one value.
    let fields = cell.taken.fields().into_iter();
    for field in fields.filter(|field| !cell.taken.is_immutable(*field)) {
        let path = field.path();
        assert!(
            changed.contains(path) || cell.taken.fixed().contains(path),
            "{path}"
        );
    }
}

/// What was read, sent back as it is, writes nothing: with and without a mask, an etag, and what is only output.
pub async fn what_was_read_changes_nothing(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let bare = cell.make_of(&required(cell, 2)).await;
    for made in [made, bare] {
        let read = cell.get(&made).await;
        let writes = cell.site.writes();
        let mut without_etag = read.clone();
        without_etag.as_object_mut().unwrap().remove("etag");
        for body in [&read, &without_etag] {
            for mask in [None, Some(&["*"][..])] {
                let answer = cell.site.api.update(cell.kind, body, mask, false).await;
                let answer = answer.unwrap_or_else(|error| panic!("{mask:?} of {body}: {error:?}"));
                assert_eq!(answer["upstream_request_ids"], Value::Null, "{mask:?}");
                assert_eq!(
                    answer[crate::support::api::words(cell.kind).field],
                    read,
                    "{mask:?}"
                );
            }
        }
        assert_eq!(cell.site.writes(), writes);
        assert_eq!(cell.get(&made).await, read);
    }
}

/// What must be said of the `number`th, and nothing else.
fn required(cell: &Cell<'_>, number: usize) -> Value {
    let (whole, required) = (cell.taken.whole(number), cell.taken.list("required_fields"));
    let mut body = Map::from_iter([("display_name".to_owned(), whole["display_name"].clone())]);
    for path in required {
        body.insert(path.clone(), whole[&path].clone());
    }
    Value::Object(body)
}

/// What a mask names and nobody sets is as if it had never been said.
pub async fn what_is_unset_goes_back_to_its_default(cell: &Cell<'_>) {
    let bare = cell.make_of(&required(cell, 1)).await;
    let made = cell.make(2).await;
    let required = cell.taken.list("required_fields");
    let fields = cell.taken.fields().into_iter();
    let mutable = fields
        .filter(|field| !cell.taken.is_immutable(*field))
        .map(|it| it.path());
    let optional: Vec<&str> = mutable
        .filter(|path| !required.iter().any(|it| it == path) && *path != "display_name")
        .collect();
    let body = json!({ "name": made["name"] });
    let after = cell.update(&body, Some(&optional)).await.unwrap();
    cell.assert_as_read(&after, &cell.get(&made).await);
    for path in optional {
        assert_eq!(after[path], bare[path], "{path}");
    }
    for path in required {
        let mask = [path.as_str()];
        let answer = cell.update(&body, Some(&mask)).await;
        assert!(answer.is_err(), "{path} was unset: {answer:?}");
    }
}

/// What cannot be changed is refused by name unless it is as it was; then nothing is written. A trial says the same.
pub async fn what_is_fixed_stays_as_it_is(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let before = cell.get(&made).await;
    let writes = cell.site.writes();
    for field in cell.taken.fields() {
        let path = field.path();
        if !cell.taken.is_immutable(field) {
            continue;
        }
        let same = only(&before, &[path]);
        let (api, mask) = (&cell.site.api, Some(&[path][..]));
        api.update(cell.kind, &same, mask, true).await.unwrap();
        assert_eq!(
            cell.update(&same, Some(&[path])).await.unwrap(),
            before,
            "{path}"
        );
        let mut other = same;
        other[path] = cell.taken.value(field, Choice::Second, 9);
        assert_ne!(other[path], before[path], "{path}");
        for (mask, validate_only) in [
            (None, false),
            (None, true),
            (Some(&[path][..]), false),
            (Some(&[path][..]), true),
        ] {
            let answer = api.update(cell.kind, &other, mask, validate_only).await;
            let paths = [cell.path(field)];
            assert_refused(answer, Code::FailedPrecondition, "NOT_EXPRESSIBLE", &paths);
        }
    }
    assert_eq!(cell.site.sent(&Method::PUT, cell.kind), 0);
    assert_eq!(
        (cell.site.writes(), cell.get(&made).await),
        (writes, before)
    );
}

/// A write with an etag that is not current is refused and changes nothing.
pub async fn a_stale_etag_is_refused(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let etag = cell.get(&made).await["etag"].clone();
    cell.site
        .rename(cell.kind, id_of(&made), "by somebody else");
    let writes = cell.site.writes();
    let body = json!({ "name": made["name"], "display_name": "x", "etag": etag });
    let answer = cell.update(&body, None).await;
    assert_refused(answer, Code::Aborted, "STALE_ETAG", &[]);
    let answer = cell.delete(&made, &json!({ "etag": etag })).await;
    assert_refused(answer, Code::Aborted, "STALE_ETAG", &[]);
    let current = cell.get(&made).await;
    assert_eq!(current["display_name"], "by somebody else");
    assert_eq!(cell.site.writes(), writes);

    let body = json!({ "name": made["name"], "display_name": "x", "etag": current["etag"] });
    let after = cell.update(&body, None).await.unwrap();
    assert_ne!(after["etag"], current["etag"]);
    cell.delete(&made, &json!({ "etag": after["etag"] }))
        .await
        .unwrap();
}
