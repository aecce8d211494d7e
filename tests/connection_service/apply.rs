//! A connection as it is described: made, left alone, changed, refused, and described again, over real sockets.

use crate::support::{
    clouds::PSK,
    running::{fields, id_of, reason},
    site::{BACKEND, Cloud, Site, World},
};
use isthmus::{
    model::ResourceKind,
    simulator::{nsx, openstack},
};
use serde_json::{Value, json};
use tonic::{Code, Status};
use tonic_types::{ErrorDetail, StatusExt};

const APPLY: &str = "ConnectionService/ApplyConnection";
const EXPORT: &str = "ConnectionService/ExportConnection";

/// The id of a write that is asked for again.
const REQUEST_ID: &str = "6f1c1e7e-52c0-4b4b-9d3e-0c5f8a1f6a21";

/// A site of one network, for any cloud; but for where it is attached.
fn description() -> Value {
    let proposals = json!({
        "encryption_algorithms": ["ENCRYPTION_ALGORITHM_AES_CBC_256"],
        "integrity_algorithms": ["INTEGRITY_ALGORITHM_HMAC_SHA2_256_128"],
        "dh_groups": ["DH_GROUP_MODP_2048"],
    });
    let mut ike = proposals.clone();
    ike["ike_version"] = json!("IKE_VERSION_2");
    ike["lifetime"] = json!({ "time": "28800s" });
    let mut ipsec = proposals;
    ipsec["lifetime"] = json!({ "time": "3600s" });
    json!({
        "parent": format!("backends/{BACKEND}"),
        "connection": {
            "display_name": "branch 42",
            "peer": { "address": "198.51.100.20", "psk": PSK },
            "dpd": { "interval": "30s", "timeout": "120s" },
            "policy_based": { "rules": [
                { "sources": ["10.10.1.0/24"], "destinations": ["192.168.77.0/24"] },
            ] },
        },
        "parts": { "ike_policy": ike, "ipsec_policy": ipsec },
    })
}

/// Where a site is attached to this cloud.
fn attach(site: &Site, description: &mut Value) {
    let parts = &mut description["parts"];
    parts["vpn_service"] = json!({ "router": site.free_router(1) });
    if let Cloud::Nsx(_) = site.cloud {
        parts["local_endpoint"] = json!({ "address": "198.51.100.1" });
    }
}

/// The description of a site that is attached to this cloud.
fn attached(site: &Site) -> Value {
    let mut described = description();
    attach(site, &mut described);
    described
}

fn tried(request: &Value) -> Value {
    let mut request = request.clone();
    request["validate_only"] = json!(true);
    request
}

async fn apply(site: &Site, request: &Value) -> Result<Value, Status> {
    site.api.call(APPLY, request).await
}

/// Applies it, and lets what is made or changed come to rest.
async fn applied(site: &Site, request: &Value) -> Value {
    let answer = apply(site, request).await;
    let answer = answer.unwrap_or_else(|error| panic!("{:?}: {error:?}", site.world));
    let id = id_of(answer["connection"]["name"].as_str().unwrap());
    match &site.cloud {
        Cloud::Nsx(cloud) => cloud.state().finish(&id),
        Cloud::Openstack(cloud) => {
            cloud.state().agent_reports(&id, "DOWN");
            cloud.state().agent_reports(&id, "ACTIVE");
        }
    }
    answer
}

async fn exported(site: &Site, name: &Value) -> Value {
    let answer = site.api.call(EXPORT, &json!({ "name": name })).await;
    answer.unwrap_or_else(|error| panic!("{:?}: {error:?}", site.world))
}

/// The request that has a described site be at a backend.
fn of(described: &Value) -> Value {
    json!({
        "parent": format!("backends/{BACKEND}"),
        "connection": described["connection"],
        "parts": described["parts"],
    })
}

/// What has a name is named in the error.
fn resources(status: &Status) -> Vec<String> {
    let details = status.get_error_details_vec().into_iter();
    details
        .filter_map(|detail| match detail {
            ErrorDetail::ResourceInfo(info) => Some(info.resource_name),
            _ => None,
        })
        .collect()
}

