//! Writes of several objects: what is planned, done, traced and taken back.

use crate::{
    setup::{Bench, assert_error, assert_secret_free, parts, rules, to},
    support::{
        cloud::{call, change, renamed},
        writes::Writes,
    },
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Action, Done, Made, Mark, Plan, Proof, Step, Trace, Written},
        error::{Error, ErrorKind, ErrorReason, Result},
        execute::{NoJournal, execute},
    },
    model::{
        Authentication, ConnectionChange, ConnectionSpec, Field, NewConnection, Psk, ResourceKind,
        ResourceSpec, Selectors, Settings,
        policy::IkePolicy,
        topology::{EndpointGroup, EndpointType, VpnService},
    },
    simulator::{
        faults::{Fault, Rule},
        openstack::{Kind, Variant},
    },
};
use serde_json::Value;
use std::time::Duration;

const GROUPS: &str = "/v2.0/vpn/endpoint-groups";

/// Two subnets of the router, each with one network of the peer.
fn two_rules() -> Option<Selectors> {
    let peer: &[&str] = &["192.168.90.0/24"];
    rules(&[(&["10.10.1.0/24"], peer), (&["10.10.2.0/24"], peer)])
}

fn told(steps: &[Step]) -> Vec<(Action, &str)> {
    assert_secret_free(&serde_json::to_string(steps).unwrap());
    let each = steps.iter();
    each.map(|step| (step.action, step.collection.as_str()))
        .collect()
}

impl Bench {
    fn with_rules(&self, name: &str) -> ConnectionSpec {
        ConnectionSpec {
            selectors: two_rules(),
            ..self.spec(name)
        }
    }

    async fn plan(&self, spec: &ConnectionSpec) -> Result<Box<dyn Plan<Written> + '_>> {
        assert_eq!(self.dialect.refuse_alone(spec), []);
        let wanted = NewConnection::alone(spec.clone());
        self.dialect.plan_create(wanted, Mark::new(), &call()).await
    }

    async fn plan_change<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        assert_eq!(self.dialect.refuse_update(&change), []);
        self.dialect.plan_update(id, change, &call()).await
    }

    async fn trace(&self, step: &Step) -> Trace {
        self.dialect.trace(step, &call()).await.unwrap()
    }

    async fn undo(&self, step: &Step) -> Result<()> {
        self.dialect.undo(step, &call()).await
    }

    fn group(&self, id: &str) -> Value {
        self.cloud.state().row(Kind::EndpointGroup, id).unwrap()
    }

    fn groups(&self) -> usize {
        self.cloud.state().ids(Kind::EndpointGroup).len()
    }

    async fn groups_of(&self, id: &str) -> [String; 2] {
        match self.get(id).await.unwrap().selectors {
            Some(Selectors::EndpointGroups { local, peer }) => [local, peer],
            other => panic!("{other:?}"),
        }
    }

    fn asked_at(&self, method: Method, path: &str) -> u64 {
        self.cloud.neutron().requests().count(&method, path)
    }
}

/// Performs one step: with its id, as the core keeps it.
async fn perform(plan: &mut Box<dyn Plan<Written> + '_>, index: usize) -> Step {
    let step = plan.steps()[index].clone();
    let done = plan.perform(index, &Made::new(), &call()).await.unwrap();
    Step {
        id: Some(done.id),
        ..step
    }
}

fn is(step: &Step) -> Trace {
    Trace::Done(Done {
        id: step.id.clone().unwrap(),
        request_id: None,
    })
}

fn mark_of(row: &Value) -> String {
    let text = row["description"].as_str().unwrap();
    let (_, mark) = text.rsplit_once("[isthmus:").unwrap();
    mark.trim_end_matches(']').to_owned()
}

