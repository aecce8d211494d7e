//! Both directions, example by example. The vendors' own examples are in `tests/fixtures/openstack`.

use super::{words::*, *};
use crate::{
    core::dialect::Mark,
    dialects::openstack::{
        mark,
        variant::{K5, NEUTRON, OTC, Variant},
        wire::{Body, ListPage, kind::CONNECTIONS},
    },
    model::{
        Authentication, Connection, ConnectionChange, ConnectionSpec, DeadPeerDetection, Details,
        DpdAction, Field, Initiation, OpenstackDetails, Peer, PolicyRule, Psk, Selectors,
    },
    rest::json,
};
use serde_json::{Value, json as object};
use std::time::{Duration, SystemTime};

const ONE: &str = CONNECTIONS.one;
const MANY: &str = CONNECTIONS.many;

fn one(text: &str) -> Body {
    Body::under(ONE, json::parse(text.as_bytes()).unwrap()).unwrap()
}

fn body(fields: Value) -> Body {
    Body::new(fields.as_object().unwrap().clone())
}

fn native(connection: &Connection) -> Value {
    Value::Object(connection.native.clone())
}

fn openstack(connection: &Connection) -> &OpenstackDetails {
    match &connection.details {
        Some(Details::Openstack(details)) => details,
        other => panic!("{other:?}"),
    }
}

fn recorded() -> Body {
    let text =
        include_str!("../../../../tests/fixtures/openstack/recorded/107-connection-created.json");
    let pair = json::parse(text.as_bytes()).unwrap();
    Body::under(ONE, pair["answer"]["body"].clone()).unwrap()
}

#[test]
fn a_recorded_connection_leaves_nothing_over_but_its_status() {
    let read = connection(recorded(), &NEUTRON);
    assert_eq!(read.id, "b0f38f6f-cf87-497a-a997-8e4b0de75f73");
    assert_eq!(read.admin_enabled, Some(true));
    assert_eq!(
        read.vpn_service.as_deref(),
        Some("1e895ab9-9823-44dd-bca7-065ffeba871e")
    );
    assert_eq!(
        read.ike_policy.as_deref(),
        Some("c573ba64-128f-4fbf-aa90-15471a8dc49a")
    );
    assert_eq!(
        read.ipsec_policy.as_deref(),
        Some("ed664305-b59f-470f-b045-e8bebe38ce90")
    );
    assert_eq!(read.peer.address, "198.51.100.20");
    assert_eq!(read.peer.id, "198.51.100.20");
    assert!(read.peer.psk_set && !read.peer.certificate && !read.managed);
    assert_eq!(read.dpd, Some(default_dpd()));
    assert_eq!(read.initiation, Some(Initiation::Both));
    assert_eq!(
        read.selectors,
        Some(Selectors::EndpointGroups {
            local: "2dd8e2a4-7bbd-42b8-8763-398a5f487425".to_owned(),
            peer: "fee1ba84-bf34-46a9-932d-5f5d50758756".to_owned(),
        })
    );
    assert_eq!(read.mtu, Some(1500));
    assert_eq!(
        openstack(&read).project_id,
        "fc01997757d140ebb063c7729563fba8"
    );
    assert_eq!(openstack(&read).auth_mode, "psk");
    assert_eq!(openstack(&read).route_mode, "static");
    assert_eq!(native(&read), object!({ "status": "PENDING_CREATE" }));
    assert!(!format!("{read:?}").contains("s3cret"));
}

fn example(text: &str, variant: &'static Variant) -> Connection {
    let answer = json::parse(text.as_bytes()).unwrap();
    let body = Body::under(ONE, answer.clone())
        .unwrap_or_else(|| ListPage::of(MANY, answer).unwrap().rows.remove(0));
    connection(body, variant)
}

#[track_caller]
fn check_example(read: &Connection, expected: &Connection) {
    assert_eq!(format!("{read:#?}"), format!("{expected:#?}"));
}

