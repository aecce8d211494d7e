//! Merges the attachment on a backend into a description.

use crate::cli::{json, site::attachment::Attachment};
use prost_reflect::{DynamicMessage, FieldDescriptor, ReflectMessage, Value};

/// Sets the fields of a description that say where it is attached on this backend.
///
/// # Errors
/// If a reference is to another kind of resource.
pub fn lay(
    connection: &mut DynamicMessage,
    parts: &mut Option<DynamicMessage>,
    attachment: &Attachment,
    backend: &str,
) -> Result<(), String> {
    let [service, endpoint] = attachment.references(backend)?;
    let made = attachment.router.is_some() || attachment.subnet.is_some();
    if made {
        // A router or subnet asks for a service that is created or reused there, not the one that the description
        // references.
        connection.clear_field_by_name("vpn_service");
    }
    if let Some(service) = &service {
        set(connection, "vpn_service", service);
        drop_part(parts, "vpn_service");
    }
    if let Some(router) = &attachment.router {
        set(within(parts_of(parts), "vpn_service"), "router", router);
    }
    if let Some(subnet) = &attachment.subnet {
        set(within(parts_of(parts), "vpn_service"), "subnet", subnet);
    }
    if let Some(zone) = &attachment.availability_zone {
        match has_part(parts, "vpn_service") {
            true => set(
                within(parts_of(parts), "vpn_service"),
                "availability_zone",
                zone,
            ),
            false => set(connection, "availability_zone", zone),
        }
    }
    if let Some(endpoint) = &endpoint {
        set(connection, "local_endpoint", endpoint);
        drop_part(parts, "local_endpoint");
    }
    if let Some(address) = &attachment.local_address {
        connection.clear_field_by_name("local_endpoint");
        set(
            within(parts_of(parts), "local_endpoint"),
            "address",
            address,
        );
    }
    if has_part(parts, "local_endpoint") {
        let part = within(parts_of(parts), "local_endpoint");
        match &service {
            // A created endpoint belongs to the service that is created with it, or to the one that is referenced.
            Some(service) => set(part, "vpn_service", service),
            None if made => part.clear_field_by_name("vpn_service"),
            None => {}
        }
    }
    Ok(())
}

/// Returns a line for each reference to a resource of another backend, with its path in the request.
pub fn foreign(
    connection: &DynamicMessage,
    parts: Option<&DynamicMessage>,
    backend: &str,
) -> Vec<String> {
    let mut lines = Vec::new();
    let own = format!("backends/{backend}/");
    each_reference(connection, "connection", &mut |path, name| {
        if name.starts_with("backends/") && !name.starts_with(&own) {
            lines.push(format!("{path}: {name} is not on {backend}"));
        }
    });
    if let Some(parts) = parts {
        each_reference(parts, "parts", &mut |path, name| {
            if name.starts_with("backends/") && !name.starts_with(&own) {
                lines.push(format!("{path}: {name} is not on {backend}"));
            }
        });
    }
    lines
}

fn each_reference(message: &DynamicMessage, path: &str, told: &mut impl FnMut(&str, &str)) {
    for (field, value) in message.fields() {
        let path = format!("{path}.{}", field.name());
        match value {
            Value::String(name) if json::is_reference(&field) => told(&path, name),
            Value::Message(inner) if is_ours(&field) => each_reference(inner, &path, told),
            _ => {}
        }
    }
}

fn is_ours(field: &FieldDescriptor) -> bool {
    let kind = field.kind();
    let inner = kind.as_message();
    inner.is_some_and(|inner| inner.package_name() == "isthmus.v1")
}

/// Returns the message in a field, and sets the field if it is unset.
pub fn within<'a>(message: &'a mut DynamicMessage, field: &str) -> &'a mut DynamicMessage {
    let descriptor = message.descriptor().get_field_by_name(field);
    let descriptor = descriptor.expect("callers name fields of the protos");
    match message.get_field_mut(&descriptor) {
        Value::Message(inner) => inner,
        _ => unreachable!("callers name fields that are messages"),
    }
}

fn parts_of(parts: &mut Option<DynamicMessage>) -> &mut DynamicMessage {
    parts.get_or_insert_with(|| DynamicMessage::new(json::descriptor("Parts")))
}

fn has_part(parts: &Option<DynamicMessage>, part: &str) -> bool {
    parts
        .as_ref()
        .is_some_and(|parts| parts.has_field_by_name(part))
}

fn drop_part(parts: &mut Option<DynamicMessage>, part: &str) {
    if let Some(parts) = parts {
        parts.clear_field_by_name(part);
    }
}

fn set(message: &mut DynamicMessage, field: &str, text: &str) {
    message.set_field_by_name(field, Value::String(text.to_owned()));
}
