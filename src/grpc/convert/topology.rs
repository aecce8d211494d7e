//! Conversions of a single kind: VPN services, local endpoints and endpoint groups, and the objects that a VPN can
//! attach to.

use crate::{
    grpc::{
        convert::{
            Problems,
            connection::policy_rule,
            native,
            resource::{Common, Details, Fields, Head, Wire, name_in, wire},
            spec::{networks, rule},
            words::number,
        },
        pb,
    },
    model::{
        Attachment, BackendName, Collection, ResourceField, ResourceKind, Settings,
        topology::{EndpointGroup, LocalEndpoint, VpnService},
    },
};
use std::{collections::HashSet, net::IpAddr};

wire!(
    VpnService,
    vpn_service,
    read_vpn_service,
    vpn_service,
    availability_zone
);
wire!(
    LocalEndpoint,
    local_endpoint,
    read_local_endpoint,
    local_endpoint
);
wire!(
    EndpointGroup,
    endpoint_group,
    read_endpoint_group,
    endpoint_group
);

fn read_vpn_service(given: pb::VpnService, fields: &mut Fields<'_>) -> VpnService {
    use ResourceField as F;
    VpnService {
        admin_enabled: fields.plain(F::AdminEnabled, given.admin_enabled),
        router: fields.plain(F::Router, given.router),
        subnet: fields.text(F::Subnet, given.subnet),
        flavor: fields.text(F::Flavor, given.flavor),
        bypass_rules: fields.read(F::BypassRules, |path, problems| {
            let rules = given.bypass_rules.into_iter().enumerate();
            rules
                .map(|(index, given)| rule(&format!("{path}[{index}]"), given, problems))
                .collect()
        }),
        ike_log_level: fields
            .word::<pb::vpn_service::IkeLogLevel>(F::IkeLogLevel, given.ike_log_level),
        ha_sync: fields.plain(F::HaSync, given.ha_sync),
        external_addresses: Vec::new(),
        native_state: String::new(),
    }
}

fn vpn_service(service: VpnService, _backend: &BackendName) -> pb::VpnService {
    pb::VpnService {
        admin_enabled: service.admin_enabled,
        router: service.router,
        subnet: service.subnet.unwrap_or_default(),
        flavor: service.flavor.unwrap_or_default(),
        bypass_rules: service.bypass_rules.into_iter().map(policy_rule).collect(),
        ike_log_level: number::<pb::vpn_service::IkeLogLevel>(service.ike_log_level),
        ha_sync: service.ha_sync,
        external_addresses: service.external_addresses,
        native_state: service.native_state,
        ..Default::default()
    }
}

fn read_local_endpoint(given: pb::LocalEndpoint, fields: &mut Fields<'_>) -> LocalEndpoint {
    use ResourceField as F;
    LocalEndpoint {
        vpn_service: fields.reference(F::VpnService, &given.vpn_service, Collection::VpnServices),
        address: fields.read(F::Address, |path, problems| {
            if !given.address.is_empty() && given.address.parse::<IpAddr>().is_err() {
                problems.add(path, "must be an IPv4 or IPv6 address");
            }
            given.address
        }),
        local_id: fields.text(F::LocalId, given.local_id),
        certificate: fields.text(F::Certificate, given.certificate),
        trusted_authorities: fields.plain(F::TrustedAuthorities, given.trusted_authorities),
        revocation_lists: fields.plain(F::RevocationLists, given.revocation_lists),
    }
}

fn local_endpoint(endpoint: LocalEndpoint, backend: &BackendName) -> pb::LocalEndpoint {
    pb::LocalEndpoint {
        vpn_service: name_in(backend, Collection::VpnServices, endpoint.vpn_service),
        address: endpoint.address,
        local_id: endpoint.local_id.unwrap_or_default(),
        certificate: endpoint.certificate.unwrap_or_default(),
        trusted_authorities: endpoint.trusted_authorities,
        revocation_lists: endpoint.revocation_lists,
        ..Default::default()
    }
}

fn read_endpoint_group(given: pb::EndpointGroup, fields: &mut Fields<'_>) -> EndpointGroup {
    use ResourceField as F;
    // The type decides which endpoints are valid, even if the mask names the endpoints only.
    let are_networks = given.r#type() == pb::endpoint_group::Type::Cidr;
    EndpointGroup {
        endpoint_type: fields.word::<pb::endpoint_group::Type>(F::EndpointType, given.r#type),
        endpoints: fields.read(F::Endpoints, |path, problems| {
            check_endpoints(path, &given.endpoints, are_networks, problems);
            given.endpoints
        }),
    }
}

fn check_endpoints(path: &str, given: &[String], are_networks: bool, problems: &mut Problems) {
    if are_networks {
        networks(path, given, problems);
    }
    let mut before = HashSet::new();
    for (index, endpoint) in given.iter().enumerate() {
        if endpoint.is_empty() && !are_networks {
            problems.add(format!("{path}[{index}]"), "must not be empty");
        } else if !before.insert(endpoint) {
            problems.add(format!("{path}[{index}]"), "is in the list already");
        }
    }
}

fn endpoint_group(group: EndpointGroup, _backend: &BackendName) -> pb::EndpointGroup {
    pb::EndpointGroup {
        r#type: number::<pb::endpoint_group::Type>(group.endpoint_type),
        endpoints: group.endpoints,
        ..Default::default()
    }
}

/// Converts an object in the network of `backend` that a VPN can attach to.
pub fn attachment(backend: &BackendName, read: Attachment) -> pb::Attachment {
    pb::Attachment {
        kind: number::<pb::attachment::Kind>(Some(read.kind)),
        backend: backend.to_string(),
        id: read.id,
        display_name: read.display_name,
        addresses: read.addresses,
        networks: read.networks,
        parent_id: read.parent_id.unwrap_or_default(),
        usable: read.unusable.is_none(),
        reason: read.unusable.unwrap_or_default(),
        native: native::fields(read.native),
    }
}
