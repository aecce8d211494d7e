//! Creates a connection with its parts, as one plan. Equal parts that exist are reused if the caller allows it. The
//! rest is created in dependency order under one mark.

use crate::{
    core::{
        dialect::{
            Action, Call, Done, Made, Mark, Pages, Plan, Proof, Step, Warning, Written,
            WrittenResource,
        },
        error::{Error, ErrorReason, Result, Violation},
        writes::desk::Writes,
    },
    model::{ConnectionSpec, NewConnection, Resource, ResourceKind, ResourceSpec, Reuse, Settings},
};
use async_trait::async_trait;

/// The request field that holds the parts of a connection.
const PARTS: &str = "parts";

/// Returns the field of `parts` for a kind of resource, or `None` for kinds that are never parts.
pub fn field(kind: ResourceKind) -> Option<&'static str> {
    match kind {
        ResourceKind::IkePolicy => Some("ike_policy"),
        ResourceKind::IpsecPolicy => Some("ipsec_policy"),
        ResourceKind::DpdPolicy => Some("dpd_policy"),
        ResourceKind::VpnService => Some("vpn_service"),
        ResourceKind::LocalEndpoint => Some("local_endpoint"),
        ResourceKind::EndpointGroup => None,
    }
}

/// Returns the path of a part in its request.
pub fn path(kind: ResourceKind) -> String {
    format!("{PARTS}.{}", field(kind).unwrap_or_default())
}

/// Returns the reference to a part of `kind` in `spec`, or `None` for kinds that are never parts.
pub fn reference(spec: &mut ConnectionSpec, kind: ResourceKind) -> Option<&mut Option<String>> {
    match kind {
        ResourceKind::IkePolicy => Some(&mut spec.ike_policy),
        ResourceKind::IpsecPolicy => Some(&mut spec.ipsec_policy),
        ResourceKind::DpdPolicy => Some(&mut spec.dpd_policy),
        ResourceKind::VpnService => Some(&mut spec.vpn_service),
        ResourceKind::LocalEndpoint => Some(&mut spec.local_endpoint),
        ResourceKind::EndpointGroup => None,
    }
}

/// Plans to create a connection with its parts, after the dialect has looked up in the cloud what they leave open.
///
/// # Errors
/// Those of [`Dialect::attach`](crate::core::dialect::Dialect::attach) and of planning the parts and the connection.
pub async fn plan<'a>(
    on: &'a Writes,
    wanted: &NewConnection,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let wanted = &on.dialect().attach(wanted.clone(), call).await?;
    if wanted.parts.is_empty() {
        return on
            .dialect()
            .plan_create(wanted.clone(), Mark::new(), call)
            .await;
    }
    let mark = Mark::joint();
    let mut connection = wanted.clone();
    let mut parts = Vec::new();
    for (kind, spec) in &wanted.parts {
        let kind = *kind;
        let spec = in_service(spec, &connection, wanted);
        let equal = equal(on, kind, &spec, &connection, call).await;
        let part = match equal.map_err(|error| error.within(&path(kind)))? {
            Some(id) => {
                connection.parts.remove(&kind);
                if let Some(reference) = reference(&mut connection.spec, kind) {
                    *reference = Some(id.clone());
                }
                let collection = kind.collection().segment();
                Part::Reused(Step::new(Action::Reuse, collection, Some(id)))
            }
            None => {
                let resources = on.dialect().resources();
                let plan = resources.plan_create(spec, mark.clone(), call).await;
                Part::New(kind, plan.map_err(|error| error.within(&path(kind)))?)
            }
        };
        parts.push(part);
    }
    let own = on.dialect().plan_create(connection, mark, call).await?;
    Ok(Box::new(Joint::new(parts, own)))
}

/// Returns `spec` with a local endpoint placed in the VPN service of the same request, unless it names one. The
/// service's id is known only if an existing service is reused.
fn in_service(spec: &ResourceSpec, now: &NewConnection, wanted: &NewConnection) -> ResourceSpec {
    let mut spec = spec.clone();
    if let Settings::LocalEndpoint(endpoint) = &mut spec.settings
        && endpoint.vpn_service.is_none()
        && wanted.has(ResourceKind::VpnService)
    {
        endpoint.vpn_service.clone_from(&now.spec.vpn_service);
    }
    spec
}

/// Returns the id of an equal resource that exists and may be reused; the smallest id if there are several.
///
/// # Errors
/// If the resources cannot be listed.
pub(super) async fn equal(
    on: &Writes,
    kind: ResourceKind,
    spec: &ResourceSpec,
    now: &NewConnection,
    call: &Call,
) -> Result<Option<String>> {
    let in_new_service = kind == ResourceKind::LocalEndpoint && now.has(ResourceKind::VpnService);
    if now.reuse == Reuse::Never || in_new_service {
        return Ok(None);
    }
    let resources = on.dialect().resources();
    let may_be = |there: &Resource| {
        (now.reuse == Reuse::Any || there.managed) && resources.is_equal(spec, there)
    };
    let mut pages = Pages::all();
    while let Some(request) = pages.next_page()? {
        let read = pages.read(on.backend().list_resources(kind, &request, call).await?);
        if let Some(there) = read.iter().find(|it| may_be(it)) {
            return Ok(Some(there.id.clone()));
        }
    }
    Ok(None)
}

