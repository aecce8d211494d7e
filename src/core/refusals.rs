//! Collects everything that a backend cannot express of a write, before anything is written.

use crate::{
    core::{
        backend::Backend,
        capability_check::{refuse, refuse_unless_there},
        error::{Error, Result, Violation},
        gateway::Gateway,
        portable::fit::{Fitted, fit},
        resource_check::said,
        writes::{
            desk::refused,
            joint::{field, path, reference},
        },
    },
    model::{
        BackendName, Connection, ConnectionChange, ConnectionName, Field, NewConnection,
        ResourceChange, ResourceField, ResourceKind, ResourceSpec, Settings,
    },
};
use std::collections::BTreeSet;
use tokio::time::Instant;

impl Gateway {
    /// Returns what this backend cannot express of a new connection and its parts. Returns nothing for an unknown
    /// backend; the call itself reports that. Violations in parts have their path in the request, such as
    /// `parts.ike_policy.lifetime`. Sends nothing.
    pub fn refuse_create(&self, backend: &BackendName, wanted: &NewConnection) -> Vec<Violation> {
        let Ok(poller) = self.poller(backend) else {
            return Vec::new();
        };
        let fitted = fit(wanted.clone(), poller.backend().capabilities());
        let mut violations = given_twice(wanted);
        violations.extend(self.refuse_fitted(poller.backend(), &fitted));
        violations
    }

    /// Fits a new connection to a backend.
    ///
    /// # Errors
    /// `InvalidArgument` if something is given both as a part and by reference, otherwise `NotExpressible`; either with
    /// all violations.
    pub(super) fn fitted(&self, backend: &BackendName, wanted: NewConnection) -> Result<Fitted> {
        let poller = self.poller(backend)?;
        let mut violations = given_twice(&wanted);
        let is_malformed = !violations.is_empty();
        let fitted = fit(wanted, poller.backend().capabilities());
        violations.extend(self.refuse_fitted(poller.backend(), &fitted));
        if is_malformed {
            return Err(Error::invalid(violations).on(backend));
        }
        refused(violations, backend)?;
        Ok(fitted)
    }

    /// Fits a description whose connection may exist to a backend.
    ///
    /// # Errors
    /// Those of [`Gateway::fitted`], for the fields that are set. The fields left open are judged once the connection
    /// is read.
    pub(super) fn fitted_if_there(
        &self,
        backend: &BackendName,
        wanted: NewConnection,
    ) -> Result<Fitted> {
        let poller = self.poller(backend)?;
        let backend = poller.backend();
        let mut violations = given_twice(&wanted);
        let is_malformed = !violations.is_empty();
        let fitted = fit(wanted, backend.capabilities());
        let wanted = &fitted.wanted;
        let says = |field: Field| field.is_set(&wanted.spec);
        let mut wrong = refuse(backend.capabilities(), &wanted.spec, says);
        for (kind, spec) in &wanted.parts {
            wrong.extend(self.refuse_said(backend, *kind, spec));
        }
        violations.extend(fitted.violations.iter().cloned());
        violations.extend(fitted.told(wrong));
        if is_malformed {
            return Err(Error::invalid(violations).on(backend.name()));
        }
        refused(violations, backend.name())?;
        Ok(fitted)
    }

    /// Returns what this backend cannot express of the fields that a part sets.
    fn refuse_said(
        &self,
        backend: &Backend,
        kind: ResourceKind,
        spec: &ResourceSpec,
    ) -> Vec<Violation> {
        if backend.capabilities().takes(kind).is_none() || field(kind).is_none() {
            return vec![no_such_part(kind)];
        }
        let change = ResourceChange {
            fields: said(backend.capabilities(), spec),
            values: spec.clone(),
            etag: None,
        };
        let wrong = self.refuse_update_resource(backend.name(), &change);
        let wrong = wrong.into_iter();
        wrong
            .map(|it| Violation::new(format!("{}.{}", path(kind), it.field), it.description))
            .collect()
    }

