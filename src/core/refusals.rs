//! What of a write its backend cannot express, all of it, told before anything is written.

use crate::{
    core::{
        backend::Backend,
        capability_check::{refuse, refuse_unless_there},
        error::{Result, Violation},
        gateway::Gateway,
    },
    model::{BackendName, Connection, ConnectionChange, ConnectionName, Field, NewConnection},
};
use std::collections::BTreeSet;
use tokio::time::Instant;

impl Gateway {
    /// What of a new connection this backend cannot express; nothing if it is not known, which the call itself finds
    /// out. Sends nothing.
    pub fn refuse_create(&self, backend: &BackendName, wanted: &NewConnection) -> Vec<Violation> {
        let Ok(poller) = self.poller(backend) else {
            return Vec::new();
        };
        let backend = poller.backend();
        let spec = &wanted.spec;
        let mut violations = refuse(backend.capabilities(), spec, |_| true);
        let capabilities = backend.capabilities();
        violations.extend(refuse_unless_there(capabilities, spec, |_| true, None));
        violations.extend(backend.dialect().refuse_create(wanted));
        violations
    }

    /// A change as far as it is one, and what of it this backend cannot express.
    ///
    /// What no connection has on such a backend is refused unseen. What cannot be written may be there all the same: made
    /// by somebody else, or of a cloud that takes less than it has. So if that, or a field that is `malformed` in the
    /// request, is all that stands against a change, the connection is read, what is so already is left out, and what it
    /// cannot become is told as well.
    ///
    /// # Errors
    /// If the connection would have to be read and cannot be.
    pub async fn settle(
        &self,
        name: &ConnectionName,
        change: ConnectionChange,
        malformed: &BTreeSet<Field>,
        deadline: Instant,
    ) -> Result<(ConnectionChange, Vec<Violation>)> {
        let backend = self.poller(&name.backend)?.backend();
        let certain = never(backend, &change);
        if malformed.is_empty() && unless_there(backend, &change, None).is_empty() {
            return Ok((change, certain));
        }
        let there = match self.get(name, deadline).await {
            Ok(there) => there,
            Err(_) if !certain.is_empty() => return Ok((change, certain)),
            Err(error) => return Err(error.during("updating a connection")),
        };
        let change = change.without(&there);
        let mut violations = never(backend, &change);
        violations.extend(unless_there(backend, &change, Some(&there)));
        violations.extend(backend.dialect().refuse_to_become(&change, &there));
        Ok((change, violations))
    }
}

/// What no connection of this backend has.
fn never(backend: &Backend, change: &ConnectionChange) -> Vec<Violation> {
    let touches = |field| change.fields.contains(&field);
    refuse(backend.capabilities(), &change.values, touches)
}

/// What cannot be written, and may be there.
fn unless_there(
    backend: &Backend,
    change: &ConnectionChange,
    there: Option<&Connection>,
) -> Vec<Violation> {
    let touches = |field| change.fields.contains(&field);
    let capabilities = backend.capabilities();
    let mut violations = refuse_unless_there(capabilities, &change.values, touches, there);
    violations.extend(backend.dialect().refuse_update(change));
    violations
}
