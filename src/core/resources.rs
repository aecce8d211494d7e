//! The use cases of resources beside connections, of what a VPN can be attached to, and of what a connection has carried.

use crate::{
    core::{
        backend::Backend,
        dialect::{Made, Mark, Step, Warning, WrittenResource, resources::absent},
        error::{Error, ErrorKind, ErrorReason, Result},
        etag,
        execute::{NoJournal, execute},
        gateway::{Gateway, caller, refused, writable, write_call},
        request_id::How,
    },
    model::{
        BackendName, ConnectionName, Resource, ResourceChange, ResourceKind, ResourceName,
        ResourceSpec, TunnelStatistics,
    },
};
use std::sync::Arc;
use tokio::time::Instant;

/// A write of a resource that was accepted, or would be.
#[derive(Debug, Clone, Default)]
pub struct AcceptedResource {
    /// As the cloud answered it; `None` after a delete and if nothing was sent.
    pub resource: Option<Resource>,
    /// The cloud's ids of the write.
    pub request_ids: Vec<String>,
    /// What the cloud does only approximately.
    pub warnings: Vec<Warning>,
    /// Names the write; empty if there was none, or nothing tells of it.
    pub write_token: String,
    /// What would be done, if it was only tried.
    pub plan: Vec<Step>,
}

impl From<WrittenResource> for AcceptedResource {
    fn from(written: WrittenResource) -> AcceptedResource {
        AcceptedResource {
            resource: written.resource,
            request_ids: written.request_ids,
            warnings: written.warnings,
            ..AcceptedResource::default()
        }
    }
}

impl Gateway {
    /// Reads one resource.
    ///
    /// # Errors
    /// `Unimplemented` / `KindAbsent` where there is no such kind; else as
    /// [`Resources::get`](crate::core::dialect::Resources::get).
    pub async fn get_resource(
        &self,
        kind: ResourceKind,
        name: &ResourceName,
        deadline: Instant,
    ) -> Result<Resource> {
        let backend = self.backend_with(kind, &name.backend)?;
        let resources = backend.dialect().resources();
        let result = resources.get(kind, &name.id, &caller(deadline)).await;
        backend
            .record_caller_result(result)
            .map_err(|error| named(error, name).during(format!("reading {}", noun(kind))))
    }

    /// Makes a resource. Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// What the backend cannot express, all of it, before anything is sent; else as
    /// [`Resources::create`](crate::core::dialect::Resources::create).
    pub async fn create_resource(
        &self,
        backend: &BackendName,
        spec: ResourceSpec,
        how: How,
        deadline: Instant,
    ) -> Result<AcceptedResource> {
        let kind = spec.kind();
        let backend = self.backend_with(kind, backend)?;
        writable(&backend)?;
        let violations = self.refuse_create_resource(backend.name(), &spec);
        refused(violations, backend.name())?;
        if how.validate_only {
            return Ok(AcceptedResource::default());
        }
        self.own(async move {
            let call = write_call(&backend, deadline);
            let dialect = backend.dialect();
            let plan = dialect.resources().plan_create(spec, Mark::new(), &call);
            let result = match plan.await {
                Ok(plan) => execute(&**dialect, plan, &Made::new(), &NoJournal, &call).await,
                Err(error) => Err(error),
            };
            let written = backend
                .record_result(result)
                .map_err(|error| error.during(format!("creating {}", noun(kind))))?;
            Ok(written.into())
        })
        .await
    }

    /// Changes a resource. With `validate_only` it is read instead. Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// As [`Gateway::create_resource`] and [`Resources::update`](crate::core::dialect::Resources::update).
    pub async fn update_resource(
        &self,
        name: &ResourceName,
        change: ResourceChange,
        how: How,
        deadline: Instant,
    ) -> Result<AcceptedResource> {
        let kind = change.values.kind();
        let backend = self.backend_with(kind, &name.backend)?;
        writable(&backend)?;
        let violations = self.refuse_update_resource(backend.name(), &change);
        refused(violations, backend.name())?;
        if how.validate_only {
            return would_apply(&backend, name, &change, deadline).await;
        }
        let name = name.clone();
        self.own(async move {
            let call = write_call(&backend, deadline);
            let dialect = backend.dialect();
            let plan = dialect.resources().plan_update(&name.id, change, &call);
            let result = match plan.await {
                Ok(plan) => execute(&**dialect, plan, &Made::new(), &NoJournal, &call).await,
                Err(error) => Err(error),
            };
            let written = backend
                .record_result(result)
                .map_err(|error| named(error, &name).during(format!("updating {}", noun(kind))))?;
            Ok(written.into())
        })
        .await
    }

