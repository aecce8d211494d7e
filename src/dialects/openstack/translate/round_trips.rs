//! Round trips: everything that a cloud can express reads back as written, and no value of its answers is lost.

use super::{words::*, *};
use crate::{
    core::{capability_check, dialect::Mark},
    dialects::openstack::{
        mark,
        variant::{ALL, K5, NEUTRON, OTC, PeerAddress, Variant},
        wire::{Body, kind::CONNECTIONS},
    },
    model::{
        Authentication, Connection, ConnectionSpec, Details, Field, PolicyRule, Psk, Selectors,
        samples,
    },
    rest::json,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::{Map, Value, json as object};

/// Drops the characters that Neutron's tables cannot hold.
fn plain(text: &str) -> String {
    text.chars().filter(|c| c.len_utf8() <= 3).collect()
}

/// Fits selectors to the cloud: one rule with these destinations, or endpoint groups.
fn fitting(selectors: Option<Selectors>, variant: &Variant) -> Selectors {
    let one = |networks: Vec<String>| {
        let mut destinations: Vec<String> =
            networks.into_iter().filter(|it| it.len() <= 32).collect();
        if destinations.is_empty() {
            destinations.push("10.0.0.0/8".to_owned());
        }
        Selectors::Rules(vec![PolicyRule {
            destinations,
            ..PolicyRule::default()
        }])
    };
    let groups = |local, peer| Selectors::EndpointGroups { local, peer };
    match selectors {
        Some(Selectors::EndpointGroups { local, peer }) if variant.capabilities.endpoint_groups => {
            groups(local, peer)
        }
        Some(Selectors::Rules(rules)) if variant.peer_cidrs => {
            one(rules.into_iter().flat_map(|it| it.destinations).collect())
        }
        _ if variant.peer_cidrs => one(Vec::new()),
        _ => groups("local".to_owned(), "peer".to_owned()),
    }
}

/// Any connection, with what this cloud cannot express replaced by what it can.
fn expressible(any: Connection, variant: &'static Variant) -> ConnectionSpec {
    let mut spec = samples::sent_back(&any);
    let can = &variant.capabilities;
    spec.display_name = plain(&spec.display_name) + "n";
    spec.description = match variant.description {
        true => plain(&spec.description),
        false => String::new(),
    };
    spec.admin_enabled = spec.admin_enabled.filter(|on| *on || can.admin_disable);
    for reference in [
        &mut spec.vpn_service,
        &mut spec.ike_policy,
        &mut spec.ipsec_policy,
    ] {
        reference.get_or_insert_with(|| "reference".to_owned());
    }
    (spec.local_endpoint, spec.dpd_policy, spec.tcp_mss_clamping) = (None, None, None);
    if variant.peer_address == PeerAddress::PublicIpv4 {
        spec.peer_address = "198.51.100.20".to_owned();
    }
    // Where the cloud may put an `@` before the id, reading cannot tell it from the caller's own.
    let at = |id: &String| variant.at_before_peer_id && id.starts_with('@');
    spec.peer_id = spec.peer_id.map(|id| plain(&id) + "i").filter(|id| !at(id));
    spec.authentication = Some(Authentication::Psk(Psk::new("not-a-real-key")));
    spec.dpd = spec.dpd.filter(|dpd| {
        let action = dpd.action.unwrap_or(DEFAULT_DPD.0);
        variant.dpd_actions.contains(&action)
    });
    spec.initiation = spec.initiation.filter(|wanted| {
        let known = |(_, known): &(&str, _)| known == wanted;
        INITIATIONS.iter().any(known)
    });
    spec.mtu = spec
        .mtu
        .map(|mtu| mtu.clamp(*variant.new_mtu.start(), *variant.new_mtu.end()));
    spec.selectors = Some(fitting(spec.selectors, variant));
    spec
}

/// Adds the values that the gateway or the cloud fills in.
fn as_it_reads(mut spec: ConnectionSpec) -> ConnectionSpec {
    spec.authentication = None;
    spec.peer_id.get_or_insert(spec.peer_address.clone());
    let (interval, timeout) = dpd_times(&spec);
    if let Some(dpd) = &mut spec.dpd {
        dpd.action.get_or_insert(DEFAULT_DPD.0);
        dpd.interval_seconds = Some(interval);
        dpd.timeout_seconds = Some(timeout);
    }
    spec
}

fn shown(spec: &ConnectionSpec) -> String {
    format!("{spec:#?}")
}

fn variant() -> impl Strategy<Value = &'static Variant> {
    prop::sample::select(ALL.to_vec())
}

/// Values of the usual form, and odd ones.
fn odd(usual: impl Strategy<Value = Value> + 'static) -> impl Strategy<Value = Value> {
    prop_oneof![
        12 => usual,
        1 => Just(Value::Null),
        1 => "[a-z]{1,8}".prop_map(Value::from),
        1 => any::<i32>().prop_map(Value::from),
        1 => Just(object!([])),
        1 => Just(object!({ "of": "its own" })),
    ]
}

