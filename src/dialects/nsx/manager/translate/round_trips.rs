//! Round trips: what NSX can express reads as it was written, and nothing that NSX answers is lost.

use crate::{
    core::{
        capability_check::{refuse, refuse_unless_there},
        dialect::Mark,
        portable::export::written,
    },
    dialects::nsx::{
        body::Body,
        manager::{
            CAPABILITIES,
            translate::{
                changed_peer_endpoint, changed_session, connection, new_peer_endpoint, new_session,
            },
            write::refusals::{SEGMENT, refusals},
        },
    },
    model::{
        Authentication, Connection, ConnectionChange, ConnectionSpec, Field, Initiation,
        PolicyRule, Psk, RuleAction, Selectors, samples,
    },
    rest,
};
use ipnet::IpNet;
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// Replaces what NSX cannot express in any connection by what it can.
fn expressible(any: Connection) -> ConnectionSpec {
    let mut spec = samples::sent_back(&any);
    spec.local_endpoint
        .get_or_insert_with(|| "local".to_owned());
    (spec.vpn_service, spec.dpd, spec.mtu) = (None, None, None);
    if spec.peer_address.parse::<std::net::IpAddr>().is_err() {
        spec.peer_address = "2001:db8::7".to_owned();
    }
    let key = || Authentication::Psk(Psk::new("not-a-real-key"));
    spec.authentication.get_or_insert_with(key);
    let selectors = spec.selectors.take();
    spec.selectors = Some(match selectors {
        Some(Selectors::Rules(mut rules)) => {
            let made = |rule: &mut PolicyRule| rule.action = None;
            rules.iter_mut().for_each(made);
            Selectors::Rules(rules)
        }
        Some(Selectors::RouteBased(interfaces)) => Selectors::RouteBased(interfaces),
        Some(Selectors::EndpointGroups { .. }) | None => {
            Selectors::Rules(vec![PolicyRule::default()])
        }
    });
    if let Some(clamping) = &mut spec.tcp_mss_clamping {
        let size = clamping.max_segment_size;
        clamping.max_segment_size = size.map(|it| it.clamp(*SEGMENT.start(), *SEGMENT.end()));
    }
    spec
}

/// Fills in the defaults of what the caller leaves to the gateway.
fn as_it_reads(mut spec: ConnectionSpec) -> ConnectionSpec {
    spec.authentication = spec
        .authentication
        .filter(|it| matches!(it, Authentication::Certificate));
    spec.admin_enabled.get_or_insert(true);
    spec.peer_id.get_or_insert(spec.peer_address.clone());
    spec.initiation.get_or_insert(Initiation::Both);
    if let Some(Selectors::Rules(rules)) = &mut spec.selectors {
        for rule in rules {
            rule.enabled.get_or_insert(true);
            rule.logged.get_or_insert(false);
        }
    }
    spec
}

/// Describes a connection as a caller would who knows no ids of rules or ports, gives the key again and spells
/// addresses differently. With or without the defaults spelled out.
fn described(read: &Connection, spelled_out: bool) -> ConnectionChange {
    let mut change = samples::change_back(read, false);
    let values = &mut change.values;
    if read.peer.psk_set {
        values.authentication = Some(Authentication::Psk(Psk::new("not-a-real-key")));
        change.fields.insert(Field::Authentication);
        change.spare_key = true;
    }
    values.peer_address = respelled(&values.peer_address);
    values.peer_id = values.peer_id.as_deref().map(respelled);
    values.selectors = values.selectors.take().and_then(written);
    match &mut values.selectors {
        Some(Selectors::Rules(rules)) => {
            for rule in rules {
                for networks in [&mut rule.sources, &mut rule.destinations] {
                    networks.iter_mut().for_each(|it| *it = respelled(it));
                    networks.reverse();
                }
                if spelled_out {
                    rule.enabled.get_or_insert(true);
                    rule.logged.get_or_insert(false);
                    rule.action.get_or_insert(RuleAction::Protect);
                }
            }
        }
        Some(Selectors::RouteBased(interfaces)) => {
            for interface in interfaces {
                interface.addresses.reverse();
            }
        }
        _ => {}
    }
    change
}

