//! The clouds that differ from stock Neutron.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::openstack::tests::{Bench, CONNECTIONS};
use crate::simulator::openstack::{OpenstackOptions, Variant};

#[tokio::test]
async fn open_telekom_cloud_repeats_a_key_and_knows_no_project() {
    let options = OpenstackOptions {
        variant: Variant::Otc,
        blank_in_status: true,
        ..OpenstackOptions::default()
    };
    let bench = Bench::new(options).await;
    let got = bench.create(json!({"name": "otc"})).await;
    assert_eq!(got.status, 201, "{}", got.text);
    assert_eq!(got.text.matches("\"vpnservice_id\"").count(), 2);
    let shown = got.json()["ipsec_site_connection"].clone();
    assert_eq!(
        shown["vpnservice_id"], bench.inventory.project.service_id,
        "the last one is right"
    );
    assert_eq!(shown["status"], "PENDING CREATE");
    assert_eq!(shown["tenant_id"], bench.inventory.project.project_id);
    assert_eq!(
        (&shown["order_id"], &shown["product_id"], &shown["tags"]),
        (&json!(""), &json!(""), &json!([]))
    );
    let created = shown["created_at"].as_str().unwrap();
    assert_eq!(
        (
            created.len(),
            created.as_bytes()[10],
            created.as_bytes()[19]
        ),
        (26, b' ', b'.')
    );
    let keys = "admin_state_up auth_mode created_at description dpd id ikepolicy_id initiator ipsecpolicy_id \
                local_ep_group_id mtu name order_id peer_address peer_cidrs peer_ep_group_id peer_id product_id psk \
                route_mode status tags tenant_id vpnservice_id";
    assert_eq!(
        sorted_keys(&shown),
        keys,
        "those of the documents' example, no more and no less"
    );
    // The examples of the two documents, of 2025 and earlier, have different keys.
    let id = shown["id"].as_str().unwrap();
    let listed = bench.get(CONNECTIONS).await.json();
    let listed = &listed["ipsec_site_connections"][0];
    assert_eq!(sorted_keys(listed), keys);
    let alone = bench.get(&format!("{CONNECTIONS}/{id}")).await.json();
    let alone = &alone["ipsec_site_connection"];
    let keys = "admin_state_up auth_mode description dpd id ikepolicy_id initiator ipsecpolicy_id local_ep_group_id mtu \
                name peer_address peer_cidrs peer_ep_group_id peer_id project_id psk route_mode status tenant_id \
                vpnservice_id";
    assert_eq!(sorted_keys(alone), keys);
    assert_eq!(alone["project_id"], alone["tenant_id"]);
    let unknown = bench
        .get(&format!("{CONNECTIONS}?fields=id&limit=abc&name=nobody"))
        .await;
    assert_eq!(
        unknown.json()["ipsec_site_connections"][0]
            .as_object()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn open_telekom_cloud_refuses_what_its_documents_bound() {
    let options = OpenstackOptions {
        variant: Variant::Otc,
        blank_in_status: true,
        ..OpenstackOptions::default()
    };
    let bench = Bench::new(options).await;
    for over in [
        json!({"psk": "short"}),
        json!({"psk": "k".repeat(129)}),
        json!({"peer_id": "i".repeat(251)}),
        json!({"peer_address": "h".repeat(251)}),
        json!({"psk": "with a blank"}),
        json!({"mtu": 1400}),
        json!({"admin_state_up": false}),
        json!({"local_id": "x"}),
        json!({"description": "mine"}),
    ] {
        let got = bench.create(over.clone()).await;
        assert_eq!(
            (got.status, &got.json()["code"]),
            (400, &json!("VPC.1001")),
            "{over}"
        );
    }
}

#[tokio::test]
async fn k5_has_a_zone_and_no_groups() {
    let options = OpenstackOptions {
        variant: Variant::K5,
        at_before_peer_id: true,
        ..OpenstackOptions::default()
    };
    let bench = Bench::new(options).await;
    let legacy =
        json!({"local_ep_group_id": null, "peer_ep_group_id": null, "peer_cidrs": ["10.1.0.0/24"]});
    let got = bench.create(legacy.clone()).await;
    assert_eq!(got.status, 201, "{}", got.text);
    let shown = got.json()["ipsec_site_connection"].clone();
    assert_eq!(
        (&shown["availability_zone"], &shown["peer_id"]),
        (&json!("AZ1"), &json!("@198.51.100.20"))
    );
    let keys = "admin_state_up auth_mode availability_zone description dpd id ikepolicy_id initiator ipsecpolicy_id mtu \
                name peer_address peer_cidrs peer_id psk route_mode status tenant_id vpnservice_id";
    assert_eq!(
        sorted_keys(&shown),
        keys,
        "those of the documents' example, no more and no less"
    );
    for over in [
        json!({}),
        json!({"dpd": {"action": "clear"}}),
        json!({"dpd": {"action": "disabled"}}),
        json!({"dpd": {"action": "restart-by-peer"}}),
        json!({"peer_address": "localhost"}),
        json!({"peer_address": "2001:db8::1"}),
        json!({"peer_address": "127.0.0.1"}),
    ] {
        let mut wanted = legacy.clone();
        match over.as_object().unwrap() {
            over if over.is_empty() => wanted = json!({}),
            over => wanted.as_object_mut().unwrap().extend(over.clone()),
        }
        assert_eq!(
            bench.create(wanted).await.refusal(),
            (400, "HTTPBadRequest".to_owned()),
            "{over}"
        );
    }
    let groups = bench
        .call(Method::GET, "/v2.0/vpn/endpoint-groups", None)
        .await;
    assert_eq!(groups.refusal(), (404, "HTTPNotFound".to_owned()));
}

fn sorted_keys(shown: &Value) -> String {
    let mut keys: Vec<_> = shown
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys.join(" ")
}
