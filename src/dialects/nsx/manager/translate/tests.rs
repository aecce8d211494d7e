//! Both directions, table by table.

use crate::{
    core::dialect::Mark,
    dialects::nsx::{
        body::Body,
        manager::translate::{
            changed_in_peer_endpoint, changed_in_session, changed_peer_endpoint, changed_session,
            connection, interface_address, new_peer_endpoint, new_session, written,
        },
    },
    model::{
        Authentication, ClampDirection, ConnectionChange, ConnectionSpec, Details, Field,
        Initiation, NewConnection, PolicyRule, Psk, ResourceKind, ResourceSpec, RuleAction,
        Selectors, TcpMssClamping, TunnelInterface,
    },
    rest,
};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};

const SESSION: &str = "8dd1c386-9b2c-4448-85b8-51ff649fae4f";

fn body(value: Value) -> Body {
    Body::of(value).unwrap()
}

/// An answer whose every field has a place in the model.
fn session() -> Value {
    json!({
        "resource_type": "PolicyBasedIPSecVPNSession",
        "id": SESSION,
        "display_name": "branch 42",
        "description": "to the branch",
        "tags": [{ "scope": "isthmus", "tag": "a mark" }],
        "enabled": true,
        "ipsec_vpn_service_id": "service",
        "local_endpoint_id": "local",
        "peer_endpoint_id": "peer",
        "tcp_mss_clamping": { "direction": "BOTH", "max_segment_size": 1300 },
        "policy_rules": [{
            "id": "1026",
            "sources": [{ "subnet": "10.0.0.0/24" }],
            "destinations": [{ "subnet": "2001:db8::/64" }, { "subnet": "10.1.0.7/24" }],
            "enabled": true,
            "logged": false,
        }],
        "_create_user": "admin",
        "_protection": "NOT_PROTECTED",
        "_revision": 3,
    })
}

fn peer() -> Value {
    json!({
        "id": "peer",
        "tags": [{ "scope": "isthmus", "tag": "a mark" }],
        "peer_address": "203.0.113.7",
        "peer_id": "branch.example",
        "authentication_mode": "PSK",
        "connection_initiation_mode": "RESPOND_ONLY",
        "ike_profile_id": "ike",
        "ipsec_tunnel_profile_id": "tunnel",
        "dpd_profile_id": "dpd",
    })
}

fn with(mut value: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else {
        panic!("only fields can be changed")
    };
    value.as_object_mut().unwrap().extend(changes);
    value
}

#[test]
fn every_field_finds_its_home() {
    let read = connection(
        &body(session()),
        Some(&body(with(peer(), json!({ "_revision": 5 })))),
    );
    assert_eq!(read.id, SESSION);
    assert_eq!(read.display_name, "branch 42");
    assert_eq!(read.description, "to the branch");
    assert_eq!(read.admin_enabled, Some(true));
    assert_eq!(read.vpn_service.as_deref(), Some("service"));
    assert_eq!(read.local_endpoint.as_deref(), Some("local"));
    assert_eq!(read.ike_policy.as_deref(), Some("ike"));
    assert_eq!(read.ipsec_policy.as_deref(), Some("tunnel"));
    assert_eq!(read.dpd_policy.as_deref(), Some("dpd"));
    assert_eq!(read.peer.address, "203.0.113.7");
    assert_eq!(read.peer.id, "branch.example");
    assert!(read.peer.psk_set && !read.peer.certificate && read.managed);
    assert_eq!(read.initiation, Some(Initiation::RespondOnly));
    assert_eq!(
        read.tcp_mss_clamping,
        Some(TcpMssClamping {
            direction: ClampDirection::Both,
            max_segment_size: Some(1300)
        })
    );
    let Some(Selectors::Rules(rules)) = &read.selectors else {
        panic!("{:?}", read.selectors)
    };
    assert_eq!(
        rules[0],
        PolicyRule {
            id: Some("1026".to_owned()),
            sources: vec!["10.0.0.0/24".to_owned()],
            destinations: vec!["2001:db8::/64".to_owned(), "10.1.0.7/24".to_owned()],
            enabled: Some(true),
            logged: Some(false),
            action: None,
        }
    );
    let Some(Details::Nsx(details)) = &read.details else {
        panic!("{:?}", read.details)
    };
    assert_eq!(
        (details.revision, details.peer_endpoint_id.as_str()),
        (3, "peer")
    );
    assert_eq!(details.create_user, "admin");
    assert_eq!(details.protection, "NOT_PROTECTED");
    assert_eq!(read.etag, "3.5");
    // Only the peer endpoint's own revision has no place in the model.
    assert_eq!(
        Value::Object(read.native),
        json!({ "peer_endpoint": { "_revision": 5 } })
    );
}