/// Spells the same address or network differently: IPv6 in full and in capitals, networks with host bits.
fn respelled(text: &str) -> String {
    let spelled = |address: IpAddr| match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let groups = address.segments().map(|group| format!("{group:04X}"));
            groups.join(":")
        }
    };
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => format!("{}/{}", spelled(network.broadcast()), network.prefix_len()),
        (_, Ok(address)) => spelled(address),
        _ => text.to_owned(),
    }
}

fn shown(spec: &ConnectionSpec) -> String {
    format!("{spec:#?}")
}

/// An object as NSX stores it.
fn kept(mut object: Map<String, Value>, id: &str) -> Body {
    object.insert("id".to_owned(), id.into());
    Body::new(object)
}

fn body(value: &Value) -> Body {
    Body::of(value.clone()).unwrap()
}

/// Values as NSX returns them, and as it should not.
fn odd(usual: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => usual,
        1 => Just(Value::Null),
        1 => "[a-z]{1,8}".prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => Just(json!([])),
        1 => Just(json!({ "of": "its own" })),
    ]
}

fn word_of(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::select(words).prop_map(Value::from)
}

fn text() -> impl Strategy<Value = Value> {
    ".{0,12}".prop_map(Value::from)
}

fn flag() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::from),
        word_of(&["true", "False", "perhaps"]),
    ]
}

/// An object with any of these fields, and with unknown ones.
fn object(
    fields: Vec<(&'static str, BoxedStrategy<Value>)>,
) -> impl Strategy<Value = Map<String, Value>> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(key, value)| {
            option::weighted(0.8, odd(value)).prop_map(move |value| Some((key.to_owned(), value?)))
        })
        .collect();
    (fields, samples::unknown_keys()).prop_map(|(fields, mut rest)| {
        rest.extend(fields.into_iter().flatten());
        rest
    })
}

fn list(of: impl Strategy<Value = Map<String, Value>>) -> impl Strategy<Value = Value> {
    vec(of.prop_map(Value::Object), 0..3).prop_map(Value::from)
}

fn subnets() -> impl Strategy<Value = Value> {
    let network = prop_oneof![
        samples::network().prop_map(Value::from),
        word_of(&["2.1.4..0/24", "10.0.0.1"]),
    ];
    list(object(vec![("subnet", network.boxed())]))
}

fn ip_subnets() -> impl Strategy<Value = Value> {
    let addresses = prop_oneof![
        4 => Just(json!(["169.254.64.1"])),
        2 => Just(json!(["fd00::1", "fd00:0::2"])),
        1 => Just(json!([])),
        1 => Just(json!(["nowhere"])),
    ];
    let length = prop_oneof![(0..129).prop_map(Value::from), word_of(&["30", "long"])];
    list(object(vec![
        ("ip_addresses", addresses.boxed()),
        ("prefix_length", length.boxed()),
    ]))
}

/// An answer with any of its fields missing or odd.
fn session() -> impl Strategy<Value = Value> {
    let rules = list(object(vec![
        ("id", word_of(&["1026", "1027"]).boxed()),
        ("sources", subnets().boxed()),
        ("destinations", subnets().boxed()),
        ("enabled", flag().boxed()),
        ("logged", flag().boxed()),
        ("action", word_of(&["PROTECT", "bypass", "REJECT"]).boxed()),
        ("_revision", (0..9).prop_map(Value::from).boxed()),
    ]));
    let ports = list(object(vec![
        ("tunnel_port_id", word_of(&["port", "other"]).boxed()),
        ("ip_subnets", ip_subnets().boxed()),
    ]));
    let clamping = object(vec![
        ("direction", word_of(&["BOTH", "none", "SIDEWAYS"]).boxed()),
        ("max_segment_size", (0..9999).prop_map(Value::from).boxed()),
    ]);
    let kinds = word_of(&[
        "PolicyBasedIPSecVPNSession",
        "RouteBasedIPSecVPNSession",
        "SomethingNew",
    ]);
    let fields = object(vec![
        ("display_name", text().boxed()),
        ("description", text().boxed()),
        ("enabled", flag().boxed()),
        ("ipsec_vpn_service_id", text().boxed()),
        ("local_endpoint_id", text().boxed()),
        ("peer_endpoint_id", text().boxed()),
        ("tcp_mss_clamping", clamping.prop_map(Value::Object).boxed()),
        ("policy_rules", rules.boxed()),
        ("tunnel_ports", ports.boxed()),
        ("_create_user", text().boxed()),
        ("_protection", text().boxed()),
        ("_revision", (0..9).prop_map(Value::from).boxed()),
    ]);
    (fields, kinds).prop_map(|(mut session, kind)| {
        session.insert("resource_type".to_owned(), kind);
        session.insert("id".to_owned(), "session".into());
        Value::Object(session)
    })
}

