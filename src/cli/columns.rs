//! Resources of every kind as text for people, formatted by the descriptors of the protos alone.

use crate::cli::{
    kinds::Kind,
    misfits::prefix,
    names::short,
    progress::date_and_time,
    text::{Style, clean, facts, table},
};
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind as FieldKind, ReflectMessage, Value,
};

/// Returns the columns of a kind: the heading and the field of each.
fn columns(kind: Kind) -> &'static [(&'static str, &'static str)] {
    match kind {
        Kind::IkePolicy => &[
            ("IKE", "ike_version"),
            ("ENCRYPTION", "encryption_algorithms"),
            ("INTEGRITY", "integrity_algorithms"),
            ("DH", "dh_groups"),
            ("LIFETIME", "lifetime"),
        ],
        Kind::IpsecPolicy => &[
            ("PROTOCOL", "transform_protocol"),
            ("ENCRYPTION", "encryption_algorithms"),
            ("INTEGRITY", "integrity_algorithms"),
            ("PFS", "perfect_forward_secrecy"),
            ("DH", "dh_groups"),
            ("LIFETIME", "lifetime"),
        ],
        Kind::DpdPolicy => &[
            ("ENABLED", "enabled"),
            ("PROBES", "probe_mode"),
            ("EVERY", "probe_interval"),
            ("RETRIES", "retry_count"),
        ],
        Kind::VpnService => &[
            ("ENABLED", "admin_enabled"),
            ("ROUTER", "router"),
            ("SUBNET", "subnet"),
            ("ADDRESSES", "external_addresses"),
            ("NATIVE STATE", "native_state"),
        ],
        Kind::LocalEndpoint => &[
            ("ADDRESS", "address"),
            ("LOCAL ID", "local_id"),
            ("VPN SERVICE", "vpn_service"),
        ],
        Kind::EndpointGroup => &[("TYPE", "type"), ("ENDPOINTS", "endpoints")],
        Kind::Attachment => &[
            ("KIND", "kind"),
            ("USABLE", "usable"),
            ("ADDRESSES", "addresses"),
            ("NETWORKS", "networks"),
            ("PARENT", "parent_id"),
            ("WHY NOT", "reason"),
        ],
        // `describe` formats these, with more than their fields.
        Kind::Connection | Kind::Backend => &[],
    }
}

/// Formats resources of one kind as a table.
pub fn resource_table(kind: Kind, resources: &[DynamicMessage], style: Style) -> String {
    if resources.is_empty() {
        return format!("no {}", kind.people());
    }
    let first = match kind {
        Kind::Attachment => [("BACKEND", "backend"), ("ID", "id")].as_slice(),
        _ => &[("", "name")],
    };
    let columns: Vec<(&str, &str)> =
        [first, &[("DISPLAY NAME", "display_name")], columns(kind)].concat();
    let rows: Vec<Vec<String>> = resources
        .iter()
        .map(|resource| {
            let cells = columns.iter();
            cells.map(|(_, field)| value(resource, field)).collect()
        })
        .collect();
    let name = kind.person().to_uppercase();
    let heading: Vec<&str> = columns
        .iter()
        .map(|(above, _)| {
            if above.is_empty() {
                name.as_str()
            } else {
                above
            }
        })
        .collect();
    table(&heading, &rows, style)
}

/// Formats one resource as labelled values: every field that is set, except `native` and `native_words`.
pub fn resource_facts(kind: Kind, resource: &DynamicMessage, style: Style) -> String {
    let mut lines = vec![(kind.person(), style.bold(&value(resource, "name")))];
    for field in resource.descriptor().fields() {
        let label = field.name().replace('_', " ");
        match field.name() {
            "name" | "native" | "native_words" => {}
            "managed" => lines.push(("made by".to_owned(), maker(resource))),
            // Settings of one dialect.
            "nsx" | "openstack" if resource.has_field(&field) => {
                let details = resource.get_field(&field);
                let details = details.as_message().into_iter();
                lines.extend(details.flat_map(|details| {
                    let fields = details
                        .descriptor()
                        .fields()
                        .collect::<Vec<_>>()
                        .into_iter();
                    fields.map(|it| (it.name().replace('_', " "), value(details, it.name())))
                }));
            }
            "nsx" | "openstack" => {}
            name => lines.push((label, value(resource, name))),
        }
    }
    let lines: Vec<(&str, String)> = lines
        .iter()
        .map(|(label, value)| (label.as_str(), value.clone()))
        .collect();
    facts(&lines)
}

