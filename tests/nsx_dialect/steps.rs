//! Plans step by step, and what becomes of steps whose plan is gone: traced, taken back, removed.

use crate::{
    resources::{KINDS, full, renamed},
    setup::{Nsx, nsx, refusal, spec, start},
    support::{
        cloud::{Cloud, call, change, peer_of},
        clouds::PSK,
    },
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Action, Dialect, Done, Made, Mark, Plan, Step, Trace, Written},
        error::{ErrorKind, ErrorReason},
    },
    model::{
        Authentication, ConnectionChange, ConnectionSpec, Field, NewConnection, Psk, ResourceKind,
        ResourceSpec, Settings, topology::LocalEndpoint,
    },
    simulator::{
        faults::{Fault, Rule},
        nsx::{Kind, Levers, NsxOptions, inventory},
    },
};
use serde_json::json;

/// What a plan says, without what differs from run to run.
fn told<W>(plan: &dyn Plan<W>) -> Vec<(Action, &str, bool)> {
    let steps = plan.steps().iter();
    steps
        .map(|step| (step.action, step.collection.as_str(), step.bears_key))
        .collect()
}

fn with_id(step: &Step, done: &Done) -> Step {
    Step {
        id: Some(done.id.clone()),
        ..step.clone()
    }
}

/// Another name and another initiation, for which the key is needed.
fn both_differ() -> ConnectionChange {
    let values = ConnectionSpec {
        display_name: "renamed".to_owned(),
        peer_address: "203.0.113.99".to_owned(),
        authentication: Some(Authentication::Psk(Psk::new("another-key"))),
        ..ConnectionSpec::default()
    };
    let fields = [
        Field::DisplayName,
        Field::PeerAddress,
        Field::Authentication,
    ];
    change(&fields, values)
}

impl Nsx {
    /// Makes a connection, and answers its steps with their ids.
    async fn made_by_steps(&self) -> Vec<Step> {
        let wanted = NewConnection::alone(spec());
        let plan = self.dialect.plan_create(wanted, Mark::new(), &call()).await;
        let mut plan = plan.unwrap();
        let steps = plan.steps().to_vec();
        let mut done = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let left = plan.perform(index, &Made::new(), &call()).await.unwrap();
            done.push(with_id(step, &left));
        }
        done
    }

    /// A resource made, as the step that made it.
    async fn made_by_step(&self, kind: ResourceKind) -> Step {
        let resources = self.resources();
        let call = call();
        let plan = resources.plan_create(full(kind), Mark::new(), &call);
        let mut plan = plan.await.unwrap();
        let done = plan.perform(0, &Made::new(), &call).await.unwrap();
        with_id(&plan.steps()[0], &done)
    }

    /// Plans a change of the name of a resource, performs it, and answers its step.
    async fn renamed_by_step(&self, kind: ResourceKind, id: &str) -> Step {
        let resources = self.resources();
        let call = call();
        let plan = resources.plan_update(id, renamed(kind, "renamed"), &call);
        let mut plan = plan.await.unwrap();
        plan.perform(0, &Made::new(), &call).await.unwrap();
        plan.steps()[0].clone()
    }

    pub async fn traced(&self, step: &Step) -> Trace {
        self.dialect.trace(step, &call()).await.unwrap()
    }

    fn writes(&self) -> usize {
        let seen = self.cloud.all_requests();
        let writes = seen.iter().filter(|seen| seen.method != Method::GET);
        writes.count()
    }
}

fn is_done(trace: &Trace, id: &str) -> bool {
    *trace
        == Trace::Done(Done {
            id: id.to_owned(),
            request_id: None,
        })
}

#[tokio::test]
async fn a_plan_tells_its_steps_and_writes_nothing() {
    let nsx = nsx();
    let wanted = NewConnection::alone(spec());
    let plan = nsx.dialect.plan_create(wanted, Mark::new(), &call()).await;
    let plan = plan.unwrap();
    let made = [
        (Action::Create, "peerEndpoints", true),
        (Action::Create, "connections", false),
    ];
    assert_eq!(told(&*plan), made);
    assert!(plan.steps()[0].fields.contains(&"peer.psk".to_owned()));
    assert!(plan.steps()[1].fields.contains(&"policy_based".to_owned()));
    assert!(!serde_json::to_string(plan.steps()).unwrap().contains(PSK));
    assert_eq!(nsx.writes(), 0);

    let written = nsx.make().await;
    let before = nsx.writes();
    let call = &call();
    let plan = nsx
        .dialect
        .plan_update(&written.id, both_differ(), call)
        .await
        .unwrap();
    let changed = [
        (Action::Update, "connections", false),
        (Action::Update, "peerEndpoints", true),
    ];
    assert_eq!(told(&*plan), changed);
    assert_eq!(plan.steps()[0].fields, ["display_name"]);
    assert_eq!(plan.steps()[1].fields, ["peer.address", "peer.psk"]);
    let steps = serde_json::to_string(plan.steps()).unwrap();
    assert!(!steps.contains("another-key"));
    drop(plan);

    let plan = nsx.dialect.plan_delete(&written.id, None, call).await;
    let removed = [
        (Action::Delete, "connections", false),
        (Action::Delete, "peerEndpoints", false),
    ];
    assert_eq!(told(&*plan.unwrap()), removed);
    assert_eq!(nsx.writes(), before);

    // A peer endpoint without the mark is not the gateway's to remove.
    let peer = peer_of(&nsx.cloud, &written.id);
    let state = nsx.cloud.state();
    state.alter(Kind::PeerEndpoint, &peer, json!({ "tags": [] }));
    let plan = nsx.dialect.plan_delete(&written.id, None, call).await;
    assert_eq!(told(&*plan.unwrap()), removed[..1]);
}

