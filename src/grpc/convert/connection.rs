//! A connection as its cloud has it. Total: whatever was read can be said.

use crate::{
    core::dialect::Warning,
    grpc::{
        convert::{
            native,
            time::{from_seconds, timestamp},
        },
        pb,
    },
    model::{
        BackendName, ClampDirection, Collection, Connection, DeadPeerDetection, Details, DpdAction,
        Initiation, Peer, RuleAction, Selectors, TcpMssClamping,
    },
};

/// The connection of `backend`. Without an id, which is a connection that was only validated, it has no
/// name.
pub fn connection(backend: &BackendName, read: Connection) -> pb::Connection {
    let name_in = |collection: Collection, id: Option<String>| match id {
        Some(id) if !id.is_empty() => format!("{backend}/{}/{id}", collection.segment()),
        _ => String::new(),
    };
    pb::Connection {
        name: name_in(Collection::Connections, Some(read.id)),
        display_name: read.display_name,
        description: read.description,
        admin_enabled: read.admin_enabled,
        vpn_service: name_in(Collection::VpnServices, read.vpn_service),
        local_endpoint: name_in(Collection::LocalEndpoints, read.local_endpoint),
        ike_policy: name_in(Collection::IkePolicies, read.ike_policy),
        ipsec_policy: name_in(Collection::IpsecPolicies, read.ipsec_policy),
        dpd_policy: name_in(Collection::DpdPolicies, read.dpd_policy),
        peer: Some(peer(read.peer)),
        dpd: read.dpd.map(dpd),
        initiation: initiation(read.initiation).into(),
        selectors: read
            .selectors
            .map(|selectors| self::selectors(&name_in, selectors)),
        mtu: read.mtu,
        tcp_mss_clamping: read.tcp_mss_clamping.map(tcp_mss_clamping),
        etag: read.etag,
        managed: read.managed,
        details: read.details.map(details),
        native: native::fields(read.native),
        create_time: read.create_time.map(timestamp),
        update_time: read.update_time.map(timestamp),
        availability_zone: read.availability_zone.unwrap_or_default(),
    }
}

/// A warning.
pub fn warning(warning: Warning) -> pb::Warning {
    pb::Warning {
        field: warning.field,
        message: warning.message,
    }
}

fn peer(peer: Peer) -> pb::Peer {
    pb::Peer {
        address: peer.address,
        id: peer.id,
        authentication: peer
            .certificate
            .then_some(pb::peer::Authentication::Certificate(
                pb::CertificateAuthentication {},
            )),
        psk_set: peer.psk_set,
    }
}

fn dpd(dpd: DeadPeerDetection) -> pb::DeadPeerDetection {
    use pb::dead_peer_detection::Action;
    let action = match dpd.action {
        None => Action::Unspecified,
        Some(DpdAction::Clear) => Action::Clear,
        Some(DpdAction::Hold) => Action::Hold,
        Some(DpdAction::Restart) => Action::Restart,
        Some(DpdAction::Disabled) => Action::Disabled,
        Some(DpdAction::RestartByPeer) => Action::RestartByPeer,
    };
    pb::DeadPeerDetection {
        action: action.into(),
        interval: dpd.interval_seconds.map(from_seconds),
        timeout: dpd.timeout_seconds.map(from_seconds),
    }
}

fn initiation(initiation: Option<Initiation>) -> pb::Initiation {
    match initiation {
        None => pb::Initiation::Unspecified,
        Some(Initiation::Both) => pb::Initiation::Both,
        Some(Initiation::RespondOnly) => pb::Initiation::RespondOnly,
        Some(Initiation::OnDemand) => pb::Initiation::OnDemand,
    }
}

fn rule_action(action: Option<RuleAction>) -> pb::policy_rule::Action {
    match action {
        None => pb::policy_rule::Action::Unspecified,
        Some(RuleAction::Protect) => pb::policy_rule::Action::Protect,
        Some(RuleAction::Bypass) => pb::policy_rule::Action::Bypass,
    }
}

