//! Routers, subnets and ports: enough to find where a VPN can be attached, without another tool.

use http::Method;
use serde_json::{Value, json};

use crate::simulator::openstack::tests::Bench;
use crate::simulator::openstack::{OpenstackOptions, Series, Variant};

fn ids<'a>(body: &'a Value, plural: &str) -> Vec<&'a str> {
    let rows = body[plural].as_array().unwrap();
    rows.iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_router_says_whether_it_has_a_gateway_and_where() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let inventory = &bench.inventory;
    let listed = bench.get("/v2.0/routers").await.json();
    assert_eq!(
        ids(&listed, "routers"),
        [
            inventory.project.router_id,
            inventory.router_without_gateway,
            inventory.spare_router_id
        ]
    );
    let gateway = |place: usize| &listed["routers"][place]["external_gateway_info"];
    let addresses = |place: usize| -> Vec<&Value> {
        let fixed = gateway(place)["external_fixed_ips"].as_array().unwrap();
        fixed.iter().map(|ip| &ip["ip_address"]).collect()
    };
    assert_eq!(
        addresses(0),
        [&json!("203.0.113.166"), &json!("2001:db8:ffff::166")]
    );
    assert_eq!(gateway(1), &Value::Null);
    assert_eq!(addresses(2), [&json!("203.0.113.168")]);
    let one = format!("/v2.0/routers/{}", inventory.spare_router_id);
    assert_eq!(bench.get(&one).await.json()["router"], listed["routers"][2]);
    let other = format!("/v2.0/routers/{}", inventory.other.router_id);
    assert_eq!(
        bench.get(&other).await.refusal(),
        (404, "RouterNotFound".to_owned())
    );
    let delete = bench.call(Method::DELETE, &one, None).await;
    assert_eq!(delete.refusal(), (404, "HTTPNotFound".to_owned()));
}

#[tokio::test]
async fn the_ports_of_a_router_lead_to_its_subnets() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let demo = &bench.inventory.project;
    let of_router = format!("/v2.0/ports?device_id={}", demo.router_id);
    let ports = bench.get(&of_router).await.json();
    let mut subnets = Vec::new();
    for port in ports["ports"].as_array().unwrap() {
        assert_eq!(port["device_owner"], "network:router_interface");
        let id = port["fixed_ips"][0]["subnet_id"].as_str().unwrap();
        let path = format!("/v2.0/subnets/{id}");
        let subnet = bench.get(&path).await.json()["subnet"].clone();
        assert_eq!(subnet["network_id"], port["network_id"]);
        assert_eq!(subnet["gateway_ip"], port["fixed_ips"][0]["ip_address"]);
        subnets.push((id.to_owned(), subnet["cidr"].clone()));
    }
    let expected = [
        (demo.subnet_id, "10.10.1.0/24"),
        (demo.legacy_subnet_id, "10.10.2.0/24"),
        (demo.subnet_v6_id, "2001:db8:10::/64"),
    ];
    assert_eq!(
        subnets,
        expected.map(|(id, cidr)| (id.to_owned(), json!(cidr)))
    );
    let lone = bench.inventory.lone_subnet_id;
    let all = bench.get("/v2.0/ports").await.text;
    assert!(!all.contains(lone), "nothing leads to it");
    assert_eq!(
        bench.get(&format!("/v2.0/subnets/{lone}")).await.status,
        200
    );
    // The port of a gateway belongs to no project.
    let admin = bench.log_in(&bench.inventory.admin, Some("demo")).await;
    let gateways = format!("{of_router}&device_owner=network:router_gateway");
    assert_eq!(bench.get(&gateways).await.json(), json!({"ports": []}));
    let seen = bench
        .call_as(&admin, Method::GET, &gateways, None)
        .await
        .json();
    let fixed = &seen["ports"][0]["fixed_ips"];
    assert_eq!(fixed[0]["ip_address"], "203.0.113.166");
    assert_eq!(seen["ports"][0]["tenant_id"], "");
}