/// Somebody else makes a connection of theirs: nothing tells any more that it was the gateway.
fn disown(site: &Site, name: &Value) {
    let id = id_of(name.as_str().unwrap());
    match &site.cloud {
        Cloud::Nsx(cloud) => {
            let fields = json!({ "tags": [] });
            cloud.state().alter(nsx::Kind::Session, &id, fields);
        }
        Cloud::Openstack(cloud) => {
            let kind = openstack::Kind::Connection;
            let value = Some(json!(""));
            assert!(cloud.state().set_attribute(kind, &id, "description", value));
        }
    }
}

async fn what_is_missing_is_made_once_and_then_left_alone(world: World) {
    let site = Site::start(world).await;
    let request = attached(&site);
    let would = apply(&site, &tried(&request)).await.unwrap();
    assert_eq!(would["result"], "RESULT_CREATED");
    assert_eq!(would["connection"]["name"], Value::Null);
    assert_eq!(would["write_token"], Value::Null);
    assert_eq!(would["before"], Value::Null);
    let taken = &would["taken"];
    assert_eq!(taken["connection"]["display_name"], "branch 42");
    assert_eq!(
        taken["connection"]["peer"],
        json!({ "address": "198.51.100.20" })
    );
    let steps = would["plan"].as_array().unwrap();
    assert!(steps.len() > 4, "{steps:?}");
    assert_eq!(site.writes(), 0);

    let made = applied(&site, &request).await;
    assert_eq!(made["result"], "RESULT_CREATED");
    assert_ne!(made["write_token"], Value::Null);
    assert_eq!(made["connection"]["managed"], true);
    let name = &made["connection"]["name"];
    let writes = site.writes();
    assert_eq!(writes, steps.len() as u64);

    for request in [&tried(&request), &request] {
        let again = apply(&site, request).await.unwrap();
        assert_eq!(again["result"], "RESULT_UNCHANGED", "{again}");
        assert_eq!(&again["connection"]["name"], name);
        assert_eq!(again["write_token"], Value::Null);
        assert_eq!(again["plan"], Value::Null);
    }
    assert_eq!(site.writes(), writes, "nothing was written");
}

async fn what_differs_is_changed_in_its_place(world: World) {
    let site = Site::start(world).await;
    let mut request = attached(&site);
    let name = applied(&site, &request).await["connection"]["name"].clone();
    let elsewhere = json!(["192.168.78.0/24"]);
    request["connection"]["policy_based"]["rules"][0]["destinations"] = elsewhere.clone();
    let lifetime = |described: &Value| described["parts"]["ike_policy"]["lifetime"]["time"].clone();
    // Neutron fixes a policy while a connection uses it.
    let after = match world {
        World::Nsx => "43200s",
        _ => "28800s",
    };
    request["parts"]["ike_policy"]["lifetime"] = json!({ "time": after });

    let writes = site.writes();
    let would = apply(&site, &tried(&request)).await.unwrap();
    assert_eq!(would["result"], "RESULT_CHANGED");
    assert_eq!(would["connection"]["name"], name);
    assert_ne!(would["plan"], Value::Null);
    let networks = |described: &Value| {
        described["connection"]["policy_based"]["rules"][0]["destinations"].clone()
    };
    assert_eq!(networks(&would["before"]), json!(["192.168.77.0/24"]));
    assert_eq!(networks(&would["taken"]), elsewhere);
    assert_eq!(lifetime(&would["before"]), "28800s");
    assert_eq!(lifetime(&would["taken"]), after);
    assert_eq!(site.writes(), writes);

    let changed = applied(&site, &request).await;
    assert_eq!(changed["result"], "RESULT_CHANGED");
    assert_eq!(changed["connection"]["name"], name);
    assert_ne!(changed["write_token"], Value::Null);
    let there = exported(&site, &name).await["site"].clone();
    assert_eq!(networks(&there), elsewhere);
    assert_eq!(lifetime(&there), after);
    let again = apply(&site, &request).await.unwrap();
    assert_eq!(again["result"], "RESULT_UNCHANGED");
}