    /// Removes a resource. Its caller waits until `deadline`; the write goes on.
    ///
    /// # Errors
    /// As [`Resources::delete`](crate::core::dialect::Resources::delete); with `allow_missing`, one that is not there is
    /// no error.
    pub async fn delete_resource(
        &self,
        kind: ResourceKind,
        name: &ResourceName,
        etag: Option<String>,
        allow_missing: bool,
        how: How,
        deadline: Instant,
    ) -> Result<AcceptedResource> {
        let backend = self.backend_with(kind, &name.backend)?;
        writable(&backend)?;
        let name = name.clone();
        self.own(async move {
            let call = write_call(&backend, deadline);
            let dialect = backend.dialect();
            let plan = dialect
                .resources()
                .plan_delete(kind, &name.id, etag, &call)
                .await;
            if how.validate_only {
                let _ = plan;
                return Ok(AcceptedResource::default());
            }
            let result = match plan {
                Ok(plan) => execute(&**dialect, plan, &Made::new(), &NoJournal, &call).await,
                Err(error) => Err(error),
            };
            match backend.record_result(result) {
                Ok(written) => Ok(written.into()),
                Err(error) if allow_missing && error.reason == ErrorReason::ResourceNotFound => {
                    Ok(AcceptedResource::default())
                }
                Err(error) => Err(named(error, &name).during(format!("deleting {}", noun(kind)))),
            }
        })
        .await
    }

    /// Reads how much traffic a connection has carried.
    ///
    /// # Errors
    /// `Unimplemented` / `KindAbsent` where the cloud does not tell; else as
    /// [`Resources::statistics`](crate::core::dialect::Resources::statistics).
    pub async fn statistics(
        &self,
        name: &ConnectionName,
        deadline: Instant,
    ) -> Result<TunnelStatistics> {
        let backend = self.poller(&name.backend)?.backend();
        if !backend.capabilities().tunnel_statistics {
            let error = Error::new(
                ErrorKind::Unimplemented,
                ErrorReason::KindAbsent,
                "this backend does not tell how much traffic a connection has carried",
            );
            return Err(error.on(backend.name()));
        }
        let resources = backend.dialect().resources();
        let result = resources.statistics(&name.id, &caller(deadline)).await;
        backend.record_caller_result(result).map_err(|error| {
            let error = match error.reason {
                ErrorReason::ConnectionNotFound => error.resource(name.to_string()),
                _ => error,
            };
            error.during("reading the statistics of a connection")
        })
    }

    /// The backend of this name, if it has such resources.
    fn backend_with(&self, kind: ResourceKind, name: &BackendName) -> Result<Arc<Backend>> {
        let backend = Arc::clone(self.poller(name)?.backend());
        match backend.capabilities().takes(kind) {
            Some(_) => Ok(backend),
            None => Err(absent(kind).on(name)),
        }
    }
}

/// Finds out, without writing, whether a change is one of something that is there and as its author believes.
async fn would_apply(
    backend: &Backend,
    name: &ResourceName,
    change: &ResourceChange,
    deadline: Instant,
) -> Result<AcceptedResource> {
    let kind = change.values.kind();
    let call = write_call(backend, deadline);
    let result = backend.dialect().resources().get(kind, &name.id, &call);
    let current = backend.record_result(result.await).map_err(|error| {
        named(error, name).during(format!("reading {} to be updated", noun(kind)))
    })?;
    etag::check(change.etag.as_deref(), &current.etag).map_err(|error| {
        let error = error.on(backend.name());
        error.during(format!("updating {}", noun(kind)))
    })?;
    Ok(AcceptedResource::default())
}