#[track_caller]
fn check_native(changes: Value, of_peer: Value, native: Value) -> crate::model::Connection {
    let read = connection(
        &body(with(session(), changes)),
        Some(&body(with(peer(), of_peer))),
    );
    assert_eq!(Value::Object(read.native.clone()), native);
    read
}

/// A connection is as new as the newer of its objects. The time of the other object stays in `native`.
#[test]
fn it_was_made_with_its_session_and_changed_with_either_object() {
    let at = |milliseconds| SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
    let times =
        |made: u64, changed: Value| json!({ "_create_time": made, "_last_modified_time": changed });
    for (of_session, of_peer, update_time, native) in [
        (
            json!(7),
            json!(5),
            Some(7),
            json!({ "peer_endpoint": { "_create_time": 2, "_last_modified_time": 5 } }),
        ),
        (
            json!(5),
            json!("7"),
            Some(7),
            json!({ "_last_modified_time": 5, "peer_endpoint": { "_create_time": 2 } }),
        ),
        (
            json!(7),
            json!(7),
            Some(7),
            json!({ "peer_endpoint": { "_create_time": 2 } }),
        ),
        (
            json!(-1),
            json!(null),
            None,
            json!({ "_last_modified_time": -1, "peer_endpoint": { "_create_time": 2 } }),
        ),
    ] {
        let read = check_native(times(1, of_session), times(2, of_peer), native);
        assert_eq!(read.create_time, Some(at(1)));
        assert_eq!(read.update_time, update_time.map(at));
    }
}

#[test]
fn what_has_no_home_is_kept_as_it_came() {
    check_native(json!({}), json!({}), json!({}));
    check_native(json!({ "description": null }), json!({}), json!({}));
    let foreign = json!([{ "scope": "team", "tag": "net" }]);
    let read = check_native(
        json!({ "tags": foreign, "_create_time": 1, "new": { "a": [1] } }),
        json!({ "display_name": "its own", "_create_time": 2 }),
        json!({
            "tags": foreign, "new": { "a": [1] },
            "peer_endpoint": { "display_name": "its own", "_create_time": 2 },
        }),
    );
    assert!(!read.managed);
    let read = check_native(
        json!({ "resource_type": "SomethingNew", "policy_rules": [1] }),
        json!({ "connection_initiation_mode": "TELEPATHY", "authentication_mode": "HANDSHAKE" }),
        json!({
            "resource_type": "SomethingNew", "policy_rules": [1],
            "peer_endpoint": {
                "connection_initiation_mode": "TELEPATHY", "authentication_mode": "HANDSHAKE"
            },
        }),
    );
    assert!(read.selectors.is_none() && read.initiation.is_none());
    assert!(!read.peer.psk_set && !read.peer.certificate);
    let unknown = json!({ "direction": "SIDEWAYS", "max_segment_size": 1300 });
    let read = check_native(
        json!({ "tcp_mss_clamping": unknown }),
        json!({}),
        json!({ "tcp_mss_clamping": unknown }),
    );
    assert_eq!(read.tcp_mss_clamping, None);
    check_native(
        json!({ "policy_rules": [
            { "id": "1", "action": "PROTECT", "_revision": 1 }, { "id": "2", "action": "REJECT" },
        ] }),
        json!({}),
        json!({ "policy_rules": [{ "id": "1", "_revision": 1 }, { "id": "2", "action": "REJECT" }] }),
    );
    let more = json!([{ "subnet": "10.0.0.0/24", "note": "mine" }]);
    check_native(
        json!({ "policy_rules": [{ "id": "1", "sources": more, "destinations": [] }] }),
        json!({}),
        json!({ "policy_rules": [{ "id": "1", "sources": more }] }),
    );
    check_native(
        json!({ "policy_rules": "none", "enabled": "perhaps" }),
        json!({ "peer_address": "not an address" }),
        json!({
            "policy_rules": "none", "enabled": "perhaps",
            "peer_endpoint": { "peer_address": "not an address" },
        }),
    );
}