#[tokio::test]
async fn rules_with_both_sides_become_two_groups() {
    for variant in [Variant::Neutron, Variant::Otc] {
        let bench = Bench::of(variant);
        let spec = bench.with_rules("branch");
        let plan = bench.plan(&spec).await.unwrap();
        let group = (Action::Create, "endpointGroups");
        let expected = [group, group, (Action::Create, "connections")];
        assert_eq!(told(plan.steps()), expected);
        let [local, _, last] = plan.steps() else {
            panic!("three");
        };
        assert_eq!(local.fields, ["display_name", "type", "endpoints"]);
        assert!(last.bears_key && last.fields.contains(&"policy_based".to_owned()));
        assert_eq!(bench.asked_at(Method::POST, GROUPS), 0, "planned, not done");

        let (none, call) = (Made::new(), call());
        let made = execute(&*bench.dialect, plan, &none, &NoJournal, &call);
        let written = made.await.unwrap();
        let [local, peer] = bench.groups_of(&written.id).await;
        let (local, peer) = (bench.group(&local), bench.group(&peer));
        let owned = bench.cloud.inventory().project;
        let subnets = serde_json::json!([owned.subnet_id, owned.legacy_subnet_id]);
        assert_eq!(
            (&local["type"], &local["endpoints"]),
            (&"subnet".into(), &subnets)
        );
        assert_eq!(local["name"], "branch local");
        assert_eq!(peer["endpoints"], serde_json::json!(["192.168.90.0/24"]));
        let mark = mark_of(&local);
        assert!(Mark::is_joint(&mark));
        assert_eq!(mark_of(&peer), mark);
    }
}

#[tokio::test]
async fn networks_that_are_not_on_the_router_are_refused_with_those_that_are() {
    let bench = Bench::stock();
    let refused = async |service: Option<&str>, selectors| {
        let mut spec = ConnectionSpec {
            selectors,
            ..bench.spec("x")
        };
        if let Some(id) = service {
            spec.vpn_service = Some(id.to_owned());
        }
        bench.plan(&spec).await.err().unwrap()
    };
    let peer: &[&str] = &["192.168.90.0/24"];
    let error = refused(
        None,
        rules(&[(&["10.10.1.0/24"], peer), (&["10.10.3.0/24"], peer)]),
    )
    .await;
    assert_error(
        &error,
        ErrorKind::NotExpressible,
        ErrorReason::NotExpressible,
    );
    let [violation] = error.context.violations.as_slice() else {
        panic!("{error:?}");
    };
    assert_eq!(violation.field, "policy_based.rules[1].sources");
    for known in ["10.10.1.0/24", "10.10.2.0/24", "2001:db8:10::/64"] {
        assert!(
            violation.description.contains(known),
            "{}",
            violation.description
        );
    }
    // One of the two is no subnet of a service that has one.
    let legacy = bench.cloud.inventory().project.legacy_service_id;
    let error = refused(Some(legacy), two_rules()).await;
    assert_eq!(
        error.context.violations[0].field,
        "policy_based.rules[1].sources"
    );
    let none = "00000000-0000-0000-0000-000000000000";
    let error = refused(Some(none), two_rules()).await;
    assert_error(
        &error,
        ErrorKind::FailedPrecondition,
        ErrorReason::ReferenceNotFound,
    );
    assert_eq!(error.context.violations[0].field, "vpn_service");
    assert_eq!(bench.asked_at(Method::POST, GROUPS), 0);
}

#[tokio::test]
async fn what_fails_takes_its_groups_with_it() {
    let bench = Bench::stock();
    let project = bench.cloud.inventory().project.project_id;
    let before = bench.groups();
    bench
        .cloud
        .state()
        .set_quota(project, Kind::Connection, Some(0));
    let error = bench.make(&bench.with_rules("x")).await.unwrap_err();
    assert_error(&error, ErrorKind::QuotaExceeded, ErrorReason::QuotaExceeded);
    assert_eq!(error.context.leftovers, []);
    assert_eq!(bench.groups(), before);

    bench
        .cloud
        .state()
        .set_quota(project, Kind::Connection, None);
    let lost = Rule::on(Method::POST, GROUPS, Fault::CutAfterHandling).times(2);
    bench.cloud.faults().inject(lost);
    let id = bench.make(&bench.with_rules("x")).await.unwrap();
    // Both were found by one mark, each by its type.
    let [local, peer] = bench.groups_of(&id).await;
    assert_eq!(bench.group(&local)["type"], "subnet");
    assert_eq!(bench.group(&peer)["type"], "cidr");
    assert_eq!(bench.groups(), before + 2);
}

