//! Creates, changes and removes resources, as plans of one step. The rules for writes of connections apply.

use crate::{
    core::{
        dialect::{Action, Call, Done, Mark, Plan, Single, Step, Warning, WrittenResource},
        error::{Error, Result, Violation},
        etag,
    },
    dialects::{
        lost_write::{Doubt, Outcome},
        openstack::{
            client::{Ask, Client},
            error::{self, Asked},
            read,
            resources::{
                inward::resource,
                outward::{changes, differing, given, new},
                words::type_word,
            },
            status,
            translate::{self, Values},
            wire::{
                Body,
                kind::{CONNECTIONS, Kind},
            },
            write::{
                made::Told,
                sent::{Write, changed, find, object, remove, send},
            },
        },
    },
    model::{
        ResourceChange, ResourceField, ResourceKind, ResourceSpec, Settings,
        algorithm::{EncryptionAlgorithm, IntegrityAlgorithm, PrfAlgorithm, TransformProtocol},
        topology::EndpointType,
    },
};
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};

/// Plans to create a resource. The resource references nothing that the same write creates.
pub fn create<'a>(
    client: &'a Client,
    kind: &'static Kind,
    spec: ResourceSpec,
    mark: Mark,
) -> Box<dyn Plan<WrittenResource> + 'a> {
    let step = step_to_make(kind, &spec, mark);
    Single::new(step.clone(), move |_made, call| {
        Box::pin(async move {
            let body = make(client, kind, &spec, &step, &call).await?;
            Ok((
                done(&body),
                written(client, spec.kind(), body, warnings(&spec)),
            ))
        })
    })
}

/// Returns the step that creates a resource. Every kind has a description on every cloud, so the mark identifies what
/// a lost POST created.
pub fn step_to_make(kind: &Kind, spec: &ResourceSpec, mark: Mark) -> Step {
    let group_type = match &spec.settings {
        Settings::EndpointGroup(it) => it.endpoint_type.and_then(type_word),
        _ => None,
    };
    let memo = match group_type {
        Some(word) => Told {
            group_type: Some(word.to_owned()),
            ..Told::default()
        }
        .memo(),
        None => Value::Null,
    };
    Step {
        fields: paths(given(spec)),
        mark: Some(mark),
        memo,
        ..Step::new(Action::Create, kind.collection, None)
    }
}

/// Performs a step from [`step_to_make`].
///
/// # Errors
/// Any error if the resource certainly was not created; `Ambiguous` if that cannot be known.
pub async fn make(
    client: &Client,
    kind: &'static Kind,
    spec: &ResourceSpec,
    step: &Step,
    call: &Call,
) -> Result<Body> {
    let mark = step.mark.clone().unwrap_or_default();
    let body = new(spec, &mark, client.variant());
    let write = Write {
        kind,
        ask: Ask::post(kind.path(), &HashMap::from([(kind.one, body)])),
        asked: Asked::Create,
        id: None,
        secrets: &[],
    };
    let lost = match send(client, write, |answer| object(kind, answer), call).await? {
        Outcome::Done(body) => return Ok(body),
        Outcome::Lost(lost) => lost,
    };
    let found = find(client, kind, step, &lost, call).await;
    found.map_err(|mut error| {
        if lost.doubt == Doubt::Failed {
            blame_withdrawn(&mut error, |field| said(field, spec));
        }
        let mark = ("mark", mark.as_str().to_owned());
        error.context.metadata.push(mark);
        error
    })
}

/// Plans to change what differs.
///
/// # Errors
/// `NotFound`; `Stale`; a field that cannot be changed, at all or in the current state; `InUse` for a policy that a
/// connection uses.
pub async fn update<'a>(
    client: &'a Client,
    kind: &'static Kind,
    id: &'a str,
    change: ResourceChange,
    call: &Call,
) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
    let variant = client.variant();
    let of = change.values.kind();
    let before = read::present(client, kind, id, call).await?;
    etag::check(
        change.etag.as_deref(),
        &translate::etag(kind, &before, variant),
    )?;
    let now = resource(of, before.clone(), variant);
    let wanted = changes(&before, &now, &change, variant).map_err(Error::not_expressible)?;
    let Some(body) = wanted else {
        return Ok(Single::none(written(client, of, before, Vec::new())));
    };
    if let Some(state) = status::pending(before.status().as_deref()) {
        return Err(error::pending(&state));
    }
    let fields = paths(differing(&now.spec, &change));
    if let Some(user) = user_of(client, kind, id, call).await? {
        return Err(error::frozen(kind, &user, &fields));
    }
    let values = Values::of(&body, &before);
    let step = Step {
        fields,
        memo: serde_json::to_value(values).unwrap_or_default(),
        ..Step::new(Action::Update, kind.collection, Some(id.to_owned()))
    };
    Ok(Single::new(step, move |_made, call| {
        Box::pin(async move {
            let after = put(client, kind, (id, body), &change, &call).await?;
            let written = written(client, of, after, warnings(&change.values));
            Ok((
                Done {
                    id: id.to_owned(),
                    request_id: None,
                },
                written,
            ))
        })
    }))
}

