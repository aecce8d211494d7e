//! Changes a connection. Endpoint groups are immutable: for other networks the plan creates new groups, switches the
//! connection to them, and removes the old ones if they were created with a connection.

use crate::{
    core::{
        dialect::{Action, Call, Done, Made, Mark, Plan, Proof, Single, Step, Written},
        error::{Error, Result},
        etag,
    },
    dialects::{
        lost_write::Outcome,
        openstack::{
            client::{Ask, Client},
            error::{self, Asked},
            read,
            resources::plan::{make, step_to_make},
            status,
            translate::{self, Values, Writing},
            wire::{
                Body,
                kind::{CONNECTIONS, ENDPOINT_GROUPS},
            },
            write::{
                plan::{
                    form::{Form, Service, form},
                    groups::{self, Side},
                    warnings,
                },
                sent::{Write, changed, object, remove, send},
            },
        },
    },
    model::{Connection, ConnectionChange, Field, PolicyRule, ResourceSpec, Selectors},
    rest::answer::Answer,
};
use async_trait::async_trait;
use ipnet::IpNet;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Plans to change what differs: new groups, the connection, and the removal of groups that no connection needs any
/// more.
///
/// # Errors
/// `NotFound`; `Stale`; a field that cannot be changed, at all or in the current state.
pub async fn update<'a>(
    client: &'a Client,
    id: &'a str,
    change: ConnectionChange,
    call: &Call,
) -> Result<Box<dyn Plan<Written> + 'a>> {
    let variant = client.variant();
    let before = read::present(client, &CONNECTIONS, id, call).await?;
    etag::check(
        change.etag.as_deref(),
        &translate::etag(&CONNECTIONS, &before, variant),
    )?;
    let now = translate::connection(before.clone(), variant);
    let mut change = change.without(&now);
    let fixed = translate::fixed(&change, &now, variant);
    if !fixed.is_empty() {
        return Err(Error::not_expressible(fixed));
    }
    let switch = Switch::of(client, &mut change, &now, call).await?;
    let body = translate::changes(&before, &change, variant).map_err(Error::not_expressible)?;
    if body.is_none() && switch.new.is_empty() {
        let written = written(before, Proof::Nothing, &change, client);
        return Ok(Single::none(written));
    }
    if let Some(state) = status::pending(before.status().as_deref()) {
        return Err(error::pending(&state));
    }
    let body = body.unwrap_or_default();
    let mut fields = translate::paths(&body);
    if !switch.new.is_empty() {
        fields.push(Field::Selectors.path().to_owned());
    }
    let go = groups::that_go(client, id, &switch.left, call).await?;
    let mark = Mark::joint();
    let steps = steps(id, &before, &body, &switch, &go, fields, &mark);
    Ok(Box::new(Update {
        client,
        id,
        change,
        body,
        switch,
        go,
        steps,
        written: None,
    }))
}

fn steps(
    id: &str,
    before: &Body,
    body: &Map<String, Value>,
    switch: &Switch,
    go: &[String],
    fields: Vec<String>,
    mark: &Mark,
) -> Vec<Step> {
    let new = switch.new.iter();
    let mut steps: Vec<Step> = new
        .map(|(_, spec)| step_to_make(&ENDPOINT_GROUPS, spec, mark.clone()))
        .collect();
    let mut values = Values::of(body, before);
    for (side, _) in &switch.new {
        values.remember(side.key(), before);
        values.made.push(side.key().to_owned());
    }
    steps.push(Step {
        fields,
        // The groups' mark shows later whether the connection references them.
        mark: (!switch.new.is_empty()).then(|| mark.clone()),
        bears_key: body.contains_key("psk"),
        memo: serde_json::to_value(values).unwrap_or_default(),
        ..Step::new(Action::Update, CONNECTIONS.collection, Some(id.to_owned()))
    });
    let remove =
        |id: &String| Step::new(Action::Delete, ENDPOINT_GROUPS.collection, Some(id.clone()));
    steps.extend(go.iter().map(remove));
    steps
}

/// The endpoint groups that a connection switches to.
#[derive(Default)]
struct Switch {
    /// The groups to create.
    new: Vec<(Side, ResourceSpec)>,
    /// The ids of both groups, as far as they exist.
    ids: BTreeMap<Side, String>,
    /// The groups that the connection no longer references.
    left: Vec<Body>,
}

