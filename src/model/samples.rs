//! Generated connections for round-trip tests.
//!
//! The tests in a dialect's `translate/round_trips.rs` show that translation loses nothing in either direction. What a
//! dialect can express reads back as it was written ([`connection`], [`sent_back`]). Every value of an answer has a
//! place in the model ([`altered`]).

use crate::model::{
    Authentication, ClampDirection, Connection, ConnectionChange, ConnectionSpec,
    DeadPeerDetection, DpdAction, Field, Initiation, Peer, PolicyRule, RuleAction, Selectors,
    TcpMssClamping, TunnelInterface,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value};

/// The spec of a caller who sends back what was read.
pub fn sent_back(read: &Connection) -> ConnectionSpec {
    let read = read.clone();
    let selectors = read.selectors.map(|selectors| match selectors {
        // Ids of interfaces are output only.
        Selectors::RouteBased(interfaces) => {
            let passed_over = |it| TunnelInterface { id: None, ..it };
            Selectors::RouteBased(interfaces.into_iter().map(passed_over).collect())
        }
        other => other,
    });
    ConnectionSpec {
        display_name: read.display_name,
        description: read.description,
        admin_enabled: read.admin_enabled,
        vpn_service: read.vpn_service,
        local_endpoint: read.local_endpoint,
        ike_policy: read.ike_policy,
        ipsec_policy: read.ipsec_policy,
        dpd_policy: read.dpd_policy,
        peer_address: read.peer.address,
        peer_id: Some(read.peer.id).filter(|id| !id.is_empty()),
        authentication: read.peer.certificate.then_some(Authentication::Certificate),
        dpd: read.dpd,
        initiation: read.initiation,
        selectors,
        mtu: read.mtu,
        tcp_mss_clamping: read.tcp_mss_clamping,
        availability_zone: read.availability_zone,
    }
}

/// The update of a caller who sends back what was read: of every field, as with the mask `*`, or only of the fields
/// that are set.
pub fn change_back(read: &Connection, everything: bool) -> ConnectionChange {
    let values = sent_back(read);
    let keeps_the_key =
        |field: &Field| field.is_set(&values) || everything && *field != Field::Authentication;
    ConnectionChange {
        fields: Field::ALL.into_iter().filter(keeps_the_key).collect(),
        values,
        ..ConnectionChange::default()
    }
}

/// Returns, for each value in `whole`, a copy with that value replaced by another, and the path of the value. A list is
/// also given an element more, and an object a key that nobody knows.
pub fn altered(whole: &Value) -> Vec<(String, Value)> {
    fn put(
        wrap: &dyn Fn(Value) -> Value,
        path: &str,
        value: &Value,
        found: &mut Vec<(String, Value)>,
    ) {
        match value {
            Value::Object(object) => {
                for (key, inner) in object {
                    let within = |new| {
                        let mut object = object.clone();
                        object.insert(key.clone(), new);
                        wrap(Value::Object(object))
                    };
                    put(&within, &format!("{path}.{key}"), inner, found);
                }
                let mut object = object.clone();
                object.insert("x_new".to_owned(), "+".into());
                found.push((format!("{path}.x_new"), wrap(Value::Object(object))));
            }
            Value::Array(list) => {
                for (index, inner) in list.iter().enumerate() {
                    let within = |new| {
                        let mut list = list.clone();
                        list[index] = new;
                        wrap(Value::Array(list))
                    };
                    put(&within, &format!("{path}[{index}]"), inner, found);
                }
                let longer = [list.as_slice(), &["+".into()]].concat();
                found.push((format!("{path}[{}]", list.len()), wrap(longer.into())));
            }
            Value::Bool(is) => found.push((path.to_owned(), wrap(Value::Bool(!is)))),
            Value::String(text) => found.push((path.to_owned(), wrap(format!("{text}+").into()))),
            Value::Null => found.push((path.to_owned(), wrap("+".into()))),
            Value::Number(number) => {
                let other = number.as_i64().unwrap_or_default().wrapping_add(1);
                found.push((path.to_owned(), wrap(other.into())));
            }
        }
    }
    let mut found = Vec::new();
    put(&|new| new, "", whole, &mut found);
    found
}

/// Keys that no dialect knows, with arbitrary values.
pub fn unknown_keys() -> impl Strategy<Value = Map<String, Value>> {
    let value = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z0-9 ]{0,9}".prop_map(Value::from),
        vec("[a-z]{1,5}".prop_map(Value::from), 0..3).prop_map(Value::from),
        Just(serde_json::json!({ "inner": [{ "deep": 1 }] })),
    ];
    // The letters of these keys cannot spell the name of a secret.
    vec(("x_[a-f]{1,8}", value), 0..4).prop_map(Map::from_iter)
}

