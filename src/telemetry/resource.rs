//! The OpenTelemetry resource of this process.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;

/// Returns the name and version of this program, and the attributes in `OTEL_RESOURCE_ATTRIBUTES`.
pub(super) fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    Resource::builder()
        .with_service_name(env!("CARGO_PKG_NAME"))
        .with_attribute(version)
        .build()
}
