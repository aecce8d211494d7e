//! The in-memory cloud as a dialect: capabilities, plans and results.

use super::{Cloud, Key, World, key, said::Said, text};
use crate::{
    core::{
        dialect::{
            Action, Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Proof,
            ResourceCapabilities, Resources, Single, Step, Target, Trace, Usage, Written,
        },
        error::{Error, ErrorKind, Result, Violation},
        home::Home,
    },
    model::{
        Assurance, Connection, ConnectionChange, Field, NewConnection, RealizationState,
        ResourceField, ResourceKind, Selectors, Sighting,
    },
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::ops::RangeInclusive;

const FIELDS: [ResourceField; 2] = [ResourceField::DisplayName, ResourceField::VpnService];

const KINDS: &[ResourceCapabilities] = &[
    ResourceCapabilities {
        fields: &[FIELDS[0], FIELDS[1], ResourceField::Lifetime],
        lifetime_seconds: Some(RangeInclusive::new(1, 99_999)),
        ..ResourceCapabilities::nothing(ResourceKind::IkePolicy)
    },
    ResourceCapabilities {
        fields: &[FIELDS[0], FIELDS[1], ResourceField::Router],
        ..ResourceCapabilities::nothing(ResourceKind::VpnService)
    },
    ResourceCapabilities {
        fields: &[FIELDS[0], FIELDS[1], ResourceField::Address],
        required: &[ResourceField::VpnService],
        ..ResourceCapabilities::nothing(ResourceKind::LocalEndpoint)
    },
    ResourceCapabilities {
        fields: &FIELDS,
        ..ResourceCapabilities::nothing(ResourceKind::EndpointGroup)
    },
];

const MARKED: Capabilities = Capabilities {
    dialect: "memory",
    variant: "",
    route_based: true,
    inline_policy_rules: true,
    endpoint_groups: true,
    certificates: true,
    inline_dpd: true,
    dpd_policies: true,
    mtu: true,
    tcp_mss_clamping: true,
    on_demand_initiation: true,
    admin_disable: true,
    atomic_etag: true,
    nodes: true,
    write_tracking: false,
    look_batch: 1,
    resources: KINDS,
    tunnel_statistics: false,
    connection_marks: true,
    availability_zones: false,
};

static CAPABILITIES: Capabilities = MARKED;
static UNMARKED: Capabilities = Capabilities {
    connection_marks: false,
    ..MARKED
};

pub(super) fn step(action: Action, collection: &str, id: Option<&str>, memo: Value) -> Step {
    Step {
        memo,
        ..Step::new(action, collection, id.map(str::to_owned))
    }
}

/// Returns the references that a change sets to other parts than the connection has.
fn switched(change: &ConnectionChange, there: &Connection) -> Vec<Key> {
    let values = &change.values;
    let each = [
        (
            Field::IkePolicy,
            "ikePolicies",
            &values.ike_policy,
            &there.ike_policy,
        ),
        (
            Field::VpnService,
            "vpnServices",
            &values.vpn_service,
            &there.vpn_service,
        ),
        (
            Field::LocalEndpoint,
            "localEndpoints",
            &values.local_endpoint,
            &there.local_endpoint,
        ),
    ];
    let differs = each.into_iter().filter(|(field, _, wanted, now)| {
        change.fields.contains(field) && wanted.is_some() && wanted != now
    });
    differs
        .filter_map(|(_, collection, wanted, _)| Some(key(collection, wanted.as_deref()?)))
        .collect()
}

fn written(cloud: &Cloud, steps: &[Step]) -> Written {
    let of_it = steps.iter().find(|it| it.collection == "connections");
    let id = of_it.and_then(|it| it.id.clone()).unwrap();
    Written {
        connection: cloud.world().connection(&id).ok(),
        id,
        proof: Proof::AnyStatus,
        warnings: vec![],
    }
}

#[async_trait]
impl Dialect for Cloud {
    fn capabilities(&self) -> &Capabilities {
        match self.world().unmarked {
            true => &UNMARKED,
            false => &CAPABILITIES,
        }
    }

    fn refuse_create(&self, _: &NewConnection) -> Vec<Violation> {
        vec![]
    }

    fn refuse_update(&self, _: &ConnectionChange) -> Vec<Violation> {
        vec![]
    }

    fn refuse_to_become(&self, change: &ConnectionChange, there: &Connection) -> Vec<Violation> {
        let fixed = self.world().fixed;
        let mut given = switched(change, there);
        given.retain(|(collection, _)| fixed || collection == "vpnServices");
        let made = change.made.iter().filter(|_| fixed);
        given.extend(made.map(|kind| key(kind.collection().segment(), "")));
        let each = given.iter().map(|(collection, _)| {
            let field = match collection.as_str() {
                "ikePolicies" => "ike_policy",
                "vpnServices" => "vpn_service",
                _ => "local_endpoint",
            };
            Violation::new(field, "cannot be changed")
        });
        each.collect()
    }

    async fn as_networks(&self, there: &Connection, _: &Call) -> Result<Option<Selectors>> {
        let world = self.world();
        Ok(Some(
            Said::read(&world.get("connections", &there.id)?.value).rules(),
        ))
    }

    fn home(&self) -> Home {
        Home::at(self.world().address.map(str::to_owned))
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn resources(&self) -> &dyn Resources {
        self
    }

    async fn probe(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn get(&self, id: &str, _: &Call) -> Result<Connection> {
        self.world().connection(id)
    }

    async fn list(&self, page: &PageRequest, _: &Call) -> Result<Page<Connection>> {
        let read = self.page("connections", page, World::connection);
        let slow = self.world().slow_list.take();
        if let Some((is_read, answer)) = slow {
            is_read.send(()).unwrap();
            answer.await.unwrap();
        }
        read
    }

    async fn plan_create<'a>(
        &'a self,
        wanted: NewConnection,
        mark: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let make = |collection| Step {
            mark: Some(mark.clone()),
            bears_key: collection == "peerEndpoints",
            ..step(
                Action::Create,
                collection,
                None,
                json!({"after": Said::of(&wanted.spec).text()}),
            )
        };
        let steps = ["peerEndpoints", "endpointGroups", "connections"].map(make);
        let given = [
            ("ikePolicies", &wanted.spec.ike_policy),
            ("vpnServices", &wanted.spec.vpn_service),
            ("localEndpoints", &wanted.spec.local_endpoint),
        ];
        let given = given
            .into_iter()
            .filter_map(|(it, id)| Some(key(it, id.as_deref()?)));
        Ok(self.planned(steps.into(), given.collect(), written))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let there = self.world().connection(id)?;
        let fixed = self.refuse_to_become(&change, &there);
        if !fixed.is_empty() {
            return Err(Error::not_expressible(fixed));
        }
        let object = self.world().get("connections", id)?.clone();
        let after = Said::read(&object.value).with(&change).text();
        let switched = switched(&change, &there);
        let writes_key = !change.spare_key && change.fields.contains(&Field::Authentication);
        let is_same = after == object.value && switched.is_empty() && change.made.is_empty();
        if is_same && !writes_key {
            return Ok(Single::none(Written {
                id: id.to_owned(),
                connection: Some(there),
                proof: Proof::Nothing,
                warnings: vec![],
            }));
        }
        let of = |collection: &str| {
            let mut all = object.refers_to.iter();
            all.find(|it| it.0 == collection).map(|it| it.1.clone())
        };
        let memo = json!({"before": object.value, "after": after, "refs": object.refers_to});
        let mut steps = Vec::new();
        if !is_same {
            let group = json!({"after": after});
            steps.push(Step {
                mark: Some(Mark::joint()),
                ..step(Action::Create, "endpointGroups", None, group)
            });
            steps.push(Step {
                mark: Some(Mark::new()),
                ..step(Action::Update, "connections", Some(id), memo)
            });
        }
        if let (true, Some(peer)) = (writes_key, of("peerEndpoints")) {
            steps.push(Step {
                mark: Some(Mark::new()),
                bears_key: true,
                ..step(Action::Update, "peerEndpoints", Some(&peer), Value::Null)
            });
        }
        if let (false, Some(group)) = (is_same, of("endpointGroups")) {
            let delete = step(Action::Delete, "endpointGroups", Some(&group), Value::Null);
            steps.push(delete);
        }
        let id = id.to_owned();
        Ok(self.planned(steps, switched, move |cloud, _| Written {
            connection: cloud.world().connection(&id).ok(),
            id: id.clone(),
            proof: Proof::AnyStatus,
            warnings: vec![],
        }))
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let world = self.world();
        let object = world.get("connections", id)?;
        let peer = object.refers_to.iter().filter(|it| it.0 == "peerEndpoints");
        let peer = peer.map(|(it, id)| step(Action::Delete, it, Some(id), Value::Null));
        let own = step(Action::Delete, "connections", Some(id), Value::Null);
        let steps = std::iter::once(own).chain(peer).collect();
        drop(world);
        Ok(self.planned(steps, vec![], written))
    }

    async fn trace(&self, step: &Step, _: &Call) -> Result<Trace> {
        let world = self.world();
        let mut all = world
            .objects
            .iter()
            .filter(|(it, _)| it.0 == step.collection);
        let found = match step.action {
            Action::Create => all.find(|(_, object)| object.mark == step.mark),
            _ => all
                .find(|(it, object)| Some(&it.1) == step.id.as_ref() && object.nonce == step.mark),
        };
        Ok(found.map_or(Trace::NotDone, |((_, id), _)| {
            Trace::Done(Done {
                id: id.clone(),
                request_id: None,
            })
        }))
    }

    async fn undo(&self, step: &Step, _: &Call) -> Result<()> {
        let id = step.id.as_deref().unwrap();
        let undo = |world: &mut World| match step.action {
            Action::Create => match world.remove(&step.collection, id) {
                Err(error) if error.kind != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
            _ if step.bears_key => Err(Error::not_expressible(vec![])),
            _ => {
                let it = key(&step.collection, id);
                if let Some(object) = world.objects.get_mut(&it) {
                    object.value = text(&step.memo, "before");
                    if let Ok(refs) = serde_json::from_value(step.memo["refs"].clone()) {
                        object.refers_to = refs;
                    }
                }
                Ok(())
            }
        };
        self.request(undo).await
    }

    async fn remove(&self, step: &Step, _: &Call) -> Result<Done> {
        let id = step.id.clone().unwrap();
        let remove = |world: &mut World| match world.remove(&step.collection, &id) {
            Err(error) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        self.request(remove).await?;
        Ok(Done {
            id,
            request_id: None,
        })
    }

    async fn poll(&self, targets: &[Target], _: &Call) -> Vec<Result<Sighting>> {
        let each = targets.iter().map(|target| {
            let state = match self.world().connection(&target.id) {
                Ok(_) => RealizationState::Active,
                Err(_) => RealizationState::Deleted,
            };
            Ok(Sighting {
                state,
                assurance: Assurance::ControlPlane,
                ..Sighting::default()
            })
        });
        each.collect()
    }
}