#[tokio::test]
async fn other_networks_mean_another_group_and_the_end_of_the_old_one() {
    let bench = Bench::stock();
    let id = bench.make(&bench.with_rules("branch")).await.unwrap();
    let [local, peer] = bench.groups_of(&id).await;
    let local_nets: &[&str] = &["10.10.1.0/24", "10.10.2.0/24"];
    let wider = || {
        to(rules(&[(
            local_nets,
            &["192.168.90.0/24", "192.168.91.0/24"],
        )]))
    };

    // Nothing is made for a switch that the state does not allow.
    let error = bench.plan_change(&id, wider()).await.err().unwrap();
    assert_error(
        &error,
        ErrorKind::FailedPrecondition,
        ErrorReason::WrongState,
    );
    assert_eq!(error.context.retry_after, Some(Duration::from_secs(5)));
    bench.cloud.state().agent_reports(&id, "ACTIVE");

    let plan = bench.plan_change(&id, wider()).await.unwrap();
    let expected = [
        (Action::Create, "endpointGroups"),
        (Action::Update, "connections"),
        (Action::Delete, "endpointGroups"),
    ];
    assert_eq!(told(plan.steps()), expected);
    assert_eq!(plan.steps()[1].fields, ["policy_based"]);
    assert_eq!(plan.steps()[2].id.as_ref(), Some(&peer));
    drop(plan);
    let written = bench.update(&id, &wider()).await.unwrap();
    let native_state = "ACTIVE".to_owned();
    assert_eq!(written.proof, Proof::StatusMustMove { native_state });
    let [now_local, now_peer] = bench.groups_of(&id).await;
    assert_eq!(now_local, local, "what is the same stays");
    assert_ne!(now_peer, peer);
    assert_eq!(bench.cloud.state().row(Kind::EndpointGroup, &peer), None);
    let again = bench.update(&id, &wider()).await.unwrap();
    assert_eq!(again.proof, Proof::Nothing);

    // Another connection uses the peer's group: it stays.
    let mut twin = bench.spec("twin");
    twin.selectors = Some(Selectors::EndpointGroups {
        local: now_local,
        peer: now_peer.clone(),
    });
    bench.make(&twin).await.unwrap();
    bench.update(&id, &to(two_rules())).await.unwrap();
    assert_eq!(bench.group(&now_peer)["type"], "cidr");
}

#[tokio::test]
async fn a_connection_made_alone_keeps_its_mark_beside_the_groups_it_gets() {
    let bench = Bench::stock();
    let id = bench.made("branch").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    let row = || bench.cloud.state().row(Kind::Connection, &id).unwrap();
    let (alone, old) = (mark_of(&row()), bench.groups_of(&id).await);
    assert!(!Mark::is_joint(&alone));
    bench.update(&id, &to(two_rules())).await.unwrap();
    assert_eq!(mark_of(&row()), alone);
    // Nobody made these with a connection.
    for group in old {
        assert_eq!(bench.group(&group)["id"], group);
    }
    let new = bench.groups_of(&id).await;
    assert!(Mark::is_joint(&mark_of(&bench.group(&new[0]))));

    // One that the gateway did not make stays so.
    let foreign = bench.made("foreign").await;
    bench.cloud.state().agent_reports(&foreign, "DOWN");
    let none = Some(Value::from(""));
    bench
        .cloud
        .state()
        .set_attribute(Kind::Connection, &foreign, "description", none);
    bench.update(&foreign, &to(two_rules())).await.unwrap();
    assert!(!bench.get(&foreign).await.unwrap().managed);
}

