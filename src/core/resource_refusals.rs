//! What of a write of a resource its backend cannot express: for the write itself, and for whoever wants to tell it together
//! with something else. Sends nothing. Of a backend that is not known, or has no such kind, nothing is said here: the call itself does.

use crate::{
    core::{
        error::Violation,
        gateway::Gateway,
        resource_check::{refuse_create, refuse_update},
    },
    model::{BackendName, ResourceChange, ResourceSpec},
};

impl Gateway {
    /// What of a new resource it cannot express.
    pub fn refuse_create_resource(
        &self,
        backend: &BackendName,
        spec: &ResourceSpec,
    ) -> Vec<Violation> {
        let Ok(poller) = self.poller(backend) else {
            return Vec::new();
        };
        let backend = poller.backend();
        if backend.capabilities().takes(spec.kind()).is_none() {
            return Vec::new();
        }
        let mut violations = refuse_create(backend.capabilities(), spec);
        violations.extend(backend.dialect().resources().refuse_create(spec));
        violations
    }

    /// What of a change it cannot express.
    pub fn refuse_update_resource(
        &self,
        backend: &BackendName,
        change: &ResourceChange,
    ) -> Vec<Violation> {
        let Ok(poller) = self.poller(backend) else {
            return Vec::new();
        };
        let backend = poller.backend();
        if backend.capabilities().takes(change.values.kind()).is_none() {
            return Vec::new();
        }
        let mut violations = refuse_update(backend.capabilities(), change);
        violations.extend(backend.dialect().resources().refuse_update(change));
        violations
    }
}