/// What all the vendors' examples have in common.
fn example_with(etag: &str, native: &str, details: OpenstackDetails) -> Connection {
    let status = ("status".to_owned(), Value::from(native));
    Connection {
        display_name: "vpnconnection1".to_owned(),
        admin_enabled: Some(true),
        peer: Peer {
            address: "172.24.4.226".to_owned(),
            id: "172.24.4.226".to_owned(),
            certificate: false,
            psk_set: true,
        },
        dpd: Some(DeadPeerDetection {
            action: Some(DpdAction::Hold),
            interval_seconds: Some(30),
            timeout_seconds: Some(120),
        }),
        initiation: Some(Initiation::Both),
        mtu: Some(1500),
        etag: etag.to_owned(),
        native: serde_json::Map::from_iter([status]),
        details: Some(Details::Openstack(OpenstackDetails {
            auth_mode: "psk".to_owned(),
            route_mode: "static".to_owned(),
            ..details
        })),
        ..Connection::default()
    }
}

fn id(id: &str) -> Option<String> {
    Some(id.to_owned())
}

/// Every value of the three documents, with its place in the model. Only the status is left over.
#[test]
fn the_vendors_examples_are_read_whole() {
    let otc = |native, created_at: &str, read: &Connection| Connection {
        id: "851f280f-5639-4ea3-81aa-e298525ab74b".to_owned(),
        vpn_service: id("5c561d9d-eaea-45f6-ae3e-08d1a7080828"),
        ike_policy: id("9b00d6b0-6c93-4ca5-9747-b8ade7bb514f"),
        ipsec_policy: id("e6e23d0c-9519-4d52-8ea4-5b1f96d857b1"),
        selectors: Some(Selectors::EndpointGroups {
            local: "3e1815dd-e212-43d0-8f13-b494fa553e68".to_owned(),
            peer: "9ad5a7e0-6dac-41b4-b20d-a7b8645fddf1".to_owned(),
        }),
        create_time: (!created_at.is_empty())
            .then(|| SystemTime::UNIX_EPOCH + Duration::from_micros(1_596_631_175_921_257)),
        ..example_with(
            &read.etag,
            native,
            OpenstackDetails {
                project_id: "10039663455a446d8ba2cbb058b0f578".to_owned(),
                created_at: created_at.to_owned(),
                ..OpenstackDetails::default()
            },
        )
    };
    let shown = include_str!("../../../../tests/fixtures/openstack/otc_show_down.json");
    let shown = example(shown, &OTC);
    check_example(&shown, &otc("DOWN", "", &shown));

    let listed = include_str!(
        "../../../../tests/fixtures/openstack/otc_list_pending_create_with_blank.json"
    );
    let listed = example(listed, &OTC);
    let created_at = "2020-08-05 12:39:35.921257";
    check_example(&listed, &otc("PENDING CREATE", created_at, &listed));
    // A LIST and a GET of the same connection give the same etag.
    assert_eq!(listed.etag, shown.etag);

    let k5 = include_str!("../../../../tests/fixtures/openstack/k5_show_pending_create.json");
    let k5 = example(k5, &K5);
    let details = OpenstackDetails {
        project_id: "ccb81365fe36411a9011e90491fe1330".to_owned(),
        availability_zone: "AZ1".to_owned(),
        ..OpenstackDetails::default()
    };
    let expected = Connection {
        id: "cbc152a0-7e93-4f98-9f04-b085a4bf2511".to_owned(),
        vpn_service: id("c2f3178d-5530-4c4a-89fc-050ecd552636"),
        ike_policy: id("bf5612ac-15fb-460c-9b3d-6453da2fafa2"),
        ipsec_policy: id("8ba867b2-67eb-4835-bb61-c226804a1584"),
        selectors: Some(networks(&["10.1.0.0/24"])),
        availability_zone: Some("AZ1".to_owned()),
        ..example_with(&k5.etag, "PENDING_CREATE", details)
    };
    check_example(&k5, &expected);
}

/// K5 takes the zone of a new connection, and keeps it.
#[test]
fn a_zone_is_written_once_and_kept() {
    let zoned = |zone: &str| ConnectionSpec {
        availability_zone: Some(zone.to_owned()),
        ..ConnectionSpec::default()
    };
    let made = new_connection(&zoned("AZ1"), &Mark::new(), &K5);
    assert_eq!(made["availability_zone"], "AZ1");
    assert!(!new_connection(&zoned(""), &Mark::new(), &K5).contains_key("availability_zone"));

    let there = body(object!({"id": "a", "availability_zone": "AZ1"}));
    let field = Field::AvailabilityZone;
    let changed = |zone| changes(&there, &change(&[field], zoned(zone)), &K5);
    assert_eq!(changed("AZ1"), Ok(None));
    assert_eq!(changed("AZ2").unwrap_err()[0].field, field.path());
}

