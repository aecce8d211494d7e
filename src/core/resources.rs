//! The use cases of resources other than connections, and of a connection's traffic statistics.

pub use crate::core::writes::accepted::AcceptedResource;

use crate::{
    core::{
        backend::Backend,
        dialect::resources::absent,
        error::{Error, ErrorKind, ErrorReason, Result},
        gateway::{Gateway, caller},
        request_id::How,
        writes::{
            desk::refused,
            resources::{self, noun},
            run::Write,
        },
    },
    model::{
        BackendName, ConnectionName, Resource, ResourceChange, ResourceKind, ResourceName,
        ResourceSpec, TunnelStatistics,
    },
};
use std::sync::Arc;
use tokio::time::Instant;

impl Gateway {
    /// Reads one resource.
    ///
    /// # Errors
    /// `Unimplemented` / `KindAbsent` if the backend lacks the kind; those of
    /// [`Resources::get`](crate::core::dialect::Resources::get).
    pub async fn get_resource(
        &self,
        kind: ResourceKind,
        name: &ResourceName,
        deadline: Instant,
    ) -> Result<Resource> {
        let backend = self.backend_with(kind, &name.backend)?;
        let dialect = backend.dialect();
        let resources = dialect.resources();
        let result = resources.get(kind, &name.id, &caller(deadline)).await;
        backend.record_caller_result(result).map_err(|error| {
            error
                .missing(name)
                .during(format!("reading {}", noun(kind)))
        })
    }

    /// Creates a resource. The caller waits until `deadline`; the write goes on after that.
    ///
    /// # Errors
    /// Everything that the backend cannot express, before anything is sent; those of
    /// [`Resources::plan_create`](crate::core::dialect::Resources::plan_create).
    pub async fn create_resource(
        &self,
        backend: &BackendName,
        spec: ResourceSpec,
        how: How,
        deadline: Instant,
    ) -> Result<AcceptedResource> {
        self.backend_with(spec.kind(), backend)?;
        let writes = self.writable(backend)?;
        refused(self.refuse_create_resource(backend, &spec), backend)?;
        let write = resources::Create { spec };
        let begun = writes.begin(write.about(), &how, deadline).await?;
        self.carry_out(writes, write, begun, deadline).await
    }

    /// Updates a resource. With `validate_only` the update is only planned, which reads the resource. The caller waits
    /// until `deadline`; the write goes on after that.
    ///
    /// # Errors
    /// Those of [`Gateway::create_resource`] and
    /// [`Resources::plan_update`](crate::core::dialect::Resources::plan_update).
    pub async fn update_resource(
        &self,
        name: &ResourceName,
        change: ResourceChange,
        how: How,
        deadline: Instant,
    ) -> Result<AcceptedResource> {
        self.backend_with(change.values.kind(), &name.backend)?;
        let writes = self.writable(&name.backend)?;
        let violations = self.refuse_update_resource(&name.backend, &change);
        refused(violations, &name.backend)?;
        let name = name.clone();
        let write = resources::Update { name, change };
        let begun = writes.begin(write.about(), &how, deadline).await?;
        self.carry_out(writes, write, begun, deadline).await
    }

    /// Deletes a resource. The caller waits until `deadline`; the write goes on after that.
    ///
    /// # Errors
    /// Those of [`Resources::plan_delete`](crate::core::dialect::Resources::plan_delete). With `allow_missing` a
    /// missing resource is not an error.
    pub async fn delete_resource(
        &self,
        kind: ResourceKind,
        name: &ResourceName,
        etag: Option<String>,
        allow_missing: bool,
        how: How,
        deadline: Instant,
    ) -> Result<AcceptedResource> {
        self.backend_with(kind, &name.backend)?;
        let writes = self.writable(&name.backend)?;
        let write = resources::Delete {
            kind,
            name: name.clone(),
            etag,
            allow_missing,
        };
        let begun = writes.begin(write.about(), &how, deadline).await?;
        self.carry_out(writes, write, begun, deadline).await
    }

    /// Reads how much traffic a connection has carried.
    ///
    /// # Errors
    /// `Unimplemented` / `KindAbsent` if the cloud does not report it; those of
    /// [`Resources::statistics`](crate::core::dialect::Resources::statistics).
    pub async fn statistics(
        &self,
        name: &ConnectionName,
        deadline: Instant,
    ) -> Result<TunnelStatistics> {
        let poller = self.poller(&name.backend)?;
        let backend = poller.backend();
        if !backend.capabilities().tunnel_statistics {
            let error = Error::new(
                ErrorKind::Unimplemented,
                ErrorReason::KindAbsent,
                "this backend does not tell how much traffic a connection has carried",
            );
            return Err(error.on(backend.name()));
        }
        let dialect = backend.dialect();
        let resources = dialect.resources();
        let result = resources.statistics(&name.id, &caller(deadline)).await;
        backend.record_caller_result(result).map_err(|error| {
            let error = error.missing(name);
            error.during("reading the statistics of a connection")
        })
    }

    /// Returns the backend of this name if it has resources of this kind.
    fn backend_with(&self, kind: ResourceKind, name: &BackendName) -> Result<Arc<Backend>> {
        let backend = Arc::clone(self.poller(name)?.backend());
        match backend.capabilities().takes(kind) {
            Some(_) => Ok(backend),
            None => Err(absent(kind).on(name)),
        }
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

    /// The dialect in this test fails whatever it is sent.
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
        // The update has nothing wrong, so the resource is read.
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
