//! Creates a connection, with the endpoint groups for its rules if its service has no subnet.

use crate::{
    core::{
        dialect::{Action, Call, Done, Made, Mark, Plan, Proof, Step, Written},
        error::{Error, ErrorReason, Result},
    },
    dialects::{
        lost_write::{Doubt, Outcome},
        openstack::{
            client::{Ask, Client},
            error::{self, Asked},
            read,
            resources::plan::{make, step_to_make},
            translate::{self, Writing},
            wire::{
                Body,
                kind::{CONNECTIONS, ENDPOINT_GROUPS, SERVICES},
            },
            write::{
                made::{Told, Unmarked},
                plan::{
                    form::{Form, Service, form},
                    groups, warnings,
                },
                sent::{Write, find, object, send},
            },
        },
    },
    model::{
        ConnectionSpec, Field, NewConnection, ResourceKind, ResourceSpec, Selectors, Settings,
    },
    rest::answer::Answer,
};
use async_trait::async_trait;
use std::collections::HashMap;

/// The references of a connection to parts that the same call may create.
const REFERENCES: [(ResourceKind, Field); 3] = [
    (ResourceKind::VpnService, Field::VpnService),
    (ResourceKind::IkePolicy, Field::IkePolicy),
    (ResourceKind::IpsecPolicy, Field::IpsecPolicy),
];

/// Plans to create a connection, preceded by two endpoint groups if its rules have both sides and its service has no
/// subnet.
///
/// # Errors
/// The cloud cannot express its rules; a read fails.
pub async fn create<'a>(
    client: &'a Client,
    mut wanted: NewConnection,
    mark: Mark,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let groups = groups_of(client, &mut wanted, call).await?;
    let mark = match groups.is_empty() {
        true => mark,
        false => mark.joined(),
    };
    let mut steps: Vec<Step> = groups
        .iter()
        .map(|spec| step_to_make(&ENDPOINT_GROUPS, spec, mark.clone()))
        .collect();
    let has_room = client.variant().description;
    let unmarked = match has_room {
        true => None,
        false => Some(unmarked(client, &wanted.spec, call).await?),
    };
    let told = Told {
        unmarked,
        ..Told::default()
    };
    steps.push(Step {
        fields: fields(&wanted),
        mark: has_room.then(|| mark.clone()),
        bears_key: translate::psk(&wanted.spec).is_some(),
        memo: told.memo(),
        ..Step::new(Action::Create, CONNECTIONS.collection, None)
    });
    Ok(Box::new(Create {
        client,
        spec: wanted.spec,
        groups,
        mark,
        told,
        steps,
        ids: Vec::new(),
        written: None,
    }))
}

/// Returns the endpoint groups for rules with both sides. Beside a service with a subnet it drops the rules' sources
/// instead and returns none.
async fn groups_of(
    client: &Client,
    wanted: &mut NewConnection,
    call: &Call,
) -> Result<Vec<ResourceSpec>> {
    let spec = &wanted.spec;
    let rules = match &spec.selectors {
        Some(Selectors::Rules(rules)) if translate::first_with_sources(rules).is_some() => rules,
        _ => return Ok(Vec::new()),
    };
    let part = wanted.parts.get(&ResourceKind::VpnService);
    let service = match (part.map(|part| &part.settings), &spec.vpn_service) {
        (Some(Settings::VpnService(part)), _) => Service::New(part),
        (_, Some(id)) => Service::There(id),
        (_, None) => return Err(Error::internal("a connection without a VPN service")),
    };
    let of = (spec.display_name.as_str(), Writing::New);
    match form(client, service, rules, of, call).await? {
        Form::Groups(groups) => Ok(Vec::from(*groups)),
        Form::Inside(rule) => {
            wanted.spec.selectors = Some(Selectors::Rules(vec![rule]));
            Ok(Vec::new())
        }
    }
}

/// Records the existing connections: where the cloud has no room for a mark, none of them can be what this call
/// creates.
async fn unmarked(client: &Client, spec: &ConnectionSpec, call: &Call) -> Result<Unmarked> {
    let rows = read::all(client, &CONNECTIONS, CONNECTIONS.found_by, call).await?;
    Ok(Unmarked {
        before: rows.iter().map(Body::id).collect(),
        name: spec.display_name.clone(),
        peer_address: spec.peer_address.clone(),
        vpnservice_id: spec.vpn_service.clone(),
    })
}

