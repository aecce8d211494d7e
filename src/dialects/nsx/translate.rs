//! Session and peer endpoint as a connection, and a connection as both. Pure.
//!
//! Reading never fails: what does not fit the model stays in `native` as it came. Changing starts from what
//! was read, so that what nobody here knows goes back unchanged.

use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::nsx::{
        mark,
        wire::{Body, POLICY_BASED, ROUTE_BASED},
    },
    model::{
        Authentication, ClampDirection, Connection, ConnectionChange, ConnectionSpec, Details,
        Field, Initiation, NsxDetails, Peer, PolicyRule, Selectors, TcpMssClamping,
        TunnelInterface,
    },
    rest::{json, redact::is_secret_key},
};
use serde_json::{Map, Value, json as object};
use std::net::IpAddr;

const PSK: &str = "PSK";
const CERTIFICATE: &str = "CERTIFICATE";

const INITIATIONS: [(&str, Initiation); 3] = [
    ("INITIATOR", Initiation::Both),
    ("RESPOND_ONLY", Initiation::RespondOnly),
    ("ON_DEMAND", Initiation::OnDemand),
];

const DIRECTIONS: [(&str, ClampDirection); 4] = [
    ("NONE", ClampDirection::None),
    ("INBOUND_CONNECTION", ClampDirection::Inbound),
    ("OUTBOUND_CONNECTION", ClampDirection::Outbound),
    ("BOTH", ClampDirection::Both),
];

/// A session and, as far as it is there, its peer endpoint, as a connection.
pub fn connection(session: &Body, peer: Option<&Body>) -> Connection {
    let mut rest = Rest(session.object().clone());
    mark::hide(&mut rest.0);
    let mut connection = Connection {
        id: rest.text("id").unwrap_or_default(),
        display_name: rest.text("display_name").unwrap_or_default(),
        description: rest.text("description").unwrap_or_default(),
        admin_enabled: rest.boolean("enabled"),
        vpn_service: rest.text("ipsec_vpn_service_id"),
        local_endpoint: rest.text("local_endpoint_id"),
        selectors: read_selectors(session, &mut rest),
        tcp_mss_clamping: read_clamping(&mut rest),
        etag: etag(session, peer),
        managed: mark::is_on(session),
        details: Some(Details::Nsx(NsxDetails {
            revision: rest.integer("_revision").unwrap_or_default(),
            peer_endpoint_id: rest.text("peer_endpoint_id").unwrap_or_default(),
            create_user: rest.text("_create_user").unwrap_or_default(),
            protection: rest.text("_protection").unwrap_or_default(),
        })),
        ..Connection::default()
    };
    if let Some(peer) = peer {
        let peer = read_peer(peer, &mut connection);
        if !peer.is_empty() {
            rest.0
                .insert("peer_endpoint".to_owned(), Value::Object(peer));
        }
    }
    connection.native = without_secrets(rest.0);
    connection
}

/// Both revisions, since a connection changes with either object.
pub fn etag(session: &Body, peer: Option<&Body>) -> String {
    let text = |revision: Option<i64>| revision.map_or("-".to_owned(), |it| it.to_string());
    let peer = peer.and_then(Body::revision);
    format!("{}.{}", text(session.revision()), text(peer))
}

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
            Field::DisplayName => {
                // Without a name NSX shows the id, so that is what no name reads back as.
                let nameless = values.display_name.is_empty()
                    && session.text("display_name").unwrap_or_default() == session.id();
                if !nameless {
                    draft.text("display_name", Some(&values.display_name));
                }
            }
            Field::Description => draft.text("description", Some(&values.description)),
            Field::AdminEnabled => {
                let wanted = values.admin_enabled.unwrap_or(true);
                if session.boolean("enabled").unwrap_or(true) != wanted {
                    draft.set("enabled", wanted.into());
                }
            }
            Field::LocalEndpoint => {
                draft.text("local_endpoint_id", values.local_endpoint.as_deref());
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
            | Field::Mtu => {}
        }
    }
    Ok(draft.changed())
}