fn maker(resource: &DynamicMessage) -> String {
    match resource
        .get_field_by_name("managed")
        .and_then(|it| it.as_bool())
    {
        Some(true) => "this gateway".to_owned(),
        _ => "somebody else".to_owned(),
    }
}

/// Formats the value of a field for people, or returns an empty string if it is unset. An enum value without a name is
/// shown as the cloud's own word.
pub fn value(message: &DynamicMessage, name: &str) -> String {
    let Some(field) = message.descriptor().get_field_by_name(name) else {
        return String::new();
    };
    // A bool without presence is shown even if it is false.
    let is_told = message.has_field(&field)
        || (matches!(field.kind(), FieldKind::Bool) && !field.supports_presence());
    let native = native_word(message, name);
    let value = message.get_field(&field);
    match value.as_list() {
        _ if !is_told => match native.as_slice() {
            [] => String::new(),
            words => words.join(", "),
        },
        Some(list) => {
            let items = list.iter().enumerate();
            let items = items.map(|(at, item)| word(&field, item, native.get(at)));
            items.collect::<Vec<_>>().join(", ")
        }
        None => word(&field, &value, native.first()),
    }
}

/// Returns the cloud's own words for the values of an enum field, or of a list of them.
fn native_word(message: &DynamicMessage, name: &str) -> Vec<String> {
    let of_enum = |field: FieldDescriptor| matches!(field.kind(), FieldKind::Enum(_));
    if !message
        .descriptor()
        .get_field_by_name(name)
        .is_some_and(of_enum)
    {
        return Vec::new();
    }
    let native = message.get_field_by_name("native_words");
    let native = native.as_deref().and_then(|it| it.as_message());
    let words = native.and_then(|it| it.transcode_to::<prost_types::Struct>().ok());
    let value = words.and_then(|mut words| words.fields.remove(name)?.kind);
    match value {
        Some(prost_types::value::Kind::StringValue(word)) => vec![clean(&word)],
        Some(prost_types::value::Kind::ListValue(list)) => {
            let words = list.values.into_iter().map(|item| match item.kind {
                Some(prost_types::value::Kind::StringValue(word)) => clean(&word),
                _ => String::new(),
            });
            words.collect()
        }
        _ => Vec::new(),
    }
}

fn word(field: &FieldDescriptor, value: &Value, native: Option<&String>) -> String {
    match (field.kind(), value) {
        (FieldKind::Enum(values), Value::EnumNumber(number)) => {
            let known = enum_word(&values, *number);
            match native {
                Some(native) if known.is_empty() => native.clone(),
                _ => known,
            }
        }
        (_, Value::Bool(truth)) => if *truth { "yes" } else { "no" }.to_owned(),
        (_, Value::String(text)) if text.starts_with("backends/") => clean(&short(text)),
        (_, Value::String(text)) => clean(text),
        (_, Value::Message(message)) => of_message(message),
        (_, Value::I32(number)) => number.to_string(),
        (_, Value::U32(number)) => number.to_string(),
        (_, Value::I64(number)) => number.to_string(),
        (_, Value::U64(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// Formats an enum value without the prefix of the enum. Returns an empty string for the unspecified value.
pub fn enum_word(values: &EnumDescriptor, number: i32) -> String {
    match values.get_value(number) {
        _ if number == 0 => String::new(),
        Some(value) => {
            let prefix = prefix(values);
            let name = value.name();
            name.strip_prefix(&prefix).unwrap_or(name).to_owned()
        }
        None => number.to_string(),
    }
}

fn of_message(message: &DynamicMessage) -> String {
    match message.descriptor().full_name() {
        "google.protobuf.Duration" => message
            .transcode_to::<prost_types::Duration>()
            .ok()
            .and_then(|time| std::time::Duration::try_from(time).ok())
            .map_or(String::new(), |time| {
                humantime::format_duration(time).to_string()
            }),
        "google.protobuf.Timestamp" => message
            .transcode_to::<prost_types::Timestamp>()
            .map_or(String::new(), |time| date_and_time(&time)),
        "isthmus.v1.Lifetime" => {
            let time = value(message, "time");
            let kilobytes = value(message, "kilobytes");
            if kilobytes.is_empty() {
                time
            } else {
                format!("{kilobytes} kB")
            }
        }
        _ => {
            let fields: Vec<FieldDescriptor> = message.descriptor().fields().collect();
            let told = fields.iter().filter(|field| message.has_field(field));
            let told =
                told.map(|field| format!("{} {}", field.name(), value(message, field.name())));
            told.collect::<Vec<_>>().join(", ")
        }
    }
}