#[test]
fn every_dpd_action_reads_as_it_is_written() {
    for (word, action) in ACTIONS {
        let dpd = DeadPeerDetection {
            action: Some(action),
            interval_seconds: Some(20),
            timeout_seconds: Some(60),
        };
        let spec = ConnectionSpec {
            dpd: Some(dpd),
            ..ConnectionSpec::default()
        };
        let body = new_connection(&spec, &Mark::new(), &NEUTRON);
        assert_eq!(body["dpd"]["action"], word);
        assert_eq!(connection(Body::new(body), &NEUTRON).dpd, Some(dpd));
    }
    assert_eq!(ACTIONS.len(), 5);
}

#[test]
fn odd_answers_are_read_all_the_same() {
    let strings = connection(
        one(include_str!(
            "../../../../tests/fixtures/openstack/made_show_numbers_as_strings.json"
        )),
        &NEUTRON,
    );
    assert_eq!(
        (strings.mtu, strings.admin_enabled),
        (Some(1500), Some(true))
    );
    assert_eq!(strings.dpd, Some(default_dpd()));
    let repeated = connection(
        one(include_str!(
            "../../../../tests/fixtures/openstack/made_show_repeated_keys.json"
        )),
        &NEUTRON,
    );
    assert_eq!(
        repeated.vpn_service.as_deref(),
        Some("0f3f3b1e-2f57-4a39-8b39-4f1d5b8d2f10")
    );
    let zoned = connection(
        one(include_str!(
            "../../../../tests/fixtures/openstack/made_show_created_at_with_zone.json"
        )),
        &NEUTRON,
    );
    assert_eq!(
        openstack(&zoned).created_at,
        "2020-08-05T12:39:35.921257+00:00"
    );
    let unknown = connection(
        one(include_str!(
            "../../../../tests/fixtures/openstack/made_show_unknown_keys.json"
        )),
        &NEUTRON,
    );
    assert_eq!(openstack(&unknown).tags, ["stage=test"]);
    assert_eq!(
        native(&unknown),
        object!({ "status": "DOWN", "sdn": "neutron" })
    );
    for text in [
        include_str!("../../../../tests/fixtures/openstack/made_show_status_absent.json"),
        include_str!("../../../../tests/fixtures/openstack/made_show_status_null.json"),
    ] {
        assert_eq!(
            connection(one(text), &NEUTRON).display_name,
            "vpnconnection1"
        );
    }
    assert_eq!(connection(Body::default(), &NEUTRON).peer, Peer::default());
}

#[test]
fn what_does_not_fit_stays_in_native() {
    let read = connection(
        body(object!({
            "id": "a", "initiator": "sometimes", "mtu": "many", "peer_address": "10.0.0.256",
            "dpd": {"action": "shrug", "interval": 30, "timeout": -1, "colour": "red"},
            "peer_cidrs": ["2.1.4..0/24", "10.0.0.0/8"], "tags": ["a=b", 7],
            "project_id": "one", "tenant_id": "two", "admin_state_up": "perhaps", "psk": "canary",
        })),
        &NEUTRON,
    );
    assert_eq!(
        read.selectors,
        Some(networks(&["2.1.4..0/24", "10.0.0.0/8"]))
    );
    assert_eq!(read.peer.address, "10.0.0.256");
    assert_eq!(
        (read.initiation, read.mtu, read.admin_enabled),
        (None, None, None)
    );
    assert_eq!(read.dpd.unwrap().interval_seconds, Some(30));
    assert_eq!(
        native(&read),
        object!({
            "initiator": "sometimes", "mtu": "many", "peer_address": "10.0.0.256",
            "dpd": {"action": "shrug", "timeout": -1, "colour": "red"},
            "peer_cidrs": ["2.1.4..0/24", "10.0.0.0/8"], "tags": ["a=b", 7],
            "tenant_id": "two", "admin_state_up": "perhaps",
        })
    );
    let half = connection(
        body(object!({"id": "a", "local_ep_group_id": "l"})),
        &NEUTRON,
    );
    assert_eq!(half.selectors, None);
    assert_eq!(native(&half), object!({"local_ep_group_id": "l"}));
    let no_text = object!({
        "peer_cidrs": "10.0.0.0/8", "peer_id": ["x"], "tenant_id": {"of": "its own"},
        "local_ep_group_id": {"of": "its own"},
    });
    assert_eq!(
        native(&connection(body(no_text.clone()), &NEUTRON)),
        no_text
    );
}

