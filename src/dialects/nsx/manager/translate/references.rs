//! What a session and its peer endpoint refer to, and how they refer to an object that does not exist yet.

use crate::{
    core::{
        dialect::Made,
        error::{Error, Result},
    },
    model::{ConnectionChange, ConnectionSpec, Field, ResourceKind},
};
use serde_json::{Map, Value};

/// The fields that refer to parts, with their keys in the session or the peer endpoint.
const REFERENCES: [(Field, ResourceKind, &str); 4] = [
    (
        Field::LocalEndpoint,
        ResourceKind::LocalEndpoint,
        "local_endpoint_id",
    ),
    (Field::IkePolicy, ResourceKind::IkePolicy, "ike_profile_id"),
    (
        Field::IpsecPolicy,
        ResourceKind::IpsecPolicy,
        "ipsec_tunnel_profile_id",
    ),
    (Field::DpdPolicy, ResourceKind::DpdPolicy, "dpd_profile_id"),
];

/// Returns the kind of part that a field refers to, and NSX's key for it.
pub fn reference(field: Field) -> Option<(ResourceKind, &'static str)> {
    let found = REFERENCES.iter().find(|(it, _, _)| *it == field);
    found.map(|(_, kind, key)| (*kind, *key))
}

/// Returns the spec with references to the parts that were created for it.
pub fn with_parts(spec: &ConnectionSpec, made: &Made) -> ConnectionSpec {
    let or_made = |given: &Option<String>, kind| given.clone().or_else(|| made.get(&kind).cloned());
    ConnectionSpec {
        local_endpoint: or_made(&spec.local_endpoint, ResourceKind::LocalEndpoint),
        ike_policy: or_made(&spec.ike_policy, ResourceKind::IkePolicy),
        ipsec_policy: or_made(&spec.ipsec_policy, ResourceKind::IpsecPolicy),
        dpd_policy: or_made(&spec.dpd_policy, ResourceKind::DpdPolicy),
        ..spec.clone()
    }
}

/// Puts the ids of the created parts into a body about to be sent. Until then the body has null in their place.
///
/// # Errors
/// Fails if a part was not created and so has no id.
pub fn complete(
    mut body: Map<String, Value>,
    change: &ConnectionChange,
    made: &Made,
) -> Result<Map<String, Value>> {
    for (field, kind, key) in REFERENCES {
        if let (true, Some(id)) = (change.is_to_be_made(field), body.get_mut(key)) {
            let made = made.get(&kind).ok_or_else(|| {
                let noun = kind.noun();
                Error::internal(format!("the {noun} that is referred to was not made"))
            })?;
            *id = made.as_str().into();
        }
    }
    Ok(body)
}