fn word_of(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    prop::sample::select(words).prop_map(Value::from)
}

fn text() -> impl Strategy<Value = Value> {
    ".{0,12}".prop_map(Value::from)
}

/// An answer with any of its fields missing or odd, and with unknown fields.
fn answer() -> impl Strategy<Value = Value> {
    let flags = prop_oneof![
        any::<bool>().prop_map(Value::from),
        word_of(&["true", "False", "perhaps"]),
    ];
    let number = || prop_oneof![(0..9999).prop_map(Value::from), word_of(&["30", "many"])];
    let dpd = (
        word_of(&["hold", "Clear", "restart-by-peer", "shrug"]),
        number(),
        number(),
        samples::unknown_keys(),
    )
        .prop_map(|(action, interval, timeout, mut rest)| {
            rest.insert("action".to_owned(), action);
            rest.insert("interval".to_owned(), interval);
            rest.insert("timeout".to_owned(), timeout);
            Value::Object(rest)
        });
    let network = prop_oneof![
        samples::network().prop_map(Value::from),
        word_of(&["2.1.4..0/24", "10.0.0.1"]),
    ];
    let tag = prop_oneof![
        word_of(&["a=b"]),
        Just(object!({ "key": "k", "value": "v" })),
        Just(object!({ "key": "k", "value": "v", "other": 1 })),
    ];
    let fields: Vec<(&str, BoxedStrategy<Value>)> = vec![
        ("name", odd(text()).boxed()),
        ("description", odd(text()).boxed()),
        ("admin_state_up", odd(flags).boxed()),
        ("vpnservice_id", odd(text()).boxed()),
        ("ikepolicy_id", odd(text()).boxed()),
        ("ipsecpolicy_id", odd(text()).boxed()),
        (
            "peer_address",
            odd(word_of(&["198.51.100.20", "2001:db8::1", "a.example"])).boxed(),
        ),
        ("peer_id", odd(word_of(&["@x", "x"])).boxed()),
        ("dpd", odd(dpd).boxed()),
        (
            "initiator",
            odd(word_of(&["bi-directional", "Response-Only", "sometimes"])).boxed(),
        ),
        ("mtu", odd(number()).boxed()),
        ("local_ep_group_id", odd(text()).boxed()),
        ("peer_ep_group_id", odd(text()).boxed()),
        (
            "peer_cidrs",
            odd(vec(network, 0..3).prop_map(Value::from)).boxed(),
        ),
        ("project_id", odd(text()).boxed()),
        ("tenant_id", odd(text()).boxed()),
        ("local_id", odd(text()).boxed()),
        ("auth_mode", odd(text()).boxed()),
        ("route_mode", odd(text()).boxed()),
        ("availability_zone", odd(text()).boxed()),
        ("created_at", odd(text()).boxed()),
        ("tags", odd(vec(tag, 0..3).prop_map(Value::from)).boxed()),
        ("status", odd(text()).boxed()),
    ];
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(key, value)| option::of(value).prop_map(move |value| Some((key.to_owned(), value?))))
        .collect();
    (fields, samples::unknown_keys()).prop_map(|(fields, mut rest)| {
        rest.extend(fields.into_iter().flatten());
        rest.insert("id".to_owned(), "a".into());
        Value::Object(rest)
    })
}

fn read(wire: &Value, variant: &Variant) -> Connection {
    connection(Body::new(wire.as_object().unwrap().clone()), variant)
}