#[tokio::test]
async fn the_session_is_changed_before_the_key() {
    let nsx = nsx();
    let written = nsx.make().await;
    nsx.once(Method::PUT, "/peer-endpoints/", refusal(400, 255));
    let refused = nsx.update(&written.id, &both_differ()).await;
    assert_eq!(refused.unwrap_err().reason, ErrorReason::UpstreamRejected);
    // What was done before was undone.
    let there = nsx.get(&written.id).await.unwrap();
    assert_eq!(there.display_name, "branch 42");
    assert_eq!(there.peer.address, "203.0.113.7");
    assert_eq!(nsx.cloud.key(&written.id), PSK);
    nsx.update(&written.id, &both_differ()).await.unwrap();
    assert_eq!(nsx.cloud.key(&written.id), "another-key");
}

#[tokio::test]
async fn what_is_left_open_is_what_was_made_for_it() {
    let nsx = nsx();
    let alone = ResourceSpec {
        settings: Settings::LocalEndpoint(LocalEndpoint {
            address: "192.0.2.77".to_owned(),
            ..LocalEndpoint::default()
        }),
        ..ResourceSpec::none(ResourceKind::LocalEndpoint)
    };
    let planned = |made: Made| {
        let alone = alone.clone();
        let resources = nsx.resources();
        async move {
            let mut plan = resources
                .plan_create(alone, Mark::joint(), &call())
                .await
                .unwrap();
            plan.perform(0, &made, &call()).await
        }
    };
    let refused = planned(Made::new()).await.unwrap_err();
    assert_eq!(refused.context.violations[0].field, "vpn_service");
    assert_eq!(nsx.writes(), 0);

    let mut made = Made::from([(ResourceKind::VpnService, inventory::SERVICE_ID.to_owned())]);
    let local = planned(made.clone()).await.unwrap();
    made.insert(ResourceKind::LocalEndpoint, local.id.clone());
    for kind in [
        ResourceKind::IkePolicy,
        ResourceKind::IpsecPolicy,
        ResourceKind::DpdPolicy,
    ] {
        made.insert(kind, nsx.made_by_step(kind).await.id.unwrap());
    }
    let mut wanted = NewConnection::alone(ConnectionSpec {
        local_endpoint: None,
        ..spec()
    });
    wanted
        .parts
        .insert(ResourceKind::LocalEndpoint, alone.clone());
    assert_eq!(nsx.dialect.refuse_create(&wanted), []);
    let plan = nsx
        .dialect
        .plan_create(wanted, Mark::joint(), &call())
        .await;
    let mut plan = plan.unwrap();
    for index in 0..2 {
        plan.perform(index, &made, &call()).await.unwrap();
    }
    let there = nsx.get(&plan.written().id).await.unwrap();
    assert_eq!(there.local_endpoint, Some(local.id));
    assert_eq!(there.vpn_service.as_deref(), Some(inventory::SERVICE_ID));
    let policies = [there.ike_policy, there.ipsec_policy, there.dpd_policy];
    let kinds = [
        ResourceKind::IkePolicy,
        ResourceKind::IpsecPolicy,
        ResourceKind::DpdPolicy,
    ];
    assert_eq!(policies, kinds.map(|kind| made.get(&kind).cloned()));
    assert!(there.managed);
}

#[tokio::test]
async fn what_was_made_is_traced_by_its_mark() {
    let nsx = nsx();
    let mut made = nsx.made_by_steps().await;
    for (kind, _) in KINDS {
        made.push(nsx.made_by_step(kind).await);
    }
    for step in made {
        let id = step.id.clone().unwrap();
        let unanswered = Step { id: None, ..step };
        assert!(
            is_done(&nsx.traced(&unanswered).await, &id),
            "{unanswered:?}"
        );
        let other = Step {
            mark: Some(Mark::new()),
            ..unanswered
        };
        assert_eq!(nsx.traced(&other).await, Trace::NotDone);
    }
}

