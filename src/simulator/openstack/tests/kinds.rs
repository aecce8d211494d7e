//! Policies, services and groups: what each cloud accepts and shows, and what other projects cannot see.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::openstack::tests::{Bench, Got};
use crate::simulator::openstack::{OpenstackOptions, Series, Variant};

/// Each kind's path segment, its key in a body, and the smallest body that creates one.
fn kinds(bench: &Bench) -> [(&'static str, &'static str, Value); 4] {
    let router = bench.inventory.spare_router_id;
    [
        ("ikepolicies", "ikepolicy", json!({})),
        ("ipsecpolicies", "ipsecpolicy", json!({})),
        ("vpnservices", "vpnservice", json!({"router_id": router})),
        (
            "endpoint-groups",
            "endpoint_group",
            json!({"type": "cidr", "endpoints": ["10.2.0.0/24", "10.3.0.0/24"]}),
        ),
    ]
}

async fn bench(variant: Variant) -> Bench {
    Bench::new(OpenstackOptions {
        variant,
        ..OpenstackOptions::default()
    })
    .await
}

async fn write(bench: &Bench, method: Method, path: &str, key: &str, body: Value) -> Got {
    let path = format!("/v2.0/vpn/{path}");
    bench.call(method, &path, Some(json!({key: body}))).await
}

async fn make(bench: &Bench, segment: &str, key: &str, body: Value) -> Value {
    let got = write(bench, Method::POST, segment, key, body).await;
    assert_eq!(got.status, 201, "{segment}: {}", got.text);
    got.json()[key].clone()
}

fn keys(shown: &Value) -> String {
    let shown = shown.as_object().unwrap();
    let mut keys: Vec<_> = shown.keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys.join(" ")
}

fn with(mut body: Value, over: &Value) -> Value {
    let over = over.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(over);
    body
}

#[tokio::test]
async fn another_projects_objects_are_not_there() {
    let bench = bench(Variant::Neutron).await;
    let other = &bench.inventory.other;
    for ((segment, key, _), (id, kind)) in kinds(&bench).into_iter().zip([
        (other.ike_policy_id, "IKEPolicyNotFound"),
        (other.ipsec_policy_id, "IPsecPolicyNotFound"),
        (other.service_id, "VPNServiceNotFound"),
        (other.local_group_id, "VPNEndpointGroupNotFound"),
    ]) {
        let path = format!("/v2.0/vpn/{segment}/{id}");
        let absent = (404, kind.to_owned());
        let body = Some(json!({key: {"name": "mine now"}}));
        assert_eq!(bench.get(&path).await.refusal(), absent);
        assert_eq!(bench.call(Method::PUT, &path, body).await.refusal(), absent);
        let deleted = bench.call(Method::DELETE, &path, None).await;
        assert_eq!(deleted.refusal(), absent);
        let listed = bench.get(&format!("/v2.0/vpn/{segment}")).await.text;
        assert!(!listed.contains(id), "{segment}");
    }
}

#[tokio::test]
async fn what_is_fixed_cannot_be_changed_even_to_what_it_is() {
    let bench = bench(Variant::Neutron).await;
    for (segment, key, body) in kinds(&bench) {
        let made = make(&bench, segment, key, body).await;
        let path = format!("{segment}/{}", made["id"].as_str().unwrap());
        let fixed: &[&str] = match segment {
            "vpnservices" => &[
                "router_id",
                "subnet_id",
                "flavor_id",
                "status",
                "external_v4_ip",
            ],
            "endpoint-groups" => &["type", "endpoints"],
            _ => &[],
        };
        for name in ["id", "tenant_id"].iter().chain(fixed) {
            let over = json!({ *name: made[*name] });
            let got = write(&bench, Method::PUT, &path, key, over).await;
            assert_eq!(got.refusal(), (400, "HTTPBadRequest".to_owned()), "{name}");
            let message = format!("Cannot update read-only attribute {name}");
            assert_eq!(got.json()["NeutronError"]["message"], message);
        }
    }
}

