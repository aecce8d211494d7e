//! Translates a connection to the objects of NSX: new ones, or the present ones with a change.

use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::nsx::{
        body::{Body, draft::Draft, remainder::Rest},
        manager::{
            translate::{
                inward::read_clamping,
                references::reference,
                selectors::{change_selectors, other_kind, policy_rules, tunnel_ports},
                words::{CERTIFICATE, DIRECTIONS, INITIATIONS, PSK, psk},
            },
            wire::{POLICY_BASED, ROUTE_BASED},
        },
        mark,
    },
    model::{
        Authentication, ClampDirection, Connection, ConnectionChange, ConnectionSpec, Field,
        Initiation, Selectors, TcpMssClamping,
    },
};
use serde_json::{Map, Value};

/// Builds the body of a new peer endpoint. It holds the pre-shared key, which goes into the request body and nowhere
/// else.
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

/// Builds the body of a new session with this peer endpoint.
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
        // Refused earlier: one of the two is always set.
        Some(Selectors::EndpointGroups { .. }) | None => {}
    }
    if let Some(clamping) = &spec.tcp_mss_clamping {
        put("tcp_mss_clamping", clamped(clamping));
    }
    mark::put(&mut body, mark);
    body
}

/// Returns the session as the change wants it, or `None` if it needs no change.
///
/// # Errors
/// Fails if the change wants another kind of selectors: NSX keeps the type that an object was created with.
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

/// Makes the draft refer to a part, or to null if the part does not exist yet ([`complete`](super::complete)).
fn refer(draft: &mut Draft, field: Field, change: &ConnectionChange, wanted: Option<&str>) {
    let Some((_, key)) = reference(field) else {
        return;
    };
    match change.is_to_be_made(field) {
        true => draft.set(key, Value::Null),
        false => draft.text(key, wanted),
    }
}

/// Returns the peer endpoint as the change wants it, or `None` if it needs no change. A given key counts as a change,
/// because the present one cannot be read. A spare key does not, unless something else has to be written.
///
/// # Errors
/// Fails if the peer endpoint must be written and the key is not given: NSX wants the key with every write.
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

/// Reports whether the peer endpoint visibly is as the change wants it. It never is if the change includes a key.
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

/// Returns what the connection cannot become, as far as its readable fields show: another kind of selectors, or a
/// service that is derived from another local endpoint.
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

/// Returns why the wanted service is impossible if NSX derives `there`, or `None` if the two are the same.
pub fn other_service(wanted: &str, there: Option<&str>) -> Option<Violation> {
    let what = match there {
        Some(there) if there == wanted => return None,
        Some(there) => format!("can only be `{there}`: NSX derives it from `local_endpoint`"),
        None => "is derived by NSX from `local_endpoint`, which tells of none".to_owned(),
    };
    Some(Violation::new(Field::VpnService.path(), what))
}

fn changed_but_for_the_key(peer: &Body, change: &ConnectionChange) -> Draft {
    let values = &change.values;
    let mut draft = Draft::of(peer);
    for field in &change.fields {
        match field {
            Field::PeerAddress => draft.address("peer_address", Some(&values.peer_address)),
            Field::PeerId => {
                let given = values.peer_id.as_deref().filter(|id| !id.is_empty());
                let address = if change.fields.contains(&Field::PeerAddress) {
                    values.peer_address.clone()
                } else {
                    peer.text("peer_address").unwrap_or_default()
                };
                draft.address("peer_id", Some(given.unwrap_or(&address)));
            }
            Field::Authentication => {
                if let Some(authentication) = &values.authentication {
                    // PSK is the default.
                    let current = peer.text("authentication_mode");
                    let current = current.as_deref().unwrap_or(PSK);
                    if !current.eq_ignore_ascii_case(mode(authentication)) {
                        draft.set("authentication_mode", mode(authentication).into());
                    }
                }
            }
            Field::Initiation => {
                let current = peer.text("connection_initiation_mode");
                let wanted = initiation(values.initiation);
                let current = current.as_deref().unwrap_or(INITIATIONS[0].0);
                if !current.eq_ignore_ascii_case(wanted) {
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
