//! Both directions, over generated values, the recorded exchanges and the vendors' words.

mod examples;
mod generated;

use super::{inward::resource, outward};
use crate::{
    core::{dialect::Mark, error::Violation},
    dialects::openstack::{
        variant::{self, Variant},
        wire::{Body, kind::Kind},
    },
    model::{Resource, ResourceChange, ResourceField, ResourceKind, ResourceSpec},
};
use serde_json::{Map, Value, json};

/// Returns every variant with each kind that it has.
fn every_kind() -> Vec<(&'static Variant, ResourceKind)> {
    let of = |variant: &'static Variant| {
        let kinds = variant.capabilities.resources.iter();
        kinds.map(move |takes| (variant, takes.kind))
    };
    variant::ALL.into_iter().flat_map(of).collect()
}

fn body(fields: &Value) -> Body {
    Body::new(fields.as_object().unwrap().clone())
}

/// Returns what the cloud shows of what it was sent.
fn shown(sent: &Map<String, Value>) -> Body {
    let mut shown = sent.clone();
    shown.insert("id".to_owned(), json!("made"));
    Body::new(shown)
}

fn made(spec: &ResourceSpec, variant: &'static Variant) -> Map<String, Value> {
    outward::new(spec, &Mark::new(), variant)
}

/// Returns what an update of these fields sends.
fn sent(
    body: &Body,
    fields: &[ResourceField],
    values: &ResourceSpec,
    variant: &'static Variant,
) -> Result<Option<Value>, Vec<Violation>> {
    let change = ResourceChange {
        fields: fields.iter().copied().collect(),
        values: values.clone(),
        etag: None,
    };
    let now = resource(values.kind(), body.clone(), variant);
    let sent = outward::changes(body, &now, &change, variant)?;
    Ok(sent.map(Value::Object))
}

fn one(kind: ResourceKind) -> &'static str {
    Kind::of(kind).unwrap().one
}

fn read(kind: ResourceKind, fields: Value, variant: &'static Variant) -> Resource {
    resource(kind, body(&fields), variant)
}