#[tokio::test]
async fn the_next_release_has_forgotten_two_algorithms() {
    let bench = Bench::new(OpenstackOptions {
        series: Series::V2026_2,
        ..OpenstackOptions::default()
    })
    .await;
    for (segment, key) in [
        ("ikepolicies", "ikepolicy"),
        ("ipsecpolicies", "ipsecpolicy"),
    ] {
        let sha256 = json!({"auth_algorithm": "sha256"});
        let made = make(&bench, segment, key, sha256.clone()).await;
        let item = format!("{segment}/{}", made["id"].as_str().unwrap());
        for (method, path, body) in [
            (Method::POST, segment, json!({})),
            (Method::POST, segment, json!({"auth_algorithm": "sha1"})),
            (
                Method::POST,
                segment,
                with(sha256, &json!({"encryption_algorithm": "3des"})),
            ),
            (Method::PUT, &item, json!({"auth_algorithm": "sha1"})),
            (Method::PUT, &item, json!({"encryption_algorithm": "3des"})),
        ] {
            let got = write(&bench, method, path, key, body).await;
            assert_eq!(got.status, 500, "{}", got.text);
        }
        let unknown = bench.get(&format!("/v2.0/vpn/{segment}?nosuch=1")).await;
        assert_eq!(unknown.status, 400);
        let known = bench.get(&format!("/v2.0/vpn/{segment}?name=x")).await;
        assert_eq!(known.status, 200);
    }
}

#[tokio::test]
async fn open_telekom_cloud_has_algorithms_of_its_own() {
    let bench = bench(Variant::Otc).await;
    for (segment, key) in [
        ("ikepolicies", "ikepolicy"),
        ("ipsecpolicies", "ipsecpolicy"),
    ] {
        for fine in [
            json!({"auth_algorithm": "md5", "pfs": "group1", "encryption_algorithm": "3des"}),
            json!({"auth_algorithm": "sha2-256", "pfs": "disable", "description": "of a policy it may be"}),
            json!({"auth_algorithm": "sha2-512", "pfs": "group21", "lifetime": {"value": "604800"}}),
        ] {
            let made = make(&bench, segment, key, fine.clone()).await;
            for name in ["auth_algorithm", "pfs"] {
                assert_eq!(made[name], fine[name]);
            }
            assert!(made["lifetime"]["value"].is_u64(), "{made}");
        }
        for wrong in [
            json!({"auth_algorithm": "sha256"}),
            json!({"encryption_algorithm": "aes-256-gcm-16"}),
            json!({"pfs": "group31"}),
            json!({"lifetime": {"value": 604_801}}),
            json!({"lifetime": {"value": 59}}),
            json!({"name": "n".repeat(65)}),
        ] {
            let got = write(&bench, Method::POST, segment, key, wrong.clone()).await;
            assert_eq!(
                (got.status, &got.json()["code"]),
                (400, &json!("VPC.1001")),
                "{wrong}"
            );
        }
    }
}

#[tokio::test]
async fn open_telekom_cloud_shows_what_its_documents_show() {
    let bench = bench(Variant::Otc).await;
    let policy = "auth_algorithm description encryption_algorithm id ike_version lifetime name pfs \
                  phase1_negotiation_mode tenant_id";
    let esp = "auth_algorithm description encapsulation_mode encryption_algorithm id lifetime name pfs tenant_id \
               transform_protocol";
    let service = "admin_state_up created_at description external_v4_ip external_v6_ip id name order_id \
                   prepay_connection_num product_id resource_speccode router_id status subnet_id tenant_id";
    let tagged = service.replace("subnet_id tenant_id", "subnet_id tags tenant_id");
    let group = "description endpoints id name tenant_id type";
    let kinds = kinds(&bench);
    for ((segment, key, body), (written, read)) in kinds.into_iter().zip([
        (policy, policy),
        (esp, esp),
        (service, tagged.as_str()),
        (group, group),
    ]) {
        let made = make(&bench, segment, key, body).await;
        assert_eq!(keys(&made), written);
        let path = format!("/v2.0/vpn/{segment}/{}", made["id"].as_str().unwrap());
        assert_eq!(keys(&bench.get(&path).await.json()[key]), read);
        let listed = bench.get(&format!("/v2.0/vpn/{segment}")).await.json();
        let rows = listed[segment.replace('-', "_").as_str()]
            .as_array()
            .unwrap();
        assert!(rows.iter().all(|row| keys(row) == read), "{segment}");
        assert_eq!(bench.call(Method::DELETE, &path, None).await.status, 204);
    }
}

