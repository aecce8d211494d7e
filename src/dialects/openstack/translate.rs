//! An ipsec-site-connection as a connection, and back. Pure.
//!
//! Reading never fails: what does not fit the model stays in `native` as it came. Writing names only what is
//! wanted: a PUT of Neutron leaves alone what is not in it.

use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::openstack::{mark, variant::Variant, wire::Body},
    model::{
        Authentication, Connection, ConnectionChange, ConnectionSpec, DeadPeerDetection, Details,
        DpdAction, Field, Initiation, OpenstackDetails, Peer, PolicyRule, Selectors,
    },
    rest::json,
};
use serde_json::{Map, Value, json as object};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

/// Characters of `name`, `description`, `peer_address`, `peer_id` and `psk` that fit their columns.
pub const LONGEST_TEXT: usize = 255;
/// What `dpd` is where nothing else is said: hold, 30 s, 120 s.
pub const DEFAULT_DPD: (DpdAction, u32, u32) = (DpdAction::Hold, 30, 120);
/// What `mtu` is where nothing else is said, in bytes.
pub const DEFAULT_MTU: u32 = 1500;

const INITIATIONS: [(&str, Initiation); 2] = [
    ("bi-directional", Initiation::Both),
    ("response-only", Initiation::RespondOnly),
];

const ACTIONS: [(&str, DpdAction); 5] = [
    ("clear", DpdAction::Clear),
    ("hold", DpdAction::Hold),
    ("restart", DpdAction::Restart),
    ("disabled", DpdAction::Disabled),
    ("restart-by-peer", DpdAction::RestartByPeer),
];

/// What can be written. An etag is made of these: of a connection that is as it was in all of them nothing
/// is lost by a write.
const WRITABLE: [&str; 16] = [
    "name",
    "description",
    "admin_state_up",
    "vpnservice_id",
    "ikepolicy_id",
    "ipsecpolicy_id",
    "peer_address",
    "peer_id",
    "local_id",
    "initiator",
    "dpd",
    "mtu",
    "peer_cidrs",
    "local_ep_group_id",
    "peer_ep_group_id",
    "auth_mode",
];

/// What the cloud has, as a connection.
pub fn connection(body: &Body, variant: &Variant) -> Connection {
    let mut rest = Rest(body.object().clone());
    let description = rest.text("description").unwrap_or_default();
    let (description, mark) = mark::split(&description);
    Connection {
        id: rest.text("id").unwrap_or_default(),
        display_name: rest.text("name").unwrap_or_default(),
        description: description.to_owned(),
        admin_enabled: rest.boolean("admin_state_up"),
        vpn_service: rest.reference("vpnservice_id"),
        ike_policy: rest.reference("ikepolicy_id"),
        ipsec_policy: rest.reference("ipsecpolicy_id"),
        peer: Peer {
            address: rest.address("peer_address"),
            id: read_peer_id(&mut rest, variant),
            certificate: false,
            psk_set: body.psk_set(),
        },
        dpd: read_dpd(&mut rest),
        initiation: rest.word("initiator", &INITIATIONS),
        selectors: read_selectors(&mut rest),
        mtu: rest.number("mtu"),
        etag: etag(body),
        managed: mark.is_some(),
        details: Some(Details::Openstack(details(&mut rest))),
        native: rest.0,
        ..Connection::default()
    }
}