fn peer() -> impl Strategy<Value = Value> {
    let initiations = word_of(&["INITIATOR", "respond_only", "ON_DEMAND", "TELEPATHY"]);
    object(vec![
        ("display_name", text().boxed()),
        (
            "peer_address",
            word_of(&["203.0.113.7", "2001:db8::7", "nowhere"]).boxed(),
        ),
        ("peer_id", text().boxed()),
        (
            "authentication_mode",
            word_of(&["PSK", "CERTIFICATE", "HANDSHAKE"]).boxed(),
        ),
        ("connection_initiation_mode", initiations.boxed()),
        ("ike_profile_id", text().boxed()),
        ("ipsec_tunnel_profile_id", text().boxed()),
        ("dpd_profile_id", text().boxed()),
        ("_revision", (0..9).prop_map(Value::from).boxed()),
    ])
    .prop_map(Value::Object)
}

/// Checks that every value of the two objects has a place: another value reads as another connection.
fn check_nothing_is_lost(session: &Value, peer: &Value) -> Result<(), TestCaseError> {
    let shown = |session: &Value, peer: &Value| {
        format!("{:?}", connection(&body(session), Some(&body(peer))))
    };
    let before = shown(session, peer);
    for (path, other) in samples::altered(session) {
        prop_assert_ne!(shown(&other, peer), &*before, "session{} is lost", path);
    }
    for (path, other) in samples::altered(peer) {
        prop_assert_ne!(shown(session, &other), &*before, "peer{} is lost", path);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_nsx_can_express_reads_as_it_was_written(any in samples::connection()) {
        let spec = expressible(any);
        let mut refused = refuse(&CAPABILITIES, &spec, |_| true);
        refused.extend(refuse_unless_there(&CAPABILITIES, &spec, |_| true, None));
        refused.extend(Field::ALL.iter().flat_map(|field| refusals(*field, &spec)));
        prop_assert_eq!(refused, vec![]);

        let mark = Mark::new();
        let session = kept(new_session(&spec, "peer", &mark), "session");
        let peer = kept(new_peer_endpoint(&spec, &mark), "peer");
        let read = connection(&session, Some(&peer));
        prop_assert!(read.managed && read.peer.psk_set != read.peer.certificate);
        prop_assert_eq!(shown(&samples::sent_back(&read)), shown(&as_it_reads(spec.clone())));
        // The peer endpoint has the same name, and only `native` has a place for it.
        let name = &spec.display_name;
        let peers_own = json!({ "peer_endpoint": { "display_name": name } });
        let left = if name.is_empty() { json!({}) } else { peers_own };
        prop_assert_eq!(Value::Object(read.native), left);
    }

    #[test]
    fn nothing_of_an_answer_is_lost(session in session(), peer in peer()) {
        check_nothing_is_lost(&session, &peer)?;
    }

    #[test]
    fn what_was_read_is_nothing_to_write(session in session(), peer in peer()) {
        let (session, peer) = (body(&session), body(&peer));
        let read = connection(&session, Some(&peer));
        for everything in [false, true] {
            let change = samples::change_back(&read, everything).without(&read);
            prop_assert_eq!(changed_session(&session, &change), Ok(None));
            prop_assert_eq!(changed_peer_endpoint(&peer, &change), Ok(None));
        }
    }

    /// A description of what was read, spelled differently, changes nothing.
    #[test]
    fn what_is_described_anew_is_nothing_to_write(session in session(), peer in peer()) {
        let (session, peer) = (body(&session), body(&peer));
        let read = connection(&session, Some(&peer));
        for spelled_out in [false, true] {
            let change = described(&read, spelled_out);
            prop_assert_eq!(changed_session(&session, &change), Ok(None));
            prop_assert_eq!(changed_peer_endpoint(&peer, &change), Ok(None));
            let change = change.without(&read);
            prop_assert_eq!(changed_session(&session, &change), Ok(None));
            prop_assert_eq!(changed_peer_endpoint(&peer, &change), Ok(None));
        }
    }

    /// NSX takes objects whole: everything that an edit does not name goes back as it came.
    #[test]
    fn an_edit_of_what_was_read_writes_that_edit(session in session(), peer in peer()) {
        let (session, peer) = (body(&session), body(&peer));
        let read = connection(&session, Some(&peer));
        let mut change = samples::change_back(&read, true);
        change.values.description.push('+');
        let mut expected = session.object().clone();
        expected.insert("description".to_owned(), change.values.description.as_str().into());
        let change = change.without(&read);
        prop_assert_eq!(changed_session(&session, &change), Ok(Some(expected)));
        prop_assert_eq!(changed_peer_endpoint(&peer, &change), Ok(None));
    }

    /// The same holds for everything in the rules that an edit of the rules does not name.
    #[test]
    fn an_edit_of_a_rule_leaves_the_rest_of_it(session in session()) {
        let session = body(&session);
        let read = connection(&session, None);
        let mut change = samples::change_back(&read, false);
        let Some(Selectors::Rules(rules)) = &mut change.values.selectors else {
            return Ok(());
        };
        let Some(edited) = rules.first_mut() else {
            return Ok(());
        };
        let logged = !edited.logged.unwrap_or(false);
        edited.logged = Some(logged);
        let edited = edited.id.clone();
        let written = changed_session(&session, &change.without(&read)).unwrap().unwrap();
        let unlogged = |rules: &Value| {
            let mut rules = rules.as_array().unwrap().clone();
            for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
                rule.remove("logged");
                // Spelled out where the default was implied.
                if rule.get("enabled").is_none_or(Value::is_null) {
                    rule.insert("enabled".to_owned(), true.into());
                }
                for side in ["sources", "destinations"] {
                    if rule.get(side).is_some_and(Value::is_null) {
                        rule.remove(side);
                    }
                }
            }
            rules
        };
        let before = unlogged(&session.object()["policy_rules"]);
        let after = unlogged(&written["policy_rules"]);
        prop_assert_eq!(after.len(), before.len());
        for rule in &before {
            prop_assert!(after.contains(rule), "{:?} is not in {:?}", rule, after);
        }
        let all = written["policy_rules"].as_array().unwrap();
        let id = |rule: &Value| rest::json::text(rule.as_object().unwrap(), "id");
        let is_it = |rule: &&Value| rule.is_object() && (edited.is_none() || id(rule) == edited);
        prop_assert!(all.iter().filter(is_it).any(|it| it["logged"] == json!(logged)));
    }
}

#[test]
fn nothing_of_the_guides_example_is_lost() {
    let example =
        include_bytes!("../../../../../tests/fixtures/nsx/put_session_impossible_cidr.json");
    let example = rest::json::parse(example).unwrap();
    check_nothing_is_lost(&example, &json!({})).unwrap();
    let session = body(&example);
    let read = connection(&session, None);
    let Some(Selectors::Rules(rules)) = &read.selectors else {
        panic!("{:?}", read.selectors)
    };
    assert_eq!(rules[0].action, Some(RuleAction::Protect));
    // A session built from what was read is the same, except for what only NSX sets.
    let mut again = new_session(&samples::sent_back(&read), "peer", &Mark::new());
    for (key, value) in example.as_object().unwrap() {
        match key.as_str() {
            "id" | "ipsec_vpn_service_id" | "peer_endpoint_id" => {}
            "policy_rules" => {
                let mut rule = value[0].as_object().unwrap().clone();
                rule.remove("_revision");
                assert_eq!(again.remove(key), Some(json!([rule])));
            }
            _ => assert_eq!(again.remove(key).as_ref(), Some(value), "{key}"),
        }
    }
}