/// An id that is valid in a resource name.
pub fn id() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_:-][a-zA-Z0-9 ._:-]{0,40}".prop_filter("a segment", |id| id != "..")
}

/// A network, IPv4 or IPv6.
pub fn network() -> impl Strategy<Value = String> {
    prop_oneof![
        (any::<std::net::Ipv4Addr>(), 0..=32_u8).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
        (any::<std::net::Ipv6Addr>(), 0..=128_u8).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
    ]
}

fn rule() -> impl Strategy<Value = PolicyRule> {
    let actions = prop_oneof![Just(RuleAction::Protect), Just(RuleAction::Bypass)];
    (
        option::of("[a-z0-9-]{1,9}"),
        vec(network(), 0..3),
        vec(network(), 0..3),
        any::<Option<bool>>(),
        any::<Option<bool>>(),
        option::of(actions),
    )
        .prop_map(
            |(id, sources, destinations, enabled, logged, action)| PolicyRule {
                id,
                sources,
                destinations,
                enabled,
                logged,
                action,
            },
        )
}

fn selectors() -> impl Strategy<Value = Selectors> {
    let interface = vec(network(), 1..3).prop_map(|addresses| TunnelInterface {
        id: None,
        addresses,
    });
    prop_oneof![
        vec(rule(), 1..4).prop_map(Selectors::Rules),
        (id(), id()).prop_map(|(local, peer)| Selectors::EndpointGroups { local, peer }),
        vec(interface, 1..4).prop_map(Selectors::RouteBased),
    ]
}

fn dpd() -> impl Strategy<Value = DeadPeerDetection> {
    let actions = prop_oneof![
        Just(DpdAction::Clear),
        Just(DpdAction::Hold),
        Just(DpdAction::Restart),
        Just(DpdAction::Disabled),
        Just(DpdAction::RestartByPeer),
    ];
    (option::of(actions), any::<bool>(), 1..1_000_000_u32).prop_map(|(action, timed, interval)| {
        DeadPeerDetection {
            action,
            interval_seconds: timed.then_some(interval),
            timeout_seconds: timed.then_some(interval + 1),
        }
    })
}

fn clamping() -> impl Strategy<Value = TcpMssClamping> {
    let directions = prop_oneof![
        Just(ClampDirection::None),
        Just(ClampDirection::Inbound),
        Just(ClampDirection::Outbound),
        Just(ClampDirection::Both),
    ];
    (directions, any::<Option<u32>>()).prop_map(|(direction, max_segment_size)| TcpMssClamping {
        direction,
        max_segment_size,
    })
}

/// A connection of no particular cloud, with everything that the model can hold and a caller can write.
pub fn connection() -> impl Strategy<Value = Connection> {
    let initiations = prop_oneof![
        Just(Initiation::Both),
        Just(Initiation::RespondOnly),
        Just(Initiation::OnDemand),
    ];
    let reference = || option::of(id());
    let references = (
        reference(),
        reference(),
        reference(),
        reference(),
        reference(),
    );
    let texts = (".{0,20}", ".{0,20}", any::<Option<bool>>());
    let address = prop_oneof![
        any::<std::net::IpAddr>().prop_map(|ip| ip.to_string()),
        "[a-z][a-z0-9]{0,9}(\\.[a-z]{1,5}){0,3}",
    ];
    let peer = (address, ".{0,20}", any::<bool>());
    let rest = (
        option::of(dpd()),
        option::of(initiations),
        option::of(selectors()),
        any::<Option<u32>>(),
        option::of(clamping()),
    );
    (references, texts, peer, rest).prop_map(|(references, texts, peer, rest)| Connection {
        id: "c".to_owned(),
        display_name: texts.0,
        description: texts.1,
        admin_enabled: texts.2,
        vpn_service: references.0,
        local_endpoint: references.1,
        ike_policy: references.2,
        ipsec_policy: references.3,
        dpd_policy: references.4,
        peer: Peer {
            address: peer.0,
            id: peer.1,
            certificate: peer.2,
            psk_set: !peer.2,
        },
        dpd: rest.0,
        initiation: rest.1,
        selectors: rest.2,
        mtu: rest.3,
        tcp_mss_clamping: rest.4,
        ..Connection::default()
    })
}