/// A fingerprint of everything that can be written but the key. What the cloud changes by itself, `status`
/// above all, is not in it.
pub fn etag(body: &Body) -> String {
    let fields: BTreeMap<&str, String> = WRITABLE
        .iter()
        .filter_map(|key| {
            let value = body.object().get(*key).filter(|value| !value.is_null())?;
            let canonical = match *key {
                // A set: a PUT answers it in the caller's order, a GET in the database's.
                "peer_cidrs" => {
                    let sorted: BTreeSet<String> = elements(value).iter().map(canonical).collect();
                    sorted.into_iter().collect::<Vec<_>>().join(",")
                }
                _ => canonical(value),
            };
            Some((*key, canonical))
        })
        .collect();
    let mut hash = Sha256::new();
    for (key, value) in fields {
        hash.update(format!("{key}={value}\n"));
    }
    let digest = hash.finalize();
    digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The connection to make. Holds the pre-shared key: it goes into a request body and nowhere else.
pub fn new_connection(spec: &ConnectionSpec, mark: &Mark, variant: &Variant) -> Map<String, Value> {
    let mut body = Map::new();
    let mut put = |key: &str, value: Value| body.insert(key.to_owned(), value);
    if !spec.display_name.is_empty() {
        put("name", spec.display_name.as_str().into());
    }
    if variant.description {
        put("description", mark::put(&spec.description, mark).into());
    }
    for (key, reference) in [
        ("vpnservice_id", &spec.vpn_service),
        ("ikepolicy_id", &spec.ike_policy),
        ("ipsecpolicy_id", &spec.ipsec_policy),
    ] {
        if let Some(id) = reference {
            put(key, id.as_str().into());
        }
    }
    put("peer_address", spec.peer_address.as_str().into());
    put("peer_id", wanted_peer_id(spec, &spec.peer_address).into());
    if let Some(psk) = psk(spec) {
        put("psk", psk.into());
    }
    if let Some(enabled) = spec.admin_enabled {
        put("admin_state_up", enabled.into());
    }
    if let Some(initiation) = spec.initiation {
        put("initiator", word(&INITIATIONS, initiation).into());
    }
    if spec.dpd.is_some() {
        put("dpd", wanted_dpd(spec));
    }
    if let Some(mtu) = spec.mtu {
        put("mtu", mtu.into());
    }
    for (key, value) in selectors(spec) {
        put(key, value);
    }
    body
}

/// What of the change differs from what is there; `None` if nothing does. A key that is given counts as
/// another one, so that it is written whatever it was.
///
/// # Errors
/// What cannot be changed, and what does not fit beside the gateway's mark.
pub fn changes(
    body: &Body,
    change: &ConnectionChange,
    variant: &Variant,
) -> Result<Option<Map<String, Value>>, Vec<Violation>> {
    let values = &change.values;
    let now = connection(body, variant);
    let mut draft = Draft::default();
    for field in &change.fields {
        match field {
            Field::DisplayName => {
                draft.set("name", now.display_name != values.display_name, || {
                    values.display_name.as_str().into()
                });
            }
            Field::Description if variant.description => draft.describe(body, &values.description),
            Field::AdminEnabled => {
                let wanted = values.admin_enabled.unwrap_or(true);
                let differs = now.admin_enabled != Some(wanted);
                draft.set("admin_state_up", differs, || wanted.into());
            }
            Field::VpnService => draft.keep(*field, &now.vpn_service, &values.vpn_service),
            Field::IkePolicy => draft.keep(*field, &now.ike_policy, &values.ike_policy),
            Field::IpsecPolicy => draft.keep(*field, &now.ipsec_policy, &values.ipsec_policy),
            Field::PeerAddress => {
                let differs = !is_same_address(&now.peer.address, &values.peer_address);
                draft.set("peer_address", differs, || {
                    values.peer_address.as_str().into()
                });
            }
            Field::PeerId => {
                let address = match change.fields.contains(&Field::PeerAddress) {
                    true => &values.peer_address,
                    false => &now.peer.address,
                };
                let wanted = wanted_peer_id(values, address);
                let differs = now.peer.id != plain_peer_id(wanted, variant);
                draft.set("peer_id", differs, || wanted.into());
            }
            Field::Authentication => {
                if let Some(psk) = psk(values) {
                    draft.set("psk", true, || psk.into());
                }
            }
            Field::Dpd => {
                let wanted = values.dpd.unwrap_or_default();
                let (interval, timeout) = dpd_times(values);
                let wanted = (wanted.action.unwrap_or(DEFAULT_DPD.0), interval, timeout);
                let differs = complete(now.dpd.as_ref()) != Some(wanted);
                draft.set("dpd", differs, || wanted_dpd(values));
            }
            Field::Initiation => {
                let wanted = values.initiation.unwrap_or(Initiation::Both);
                let differs = now.initiation != Some(wanted);
                draft.set("initiator", differs, || word(&INITIATIONS, wanted).into());
            }
            Field::Selectors => draft.select(&now, values),
            Field::Mtu => {
                let wanted = values.mtu.unwrap_or(DEFAULT_MTU);
                draft.set("mtu", now.mtu != Some(wanted), || wanted.into());
            }
            Field::Description
            | Field::LocalEndpoint
            | Field::DpdPolicy
            | Field::TcpMssClamping => {}
        }
    }
    if !draft.violations.is_empty() {
        return Err(draft.violations);
    }
    Ok((!draft.body.is_empty()).then_some(draft.body))
}

/// Whether it can be told by reading that a change was made: a key does not show, and a host name is resolved
/// where it is written.
pub fn shows(change: &ConnectionChange) -> bool {
    let values = &change.values;
    let by_name = change.fields.contains(&Field::PeerAddress)
        && values.peer_address.parse::<IpAddr>().is_err();
    let by_key = change.fields.contains(&Field::Authentication) && psk(values).is_some();
    !by_name && !by_key
}

/// Whether this may be what a POST for `spec` made, where no mark can tell: by name, service and peer address.
pub fn may_be(body: &Body, spec: &ConnectionSpec) -> bool {
    let same = |key: &str, wanted: &str| body.text(key).unwrap_or_default() == wanted;
    same("name", &spec.display_name)
        && same(
            "vpnservice_id",
            spec.vpn_service.as_deref().unwrap_or_default(),
        )
        && is_same_address(
            &body.text("peer_address").unwrap_or_default(),
            &spec.peer_address,
        )
}

/// The pre-shared key of a spec, for a request body and for keeping it out of errors.
pub fn psk(spec: &ConnectionSpec) -> Option<&str> {
    match &spec.authentication {
        Some(Authentication::Psk(psk)) => Some(psk.expose()),
        Some(Authentication::Certificate) | None => None,
    }
}

/// Interval and timeout that a spec comes to, in seconds.
pub fn dpd_times(spec: &ConnectionSpec) -> (u32, u32) {
    let dpd = spec.dpd.unwrap_or_default();
    (
        dpd.interval_seconds.unwrap_or(DEFAULT_DPD.1),
        dpd.timeout_seconds.unwrap_or(DEFAULT_DPD.2),
    )
}

fn details(rest: &mut Rest) -> OpenstackDetails {
    let (project, tenant) = (rest.shown("project_id"), rest.shown("tenant_id"));
    rest.forget("project_id", project.is_some());
    // Where both are given they are equal; if not, the one not shown stays.
    rest.forget("tenant_id", project.is_none() || project == tenant);
    OpenstackDetails {
        project_id: project.or(tenant).unwrap_or_default(),
        local_id: rest.text("local_id").unwrap_or_default(),
        auth_mode: rest.text("auth_mode").unwrap_or_default(),
        route_mode: rest.text("route_mode").unwrap_or_default(),
        availability_zone: rest.text("availability_zone").unwrap_or_default(),
        order_id: rest.text("order_id").unwrap_or_default(),
        product_id: rest.text("product_id").unwrap_or_default(),
        created_at: rest.text("created_at").unwrap_or_default(),
        tags: read_tags(rest),
    }
}

/// Tags as `key=value`; if one of them is no such pair, all of them also stay.
fn read_tags(rest: &mut Rest) -> Vec<String> {
    let Some(Value::Array(tags)) = rest.0.get("tags") else {
        return Vec::new();
    };
    let read = |tag: &Value| match tag {
        Value::String(text) => Some(text.clone()),
        Value::Object(pair) => {
            let only = pair.keys().all(|key| key == "key" || key == "value");
            let value = json::text(pair, "value").unwrap_or_default();
            only.then(|| json::text(pair, "key").map(|key| format!("{key}={value}")))?
        }
        _ => None,
    };
    let found: Vec<Option<String>> = tags.iter().map(read).collect();
    rest.forget("tags", found.iter().all(Option::is_some));
    found.into_iter().flatten().collect()
}

fn read_peer_id(rest: &mut Rest, variant: &Variant) -> String {
    let id = rest.shown("peer_id").unwrap_or_default();
    let plain = plain_peer_id(&id, variant).to_owned();
    rest.forget("peer_id", id == plain);
    plain
}

fn plain_peer_id<'a>(id: &'a str, variant: &Variant) -> &'a str {
    match id.strip_prefix('@') {
        Some(plain) if variant.at_before_peer_id => plain,
        _ => id,
    }
}

