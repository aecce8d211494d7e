//! Warnings about what the cloud does only approximately. Pure.

use crate::{
    core::dialect::Warning,
    model::{Connection, ConnectionChange, ConnectionSpec, Field},
};
use std::net::IpAddr;

/// Returns the warnings about a connection that was created.
pub fn of_new(spec: &ConnectionSpec) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = resolved(spec).into_iter().collect();
    if spec.admin_enabled == Some(false) {
        warnings.push(warning(
            "admin_enabled",
            "a connection made switched off stays PENDING_CREATE, takes no update, and can only be deleted",
        ));
    }
    warnings
}

/// Returns the warnings about a connection that was changed to `now`.
pub fn of_change(change: &ConnectionChange, now: &Connection) -> Vec<Warning> {
    let touches = |field| change.fields.contains(&field);
    let mut warnings = Vec::new();
    if touches(Field::PeerAddress) {
        warnings.extend(resolved(&change.values));
        if !touches(Field::PeerId) && now.peer.id != now.peer.address {
            let message = format!("the peer still has to identify itself as `{}`", now.peer.id);
            warnings.push(warning("peer.id", message));
        }
    }
    warnings
}

fn resolved(spec: &ConnectionSpec) -> Option<Warning> {
    let is_name = spec.peer_address.parse::<IpAddr>().is_err();
    is_name.then(|| {
        let what = "the cloud resolves the host name once, now, and keeps the address";
        warning("peer.address", what)
    })
}

fn warning(field: &str, message: impl Into<String>) -> Warning {
    Warning {
        field: field.to_owned(),
        message: message.into(),
    }
}