    /// Returns what this backend cannot express of a change to an existing connection. Values that the connection
    /// already has are no change.
    pub(super) fn refuse_change(
        &self,
        backend: &Backend,
        change: &ConnectionChange,
        there: &Connection,
    ) -> Vec<Violation> {
        let change = change.without(there);
        let mut violations = never(backend, &change);
        violations.extend(unless_there(backend, &change, Some(there)));
        violations
    }

    /// Returns what this backend cannot express of a description, by the paths that its caller wrote.
    fn refuse_fitted(&self, backend: &Backend, fitted: &Fitted) -> Vec<Violation> {
        let (wanted, capabilities) = (&fitted.wanted, backend.capabilities());
        let mut wrong = refuse(capabilities, &wanted.spec, |_| true);
        let spec = &wanted.spec;
        wrong.extend(refuse_unless_there(capabilities, spec, |_| true, None));
        wrong.extend(backend.dialect().refuse_create(wanted));
        for (kind, spec) in &wanted.parts {
            wrong.extend(self.refuse_part(backend.name(), *kind, spec, wanted));
        }
        let violations = fitted.violations.iter().cloned();
        violations.chain(fitted.told(wrong)).collect()
    }

    fn refuse_part(
        &self,
        backend: &BackendName,
        kind: ResourceKind,
        spec: &ResourceSpec,
        wanted: &NewConnection,
    ) -> Vec<Violation> {
        let poller = self.poller(backend).ok();
        let takes = poller.and_then(|it| it.backend().capabilities().takes(kind));
        if takes.is_none() || field(kind).is_none() {
            return vec![no_such_part(kind)];
        }
        let service = ResourceField::VpnService.path();
        let comes_too = |field: &str| {
            let is_open = match &spec.settings {
                Settings::LocalEndpoint(endpoint) => endpoint.vpn_service.is_none(),
                _ => false,
            };
            is_open && field == service && wanted.has(ResourceKind::VpnService)
        };
        let wrong = self.refuse_create_resource(backend, spec).into_iter();
        let wrong = wrong.filter(|it| !comes_too(&it.field));
        wrong
            .map(|it| Violation::new(format!("{}.{}", path(kind), it.field), it.description))
            .collect()
    }

    /// Reduces a change to what differs, and returns what this backend cannot express of it.
    ///
    /// What no connection of the backend can have is refused without a read. A value that cannot be written may still
    /// be there, if another client set it or the cloud accepts less than it has. So if the change has such a value, or
    /// a field that is `malformed` in the request, the connection is read. What it already has is left out of the
    /// change, and what it cannot become is refused too.
    ///
    /// # Errors
    /// If the connection has to be read and cannot be, unless the change has a violation anyway.
    pub async fn settle(
        &self,
        name: &ConnectionName,
        change: ConnectionChange,
        malformed: &BTreeSet<Field>,
        deadline: Instant,
    ) -> Result<(ConnectionChange, Vec<Violation>)> {
        let poller = self.poller(&name.backend)?;
        let backend = poller.backend();
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

fn no_such_part(kind: ResourceKind) -> Violation {
    let noun = kind.noun();
    let why = format!("this backend has no resources of the kind {noun}; leave it out");
    Violation::new(path(kind), why)
}

/// Returns a violation for each part that is also given by reference.
fn given_twice(wanted: &NewConnection) -> Vec<Violation> {
    let mut spec = wanted.spec.clone();
    let kinds = wanted.parts.keys().copied();
    let twice = kinds.filter(|kind| reference(&mut spec, *kind).is_some_and(|it| it.is_some()));
    twice
        .map(|kind| {
            let field = field(kind).unwrap_or_default();
            let why = format!("is given by `connection.{field}` as well; accepted is one of them");
            Violation::new(path(kind), why)
        })
        .collect()
}

/// Returns the violations of what no connection of this backend can have.
fn never(backend: &Backend, change: &ConnectionChange) -> Vec<Violation> {
    let touches = |field| change.fields.contains(&field);
    refuse(backend.capabilities(), &change.values, touches)
}

/// Returns the violations of what cannot be written but may already be there.
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
