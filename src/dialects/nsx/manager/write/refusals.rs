//! What a connection can ask for that NSX cannot express, beyond the capabilities. Pure.

use crate::{
    core::error::Violation,
    dialects::nsx::manager::translate,
    model::{
        Authentication, ConnectionChange, ConnectionSpec, Field, NewConnection, ResourceKind,
        Selectors, Settings,
    },
};
use std::net::IpAddr;

/// The longest `display_name`, in characters (NSX Python SDK 4.2.0).
const DISPLAY_NAME: usize = 255;
/// The longest `description`, in characters (the same).
const DESCRIPTION: usize = 1024;
/// The longest pre-shared key, in characters (the same).
const KEY: usize = 128;
/// The most subnets on one side of a rule (NSX Policy Python SDK 4.2.0).
const SUBNETS: usize = 128;
/// The range of `max_segment_size`, in bytes (NSX Python SDK 4.2.0).
pub const SEGMENT: std::ops::RangeInclusive<u32> = 108..=8902;

/// Returns what NSX cannot express in a new connection. A reference to a part of the same call is not missing.
pub fn of_new(wanted: &NewConnection) -> Vec<Violation> {
    let is_looked_at = |field: &&Field| {
        **field != Field::LocalEndpoint || !wanted.has(ResourceKind::LocalEndpoint)
    };
    let fields = Field::ALL.iter().filter(is_looked_at);
    let refused = fields.flat_map(|field| refusals(*field, &wanted.spec));
    refused.chain(refused_service(wanted)).collect()
}

/// Returns what NSX cannot express in a change.
pub fn of_change(change: &ConnectionChange) -> Vec<Violation> {
    let fields = change.fields.iter();
    fields
        .filter(|field| !change.is_to_be_made(**field))
        .flat_map(|field| refusals(*field, &change.values))
        .chain(new_service(change))
        .collect()
}

/// Refuses to move a connection to a new service unless its local endpoint is new, too.
pub fn new_service(change: &ConnectionChange) -> Option<Violation> {
    let moves_alone =
        change.is_to_be_made(Field::VpnService) && !change.is_to_be_made(Field::LocalEndpoint);
    let what =
        "is made anew, and so must the local endpoint be, since NSX derives the one from the other";
    moves_alone.then(|| Violation::new(Field::VpnService.path(), what))
}

/// Returns what NSX cannot express in one field, beyond the capabilities.
pub fn refusals(field: Field, spec: &ConnectionSpec) -> Vec<Violation> {
    let refuse = |wrong: bool, what: &str| {
        let violation = || Violation::new(field.path(), what);
        wrong.then(violation).into_iter().collect::<Vec<_>>()
    };
    let longer_than = |text: &str, most: usize| text.chars().count() > most;
    match field {
        Field::DisplayName => refuse(
            longer_than(&spec.display_name, DISPLAY_NAME),
            "has at most 255 characters",
        ),
        Field::Description => refuse(
            longer_than(&spec.description, DESCRIPTION),
            "has at most 1024 characters",
        ),
        Field::LocalEndpoint => refuse(
            spec.local_endpoint.as_ref().is_none_or(String::is_empty),
            "must be given: a session starts from a local endpoint",
        ),
        Field::PeerAddress => refuse(
            spec.peer_address.parse::<IpAddr>().is_err(),
            "must be given, as an IP address: NSX takes no host names",
        ),
        Field::Authentication => match &spec.authentication {
            None => refuse(true, "must be given, or `peer.certificate`"),
            Some(Authentication::Psk(psk)) => refuse(
                psk.expose().is_empty() || longer_than(psk.expose(), KEY),
                "has 1 to 128 characters",
            ),
            Some(Authentication::Certificate) => Vec::new(),
        },
        Field::Selectors => refused_selectors(spec),
        Field::TcpMssClamping => {
            let size = spec
                .tcp_mss_clamping
                .and_then(|clamping| clamping.max_segment_size);
            match size.filter(|size| !SEGMENT.contains(size)) {
                Some(_) => vec![Violation::new(
                    "tcp_mss_clamping.max_segment_size",
                    "is 108 to 8902 bytes",
                )],
                None => Vec::new(),
            }
        }
        // Covered by the capabilities, unrestricted, or known only once the local endpoint is read.
        Field::AdminEnabled
        | Field::VpnService
        | Field::IkePolicy
        | Field::IpsecPolicy
        | Field::DpdPolicy
        | Field::PeerId
        | Field::Dpd
        | Field::Initiation
        | Field::AvailabilityZone
        | Field::Mtu => Vec::new(),
    }
}