#[test]
fn secrets_are_not_kept_however_deep() {
    let read = check_native(
        json!({ "x": { "password": "canary", "y": [{ "token": "canary", "z": 1 }] } }),
        json!({ "psk": "canary", "secret": "canary" }),
        json!({ "x": { "y": [{ "z": 1 }] } }),
    );
    assert!(!format!("{read:?}").contains("canary"));
}

/// The guide's own example: an impossible network, and no revision except a rule's.
#[test]
fn an_address_that_does_not_parse_is_read_and_kept() {
    let example =
        include_bytes!("../../../../../tests/fixtures/nsx/put_session_impossible_cidr.json");
    let example = rest::json::parse(example).unwrap();
    let read = connection(&body(example.clone()), None);
    let Some(Selectors::Rules(rules)) = &read.selectors else {
        panic!("{:?}", read.selectors)
    };
    let expected = PolicyRule {
        id: Some("1026".to_owned()),
        sources: vec!["1.1.1.0/24".to_owned()],
        destinations: vec!["2.1.4..0/24".to_owned()],
        enabled: Some(true),
        logged: Some(true),
        action: Some(RuleAction::Protect),
    };
    assert_eq!(*rules, [expected]);
    assert_eq!(
        Value::Object(read.native),
        json!({ "policy_rules": example["policy_rules"] })
    );
    assert_eq!(read.etag, "-.-");
    assert_eq!(read.id, SESSION);
    assert_eq!(read.display_name, "Test RZ_UPDATED");
    assert_eq!(read.admin_enabled, Some(true));
    let service = "7adfa455-a6fc-4934-a919-f5728957364c";
    assert_eq!(read.vpn_service.as_deref(), Some(service));
    let local = "91ebfa0a-820f-41ab-bd87-f0fb1f24e7c8";
    assert_eq!(read.local_endpoint.as_deref(), Some(local));
    let Some(Details::Nsx(details)) = read.details else {
        panic!("{:?}", read.details)
    };
    let peer = "17263ca6-dce4-4c29-bd8a-e7d12bd1a82d";
    assert_eq!(details.peer_endpoint_id, peer);
    assert!(!read.managed);
}

#[test]
fn the_action_of_a_rule_is_read_in_its_documented_words() {
    let api = include_bytes!("../../../../../tests/fixtures/nsx/nsx-mp-vpn-openapi.json");
    let api = rest::json::parse(api).unwrap();
    let action = &api["components"]["schemas"]["IPSecVPNPolicyRule"]["properties"]["action"];
    assert_eq!(action["enum"], json!(["PROTECT", "BYPASS"]));
    assert_eq!(action["readOnly"], true);
    for (word, expected) in [
        (json!("PROTECT"), Some(RuleAction::Protect)),
        (json!("bypass"), Some(RuleAction::Bypass)),
        (json!(null), None),
        (json!("REJECT"), None),
    ] {
        let rules = json!({ "policy_rules": [{ "id": "1", "action": word }] });
        let read = connection(&body(with(session(), rules)), None);
        let Some(Selectors::Rules(rules)) = &read.selectors else {
            panic!("{:?}", read.selectors)
        };
        assert_eq!(rules[0].action, expected, "{word}");
    }
}

#[test]
fn a_route_based_session_has_interfaces() {
    let ports = json!([{
        "ip_subnets": [
            { "ip_addresses": ["169.254.64.1"], "prefix_length": 30 },
            { "ip_addresses": ["fd00::1", "fd00::2"], "prefix_length": "64" },
        ],
        "tunnel_port_id": "port",
    }]);
    let read = check_native(
        json!({
            "resource_type": "RouteBasedIPSecVPNSession", "tunnel_ports": ports, "policy_rules": null,
        }),
        json!({}),
        json!({ "policy_rules": null }),
    );
    assert_eq!(
        read.selectors,
        Some(Selectors::RouteBased(vec![TunnelInterface {
            id: Some("port".to_owned()),
            addresses: ["169.254.64.1/30", "fd00::1/64", "fd00::2/64"]
                .map(str::to_owned)
                .to_vec(),
        }]))
    );
}