#[tokio::test]
async fn what_was_changed_is_traced_by_its_nonce_and_put_back() {
    let nsx = nsx();
    for (kind, of_cloud) in KINDS {
        let id = nsx.made_by_step(kind).await.id.unwrap();
        let step = nsx.renamed_by_step(kind, &id).await;
        let state = nsx.cloud.state();
        state.alter(
            of_cloud,
            &id,
            json!({ "description": "somebody else\u{2019}s" }),
        );
        assert!(is_done(&nsx.traced(&step).await, &id), "{kind:?}");
        nsx.dialect.undo(&step, &call()).await.unwrap();
        let there = nsx.read(kind, &id).await.unwrap();
        assert!(nsx.resources().is_equal(&full(kind), &there), "{kind:?}");
        let spec = there.spec;
        assert_eq!(spec.display_name, full(kind).display_name, "{kind:?}");
        assert_eq!(spec.description, "somebody else\u{2019}s");
        // Whatever is asked again was done.
        let before = nsx.writes();
        nsx.dialect.undo(&step, &call()).await.unwrap();
        assert_eq!(nsx.writes(), before);

        state.vanish(of_cloud, &id);
        assert_eq!(nsx.traced(&step).await, Trace::NotDone);
        nsx.dialect.undo(&step, &call()).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_planned_and_not_sent_is_not_done() {
    let nsx = nsx();
    let written = nsx.make().await;
    let call = &call();
    let plan = nsx.dialect.plan_update(&written.id, both_differ(), call);
    let steps = plan.await.unwrap().steps().to_vec();
    for step in &steps {
        assert_eq!(nsx.traced(step).await, Trace::NotDone);
    }
    // Somebody else writes the name that was wanted, and nobody knows of the key.
    let state = nsx.cloud.state();
    let peer = peer_of(&nsx.cloud, &written.id);
    let wanted = json!({ "display_name": "renamed", "peer_address": "203.0.113.99" });
    state.alter(Kind::PeerEndpoint, &peer, wanted);
    assert_eq!(nsx.traced(&steps[1]).await, Trace::Unclear);
    let refused = nsx.dialect.undo(&steps[1], call).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::NotExpressible);
}

#[tokio::test]
async fn what_was_made_is_taken_back_as_long_as_it_is_the_gateways() {
    let nsx = nsx();
    let [peer, session] = &nsx.made_by_steps().await[..] else {
        panic!("two steps")
    };
    let undo = async |step: &Step| nsx.dialect.undo(step, &call()).await;
    let used = undo(peer).await.unwrap_err();
    assert_eq!(used.reason, ErrorReason::InUse);
    let others = Step {
        mark: Some(Mark::new()),
        ..session.clone()
    };
    undo(&others).await.unwrap();
    assert_eq!(nsx.made(), (1, 1));
    // An answer that is lost is found out.
    nsx.once(Method::DELETE, "/sessions/", Fault::CutAfterHandling);
    undo(session).await.unwrap();
    undo(session).await.unwrap();
    undo(peer).await.unwrap();
    assert_eq!(nsx.made(), (0, 0));
    for (kind, of_cloud) in KINDS {
        let before = nsx.cloud.state().count(of_cloud);
        let step = nsx.made_by_step(kind).await;
        undo(&step).await.unwrap();
        assert_eq!(nsx.cloud.state().count(of_cloud), before);
    }
}

#[tokio::test]
async fn what_is_to_go_is_removed_as_often_as_it_takes() {
    let nsx = nsx();
    let written = nsx.make().await;
    let plan = nsx.dialect.plan_delete(&written.id, None, &call()).await;
    let steps = plan.unwrap().steps().to_vec();
    let [session, peer] = &steps[..] else {
        panic!("two steps")
    };
    let remove = async |step: &Step| nsx.dialect.remove(step, &call()).await;
    assert_eq!(nsx.traced(session).await, Trace::NotDone);
    assert_eq!(remove(peer).await.unwrap_err().reason, ErrorReason::InUse);
    let done = remove(session).await.unwrap();
    assert!(done.id == written.id && done.request_id.is_some());
    assert_eq!(remove(session).await.unwrap().request_id, None);
    assert!(is_done(&nsx.traced(session).await, &written.id));

    // Without the mark it is somebody else's by now.
    let (state, id) = (nsx.cloud.state(), peer.id.as_deref().unwrap());
    let tags = state.object(Kind::PeerEndpoint, id).unwrap()["tags"].clone();
    state.alter(Kind::PeerEndpoint, id, json!({ "tags": [] }));
    remove(peer).await.unwrap();
    assert_eq!(nsx.made(), (1, 0));
    state.alter(Kind::PeerEndpoint, id, json!({ "tags": tags }));
    remove(peer).await.unwrap();
    remove(peer).await.unwrap();
    assert_eq!(nsx.made(), (0, 0));
    for (kind, of_cloud) in KINDS {
        let made = nsx.made_of(kind).await;
        let call = call();
        let plan = nsx.resources().plan_delete(kind, &made.id, None, &call);
        let step = plan.await.unwrap().steps()[0].clone();
        remove(&step).await.unwrap();
        remove(&step).await.unwrap();
        assert!(nsx.cloud.state().object(of_cloud, &made.id).is_none());
    }
}

/// Removes a connection as planned; how its peer endpoint's removal ended, and what is told of the whole.
async fn removed(nsx: &Nsx, id: &str) -> (Result<Done, isthmus::core::error::Error>, Written) {
    let plan = nsx.dialect.plan_delete(id, None, &call()).await;
    let mut plan = plan.unwrap();
    plan.perform(0, &Made::new(), &call()).await.unwrap();
    let peer = plan.perform(1, &Made::new(), &call()).await;
    (peer, plan.written())
}

#[tokio::test]
async fn a_peer_endpoint_that_others_use_does_not_hold_up_what_is_told_of_the_session() {
    let nsx = nsx();
    let written = nsx.make().await;
    let state = nsx.cloud.state();
    let mut other = state.object(Kind::Session, &written.id).unwrap();
    other["id"] = json!("somebody-elses");
    state.plant(Kind::Session, other);
    let (peer, told) = removed(&nsx, &written.id).await;
    assert_eq!(peer.unwrap_err().reason, ErrorReason::InUse);
    assert_eq!(crate::setup::ids(&told).len(), 1);
    assert_eq!(nsx.made(), (1, 1));
}

#[tokio::test]
async fn a_deletion_that_is_not_over_is_in_use_until_it_is() {
    let nsx = nsx();
    let state = nsx.cloud.state();
    state.tune(|levers| levers.delete_holds_parts = true);
    let written = nsx.make().await;
    let peer = Step::new(
        Action::Delete,
        "peerEndpoints",
        Some(peer_of(&nsx.cloud, &written.id)),
    );
    let (held, _) = removed(&nsx, &written.id).await;
    assert_eq!(held.unwrap_err().reason, ErrorReason::InUse);
    let remove = async || nsx.dialect.remove(&peer, &call()).await;
    assert_eq!(remove().await.unwrap_err().reason, ErrorReason::InUse);
    state.finish(&written.id);
    remove().await.unwrap();
    assert_eq!(nsx.made(), (0, 0));
}

#[tokio::test]
async fn a_session_that_somebody_else_removed_first_takes_its_peer_endpoint_along() {
    let nsx = nsx();
    let written = nsx.make().await;
    let plan = nsx.dialect.plan_delete(&written.id, None, &call()).await;
    let mut plan = plan.unwrap();
    nsx.cloud.state().vanish(Kind::Session, &written.id);
    for index in 0..2 {
        plan.perform(index, &Made::new(), &call()).await.unwrap();
    }
    assert_eq!(nsx.made(), (0, 0));
}

/// Where the collection does not answer, nothing is known to be gone, or not to have been made.
#[tokio::test]
async fn without_the_api_nothing_is_traced() {
    let absent = start(
        NsxOptions {
            levers: Levers {
                api_absent: true,
                ..Levers::default()
            },
            ..NsxOptions::default()
        },
        "basic",
    );
    let dialect: &dyn Dialect = &*absent.dialect;
    let id = Some("x".to_owned());
    let create = Step {
        mark: Some(Mark::new()),
        ..Step::new(Action::Create, "connections", None)
    };
    let update = Step::new(Action::Update, "ikePolicies", id.clone());
    let delete = Step::new(Action::Delete, "peerEndpoints", id);
    for step in [&create, &update, &delete] {
        let error = dialect.trace(step, &call()).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unavailable, "{step:?}");
    }
    for error in [
        dialect
            .remove(&delete, &call())
            .await
            .map(|_| ())
            .unwrap_err(),
        dialect.undo(&update, &call()).await.unwrap_err(),
    ] {
        assert_eq!(error.kind, ErrorKind::Unavailable);
    }
}

#[tokio::test]
async fn a_list_that_cannot_be_read_leaves_open_what_was_made() {
    let nsx = nsx();
    let step = nsx.made_by_steps().await.remove(1);
    let rule = Rule::on(Method::GET, "/sessions$", refusal(500, 99));
    nsx.cloud.faults().inject(rule);
    let error = nsx.dialect.trace(&step, &call()).await.unwrap_err();
    assert!(error.is_outage(), "{error}");
}