/// Checks that every value of an answer counts: changing one changes the connection that is read.
fn check_nothing_is_lost(wire: &Value, variant: &Variant) -> Result<(), TestCaseError> {
    // The etag covers the whole answer, so it would hide the loss of a value.
    let shown = |wire: &Value| {
        let read = Connection {
            etag: String::new(),
            ..read(wire, variant)
        };
        format!("{read:?}")
    };
    let before = shown(wire);
    for (path, other) in samples::altered(wire) {
        prop_assert_ne!(&shown(&other), &before, "{} is lost", path);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_a_cloud_can_express_reads_as_it_was_written(
        any in samples::connection(),
        variant in variant(),
    ) {
        let spec = expressible(any, variant);
        let refused = capability_check::refuse(&variant.capabilities, &spec, |_| true);
        prop_assert_eq!(refused, vec![]);
        let refused = Refusals::of(variant, &spec, Writing::New).of_fields(Field::ALL.iter());
        prop_assert_eq!(refused, vec![]);

        let mut body = new_connection(&spec, &Mark::new(), variant);
        body.insert("id".to_owned(), "a".into());
        let body = Body::new(body);
        let read = connection(body.clone(), variant);
        prop_assert!(read.peer.psk_set && !read.peer.certificate);
        prop_assert_eq!(shown(&samples::sent_back(&read)), shown(&as_it_reads(spec.clone())));
        // The cloud resolves a host name, so it would be odd to show one.
        let by_name = spec.peer_address.parse::<std::net::IpAddr>().is_err();
        let odd = by_name.then(|| ("peer_address".to_owned(), spec.peer_address.into()));
        prop_assert_eq!(read.native, Map::from_iter(odd));
    }

    #[test]
    fn nothing_of_an_answer_is_lost(wire in answer(), variant in variant()) {
        check_nothing_is_lost(&wire, variant)?;
    }

    #[test]
    fn what_was_read_is_nothing_to_write(wire in answer(), variant in variant()) {
        let read = read(&wire, variant);
        let body = Body::new(wire.as_object().unwrap().clone());
        for everything in [false, true] {
            let change = samples::change_back(&read, everything).without(&read);
            prop_assert_eq!(changes(&body, &change, variant), Ok(None));
        }
    }

    /// A PUT names only what differs, so unknown fields stay.
    #[test]
    fn an_edit_of_what_was_read_writes_that_edit(wire in answer(), variant in variant()) {
        let read = read(&wire, variant);
        let body = Body::new(wire.as_object().unwrap().clone());
        let mut change = samples::change_back(&read, true);
        change.values.display_name.push('+');
        let expected = object!({ "name": change.values.display_name.clone() });
        let written = changes(&body, &change.without(&read), variant);
        prop_assert_eq!(written.map(|it| it.map(Value::Object)), Ok(Some(expected)));
    }
}

/// Connections from the documents and a recorded answer.
fn examples() -> [(Value, &'static Variant); 4] {
    let parse = |text: &str| json::parse(text.as_bytes()).unwrap();
    let recorded = parse(include_str!(
        "../../../../tests/fixtures/openstack/recorded/107-connection-created.json"
    ));
    let otc = parse(include_str!(
        "../../../../tests/fixtures/openstack/otc_show_down.json"
    ));
    let listed = parse(include_str!(
        "../../../../tests/fixtures/openstack/otc_list_pending_create_with_blank.json"
    ));
    let k5 = parse(include_str!(
        "../../../../tests/fixtures/openstack/k5_show_pending_create.json"
    ));
    [
        (
            recorded["answer"]["body"][CONNECTIONS.one].clone(),
            &NEUTRON,
        ),
        (otc[CONNECTIONS.one].clone(), &OTC),
        (listed[CONNECTIONS.many][0].clone(), &OTC),
        (k5[CONNECTIONS.one].clone(), &K5),
    ]
}

/// Rebuilds the answer from the connection that was read, without the key.
fn rebuilt(read: &Connection, variant: &Variant) -> Map<String, Value> {
    let mut wire = new_connection(&samples::sent_back(read), &Mark::new(), variant);
    wire.insert("id".to_owned(), read.id.as_str().into());
    wire.insert("description".to_owned(), read.description.as_str().into());
    let Some(Details::Openstack(details)) = &read.details else {
        panic!("{:?}", read.details)
    };
    for (key, value) in [
        ("project_id", &details.project_id),
        ("tenant_id", &details.project_id),
        ("local_id", &details.local_id),
        ("auth_mode", &details.auth_mode),
        ("route_mode", &details.route_mode),
        ("availability_zone", &details.availability_zone),
        ("order_id", &details.order_id),
        ("product_id", &details.product_id),
        ("created_at", &details.created_at),
    ] {
        wire.insert(key.to_owned(), value.as_str().into());
    }
    wire.extend(read.native.clone());
    wire
}

#[test]
fn the_examples_can_be_made_again_of_what_was_read_of_them() {
    let is_nothing = |value: Option<&Value>| match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Array(list)) => list.is_empty(),
        Some(_) => false,
    };
    for (wire, variant) in examples() {
        let read = read(&wire, variant);
        let again = rebuilt(&read, variant);
        for (key, value) in wire.as_object().unwrap() {
            let found = again.get(key);
            let same = found == Some(value) || (is_nothing(found) && is_nothing(Some(value)));
            assert!(key == "psk" || same, "{key}: {value} and {found:?}");
        }
    }
}

/// A POST and its answer: what was read from the answer makes the same POST, with defaults spelled out.
#[test]
fn a_recorded_answer_makes_the_recorded_request() {
    let pair =
        include_str!("../../../../tests/fixtures/openstack/recorded/107-connection-created.json");
    let pair = json::parse(pair.as_bytes()).unwrap();
    let request = &pair["request"]["body"][CONNECTIONS.one];
    let mut spec = samples::sent_back(&read(&pair["answer"]["body"][CONNECTIONS.one], &NEUTRON));
    spec.authentication = Some(Authentication::Psk(Psk::new("s3cret")));
    let mut again = new_connection(&spec, &Mark::new(), &NEUTRON);
    let description = again.remove("description").unwrap();
    assert_eq!(mark::split(description.as_str().unwrap()).0, "");
    for (key, value) in request.as_object().unwrap() {
        assert_eq!(again.remove(key).as_ref(), Some(value), "{key}");
    }
    assert_eq!(
        Value::Object(again),
        object!({
            "admin_state_up": true, "initiator": "bi-directional", "mtu": 1500,
            "dpd": { "action": "hold", "interval": 30, "timeout": 120 },
        })
    );
}