fn noun(kind: ResourceKind) -> String {
    format!("the {}", kind.noun())
}

fn named(error: Error, name: &ResourceName) -> Error {
    let is_missing = error.reason == ErrorReason::ResourceNotFound;
    if is_missing && error.context.resource.is_none() {
        error.resource(name.to_string())
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{
            dialect::ResourceCapabilities,
            listing::tests::{Rows, gateway},
        },
        model::{ResourceField, Settings, policy::DpdPolicy},
    };
    use std::time::Duration;

    const ONLY_NAMES: &[ResourceCapabilities] = &[ResourceCapabilities {
        fields: &[ResourceField::DisplayName],
        display_name: 0..=3,
        ..ResourceCapabilities::nothing(ResourceKind::DpdPolicy)
    }];

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn dpd_policy(display_name: &str, enabled: Option<bool>) -> ResourceSpec {
        ResourceSpec {
            display_name: display_name.to_owned(),
            settings: Settings::DpdPolicy(DpdPolicy {
                enabled,
                ..DpdPolicy::default()
            }),
            ..ResourceSpec::none(ResourceKind::DpdPolicy)
        }
    }

    fn fields(error: &Error) -> Vec<&str> {
        let each = error.context.violations.iter();
        each.map(|it| it.field.as_str()).collect()
    }

    /// The dialect here fails whatever it is sent.
    #[tokio::test]
    async fn what_capabilities_rule_out_is_refused_before_anything_is_sent() {
        let rows = Rows::with(9, ONLY_NAMES);
        let gateway = gateway(&[("a", &rows)]);
        let backend: BackendName = "a".parse().unwrap();
        let wrong = dpd_policy("four", Some(false));
        for how in [How::tried(), How::default()] {
            let refused = gateway
                .create_resource(&backend, wrong.clone(), how, soon())
                .await
                .unwrap_err();
            assert_eq!(refused.kind, ErrorKind::NotExpressible);
            assert_eq!(fields(&refused), ["display_name", "enabled"]);
        }
        let name = format!("{backend}/dpdPolicies/1");
        let name = ResourceName::parse(ResourceKind::DpdPolicy.collection(), &name).unwrap();
        let change = |fields: &[ResourceField]| ResourceChange {
            fields: fields.iter().copied().collect(),
            values: wrong.clone(),
            etag: None,
        };
        let refused = gateway
            .update_resource(
                &name,
                change(&[ResourceField::Enabled]),
                How::default(),
                soon(),
            )
            .await
            .unwrap_err();
        assert_eq!(fields(&refused), ["enabled"]);

        let right = dpd_policy("two", Some(true));
        let create = |how| gateway.create_resource(&backend, right.clone(), how, soon());
        assert!(create(How::tried()).await.unwrap().resource.is_none());
        let sent = create(How::default()).await.unwrap_err();
        assert_eq!(sent.kind, ErrorKind::Unavailable);
        assert_eq!(sent.to_string(), "creating the DPD policy: cannot connect");
        // Nothing of what an update names is wrong, so that what is there is read.
        let read = gateway.update_resource(&name, change(&[]), How::tried(), soon());
        assert_eq!(read.await.unwrap_err().kind, ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_kind_that_a_backend_has_not_is_refused_by_name() {
        let rows = Rows::with(9, ONLY_NAMES);
        let gateway = gateway(&[("a", &rows)]);
        let backend: BackendName = "a".parse().unwrap();
        let policy = ResourceSpec::none(ResourceKind::IkePolicy);
        let refused = gateway
            .create_resource(&backend, policy, How::tried(), soon())
            .await
            .unwrap_err();
        let expected = (ErrorKind::Unimplemented, ErrorReason::KindAbsent);
        assert_eq!((refused.kind, refused.reason), expected);
        assert_eq!(refused.context.backend, Some(backend));
        assert!(refused.to_string().contains("IKE policy"), "{refused}");
    }
}
