//! Quotas: reading, setting and exceeding them.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::openstack::tests::Bench;
use crate::simulator::openstack::{OpenstackOptions, Variant};

#[tokio::test]
async fn a_member_reads_its_own_and_an_administrator_sets_them() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let (demo, other) = (&bench.inventory.project, &bench.inventory.other);
    let path = format!("/v2.0/quotas/{}", demo.project_id);
    let own = bench.get(&path).await.json();
    // The members of recorded pair 261.
    let names = "endpoint_group floatingip ikepolicy ipsec_site_connection ipsecpolicy network port rbac_policy \
                 router security_group security_group_rule subnet subnetpool vpnservice";
    let quota = own["quota"].as_object().unwrap();
    let mut keys: Vec<_> = quota.keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys.join(" "), names);
    assert_eq!(own["quota"]["ikepolicy"], -1);
    let details = bench.get(&format!("{path}/details")).await.json();
    assert_eq!(
        (
            &details["quota"]["ikepolicy"],
            &details["quota"]["router"]["used"]
        ),
        (&json!({"limit": -1, "used": 1, "reserved": 0}), &json!(3))
    );
    let foreign = format!("/v2.0/quotas/{}", other.project_id);
    for path in [foreign.clone(), format!("{foreign}/details")] {
        let refused = (403, "PolicyNotAuthorized".to_owned());
        assert_eq!(bench.get(&path).await.refusal(), refused);
    }
    let put = Some(json!({"quota": {"ikepolicy": 5}}));
    let refused = bench.call(Method::PUT, &path, put.clone()).await.refusal();
    assert_eq!(refused, (403, "PolicyNotAuthorized".to_owned()));
    let refused = bench.call(Method::DELETE, &path, None).await.refusal();
    assert_eq!(refused, (403, "PolicyNotAuthorized".to_owned()));

    let admin = bench.log_in(&bench.inventory.admin, Some("demo")).await;
    let set = bench.call_as(&admin, Method::PUT, &path, put).await;
    assert_eq!(
        (set.status, &set.json()["quota"]["ikepolicy"]),
        (200, &json!(5))
    );
    for wrong in [
        json!({"ikepolicy": 0}),
        json!({"nosuch": 1}),
        json!({"ikepolicy": "many"}),
    ] {
        let body = Some(json!({"quota": wrong}));
        let got = bench.call_as(&admin, Method::PUT, &path, body).await;
        assert_eq!(got.refusal(), (400, "HTTPBadRequest".to_owned()), "{wrong}");
    }
    assert_eq!(
        bench
            .call_as(&admin, Method::DELETE, &path, None)
            .await
            .status,
        204
    );
    assert_eq!(
        bench
            .call_as(&admin, Method::DELETE, &path, None)
            .await
            .refusal(),
        (404, "TenantQuotaNotFound".to_owned())
    );
}

#[tokio::test]
async fn one_more_than_the_quota_is_refused_for_every_kind() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let (demo, router) = (&bench.inventory.project, bench.inventory.spare_router_id);
    let admin = bench.log_in(&bench.inventory.admin, Some("demo")).await;
    let limits = json!({
        "ikepolicy": 1, "ipsecpolicy": 1, "endpoint_group": 2, "vpnservice": 2, "ipsec_site_connection": 0,
    });
    let path = format!("/v2.0/quotas/{}", demo.project_id);
    let body = Some(json!({"quota": limits}));
    assert_eq!(
        bench.call_as(&admin, Method::PUT, &path, body).await.status,
        200
    );
    let post = async |segment: &str, body: Value| {
        bench
            .call(Method::POST, &format!("/v2.0/vpn/{segment}"), Some(body))
            .await
    };
    for (segment, body) in [
        ("ikepolicies", json!({"ikepolicy": {}})),
        ("ipsecpolicies", json!({"ipsecpolicy": {}})),
        (
            "endpoint-groups",
            json!({"endpoint_group": {"type": "cidr", "endpoints": ["10.0.0.0/8"]}}),
        ),
        ("vpnservices", json!({"vpnservice": {"router_id": router}})),
        ("ipsec-site-connections", bench.wanted(json!({}))),
    ] {
        let got = post(segment, body).await;
        assert_eq!(got.refusal(), (409, "OverQuota".to_owned()), "{segment}");
    }
    // The request's own faults are reported first.
    let wrong = post("ikepolicies", json!({"ikepolicy": {"pfs": "x"}})).await;
    assert_eq!(wrong.refusal(), (400, "HTTPBadRequest".to_owned()));
}

#[tokio::test]
async fn open_telekom_cloud_has_a_code_for_it_and_k5_counts_no_groups() {
    for variant in [Variant::Otc, Variant::K5] {
        let bench = Bench::new(OpenstackOptions {
            variant,
            ..OpenstackOptions::default()
        })
        .await;
        let demo = bench.inventory.project.project_id;
        let own = bench.get(&format!("/v2.0/quotas/{demo}")).await.json();
        let groups = own["quota"].get("endpoint_group").is_some();
        assert_eq!(groups, variant == Variant::Otc);
        let kind = crate::simulator::openstack::Kind::IkePolicy;
        bench.cloud.state().set_quota(demo, kind, Some(1));
        let body = Some(json!({"ikepolicy": {}}));
        let got = bench
            .call(Method::POST, "/v2.0/vpn/ikepolicies", body)
            .await;
        match variant {
            Variant::Otc => {
                assert_eq!((got.status, &got.json()["code"]), (400, &json!("VPC.1003")))
            }
            _ => assert_eq!(got.refusal(), (409, "OverQuota".to_owned())),
        }
    }
}