/// Only what is said is compared; and a key, which nobody can compare, is written if that is said.
async fn what_is_not_described_stays_as_it_is(world: World) {
    let site = Site::start(world).await;
    let name = applied(&site, &attached(&site)).await["connection"]["name"].clone();
    let writes = site.writes();
    let mut request = json!({
        "parent": format!("backends/{BACKEND}"),
        "connection": { "display_name": "branch 42" },
    });
    let said_nothing = apply(&site, &request).await.unwrap();
    assert_eq!(said_nothing["result"], "RESULT_UNCHANGED");
    request["connection"]["peer"] = json!({ "psk": "canary-of-another-key" });
    let keyed = apply(&site, &request).await.unwrap();
    assert_eq!(keyed["result"], "RESULT_UNCHANGED");
    assert_eq!(site.writes(), writes);

    request["write_key"] = json!(true);
    let written = applied(&site, &request).await;
    assert_eq!(written["result"], "RESULT_CHANGED");
    assert_eq!(written["connection"]["name"], name);
    assert!(site.writes() > writes);

    let named = json!({
        "parent": format!("backends/{BACKEND}"),
        "connection": { "name": name, "display_name": "branch 43" },
    });
    let renamed = applied(&site, &named).await;
    assert_eq!(renamed["result"], "RESULT_CHANGED");
    assert_eq!(renamed["connection"]["display_name"], "branch 43");
}

async fn a_repeat_is_answered_what_the_first_was(world: World) {
    let site = Site::start(world).await;
    let mut request = attached(&site);
    request["request_id"] = json!(REQUEST_ID);
    let first = applied(&site, &request).await;
    assert_eq!(first["result"], "RESULT_CREATED");
    let writes = site.writes();
    let second = apply(&site, &request).await.unwrap();
    for field in ["result", "write_token", "warnings"] {
        assert_eq!(second[field], first[field], "{field}");
    }
    assert_eq!(second["connection"]["name"], first["connection"]["name"]);
    assert_eq!(site.writes(), writes);

    request["write_key"] = json!(true);
    let other = apply(&site, &request).await.unwrap_err();
    assert_eq!(reason(&other), "REQUEST_ID_REUSED");
}

async fn what_only_a_new_connection_needs_is_told_by_field(world: World) {
    let site = Site::start(world).await;
    let mut request = json!({
        "parent": format!("backends/{BACKEND}"),
        "connection": { "display_name": "branch 42" },
        "parts": { "vpn_service": {} },
    });
    for validate_only in [true, false] {
        request["validate_only"] = json!(validate_only);
        let refused = apply(&site, &request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(
            fields(&refused),
            [
                "connection.peer.address",
                "connection.peer.psk",
                "connection.policy_based",
                "parts.vpn_service.router",
            ]
        );
    }
    let nobody = format!("backends/{BACKEND}/connections/nobody");
    request["connection"] = json!({ "name": nobody });
    request["parts"] = Value::Null;
    let missing = apply(&site, &request).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing:?}");
    assert_eq!(site.writes(), 0);
}

async fn what_cannot_become_so_is_told_by_field_and_nothing_is_written(world: World) {
    let site = Site::start(world).await;
    let mut request = attached(&site);
    applied(&site, &request).await;
    let writes = site.writes();
    let field = match world {
        World::Nsx => {
            let interface = json!({ "addresses": ["169.254.64.1/30"] });
            let connection = request["connection"].as_object_mut().unwrap();
            connection.remove("policy_based");
            connection.insert(
                "route_based".to_owned(),
                json!({ "tunnel_interfaces": [interface] }),
            );
            "connection.route_based"
        }
        _ => {
            request["parts"]["vpn_service"]["router"] = json!(site.other_router());
            "parts.vpn_service.router"
        }
    };
    for request in [&tried(&request), &request] {
        let refused = apply(&site, request).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(reason(&refused), "REPLACEMENT_NEEDED", "{refused:?}");
        assert_eq!(fields(&refused), [field]);
        assert!(!format!("{refused:?}").contains(PSK));
    }
    assert_eq!(site.writes(), writes);
}