#[tokio::test]
async fn a_connection_of_a_service_with_a_subnet_has_one_local_network() {
    let bench = Bench::stock();
    let id = bench.make(&bench.legacy_spec("legacy")).await.unwrap();
    bench.cloud.state().agent_reports(&id, "DOWN");
    let error = bench.update(&id, &to(two_rules())).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::NotExpressible,
        ErrorReason::NotExpressible,
    );
    assert_eq!(
        error.context.violations[0].field,
        "policy_based.rules[1].sources"
    );
}

#[tokio::test]
async fn every_step_of_making_is_traced_and_taken_back() {
    for variant in [Variant::Neutron, Variant::Otc] {
        let bench = Bench::of(variant);
        bench.made("other").await;
        let before = bench.groups();
        let mut plan = bench.plan(&bench.with_rules("branch")).await.unwrap();
        let mut done = Vec::new();
        for index in 0..plan.steps().len() {
            let step = plan.steps()[index].clone();
            assert_eq!(
                bench.trace(&step).await,
                Trace::NotDone,
                "{variant:?} {index}"
            );
            let step = perform(&mut plan, index).await;
            // Its id is what a trace is to find.
            let unknown = Step {
                id: None,
                ..step.clone()
            };
            assert_eq!(bench.trace(&unknown).await, is(&step));
            done.push(step);
        }
        let groups_are_used = bench.undo(&done[0]).await.unwrap_err();
        assert_error(
            &groups_are_used,
            ErrorKind::FailedPrecondition,
            ErrorReason::InUse,
        );
        for step in done.iter().rev() {
            bench.undo(step).await.unwrap();
            assert_eq!(bench.trace(step).await, Trace::NotDone);
            bench.undo(step).await.unwrap();
        }
        assert_eq!(bench.groups(), before);
        assert_eq!(bench.cloud.state().ids(Kind::Connection).len(), 1);
    }
}

#[tokio::test]
async fn every_step_of_a_switch_is_traced_and_taken_back() {
    let bench = Bench::stock();
    let id = bench.make(&bench.with_rules("branch")).await.unwrap();
    bench.cloud.state().agent_reports(&id, "DOWN");
    let before = bench.cloud.state().row(Kind::Connection, &id).unwrap();
    let mut wanted = to(rules(&[(&["10.10.1.0/24"], &["192.168.91.0/24"])]));
    wanted.fields.insert(Field::DisplayName);
    wanted.values.display_name = "other".to_owned();
    let mut plan = bench.plan_change(&id, wanted).await.unwrap();
    assert_eq!(plan.steps().len(), 5, "{:?}", told(plan.steps()));
    let made = [perform(&mut plan, 0).await, perform(&mut plan, 1).await];
    let put = plan.steps()[2].clone();
    assert_eq!(bench.trace(&put).await, Trace::NotDone);
    let put = perform(&mut plan, 2).await;
    assert_eq!(bench.trace(&put).await, is(&put));

    bench.undo(&put).await.unwrap();
    assert_eq!(
        bench.cloud.state().row(Kind::Connection, &id).unwrap(),
        before
    );
    assert_eq!(bench.trace(&put).await, Trace::NotDone);
    for step in made.iter().rev() {
        bench.undo(step).await.unwrap();
        assert_eq!(bench.trace(step).await, Trace::NotDone);
    }

    // What somebody else has changed since is left, and a removal goes on until it is done.
    let mut plan = bench.plan_change(&id, renamed("mine")).await.unwrap();
    let put = perform(&mut plan, 0).await;
    bench.update(&id, &renamed("theirs")).await.unwrap();
    assert_eq!(bench.trace(&put).await, Trace::Unclear);
    bench.undo(&put).await.unwrap();
    assert_eq!(bench.get(&id).await.unwrap().display_name, "theirs");
    let plan = bench.dialect.plan_delete(&id, None, &call()).await.unwrap();
    let delete = plan.steps()[0].clone();
    assert_eq!(told(plan.steps()), [(Action::Delete, "connections")]);
    assert_eq!(bench.trace(&delete).await, Trace::NotDone);
    for _ in 0..2 {
        let done = bench.dialect.remove(&delete, &call()).await.unwrap();
        assert_eq!(done.id, id);
        assert_eq!(bench.trace(&delete).await, is(&delete));
    }
    bench.undo(&put).await.unwrap();
}

