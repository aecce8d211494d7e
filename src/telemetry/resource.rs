//! Whose telemetry it is.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

/// This program and its version; what `OTEL_RESOURCE_ATTRIBUTES` says of it besides.
pub(super) fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attribute(version)
        .build()
}
