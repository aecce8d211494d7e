//! Fields: each that a cloud's documents list is in what is read, in the contract's own place or in `native`; and each that
//! can be written is written by some field of the contract.

use crate::support::{
    api::words,
    site::{BACKEND, Cloud, Site, World, nsx_kind},
    values::Taken,
};
use http::{Method, StatusCode};
use isthmus::{
    model::ResourceKind,
    simulator::{
        faults::{Answer, Fault, Rule},
        nsx::{self, inventory},
        openstack,
    },
};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

fn described(schema: &str) -> Map<String, Value> {
    let text = include_str!("../fixtures/nsx/nsx-mp-vpn-openapi.json");
    let api: Value = serde_json::from_str(text).unwrap();
    let properties = api["components"]["schemas"][schema]["properties"].clone();
    let Value::Object(properties) = properties else {
        panic!("there is no {schema}")
    };
    properties
}

/// The attributes of a kind on a cloud of this variant: Neutron's and its own.
fn attributes(variant: &str, collection: &str) -> BTreeSet<String> {
    let text = include_str!("../fixtures/openstack/attributes.json");
    let clouds: Value = serde_json::from_str(text).unwrap();
    let of = |variant: &str| {
        clouds[variant][collection]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    let mut all = of("neutron");
    if variant != "neutron" {
        all.extend(of(variant));
    }
    all.iter()
        .map(|it| it.as_str().unwrap().to_owned())
        .collect()
}

/// Every leaf of a value that was planted is found in what was read, as it stands there.
#[track_caller]
fn assert_told(read: &Value, attribute: &str, planted: &Value, where_it_stands: Option<&str>) {
    let text = read.to_string();
    match (planted, where_it_stands) {
        (_, Some(other)) => assert!(
            text.contains(other),
            "{attribute} ({other}) is lost: {read}"
        ),
        (Value::Object(parts), None) => {
            for (name, part) in parts {
                assert_told(read, &format!("{attribute}.{name}"), part, None);
            }
        }
        (Value::Array(parts), None) => {
            for part in parts {
                assert_told(read, attribute, part, None);
            }
        }
        (Value::String(word), None) => {
            assert!(
                text.contains(word.as_str()),
                "{attribute} ({word}) is lost: {read}"
            );
        }
        (Value::Number(number), None) => {
            assert!(
                text.contains(&number.to_string()),
                "{attribute} ({number}) is lost: {read}"
            );
        }
        // Where true and false stand is told above.
        (other, None) => panic!("{attribute} is {other}, and nobody says where that is found"),
    }
}

/// An object of NSX with every field that its description has, each with a value found nowhere else.
fn nsx_object(kind: ResourceKind) -> Value {
    let own = match kind {
        ResourceKind::IkePolicy => json!({
            "ike_version": "IKE_FLEX", "encryption_algorithms": ["AES_GCM_192"],
            "digest_algorithms": ["SHA2_384"], "dh_groups": ["GROUP20"], "sa_life_time": 77_001,
        }),
        ResourceKind::IpsecPolicy => json!({
            "encryption_algorithms": ["NO_ENCRYPTION"], "digest_algorithms": ["SHA2_384"],
            "dh_groups": ["GROUP20"], "enable_perfect_forward_secrecy": false, "df_policy": "CLEAR",
            "encapsulation_mode": "TUNNEL_MODE", "transform_protocol": "ESP", "sa_life_time": 77_001,
        }),
        ResourceKind::DpdPolicy => json!({
            "dpd_probe_mode": "ON_DEMAND", "dpd_probe_interval": 7, "enabled": false, "retry_count": 77_002,
        }),
        ResourceKind::VpnService => json!({
            "logical_router_id": "router-77003", "enabled": false, "ipsec_ha_sync": false,
            "ike_log_level": "EMERGENCY",
            "bypass_rules": [{
                "id": "rule-77004", "sources": [{ "subnet": "10.77.4.0/24" }],
                "destinations": [{ "subnet": "10.77.5.0/24" }], "action": "BYPASS", "logged": true,
            }],
        }),
        _ => json!({
            "ipsec_vpn_service_id": {
                "target_id": "service-77006", "target_type": "IPSecVPNService",
                "target_display_name": "named 77007", "is_valid": true,
            },
            "local_address": "203.0.113.77", "local_id": "id@77008.example", "certificate_id": "certificate-77009",
            "trust_ca_ids": ["authority-77010"], "trust_crl_ids": ["list-77011"],
        }),
    };
    let mut object = json!({
        "id": "77012000-0000-4000-8000-000000000000", "display_name": "called 77013",
        "description": "described 77014", "tags": [{ "scope": "scope-77015", "tag": "tag-77016" }],
        "resource_type": nsx_kind(kind).unwrap().collection(),
        "_links": [{ "href": "/link/77017", "rel": "relation-77018", "action": "action-77019" }],
        "_self": { "href": "/self/77020", "rel": "self-77021" }, "_schema": "/schema/77022",
        "_revision": 77_023, "_create_user": "maker-77024", "_create_time": 1_577_024_000_000_u64,
        "_last_modified_user": "changer-77025", "_last_modified_time": 1_577_025_000_000_u64,
        "_protection": "REQUIRE_OVERRIDE", "_system_owned": true,
    });
    let (Value::Object(all), Value::Object(own)) = (&mut object, own) else {
        unreachable!("both are objects")
    };
    all.extend(own);
    object
}

/// How what is said in other words than the cloud's is told.
fn nsx_words(attribute: &str) -> Option<&'static str> {
    match attribute {
        // What an object is, is told by the call that reads it.
        "resource_type" => Some("backends/"),
        "_system_owned" => Some(r#""system_owned":true"#),
        "_create_time" => Some("2019-12-22T14:13:20Z"),
        "_last_modified_time" => Some("2019-12-22T14:30:00Z"),
        "enable_perfect_forward_secrecy" => Some(r#""perfect_forward_secrecy":false"#),
        "enabled" => Some(r#"nabled":false"#),
        "ipsec_ha_sync" => Some(r#""ha_sync":false"#),
        "ipsec_vpn_service_id" => Some(r#"vpnServices/service-77006""#),
        "bypass_rules" => Some("rule-77004"),
        _ => None,
    }
}

const NSX: [(ResourceKind, &str); 5] = [
    (ResourceKind::IkePolicy, "IPSecVPNIKEProfile"),
    (ResourceKind::IpsecPolicy, "IPSecVPNTunnelProfile"),
    (ResourceKind::DpdPolicy, "IPSecVPNDPDProfile"),
    (ResourceKind::VpnService, "IPSecVPNService"),
    (ResourceKind::LocalEndpoint, "IPSecVPNLocalEndpoint"),
];

#[tokio::test]
async fn every_field_of_nsx_is_read() {
    let site = Site::start(World::Nsx).await;
    for (kind, schema) in NSX {
        let object = nsx_object(kind);
        let id = site
            .nsx()
            .state()
            .plant(nsx_kind(kind).unwrap(), object.clone());
        let read = site.api.get(kind, &site.name(kind, &id)).await.unwrap();
        for attribute in described(schema).keys() {
            let planted = object.get(attribute);
            let planted = planted.unwrap_or_else(|| panic!("{schema}.{attribute} is not planted"));
            assert_told(&read, attribute, planted, nsx_words(attribute));
        }
        if kind == ResourceKind::VpnService {
            let rule = &read["bypass_rules"][0];
            assert_eq!(
                (&rule["sources"], &rule["logged"]),
                (&json!(["10.77.4.0/24"]), &json!(true))
            );
            assert_eq!(rule["destinations"], json!(["10.77.5.0/24"]));
        }
    }
}

/// Fields of NSX that the contract has no place for when writing: what the server sets, and tags, which stay as they are.
const NOT_WRITTEN: [&str; 3] = ["id", "resource_type", "tags"];

#[tokio::test]
async fn every_field_of_nsx_is_written() {
    let site = Site::start(World::Nsx).await;
    for (number, (kind, schema)) in NSX.into_iter().enumerate() {
        let taken = Taken::read(&site, kind).await.unwrap();
        let answer = site
            .api
            .create(kind, BACKEND, &taken.whole(number), false)
            .await
            .unwrap();
        let name = answer[words(kind).field]["name"]
            .as_str()
            .unwrap()
            .to_owned();
        let id = name.rsplit('/').next().unwrap();
        let object = site.object(kind, id).unwrap();
        let bare = site.nsx().state().plant(nsx_kind(kind).unwrap(), json!({}));
        let bare = site.object(kind, &bare).unwrap();
        for (attribute, property) in described(schema) {
            let is_ours = property["readOnly"] != true && !attribute.starts_with('_');
            if is_ours && !NOT_WRITTEN.contains(&attribute.as_str()) {
                assert_ne!(
                    object[&attribute],
                    Value::Null,
                    "{schema}.{attribute} is not written"
                );
                assert_ne!(object[&attribute], bare[&attribute]);
            }
        }
        // Tags that somebody put there outlive every change.
        site.alter(
            kind,
            id,
            json!({ "tags": [{ "scope": "cost", "tag": "4711" }] }),
        );
        let renamed = json!({ "name": name, "display_name": "another" });
        site.api.update(kind, &renamed, None, false).await.unwrap();
        let object = site.object(kind, id).unwrap();
        assert!(object["tags"].to_string().contains("4711"), "{object}");
        assert_eq!(object["display_name"], "another");
    }
}

/// A session of NSX and its peer endpoint are one connection.
#[tokio::test]
async fn every_field_of_a_session_is_read() {
    let site = Site::start(World::Nsx).await;
    let state = site.nsx().state();
    let common = nsx_object(ResourceKind::DpdPolicy);
    let with = |id: &str, own: Value| {
        let mut object = common.clone();
        object["id"] = json!(id);
        object
            .as_object_mut()
            .unwrap()
            .extend(own.as_object().unwrap().clone());
        object
    };
    let peer = with(
        "peer-77030",
        json!({
            "peer_address": "203.0.113.78", "peer_id": "peer@77031.example", "authentication_mode": "PSK",
            "connection_initiation_mode": "RESPOND_ONLY", "ike_profile_id": "ike-77032",
            "ipsec_tunnel_profile_id": "tunnel-77033", "dpd_profile_id": "dpd-77034", "psk": "none",
        }),
    );
    state.plant(nsx::Kind::PeerEndpoint, peer.clone());
    let own = json!({
        "local_endpoint_id": inventory::LOCAL_ENDPOINT_ID, "peer_endpoint_id": "peer-77030", "enabled": false,
        "ipsec_vpn_service_id": inventory::SERVICE_ID,
        "tcp_mss_clamping": { "direction": "OUTBOUND_CONNECTION", "max_segment_size": 1077 },
    });
    let shapes = [
        (
            "PolicyBasedIPSecVPNSession",
            json!({ "policy_rules": [{
                "id": "rule-77035", "sources": [{ "subnet": "10.77.6.0/24" }],
                "destinations": [{ "subnet": "10.77.7.0/24" }], "action": "PROTECT", "enabled": true, "logged": true,
            }]}),
        ),
        (
            "RouteBasedIPSecVPNSession",
            json!({ "tunnel_ports": [{
                "tunnel_port_id": "port-77036",
                "ip_subnets": [{ "ip_addresses": ["169.254.77.1"], "prefix_length": 30 }],
            }]}),
        ),
    ];
    for (schema, shape) in shapes {
        let mut session = with(&format!("77037000-{}", schema.len()), own.clone());
        session["resource_type"] = json!(schema);
        session
            .as_object_mut()
            .unwrap()
            .extend(shape.as_object().unwrap().clone());
        let id = state.plant(nsx::Kind::Session, session.clone());
        let name = format!("backends/{BACKEND}/connections/{id}");
        let answer = site
            .api
            .call("ConnectionService/GetConnection", &json!({ "name": name }))
            .await;
        let read = answer.unwrap()["connection"].take();
        for attribute in described(schema).keys() {
            let planted = session.get(attribute);
            let planted = planted.unwrap_or_else(|| panic!("{schema}.{attribute} is not planted"));
            let told = match attribute.as_str() {
                "resource_type" | "policy_rules" if schema.starts_with("Policy") => {
                    Some("10.77.6.0/24")
                }
                "resource_type" | "tunnel_ports" => Some("169.254.77.1/30"),
                "tcp_mss_clamping" => Some("1077"),
                "_system_owned" => Some(r#"system_owned":true"#),
                "enabled" => Some(r#""admin_enabled":false"#),
                other => nsx_words(other).filter(|_| !other.starts_with("ipsec_vpn")),
            };
            assert_told(&read, attribute, planted, told);
        }
        assert_eq!(
            read["tcp_mss_clamping"]["direction"],
            "DIRECTION_OUTBOUND_CONNECTION"
        );
        for attribute in described("IPSecVPNPeerEndpoint").keys() {
            let told = match attribute.as_str() {
                "authentication_mode" => Some(r#""psk_set":true"#),
                // Never told.
                "psk" => Some("psk_set"),
                "connection_initiation_mode" => Some("RESPOND_ONLY"),
                // Those of the part that is inside are not the connection's.
                common if session.get(common).is_some() => continue,
                _ => None,
            };
            let planted = &peer[attribute];
            assert_told(&read, attribute, planted, told);
        }
    }
}

/// Every counter that NSX tells of a tunnel is told under some name, each number once.
#[tokio::test]
async fn every_counter_of_nsx_is_read() {
    let site = Site::start(World::Nsx).await;
    let mut next = 880_000;
    let mut filled = |schema: &str| {
        let mut object = Map::new();
        for (name, property) in described(schema) {
            if property["type"] == "integer" {
                next += 1;
                object.insert(name, json!(next));
            }
        }
        object
    };
    let counters = filled("IPSecVPNTrafficCounters");
    let mut tunnel = filled("IPSecVPNTunnelTrafficStatistics");
    for (name, word) in [
        ("local_subnet", "10.88.1.0/24"),
        ("peer_subnet", "10.88.2.0/24"),
        ("policy_id", "policy-88003"),
        ("tunnel_down_reason", "because 88004"),
        ("tunnel_status", "NEGOTIATING"),
    ] {
        tunnel.insert(name.to_owned(), json!(word));
    }
    let policy = json!({
        "policy_id": "policy-88003", "aggregate_traffic_counters": filled("IPSecVPNTrafficCounters"),
        "tunnel_statistics": [tunnel],
    });
    let body = json!({
        "aggregate_traffic_counters": counters, "policy_statistics": [policy], "partial_stats": true,
        "last_update_timestamp": 1_577_024_000_000_u64, "display_name": "x", "ipsec_vpn_session_id": "s",
    });
    let session = json!({
        "id": "s", "display_name": "x", "resource_type": "PolicyBasedIPSecVPNSession", "enabled": true,
        "local_endpoint_id": inventory::LOCAL_ENDPOINT_ID, "policy_rules": [], "_revision": 0,
        "ipsec_vpn_service_id": inventory::SERVICE_ID,
    });
    site.nsx().state().plant(nsx::Kind::Session, session);
    let answer = Fault::Answer(Answer::json(StatusCode::OK, &body));
    site.faults()
        .inject(Rule::on(Method::GET, "/sessions/s/statistics", answer));
    let request = json!({ "name": format!("backends/{BACKEND}/connections/s") });
    let read = site
        .api
        .call("RealizationService/GetTunnelStatistics", &request)
        .await;
    let read = read.unwrap()["statistics"].take();
    for number in 880_001..=next {
        let found = read.to_string().matches(&number.to_string()).count();
        assert_eq!(found, 1, "{number} of {body} in {read}");
    }
    for told in [
        "10.88.1.0/24",
        "10.88.2.0/24",
        "policy-88003",
        "because 88004",
        "STATE_NEGOTIATING",
        "2019-12-22T14:13:20Z",
        r#""partial":true"#,
    ] {
        assert!(read.to_string().contains(told), "{told} is lost: {read}");
    }
}

/// A row with every attribute there is, each with a value found nowhere else.
fn row(kind: ResourceKind, project: &str) -> Value {
    let own = match kind {
        ResourceKind::IkePolicy => json!({
            "auth_algorithm": "sha384", "encryption_algorithm": "aes-192", "pfs": "group14",
            "phase1_negotiation_mode": "aggressive", "ike_version": "v2",
            "lifetime": { "units": "seconds", "value": 77_001 },
        }),
        ResourceKind::IpsecPolicy => json!({
            "auth_algorithm": "sha384", "encryption_algorithm": "aes-192", "pfs": "group14",
            "transform_protocol": "ah", "encapsulation_mode": "transport",
            "lifetime": { "units": "kilobytes", "value": 77_001 },
        }),
        ResourceKind::VpnService => json!({
            "subnet_id": "subnet-77040", "router_id": "router-77041", "flavor_id": "flavor-77042",
            "admin_state_up": false, "external_v4_ip": "203.0.113.79", "external_v6_ip": "2001:db8::7743",
            "status": "STRANGE_77044",
        }),
        _ => json!({ "type": "cidr", "endpoints": ["10.77.8.0/24"] }),
    };
    let mut row = json!({
        "id": "77012000-0000-4000-8000-000000000000", "tenant_id": project, "project_id": project,
        "name": "called 77013", "description": "described 77014", "availability_zone": "zone-77045",
        "created_at": "2019-12-22 14:13:20.000000", "order_id": "order-77046", "product_id": "product-77047",
        "tags": ["tag-77048"], "prepay_connection_num": 77_049, "resource_speccode": "code-77050",
    });
    row.as_object_mut()
        .unwrap()
        .extend(own.as_object().unwrap().clone());
    row
}

async fn every_attribute_is_read(world: World) {
    let site = Site::start(world).await;
    let Cloud::Openstack(cloud) = &site.cloud else {
        panic!("{world:?} is no OpenStack")
    };
    let (_, variant) = world.names();
    for (kind, table, collection) in [
        (
            ResourceKind::IkePolicy,
            openstack::Kind::IkePolicy,
            "ikepolicies",
        ),
        (
            ResourceKind::IpsecPolicy,
            openstack::Kind::IpsecPolicy,
            "ipsecpolicies",
        ),
        (
            ResourceKind::VpnService,
            openstack::Kind::VpnService,
            "vpnservices",
        ),
        (
            ResourceKind::EndpointGroup,
            openstack::Kind::EndpointGroup,
            "endpoint-groups",
        ),
    ] {
        if Taken::read(&site, kind).await.is_none() {
            continue;
        }
        let known = attributes(variant, collection);
        let mut row = row(kind, cloud.inventory().project.project_id);
        row.as_object_mut()
            .unwrap()
            .retain(|name, _| known.contains(name));
        cloud.state().plant(table, row.clone());
        let id = row["id"].as_str().unwrap();
        let read = site.api.get(kind, &site.name(kind, id)).await.unwrap();
        // What the simulated cloud shows of it; it leaves out what its variant does not have.
        let shown = shown(&site, collection, id).await;
        for (attribute, planted) in shown.as_object().unwrap() {
            let told = match (attribute.as_str(), planted) {
                (_, Value::Null) => continue,
                ("admin_state_up", _) => Some(r#""admin_enabled":false"#),
                ("created_at", _) if kind == ResourceKind::VpnService => Some(r#""create_time":"#),
                ("lifetime", _) => Some("77001"),
                (_, Value::String(word)) if word.is_empty() => continue,
                _ => None,
            };
            assert_told(&read, attribute, planted, told);
        }
        for attribute in &known {
            assert!(
                !row[attribute].is_null(),
                "{collection}.{attribute} is not planted"
            );
        }
    }
}

/// What the simulated cloud itself answers.
async fn shown(site: &Site, collection: &str, id: &str) -> Value {
    let cloud = site.openstack();
    let inventory = cloud.inventory();
    let login = json!({ "auth": {
        "identity": { "methods": ["password"], "password": { "user": {
            "name": inventory.member.name, "domain": { "id": "default" },
            "password": inventory.member.password,
        }}},
        "scope": { "project": { "name": inventory.project.project_name, "domain": { "id": "default" } } },
    }});
    let client = reqwest::Client::new();
    let url = format!("{}/v3/auth/tokens", cloud.keystone_url());
    let answer = client.post(url).json(&login).send().await.unwrap();
    let token = answer.headers()["x-subject-token"].clone();
    let url = format!("{}/v2.0/vpn/{collection}/{id}", cloud.neutron_url());
    let answer = client
        .get(url)
        .header("x-auth-token", token)
        .send()
        .await
        .unwrap();
    let body: Value = answer.json().await.unwrap();
    body.as_object().unwrap().values().next().unwrap().clone()
}

async fn every_attribute_is_written(world: World) {
    let site = Site::start(world).await;
    let (_, variant) = world.names();
    for (number, (kind, collection)) in [
        (ResourceKind::IkePolicy, "ikepolicies"),
        (ResourceKind::IpsecPolicy, "ipsecpolicies"),
        (ResourceKind::VpnService, "vpnservices"),
        (ResourceKind::EndpointGroup, "endpoint-groups"),
    ]
    .into_iter()
    .enumerate()
    {
        let Some(taken) = Taken::read(&site, kind).await else {
            continue;
        };
        let answer = site
            .api
            .create(kind, BACKEND, &taken.whole(number), false)
            .await
            .unwrap();
        let name = answer[words(kind).field]["name"].as_str().unwrap();
        let row = site.object(kind, name.rsplit('/').next().unwrap()).unwrap();
        for attribute in attributes(variant, collection) {
            // What the server sets, and what only some variants take.
            let is_output = matches!(
                attribute.as_str(),
                "id" | "tenant_id"
                    | "project_id"
                    | "external_v4_ip"
                    | "external_v6_ip"
                    | "status"
                    | "created_at"
                    | "order_id"
                    | "product_id"
                    | "tags"
                    | "prepay_connection_num"
                    | "resource_speccode"
            );
            let is_foreign = attribute == "flavor_id" && !variant.starts_with("neutron");
            if !is_output && !is_foreign {
                assert_ne!(
                    row[&attribute],
                    Value::Null,
                    "{collection}.{attribute} is not written"
                );
            }
        }
    }
}

macro_rules! worlds {
    ($($world:ident => $variant:ident,)+) => {
        $(mod $world {
            use super::*;

            #[tokio::test]
            async fn every_attribute_is_read() {
                super::every_attribute_is_read(World::$variant).await;
            }

            #[tokio::test]
            async fn every_attribute_is_written() {
                super::every_attribute_is_written(World::$variant).await;
            }
        })+
    };
}

worlds! {
    openstack_neutron => Neutron,
    openstack_neutron_newest => Newest,
    openstack_otc => Otc,
    openstack_k5 => K5,
}