fn wanted_peer_id<'a>(spec: &'a ConnectionSpec, address: &'a str) -> &'a str {
    let given = spec.peer_id.as_deref();
    given.filter(|id| !id.is_empty()).unwrap_or(address)
}

fn read_dpd(rest: &mut Rest) -> Option<DeadPeerDetection> {
    let Some(Value::Object(dpd)) = rest.0.get("dpd") else {
        return None;
    };
    let mut inner = Rest(dpd.clone());
    let read = DeadPeerDetection {
        action: inner.word("action", &ACTIONS),
        interval_seconds: inner.number("interval"),
        timeout_seconds: inner.number("timeout"),
    };
    rest.0.remove("dpd");
    if !inner.0.is_empty() {
        rest.0.insert("dpd".to_owned(), Value::Object(inner.0));
    }
    Some(read)
}

/// All three of a DPD that is known whole.
fn complete(dpd: Option<&DeadPeerDetection>) -> Option<(DpdAction, u32, u32)> {
    let dpd = dpd?;
    Some((dpd.action?, dpd.interval_seconds?, dpd.timeout_seconds?))
}

/// Always whole, because a PUT merges by key: what is not said is to be the default, not what was.
fn wanted_dpd(spec: &ConnectionSpec) -> Value {
    let action = spec.dpd.unwrap_or_default().action.unwrap_or(DEFAULT_DPD.0);
    let (interval, timeout) = dpd_times(spec);
    object!({ "action": word(&ACTIONS, action), "interval": interval, "timeout": timeout })
}

