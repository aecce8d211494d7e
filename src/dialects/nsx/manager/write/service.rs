//! The VPN service of a connection. NSX derives it from the local endpoint; one that is given must be that one.

use crate::{
    core::{
        dialect::Call,
        error::{ErrorReason, Result, Violation},
    },
    dialects::nsx::{
        body::Body,
        client::{Ask, Client},
        manager::{
            error::{self, Asked},
            resources::{inward::service_of, kinds::LOCAL_ENDPOINTS},
            translate,
            wire::VPN_SERVICE,
        },
    },
    model::{ConnectionChange, ConnectionSpec, Field},
};

/// What of a new connection's service cannot be. Reads the local endpoint if a service is given, and only then.
///
/// # Errors
/// If the local endpoint cannot be read, or is not there.
pub async fn refuse_create(
    client: &Client,
    spec: &ConnectionSpec,
    call: &Call,
) -> Result<Vec<Violation>> {
    let (Some(wanted), Some(local)) = (&spec.vpn_service, &spec.local_endpoint) else {
        return Ok(Vec::new());
    };
    let there = of_endpoint(client, local, call).await?;
    let refused = translate::other_service(wanted, there.as_deref());
    Ok(refused.into_iter().collect())
}

/// The same for a connection that is there. It moves to another service with its local endpoint, which is read if both
/// change.
///
/// # Errors
/// As [`refuse_create`].
pub async fn refuse_update(
    client: &Client,
    session: &Body,
    change: &ConnectionChange,
    call: &Call,
) -> Result<Vec<Violation>> {
    let wanted = &change.values.vpn_service;
    let Some(wanted) = wanted
        .as_ref()
        .filter(|_| change.fields.contains(&Field::VpnService))
    else {
        return Ok(Vec::new());
    };
    if change.is_to_be_made(Field::LocalEndpoint) {
        // That part says itself which it belongs to.
        return Ok(Vec::new());
    }
    let there = match &change.values.local_endpoint {
        Some(local) if change.fields.contains(&Field::LocalEndpoint) => {
            of_endpoint(client, local, call).await?
        }
        _ => session.text(VPN_SERVICE),
    };
    let refused = translate::other_service(wanted, there.as_deref());
    Ok(refused.into_iter().collect())
}

/// The service of a local endpoint.
async fn of_endpoint(client: &Client, id: &str, call: &Call) -> Result<Option<String>> {
    let sent = client.send(Ask::get([LOCAL_ENDPOINTS, id]), call).await;
    let answer = sent.map_err(|none| none.error)?;
    // Read for the sake of the write: what is missing is something that it refers to.
    let value = error::granted(&answer, Asked::Create, &[]).map_err(|mut error| {
        if error.reason == ErrorReason::ReferenceNotFound {
            let local = Field::LocalEndpoint.path();
            let violation = Violation::new(local, "is not there");
            error.context.violations.push(violation);
        }
        error.during("reading the local endpoint")
    })?;
    let endpoint = Body::of(value).ok_or_else(|| error::broken(&answer, "no object"))?;
    Ok(service_of(endpoint.object()))
}
