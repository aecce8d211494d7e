//! Collects what a backend cannot express of a write of a resource, for the write itself and for callers that combine
//! it with other violations. Sends nothing. An unknown backend, or one that lacks the kind, gives no violations; the
//! call itself reports that.

use crate::{
    core::{
        error::Violation,
        gateway::Gateway,
        resource_check::{refuse_create, refuse_update},
    },
    model::{BackendName, ResourceChange, ResourceSpec},
};

impl Gateway {
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