fn read_selectors(rest: &mut Rest) -> Option<Selectors> {
    let group = |key: &str| rest.shown(key).filter(|id| !id.is_empty());
    let groups = (group("local_ep_group_id"), group("peer_ep_group_id"));
    let networks = rest.0.get("peer_cidrs").map(elements).unwrap_or_default();
    match groups {
        (Some(local), Some(peer)) => {
            rest.0.remove("local_ep_group_id");
            rest.0.remove("peer_ep_group_id");
            rest.forget("peer_cidrs", networks.is_empty());
            Some(Selectors::EndpointGroups { local, peer })
        }
        // Half a pair says less than `native` does.
        (Some(_), None) | (None, Some(_)) => None,
        (None, None) => {
            rest.0.remove("local_ep_group_id");
            rest.0.remove("peer_ep_group_id");
            let destinations: Vec<String> = networks
                .iter()
                .filter_map(|network| network.as_str().map(str::to_owned))
                .collect();
            let all_parse = destinations.len() == networks.len()
                && destinations.iter().all(|text| is_network(text));
            rest.forget("peer_cidrs", all_parse);
            let rule = PolicyRule {
                destinations,
                ..PolicyRule::default()
            };
            (!rule.destinations.is_empty()).then(|| Selectors::Rules(vec![rule]))
        }
    }
}

fn selectors(spec: &ConnectionSpec) -> Vec<(&'static str, Value)> {
    match &spec.selectors {
        Some(Selectors::EndpointGroups { local, peer }) => vec![
            ("local_ep_group_id", local.as_str().into()),
            ("peer_ep_group_id", peer.as_str().into()),
        ],
        Some(Selectors::Rules(rules)) => {
            let networks = rules.iter().flat_map(|rule| &rule.destinations);
            vec![("peer_cidrs", networks.cloned().map(Value::from).collect())]
        }
        // Refused before.
        Some(Selectors::RouteBased(_)) | None => Vec::new(),
    }
}

fn is_network(text: &str) -> bool {
    text.parse::<ipnet::IpNet>().is_ok() || text.parse::<IpAddr>().is_ok()
}

fn is_same_address(one: &str, other: &str) -> bool {
    let parsed = |text: &str| text.parse::<IpAddr>().ok();
    one == other || (parsed(one).is_some() && parsed(one) == parsed(other))
}

/// Networks as a set, each in one spelling; host bits count.
fn network_set(rules: &[PolicyRule]) -> BTreeSet<String> {
    let networks = rules.iter().flat_map(|rule| &rule.destinations);
    networks
        .map(|text| match text.parse::<ipnet::IpNet>() {
            Ok(network) => network.to_string(),
            Err(_) => text.clone(),
        })
        .collect()
}

