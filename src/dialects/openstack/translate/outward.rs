//! Builds the bodies of POST and PUT for connections.

use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::openstack::{
        mark,
        translate::{
            inward::connection,
            rules::{first_with_sources, inside, product},
            words::{
                ACTIONS, DEFAULT_DPD, DEFAULT_MTU, INITIATIONS, LONGEST_TEXT, dpd_times,
                plain_peer_id, psk, word,
            },
        },
        variant::Variant,
        wire::Body,
    },
    model::{
        Connection, ConnectionChange, ConnectionSpec, DeadPeerDetection, DpdAction, Field,
        Initiation, Peer, PolicyRule, Selectors,
    },
};
use serde_json::{Map, Value, json as object};
use std::{collections::BTreeSet, mem::discriminant, net::IpAddr};

/// Returns the body of a POST. It holds the pre-shared key, so it must go into a request body and nowhere else.
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
        ("availability_zone", &spec.availability_zone),
    ] {
        if let Some(id) = reference.as_deref().filter(|id| !id.is_empty()) {
            put(key, id.into());
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

/// Returns the body of a PUT with everything that differs, or `None` if nothing does. A given key always counts as
/// different, so it is written whatever the current one is.
///
/// # Errors
/// A field cannot be changed, or the description does not fit beside the gateway's mark.
pub fn changes(
    body: &Body,
    change: &ConnectionChange,
    variant: &Variant,
) -> Result<Option<Map<String, Value>>, Vec<Violation>> {
    let values = &change.values;
    let now = connection(body.clone(), variant);
    let mut draft = Draft {
        violations: fixed(change, &now, variant),
        ..Draft::default()
    };
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
            Field::PeerAddress => {
                let differs = !is_same_address(&now.peer.address, &values.peer_address);
                draft.set("peer_address", differs, || {
                    values.peer_address.as_str().into()
                });
            }
            Field::PeerId => draft.identify(&now.peer, change, variant),
            // Skips a spared key: no PUT of Neutron needs the key beside another field.
            Field::Authentication => {
                if let Some(psk) = psk(values).filter(|_| !change.spare_key) {
                    draft.set("psk", true, || psk.into());
                }
            }
            Field::Dpd => draft.detect(now.dpd.as_ref(), values),
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
            // Fixed fields, a description that this cloud reserves, and fields that no cloud of this kind has.
            Field::VpnService
            | Field::IkePolicy
            | Field::IpsecPolicy
            | Field::AvailabilityZone
            | Field::Description
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

/// Returns the violations for fields of a change that cannot be changed after creation and differ from the current
/// values.
pub fn fixed(change: &ConnectionChange, now: &Connection, variant: &Variant) -> Vec<Violation> {
    let values = &change.values;
    let mut violations = Vec::new();
    for (field, wanted, now) in [
        (Field::VpnService, &values.vpn_service, &now.vpn_service),
        (Field::IkePolicy, &values.ike_policy, &now.ike_policy),
        (Field::IpsecPolicy, &values.ipsec_policy, &now.ipsec_policy),
        (
            Field::AvailabilityZone,
            &values.availability_zone,
            &now.availability_zone,
        ),
    ] {
        let is_named = change.fields.contains(&field) && wanted.is_some();
        if change.is_to_be_made(field) || (is_named && wanted != now) {
            let now = now.as_deref().unwrap_or_default();
            let what = format!(
                "is `{now}` and cannot be changed on OpenStack: delete the connection and create it again"
            );
            violations.push(Violation::new(field.path(), what));
        }
    }
    if change.fields.contains(&Field::Selectors) {
        violations.extend(fixed_kind(
            now.selectors.as_ref(),
            values.selectors.as_ref(),
            variant,
        ));
    }
    violations
}

/// Refuses selectors that a connection with the current ones cannot have.
///
/// Rules with both sides are endpoint groups. Beside a service with a subnet they are allowed if they name one local
/// network.
fn fixed_kind(
    now: Option<&Selectors>,
    wanted: Option<&Selectors>,
    variant: &Variant,
) -> Vec<Violation> {
    let (Some(now), Some(wanted)) = (now, wanted) else {
        return Vec::new();
    };
    let with_sources = match wanted {
        Selectors::Rules(rules) => Some(rules).filter(|it| first_with_sources(it).is_some()),
        _ => None,
    };
    match (now, with_sources) {
        (Selectors::EndpointGroups { .. }, Some(_)) => Vec::new(),
        // Rules that no connection of this cloud can have are refused elsewhere.
        (Selectors::Rules(_), Some(rules)) => {
            let can_be = variant.capabilities.endpoint_groups && product(rules).is_ok();
            let refused = inside(rules).err().filter(|_| can_be);
            refused.unwrap_or_default()
        }
        _ if discriminant(now) != discriminant(wanted) => vec![other_kind()],
        _ => Vec::new(),
    }
}

/// The violation for selectors of another kind than the connection's.
pub fn other_kind() -> Violation {
    let what = "is not the kind this connection was made with, which its VPN service decides: endpoint groups where it has no \
                subnet, and networks of the peer where it has one";
    Violation::new(Field::Selectors.path(), what)
}

/// Reports whether a PUT of this body changes only text for people. Agents are notified of it but do nothing:
/// neutron-vpnaas's templates for strongSwan use neither field.
pub fn is_descriptive(body: &Map<String, Value>) -> bool {
    body.keys().all(|key| key == "name" || key == "description")
}

fn wanted_peer_id<'a>(spec: &'a ConnectionSpec, address: &'a str) -> &'a str {
    let given = spec.peer_id.as_deref();
    given.filter(|id| !id.is_empty()).unwrap_or(address)
}

/// Returns action, interval and timeout if all three are known.
fn complete(dpd: Option<&DeadPeerDetection>) -> Option<(DpdAction, u32, u32)> {
    let dpd = dpd?;
    Some((dpd.action?, dpd.interval_seconds?, dpd.timeout_seconds?))
}

/// Always sends all of `dpd`, because a PUT merges it by key: an unset field should get its default, not keep its old
/// value.
fn wanted_dpd(spec: &ConnectionSpec) -> Value {
    let action = spec.dpd.unwrap_or_default().action.unwrap_or(DEFAULT_DPD.0);
    let (interval, timeout) = dpd_times(spec);
    object!({ "action": word(&ACTIONS, action), "interval": interval, "timeout": timeout })
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
        // Refused earlier.
        Some(Selectors::RouteBased(_)) | None => Vec::new(),
    }
}

/// Reports whether both are the same address in any spelling, or the same host name.
pub fn is_same_address(one: &str, other: &str) -> bool {
    let parsed = |text: &str| text.parse::<IpAddr>().ok();
    one == other || (parsed(one).is_some() && parsed(one) == parsed(other))
}

/// Returns the networks as a set, each in one spelling. Host bits count.
fn network_set(rules: &[PolicyRule]) -> BTreeSet<String> {
    let networks = rules.iter().flat_map(|rule| &rule.destinations);
    networks
        .map(|text| match text.parse::<ipnet::IpNet>() {
            Ok(network) => network.to_string(),
            Err(_) => text.clone(),
        })
        .collect()
}

/// The body of a PUT, and why parts of it are refused.
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

    /// Sets the peer's id. Unset, it follows the peer's address, including a new one.
    fn identify(&mut self, now: &Peer, change: &ConnectionChange, variant: &Variant) {
        let address = match change.fields.contains(&Field::PeerAddress) {
            true => &change.values.peer_address,
            false => &now.address,
        };
        let wanted = wanted_peer_id(&change.values, address);
        let differs = !is_same_address(&now.id, plain_peer_id(wanted, variant));
        self.set("peer_id", differs, || wanted.into());
    }

    fn detect(&mut self, now: Option<&DeadPeerDetection>, values: &ConnectionSpec) {
        let action = values.dpd.unwrap_or_default().action;
        let (interval, timeout) = dpd_times(values);
        let wanted = (action.unwrap_or(DEFAULT_DPD.0), interval, timeout);
        let differs = complete(now) != Some(wanted);
        self.set("dpd", differs, || wanted_dpd(values));
    }

    fn select(&mut self, now: &Connection, values: &ConnectionSpec) {
        let differs = match (&now.selectors, &values.selectors) {
            (Some(Selectors::Rules(now)), Some(Selectors::Rules(wanted))) => {
                network_set(now) != network_set(wanted)
            }
            (None, _) => true,
            (Some(now), Some(wanted)) => now != wanted,
            (Some(_), None) => false,
        };
        if differs {
            for (key, value) in selectors(values) {
                self.body.insert(key.to_owned(), value);
            }
        }
    }
}
