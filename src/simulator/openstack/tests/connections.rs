//! Which connections can be written, and how they are stored.

use serde_json::json;

use crate::simulator::openstack::OpenstackOptions;
use crate::simulator::openstack::tests::{Bench, CONNECTIONS};

#[tokio::test]
async fn oddities_that_pass_are_answered_as_they_are_kept() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let legacy = bench.inventory.project.legacy_service_id;
    for (over, shown) in [
        (json!({"psk": ""}), json!({"psk": ""})),
        (json!({"psk": "\"\\\nключ"}), json!({"psk": "\"\\\nключ"})),
        (
            json!({"peer_address": "localhost"}),
            json!({"peer_address": "127.0.0.1"}),
        ),
        (
            json!({"peer_address": "2001:db8::1"}),
            json!({"peer_address": "2001:db8::1"}),
        ),
        (json!({"mtu": "1400"}), json!({"mtu": 1400})),
        (json!({"mtu": 0}), json!({"mtu": 0})),
        (
            json!({"dpd": {"action": "restart", "interval": 0}}),
            json!({
                "dpd": {"action": "restart", "interval": 0, "timeout": 120}, "status": "PENDING_CREATE",
            }),
        ),
        (
            json!({
                "vpnservice_id": legacy, "local_ep_group_id": null, "peer_ep_group_id": null,
                "peer_cidrs": ["192.168.5.1/24"],
            }),
            json!({"peer_cidrs": ["192.168.5.1/24"], "local_ep_group_id": null}),
        ),
    ] {
        let got = bench.create(over).await.json()["ipsec_site_connection"].clone();
        for (name, value) in shown.as_object().unwrap() {
            assert_eq!(&got[name], value);
        }
        let id = got["id"].as_str().unwrap();
        let again =
            bench.get(&format!("{CONNECTIONS}/{id}")).await.json()["ipsec_site_connection"].clone();
        assert_eq!(again, got);
    }
}

#[tokio::test]
async fn a_put_merges_and_keeps_what_is_fixed() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let demo = &bench.inventory.project;
    let id = bench.created(json!({})).await;
    bench.cloud.state().agent_reports(&id, "ACTIVE");
    let got = bench
        .put(&id, json!({"dpd": {"interval": 40}, "psk": "another"}))
        .await
        .json();
    let shown = &got["ipsec_site_connection"];
    assert_eq!(
        shown["dpd"],
        json!({"action": "hold", "interval": 40, "timeout": 120})
    );
    assert_eq!(
        (&shown["psk"], &shown["status"]),
        (&json!("another"), &json!("ACTIVE"))
    );
    for (over, kind) in [
        (
            json!({"dpd": {"interval": 400}}),
            "IPsecSiteConnectionDpdIntervalValueError",
        ),
        (json!({"mtu": 60}), "IPsecSiteConnectionMtuError"),
        (json!({"peer_cidrs": ["10.66.0.0/16"]}), "PeerCidrsInvalid"),
        (
            json!({"peer_ep_group_id": null}),
            "MissingRequiredEndpointGroup",
        ),
        (
            json!({"ikepolicy_id": demo.ike_policy_id}),
            "HTTPBadRequest",
        ),
        (json!({"project_id": demo.project_id}), "HTTPBadRequest"),
        (json!({"status": "DOWN"}), "HTTPBadRequest"),
        (json!({"bogus": 1}), "HTTPBadRequest"),
    ] {
        let got = bench.put(&id, over).await;
        assert_eq!(got.refusal(), (400, kind.to_owned()), "{}", got.text);
    }
    assert_eq!(bench.put(&id, json!({})).await.status, 200);
}

#[tokio::test]
async fn peer_cidrs_come_back_in_an_order_of_their_own() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let legacy = bench.inventory.project.legacy_service_id;
    let none = json!({
        "vpnservice_id": legacy, "local_ep_group_id": null, "peer_ep_group_id": null, "peer_cidrs": ["10.0.0.0/8"],
    });
    let id = bench.created(none).await;
    bench.cloud.state().agent_reports(&id, "ACTIVE");
    let put = bench
        .put(
            &id,
            json!({"peer_cidrs": ["192.168.3.0/24", "192.168.1.0/24"]}),
        )
        .await
        .json();
    assert_eq!(
        put["ipsec_site_connection"]["peer_cidrs"],
        json!(["192.168.3.0/24", "192.168.1.0/24"])
    );
    let get = bench.get(&format!("{CONNECTIONS}/{id}")).await.json();
    assert_eq!(
        get["ipsec_site_connection"]["peer_cidrs"],
        json!(["192.168.1.0/24", "192.168.3.0/24"])
    );
}
