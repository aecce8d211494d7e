//! Making, changing and removing resources. What holds of the writes of connections holds here.

use crate::{
    core::{
        dialect::{Call, Mark, Warning, WrittenResource},
        error::{Error, Result, Violation},
        etag,
    },
    dialects::{
        lost_write::{Doubt, Outcome},
        openstack::{
            client::{Ask, Client},
            error::{self, Asked},
            mark, read,
            resources::{
                inward::resource,
                outward::{changes, new},
            },
            translate,
            wire::{Body, kind::Kind},
            write::{Write, changed, find, object, removed, send},
        },
    },
    model::{
        ResourceChange, ResourceField, ResourceKind, ResourceSpec, Settings,
        algorithm::{EncryptionAlgorithm, IntegrityAlgorithm, PrfAlgorithm, TransformProtocol},
        topology::EndpointType,
    },
    rest::answer::Answer,
};
use std::collections::HashMap;

/// What a resource is found by after a lost answer.
const FOUND_BY: [&str; 2] = ["id", "description"];

/// Makes a resource. Every kind has a description, on every cloud, so the mark tells what a lost POST made.
pub async fn create(
    client: &Client,
    kind: &'static Kind,
    spec: &ResourceSpec,
    mark: &Mark,
    call: &Call,
) -> Result<WrittenResource> {
    let body = new(spec, mark, client.variant());
    let write = Write {
        kind,
        ask: Ask::post(kind.path(), &HashMap::from([(kind.one, body)])),
        asked: Asked::Create,
        id: None,
        secrets: &[],
    };
    let body = match send(client, write, |answer| object(kind, answer), call).await? {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_it = |row: &Body| mark::is(&row.text("description").unwrap_or_default(), mark);
            let found = find(client, kind, &FOUND_BY, is_it, &lost, call).await;
            found.map_err(|mut error| {
                if lost.doubt == Doubt::Failed {
                    blame_withdrawn(&mut error, |field| said(field, spec));
                }
                let mark = ("mark", mark.as_str().to_owned());
                error.context.metadata.push(mark);
                error
            })?
        }
    };
    Ok(written(client, spec.kind(), body, warnings(spec)))
}

/// Changes what differs.
pub async fn update(
    client: &Client,
    kind: &'static Kind,
    id: &str,
    change: &ResourceChange,
    call: &Call,
) -> Result<WrittenResource> {
    let variant = client.variant();
    let of = change.values.kind();
    let before = read::present(client, kind, id, call).await?;
    etag::check(
        change.etag.as_deref(),
        &translate::etag(kind, &before, variant),
    )?;
    let differs = |now: &Body| changes(now, &resource(of, now.clone(), variant), change, variant);
    let Some(body) = differs(&before).map_err(Error::not_expressible)? else {
        return Ok(written(client, of, before, Vec::new()));
    };
    let write = Write {
        kind,
        ask: Ask::put(kind.path_of(id), &HashMap::from([(kind.one, body)])),
        asked: Asked::Change,
        id: Some(id),
        secrets: &[],
    };
    let after = match send(client, write, |answer| object(kind, answer), call).await? {
        Outcome::Done(body) => body,
        Outcome::Lost(lost) => {
            let is_as_wanted = |now: &Body| matches!(differs(now), Ok(None));
            let now = changed(client, kind, id, is_as_wanted, &lost, call).await;
            now.map_err(|mut error| {
                if lost.doubt == Doubt::Failed {
                    let named = |field| change.fields.contains(&field);
                    blame_withdrawn(&mut error, |field| {
                        named(field) && said(field, &change.values)
                    });
                }
                error
            })?
        }
    };
    Ok(written(client, of, after, warnings(&change.values)))
}

/// Removes a resource that nothing uses.
pub async fn delete(
    client: &Client,
    kind: &'static Kind,
    id: &str,
    etag: Option<&str>,
    call: &Call,
) -> Result<WrittenResource> {
    if etag::given(etag).is_some() {
        let now = read::present(client, kind, id, call).await?;
        etag::check(etag, &translate::etag(kind, &now, client.variant()))?;
    }
    let write = Write {
        kind,
        ask: Ask::delete(kind.path_of(id)),
        asked: Asked::Remove,
        id: Some(id),
        secrets: &[],
    };
    let nothing = |answer: &Answer| error::removed(answer, error::broken);
    if let Outcome::Lost(lost) = send(client, write, nothing, call).await? {
        removed(client, kind, id, &lost, call).await?;
    }
    Ok(WrittenResource {
        resource: None,
        request_ids: Vec::new(),
        warnings: Vec::new(),
    })
}

fn written(
    client: &Client,
    of: ResourceKind,
    body: Body,
    warnings: Vec<Warning>,
) -> WrittenResource {
    WrittenResource {
        resource: Some(resource(of, body, client.variant())),
        // Neutron's request ids are for its operators, and nothing is told by them later.
        request_ids: Vec::new(),
        warnings,
    }
}

/// Whether a spec wants, of this field, an algorithm that Neutron's database has no longer had since 2026.2, though its
/// API still takes it: such a write is answered by a 500 without a word.
fn said(field: ResourceField, spec: &ResourceSpec) -> bool {
    let sha1 = Some(IntegrityAlgorithm::HmacSha1x96);
    let triple_des = Some(EncryptionAlgorithm::TripleDes);
    match (field, &spec.settings) {
        (ResourceField::IntegrityAlgorithms, Settings::IkePolicy(it)) => {
            it.integrity_algorithms.contains(&sha1)
        }
        (ResourceField::IntegrityAlgorithms, Settings::IpsecPolicy(it)) => {
            it.integrity_algorithms.contains(&sha1)
        }
        (ResourceField::PrfAlgorithms, Settings::IkePolicy(it)) => {
            it.prf_algorithms.contains(&Some(PrfAlgorithm::HmacSha1))
        }
        (ResourceField::EncryptionAlgorithms, Settings::IkePolicy(it)) => {
            it.encryption_algorithms.contains(&triple_des)
        }
        (ResourceField::EncryptionAlgorithms, Settings::IpsecPolicy(it)) => {
            it.encryption_algorithms.contains(&triple_des)
        }
        _ => false,
    }
}

/// Says of a write that failed which algorithms may be why.
fn blame_withdrawn(error: &mut Error, said: impl Fn(ResourceField) -> bool) {
    for field in [
        ResourceField::EncryptionAlgorithms,
        ResourceField::IntegrityAlgorithms,
        ResourceField::PrfAlgorithms,
    ] {
        if said(field) {
            let what = "has an algorithm that this cloud may no longer take: SHA1 and 3DES are gone from later Neutrons";
            error.message = format!("{}; `{}` {what}", error.message, field.path());
            let violation = Violation::new(field.path(), what);
            error.context.violations.push(violation);
        }
    }
}

fn warnings(spec: &ResourceSpec) -> Vec<Warning> {
    let (field, message) = match &spec.settings {
        Settings::IpsecPolicy(it) if it.transform_protocol == Some(TransformProtocol::AhEsp) => {
            let what = "the cloud makes such a policy and refuses every connection with it";
            (ResourceField::TransformProtocol, what)
        }
        Settings::EndpointGroup(it)
            if matches!(
                it.endpoint_type,
                Some(EndpointType::Network | EndpointType::Router | EndpointType::Vlan)
            ) =>
        {
            let what = "the cloud makes such a group and no connection takes it";
            (ResourceField::EndpointType, what)
        }
        _ => return Vec::new(),
    };
    vec![Warning {
        field: field.path().to_owned(),
        message: message.to_owned(),
    }]
}
