//! A connection with its parts, as one plan: what is there and equal is used, if its caller wants that; the rest is made, in
//! the order in which it can be, under one mark.

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

/// Where in its request stands what is made together with a connection.
const PARTS: &str = "parts";

/// The field of `parts` that a kind of resource has; `None` for what does not come as a part.
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

/// The path of a part in its request.
pub fn path(kind: ResourceKind) -> String {
    format!("{PARTS}.{}", field(kind).unwrap_or_default())
}

/// What a connection refers to of a kind; `None` for kinds that do not come as parts.
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

/// Plans to make a connection with its parts, after the dialect has found in the cloud what they leave open.
///
/// # Errors
/// As [`Dialect::attach`](crate::core::dialect::Dialect::attach), and as its parts and the connection itself cannot be
/// planned.
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

/// A local endpoint belongs to the service that comes with it. That is known if it is there already.
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

/// The id of something equal that is there and may be used; the smallest, if there are several.
///
/// # Errors
/// As the resources cannot be listed.
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
    /// Something equal is used.
    Reused(Step),
    /// It is made.
    New(ResourceKind, Box<dyn Plan<WrittenResource> + 'a>),
    /// The one that is there is changed.
    Changed(ResourceKind, Box<dyn Plan<WrittenResource> + 'a>),
}

/// The parts, then the connection.
pub(super) struct Joint<'a> {
    steps: Vec<Step>,
    /// Whose each step is, and its place there; those of the connection come after them.
    places: Vec<(usize, usize)>,
    parts: Vec<Part<'a>>,
    own: Box<dyn Plan<Written> + 'a>,
    made: Made,
}

impl<'a> Joint<'a> {
    /// One that writes these parts, and then the connection.
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

/// How a later poll can tell that it speaks for the connection and for the parts that were changed with it, of each of which
/// these are the cloud's ids. A part that was made is real once the connection is.
fn with_parts(own: Proof, changed: &[Vec<String>]) -> Proof {
    if changed.is_empty() {
        return own;
    }
    let of_parts = || changed.iter().flatten().cloned();
    let are_told = changed.iter().all(|ids| !ids.is_empty());
    match own {
        Proof::RequestIds(ids) if are_told => Proof::RequestIds(of_parts().chain(ids).collect()),
        Proof::Nothing if are_told => Proof::RequestIds(of_parts().collect()),
        // Its status moves with all that was written before.
        Proof::StatusMustMove { .. } | Proof::AnyStatus => own,
        Proof::RequestIds(_) | Proof::RequestIdMissing | Proof::Descriptive | Proof::Nothing => {
            Proof::RequestIdMissing
        }
    }
}

/// What the cloud does not change because it is in use, somebody else may have: those fields of another part.
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