fn word<T: Copy + PartialEq>(table: &[(&'static str, T)], meaning: T) -> &'static str {
    let found = table.iter().find(|(_, known)| *known == meaning);
    // What has no word here was refused before.
    found.unwrap_or(&table[0]).0
}

/// The same text for the same value, whatever the order of its keys, and whether numbers came as strings.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(object) => {
            let sorted: BTreeMap<&String, String> = object
                .iter()
                .map(|(key, value)| (key, canonical(value)))
                .collect();
            format!("{sorted:?}")
        }
        Value::Array(list) => format!("{:?}", list.iter().map(canonical).collect::<Vec<_>>()),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn elements(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// What a PUT is to say, and why it cannot.
#[derive(Default)]
struct Draft {
    body: Map<String, Value>,
    violations: Vec<Violation>,
}

impl Draft {
    fn set(&mut self, key: &str, differs: bool, value: impl FnOnce() -> Value) {
        if differs {
            self.body.insert(key.to_owned(), value());
        }
    }

    /// Refuses another value than the one there is: the cloud fixes it when a connection is made.
    fn keep(&mut self, field: Field, now: &Option<String>, wanted: &Option<String>) {
        if wanted.is_some() && wanted != now {
            let what = "cannot be changed on OpenStack: delete the connection and make it anew";
            self.violations.push(Violation::new(field.path(), what));
        }
    }

    fn describe(&mut self, body: &Body, wanted: &str) {
        let now = body.text("description").unwrap_or_default();
        let wanted = mark::keep(wanted, &now);
        if wanted.chars().count() > LONGEST_TEXT {
            let most = LONGEST_TEXT - mark::LENGTH;
            let what = format!(
                "has at most {most} characters, because the gateway's mark stands behind it"
            );
            self.violations
                .push(Violation::new(Field::Description.path(), what));
        }
        self.set("description", wanted != now, || wanted.into());
    }

    fn select(&mut self, now: &Connection, values: &ConnectionSpec) {
        let differs = match (&now.selectors, &values.selectors) {
            (Some(Selectors::Rules(now)), Some(Selectors::Rules(wanted))) => {
                network_set(now) != network_set(wanted)
            }
            (None, _) => true,
            (Some(now), Some(wanted)) => {
                if std::mem::discriminant(now) != std::mem::discriminant(wanted) {
                    let what = "is not the kind this connection was made with, which its VPN service decides: \
                                endpoint groups, or rules where the service has a subnet";
                    self.violations.push(Violation::new("policy_based", what));
                }
                now != wanted
            }
            (Some(_), None) => false,
        };
        if differs {
            for (key, value) in selectors(values) {
                self.body.insert(key.to_owned(), value);
            }
        }
    }
}

/// What of an object has not found its home yet.
struct Rest(Map<String, Value>);

impl Rest {
    /// A field as text, left where it is.
    fn shown(&self, key: &str) -> Option<String> {
        json::text(&self.0, key)
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let text = self.shown(key);
        self.forget(key, text.is_some());
        text
    }

    /// An id; an empty one refers to nothing.
    fn reference(&mut self, key: &str) -> Option<String> {
        self.text(key).filter(|id| !id.is_empty())
    }

    fn number(&mut self, key: &str) -> Option<u32> {
        let number = json::integer(&self.0, key).and_then(|number| u32::try_from(number).ok());
        self.forget(key, number.is_some());
        number
    }

    fn boolean(&mut self, key: &str) -> Option<bool> {
        let boolean = json::boolean(&self.0, key);
        self.forget(key, boolean.is_some());
        boolean
    }

    /// An address as it is written; one that does not parse also stays.
    fn address(&mut self, key: &str) -> String {
        let text = self.shown(key).unwrap_or_default();
        self.forget(key, text.parse::<IpAddr>().is_ok());
        text
    }

    /// One of the words of a table, in any case; any other stays.
    fn word<T: Copy>(&mut self, key: &str, table: &[(&str, T)]) -> Option<T> {
        let said = self.shown(key).unwrap_or_default();
        let meaning = table
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(said.trim()));
        self.forget(key, meaning.is_some());
        meaning.map(|(_, meaning)| *meaning)
    }

    fn forget(&mut self, key: &str, found: bool) {
        if found {
            self.0.remove(key);
        }
    }
}

#[cfg(test)]
mod tests;
