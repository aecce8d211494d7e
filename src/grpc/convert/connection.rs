//! A connection as its cloud has it. The conversion is total: every connection that was read can be sent.

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
        Initiation, Peer, PolicyRule, RuleAction, Selectors, TcpMssClamping,
    },
};

/// Converts a connection of `backend`. A connection without an id, which was only validated, has no name.
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

pub fn policy_rule(rule: PolicyRule) -> pb::PolicyRule {
    pb::PolicyRule {
        id: rule.id.unwrap_or_default(),
        sources: rule.sources,
        destinations: rule.destinations,
        enabled: rule.enabled,
        logged: rule.logged,
        action: rule_action(rule.action).into(),
    }
}

fn selectors(
    name_in: &impl Fn(Collection, Option<String>) -> String,
    selectors: Selectors,
) -> pb::connection::Selectors {
    match selectors {
        Selectors::Rules(rules) => pb::connection::Selectors::PolicyBased(pb::PolicyBased {
            rules: rules.into_iter().map(policy_rule).collect(),
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
        model::{PolicyRule, samples},
    };
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn what_was_read_can_be_written_back(read in samples::connection()) {
            let said = connection(&backend(), read.clone());
            let mut problems = Problems::default();
            let wanted = spec(said, Some(&backend()), &mut problems);
            let wanted = problems.finish(Some(wanted)).expect("accepted");
            prop_assert_eq!(format!("{wanted:#?}"), format!("{:#?}", samples::sent_back(&read)));
        }
    }
}
