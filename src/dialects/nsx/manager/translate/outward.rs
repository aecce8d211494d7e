//! A connection, as NSX takes it: new, or as what is there becomes by a change.

use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::nsx::{
        body::{Body, draft::Draft, remainder::Rest},
        manager::{
            translate::{
                inward::{
                    interface_addresses, networks, read_clamping, read_each, read_interface,
                    read_rule,
                },
                references::reference,
                words::{
                    ACTIONS, CERTIFICATE, DIRECTIONS, INITIATIONS, PSK, interface_address, psk,
                },
            },
            wire::{POLICY_BASED, ROUTE_BASED},
        },
        mark,
    },
    model::{
        Authentication, ClampDirection, Connection, ConnectionChange, ConnectionSpec, Field,
        Initiation, PolicyRule, RuleAction, Selectors, TcpMssClamping, TunnelInterface,
    },
    rest::json,
};
use serde_json::{Map, Value, json as object};

/// The peer endpoint to make for a connection. Holds the pre-shared key: it goes into a request body and
/// nowhere else.
pub fn new_peer_endpoint(spec: &ConnectionSpec, mark: &Mark) -> Map<String, Value> {
    let id = spec.peer_id.as_deref().filter(|id| !id.is_empty());
    let mut body = Map::new();
    let mut put = |key: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            body.insert(key.to_owned(), value.into());
        }
    };
    put("display_name", Some(&spec.display_name));
    put("peer_address", Some(&spec.peer_address));
    put("peer_id", Some(id.unwrap_or(&spec.peer_address)));
    put(
        "authentication_mode",
        spec.authentication.as_ref().map(mode),
    );
    put("psk", psk(spec));
    put(
        "connection_initiation_mode",
        Some(initiation(spec.initiation)),
    );
    put("ike_profile_id", spec.ike_policy.as_deref());
    put("ipsec_tunnel_profile_id", spec.ipsec_policy.as_deref());
    put("dpd_profile_id", spec.dpd_policy.as_deref());
    mark::put(&mut body, mark);
    body
}

/// The session to make for a connection with this peer endpoint.
pub fn new_session(spec: &ConnectionSpec, peer_endpoint: &str, mark: &Mark) -> Map<String, Value> {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    if !spec.display_name.is_empty() {
        put("display_name", spec.display_name.as_str().into());
    }
    if !spec.description.is_empty() {
        put("description", spec.description.as_str().into());
    }
    put("enabled", spec.admin_enabled.unwrap_or(true).into());
    put("local_endpoint_id", spec.local_endpoint.as_deref().into());
    put("peer_endpoint_id", peer_endpoint.into());
    match &spec.selectors {
        Some(Selectors::RouteBased(interfaces)) => {
            put("resource_type", ROUTE_BASED.into());
            put("tunnel_ports", tunnel_ports(interfaces, &[]));
        }
        Some(Selectors::Rules(rules)) => {
            put("resource_type", POLICY_BASED.into());
            put("policy_rules", policy_rules(rules, &[]));
        }
        // Refused before: there is always one of the two.
        Some(Selectors::EndpointGroups { .. }) | None => {}
    }
    if let Some(clamping) = &spec.tcp_mss_clamping {
        put("tcp_mss_clamping", clamped(clamping));
    }
    mark::put(&mut body, mark);
    body
}

/// The session as the change wants it; `None` if it is so already.
///
/// # Errors
/// If the change wants another kind of selectors: NSX keeps the type an object was made with.
pub fn changed_session(
    session: &Body,
    change: &ConnectionChange,
) -> Result<Option<Map<String, Value>>, Vec<Violation>> {
    let values = &change.values;
    let mut draft = Draft::of(session);
    for field in &change.fields {
        match field {
            Field::DisplayName => draft.name(&values.display_name),
            Field::Description => draft.text("description", Some(&values.description)),
            Field::AdminEnabled => {
                let wanted = values.admin_enabled.unwrap_or(true);
                if session.boolean("enabled").unwrap_or(true) != wanted {
                    draft.set("enabled", wanted.into());
                }
            }
            Field::LocalEndpoint => {
                refer(&mut draft, *field, change, values.local_endpoint.as_deref());
            }
            Field::TcpMssClamping => change_clamping(&mut draft, values.tcp_mss_clamping.as_ref()),
            Field::Selectors => change_selectors(&mut draft, session, values)?,
            Field::VpnService
            | Field::IkePolicy
            | Field::IpsecPolicy
            | Field::DpdPolicy
            | Field::PeerAddress
            | Field::PeerId
            | Field::Authentication
            | Field::Dpd
            | Field::Initiation
            | Field::AvailabilityZone
            | Field::Mtu => {}
        }
    }
    Ok(draft.changed())
}