#[test]
fn a_subnet_without_addresses_stays_in_native() {
    let ports = json!([{
        "ip_subnets": [
            { "ip_addresses": ["169.254.64.1"], "prefix_length": 30 },
            { "ip_addresses": [], "prefix_length": 64 },
        ],
        "tunnel_port_id": "port",
    }]);
    let mut left = ports.clone();
    left[0].as_object_mut().unwrap().remove("tunnel_port_id");
    left[0]["id"] = json!("port");
    let read = check_native(
        json!({ "resource_type": "RouteBasedIPSecVPNSession", "tunnel_ports": ports, "policy_rules": null }),
        json!({}),
        json!({ "policy_rules": null, "tunnel_ports": left }),
    );
    let interface = TunnelInterface {
        id: Some("port".to_owned()),
        addresses: vec!["169.254.64.1/30".to_owned()],
    };
    assert_eq!(read.selectors, Some(Selectors::RouteBased(vec![interface])));
}

fn spec() -> ConnectionSpec {
    ConnectionSpec {
        display_name: "branch 42".to_owned(),
        local_endpoint: Some("local".to_owned()),
        peer_address: "203.0.113.7".to_owned(),
        authentication: Some(Authentication::Psk(Psk::new("canary"))),
        selectors: Some(Selectors::Rules(vec![PolicyRule {
            sources: vec!["10.0.0.0/24".to_owned()],
            ..PolicyRule::default()
        }])),
        ..ConnectionSpec::default()
    }
}

#[test]
fn a_new_connection_is_two_objects_with_the_same_mark() {
    let mark = Mark::new();
    let tags = json!([{ "scope": "isthmus", "tag": mark.as_str() }]);
    assert_eq!(
        Value::Object(new_peer_endpoint(&spec(), &mark)),
        json!({
            "display_name": "branch 42",
            "peer_address": "203.0.113.7",
            "peer_id": "203.0.113.7",
            "authentication_mode": "PSK",
            "psk": "canary",
            "connection_initiation_mode": "INITIATOR",
            "tags": tags,
        })
    );
    assert_eq!(
        Value::Object(new_session(&spec(), "peer", &mark)),
        json!({
            "resource_type": "PolicyBasedIPSecVPNSession",
            "display_name": "branch 42",
            "enabled": true,
            "local_endpoint_id": "local",
            "peer_endpoint_id": "peer",
            "policy_rules": [{
                "sources": [{ "subnet": "10.0.0.0/24" }], "destinations": [],
                "enabled": true, "logged": false,
            }],
            "tags": tags,
        })
    );
}

#[test]
fn everything_that_can_be_given_is_sent() {
    let spec = ConnectionSpec {
        description: "d".to_owned(),
        admin_enabled: Some(false),
        ike_policy: Some("ike".to_owned()),
        ipsec_policy: Some("tunnel".to_owned()),
        dpd_policy: Some("dpd".to_owned()),
        peer_id: Some("branch.example".to_owned()),
        authentication: Some(Authentication::Certificate),
        initiation: Some(Initiation::OnDemand),
        selectors: Some(Selectors::RouteBased(vec![TunnelInterface {
            id: None,
            addresses: vec!["169.254.64.1/30".to_owned(), "fd00::1/64".to_owned()],
        }])),
        tcp_mss_clamping: Some(TcpMssClamping {
            direction: ClampDirection::Inbound,
            max_segment_size: None,
        }),
        ..spec()
    };
    let mark = Mark::new();
    let peer = new_peer_endpoint(&spec, &mark);
    assert_eq!(peer["peer_id"], "branch.example");
    assert_eq!(peer["authentication_mode"], "CERTIFICATE");
    assert_eq!(peer["connection_initiation_mode"], "ON_DEMAND");
    assert_eq!(peer["ike_profile_id"], "ike");
    assert_eq!(peer["ipsec_tunnel_profile_id"], "tunnel");
    assert_eq!(peer["dpd_profile_id"], "dpd");
    assert!(!peer.contains_key("psk"));
    let session = new_session(&spec, "peer", &mark);
    assert_eq!(session["resource_type"], "RouteBasedIPSecVPNSession");
    assert_eq!(session["description"], "d");
    assert_eq!(session["enabled"], false);
    assert_eq!(
        session["tcp_mss_clamping"],
        json!({ "direction": "INBOUND_CONNECTION" })
    );
    assert_eq!(
        session["tunnel_ports"],
        json!([{ "ip_subnets": [
            { "ip_addresses": ["169.254.64.1"], "prefix_length": 30 },
            { "ip_addresses": ["fd00::1"], "prefix_length": 64 },
        ] }])
    );
}