#[tokio::test]
async fn a_key_is_not_put_back_and_does_not_show() {
    let bench = Bench::stock();
    let id = bench.made("branch").await;
    bench.cloud.state().agent_reports(&id, "DOWN");
    let key = |fields: &[Field]| {
        let authentication = Some(Authentication::Psk(Psk::new("canary-other")));
        let values = ConnectionSpec {
            authentication,
            display_name: "renamed".to_owned(),
            ..ConnectionSpec::default()
        };
        change(fields, values)
    };
    let alone = key(&[Field::Authentication]);
    let mut plan = bench.plan_change(&id, alone).await.unwrap();
    assert_eq!(plan.steps()[0].fields, ["peer.psk"]);
    let put = perform(&mut plan, 0).await;
    assert!(put.bears_key);
    assert_eq!(bench.trace(&put).await, Trace::Unclear);
    let stays = |error: Error| {
        assert_error(
            &error,
            ErrorKind::NotExpressible,
            ErrorReason::NotExpressible,
        )
    };
    stays(bench.undo(&put).await.unwrap_err());

    let both = key(&[Field::Authentication, Field::DisplayName]);
    let mut plan = bench.plan_change(&id, both).await.unwrap();
    let put = perform(&mut plan, 0).await;
    assert_eq!(
        told(std::slice::from_ref(&put)),
        [(Action::Update, "connections")]
    );
    assert_eq!(bench.trace(&put).await, is(&put));
    stays(bench.undo(&put).await.unwrap_err());
    assert_eq!(bench.get(&id).await.unwrap().display_name, "branch");
}

#[tokio::test]
async fn everything_inline_is_six_objects() {
    for variant in [Variant::Neutron, Variant::Otc] {
        let bench = Bench::of(variant);
        let mut wanted = parts(bench.cloud.inventory().project.router_id);
        wanted.spec = ConnectionSpec {
            vpn_service: None,
            ike_policy: None,
            ipsec_policy: None,
            ..bench.with_rules("whole")
        };
        assert_eq!(bench.dialect.refuse_create(&wanted), []);
        let (mark, mut made) = (Mark::joint(), Made::new());
        let call = call();
        let planned = bench
            .dialect
            .plan_create(wanted.clone(), mark.clone(), &call);
        // Planned before any part is there.
        let mut plan = planned.await.unwrap();
        let mut done = Vec::new();
        for (kind, spec) in &wanted.parts {
            let resources = bench.dialect.resources();
            let part = resources.plan_create(spec.clone(), mark.clone(), &call);
            let mut part = part.await.unwrap();
            let step = part.steps()[0].clone();
            let id = part.perform(0, &made, &call).await.unwrap().id;
            assert!(part.written().resource.unwrap().joint);
            made.insert(*kind, id.clone());
            done.push(Step {
                id: Some(id),
                ..step
            });
        }
        for index in 0..plan.steps().len() {
            let step = plan.steps()[index].clone();
            let id = plan.perform(index, &made, &call).await.unwrap().id;
            done.push(Step {
                id: Some(id),
                ..step
            });
        }
        assert_eq!(done.len(), 6);
        let connection = plan.written().connection.unwrap();
        let refers = [
            (ResourceKind::VpnService, connection.vpn_service),
            (ResourceKind::IkePolicy, connection.ike_policy),
            (ResourceKind::IpsecPolicy, connection.ipsec_policy),
        ];
        for (kind, id) in refers {
            assert_eq!(id.as_ref(), made.get(&kind));
        }
        for step in done.iter().rev() {
            assert_eq!(bench.trace(step).await, is(step));
            bench.undo(step).await.unwrap();
            assert_eq!(bench.trace(step).await, Trace::NotDone);
        }
    }
}