#[test]
fn an_at_before_a_peer_id_is_taken_off_where_the_cloud_puts_it() {
    let body = body(object!({"id": "a", "peer_id": "@branch.example"}));
    let k5 = connection(body.clone(), &K5);
    assert_eq!(k5.peer.id, "branch.example");
    assert_eq!(native(&k5), object!({"peer_id": "@branch.example"}));
    assert_eq!(
        connection(body.clone(), &NEUTRON).peer.id,
        "@branch.example"
    );
    let same = change(
        &[Field::PeerId],
        ConnectionSpec {
            peer_id: Some("branch.example".to_owned()),
            ..ConnectionSpec::default()
        },
    );
    assert_eq!(changes(&body, &same, &K5), Ok(None));
}

#[test]
fn a_peer_that_is_identified_by_its_address_is_the_same_in_any_spelling() {
    let body = body(object!({
        "id": "a", "peer_address": "2001:db8::1", "peer_id": "2001:db8::1",
    }));
    let spec = |address: &str| ConnectionSpec {
        peer_address: address.to_owned(),
        ..ConnectionSpec::default()
    };
    let fields = [Field::PeerAddress, Field::PeerId];
    let same = change(&fields, spec("2001:DB8:0::1"));
    assert_eq!(changes(&body, &same, &NEUTRON), Ok(None));
    let other = change(&fields, spec("2001:db8::2"));
    let written = changes(&body, &other, &NEUTRON).unwrap().unwrap();
    assert_eq!(written["peer_id"], "2001:db8::2");
}

#[test]
fn an_etag_follows_what_can_be_written_and_nothing_else() {
    let etag_of = |over: Value, variant| {
        let mut fields = recorded().object().clone();
        fields.insert("psk".to_owned(), "canary".into());
        for (key, value) in over.as_object().unwrap() {
            fields.insert(key.clone(), value.clone());
        }
        etag(&CONNECTIONS, &Body::new(fields), variant)
    };
    let etag_with = |over: Value| etag_of(over, &NEUTRON);
    let etag = etag_with(object!({}));
    assert_eq!(etag.len(), 32);
    for same in [
        object!({"status": "ACTIVE"}),
        object!({"psk": "other"}),
        object!({"created_at": "now", "tags": []}),
        object!({"mtu": "1500"}),
        object!({"dpd": {"timeout": 120, "action": "hold", "interval": "30"}}),
        // The model does not hold the case of a word, or the spelling of an unset field.
        object!({"dpd": {"timeout": 120, "action": "Hold", "interval": 30}}),
        object!({"initiator": "Bi-Directional"}),
        object!({"admin_state_up": "True"}),
        object!({"description": null, "local_id": null, "peer_cidrs": null}),
    ] {
        assert_eq!(etag_with(same.clone()), etag, "{same}");
    }
    for other in [
        object!({"name": "x"}),
        object!({"admin_state_up": false}),
        object!({"dpd": {"timeout": 121, "action": "hold", "interval": 30}}),
        object!({"peer_cidrs": ["10.0.0.0/8"]}),
    ] {
        assert_ne!(etag_with(other.clone()), etag, "{other}");
    }
    // The `@` is ignored only where the cloud puts it before peers' ids.
    let (plain, at) = (object!({"peer_id": "x"}), object!({"peer_id": "@x"}));
    assert_eq!(etag_of(plain.clone(), &K5), etag_of(at.clone(), &K5));
    assert_ne!(etag_with(plain), etag_with(at));
    assert_eq!(
        etag_with(object!({"peer_cidrs": ["10.1.0.0/16", "10.2.0.0/16"]})),
        etag_with(object!({"peer_cidrs": ["10.2.0.0/16", "10.1.0.0/16"]})),
    );
}