fn change(field: Field, values: ConnectionSpec) -> ConnectionChange {
    ConnectionChange {
        fields: [field].into(),
        values,
        ..ConnectionChange::default()
    }
}

/// Returns what an update would change in the session, or `None` if it would not write it.
#[track_caller]
fn session_after(before: Value, field: Field, values: ConnectionSpec) -> Option<Value> {
    let after = changed_session(&body(before.clone()), &change(field, values)).unwrap();
    after.map(|after| difference(&before, after))
}

fn difference(before: &Value, after: Map<String, Value>) -> Value {
    let removed = before.as_object().unwrap().keys();
    let removed = removed.filter(|key| !after.contains_key(*key) && *key != "psk");
    let removed: Vec<(String, Value)> = removed.map(|key| (key.clone(), Value::Null)).collect();
    let changed = after
        .into_iter()
        .filter(|(key, value)| before.get(key) != Some(value));
    changed.chain(removed).collect()
}

#[test]
fn a_session_is_written_only_where_it_differs() {
    let values = ConnectionSpec::default;
    let after = |field, values| session_after(session(), field, values);
    let same = ConnectionSpec {
        display_name: "branch 42".to_owned(),
        description: "to the branch".to_owned(),
        admin_enabled: Some(true),
        local_endpoint: Some("local".to_owned()),
        tcp_mss_clamping: Some(TcpMssClamping {
            direction: ClampDirection::Both,
            max_segment_size: Some(1300),
        }),
        selectors: Some(Selectors::Rules(vec![PolicyRule {
            sources: vec!["10.0.0.0/24".to_owned()],
            destinations: vec!["2001:db8::/64".to_owned(), "10.1.0.7/24".to_owned()],
            ..PolicyRule::default()
        }])),
        ..values()
    };
    for field in Field::ALL {
        assert_eq!(after(field, same.clone()), None, "{field:?}");
    }
    assert_eq!(
        after(Field::Description, values()),
        Some(json!({ "description": null }))
    );
    assert_eq!(
        after(Field::TcpMssClamping, values()),
        Some(json!({ "tcp_mss_clamping": null }))
    );
    // Unset returns to the default, which is on.
    assert_eq!(after(Field::AdminEnabled, values()), None);
    let off = ConnectionSpec {
        admin_enabled: Some(false),
        ..values()
    };
    assert_eq!(
        after(Field::AdminEnabled, off),
        Some(json!({ "enabled": false }))
    );
    let moved = ConnectionSpec {
        local_endpoint: Some("other".to_owned()),
        ..values()
    };
    assert_eq!(
        after(Field::LocalEndpoint, moved),
        Some(json!({ "local_endpoint_id": "other" }))
    );
    let nameless = with(session(), json!({ "display_name": SESSION }));
    assert_eq!(session_after(nameless, Field::DisplayName, values()), None);
    let unclamped = with(
        session(),
        json!({ "tcp_mss_clamping": { "direction": "NONE" } }),
    );
    assert_eq!(
        session_after(unclamped, Field::TcpMssClamping, values()),
        None
    );
}

#[test]
fn a_rule_that_stays_keeps_what_else_it_has() {
    let kept = json!({
        "id": "1026", "display_name": "mine", "_revision": 4, "action": "PROTECT",
        "sources": [{ "subnet": "10.0.0.0/24" }], "destinations": [], "enabled": true, "logged": false,
    });
    let before = with(session(), json!({ "policy_rules": [kept] }));
    let rule = |id: Option<&str>, source: &str, logged| PolicyRule {
        id: id.map(str::to_owned),
        sources: vec![source.to_owned()],
        logged,
        ..PolicyRule::default()
    };
    let after = |rules| {
        let values = ConnectionSpec {
            selectors: Some(Selectors::Rules(rules)),
            ..Default::default()
        };
        session_after(before.clone(), Field::Selectors, values).map(|it| it["policy_rules"].clone())
    };
    assert_eq!(after(vec![rule(None, "10.0.0.0/24", None)]), None);
    let mut as_read = rule(Some("1026"), "10.0.0.0/24", Some(false));
    as_read.action = Some(RuleAction::Protect);
    assert_eq!(after(vec![as_read]), None);
    let two = after(vec![
        rule(None, "10.9.0.0/24", None),
        rule(None, "10.0.0.0/24", None),
    ])
    .unwrap();
    assert_eq!(two[1], kept);
    assert_eq!(two[0].get("id"), None);
    let logged = after(vec![rule(Some("1026"), "10.9.0.0/24", Some(true))]).unwrap();
    let mut expected = kept.clone();
    expected["sources"] = json!([{ "subnet": "10.9.0.0/24" }]);
    expected["logged"] = json!(true);
    assert_eq!(logged, json!([expected]));
}

