//! The VPN service of a connection. NSX derives it from the local endpoint, so a given service must be that one.

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

/// Checks the service of a new connection. Reads the local endpoint only if a service is given.
///
/// # Errors
/// Fails if the local endpoint cannot be read, or does not exist.
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

/// Checks the service of an existing connection that changes. The connection moves to another service with its local
/// endpoint, which is read if both change.
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
        // The new local endpoint says itself which service it belongs to.
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

/// Returns the service of a local endpoint.
async fn of_endpoint(client: &Client, id: &str, call: &Call) -> Result<Option<String>> {
    let sent = client.send(Ask::get([LOCAL_ENDPOINTS, id]), call).await;
    let answer = sent.map_err(|none| none.error)?;
    // `Create`, because a local endpoint that does not exist is a missing reference of the write.
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