/// Has the draft refer to a part; to null if that is yet to be made ([`complete`](super::complete)).
fn refer(draft: &mut Draft, field: Field, change: &ConnectionChange, wanted: Option<&str>) {
    let Some((_, key)) = reference(field) else {
        return;
    };
    match change.is_to_be_made(field) {
        true => draft.set(key, Value::Null),
        false => draft.text(key, wanted),
    }
}

/// The peer endpoint as the change wants it; `None` if it is so already. A key that is given counts as
/// another one, because the old one cannot be read; a spare one as none, until something else has to be written.
///
/// # Errors
/// If it must be written and the key is not given: NSX wants it with every write.
pub fn changed_peer_endpoint(
    peer: &Body,
    change: &ConnectionChange,
) -> Result<Option<Map<String, Value>>, Vec<Violation>> {
    let mut draft = changed_but_for_the_key(peer, change);
    let by_key = draft
        .body
        .get("authentication_mode")
        .is_none_or(|mode| mode == PSK);
    match new_key(change) {
        Some(_) if change.spare_key && !(draft.differs && by_key) => {}
        Some(psk) => draft.set("psk", psk.into()),
        None if draft.differs && by_key => {
            return Err(vec![Violation::new(
                "peer.psk",
                "must be given again: this update has to write the peer endpoint, and NSX does not let the \
                 gateway read the key that is there",
            )]);
        }
        None => {}
    }
    Ok(draft.changed())
}

/// Whether the peer endpoint can be seen to be as the change wants it: never if a key was part of it.
pub fn peer_endpoint_is_as_wanted(peer: &Body, change: &ConnectionChange) -> bool {
    new_key(change).is_none() && !changed_but_for_the_key(peer, change).differs
}

fn new_key(change: &ConnectionChange) -> Option<&str> {
    psk(&change.values).filter(|_| change.fields.contains(&Field::Authentication))
}

fn change_clamping(draft: &mut Draft, wanted: Option<&TcpMssClamping>) {
    let current = read_clamping(&mut Rest(draft.body.clone()));
    let off = |clamping: &TcpMssClamping| clamping.direction == ClampDirection::None;
    match wanted {
        Some(wanted) if current.as_ref() != Some(wanted) => {
            draft.set("tcp_mss_clamping", clamped(wanted));
        }
        None if draft.body.contains_key("tcp_mss_clamping")
            && !current.as_ref().is_some_and(off) =>
        {
            draft.remove("tcp_mss_clamping");
        }
        _ => {}
    }
}

fn change_selectors(
    draft: &mut Draft,
    session: &Body,
    values: &ConnectionSpec,
) -> Result<(), Vec<Violation>> {
    let kind = session.text("resource_type").unwrap_or_default();
    let immutable = |field: &str| Err(vec![other_kind(field, &kind)]);
    match &values.selectors {
        Some(Selectors::Rules(wanted)) => {
            if kind != POLICY_BASED {
                return immutable("policy_based");
            }
            let current = session.list("policy_rules");
            let (rules, _) = read_each(current, read_rule);
            let same = rules.len() == wanted.len()
                && rules
                    .iter()
                    .zip(wanted)
                    .all(|(rule, wanted)| is_same_rule(rule, wanted));
            if !same {
                draft.set("policy_rules", policy_rules(wanted, current));
            }
        }
        Some(Selectors::RouteBased(wanted)) => {
            if kind != ROUTE_BASED {
                return immutable("route_based");
            }
            let current = session.list("tunnel_ports");
            let (interfaces, _) = read_each(current, read_interface);
            let same = interfaces.len() == wanted.len()
                && interfaces.iter().zip(wanted).all(|(interface, wanted)| {
                    interface.addresses == wanted.addresses
                        && (wanted.id.is_none() || wanted.id == interface.id)
                });
            if !same {
                draft.set("tunnel_ports", tunnel_ports(wanted, current));
            }
        }
        // Refused before.
        Some(Selectors::EndpointGroups { .. }) | None => {}
    }
    Ok(())
}

