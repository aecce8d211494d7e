//! What is used in place of what would be made, and what stays when a connection goes.

use super::{Bench, consists_of, own, sorted, writes_of};
use crate::{
    composite::made::tried,
    support::{
        api::words,
        site::{BACKEND, Cloud, World},
    },
};
use isthmus::model::ResourceKind;
use serde_json::{Value, json};

/// The actions of a plan, each with its collection.
fn actions<'a>(answer: &'a Value) -> Vec<(&'a str, &'a str)> {
    let steps = answer["plan"].as_array().unwrap().iter();
    let word = |step: &'a Value, field: &str| step[field].as_str().unwrap();
    steps
        .map(|step| (word(step, "action"), word(step, "collection")))
        .collect()
}

/// With MANAGED, a second connection has the parts of the first, and they are there until neither is.
pub async fn what_the_gateway_made_is_used_again(world: World) {
    let bench = Bench::start(world).await;
    let nothing = bench.objects();
    let first = bench.made(&bench.inline(1).await).await;
    let with_first = bench.objects();

    let mut request = bench.inline(1).await;
    request["connection"]["peer"]["address"] = json!("198.51.100.21");
    // On one router NSX has no second service, and so nothing that could be made.
    let mut again = request.clone();
    again["parts"] = bench.parts(2).await;
    let planned = bench.create(&tried(&again)).await.unwrap();
    let plan = writes_of(&planned["plan"]);
    assert_eq!(plan.len(), consists_of(world).len(), "nothing may be used");

    request["reuse"] = json!("REUSE_MANAGED");
    let planned = bench.create(&tried(&request)).await.unwrap();
    let parts = consists_of(world).len() - own(world);
    let mut wanted: Vec<(&str, &str)> = consists_of(world)
        .iter()
        .map(|it| ("ACTION_REUSE", *it))
        .collect();
    for (action, _) in &mut wanted[parts..] {
        *action = "ACTION_CREATE";
    }
    assert_eq!(actions(&planned), wanted);
    for step in &planned["plan"].as_array().unwrap()[..parts] {
        assert!(
            step["name"].is_string() && step["fields"].is_null(),
            "{step}"
        );
    }
    let second = bench.made(&request).await;
    let own = &consists_of(world)[parts..];
    assert_eq!(bench.more_than(&with_first), sorted(own));

    bench.delete(&first).await.unwrap();
    bench.is_at_rest("after the first").await;
    let left = nothing.len() + consists_of(world).len();
    assert_eq!(bench.objects().len(), left);
    bench.get(&second).await.unwrap();
    bench.delete(&second).await.unwrap();
    bench.comes_to(&nothing, "after both").await;
}

/// What somebody else made is used with ANY only; and stays.
pub async fn what_is_there_is_used_if_anything_may_be(world: World) {
    let bench = Bench::start(world).await;
    let mut request = bench.inline(1).await;
    let (kind, field) = (
        ResourceKind::IkePolicy,
        words(ResourceKind::IkePolicy).field,
    );
    let theirs = {
        let body = &request["parts"][field];
        let answer = bench.site.api.create(kind, BACKEND, body, false).await;
        answer.unwrap()[field].clone()
    };
    let id = super::id_of(&theirs).to_owned();
    let unmark = match &bench.site.cloud {
        Cloud::Nsx(_) => json!({ "tags": [] }),
        Cloud::Openstack(_) => json!({ "description": "" }),
    };
    bench.site.alter(kind, &id, unmark);
    // A description is no difference.
    let before = bench.objects();
    for (reuse, action) in [
        ("REUSE_UNSPECIFIED", "ACTION_CREATE"),
        ("REUSE_NEVER", "ACTION_CREATE"),
        ("REUSE_MANAGED", "ACTION_CREATE"),
        ("REUSE_ANY", "ACTION_REUSE"),
    ] {
        request["reuse"] = json!(reuse);
        let planned = bench.create(&tried(&request)).await.unwrap();
        assert_eq!(actions(&planned)[0], (action, "ikePolicies"), "{reuse}");
    }
    let made = bench.made(&request).await;
    assert_eq!(made[field], theirs["name"]);
    bench.delete(&made).await.unwrap();
    bench.comes_to(&before, "theirs stays").await;
}

/// What was made by a call of its own stays, whether a connection refers to it or found it.
pub async fn what_was_made_alone_stays(world: World) {
    let bench = Bench::start(world).await;
    let (kind, field) = (
        ResourceKind::IkePolicy,
        words(ResourceKind::IkePolicy).field,
    );
    for reuse in ["REUSE_NEVER", "REUSE_MANAGED"] {
        let mut request = bench.inline(1).await;
        let body = request["parts"][field].clone();
        let answer = bench.site.api.create(kind, BACKEND, &body, false).await;
        let alone = answer.unwrap()[field].clone();
        let before = bench.objects();
        match reuse {
            "REUSE_NEVER" => {
                request["connection"][field] = alone["name"].clone();
                request["parts"].as_object_mut().unwrap().remove(field);
            }
            _ => request["reuse"] = json!(reuse),
        }
        let made = bench.made(&request).await;
        let used = made[field].as_str().unwrap();
        assert!(bench.objects().len() == before.len() + consists_of(world).len() - 1);
        bench.delete(&made).await.unwrap();
        bench.comes_to(&before, "what was made alone stays").await;
        assert!(bench.site.api.get(kind, used).await.is_ok());
    }
}

/// Parts go with the last connection that uses them, though that was made alone and only refers to them.
pub async fn the_last_that_uses_parts_takes_them_along(world: World) {
    let bench = Bench::start(world).await;
    let nothing = bench.objects();
    let first = bench.made(&bench.inline(1).await).await;
    let mut request = bench.inline(1).await;
    let parts = request.as_object_mut().unwrap().remove("parts").unwrap();
    for part in parts.as_object().unwrap().keys() {
        request["connection"][part] = first[part].clone();
    }
    request["connection"]["peer"]["address"] = json!("198.51.100.21");
    let with_first = bench.objects();
    let second = bench.made(&request).await;
    assert_eq!(
        bench.more_than(&with_first),
        sorted(&consists_of(world)[consists_of(world).len() - own(world)..])
    );
    bench.delete(&first).await.unwrap();
    bench.is_at_rest("after the first").await;
    bench.get(&second).await.unwrap();
    bench.delete(&second).await.unwrap();
    bench.comes_to(&nothing, "after both").await;
}