impl Switch {
    /// Takes the rules with both sides out of the change and returns the groups for them; no groups if there are no
    /// such rules.
    ///
    /// Beside a service with a subnet the rules stay in the change without their sources, if they change anything.
    async fn of(
        client: &Client,
        change: &mut ConnectionChange,
        now: &Connection,
        call: &Call,
    ) -> Result<Switch> {
        let rules = match &change.values.selectors {
            Some(Selectors::Rules(rules))
                if change.fields.contains(&Field::Selectors)
                    && translate::first_with_sources(rules).is_some() =>
            {
                rules
            }
            _ => return Ok(Switch::default()),
        };
        let name = match change.fields.contains(&Field::DisplayName) {
            true => &change.values.display_name,
            false => &now.display_name,
        };
        let service = Service::There(now.vpn_service.as_deref().unwrap_or_default());
        let form = form(client, service, rules, (name, Writing::Change), call).await?;
        let wanted = match (form, &now.selectors) {
            (Form::Inside(rule), _) => {
                match has_destinations(now, &rule) {
                    true => drop(change.fields.remove(&Field::Selectors)),
                    false => change.values.selectors = Some(Selectors::Rules(vec![rule])),
                }
                return Ok(Switch::default());
            }
            (Form::Groups(_), Some(Selectors::Rules(_))) => {
                return Err(Error::not_expressible(vec![translate::other_kind()]));
            }
            (Form::Groups(wanted), _) => *wanted,
        };
        change.fields.remove(&Field::Selectors);
        let there = match &now.selectors {
            Some(Selectors::EndpointGroups { local, peer }) => [Some(local), Some(peer)],
            _ => [None, None],
        };
        let mut switch = Switch::default();
        for ((side, spec), id) in Side::BOTH.into_iter().zip(wanted).zip(there) {
            let group = match id {
                Some(id) => groups::there(client, id, call).await?,
                None => None,
            };
            match group {
                Some(group) if groups::is_as_wanted(&group, &spec) => {
                    switch.ids.insert(side, group.id());
                }
                group => {
                    switch.left.extend(group);
                    switch.new.push((side, spec));
                }
            }
        }
        Ok(switch)
    }
}

/// Reports whether a connection already has these networks of the peer, host bits aside.
fn has_destinations(now: &Connection, wanted: &PolicyRule) -> bool {
    let Some(Selectors::Rules(there)) = &now.selectors else {
        return false;
    };
    let networks = |rules: &[PolicyRule]| -> Option<BTreeSet<IpNet>> {
        let mut texts = rules.iter().flat_map(|rule| &rule.destinations);
        texts.try_fold(BTreeSet::new(), |mut all, text| {
            all.insert(translate::network(text)?);
            Some(all)
        })
    };
    let there = networks(there);
    there.is_some() && there == networks(std::slice::from_ref(wanted))
}

struct Update<'a> {
    client: &'a Client,
    id: &'a str,
    change: ConnectionChange,
    body: Map<String, Value>,
    switch: Switch,
    /// The ids of the groups to remove.
    go: Vec<String>,
    steps: Vec<Step>,
    written: Option<Written>,
}

#[async_trait]
impl Plan<Written> for Update<'_> {
    fn steps(&self) -> &[Step] {
        &self.steps
    }

    async fn perform(&mut self, index: usize, _made: &Made, call: &Call) -> Result<Done> {
        let made = self.switch.new.len();
        let id = match (self.switch.new.get(index), index.checked_sub(made + 1)) {
            (Some((side, spec)), _) => {
                let step = &self.steps[index];
                let group = make(self.client, &ENDPOINT_GROUPS, spec, step, call).await;
                let id = group.map_err(groups::as_rules)?.id();
                self.switch.ids.insert(*side, id.clone());
                id
            }
            (None, None) => {
                self.put(index, call).await?;
                self.id.to_owned()
            }
            (None, Some(index)) => {
                let id = self.go[index].clone();
                remove(self.client, &ENDPOINT_GROUPS, &id, call).await?;
                id
            }
        };
        Ok(Done {
            id,
            request_id: None,
        })
    }

    fn written(self: Box<Self>) -> Written {
        self.written.expect("the connection was changed")
    }
}

impl Update<'_> {
    async fn put(&mut self, index: usize, call: &Call) -> Result<()> {
        let client = self.client;
        let mut values: Values =
            serde_json::from_value(self.steps[index].memo.clone()).unwrap_or_default();
        let mut body = self.body.clone();
        if !self.switch.new.is_empty() {
            for (side, id) in &self.switch.ids {
                body.insert(side.key().to_owned(), id.as_str().into());
                values
                    .wanted
                    .insert(side.key().to_owned(), id.as_str().into());
            }
        }
        let is_descriptive = translate::is_descriptive(&body);
        let secrets: Vec<&str> = translate::psk(&self.change.values).into_iter().collect();
        let write = Write {
            kind: &CONNECTIONS,
            ask: Ask::put(
                CONNECTIONS.path_of(self.id),
                &HashMap::from([(CONNECTIONS.one, body)]),
            ),
            asked: Asked::Change,
            id: Some(self.id),
            secrets: &secrets,
        };
        let read = |answer: &Answer| object(&CONNECTIONS, answer);
        let after = match send(client, write, read, call).await? {
            Outcome::Done(body) => body,
            Outcome::Lost(lost) => {
                let is_as_wanted =
                    |now: &Body| values.are_wanted(&CONNECTIONS, now, client.variant());
                changed(client, &CONNECTIONS, self.id, is_as_wanted, &lost, call).await?
            }
        };
        let proof = match is_descriptive {
            true => Proof::Descriptive,
            // A PUT does not touch `status`, which may still describe the previous configuration.
            false => Proof::StatusMustMove {
                native_state: status::native(after.status().as_deref()),
            },
        };
        self.written = Some(written(after, proof, &self.change, client));
        Ok(())
    }
}

fn written(body: Body, proof: Proof, change: &ConnectionChange, client: &Client) -> Written {
    let connection = translate::connection(body, client.variant());
    Written {
        id: connection.id.clone(),
        warnings: warnings::of_change(change, &connection),
        connection: Some(connection),
        proof,
    }
}