/// What of a change a connection cannot become, as far as that shows in what was read of it: the kind of its selectors,
/// and a service that is derived from another local endpoint than this one's.
pub fn fixed(change: &ConnectionChange, there: &Connection) -> Vec<Violation> {
    let (values, touches) = (&change.values, |field| change.fields.contains(&field));
    let mut violations = Vec::new();
    let moves = touches(Field::LocalEndpoint);
    if let Some(wanted) = &values.vpn_service
        && touches(Field::VpnService)
        && !moves
    {
        violations.extend(other_service(wanted, there.vpn_service.as_deref()));
    }
    if touches(Field::Selectors) {
        match (&values.selectors, &there.selectors) {
            (Some(Selectors::Rules(_)), Some(Selectors::RouteBased(_))) => {
                violations.push(other_kind("policy_based", ROUTE_BASED));
            }
            (Some(Selectors::RouteBased(_)), Some(Selectors::Rules(_))) => {
                violations.push(other_kind("route_based", POLICY_BASED));
            }
            _ => {}
        }
    }
    violations
}

fn other_kind(field: &str, kind: &str) -> Violation {
    let what = format!("is not the kind of this connection, a `{kind}`, which cannot be changed");
    Violation::new(field, what)
}

/// What there is to say of this service if NSX derives `there`; `None` if it is the same.
pub fn other_service(wanted: &str, there: Option<&str>) -> Option<Violation> {
    let what = match there {
        Some(there) if there == wanted => return None,
        Some(there) => format!("can only be `{there}`: NSX derives it from `local_endpoint`"),
        None => "is derived by NSX from `local_endpoint`, which tells of none".to_owned(),
    };
    Some(Violation::new(Field::VpnService.path(), what))
}

/// Whether a rule says already what is wanted; nothing said of its action or its id wants none.
pub fn is_same_rule(rule: &PolicyRule, wanted: &PolicyRule) -> bool {
    rule.sources == wanted.sources
        && rule.destinations == wanted.destinations
        && rule.enabled.unwrap_or(true) == wanted.enabled.unwrap_or(true)
        && rule.logged.unwrap_or(false) == wanted.logged.unwrap_or(false)
        && (wanted.action.is_none() || wanted.action == rule.action.or(Some(RuleAction::Protect)))
        && (wanted.id.is_none() || wanted.id == rule.id)
}

/// The rules as NSX takes them. A rule that is there already, by its id or by its networks, keeps what else
/// it has.
pub fn policy_rules(wanted: &[PolicyRule], current: &[Value]) -> Value {
    // What could not be read as a rule no caller could name either, so it stays.
    let is_read = |rule: &Value| rule.as_object().is_some_and(|it| read_rule(it).0.is_some());
    let unread = current.iter().filter(|rule| !is_read(rule)).cloned();
    let read = current.iter().filter(|rule| is_read(rule));
    let mut current: Vec<Option<&Map<String, Value>>> = read.map(Value::as_object).collect();
    let subnets = |networks: &[String]| -> Value {
        networks
            .iter()
            .map(|network| object!({ "subnet": network }))
            .collect()
    };
    let rules = wanted.iter().map(|wanted| {
        let kept = take_matching(&mut current, |there| match &wanted.id {
            Some(id) => json::text(there, "id").as_ref() == Some(id),
            None => {
                networks(there, "sources").as_ref() == Some(&wanted.sources)
                    && networks(there, "destinations").as_ref() == Some(&wanted.destinations)
            }
        });
        let mut rule = kept.cloned().unwrap_or_default();
        if let (None, Some(id)) = (kept, &wanted.id) {
            rule.insert("id".to_owned(), id.as_str().into());
        }
        for (side, wanted) in [
            ("sources", &wanted.sources),
            ("destinations", &wanted.destinations),
        ] {
            // Networks that stay keep what else they have.
            let same = kept.is_some_and(|there| networks(there, side).as_ref() == Some(wanted));
            if !same {
                rule.insert(side.to_owned(), subnets(wanted));
            }
        }
        for (key, wanted, default) in [
            ("enabled", wanted.enabled, true),
            ("logged", wanted.logged, false),
        ] {
            let there = json::boolean(&rule, key);
            let unknown = there.is_none() && rule.get(key).is_some_and(|it| !it.is_null());
            let stays = wanted.map_or(unknown, |wanted| there == Some(wanted));
            if !stays {
                rule.insert(key.to_owned(), wanted.unwrap_or(default).into());
            }
        }
        let there = json::text(&rule, "action").unwrap_or_default();
        let other = |word: &str| !word.eq_ignore_ascii_case(&there);
        for (word, action) in ACTIONS {
            if wanted.action == Some(action) && other(word) {
                rule.insert("action".to_owned(), word.into());
            }
        }
        Value::Object(rule)
    });
    rules.chain(unread).collect()
}