async fn whoever_has_the_name_is_told_apart(world: World) {
    let site = Site::start(world).await;
    let mut request = attached(&site);
    let first = applied(&site, &request).await["connection"]["name"].clone();
    disown(&site, &first);
    let refused = apply(&site, &request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NOT_MANAGED");
    assert_eq!(resources(&refused), [first.as_str().unwrap()]);
    // By its name it is meant all the same.
    request["connection"]["name"] = first.clone();
    let named = apply(&site, &request).await.unwrap();
    assert_eq!(named["result"], "RESULT_UNCHANGED", "{named}");

    let mut made = Vec::new();
    for number in [21, 22] {
        let mut create = request.clone();
        create["reuse"] = json!("REUSE_ANY");
        let connection = &mut create["connection"];
        connection.as_object_mut().unwrap().remove("name");
        connection["peer"]["address"] = json!(format!("198.51.100.{number}"));
        let answer = site
            .api
            .call("ConnectionService/CreateConnection", &create)
            .await;
        made.push(
            answer.unwrap()["connection"]["name"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    made.sort();
    request["connection"]
        .as_object_mut()
        .unwrap()
        .remove("name");
    let refused = apply(&site, &request).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(reason(&refused), "NAME_NOT_UNIQUE");
    let mut told = resources(&refused);
    told.sort();
    assert_eq!(told, made);
}

/// What is described is what was applied, and can be applied as it is.
async fn what_is_described_is_so_already(world: World) {
    let site = Site::start(world).await;
    let made = applied(&site, &attached(&site)).await;
    let name = &made["connection"]["name"];
    let described = exported(&site, name).await["site"].clone();
    let connection = &described["connection"];
    assert_eq!(&connection["name"], name);
    for only_read in [
        "etag",
        "managed",
        "native",
        "nsx",
        "openstack",
        "create_time",
    ] {
        assert_eq!(connection[only_read], Value::Null, "{only_read}");
    }
    for reference in ["vpn_service", "local_endpoint", "ike_policy", "dpd_policy"] {
        assert_eq!(connection[reference], Value::Null, "{reference}");
    }
    assert_eq!(connection["peer"]["psk_set"], Value::Null);
    for (kind, part) in described["parts"].as_object().unwrap() {
        for only_read in ["name", "etag", "managed", "native_state"] {
            assert_eq!(part[only_read], Value::Null, "{kind}.{only_read}");
        }
    }
    let rule = &description()["connection"]["policy_based"]["rules"][0];
    assert_eq!(&connection["policy_based"]["rules"][0], rule);
    let writes = site.writes();
    let again = apply(&site, &of(&described)).await.unwrap();
    assert_eq!(again["result"], "RESULT_UNCHANGED", "{again}");
    assert_eq!(site.writes(), writes);
}

/// From one cloud to the other: without its name, attached there, and with a key.
async fn what_is_described_can_be_had_elsewhere(world: World) {
    let (from, to) = match world {
        World::Nsx => (World::Nsx, World::Neutron),
        _ => (world, World::Nsx),
    };
    let (from, to) = (Site::start(from).await, Site::start(to).await);
    let made = applied(&from, &attached(&from)).await;
    let mut request = of(&exported(&from, &made["connection"]["name"]).await["site"]);
    let parts = request["parts"].as_object_mut().unwrap();
    parts.remove("vpn_service");
    parts.remove("local_endpoint");
    attach(&to, &mut request);
    request["connection"]
        .as_object_mut()
        .unwrap()
        .remove("name");

    let keyless = apply(&to, &request).await.unwrap_err();
    assert_eq!(fields(&keyless), ["connection.peer.psk"]);
    request["connection"]["peer"]["psk"] = json!(PSK);
    let there = applied(&to, &request).await;
    assert_eq!(there["result"], "RESULT_CREATED");
    let there = exported(&to, &there["connection"]["name"]).await["site"].clone();
    let connections = [&there["connection"], &request["connection"]];
    for field in ["display_name", "policy_based"] {
        let [there, applied] = connections.map(|it| &it[field]);
        assert_eq!(there, applied, "{field}");
    }
    for field in ["interval", "timeout"] {
        let [there, applied] = connections.map(|it| &it["dpd"][field]);
        assert_eq!(there, applied, "dpd.{field}");
    }
    for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
        let field = crate::support::api::words(kind).field;
        for proposal in ["encryption_algorithms", "integrity_algorithms", "dh_groups"] {
            assert_eq!(
                there["parts"][field][proposal], request["parts"][field][proposal],
                "{field}.{proposal}"
            );
        }
    }
}

/// A cloud that takes host names has resolved it, so it is not known whether it is another; one that takes none refuses it.
async fn a_host_name_is_left_alone_only_where_it_can_have_been_resolved(world: World) {
    let site = Site::start(world).await;
    let mut request = attached(&site);
    applied(&site, &request).await;
    request["connection"]["peer"]["address"] = json!("peer.example");
    let writes = site.writes();
    for request in [request.clone(), tried(&request)] {
        let answer = apply(&site, &request).await;
        match world {
            World::Nsx => assert_eq!(fields(&answer.unwrap_err()), ["connection.peer.address"]),
            _ => {
                let answer = answer.unwrap();
                assert_eq!(answer["result"], "RESULT_UNCHANGED");
                assert_eq!(answer["warnings"][0]["field"], "peer.address");
            }
        }
    }
    assert_eq!(site.writes(), writes);
}

/// Whoever describes what he has read does so only while it is as he read it.
async fn what_was_changed_since_it_was_read_is_not_overwritten(world: World) {
    let site = Site::start(world).await;
    let mut request = attached(&site);
    // An etag is of something that is there.
    request["connection"]["etag"] = json!("of what was there");
    for request in [request.clone(), tried(&request)] {
        let refused = apply(&site, &request).await.unwrap_err();
        assert_eq!(reason(&refused), "STALE_ETAG", "{refused:?}");
    }
    assert_eq!(site.writes(), 0);
    request["connection"]
        .as_object_mut()
        .unwrap()
        .remove("etag");
    let made = applied(&site, &request).await;

    let get = json!({ "name": made["connection"]["name"] });
    let read = site.api.call("ConnectionService/GetConnection", &get).await;
    let etag = read.unwrap()["connection"]["etag"].clone();
    assert!(etag.is_string(), "{etag}");
    request["connection"]["etag"] = etag;
    let same = apply(&site, &request).await.unwrap();
    assert_eq!(same["result"], "RESULT_UNCHANGED");
    request["connection"]["initiation"] = json!("INITIATION_RESPOND_ONLY");
    let changed = applied(&site, &request).await;
    assert_eq!(changed["result"], "RESULT_CHANGED");

    let writes = site.writes();
    for request in [request.clone(), tried(&request)] {
        let refused = apply(&site, &request).await.unwrap_err();
        assert_eq!(refused.code(), Code::Aborted);
        assert_eq!(reason(&refused), "STALE_ETAG");
    }
    assert_eq!(site.writes(), writes);
}

macro_rules! on_both_clouds {
    ($($case:ident,)+) => {
        mod on_nsx {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::World::Nsx).await;
            })+
        }
        mod on_openstack {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::World::Neutron).await;
            })+
        }
    };
}

on_both_clouds! {
    what_is_missing_is_made_once_and_then_left_alone,
    what_differs_is_changed_in_its_place,
    what_is_not_described_stays_as_it_is,
    a_repeat_is_answered_what_the_first_was,
    what_only_a_new_connection_needs_is_told_by_field,
    what_cannot_become_so_is_told_by_field_and_nothing_is_written,
    whoever_has_the_name_is_told_apart,
    a_host_name_is_left_alone_only_where_it_can_have_been_resolved,
    what_was_changed_since_it_was_read_is_not_overwritten,
    what_is_described_is_so_already,
    what_is_described_can_be_had_elsewhere,
}
