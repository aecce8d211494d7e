//! A connection as a caller wants it. The core later checks whether a backend can express it.

use crate::{
    grpc::{
        convert::{Problems, time::whole_seconds},
        pb,
    },
    model::{
        Authentication, BackendName, ClampDirection, Collection, ConnectionSpec, DeadPeerDetection,
        DpdAction, Initiation, PolicyRule, Psk, RuleAction, Selectors, TcpMssClamping,
        TunnelInterface,
    },
};
use ipnet::IpNet;
use std::net::IpAddr;

/// Reads every field that a caller may write and skips output-only fields. Absent fields stay unset. A malformed value
/// adds a violation; it stays unset if the model cannot hold it.
///
/// References must point into `backend`. It is `None` if its own name was malformed.
pub fn spec(
    connection: pb::Connection,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> ConnectionSpec {
    let mut reference =
        |field: &str, text: &str, collection| problems.reference(field, text, collection, backend);
    let vpn_service = reference(
        "vpn_service",
        &connection.vpn_service,
        Collection::VpnServices,
    );
    let local_endpoint = reference(
        "local_endpoint",
        &connection.local_endpoint,
        Collection::LocalEndpoints,
    );
    let ike_policy = reference(
        "ike_policy",
        &connection.ike_policy,
        Collection::IkePolicies,
    );
    let ipsec_policy = reference(
        "ipsec_policy",
        &connection.ipsec_policy,
        Collection::IpsecPolicies,
    );
    let dpd_policy = reference(
        "dpd_policy",
        &connection.dpd_policy,
        Collection::DpdPolicies,
    );

    let peer = connection.peer.unwrap_or_default();
    if !peer.address.is_empty() && !is_address(&peer.address) {
        problems.add("peer.address", "must be an IP address or a host name");
    }
    ConnectionSpec {
        display_name: connection.display_name,
        description: connection.description,
        admin_enabled: connection.admin_enabled,
        vpn_service,
        local_endpoint,
        ike_policy,
        ipsec_policy,
        dpd_policy,
        peer_address: peer.address,
        peer_id: (!peer.id.is_empty()).then_some(peer.id),
        authentication: peer
            .authentication
            .and_then(|given| authentication(given, problems)),
        dpd: connection.dpd.map(|given| dpd(given, problems)),
        initiation: initiation(connection.initiation, problems),
        selectors: connection
            .selectors
            .and_then(|given| selectors(given, backend, problems)),
        mtu: connection.mtu,
        tcp_mss_clamping: connection
            .tcp_mss_clamping
            .map(|given| tcp_mss_clamping(given, problems)),
        availability_zone: Some(connection.availability_zone).filter(|zone| !zone.is_empty()),
    }
}

fn authentication(
    given: pb::peer::Authentication,
    problems: &mut Problems,
) -> Option<Authentication> {
    match given {
        pb::peer::Authentication::Psk(key) if key.is_empty() => {
            problems.add("peer.psk", "must not be empty");
            None
        }
        pb::peer::Authentication::Psk(key) => Some(Authentication::Psk(Psk::new(key))),
        pb::peer::Authentication::Certificate(pb::CertificateAuthentication {}) => {
            Some(Authentication::Certificate)
        }
    }
}

fn dpd(given: pb::DeadPeerDetection, problems: &mut Problems) -> DeadPeerDetection {
    use pb::dead_peer_detection::Action;
    let action = match Action::try_from(given.action) {
        Ok(Action::Unspecified) => None,
        Ok(Action::Clear) => Some(DpdAction::Clear),
        Ok(Action::Hold) => Some(DpdAction::Hold),
        Ok(Action::Restart) => Some(DpdAction::Restart),
        Ok(Action::Disabled) => Some(DpdAction::Disabled),
        Ok(Action::RestartByPeer) => Some(DpdAction::RestartByPeer),
        Err(_) => {
            problems.unknown_value("dpd.action", given.action, |n| {
                Some(Action::try_from(n).ok()?.as_str_name())
            });
            None
        }
    };
    let mut seconds = |field, given: Option<prost_types::Duration>| {
        // A malformed time becomes 0, so that other fields are judged as if the time were valid.
        let read = whole_seconds(field, given, problems);
        read.or(given.map(|_| 0))
    };
    let interval_seconds = seconds("dpd.interval", given.interval);
    let timeout_seconds = seconds("dpd.timeout", given.timeout);
    if let (Some(interval), Some(timeout @ 1..)) = (interval_seconds, timeout_seconds)
        && timeout <= interval
    {
        problems.add("dpd.timeout", "must be greater than `dpd.interval`");
    }
    DeadPeerDetection {
        action,
        interval_seconds,
        timeout_seconds,
    }
}

fn initiation(given: i32, problems: &mut Problems) -> Option<Initiation> {
    match pb::Initiation::try_from(given) {
        Ok(pb::Initiation::Unspecified) => None,
        Ok(pb::Initiation::Both) => Some(Initiation::Both),
        Ok(pb::Initiation::RespondOnly) => Some(Initiation::RespondOnly),
        Ok(pb::Initiation::OnDemand) => Some(Initiation::OnDemand),
        Err(_) => {
            problems.unknown_value("initiation", given, |n| {
                Some(pb::Initiation::try_from(n).ok()?.as_str_name())
            });
            None
        }
    }
}

fn selectors(
    given: pb::connection::Selectors,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> Option<Selectors> {
    match given {
        pb::connection::Selectors::PolicyBased(policy) => policy_based(policy, backend, problems),
        pb::connection::Selectors::RouteBased(route) => Some(route_based(route, problems)),
    }
}

fn policy_based(
    policy: pb::PolicyBased,
    backend: Option<&BackendName>,
    problems: &mut Problems,
) -> Option<Selectors> {
    const LOCAL: &str = "policy_based.local_endpoint_group";
    const PEER: &str = "policy_based.peer_endpoint_group";
    let (local, peer) = (&policy.local_endpoint_group, &policy.peer_endpoint_group);
    if local.is_empty() && peer.is_empty() {
        if policy.rules.is_empty() {
            problems.add(
                "policy_based",
                "needs `rules`, or `local_endpoint_group` and `peer_endpoint_group`",
            );
        }
        let rules = policy.rules.into_iter().enumerate();
        return Some(Selectors::Rules(
            rules
                .map(|(index, given)| {
                    rule(&format!("policy_based.rules[{index}]"), given, problems)
                })
                .collect(),
        ));
    }

    if !policy.rules.is_empty() {
        problems.add(
            "policy_based.rules",
            "must be empty where endpoint groups are given",
        );
    }
    for (field, text) in [(LOCAL, local), (PEER, peer)] {
        if text.is_empty() {
            problems.add(field, "needed where the other endpoint group is given");
        }
    }
    let mut group = |field, text: &str| {
        let read = problems.reference(field, text, Collection::EndpointGroups, backend);
        read.unwrap_or_default()
    };
    Some(Selectors::EndpointGroups {
        local: group(LOCAL, local),
        peer: group(PEER, peer),
    })
}

/// Reads the policy rule at `path`.
pub fn rule(path: &str, given: pb::PolicyRule, problems: &mut Problems) -> PolicyRule {
    networks(&format!("{path}.sources"), &given.sources, problems);
    networks(
        &format!("{path}.destinations"),
        &given.destinations,
        problems,
    );
    PolicyRule {
        id: (!given.id.is_empty()).then_some(given.id),
        sources: given.sources,
        destinations: given.destinations,
        enabled: given.enabled,
        logged: given.logged,
        action: rule_action(&format!("{path}.action"), given.action, problems),
    }
}

fn rule_action(path: &str, given: i32, problems: &mut Problems) -> Option<RuleAction> {
    use pb::policy_rule::Action;
    match Action::try_from(given) {
        Ok(Action::Unspecified) => None,
        Ok(Action::Protect) => Some(RuleAction::Protect),
        Ok(Action::Bypass) => Some(RuleAction::Bypass),
        Err(_) => {
            problems.unknown_value(path, given, |n| {
                Some(Action::try_from(n).ok()?.as_str_name())
            });
            None
        }
    }
}

fn route_based(route: pb::RouteBased, problems: &mut Problems) -> Selectors {
    if route.tunnel_interfaces.is_empty() {
        problems.add(
            "route_based.tunnel_interfaces",
            "needs at least one interface",
        );
    }
    let interfaces = route.tunnel_interfaces.into_iter().enumerate();
    Selectors::RouteBased(
        interfaces
            .map(|(index, given)| {
                let path = format!("route_based.tunnel_interfaces[{index}].addresses");
                if given.addresses.is_empty() {
                    problems.add(path.as_str(), "needs at least one address");
                }
                networks(&path, &given.addresses, problems);
                TunnelInterface {
                    id: None,
                    addresses: given.addresses,
                }
            })
            .collect(),
    )
}

fn tcp_mss_clamping(given: pb::TcpMssClamping, problems: &mut Problems) -> TcpMssClamping {
    use pb::tcp_mss_clamping::Direction;
    let direction = match Direction::try_from(given.direction) {
        Ok(Direction::Unspecified | Direction::None) => ClampDirection::None,
        Ok(Direction::InboundConnection) => ClampDirection::Inbound,
        Ok(Direction::OutboundConnection) => ClampDirection::Outbound,
        Ok(Direction::Both) => ClampDirection::Both,
        Err(_) => {
            problems.unknown_value("tcp_mss_clamping.direction", given.direction, |n| {
                Some(Direction::try_from(n).ok()?.as_str_name())
            });
            ClampDirection::None
        }
    };
    TcpMssClamping {
        direction,
        max_segment_size: given.max_segment_size,
    }
}

/// Adds a violation for each text that is not a network in CIDR form. Host bits may be set, and the text stays as it
/// is.
pub fn networks(path: &str, texts: &[String], problems: &mut Problems) {
    for (index, text) in texts.iter().enumerate() {
        if text.parse::<IpNet>().is_err() {
            problems.add(
                format!("{path}[{index}]"),
                "must be an IPv4 or IPv6 address with its prefix length, as `10.1.0.0/16`",
            );
        }
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || is_host_name(text)
}

/// Host names by RFC 1123, section 2.1. A name whose last label consists of digits is a misspelled IPv4 address.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let numeric_end = name
        .rsplit('.')
        .next()
        .is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(is_label) && !numeric_end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::convert::fields_at_fault;

    fn read(connection: pb::Connection) -> crate::core::error::Result<ConnectionSpec> {
        let backend: BackendName = "a".parse().unwrap();
        let mut problems = Problems::default();
        let read = spec(connection, Some(&backend), &mut problems);
        problems.finish(Some(read))
    }

    #[test]
    fn addresses_and_host_names_are_told_from_misspelt_ones() {
        for text in [
            "192.0.2.1",
            "2001:db8::1",
            "::",
            "vpn.example.net",
            "vpn.example.net.",
            "a",
            "4ever.example",
            "xn--bcher-kva.example",
        ] {
            assert!(is_address(text), "{text:?}");
        }
        for text in [
            "",
            ".",
            "192.0.2",
            "192.0.2.256",
            "2.1.4..0",
            "-a.example",
            "a-.example",
            "a b",
            "a_b.example",
            "bücher.example",
            "fe80::1%eth0",
            "[::1]",
            "10.0.0.0/8",
            &"a".repeat(64),
            &["a"; 200].join("."),
        ] {
            assert!(!is_address(text), "{text:?}");
        }
    }

    #[test]
    fn every_violation_is_reported_at_once() {
        let connection = pb::Connection {
            vpn_service: "backends/b/vpnServices/v".to_owned(),
            local_endpoint: "localEndpoints/l".to_owned(),
            ike_policy: "backends/a/ipsecPolicies/i".to_owned(),
            peer: Some(pb::Peer {
                address: "2.1.4..0".to_owned(),
                authentication: Some(pb::peer::Authentication::Psk(String::new())),
                ..Default::default()
            }),
            dpd: Some(pb::DeadPeerDetection {
                action: 17,
                interval: Some(prost_types::Duration {
                    seconds: 0,
                    nanos: 1,
                }),
                timeout: Some(prost_types::Duration {
                    seconds: -5,
                    nanos: 0,
                }),
            }),
            initiation: -1,
            selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                rules: vec![
                    pb::PolicyRule::default(),
                    pb::PolicyRule {
                        action: 3,
                        sources: vec!["10.1.2.3/16".to_owned(), "10.0.0.0".to_owned()],
                        destinations: vec!["2.1.4..0/24".to_owned(), "2001:db8::1/129".to_owned()],
                        ..Default::default()
                    },
                ],
                ..Default::default()
            })),
            tcp_mss_clamping: Some(pb::TcpMssClamping {
                direction: 5,
                max_segment_size: None,
            }),
            ..Default::default()
        };
        assert_eq!(
            fields_at_fault(read(connection)),
            [
                "vpn_service",
                "local_endpoint",
                "ike_policy",
                "peer.address",
                "peer.psk",
                "dpd.action",
                "dpd.interval",
                "dpd.timeout",
                "initiation",
                "policy_based.rules[1].sources[1]",
                "policy_based.rules[1].destinations[0]",
                "policy_based.rules[1].destinations[1]",
                "policy_based.rules[1].action",
                "tcp_mss_clamping.direction",
            ]
        );
    }

    #[test]
    fn an_unknown_value_is_answered_with_the_known_ones() {
        let error = read(pb::Connection {
            initiation: 9,
            ..Default::default()
        })
        .unwrap_err();
        assert_eq!(
            error.context.violations[0].description,
            "9 is not known here; accepted: INITIATION_UNSPECIFIED, INITIATION_BOTH, \
             INITIATION_RESPOND_ONLY, INITIATION_ON_DEMAND"
        );
    }

    #[test]
    fn endpoint_groups_come_in_pairs_and_without_rules() {
        let group = "backends/a/endpointGroups/g".to_owned();
        let with = |policy: pb::PolicyBased| {
            read(pb::Connection {
                selectors: Some(pb::connection::Selectors::PolicyBased(policy)),
                ..Default::default()
            })
        };
        let both = with(pb::PolicyBased {
            local_endpoint_group: group.clone(),
            peer_endpoint_group: group.clone(),
            ..Default::default()
        });
        assert_eq!(
            both.unwrap().selectors,
            Some(Selectors::EndpointGroups {
                local: "g".to_owned(),
                peer: "g".to_owned()
            })
        );
        assert_eq!(
            fields_at_fault(with(pb::PolicyBased {
                rules: vec![pb::PolicyRule::default()],
                peer_endpoint_group: group,
                ..Default::default()
            })),
            ["policy_based.rules", "policy_based.local_endpoint_group"]
        );
        assert_eq!(
            fields_at_fault(with(pb::PolicyBased::default())),
            ["policy_based"]
        );
    }

    #[test]
    fn dead_peers_are_waited_for_longer_than_one_probe() {
        let dpd = |interval, timeout| {
            read(pb::Connection {
                dpd: Some(pb::DeadPeerDetection {
                    action: 0,
                    interval: Some(crate::grpc::convert::time::from_seconds(interval)),
                    timeout: Some(crate::grpc::convert::time::from_seconds(timeout)),
                }),
                ..Default::default()
            })
        };
        assert!(dpd(30, 31).is_ok());
        assert_eq!(fields_at_fault(dpd(30, 30)), ["dpd.timeout"]);
    }

    #[test]
    fn tunnel_interfaces_need_addresses() {
        let route = |interfaces: Vec<pb::TunnelInterface>| {
            read(pb::Connection {
                selectors: Some(pb::connection::Selectors::RouteBased(pb::RouteBased {
                    tunnel_interfaces: interfaces,
                })),
                ..Default::default()
            })
        };
        assert_eq!(
            fields_at_fault(route(vec![])),
            ["route_based.tunnel_interfaces"]
        );
        assert_eq!(
            fields_at_fault(route(vec![
                pb::TunnelInterface::default(),
                pb::TunnelInterface {
                    id: String::new(),
                    addresses: vec!["169.254.64.1".to_owned()],
                }
            ])),
            [
                "route_based.tunnel_interfaces[0].addresses",
                "route_based.tunnel_interfaces[1].addresses[0]"
            ]
        );
    }
}