/// Returns the first connection that uses an object whose kind cannot be changed while it is in use.
async fn user_of(client: &Client, kind: &Kind, id: &str, call: &Call) -> Result<Option<String>> {
    let Some(reference) = kind.frozen_by else {
        return Ok(None);
    };
    let rows = read::all(client, &CONNECTIONS, &["id", reference], call).await?;
    let uses = |row: &&Body| row.text(reference).as_deref() == Some(id);
    Ok(rows.iter().filter(uses).map(Body::id).min())
}

async fn put(
    client: &Client,
    kind: &'static Kind,
    (id, body): (&str, Map<String, Value>),
    change: &ResourceChange,
    call: &Call,
) -> Result<Body> {
    let write = Write {
        kind,
        ask: Ask::put(kind.path_of(id), &HashMap::from([(kind.one, body)])),
        asked: Asked::Change,
        id: Some(id),
        secrets: &[],
    };
    let lost = match send(client, write, |answer| object(kind, answer), call).await? {
        Outcome::Done(body) => return Ok(body),
        Outcome::Lost(lost) => lost,
    };
    let (of, variant) = (change.values.kind(), client.variant());
    let is_as_wanted = |now: &Body| {
        let there = resource(of, now.clone(), variant);
        matches!(changes(now, &there, change, variant), Ok(None))
    };
    let now = changed(client, kind, id, is_as_wanted, &lost, call).await;
    now.map_err(|mut error| {
        if lost.doubt == Doubt::Failed {
            let named = |field| change.fields.contains(&field);
            blame_withdrawn(&mut error, |field| {
                named(field) && said(field, &change.values)
            });
        }
        error
    })
}

/// Plans to remove a resource that nothing uses.
///
/// # Errors
/// `NotFound`, `Stale`.
pub async fn delete<'a>(
    client: &'a Client,
    kind: &'static Kind,
    id: &'a str,
    etag: Option<String>,
    call: &Call,
) -> Result<Box<dyn Plan<WrittenResource> + 'a>> {
    let now = read::present(client, kind, id, call).await?;
    etag::check(
        etag.as_deref(),
        &translate::etag(kind, &now, client.variant()),
    )?;
    let step = Step::new(Action::Delete, kind.collection, Some(id.to_owned()));
    Ok(Single::new(step, move |_made, call| {
        Box::pin(async move {
            remove(client, kind, id, &call).await?;
            let written = WrittenResource {
                resource: None,
                request_ids: Vec::new(),
                warnings: Vec::new(),
            };
            Ok((
                Done {
                    id: id.to_owned(),
                    request_id: None,
                },
                written,
            ))
        })
    }))
}

fn done(body: &Body) -> Done {
    Done {
        id: body.id(),
        request_id: None,
    }
}

fn paths(fields: BTreeSet<ResourceField>) -> Vec<String> {
    fields.into_iter().map(|it| it.path().to_owned()).collect()
}

fn written(
    client: &Client,
    of: ResourceKind,
    body: Body,
    warnings: Vec<Warning>,
) -> WrittenResource {
    WrittenResource {
        resource: Some(resource(of, body, client.variant())),
        // Neutron's request ids serve its operators. Nothing can be queried by them.
        request_ids: Vec::new(),
        warnings,
    }
}

/// Reports whether this field of a spec has an algorithm that the database of Neutron 2026.2 and later does not hold.
/// Its API still takes the algorithm and answers the write with an unexplained 500.
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

/// Adds to the error of a failed write which algorithms may be the cause.
fn blame_withdrawn(error: &mut Error, said: impl Fn(ResourceField) -> bool) {
    for field in [
        ResourceField::EncryptionAlgorithms,
        ResourceField::IntegrityAlgorithms,
        ResourceField::PrfAlgorithms,
    ] {
        if said(field) {
            let what = "has an algorithm that this cloud may no longer take: SHA1 and 3DES are gone from Neutron 2026.2 on; a backend of \
                        variant `neutron-2026.2` refuses them before anything is sent";
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