#[tokio::test]
async fn open_telekom_cloud_bounds_services_and_groups() {
    let bench = bench(Variant::Otc).await;
    let spare = bench.inventory.spare_router_id;
    for (segment, key, body) in [
        (
            "vpnservices",
            "vpnservice",
            json!({"router_id": spare, "admin_state_up": false}),
        ),
        (
            "endpoint-groups",
            "endpoint_group",
            json!({"type": "vlan", "endpoints": ["100"]}),
        ),
    ] {
        let got = write(&bench, Method::POST, segment, key, body).await;
        assert_eq!((got.status, &got.json()["code"]), (400, &json!("VPC.1001")));
    }
    let both = json!({"type": "cidr", "endpoints": ["10.10.1.0/24"]});
    let both = make(&bench, "endpoint-groups", "endpoint_group", both).await;
    let got = bench.create(json!({"peer_ep_group_id": both["id"]})).await;
    assert_eq!((got.status, &got.json()["code"]), (400, &json!("VPC.1016")));

    bench.cloud.state().set_one_service_per_router(true);
    let body = json!({"router_id": spare});
    make(&bench, "vpnservices", "vpnservice", body.clone()).await;
    let again = write(&bench, Method::POST, "vpnservices", "vpnservice", body).await;
    assert_eq!(
        (again.status, &again.json()["code"]),
        (400, &json!("VPC.1026"))
    );
}

#[tokio::test]
async fn k5_puts_every_object_in_a_zone_and_knows_what_neutron_knew_then() {
    let bench = bench(Variant::K5).await;
    let service =
        "admin_state_up availability_zone description id name router_id status subnet_id tenant_id";
    for (segment, key, body) in kinds(&bench).into_iter().take(3) {
        let made = make(&bench, segment, key, body.clone()).await;
        assert_eq!(made["availability_zone"], "AZ1", "without one, the default");
        let there = with(body, &json!({"availability_zone": "jp-east-1b"}));
        let made = make(&bench, segment, key, there).await;
        assert_eq!(made["availability_zone"], "jp-east-1b");
        let path = format!("{segment}/{}", made["id"].as_str().unwrap());
        let read = bench.get(&format!("/v2.0/vpn/{path}")).await.json()[key].clone();
        assert_eq!(read, made);
        assert_eq!(made.get("project_id"), None);
        if key == "vpnservice" {
            assert_eq!(keys(&made), service, "those of a recorded answer");
        }
        let moved = json!({"availability_zone": "jp-east-1a"});
        let got = write(&bench, Method::PUT, &path, key, moved).await;
        assert_eq!(got.refusal(), (400, "HTTPBadRequest".to_owned()));
    }
    for wrong in [
        json!({"auth_algorithm": "aes-cmac"}),
        json!({"encryption_algorithm": "aes-256-gcm-16"}),
        json!({"pfs": "group15"}),
    ] {
        let got = write(&bench, Method::POST, "ikepolicies", "ikepolicy", wrong).await;
        assert_eq!(got.refusal(), (400, "HTTPBadRequest".to_owned()));
    }
    let group = json!({"type": "cidr", "endpoints": ["10.0.0.0/8"]});
    let got = write(
        &bench,
        Method::POST,
        "endpoint-groups",
        "endpoint_group",
        group,
    )
    .await;
    assert_eq!(got.refusal(), (404, "HTTPNotFound".to_owned()));
    bench.cloud.state().set_one_service_per_router(true);
    let body = json!({"router_id": bench.inventory.spare_router_id});
    let again = write(&bench, Method::POST, "vpnservices", "vpnservice", body).await;
    assert_eq!(again.status, 409, "{}", again.text);
}

#[tokio::test]
async fn what_is_used_stays_on_the_other_clouds_too() {
    for variant in [Variant::Otc, Variant::K5] {
        let bench = bench(variant).await;
        let demo = &bench.inventory.project;
        let over = match variant {
            Variant::K5 => json!({
                "local_ep_group_id": null, "peer_ep_group_id": null, "peer_cidrs": ["10.1.0.0/24"],
            }),
            _ => json!({}),
        };
        bench.created(over).await;
        for (segment, id, kind) in [
            ("ikepolicies", demo.ike_policy_id, "IKEPolicyInUse"),
            ("ipsecpolicies", demo.ipsec_policy_id, "IPsecPolicyInUse"),
            ("vpnservices", demo.service_id, "VPNServiceInUse"),
        ] {
            let path = format!("/v2.0/vpn/{segment}/{id}");
            let got = bench.call(Method::DELETE, &path, None).await;
            assert_eq!(got.refusal(), (409, kind.to_owned()));
        }
    }
}

#[tokio::test]
async fn extensions_say_what_a_cloud_is_old_enough_for() {
    for (variant, expected) in [
        (Variant::Neutron, [200, 200, 200]),
        (Variant::Otc, [200, 200, 404]),
        (Variant::K5, [200, 404, 404]),
    ] {
        let bench = bench(variant).await;
        let mut found = Vec::new();
        for alias in ["vpnaas", "vpn-endpoint-groups", "vpn-aes-ctr"] {
            let path = format!("/v2.0/extensions/{alias}");
            found.push(bench.get(&path).await.status);
        }
        assert_eq!(found, expected, "{variant:?}");
    }
}
