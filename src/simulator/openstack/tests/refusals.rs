//! Refused writes, by the type of the refusal.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::openstack::tests::{Bench, CONNECTIONS, got};
use crate::simulator::openstack::{Kind, OpenstackOptions, Series};

const ABSENT: &str = "00000000-0000-0000-0000-000000000000";

#[tokio::test]
async fn every_mistake_in_a_post_has_its_own_refusal() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let (demo, other) = (&bench.inventory.project, &bench.inventory.other);
    let v6 = group(&bench, "subnet", json!([demo.subnet_v6_id])).await;
    let peers_v6 = group(&bench, "cidr", json!(["2001:db8:77::/64"])).await;
    let mixed = group(&bench, "cidr", json!(["10.9.0.0/16", "2001:db8::/32"])).await;
    let foreign = group(&bench, "subnet", json!([other.subnet_id])).await;
    let ah_esp =
        json!({"ipsecpolicy": {"auth_algorithm": "sha256", "transform_protocol": "ah-esp"}});
    let ah_esp = bench
        .call(Method::POST, "/v2.0/vpn/ipsecpolicies", Some(ah_esp))
        .await
        .json()["ipsecpolicy"]
        .clone();
    let legacy = |over: Value| {
        let mut wanted = json!({
            "vpnservice_id": demo.legacy_service_id, "local_ep_group_id": null, "peer_ep_group_id": null,
        });
        wanted
            .as_object_mut()
            .unwrap()
            .extend(over.as_object().unwrap().clone());
        wanted
    };
    let long = "x".repeat(300);
    for (over, status, kind) in [
        (json!({"psk": null}), 400, "HTTPBadRequest"),
        (json!({"psk": 7}), 400, "HTTPBadRequest"),
        (json!({"psk": long}), 500, "HTTPInternalServerError"),
        (json!({"local_id": long}), 500, "HTTPInternalServerError"),
        (
            json!({"peer_address": long}),
            500,
            "HTTPInternalServerError",
        ),
        (json!({"name": "🔐"}), 500, "HTTPInternalServerError"),
        (
            json!({"description": "x".repeat(256)}),
            400,
            "HTTPBadRequest",
        ),
        (
            json!({"peer_address": "no.such.host.invalid"}),
            400,
            "VPNPeerAddressNotResolved",
        ),
        (
            json!({"vpnservice_id": ABSENT}),
            500,
            "HTTPInternalServerError",
        ),
        (
            json!({"vpnservice_id": other.service_id}),
            404,
            "VPNServiceNotFound",
        ),
        (json!({"ikepolicy_id": ABSENT}), 404, "IKEPolicyNotFound"),
        (
            json!({"ikepolicy_id": other.ike_policy_id}),
            404,
            "IKEPolicyNotFound",
        ),
        (json!({"ikepolicy_id": "x"}), 400, "HTTPBadRequest"),
        (
            json!({"ipsecpolicy_id": ABSENT}),
            404,
            "IPsecPolicyNotFound",
        ),
        (
            json!({"ipsecpolicy_id": ah_esp["id"]}),
            400,
            "IpsecValidationFailure",
        ),
        (
            json!({"local_ep_group_id": ABSENT}),
            404,
            "VPNEndpointGroupNotFound",
        ),
        (
            json!({"local_ep_group_id": null}),
            400,
            "MissingRequiredEndpointGroup",
        ),
        (
            json!({"local_ep_group_id": demo.peer_group_id}),
            400,
            "WrongEndpointGroupType",
        ),
        (
            json!({"local_ep_group_id": foreign}),
            400,
            "SubnetIsNotConnectedToRouter",
        ),
        (
            json!({"local_ep_group_id": v6}),
            400,
            "MixedIPVersionsForIPSecConnection",
        ),
        (
            json!({"peer_ep_group_id": mixed}),
            400,
            "MixedIPVersionsForIPSecEndpoints",
        ),
        (
            json!({"peer_cidrs": ["192.168.5.0/24"]}),
            400,
            "PeerCidrsInvalid",
        ),
        (legacy(json!({})), 400, "MissingPeerCidrs"),
        (
            legacy(json!({"peer_cidrs": ["10.0.0.0/8"], "peer_ep_group_id": mixed})),
            400,
            "InvalidEndpointGroup",
        ),
        (
            legacy(json!({"peer_cidrs": ["10.0.0.0/8", "2001:db8::/32"]})),
            400,
            "MixedIPVersionsForPeerCidrs",
        ),
        (
            legacy(json!({"peer_cidrs": ["nonsense"]})),
            400,
            "HTTPBadRequest",
        ),
        (
            json!({"dpd": {"interval": 30, "timeout": 30}}),
            400,
            "IPsecSiteConnectionDpdIntervalValueError",
        ),
        (
            json!({"dpd": {"interval": 130}}),
            400,
            "IPsecSiteConnectionDpdIntervalValueError",
        ),
        (json!({"dpd": {"acton": "hold"}}), 400, "HTTPBadRequest"),
        (json!({"mtu": 67}), 400, "IPsecSiteConnectionMtuError"),
        (json!({"mtu": "big"}), 400, "InvalidInput"),
        (
            json!({"local_ep_group_id": v6, "peer_ep_group_id": peers_v6, "mtu": 1279}),
            400,
            "IPsecSiteConnectionMtuError",
        ),
        (json!({"admin_state_up": "maybe"}), 400, "InvalidInput"),
        (json!({"initiator": "x"}), 400, "HTTPBadRequest"),
        (json!({"status": "ACTIVE"}), 400, "HTTPBadRequest"),
        (json!({"auth_mode": "psk"}), 400, "HTTPBadRequest"),
        (
            json!({"project_id": other.project_id}),
            400,
            "HTTPBadRequest",
        ),
        (json!({"bogus": 1, "mtu": "big"}), 400, "HTTPBadRequest"),
    ] {
        let got = bench.create(over.clone()).await;
        assert_eq!(
            got.refusal(),
            (status, kind.to_owned()),
            "{over}: {}",
            got.text
        );
    }
    assert!(bench.cloud.state().ids(Kind::Connection).is_empty());
}