/// The ports as NSX takes them. A port that is there already, by its id or by its addresses, keeps what else
/// it has; so does the only one if there is to be only one.
fn tunnel_ports(wanted: &[TunnelInterface], current: &[Value]) -> Value {
    let only = wanted.len() == 1 && current.len() == 1;
    let is_read = |port: &Value| {
        port.as_object()
            .is_some_and(|it| read_interface(it).0.is_some())
    };
    let unread = current.iter().filter(|port| !is_read(port)).cloned();
    let read = current.iter().filter(|port| is_read(port));
    let mut current: Vec<Option<&Map<String, Value>>> = read.map(Value::as_object).collect();
    let ports = wanted.iter().map(|wanted| {
        let kept = take_matching(&mut current, |there| match &wanted.id {
            Some(id) => json::text(there, "tunnel_port_id").as_ref() == Some(id),
            None => only || interface_addresses(there).as_ref() == Some(&wanted.addresses),
        });
        let mut port = kept.cloned().unwrap_or_default();
        if interface_addresses(&port).as_ref() != Some(&wanted.addresses) {
            let addresses = wanted.addresses.iter();
            let addresses = addresses.filter_map(|text| interface_address(text));
            let subnets = addresses.map(|(address, prefix)| {
                object!({ "ip_addresses": [address.to_string()], "prefix_length": prefix })
            });
            port.insert("ip_subnets".to_owned(), subnets.collect());
        }
        Value::Object(port)
    });
    ports.chain(unread).collect()
}

fn take_matching<'a>(
    current: &mut [Option<&'a Map<String, Value>>],
    matches: impl Fn(&Map<String, Value>) -> bool,
) -> Option<&'a Map<String, Value>> {
    current
        .iter_mut()
        .find(|there| there.is_some_and(&matches))
        .and_then(Option::take)
}

fn changed_but_for_the_key(peer: &Body, change: &ConnectionChange) -> Draft {
    let values = &change.values;
    let mut draft = Draft::of(peer);
    for field in &change.fields {
        match field {
            Field::PeerAddress => draft.text("peer_address", Some(&values.peer_address)),
            Field::PeerId => {
                let given = values.peer_id.as_deref().filter(|id| !id.is_empty());
                let address = if change.fields.contains(&Field::PeerAddress) {
                    values.peer_address.clone()
                } else {
                    peer.text("peer_address").unwrap_or_default()
                };
                draft.text("peer_id", Some(given.unwrap_or(&address)));
            }
            Field::Authentication => {
                if let Some(authentication) = &values.authentication {
                    // Absent is the default.
                    let current = peer.text("authentication_mode");
                    if current.as_deref().unwrap_or(PSK) != mode(authentication) {
                        draft.set("authentication_mode", mode(authentication).into());
                    }
                }
            }
            Field::Initiation => {
                let current = peer.text("connection_initiation_mode");
                let wanted = initiation(values.initiation);
                if current.as_deref().unwrap_or(INITIATIONS[0].0) != wanted {
                    draft.set("connection_initiation_mode", wanted.into());
                }
            }
            Field::IkePolicy => refer(&mut draft, *field, change, values.ike_policy.as_deref()),
            Field::IpsecPolicy => {
                refer(&mut draft, *field, change, values.ipsec_policy.as_deref());
            }
            Field::DpdPolicy => refer(&mut draft, *field, change, values.dpd_policy.as_deref()),
            Field::DisplayName
            | Field::Description
            | Field::AdminEnabled
            | Field::VpnService
            | Field::LocalEndpoint
            | Field::Dpd
            | Field::Selectors
            | Field::AvailabilityZone
            | Field::Mtu
            | Field::TcpMssClamping => {}
        }
    }
    draft
}

fn mode(authentication: &Authentication) -> &'static str {
    match authentication {
        Authentication::Psk(_) => PSK,
        Authentication::Certificate => CERTIFICATE,
    }
}

fn initiation(wanted: Option<Initiation>) -> &'static str {
    let wanted = wanted.unwrap_or(Initiation::Both);
    let word = INITIATIONS
        .iter()
        .find(|(_, initiation)| *initiation == wanted);
    word.expect("the table has every variant").0
}

fn clamped(clamping: &TcpMssClamping) -> Value {
    let word = DIRECTIONS
        .iter()
        .find(|(_, direction)| *direction == clamping.direction);
    let mut body = Map::new();
    let word = word.expect("the table has every variant").0;
    body.insert("direction".to_owned(), word.into());
    if let Some(bytes) = clamping.max_segment_size {
        body.insert("max_segment_size".to_owned(), bytes.into());
    }
    Value::Object(body)
}