fn selectors(
    name_in: &impl Fn(Collection, Option<String>) -> String,
    selectors: Selectors,
) -> pb::connection::Selectors {
    match selectors {
        Selectors::Rules(rules) => pb::connection::Selectors::PolicyBased(pb::PolicyBased {
            rules: rules
                .into_iter()
                .map(|rule| pb::PolicyRule {
                    id: rule.id.unwrap_or_default(),
                    sources: rule.sources,
                    destinations: rule.destinations,
                    enabled: rule.enabled,
                    logged: rule.logged,
                    action: rule_action(rule.action).into(),
                })
                .collect(),
            local_endpoint_group: String::new(),
            peer_endpoint_group: String::new(),
        }),
        Selectors::EndpointGroups { local, peer } => {
            pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                rules: Vec::new(),
                local_endpoint_group: name_in(Collection::EndpointGroups, Some(local)),
                peer_endpoint_group: name_in(Collection::EndpointGroups, Some(peer)),
            })
        }
        Selectors::RouteBased(interfaces) => {
            pb::connection::Selectors::RouteBased(pb::RouteBased {
                tunnel_interfaces: interfaces
                    .into_iter()
                    .map(|interface| pb::TunnelInterface {
                        id: interface.id.unwrap_or_default(),
                        addresses: interface.addresses,
                    })
                    .collect(),
            })
        }
    }
}

fn tcp_mss_clamping(clamping: TcpMssClamping) -> pb::TcpMssClamping {
    use pb::tcp_mss_clamping::Direction;
    let direction = match clamping.direction {
        ClampDirection::None => Direction::None,
        ClampDirection::Inbound => Direction::InboundConnection,
        ClampDirection::Outbound => Direction::OutboundConnection,
        ClampDirection::Both => Direction::Both,
    };
    pb::TcpMssClamping {
        direction: direction.into(),
        max_segment_size: clamping.max_segment_size,
    }
}

