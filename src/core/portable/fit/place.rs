//! Where this side of a connection is: its address, where a cloud chooses that itself, and its availability zone.

use crate::{
    core::{
        dialect::Capabilities,
        portable::fit::fitted::{Fitted, path},
    },
    model::{Field, ResourceField as F, ResourceKind, Settings, topology::LocalEndpoint},
};

pub fn fit(fitted: &mut Fitted, capabilities: &Capabilities) {
    if capabilities.takes(ResourceKind::LocalEndpoint).is_none() {
        leave_out_endpoint(fitted);
    }
    if capabilities.availability_zones {
        spread_zone(fitted, capabilities);
    }
}

/// Removes the local endpoint where a cloud has none. The cloud chooses the address itself, so dropping one is a
/// warning. An identity cannot be dropped, so it is refused.
fn leave_out_endpoint(fitted: &mut Fitted) {
    let kind = ResourceKind::LocalEndpoint;
    let Some(part) = fitted.wanted.parts.remove(&kind) else {
        return;
    };
    let Settings::LocalEndpoint(endpoint) = part.settings else {
        return;
    };
    for field in identity(&endpoint) {
        let why = "this backend chooses how this side identifies itself; leave it unset";
        fitted.refuse(path(kind, field), why);
    }
    let service = endpoint.vpn_service.as_ref();
    if service.is_some_and(|it| fitted.wanted.spec.vpn_service.as_ref() != Some(it)) {
        let why = "is not the service of the connection: this backend has no local endpoints, so `vpn_service` says which";
        fitted.refuse(path(kind, F::VpnService), why);
    }
    if !endpoint.address.is_empty() {
        let what = format!(
            "this backend chooses the address of this side itself: `{}` is left out",
            endpoint.address
        );
        fitted.warn(path(kind, F::Address), what);
    }
}

/// Returns the fields of an endpoint that say how this side identifies itself.
fn identity(endpoint: &LocalEndpoint) -> impl Iterator<Item = F> {
    let said = [
        (F::LocalId, endpoint.local_id.is_some()),
        (F::Certificate, endpoint.certificate.is_some()),
        (
            F::TrustedAuthorities,
            !endpoint.trusted_authorities.is_empty(),
        ),
        (F::RevocationLists, !endpoint.revocation_lists.is_empty()),
    ];
    let said = said.into_iter().filter(|(_, is_said)| *is_said);
    said.map(|(field, _)| field)
}

/// Gives the availability zone of the VPN service, or else of the connection, to everything that has none.
fn spread_zone(fitted: &mut Fitted, capabilities: &Capabilities) {
    let service = fitted.wanted.parts.get(&ResourceKind::VpnService);
    let of_service = service.and_then(|it| it.availability_zone.clone());
    let connection = Field::AvailabilityZone.path().to_owned();
    let (zone, written) = match (of_service, &fitted.wanted.spec.availability_zone) {
        (Some(zone), _) => (zone, path(ResourceKind::VpnService, F::AvailabilityZone)),
        (None, Some(zone)) => (zone.clone(), connection.clone()),
        (None, None) => return,
    };
    let mut taken = Vec::new();
    let own = &mut fitted.wanted.spec.availability_zone;
    if own.is_none() {
        *own = Some(zone.clone());
        taken.push(connection);
    }
    for (kind, part) in &mut fitted.wanted.parts {
        let takes = capabilities.takes(*kind);
        let takes = takes.is_some_and(|it| it.fields.contains(&F::AvailabilityZone));
        if takes && part.availability_zone.is_none() {
            part.availability_zone = Some(zone.clone());
            taken.push(path(*kind, F::AvailabilityZone));
        }
    }
    for path in taken {
        fitted.made_of(path, written.clone());
    }
}
