//! What is made, listed and removed.

use super::{Cell, assert_refused, covers, id_of};
use crate::support::{api::words, site::BACKEND};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tonic::Code;

/// What is made reads back as it was wanted.
pub async fn what_is_made_reads_back(cell: &Cell<'_>) {
    let wanted = cell.taken.whole(1);
    let mut answer = cell
        .site
        .api
        .create(cell.kind, BACKEND, &wanted, false)
        .await
        .unwrap();
    let made = answer[words(cell.kind).field].take();
    let read = cell.get(&made).await;
    cell.assert_as_read(&made, &read);
    assert!(covers(&read, &wanted), "{read} is not {wanted}");
    assert_eq!(read["managed"], true, "{read}");
    assert!(!read["etag"].as_str().unwrap().is_empty());
    assert_eq!(read["name"], cell.site.name(cell.kind, id_of(&read)));
    let details = if cell.site.world.names().0 == "nsx" {
        "nsx"
    } else {
        "openstack"
    };
    assert!(read[details].is_object(), "{read}");
    assert_eq!(cell.site.sent(&Method::POST, cell.kind), 1);
    assert_eq!(cell.site.writes(), 1);
}

/// What is only checked is checked as a whole and never sent.
pub async fn what_is_only_checked_is_not_sent(cell: &Cell<'_>) {
    let (api, before) = (&cell.site.api, cell.site.ids(cell.kind));
    let asked = cell.site.asked(cell.kind);
    let wanted = cell.taken.whole(1);
    let answer = api.create(cell.kind, BACKEND, &wanted, true).await.unwrap();
    assert_eq!(answer[words(cell.kind).field], Value::Null);
    let mut wrong = wanted.clone();
    wrong["display_name"] = json!("x".repeat(300));
    let answer = api.create(cell.kind, BACKEND, &wrong, true).await;
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(cell.site.asked(cell.kind), asked, "nothing was asked");

    let made = cell.make(2).await;
    let made = cell.get(&made).await;
    let writes = cell.site.writes();
    let renamed = json!({ "name": made["name"], "display_name": "x", "etag": made["etag"] });
    let answer = api.update(cell.kind, &renamed, None, true).await.unwrap();
    assert_eq!(answer[words(cell.kind).field], Value::Null);
    let stale = json!({ "name": made["name"], "display_name": "x", "etag": "no such" });
    let answer = api.update(cell.kind, &stale, None, true).await;
    assert_refused(answer, Code::Aborted, "STALE_ETAG", &[]);
    assert_eq!((cell.site.writes(), cell.get(&made).await), (writes, made));
    assert_eq!(cell.site.ids(cell.kind).len(), before.len() + 1);
}