/// A rule that cannot be read cannot be sent back by a caller, and a caller does not see a rule's other fields.
#[test]
fn a_rule_that_cannot_be_read_stays() {
    let unread = json!({ "id": "2", "sources": "any", "destinations": [] });
    let read = json!({
        "id": 1, "action": "bypass", "enabled": "perhaps", "logged": false,
        "sources": [{ "subnet": "10.0.0.0/24", "note": "mine" }], "destinations": [],
    });
    let before = with(session(), json!({ "policy_rules": [unread, read] }));
    let mut rule = PolicyRule {
        id: Some("1".to_owned()),
        sources: vec!["10.0.0.0/24".to_owned()],
        logged: Some(false),
        action: Some(RuleAction::Bypass),
        ..PolicyRule::default()
    };
    let mut after = |logged| {
        rule.logged = Some(logged);
        let values = ConnectionSpec {
            selectors: Some(Selectors::Rules(vec![rule.clone()])),
            ..Default::default()
        };
        session_after(before.clone(), Field::Selectors, values)
    };
    assert_eq!(after(false), None);
    let logged = with(read, json!({ "logged": true }));
    assert_eq!(
        after(true),
        Some(json!({ "policy_rules": [logged, unread] }))
    );
}

#[test]
fn the_kind_of_a_session_is_for_life() {
    let values = ConnectionSpec {
        selectors: Some(Selectors::RouteBased(Vec::new())),
        ..ConnectionSpec::default()
    };
    let refused = changed_session(&body(session()), &change(Field::Selectors, values));
    assert_eq!(refused.unwrap_err()[0].field, "route_based");
}

#[test]
fn a_tunnel_port_that_stays_keeps_its_id() {
    let before = with(
        session(),
        json!({
            "resource_type": "RouteBasedIPSecVPNSession",
            "tunnel_ports": [{
                "tunnel_port_id": "port", "ip_subnets": [{ "ip_addresses": ["169.254.64.1"], "prefix_length": 30 }],
            }],
        }),
    );
    let after = |address: &str| {
        let interfaces = vec![TunnelInterface {
            id: None,
            addresses: vec![address.to_owned()],
        }];
        let values = ConnectionSpec {
            selectors: Some(Selectors::RouteBased(interfaces)),
            ..ConnectionSpec::default()
        };
        session_after(before.clone(), Field::Selectors, values)
    };
    assert_eq!(after("169.254.64.1/30"), None);
    assert_eq!(
        after("169.254.64.5/30").unwrap()["tunnel_ports"],
        json!([{
            "tunnel_port_id": "port", "ip_subnets": [{ "ip_addresses": ["169.254.64.5"], "prefix_length": 30 }],
        }])
    );
}

fn psk(text: &str) -> Option<Authentication> {
    Some(Authentication::Psk(Psk::new(text)))
}

#[track_caller]
fn peer_after(fields: &[Field], values: ConnectionSpec) -> Result<Option<Value>, String> {
    let change = ConnectionChange {
        fields: fields.iter().copied().collect(),
        values,
        ..ConnectionChange::default()
    };
    changed_peer_endpoint(&body(peer()), &change)
        .map(|after| after.map(|after| difference(&peer(), after)))
        .map_err(|violations| violations[0].field.clone())
}