#[tokio::test]
async fn they_are_listed_as_vpn_resources_are() {
    let bench = Bench::new(OpenstackOptions {
        page_cap: Some(2),
        ..OpenstackOptions::default()
    })
    .await;
    let mut seen = Vec::new();
    let mut path = "/v2.0/subnets?fields=id".to_owned();
    loop {
        let page = bench.get(&path).await.json();
        assert_eq!(page["subnets"][0].as_object().map(|row| row.len()), Some(1));
        seen.extend(ids(&page, "subnets").into_iter().map(str::to_owned));
        let links = page["subnets_links"].as_array().unwrap();
        match links.iter().find(|link| link["rel"] == "next") {
            Some(link) => {
                let href = link["href"].as_str().unwrap();
                path = href
                    .strip_prefix(&bench.cloud.neutron_url())
                    .unwrap()
                    .to_owned();
            }
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(!seen.contains(&bench.inventory.other.subnet_id.to_owned()));
    let by_name = bench.get("/v2.0/routers?name=SPARE").await.json();
    assert_eq!(ids(&by_name, "routers"), [bench.inventory.spare_router_id]);
    let sorted = bench.get("/v2.0/routers?sort_key=mtu&sort_dir=asc").await;
    assert_eq!(sorted.refusal(), (400, "HTTPBadRequest".to_owned()));
}

#[tokio::test]
async fn readers_see_them_and_the_next_release_is_strict_about_filters() {
    let bench = Bench::new(OpenstackOptions {
        series: Series::V2026_2,
        ..OpenstackOptions::default()
    })
    .await;
    let reader = bench.log_in(&bench.inventory.reader, Some("demo")).await;
    let seen = bench
        .call_as(&reader, Method::GET, "/v2.0/routers", None)
        .await
        .json();
    assert_eq!(ids(&seen, "routers").len(), 3);
    assert_eq!(bench.get("/v2.0/ports?nosuch=1").await.status, 400);
    assert_eq!(bench.get("/v2.0/ports?device_owner=x").await.status, 200);
}

#[tokio::test]
async fn k5_shows_fewer_members_and_a_zone() {
    let bench = Bench::new(OpenstackOptions {
        variant: Variant::K5,
        ..OpenstackOptions::default()
    })
    .await;
    let spare = bench.inventory.spare_router_id;
    // The keys of the recorded answers, without a port's vnic_type and a subnet's pools, which have no meaning here.
    for (path, plural, keys) in [
        (
            "/v2.0/routers?name=spare".to_owned(),
            "routers",
            "admin_state_up availability_zone external_gateway_info id name routes status tenant_id",
        ),
        (
            format!("/v2.0/subnets/?id={}", bench.inventory.spare_subnet_id),
            "subnets",
            "allocation_pools availability_zone cidr dns_nameservers enable_dhcp gateway_ip host_routes id ip_version \
             name network_id tenant_id",
        ),
        (
            format!("/v2.0/ports?device_id={spare}"),
            "ports",
            "admin_state_up allowed_address_pairs availability_zone device_id device_owner extra_dhcp_opts fixed_ips \
             id mac_address name network_id security_groups status tenant_id",
        ),
    ] {
        let row = bench.get(&path).await.json()[plural][0].clone();
        let mut found: Vec<_> = row
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), keys);
        if plural == "routers" {
            let gateway = row["external_gateway_info"].as_object().unwrap();
            assert!(gateway.contains_key("network_id"));
            assert!(!gateway.contains_key("external_fixed_ips"));
        }
    }
}