/// The peer endpoint as the change wants it; `None` if it is so already. A key that is given counts as
/// another one, because the old one cannot be read.
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
    match psk(&change.values).filter(|_| change.fields.contains(&Field::Authentication)) {
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

/// Whether the peer endpoint is as the change wants it, as far as can be read.
pub fn peer_endpoint_is_as_wanted(peer: &Body, change: &ConnectionChange) -> bool {
    !changed_but_for_the_key(peer, change).differs
}

/// Whether the change is about anything that stands in the peer endpoint.
pub fn concerns_peer_endpoint(change: &ConnectionChange) -> bool {
    change.fields.iter().any(|field| {
        matches!(
            field,
            Field::IkePolicy
                | Field::IpsecPolicy
                | Field::DpdPolicy
                | Field::PeerAddress
                | Field::PeerId
                | Field::Authentication
                | Field::Initiation
        )
    })
}

/// Address and prefix length of a tunnel interface; `None` if the text is no such pair.
pub fn interface_address(text: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = text.split_once('/')?;
    let (address, prefix): (IpAddr, u8) = (address.parse().ok()?, prefix.parse().ok()?);
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= longest).then_some((address, prefix))
}

/// The pre-shared key of a spec, for a request body and for keeping it out of errors.
pub fn psk(spec: &ConnectionSpec) -> Option<&str> {
    match &spec.authentication {
        Some(Authentication::Psk(psk)) => Some(psk.expose()),
        Some(Authentication::Certificate) | None => None,
    }
}

fn read_peer(peer: &Body, connection: &mut Connection) -> Map<String, Value> {
    let mut rest = Rest(peer.object().clone());
    mark::hide(&mut rest.0);
    // Its id is in the details.
    rest.0.remove("id");
    let mode = rest.word("authentication_mode", &[(PSK, false), (CERTIFICATE, true)]);
    let absent = peer
        .object()
        .get("authentication_mode")
        .is_none_or(Value::is_null);
    connection.peer = Peer {
        address: rest.address("peer_address"),
        id: rest.text("peer_id").unwrap_or_default(),
        certificate: mode == Some(true),
        // NSX never shows the key, and takes no endpoint of this mode, which is the default, without one.
        psk_set: mode == Some(false) || absent,
    };
    connection.initiation = rest.word("connection_initiation_mode", &INITIATIONS);
    connection.ike_policy = rest.text("ike_profile_id");
    connection.ipsec_policy = rest.text("ipsec_tunnel_profile_id");
    connection.dpd_policy = rest.text("dpd_profile_id");
    rest.0
}

fn read_selectors(session: &Body, rest: &mut Rest) -> Option<Selectors> {
    let kind = rest.word(
        "resource_type",
        &[(POLICY_BASED, false), (ROUTE_BASED, true)],
    )?;
    if kind {
        let (interfaces, left) = read_each(session.list("tunnel_ports"), read_interface);
        rest.replace("tunnel_ports", left);
        Some(Selectors::RouteBased(interfaces))
    } else {
        let (rules, left) = read_each(session.list("policy_rules"), read_rule);
        rest.replace("policy_rules", left);
        Some(Selectors::Rules(rules))
    }
}

/// Reads each element, and collects what of it has no home.
fn read_each<T>(
    list: &[Value],
    read: fn(&Map<String, Value>) -> (Option<T>, Map<String, Value>),
) -> (Vec<T>, Vec<Value>) {
    let (mut found, mut left) = (Vec::new(), Vec::new());
    for value in list {
        let Value::Object(element) = value else {
            left.push(value.clone());
            continue;
        };
        let (one, rest) = read(element);
        found.extend(one);
        if !rest.is_empty() {
            let mut rest = rest;
            // The id is repeated, so that what is left can be told to belong to it.
            if let Some(id) = element.get("id").or_else(|| element.get("tunnel_port_id")) {
                rest.entry("id").or_insert_with(|| id.clone());
            }
            left.push(Value::Object(rest));
        }
    }
    (found, left)
}

fn read_rule(element: &Map<String, Value>) -> (Option<PolicyRule>, Map<String, Value>) {
    let (sources, destinations) = (
        networks(element, "sources"),
        networks(element, "destinations"),
    );
    let (Some(sources), Some(destinations)) = (sources, destinations) else {
        return (None, element.clone());
    };
    let all_parse = sources
        .iter()
        .chain(&destinations)
        .all(|text| is_network(text));
    let mut rest = Rest(element.clone());
    let rule = PolicyRule {
        id: rest.text("id"),
        enabled: rest.boolean("enabled"),
        logged: rest.boolean("logged"),
        sources,
        destinations,
    };
    if !all_parse {
        return (Some(rule), element.clone());
    }
    rest.0.remove("sources");
    rest.0.remove("destinations");
    (Some(rule), rest.0)
}