#[tokio::test]
async fn a_service_that_is_made_with_a_connection_decides_what_its_rules_are() {
    let bench = Bench::stock();
    let owned = bench.cloud.inventory().project;
    let refused = |subnet: Option<&str>, selectors: Option<Selectors>| -> Vec<String> {
        let mut wanted = parts(owned.router_id);
        if let Some(part) = wanted.parts.get_mut(&ResourceKind::VpnService)
            && let Settings::VpnService(service) = &mut part.settings
        {
            service.subnet = subnet.map(str::to_owned);
        }
        wanted.spec = ConnectionSpec {
            selectors,
            ..bench.spec("x")
        };
        wanted.spec.vpn_service = None;
        let found = bench.dialect.refuse_create(&wanted);
        found.into_iter().map(|it| it.field).collect()
    };
    let inside = || rules(&[(&[], &["192.168.90.0/24"])]);
    let subnet = Some(owned.subnet_id);
    assert_eq!(refused(None, two_rules()), [""; 0]);
    assert_eq!(refused(subnet, inside()), [""; 0]);
    assert_eq!(
        refused(subnet, two_rules()),
        ["policy_based.rules[1].sources"]
    );
    assert_eq!(refused(None, inside()), ["policy_based.rules[0].sources"]);
    let groups = bench.spec("").selectors;
    assert_eq!(
        refused(subnet, groups),
        ["policy_based.local_endpoint_group"]
    );
}

#[tokio::test]
async fn what_is_there_is_used_only_if_making_it_would_give_the_same() {
    for variant in [Variant::Neutron, Variant::Otc, Variant::K5] {
        let bench = Bench::of(variant);
        let resources = bench.dialect.resources();
        let owned = bench.cloud.inventory().project;
        let service = VpnService {
            router: owned.router_id.to_owned(),
            subnet: Some(owned.subnet_id.to_owned()),
            ..VpnService::default()
        };
        let group = EndpointGroup {
            endpoint_type: Some(EndpointType::Cidr),
            endpoints: vec!["10.1.0.0/16".to_owned(), "10.2.0.0/16".to_owned()],
        };
        let all = [
            Settings::none(ResourceKind::IkePolicy),
            Settings::none(ResourceKind::IpsecPolicy),
            Settings::VpnService(service),
            Settings::EndpointGroup(group),
        ];
        let takes = |settings: &Settings| bench.dialect.capabilities().takes(settings.kind());
        for settings in all.into_iter().filter(|it| takes(it).is_some()) {
            let kind = settings.kind();
            let spec = ResourceSpec {
                display_name: "first".to_owned(),
                settings,
                ..ResourceSpec::none(kind)
            };
            let (mark, call) = (Mark::new(), call());
            let made = bench.dialect.create_resource(&spec, &mark, &call);
            let there = made.await.unwrap().resource.unwrap();
            let named = ResourceSpec {
                display_name: "other".to_owned(),
                description: "words".to_owned(),
                ..spec.clone()
            };
            // A zone that nobody asked for is the cloud's own choice, which the next may not be.
            let is_told = there.spec.availability_zone.is_none();
            assert_eq!(
                resources.is_equal(&named, &there),
                is_told,
                "{variant:?} {kind:?}"
            );
            assert!(
                resources.is_equal(&there.spec, &there),
                "{variant:?} {kind:?}"
            );
            let mut other = there.spec.clone();
            match &mut other.settings {
                Settings::IkePolicy(it) => {
                    *it = IkePolicy {
                        lifetime: Some(isthmus::model::policy::Lifetime::Seconds(7_200)),
                        ..it.clone()
                    }
                }
                Settings::IpsecPolicy(it) => it.encryption_algorithms.clear(),
                Settings::VpnService(it) => it.subnet = None,
                Settings::EndpointGroup(it) => it.endpoints.truncate(1),
                _ => {}
            }
            if let Settings::IpsecPolicy(it) = &mut other.settings {
                use isthmus::model::algorithm::EncryptionAlgorithm::AesCbc256;
                it.encryption_algorithms.push(Some(AesCbc256));
            }
            assert!(!resources.is_equal(&other, &there), "{variant:?} {kind:?}");
        }
    }
}