#[tokio::test]
async fn a_service_goes_where_a_gateway_is() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let inventory = &bench.inventory;
    let spare = inventory.spare_router_id;
    for (over, status, kind) in [
        (
            json!({"router_id": inventory.router_without_gateway}),
            400,
            "RouterIsNotExternal",
        ),
        (
            json!({"router_id": inventory.other.router_id}),
            404,
            "RouterNotFound",
        ),
        (
            json!({"router_id": spare, "subnet_id": inventory.lone_subnet_id}),
            400,
            "SubnetIsNotConnectedToRouter",
        ),
        (
            json!({"router_id": spare, "subnet_id": inventory.project.subnet_id}),
            400,
            "SubnetIsNotConnectedToRouter",
        ),
    ] {
        let body = Some(json!({"vpnservice": over}));
        let got = bench
            .call(Method::POST, "/v2.0/vpn/vpnservices", body)
            .await;
        assert_eq!(got.refusal(), (status, kind.to_owned()), "{}", got.text);
    }
    let body = json!({"vpnservice": {"router_id": spare, "subnet_id": inventory.spare_subnet_id}});
    let got = bench
        .call(Method::POST, "/v2.0/vpn/vpnservices", Some(body))
        .await;
    let made = &got.json()["vpnservice"];
    assert_eq!(
        (&made["external_v4_ip"], &made["external_v6_ip"]),
        (&json!("203.0.113.168"), &Value::Null)
    );
    // The router's gateway has no IPv6 address, so a peer cannot have one either.
    let over = json!({
        "vpnservice_id": made["id"], "local_ep_group_id": null, "peer_ep_group_id": null,
        "peer_cidrs": ["10.99.0.0/16"], "peer_address": "2001:db8::1",
    });
    let refused = bench.create(over).await.refusal();
    assert_eq!(refused, (400, "ExternalNetworkHasNoSubnet".to_owned()));
}

#[tokio::test]
async fn what_a_vpn_needs_cannot_be_taken_from_a_router() {
    let bench = Bench::new(OpenstackOptions::default()).await;
    let (demo, spare) = (&bench.inventory.project, bench.inventory.spare_router_id);
    let clear = json!({"router": {"external_gateway_info": null}});
    let put = async |path: String, body: Value| bench.call(Method::PUT, &path, Some(body)).await;
    let router = |id: &str| format!("/v2.0/routers/{id}");
    let remove = |id: &str| format!("/v2.0/routers/{id}/remove_router_interface");
    let id = bench.created(json!({})).await;

    let used = put(router(demo.router_id), clear.clone()).await;
    assert_eq!(used.refusal(), (409, "RouterInUse".to_owned()));
    let message = used.json()["NeutronError"]["message"].clone();
    let ids = format!("({},{})", demo.service_id, demo.legacy_service_id);
    assert!(message.as_str().unwrap().ends_with(&ids), "{message}");
    let subnet = json!({"subnet_id": demo.subnet_id});
    let used = put(remove(demo.router_id), subnet.clone()).await;
    let kind = "SubnetInUseByIPsecSiteConnection";
    assert_eq!(used.refusal(), (409, kind.to_owned()));
    assert!(used.text.contains(&id));

    // The others are unused: no connection uses the legacy service, and no service the spare router.
    let other = json!({"subnet_id": demo.legacy_subnet_id});
    assert_eq!(put(remove(demo.router_id), other.clone()).await.status, 200);
    assert_eq!(put(remove(demo.router_id), other).await.status, 404);
    let cleared = put(router(spare), clear.clone()).await.json();
    assert_eq!(cleared["router"]["external_gateway_info"], Value::Null);
    let body = Some(json!({"vpnservice": {"router_id": spare}}));
    let late = bench
        .call(Method::POST, "/v2.0/vpn/vpnservices", body)
        .await;
    assert_eq!(late.refusal(), (400, "RouterIsNotExternal".to_owned()));
    let theirs = put(router(bench.inventory.other.router_id), clear).await;
    assert_eq!(theirs.refusal(), (404, "RouterNotFound".to_owned()));
    let rename = put(router(spare), json!({"router": {"name": "x"}})).await;
    assert_eq!(rename.refusal(), (404, "HTTPNotFound".to_owned()));
}