/// A list brings everything once, however small its pages, in the order and with what was asked for.
pub async fn lists_bring_everything_once_and_in_order(cell: &Cell<'_>) {
    let mut names = BTreeSet::new();
    for number in 1..=5 {
        let made = cell.make(number).await;
        names.insert(made["name"].as_str().unwrap().to_owned());
    }
    let all = walk(cell, BACKEND, 1000, &json!({})).await;
    let there: Vec<&str> = all.iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert!(there.is_sorted(), "{there:?}");
    let there: BTreeSet<String> = there.into_iter().map(str::to_owned).collect();
    assert!(there.is_superset(&names) && there.len() == all.len());
    for size in [1, 2, 3] {
        assert_eq!(
            walk(cell, BACKEND, size, &json!({})).await,
            all,
            "in pages of {size}"
        );
    }
    assert_eq!(
        walk(cell, "-", 2, &json!({})).await,
        all,
        "over all backends"
    );

    let mine = json!({ "filter": "display_name:\"NUMBER\" AND managed=true" });
    let found = walk(cell, BACKEND, 2, &mine).await;
    let found: BTreeSet<String> = found
        .iter()
        .map(|it| it["name"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(found, names);
    let one = json!({ "filter": "display_name=\"number 3\"" });
    assert_eq!(walk(cell, BACKEND, 2, &one).await.len(), 1);
    let none = json!({ "filter": "display_name=\"Number 3\"" });
    assert_eq!(walk(cell, BACKEND, 2, &none).await.len(), 0);

    let down = json!({ "filter": "display_name:number", "order_by": "display_name desc" });
    let found = walk(cell, BACKEND, 2, &down).await;
    let found: Vec<&str> = found
        .iter()
        .map(|it| it["display_name"].as_str().unwrap())
        .collect();
    assert_eq!(
        found,
        ["number 5", "number 4", "number 3", "number 2", "number 1"]
    );

    let basic = walk(cell, BACKEND, 2, &json!({ "view": "VIEW_BASIC" })).await;
    for (basic, full) in basic.iter().zip(&all) {
        let mut full = full.clone();
        full.as_object_mut().unwrap().remove("native");
        assert_eq!(*basic, full);
    }
    for (field, request) in [
        ("filter", json!({ "filter": "colour=red" })),
        ("order_by", json!({ "order_by": "colour" })),
    ] {
        let answer = cell.site.api.list(cell.kind, BACKEND, &request).await;
        assert_refused(
            answer,
            Code::InvalidArgument,
            "INVALID_FIELD",
            &[field.to_owned()],
        );
    }
}

/// Every page of a list, in order.
pub async fn walk(cell: &Cell<'_>, backend: &str, size: u32, request: &Value) -> Vec<Value> {
    let (mut found, mut request) = (Vec::new(), request.clone());
    request["page_size"] = json!(size);
    loop {
        let mut page = cell
            .site
            .api
            .list(cell.kind, backend, &request)
            .await
            .unwrap();
        assert_eq!(page["unreachable"], Value::Null);
        if let Value::Array(mut items) = page[words(cell.kind).fields].take() {
            assert!(items.len() <= size as usize);
            found.append(&mut items);
        }
        match page["next_page_token"].take() {
            Value::Null => return found,
            token => request["page_token"] = token,
        }
        assert!(found.len() < 1000, "the list does not end");
    }
}

/// What was read makes another of the same kind, as soon as its name is taken out.
pub async fn what_was_read_makes_a_twin(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let mut wanted = cell.get(&made).await;
    wanted.as_object_mut().unwrap().remove("name");
    if cell.site.world.names().0 == "nsx" && wanted["router"].is_string() {
        // A router of NSX carries one service.
        wanted["router"] = json!(cell.site.free_router(2));
    }
    let twin = cell.make_of(&wanted).await;
    assert_ne!(twin["name"], made["name"]);
    cell.assert_same(&twin, &wanted);
    cell.assert_same(&cell.get(&twin).await, &wanted);
}

/// What is removed is gone, and removing it again says so, unless that is what is wanted.
pub async fn what_is_removed_is_gone(cell: &Cell<'_>) {
    let made = cell.make(1).await;
    let name = made["name"].as_str().unwrap();
    cell.delete(&made, &json!({})).await.unwrap();
    assert!(!cell.site.ids(cell.kind).iter().any(|id| id == id_of(&made)));
    let renamed = json!({ "name": name, "display_name": "x" });
    for answer in [
        cell.delete(&made, &json!({})).await,
        cell.site.api.get(cell.kind, name).await,
        cell.update(&renamed, None).await,
        cell.site.api.update(cell.kind, &renamed, None, true).await,
    ] {
        assert_refused(answer, Code::NotFound, "RESOURCE_NOT_FOUND", &[]);
    }
    let again = cell.delete(&made, &json!({ "allow_missing": true })).await;
    assert_eq!(again.unwrap(), json!({}));
}

/// What something else uses is not removed; on OpenStack a policy is not even changed.
pub async fn what_is_used_stays(cell: &Cell<'_>) {
    use isthmus::model::ResourceKind as K;
    let made = cell.make(1).await;
    let user = cell.site.use_it(cell.kind, id_of(&made));
    let in_use = |answer, fields: &[String]| {
        assert_refused::<Value>(answer, Code::FailedPrecondition, "IN_USE", fields);
    };
    in_use(cell.delete(&made, &json!({})).await, &[]);
    in_use(
        cell.delete(&made, &json!({ "allow_missing": true })).await,
        &[],
    );
    let renamed = json!({ "name": made["name"], "display_name": "used" });
    let answer = cell.update(&renamed, None).await;
    let is_policy = matches!(cell.kind, K::IkePolicy | K::IpsecPolicy);
    if cell.site.world.names().0 == "openstack" && is_policy {
        in_use(
            answer,
            &[format!("{}.display_name", words(cell.kind).field)],
        );
    } else {
        assert_eq!(answer.unwrap()["display_name"], "used");
    }
    cell.site.free(&user);
    cell.delete(&made, &json!({})).await.unwrap();
}