#[test]
fn a_new_connection_says_what_is_wanted_and_no_more() {
    let mark = Mark::new();
    let mut spec = ConnectionSpec {
        display_name: "branch".to_owned(),
        vpn_service: Some("s".to_owned()),
        ike_policy: Some("i".to_owned()),
        ipsec_policy: Some("p".to_owned()),
        peer_address: "198.51.100.20".to_owned(),
        authentication: Some(Authentication::Psk(Psk::new("canary"))),
        selectors: Some(Selectors::EndpointGroups {
            local: "l".to_owned(),
            peer: "r".to_owned(),
        }),
        ..ConnectionSpec::default()
    };
    let least = object!({
        "name": "branch", "vpnservice_id": "s", "ikepolicy_id": "i", "ipsecpolicy_id": "p",
        "peer_address": "198.51.100.20", "peer_id": "198.51.100.20", "psk": "canary",
        "local_ep_group_id": "l", "peer_ep_group_id": "r",
    });
    assert_eq!(Value::Object(new_connection(&spec, &mark, &OTC)), least);

    spec.description = "to the branch".to_owned();
    spec.peer_id = Some("branch.example".to_owned());
    spec.admin_enabled = Some(false);
    spec.initiation = Some(Initiation::RespondOnly);
    spec.dpd = Some(DeadPeerDetection {
        action: Some(DpdAction::RestartByPeer),
        ..DeadPeerDetection::default()
    });
    spec.mtu = Some(1400);
    spec.selectors = Some(networks(&["10.0.0.0/8", "192.168.5.1/24"]));
    let most = object!({
        "name": "branch", "description": format!("to the branch [isthmus:{}]", mark.as_str()),
        "vpnservice_id": "s", "ikepolicy_id": "i", "ipsecpolicy_id": "p",
        "peer_address": "198.51.100.20", "peer_id": "branch.example", "psk": "canary",
        "admin_state_up": false, "initiator": "response-only",
        "dpd": {"action": "restart-by-peer", "interval": 30, "timeout": 120}, "mtu": 1400,
        "peer_cidrs": ["10.0.0.0/8", "192.168.5.1/24"],
    });
    let body = new_connection(&spec, &mark, &NEUTRON);
    assert_eq!(Value::Object(body.clone()), most);

    let read = connection(Body::new(body), &NEUTRON);
    assert_eq!(read.description, "to the branch");
    assert!(read.managed);
    assert_eq!(read.selectors, spec.selectors);
}

/// Returns the body of an update of these fields of the recorded connection.
fn written(fields: &[Field], edit: fn(&mut ConnectionSpec)) -> Value {
    let mut values = ConnectionSpec {
        peer_address: "198.51.100.20".to_owned(),
        ..ConnectionSpec::default()
    };
    edit(&mut values);
    let body = changes(&recorded(), &change(fields, values), &NEUTRON).unwrap();
    body.map_or(Value::Null, Value::Object)
}

#[test]
fn only_what_differs_is_written() {
    let all: Vec<Field> = Field::ALL
        .into_iter()
        .filter(|field| *field != Field::Selectors)
        .collect();
    assert_eq!(
        written(&all, |_| {}),
        Value::Null,
        "defaults are what is there"
    );
    assert_eq!(
        written(&[Field::DisplayName], |v| v.display_name = "n".into()),
        object!({"name": "n"})
    );
    assert_eq!(
        written(&[Field::Mtu], |v| v.mtu = Some(1400)),
        object!({"mtu": 1400})
    );
    assert_eq!(
        written(&[Field::AdminEnabled], |v| v.admin_enabled = Some(false)),
        object!({"admin_state_up": false})
    );
    assert_eq!(
        written(&[Field::Initiation], |v| v.initiation =
            Some(Initiation::RespondOnly)),
        object!({"initiator": "response-only"})
    );
    assert_eq!(
        written(&[Field::Dpd], |v| v.dpd = Some(DeadPeerDetection {
            timeout_seconds: Some(90),
            ..DeadPeerDetection::default()
        })),
        object!({"dpd": {"action": "hold", "interval": 30, "timeout": 90}})
    );
    assert_eq!(
        written(&[Field::PeerAddress], |v| v.peer_address =
            "198.51.100.21".into()),
        object!({"peer_address": "198.51.100.21"})
    );
    assert_eq!(
        written(&[Field::PeerAddress, Field::PeerId], |v| v.peer_address =
            "198.51.100.21".into()),
        object!({"peer_address": "198.51.100.21", "peer_id": "198.51.100.21"})
    );
    assert_eq!(
        written(&[Field::Authentication], |v| v.authentication =
            Some(Authentication::Psk(Psk::new("canary")))),
        object!({"psk": "canary"}),
        "a key is written whatever it was"
    );
}