/// Checks the service of a connection whose parts are not all made yet. NSX derives the service from the local
/// endpoint.
fn refused_service(wanted: &NewConnection) -> Option<Violation> {
    let service = || Field::VpnService.path();
    let makes_service = wanted.has(ResourceKind::VpnService);
    let part = wanted.parts.get(&ResourceKind::LocalEndpoint);
    let Some(Settings::LocalEndpoint(local)) = part.map(|part| &part.settings) else {
        let what = "comes as a part, and so must the local endpoint, since NSX derives the one from the other";
        return makes_service.then(|| Violation::new(service(), what));
    };
    match (&wanted.spec.vpn_service, &local.vpn_service) {
        (Some(given), Some(of_local)) => translate::other_service(given, Some(of_local)),
        (None, Some(_)) if makes_service => {
            let what = "comes as a part, and the local endpoint that comes as a part names another";
            Some(Violation::new(service(), what))
        }
        _ => None,
    }
}

fn refused_selectors(spec: &ConnectionSpec) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refuse = |field: String, what: &str| violations.push(Violation::new(field, what));
    match &spec.selectors {
        None => refuse("policy_based".to_owned(), "must be given, or `route_based`"),
        Some(Selectors::EndpointGroups { .. }) => {}
        Some(Selectors::Rules(rules)) => {
            if rules.is_empty() {
                refuse("policy_based.rules".to_owned(), "has at least one rule");
            }
            for (index, rule) in rules.iter().enumerate() {
                for (side, networks) in [
                    ("sources", &rule.sources),
                    ("destinations", &rule.destinations),
                ] {
                    if networks.len() > SUBNETS {
                        refuse(
                            format!("policy_based.rules[{index}].{side}"),
                            "has at most 128 networks",
                        );
                    }
                }
            }
        }
        Some(Selectors::RouteBased(interfaces)) => {
            if interfaces.is_empty() {
                refuse(
                    "route_based.tunnel_interfaces".to_owned(),
                    "has at least one interface",
                );
            }
            for (index, interface) in interfaces.iter().enumerate() {
                let field = format!("route_based.tunnel_interfaces[{index}].addresses");
                if interface.addresses.is_empty() {
                    refuse(field, "has at least one address");
                    continue;
                }
                let wrong = |text: &String| translate::interface_address(text).is_none();
                if interface.addresses.iter().any(wrong) {
                    refuse(
                        field,
                        "are IP addresses with prefix length, as 169.254.64.1/30",
                    );
                }
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        ClampDirection, PolicyRule, Psk, ResourceSpec, TcpMssClamping, TunnelInterface,
        topology::LocalEndpoint,
    };

    fn spec() -> ConnectionSpec {
        ConnectionSpec {
            local_endpoint: Some("local".to_owned()),
            peer_address: "203.0.113.7".to_owned(),
            authentication: Some(Authentication::Psk(Psk::new("not-a-real-key"))),
            selectors: Some(Selectors::Rules(vec![PolicyRule::default()])),
            ..ConnectionSpec::default()
        }
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut ConnectionSpec), fields: &[&str]) {
        let mut spec = spec();
        change(&mut spec);
        let refused = Field::ALL.iter().flat_map(|field| refusals(*field, &spec));
        let found: Vec<String> = refused.map(|violation| violation.field).collect();
        assert_eq!(found, fields);
    }

    #[test]
    fn what_comes_as_a_part_is_not_missing_and_must_agree() {
        let local = |service: Option<&str>| ResourceSpec {
            settings: Settings::LocalEndpoint(LocalEndpoint {
                vpn_service: service.map(str::to_owned),
                ..LocalEndpoint::default()
            }),
            ..ResourceSpec::none(ResourceKind::LocalEndpoint)
        };
        let service = || ResourceSpec::none(ResourceKind::VpnService);
        let refused = |given: Option<&str>, parts: Vec<ResourceSpec>| {
            let mut wanted = NewConnection::alone(spec());
            if parts
                .iter()
                .any(|part| part.kind() == ResourceKind::LocalEndpoint)
            {
                wanted.spec.local_endpoint = None;
            }
            wanted.spec.vpn_service = given.map(str::to_owned);
            wanted.parts = parts.into_iter().map(|part| (part.kind(), part)).collect();
            let refused = of_new(&wanted).into_iter();
            refused.map(|it| it.field).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(refused(None, vec![local(Some("a"))]), none);
        assert_eq!(refused(None, vec![local(None), service()]), none);
        assert_eq!(refused(Some("a"), vec![local(None)]), none);
        assert_eq!(refused(Some("a"), vec![local(Some("a"))]), none);
        let service_refused = ["vpn_service"];
        assert_eq!(refused(Some("b"), vec![local(Some("a"))]), service_refused);
        assert_eq!(
            refused(None, vec![local(Some("a")), service()]),
            service_refused
        );
        // The existing local endpoint belongs to an existing service.
        assert_eq!(refused(None, vec![service()]), service_refused);
    }

    #[test]
    fn what_nsx_cannot_express_is_refused_by_field() {
        check(|_| {}, &[]);
        check(|s| s.display_name = "ä".repeat(255), &[]);
        check(|s| s.display_name = "x".repeat(256), &["display_name"]);
        check(|s| s.description = "x".repeat(1025), &["description"]);
        // Whether it is the local endpoint's own service is not known yet.
        check(|s| s.vpn_service = Some("x".to_owned()), &[]);
        check(|s| s.local_endpoint = None, &["local_endpoint"]);
        check(
            |s| s.peer_address = "vpn.example".to_owned(),
            &["peer.address"],
        );
        check(|s| s.peer_address = "2001:db8::7".to_owned(), &[]);
        check(|s| s.authentication = None, &["peer.psk"]);
        check(
            |s| s.authentication = Some(Authentication::Certificate),
            &[],
        );
        for key in ["", &"x".repeat(129)] {
            let psk = Some(Authentication::Psk(Psk::new(key)));
            check(|s| s.authentication = psk, &["peer.psk"]);
        }
        check(|s| s.selectors = None, &["policy_based"]);
        check(
            |s| s.selectors = Some(Selectors::Rules(Vec::new())),
            &["policy_based.rules"],
        );
        let many = PolicyRule {
            destinations: vec!["10.0.0.0/24".to_owned(); 129],
            ..PolicyRule::default()
        };
        check(
            |s| s.selectors = Some(Selectors::Rules(vec![PolicyRule::default(), many])),
            &["policy_based.rules[1].destinations"],
        );
        let interface = |addresses: &[&str]| TunnelInterface {
            id: None,
            addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
        };
        let routed = |interfaces| Some(Selectors::RouteBased(interfaces));
        check(
            |s| s.selectors = routed(vec![interface(&["fd00::1/64"])]),
            &[],
        );
        check(
            |s| s.selectors = routed(Vec::new()),
            &["route_based.tunnel_interfaces"],
        );
        check(
            |s| s.selectors = routed(vec![interface(&[]), interface(&["10.0.0.1"])]),
            &[
                "route_based.tunnel_interfaces[0].addresses",
                "route_based.tunnel_interfaces[1].addresses",
            ],
        );
        for size in [107, 8903] {
            let clamping = TcpMssClamping {
                direction: ClampDirection::Both,
                max_segment_size: Some(size),
            };
            check(
                |s| s.tcp_mss_clamping = Some(clamping),
                &["tcp_mss_clamping.max_segment_size"],
            );
        }
    }
}