/// What becomes of a part.
pub(super) enum Part<'a> {
    /// An equal part that exists is reused.
    Reused(Step),
    /// A part is created.
    New(ResourceKind, Box<dyn Plan<WrittenResource> + 'a>),
    /// The existing part is changed.
    Changed(ResourceKind, Box<dyn Plan<WrittenResource> + 'a>),
}

/// A plan that writes the parts, then the connection.
pub(super) struct Joint<'a> {
    steps: Vec<Step>,
    /// The part that each step belongs to, and the step's index in that part's plan. The connection's steps follow
    /// these.
    places: Vec<(usize, usize)>,
    parts: Vec<Part<'a>>,
    own: Box<dyn Plan<Written> + 'a>,
    made: Made,
}

impl<'a> Joint<'a> {
    pub(super) fn new(parts: Vec<Part<'a>>, own: Box<dyn Plan<Written> + 'a>) -> Joint<'a> {
        let (mut steps, mut places) = (Vec::new(), Vec::new());
        for (part, it) in parts.iter().enumerate() {
            let of_part = match it {
                Part::Reused(step) => std::slice::from_ref(step),
                Part::New(_, plan) | Part::Changed(_, plan) => plan.steps(),
            };
            places.extend((0..of_part.len()).map(|place| (part, place)));
            steps.extend_from_slice(of_part);
        }
        steps.extend_from_slice(own.steps());
        Joint {
            steps,
            places,
            parts,
            own,
            made: Made::new(),
        }
    }
}

#[async_trait]
impl Plan<Written> for Joint<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, _made: &Made, call: &Call) -> Result<Done> {
        let Some((part, place)) = self.places.get(index).copied() else {
            let index = index - self.places.len();
            return self.own.perform(index, &self.made, call).await;
        };
        match &mut self.parts[part] {
            Part::Reused(_) => Err(Error::internal("what is reused is not made")),
            Part::New(kind, plan) => {
                let done = plan.perform(place, &self.made, call).await;
                let done = done.map_err(|error| {
                    let error = error.during(format!("making the {}", kind.noun()));
                    error.within(&path(*kind))
                })?;
                self.made.insert(*kind, done.id.clone());
                Ok(done)
            }
            Part::Changed(kind, plan) => {
                let done = plan.perform(place, &self.made, call).await;
                done.map_err(|error| {
                    let fields = &plan.steps()[place].fields;
                    let error = in_use(error, fields).within(&path(*kind));
                    error.during(format!("changing the {}", kind.noun()))
                })
            }
        }
    }

    fn written(self: Box<Self>) -> Written {
        let mut written = self.own.written();
        let mut changed = Vec::new();
        for part in self.parts {
            let (kind, of_part) = match part {
                Part::Reused(_) => continue,
                Part::New(kind, plan) => (kind, plan.written()),
                Part::Changed(kind, plan) => {
                    let of_part = plan.written();
                    changed.push(of_part.request_ids.clone());
                    (kind, of_part)
                }
            };
            let warnings = of_part.warnings.into_iter();
            written.warnings.extend(warnings.map(|warning| Warning {
                field: format!("{}.{}", path(kind), warning.field),
                ..warning
            }));
        }
        written.proof = with_parts(written.proof, &changed);
        written
    }
}

/// Combines the connection's proof with those of the parts changed with it; `changed` holds the cloud's request ids of
/// each such part. A created part needs none: it is real once the connection is.
fn with_parts(own: Proof, changed: &[Vec<String>]) -> Proof {
    if changed.is_empty() {
        return own;
    }
    let of_parts = || changed.iter().flatten().cloned();
    let are_told = changed.iter().all(|ids| !ids.is_empty());
    match own {
        Proof::RequestIds(ids) if are_told => Proof::RequestIds(of_parts().chain(ids).collect()),
        Proof::Nothing if are_told => Proof::RequestIds(of_parts().collect()),
        // The status changes with everything written before it.
        Proof::StatusMustMove { .. } | Proof::AnyStatus => own,
        Proof::RequestIds(_) | Proof::RequestIdMissing | Proof::Descriptive | Proof::Nothing => {
            Proof::RequestIdMissing
        }
    }
}

/// Turns a refusal to change a part in use into `ReplacementNeeded`: another part can have these fields.
fn in_use(error: Error, fields: &[String]) -> Error {
    if error.reason != ErrorReason::InUse {
        return error;
    }
    let why =
        "differs from what is there, which the cloud does not change while a connection uses it";
    let each = fields.iter().map(|field| Violation::new(field, why));
    let mut needed = Error::replacement_needed(each.collect());
    needed.context.upstream = error.context.upstream;
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poll_speaks_for_a_connection_if_it_does_for_its_parts() {
        let ids = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
        let moved = || Proof::StatusMustMove {
            native_state: "ACTIVE".to_owned(),
        };
        let (told, untold) = ([ids(&["p"])], [ids(&[])]);
        for (own, changed, expected) in [
            (Proof::Nothing, &[][..], Proof::Nothing),
            (Proof::Nothing, &told, Proof::RequestIds(ids(&["p"]))),
            (Proof::Nothing, &untold, Proof::RequestIdMissing),
            (Proof::Descriptive, &untold, Proof::RequestIdMissing),
            (moved(), &untold, moved()),
            (
                Proof::RequestIds(ids(&["c"])),
                &told,
                Proof::RequestIds(ids(&["p", "c"])),
            ),
            (
                Proof::RequestIds(ids(&["c"])),
                &untold,
                Proof::RequestIdMissing,
            ),
            (Proof::RequestIdMissing, &told, Proof::RequestIdMissing),
        ] {
            assert_eq!(with_parts(own, changed), expected);
        }
    }
}