#[tokio::test]
async fn what_a_connection_uses_stays() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let demo = &bench.inventory.project;
    let id = bench.created(json!({})).await;
    let used = [
        ("ikepolicies", demo.ike_policy_id, 409, "IKEPolicyInUse"),
        (
            "ipsecpolicies",
            demo.ipsec_policy_id,
            409,
            "IPsecPolicyInUse",
        ),
        ("vpnservices", demo.service_id, 409, "VPNServiceInUse"),
        (
            "endpoint-groups",
            demo.peer_group_id,
            400,
            "EndpointGroupInUse",
        ),
    ];
    for (segment, id, status, kind) in used {
        let got = bench
            .call(Method::DELETE, &format!("/v2.0/vpn/{segment}/{id}"), None)
            .await;
        assert_eq!(got.refusal(), (status, kind.to_owned()));
    }
    let body = json!({"ikepolicy": {"description": "x"}});
    let put = bench
        .call(
            Method::PUT,
            &format!("/v2.0/vpn/ikepolicies/{}", demo.ike_policy_id),
            Some(body),
        )
        .await;
    assert_eq!(put.refusal(), (409, "IKEPolicyInUse".to_owned()));
    assert_eq!(
        bench
            .call(Method::DELETE, &format!("{CONNECTIONS}/{id}"), None)
            .await
            .status,
        204
    );
    assert_eq!(
        bench.get(&format!("{CONNECTIONS}/{id}")).await.refusal(),
        (404, "IPsecSiteConnectionNotFound".to_owned())
    );
    for (segment, id, ..) in used {
        let got = bench
            .call(Method::DELETE, &format!("/v2.0/vpn/{segment}/{id}"), None)
            .await;
        assert_eq!(got.status, 204, "{}", got.text);
    }
}

#[tokio::test]
async fn odd_requests_are_refused_in_neutrons_words() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let item = format!(
        "/v2.0/vpn/ikepolicies/{}",
        bench.inventory.project.ike_policy_id
    );
    for (method, path, body, status, kind) in [
        (
            Method::PATCH,
            item.as_str(),
            "{}",
            405,
            "HTTPMethodNotAllowed",
        ),
        (
            Method::POST,
            item.as_str(),
            "{}",
            405,
            "HTTPMethodNotAllowed",
        ),
        (
            Method::POST,
            CONNECTIONS,
            "{\"ipsec",
            400,
            "MalformedRequestBody",
        ),
        (Method::POST, CONNECTIONS, "", 400, "HTTPBadRequest"),
        (Method::POST, CONNECTIONS, "[]", 400, "HTTPBadRequest"),
        (Method::GET, "/v2.0/vpn/nosuch", "", 404, "HTTPNotFound"),
        (
            Method::GET,
            "/v2.0/vpn/ikepolicies/not-a-uuid",
            "",
            404,
            "IKEPolicyNotFound",
        ),
    ] {
        let url = format!("{}{path}", bench.cloud.neutron_url());
        let request = bench
            .client
            .request(method, url)
            .header("x-auth-token", &bench.token)
            .body(body);
        assert_eq!(got(request).await.refusal(), (status, kind.to_owned()));
    }
    bench.cloud.state().set_quota(
        bench.inventory.project.project_id,
        Kind::Connection,
        Some(0),
    );
    assert_eq!(
        bench.create(json!({})).await.refusal(),
        (409, "OverQuota".to_owned())
    );
    assert_eq!(
        bench.create(json!({"mtu": "big"})).await.refusal().1,
        "InvalidInput"
    );
}

#[tokio::test]
async fn the_next_release_refuses_its_own_default() {
    let bench = Bench::new(OpenstackOptions {
        series: Series::V2026_2,
        ..OpenstackOptions::default()
    })
    .await;
    let post = |body: Value| {
        bench.call(
            Method::POST,
            "/v2.0/vpn/ikepolicies",
            Some(json!({"ikepolicy": body})),
        )
    };
    assert_eq!(post(json!({})).await.status, 500);
    assert_eq!(post(json!({"auth_algorithm": "sha256"})).await.status, 201);
    assert_eq!(bench.create(json!({"name": "🔐"})).await.status, 400);
    let got = bench.get(&format!("{CONNECTIONS}?nosuch=1")).await;
    assert_eq!(
        got.json()["NeutronError"]["message"],
        "['nosuch'] is invalid attribute for filtering"
    );
}

async fn group(bench: &Bench, kind: &str, endpoints: Value) -> Value {
    let body = json!({"endpoint_group": {"type": kind, "endpoints": endpoints}});
    let got = bench
        .call(Method::POST, "/v2.0/vpn/endpoint-groups", Some(body))
        .await;
    assert_eq!(got.status, 201, "{}", got.text);
    got.json()["endpoint_group"]["id"].clone()
}