fn details(details: Details) -> pb::connection::Details {
    match details {
        Details::Nsx(nsx) => pb::connection::Details::Nsx(pb::NsxConnectionDetails {
            revision: nsx.revision,
            peer_endpoint_id: nsx.peer_endpoint_id,
            create_user: nsx.create_user,
            protection: nsx.protection,
        }),
        Details::Openstack(openstack) => {
            pb::connection::Details::Openstack(pb::OpenstackConnectionDetails {
                project_id: openstack.project_id,
                local_id: openstack.local_id,
                auth_mode: openstack.auth_mode,
                route_mode: openstack.route_mode,
                availability_zone: openstack.availability_zone,
                order_id: openstack.order_id,
                product_id: openstack.product_id,
                created_at: openstack.created_at,
                tags: openstack.tags,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        grpc::convert::{Problems, spec::spec},
        model::{PolicyRule, TunnelInterface},
    };
    use proptest::{collection::vec, option, prelude::*};

    fn backend() -> BackendName {
        "a".parse().unwrap()
    }

    #[test]
    fn references_are_names_in_the_same_backend() {
        let said = connection(
            &backend(),
            Connection {
                id: "c".to_owned(),
                vpn_service: Some("v".to_owned()),
                ike_policy: Some(String::new()),
                selectors: Some(Selectors::EndpointGroups {
                    local: "l".to_owned(),
                    peer: "p".to_owned(),
                }),
                ..Default::default()
            },
        );
        assert_eq!(said.name, "backends/a/connections/c");
        assert_eq!(said.vpn_service, "backends/a/vpnServices/v");
        assert_eq!((said.ike_policy, said.ipsec_policy), Default::default());
        let Some(pb::connection::Selectors::PolicyBased(policy)) = said.selectors else {
            panic!("policy based");
        };
        assert_eq!(policy.local_endpoint_group, "backends/a/endpointGroups/l");
    }

    #[test]
    fn a_connection_that_was_only_validated_has_no_name() {
        assert_eq!(connection(&backend(), Connection::default()).name, "");
    }

    #[test]
    fn what_a_cloud_gave_malformed_is_still_said() {
        let said = connection(
            &backend(),
            Connection {
                id: "c".to_owned(),
                peer: Peer {
                    address: "2.1.4..0".to_owned(),
                    ..Default::default()
                },
                selectors: Some(Selectors::Rules(vec![PolicyRule {
                    sources: vec!["2.1.4..0/24".to_owned()],
                    ..Default::default()
                }])),
                ..Default::default()
            },
        );
        assert_eq!(said.peer.unwrap().address, "2.1.4..0");
    }

    fn id() -> impl Strategy<Value = Option<String>> {
        option::of("[a-zA-Z0-9_:-][a-zA-Z0-9 ._:-]{0,40}".prop_filter("a segment", |id| id != ".."))
    }

    fn network() -> impl Strategy<Value = String> {
        prop_oneof![
            (any::<std::net::Ipv4Addr>(), 0..=32_u8).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
            (any::<std::net::Ipv6Addr>(), 0..=128_u8).prop_map(|(ip, bits)| format!("{ip}/{bits}")),
        ]
    }

    fn some_rule() -> impl Strategy<Value = PolicyRule> {
        (
            option::of("[a-z0-9-]{1,9}"),
            vec(network(), 0..3),
            vec(network(), 0..3),
            any::<Option<bool>>(),
            any::<Option<bool>>(),
            option::of(prop_oneof![
                Just(RuleAction::Protect),
                Just(RuleAction::Bypass)
            ]),
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

    fn some_selectors() -> impl Strategy<Value = Selectors> {
        let interface = vec(network(), 1..3).prop_map(|addresses| TunnelInterface {
            id: None,
            addresses,
        });
        prop_oneof![
            vec(some_rule(), 1..4).prop_map(Selectors::Rules),
            ("[a-z]{1,9}", "[a-z]{1,9}")
                .prop_map(|(local, peer)| Selectors::EndpointGroups { local, peer }),
            vec(interface, 1..4).prop_map(Selectors::RouteBased),
        ]
    }

    fn some_dpd() -> impl Strategy<Value = DeadPeerDetection> {
        let actions = prop_oneof![
            Just(DpdAction::Clear),
            Just(DpdAction::Hold),
            Just(DpdAction::Restart),
            Just(DpdAction::Disabled),
            Just(DpdAction::RestartByPeer),
        ];
        (option::of(actions), any::<bool>(), 1..1_000_000_u32).prop_map(
            |(action, timed, interval)| DeadPeerDetection {
                action,
                interval_seconds: timed.then_some(interval),
                timeout_seconds: timed.then_some(interval + 1),
            },
        )
    }

    fn some_clamping() -> impl Strategy<Value = TcpMssClamping> {
        let directions = prop_oneof![
            Just(ClampDirection::None),
            Just(ClampDirection::Inbound),
            Just(ClampDirection::Outbound),
            Just(ClampDirection::Both),
        ];
        (directions, any::<Option<u32>>()).prop_map(|(direction, max_segment_size)| {
            TcpMssClamping {
                direction,
                max_segment_size,
            }
        })
    }

    fn some_connection() -> impl Strategy<Value = Connection> {
        let initiations = prop_oneof![
            Just(Initiation::Both),
            Just(Initiation::RespondOnly),
            Just(Initiation::OnDemand),
        ];
        let references = (id(), id(), id(), id(), id());
        let texts = (".{0,20}", ".{0,20}", any::<Option<bool>>());
        let address = prop_oneof![
            any::<std::net::IpAddr>().prop_map(|ip| ip.to_string()),
            "[a-z][a-z0-9]{0,9}(\\.[a-z]{1,5}){0,3}",
        ];
        let peer = (address, ".{0,20}", any::<bool>());
        let rest = (
            option::of(some_dpd()),
            option::of(initiations),
            option::of(some_selectors()),
            any::<Option<u32>>(),
            option::of(some_clamping()),
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
            ..Default::default()
        })
    }

    proptest! {
        #[test]
        fn what_was_read_can_be_written_back(read in some_connection()) {
            let said = connection(&backend(), read.clone());
            let mut problems = Problems::default();
            let wanted = spec(said, Some(&backend()), &mut problems);
            let wanted = problems.finish(Some(wanted)).expect("accepted");

            prop_assert_eq!(wanted.display_name, read.display_name);
            prop_assert_eq!(wanted.description, read.description);
            prop_assert_eq!(wanted.admin_enabled, read.admin_enabled);
            prop_assert_eq!(wanted.vpn_service, read.vpn_service);
            prop_assert_eq!(wanted.local_endpoint, read.local_endpoint);
            prop_assert_eq!(wanted.ike_policy, read.ike_policy);
            prop_assert_eq!(wanted.ipsec_policy, read.ipsec_policy);
            prop_assert_eq!(wanted.dpd_policy, read.dpd_policy);
            prop_assert_eq!(wanted.peer_address, read.peer.address);
            prop_assert_eq!(wanted.peer_id.unwrap_or_default(), read.peer.id);
            prop_assert_eq!(wanted.authentication.is_some(), read.peer.certificate);
            prop_assert_eq!(wanted.dpd, read.dpd);
            prop_assert_eq!(wanted.initiation, read.initiation);
            prop_assert_eq!(wanted.selectors, read.selectors);
            prop_assert_eq!(wanted.mtu, read.mtu);
            prop_assert_eq!(wanted.tcp_mss_clamping, read.tcp_mss_clamping);
        }
    }
}