fn networks(rule: &Map<String, Value>, side: &str) -> Option<Vec<String>> {
    match rule.get(side) {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(Value::Array(subnets)) => {
            let subnets = subnets.iter();
            subnets
                .map(|subnet| json::text(subnet.as_object()?, "subnet"))
                .collect()
        }
        Some(_) => None,
    }
}

fn is_network(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok() || text.parse::<IpAddr>().is_ok()
}

fn read_interface(element: &Map<String, Value>) -> (Option<TunnelInterface>, Map<String, Value>) {
    let Some(addresses) = interface_addresses(element) else {
        return (None, element.clone());
    };
    let mut rest = Rest(element.clone());
    let interface = TunnelInterface {
        id: rest.text("tunnel_port_id"),
        addresses,
    };
    if interface
        .addresses
        .iter()
        .any(|text| interface_address(text).is_none())
    {
        return (Some(interface), element.clone());
    }
    rest.0.remove("ip_subnets");
    (Some(interface), rest.0)
}

fn interface_addresses(element: &Map<String, Value>) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let subnets = element.get("ip_subnets").and_then(Value::as_array)?;
    for subnet in subnets {
        let subnet = subnet.as_object()?;
        let prefix = json::integer(subnet, "prefix_length")?;
        for address in subnet.get("ip_addresses")?.as_array()? {
            found.push(format!("{}/{prefix}", address.as_str()?));
        }
    }
    Some(found)
}

