//! What is made by one call, and removed by one call.

use super::{Bench, PARTS, consists_of, id_of, sorted, writes_of};
use crate::{
    resources::covers,
    support::{
        api::words,
        clouds::PSK,
        running::{fields, reason},
        site::World,
        values::Taken,
    },
};
use isthmus::model::ResourceKind;
use serde_json::{Value, json};
use tonic::Code;

/// Everything inline is made by one call, each thing once, in the order in which one needs the other; and removed by one.
pub async fn everything_inline_is_made_and_removed(world: World) {
    let bench = Bench::start(world).await;
    let before = bench.objects();
    let request = bench.inline(1).await;
    let answer = bench.create(&request).await.unwrap();
    assert!(!answer.to_string().contains(PSK), "the key came out");
    assert_eq!(bench.more_than(&before), sorted(consists_of(world)));
    let made = &answer["connection"];
    bench.settle(made);
    assert_eq!(
        bench.get(made).await.unwrap()["display_name"],
        made["display_name"]
    );
    // What it refers to is what was made, as it was asked for.
    for kind in PARTS {
        let Some(taken) = Taken::read(&bench.site, kind).await else {
            continue;
        };
        // NSX tells the service of an endpoint, and not of a connection.
        let field = words(kind).field;
        let Some(name) = made[field].as_str() else {
            assert_eq!((world, kind), (World::Nsx, ResourceKind::VpnService));
            continue;
        };
        let part = bench.site.api.get(kind, name).await.unwrap();
        for field in taken.fields() {
            let (path, wanted) = (field.path(), &request["parts"][field_of(kind)]);
            // A cloud may add to it what was not said.
            if !wanted[path].is_null() {
                let same = covers(&part[path], &wanted[path]);
                assert!(same, "{kind:?} {path}: {} {}", part[path], wanted[path]);
            }
        }
    }

    bench.delete(made).await.unwrap();
    bench.comes_to(&before, "after the removal").await;
    bench.is_at_rest("after the removal").await;
    assert_eq!(bench.get(made).await.unwrap_err().code(), Code::NotFound);
}

fn field_of(kind: ResourceKind) -> &'static str {
    words(kind).field
}

/// What `validate_only` answers is what goes out then, in that order; and to answer it sends nothing.
pub async fn what_is_planned_is_what_goes_out(world: World) {
    let bench = Bench::start(world).await;
    let before = bench.objects();

    let request = bench.inline(1).await;
    let planned = bench.create(&tried(&request)).await.unwrap();
    assert!(planned["connection"]["name"].is_null() && planned["write_token"].is_null());
    assert_eq!((bench.writes().len(), bench.objects()), (0, before.clone()));
    let plan = writes_of(&planned["plan"]);
    let collections: Vec<&str> = plan.iter().map(|(_, it, _)| it.as_str()).collect();
    assert_eq!(collections, consists_of(world));
    tells_what_is_written(&planned["plan"]);
    let made = bench.made(&request).await;
    assert_eq!(bench.writes(), plan);

    let sent = bench.writes().len();
    let request = moved(&bench, &made);
    let planned = bench.update(&tried(&request)).await.unwrap();
    assert_eq!(bench.writes().len(), sent, "a trial writes nothing");
    let plan = writes_of(&planned["plan"]);
    assert!(!plan.is_empty());
    tells_what_is_written(&planned["plan"]);
    bench.update(&request).await.unwrap();
    assert_eq!(bench.writes()[sent..], plan);
    bench.settle(&made);

    let sent = bench.writes().len();
    let request = json!({ "name": made["name"] });
    let planned = bench.delete_as(&tried(&request)).await.unwrap();
    assert_eq!(bench.writes().len(), sent, "a trial writes nothing");
    let plan = writes_of(&planned["plan"]);
    assert_eq!(plan.len(), consists_of(world).len());
    let own = plan.iter().find(|(_, it, _)| it == "connections").unwrap();
    assert_eq!(own.2.as_deref(), Some(id_of(&made)));
    bench.delete_as(&request).await.unwrap();
    bench.comes_to(&before, "after the removal").await;
    bench.is_at_rest("after the removal").await;
    assert_eq!(bench.writes()[sent..], plan);
}

/// A change of several objects: of the session and its peer endpoint, or of the connection and its groups.
pub fn moved(bench: &Bench, made: &Value) -> Value {
    let connection = json!({
        "name": made["name"],
        "display_name": "moved",
        // NSX takes no change of a peer without its key.
        "peer": { "address": "198.51.100.99", "psk": PSK },
        // Where they are groups in the cloud, they are given as rules all the same.
        "policy_based": bench.connection("192.168.88.0/24")["policy_based"],
    });
    json!({ "connection": connection, "update_mask": "displayName,peer.address,peer.psk,policyBased" })
}

/// The same, tried only.
pub fn tried(request: &Value) -> Value {
    let mut request = request.clone();
    request["validate_only"] = json!(true);
    request
}