fn fields(wanted: &NewConnection) -> Vec<String> {
    let is_part = |field: &Field| {
        let mut references = REFERENCES.iter();
        references.any(|(kind, of)| of == field && wanted.has(*kind))
    };
    let all = Field::ALL.iter();
    let given = all.filter(|field| field.is_set(&wanted.spec) || is_part(field));
    given.map(|field| field.path().to_owned()).collect()
}

struct Create<'a> {
    client: &'a Client,
    spec: ConnectionSpec,
    groups: Vec<ResourceSpec>,
    mark: Mark,
    told: Told,
    steps: Vec<Step>,
    /// The ids of the groups created so far.
    ids: Vec<String>,
    written: Option<Written>,
}

#[async_trait]
impl Plan<Written> for Create<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, made: &Made, call: &Call) -> Result<Done> {
        let step = &self.steps[index];
        let id = match self.groups.get(index) {
            Some(spec) => {
                let group = make(self.client, &ENDPOINT_GROUPS, spec, step, call);
                let id = group.await.map_err(groups::as_rules)?.id();
                self.ids.push(id.clone());
                id
            }
            None => {
                self.refer(made);
                let body = self.post(call).await?;
                let id = body.id();
                self.written = Some(Written {
                    id: id.clone(),
                    connection: Some(translate::connection(body, self.client.variant())),
                    // A new row has no earlier status.
                    proof: Proof::AnyStatus,
                    warnings: warnings::of_new(&self.spec),
                });
                id
            }
        };
        Ok(Done {
            id,
            request_id: None,
        })
    }

    fn written(self: Box<Self>) -> Written {
        self.written.expect("the connection was made")
    }
}

impl Create<'_> {
    /// References what was created by earlier steps.
    fn refer(&mut self, made: &Made) {
        let of = |kind: ResourceKind| made.get(&kind).cloned();
        let spec = &mut self.spec;
        spec.vpn_service = spec.vpn_service.take().or(of(ResourceKind::VpnService));
        spec.ike_policy = spec.ike_policy.take().or(of(ResourceKind::IkePolicy));
        spec.ipsec_policy = spec.ipsec_policy.take().or(of(ResourceKind::IpsecPolicy));
        if let [local, peer] = self.ids.as_slice() {
            spec.selectors = Some(Selectors::EndpointGroups {
                local: local.clone(),
                peer: peer.clone(),
            });
        }
    }

    /// Returns the step that creates the connection, completed with ids unknown when it was planned.
    fn last_step(&self) -> Step {
        let mut told = self.told.clone();
        if let Some(unmarked) = &mut told.unmarked {
            unmarked.vpnservice_id = self.spec.vpn_service.clone();
        }
        let step = self.steps.last().expect("the last step makes it");
        Step {
            memo: told.memo(),
            ..step.clone()
        }
    }

    async fn post(&self, call: &Call) -> Result<Body> {
        let (client, spec) = (self.client, &self.spec);
        let secrets: Vec<&str> = translate::psk(spec).into_iter().collect();
        let body = translate::new_connection(spec, &self.mark, client.variant());
        let write = Write {
            kind: &CONNECTIONS,
            ask: Ask::post(
                CONNECTIONS.path(),
                &HashMap::from([(CONNECTIONS.one, body)]),
            ),
            asked: Asked::Create,
            id: None,
            secrets: &secrets,
        };
        let read = |answer: &Answer| object(&CONNECTIONS, answer);
        let lost = match send(client, write, read, call).await? {
            Outcome::Done(body) => return Ok(body),
            Outcome::Lost(lost) => lost,
        };
        let mut found = find(client, &CONNECTIONS, &self.last_step(), &lost, call).await;
        if let Err(error) = &mut found {
            if lost.doubt == Doubt::Failed
                && let Some(cause) = missing_service(client, spec, &secrets, call).await
            {
                return Err(cause);
            }
            let mark = ("mark", self.mark.as_str().to_owned());
            error.context.metadata.push(mark);
        }
        found
    }
}

/// Returns the error for a missing VPN service. Neutron answers a POST that references one with an unexplained 500,
/// so the service is read.
async fn missing_service(
    client: &Client,
    spec: &ConnectionSpec,
    secrets: &[&str],
    call: &Call,
) -> Option<Error> {
    let id = spec.vpn_service.as_deref()?;
    let ask = Ask::get(SERVICES.path_of(id));
    let answered = client.send(ask, call).await.ok()?;
    let answer = &answered.answer;
    let cause = error::is_missing(answer)
        .then(|| error::write_refused(&CONNECTIONS, answer, Asked::Create, secrets))?;
    (cause.reason == ErrorReason::ReferenceNotFound).then_some(cause)
}