#[test]
fn a_peer_endpoint_is_written_only_where_it_differs_and_with_its_key() {
    let values = ConnectionSpec::default;
    let same = ConnectionSpec {
        peer_address: "203.0.113.7".to_owned(),
        peer_id: Some("branch.example".to_owned()),
        initiation: Some(Initiation::RespondOnly),
        ike_policy: Some("ike".to_owned()),
        ipsec_policy: Some("tunnel".to_owned()),
        dpd_policy: Some("dpd".to_owned()),
        ..values()
    };
    for field in Field::ALL {
        assert_eq!(peer_after(&[field], same.clone()), Ok(None), "{field:?}");
    }
    let keyed = ConnectionSpec {
        authentication: psk("canary"),
        ..same.clone()
    };
    assert_eq!(
        peer_after(&[Field::Authentication], keyed.clone()),
        Ok(Some(json!({ "psk": "canary" })))
    );
    assert_eq!(peer_after(&[Field::PeerAddress], keyed), Ok(None));

    let moved = ConnectionSpec {
        peer_address: "203.0.113.8".to_owned(),
        ..same.clone()
    };
    assert_eq!(
        peer_after(&[Field::PeerAddress], moved.clone()),
        Err("peer.psk".to_owned())
    );
    let moved = ConnectionSpec {
        authentication: psk("canary"),
        peer_id: None,
        ..moved
    };
    assert_eq!(
        peer_after(
            &[Field::PeerAddress, Field::PeerId, Field::Authentication],
            moved
        ),
        Ok(Some(json!({
            "peer_address": "203.0.113.8", "peer_id": "203.0.113.8", "psk": "canary"
        })))
    );
    let certificate = ConnectionSpec {
        authentication: Some(Authentication::Certificate),
        ..values()
    };
    assert_eq!(
        peer_after(&[Field::Authentication, Field::Initiation], certificate),
        Ok(Some(json!({
            "authentication_mode": "CERTIFICATE", "connection_initiation_mode": "INITIATOR"
        })))
    );
    let default = ConnectionSpec {
        authentication: psk("canary"),
        ..values()
    };
    assert_eq!(
        peer_after(&[Field::IkePolicy, Field::Authentication], default),
        Ok(Some(json!({ "psk": "canary", "ike_profile_id": null })))
    );
}

/// A key cannot be compared, so a given key is written.
#[test]
fn what_differs_is_told_with_the_object_that_it_is_written_to() {
    let change = |fields: &[Field]| ConnectionChange {
        fields: fields.iter().copied().collect(),
        values: ConnectionSpec {
            display_name: "branch 42".to_owned(),
            description: "other".to_owned(),
            initiation: Some(Initiation::RespondOnly),
            authentication: psk("canary"),
            selectors: Some(Selectors::Rules(Vec::new())),
            ..ConnectionSpec::default()
        },
        ..ConnectionChange::default()
    };
    let whole = change(&Field::ALL);
    let in_session = changed_in_session(&body(session()), &whole);
    let expected = [
        "description",
        "local_endpoint",
        "policy_based",
        "tcp_mss_clamping",
    ];
    assert_eq!(in_session, expected);
    let in_peer = |fields| changed_in_peer_endpoint(&body(peer()), &change(fields));
    assert_eq!(in_peer(&[Field::Initiation]), [""; 0]);
    assert_eq!(
        in_peer(&[Field::Initiation, Field::Authentication]),
        ["peer.psk"]
    );
    assert_eq!(in_peer(&[Field::PeerAddress]), ["peer.address"]);
}

#[test]
fn what_making_a_connection_writes_is_told_by_object() {
    let spec = ConnectionSpec {
        display_name: "x".to_owned(),
        local_endpoint: Some("local".to_owned()),
        peer_address: "203.0.113.7".to_owned(),
        authentication: Some(Authentication::Certificate),
        dpd_policy: Some("dpd".to_owned()),
        selectors: Some(Selectors::RouteBased(Vec::new())),
        ..ConnectionSpec::default()
    };
    let mut wanted = NewConnection::alone(spec);
    let kind = ResourceKind::IkePolicy;
    wanted.parts.insert(kind, ResourceSpec::none(kind));
    let [session, peer] = written(&wanted);
    assert_eq!(
        session,
        [
            "display_name",
            "admin_enabled",
            "local_endpoint",
            "route_based"
        ]
    );
    let expected = [
        "display_name",
        "ike_policy",
        "dpd_policy",
        "peer.address",
        "peer.id",
        "peer.certificate",
        "initiation",
    ];
    assert_eq!(peer, expected);
}

#[test]
fn an_interface_has_an_address_with_a_prefix() {
    assert!(interface_address("169.254.64.1/30").is_some());
    assert!(interface_address("fd00::1/128").is_some());
    for text in [
        "",
        "169.254.64.1",
        "169.254.64.1/33",
        "x/30",
        "169.254.64.1/",
        "fd00::1/129",
    ] {
        assert!(interface_address(text).is_none(), "{text}");
    }
}