fn read_clamping(rest: &mut Rest) -> Option<TcpMssClamping> {
    let clamping = rest.0.get("tcp_mss_clamping")?.as_object()?;
    let mut inner = Rest(clamping.clone());
    let read = TcpMssClamping {
        direction: inner.word("direction", &DIRECTIONS)?,
        max_segment_size: match inner.0.get("max_segment_size") {
            None | Some(Value::Null) => None,
            Some(_) => Some(u32::try_from(inner.integer("max_segment_size")?).ok()?),
        },
    };
    inner.0.remove("max_segment_size");
    if inner.0.is_empty() {
        rest.0.remove("tcp_mss_clamping");
    }
    Some(read)
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
    let immutable = |field: &str| {
        let what = "is not the kind this connection was made with, which cannot be changed";
        Err(vec![Violation::new(field, what)])
    };
    match &values.selectors {
        Some(Selectors::Rules(wanted)) => {
            if kind != POLICY_BASED {
                return immutable("policy_based");
            }
            let current = session.list("policy_rules");
            let (rules, _) = read_each(current, read_rule);
            let same = current.len() == wanted.len()
                && rules.len() == wanted.len()
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
            let same = current.len() == wanted.len()
                && interfaces.len() == wanted.len()
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

fn is_same_rule(rule: &PolicyRule, wanted: &PolicyRule) -> bool {
    rule.sources == wanted.sources
        && rule.destinations == wanted.destinations
        && rule.enabled.unwrap_or(true) == wanted.enabled.unwrap_or(true)
        && rule.logged.unwrap_or(false) == wanted.logged.unwrap_or(false)
        && (wanted.id.is_none() || wanted.id == rule.id)
}

/// The rules as NSX takes them. A rule that is there already, by its id or by its networks, keeps what else
/// it has.
fn policy_rules(wanted: &[PolicyRule], current: &[Value]) -> Value {
    let mut current: Vec<Option<&Map<String, Value>>> =
        current.iter().map(Value::as_object).collect();
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
        if let Some(id) = &wanted.id {
            rule.insert("id".to_owned(), id.as_str().into());
        }
        rule.insert("sources".to_owned(), subnets(&wanted.sources));
        rule.insert("destinations".to_owned(), subnets(&wanted.destinations));
        rule.insert("enabled".to_owned(), wanted.enabled.unwrap_or(true).into());
        rule.insert("logged".to_owned(), wanted.logged.unwrap_or(false).into());
        Value::Object(rule)
    });
    rules.collect()
}

/// The ports as NSX takes them. A port that is there already, by its id or by its addresses, keeps what else
/// it has; so does the only one if there is to be only one.
fn tunnel_ports(wanted: &[TunnelInterface], current: &[Value]) -> Value {
    let only = wanted.len() == 1 && current.len() == 1;
    let mut current: Vec<Option<&Map<String, Value>>> =
        current.iter().map(Value::as_object).collect();
    let ports = wanted.iter().map(|wanted| {
        let kept = take_matching(&mut current, |there| match &wanted.id {
            Some(id) => json::text(there, "tunnel_port_id").as_ref() == Some(id),
            None => only || interface_addresses(there).as_ref() == Some(&wanted.addresses),
        });
        let mut port = kept.cloned().unwrap_or_default();
        let addresses = wanted
            .addresses
            .iter()
            .filter_map(|text| interface_address(text));
        let subnets = addresses.map(|(address, prefix)| {
            object!({ "ip_addresses": [address.to_string()], "prefix_length": prefix })
        });
        port.insert("ip_subnets".to_owned(), subnets.collect());
        Value::Object(port)
    });
    ports.collect()
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
            Field::IkePolicy => draft.text("ike_profile_id", values.ike_policy.as_deref()),
            Field::IpsecPolicy => {
                draft.text("ipsec_tunnel_profile_id", values.ipsec_policy.as_deref());
            }
            Field::DpdPolicy => draft.text("dpd_profile_id", values.dpd_policy.as_deref()),
            Field::DisplayName
            | Field::Description
            | Field::AdminEnabled
            | Field::VpnService
            | Field::LocalEndpoint
            | Field::Dpd
            | Field::Selectors
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

fn without_secrets(object: Map<String, Value>) -> Map<String, Value> {
    let kept = object.into_iter().filter(|(key, _)| !is_secret_key(key));
    kept.map(|(key, value)| (key, harmless(value))).collect()
}

fn harmless(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(without_secrets(object)),
        Value::Array(list) => list.into_iter().map(harmless).collect(),
        other => other,
    }
}

/// What of an object has not found its home yet.
struct Rest(Map<String, Value>);

impl Rest {
    fn text(&mut self, key: &str) -> Option<String> {
        let text = json::text(&self.0, key);
        self.forget(key, text.is_some());
        text
    }

    fn integer(&mut self, key: &str) -> Option<i64> {
        let integer = json::integer(&self.0, key);
        self.forget(key, integer.is_some());
        integer
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = json::boolean(&self.0, key);
        self.forget(key, boolean.is_some());
        boolean
    }

    /// An address as it is written; one that does not parse also stays.
    fn address(&mut self, key: &str) -> String {
        let text = json::text(&self.0, key).unwrap_or_default();
        self.forget(key, text.parse::<IpAddr>().is_ok());
        text
    }

    /// One of the words of a table, in any case; any other stays.
    fn word<T: Copy>(&mut self, key: &str, table: &[(&str, T)]) -> Option<T> {
        let said = json::text(&self.0, key).unwrap_or_default();
        let meaning = table
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(&said));
        self.forget(key, meaning.is_some());
        meaning.map(|(_, meaning)| *meaning)
    }

    fn replace(&mut self, key: &str, left: Vec<Value>) {
        let is_list = self
            .0
            .get(key)
            .is_none_or(|value| value.is_array() || value.is_null());
        self.forget(key, is_list);
        if !left.is_empty() {
            self.0.insert(key.to_owned(), Value::Array(left));
        }
    }

    fn forget(&mut self, key: &str, is_home: bool) {
        if is_home || self.0.get(key).is_some_and(Value::is_null) {
            self.0.remove(key);
        }
    }
}

/// An object on its way to be written, and whether it has become another.
struct Draft {
    body: Map<String, Value>,
    differs: bool,
}

impl Draft {
    fn of(body: &Body) -> Draft {
        Draft {
            body: body.object().clone(),
            differs: false,
        }
    }

    /// Sets a text; empty and absent are the same.
    fn text(&mut self, key: &str, wanted: Option<&str>) {
        let current = json::text(&self.body, key).unwrap_or_default();
        match wanted.unwrap_or_default() {
            wanted if wanted == current => {}
            "" => self.remove(key),
            wanted => self.set(key, wanted.into()),
        }
    }

    fn set(&mut self, key: &str, value: Value) {
        self.body.insert(key.to_owned(), value);
        self.differs = true;
    }

    fn remove(&mut self, key: &str) {
        self.body.remove(key);
        self.differs = true;
    }

    fn changed(self) -> Option<Map<String, Value>> {
        self.differs.then_some(self.body)
    }
}