/// A step that writes says what, and no value of it.
fn tells_what_is_written(plan: &Value) {
    for step in plan.as_array().unwrap() {
        let writes = matches!(
            step["action"].as_str().unwrap(),
            "ACTION_CREATE" | "ACTION_UPDATE"
        );
        assert_eq!(!step["fields"].is_null(), writes, "{step}");
        assert!(!step.to_string().contains(PSK), "the key came out");
    }
}

/// A part and a reference to the same thing, a part that the cloud has no kind for, and a part with something wrong in it are
/// refused before anything is sent, by the path of the part.
pub async fn what_is_wrong_is_refused_by_its_part(world: World) {
    let bench = Bench::start(world).await;
    let sound = bench.inline(1).await;
    for validate_only in [true, false] {
        let refused = async |request: &Value, paths: &[String]| {
            let mut request = request.clone();
            request["validate_only"] = json!(validate_only);
            let error = bench.create(&request).await.unwrap_err();
            assert_eq!(fields(&error), paths, "{error:?}");
            (error.code(), reason(&error))
        };
        for kind in PARTS {
            let path = vec![format!("parts.{}", field_of(kind))];
            let mut both = sound.clone();
            if Taken::read(&bench.site, kind).await.is_none() {
                both["parts"][field_of(kind)] = json!({ "display_name": "x" });
                let mut path = path;
                if kind == ResourceKind::LocalEndpoint {
                    // An address alone is left out, with a warning; an identity is not lost.
                    both["parts"][field_of(kind)] =
                        json!({ "address": "198.51.100.11", "local_id": "site.example" });
                    path[0].push_str(".local_id");
                }
                let (code, _) = refused(&both, &path).await;
                assert!(matches!(
                    code,
                    Code::InvalidArgument | Code::FailedPrecondition | Code::Unimplemented
                ));
                continue;
            }
            both["connection"][field_of(kind)] = json!(bench.site.name(kind, "x"));
            let (code, _) = refused(&both, &path).await;
            assert_eq!(code, Code::InvalidArgument);
        }
        let mut wrong = sound.clone();
        wrong["parts"]["ike_policy"]["display_name"] = json!("x".repeat(5000));
        let path = vec!["parts.ike_policy.display_name".to_owned()];
        refused(&wrong, &path).await;
    }
    assert_eq!(bench.writes(), []);
}

/// What a cloud has in another form gets that form, and its caller is told: when it is tried, made, and made once more under
/// the same id.
pub async fn what_becomes_of_a_description_is_told(world: World) {
    let bench = Bench::start(world).await;
    let mut request = bench.inline(1).await;
    request["request_id"] = json!("7d9f4b52-3f1e-4c43-9d0a-0c6f3a1b2c3d");
    request["connection"]["dpd"] = json!({ "interval": "30s", "timeout": "100s" });
    let parts = request["parts"].as_object_mut().unwrap();
    parts.remove("dpd_policy");
    let given = parts.entry("local_endpoint");
    given.or_insert(json!({ "address": "198.51.100.11" }));
    let taken = Taken::read(&bench.site, ResourceKind::IkePolicy).await;
    let groups = taken.unwrap().list("dh_groups");
    // Not every cloud has the first of these: then the other is used.
    request["parts"]["ike_policy"]["dh_groups"] = json!(["DH_GROUP_MODP_6144", groups[0]]);
    let knows_first = groups.contains(&"DH_GROUP_MODP_6144".to_owned());

    let mut expected = match world {
        World::Nsx => vec!["dpd.timeout"],
        _ => vec!["parts.local_endpoint.address"],
    };
    if !knows_first {
        expected.push("parts.ike_policy.dh_groups");
    }
    expected.sort_unstable();
    let mut told = Vec::new();
    for request in [tried(&request), request.clone(), request] {
        let answer = bench.create(&request).await.unwrap();
        let warnings = answer["warnings"].as_array().unwrap();
        let field = |it: &Value| it["field"].as_str().unwrap_or_default().to_owned();
        let mut fields: Vec<String> = warnings.iter().map(field).collect();
        fields.retain(|it| !it.is_empty());
        fields.sort_unstable();
        assert_eq!(fields, expected, "{warnings:?}");
        told.push(answer["connection"].clone());
    }
    assert_eq!(told[1]["name"], told[2]["name"]);
    assert_eq!(bench.collections_written(), sorted(consists_of(world)));
    bench.settle(&told[1]);
    let made = bench.get(&told[1]).await.unwrap();
    match made["dpd_policy"].as_str() {
        Some(name) => {
            let api = &bench.site.api;
            let profile = api.get(ResourceKind::DpdPolicy, name).await.unwrap();
            assert_eq!(
                (&profile["probe_interval"], &profile["retry_count"]),
                (&json!("30s"), &json!(4))
            );
        }
        None => assert_eq!(made["dpd"]["timeout"], "100s"),
    }
}