#[test]
fn endpoint_groups_are_written_if_they_differ() {
    assert_eq!(
        written(&[Field::Selectors], |v| v.selectors =
            Some(Selectors::EndpointGroups {
                local: "l".into(),
                peer: "r".into()
            })),
        object!({"local_ep_group_id": "l", "peer_ep_group_id": "r"})
    );
    assert_eq!(
        written(&[Field::Selectors], |v| {
            v.selectors = Some(Selectors::EndpointGroups {
                local: "2dd8e2a4-7bbd-42b8-8763-398a5f487425".into(),
                peer: "fee1ba84-bf34-46a9-932d-5f5d50758756".into(),
            });
        }),
        Value::Null
    );
}

#[test]
fn what_cannot_be_changed_is_refused_and_the_same_value_is_not() {
    let refused = |fields: &[Field], values: ConnectionSpec| {
        let violations = changes(&recorded(), &change(fields, values), &NEUTRON).unwrap_err();
        violations
            .into_iter()
            .map(|it| it.field)
            .collect::<Vec<_>>()
    };
    let other = ConnectionSpec {
        vpn_service: Some("other".to_owned()),
        ike_policy: Some("other".to_owned()),
        ipsec_policy: Some("ed664305-b59f-470f-b045-e8bebe38ce90".to_owned()),
        selectors: Some(networks(&["10.0.0.0/8"])),
        ..ConnectionSpec::default()
    };
    assert_eq!(
        refused(
            &[
                Field::VpnService,
                Field::IkePolicy,
                Field::IpsecPolicy,
                Field::Selectors
            ],
            other
        ),
        ["vpn_service", "ike_policy", "policy_based"]
    );
}

#[test]
fn a_mark_stays_behind_a_new_description() {
    let mark = Mark::new();
    let made = body(object!({"id": "a", "description": mark::put("old", &mark)}));
    let describe = |text: &str| {
        change(
            &[Field::Description],
            ConnectionSpec {
                description: text.to_owned(),
                ..ConnectionSpec::default()
            },
        )
    };
    assert_eq!(
        changes(&made, &describe("new"), &NEUTRON)
            .unwrap()
            .map(Value::Object),
        Some(object!({"description": mark::put("new", &mark)}))
    );
    assert_eq!(changes(&made, &describe("old"), &NEUTRON), Ok(None));
    let long = "x".repeat(255);
    assert_eq!(
        changes(&made, &describe(&long), &NEUTRON).unwrap_err()[0].field,
        "description"
    );
    assert!(changes(&recorded(), &describe(&long), &NEUTRON).is_ok());
    // This cloud reserves the field.
    assert_eq!(changes(&recorded(), &describe(""), &OTC), Ok(None));
}

#[test]
fn networks_are_compared_as_a_set() {
    let there = body(object!({"id": "a", "peer_cidrs": ["10.1.0.0/16", "2001:db8::/32"]}));
    let wanted = |list: &[&str]| {
        change(
            &[Field::Selectors],
            ConnectionSpec {
                selectors: Some(networks(list)),
                ..ConnectionSpec::default()
            },
        )
    };
    let same = wanted(&["2001:0db8::/32", "10.1.0.0/16"]);
    assert_eq!(changes(&there, &same, &NEUTRON), Ok(None));
    let other = wanted(&["10.1.0.0/16"]);
    assert_eq!(
        changes(&there, &other, &NEUTRON)
            .unwrap()
            .map(Value::Object),
        Some(object!({"peer_cidrs": ["10.1.0.0/16"]}))
    );
}

fn networks(list: &[&str]) -> Selectors {
    Selectors::Rules(vec![PolicyRule {
        destinations: list.iter().map(|it| (*it).to_owned()).collect(),
        ..PolicyRule::default()
    }])
}

fn change(fields: &[Field], values: ConnectionSpec) -> ConnectionChange {
    ConnectionChange {
        fields: fields.iter().copied().collect(),
        values,
        ..ConnectionChange::default()
    }
}

/// What the cloud stores after a POST without `dpd`.
fn default_dpd() -> DeadPeerDetection {
    let (action, interval, timeout) = DEFAULT_DPD;
    DeadPeerDetection {
        action: Some(action),
        interval_seconds: Some(interval),
        timeout_seconds: Some(timeout),
    }
}
