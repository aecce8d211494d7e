//! Everything inline: what a connection needs, and its two endpoint groups, made by one write on a real Neutron, and removed.

use crate::{
    calls::{gateway, remove},
    cloud::{self, BACKEND, Login, reports, seeded},
    operator,
    support::clouds::PSK,
};
use isthmus::{
    core::{
        dialect::{Action, Call, Dialect, Made, Mark, Plan, Step, Trace, Written},
        error::ErrorReason,
    },
    dialects,
    grpc::pb::{self, peer::Authentication as PbAuthentication},
    model::{
        Authentication, ConnectionChange, ConnectionSpec, Field, NewConnection, PolicyRule, Psk,
        ResourceKind, ResourceSpec, Selectors, Settings, topology::VpnService,
    },
};
use reqwest::Method;
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};

/// The networks of the two IPv4 subnets on the seeded router of `demo`, as `tests/live/openstack/lib/seed.py` makes them.
const LOCAL: [&str; 2] = ["10.10.1.0/24", "10.10.2.0/24"];

/// The ids of everything that VPNs of `demo` are made of.
pub async fn all_there() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, key) in [
        ("ikepolicies", "ikepolicies"),
        ("ipsecpolicies", "ipsecpolicies"),
        ("vpnservices", "vpnservices"),
        ("endpoint-groups", "endpoint_groups"),
        ("ipsec-site-connections", "ipsec_site_connections"),
    ] {
        let path = format!("vpn/{path}?fields=id");
        let listed = operator::neutron(&Login::demo(), Method::GET, &path, Value::Null).await;
        let rows = listed[key].as_array().unwrap().clone();
        let id = |row: Value| row["id"].as_str().unwrap().to_owned();
        found.extend(rows.into_iter().map(id));
    }
    found
}

/// Rules of all local with these networks of the peer.
fn rules(destinations: &[&str]) -> Option<Selectors> {
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    let each = LOCAL.iter().map(|source| PolicyRule {
        sources: texts(&[source]),
        destinations: texts(destinations),
        ..PolicyRule::default()
    });
    Some(Selectors::Rules(each.collect()))
}

fn whole() -> NewConnection {
    let service = VpnService {
        router: seeded("DEMO", "ROUTER"),
        ..VpnService::default()
    };
    let settings = [
        Settings::none(ResourceKind::IkePolicy),
        Settings::none(ResourceKind::IpsecPolicy),
        Settings::VpnService(service),
    ];
    let part = |settings: Settings| {
        let none = ResourceSpec::none(settings.kind());
        (settings.kind(), ResourceSpec { settings, ..none })
    };
    NewConnection {
        spec: ConnectionSpec {
            display_name: "together".to_owned(),
            peer_address: "198.51.100.77".to_owned(),
            authentication: Some(Authentication::Psk(Psk::new(PSK))),
            selectors: rules(&["192.168.90.0/24"]),
            ..ConnectionSpec::default()
        },
        parts: settings.map(part).into(),
        ..NewConnection::default()
    }
}

fn call() -> Call {
    Call::unary(Duration::from_secs(60))
}

/// Performs what is planned, and has each step traced before and after.
async fn perform<W>(
    dialect: &dyn Dialect,
    plan: &mut Box<dyn Plan<W> + '_>,
    made: &Made,
) -> Vec<Step> {
    let mut done = Vec::new();
    for index in 0..plan.steps().len() {
        let step = plan.steps()[index].clone();
        assert_eq!(dialect.trace(&step, &call()).await.unwrap(), Trace::NotDone);
        let left = plan.perform(index, made, &call()).await.unwrap();
        let traced = dialect.trace(&step, &call()).await.unwrap();
        assert_eq!(traced, Trace::Done(left.clone()), "{step:?}");
        done.push(Step {
            id: Some(left.id),
            ..step
        });
    }
    done
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_step_of_a_composite_write_is_done_traced_and_taken_back() {
    let _alone = cloud::alone().await;
    let dialect = dialects::connect(&cloud::settings(&Login::demo())).unwrap();
    let (before, wanted, mark) = (all_there().await, whole(), Mark::joint());
    assert_eq!(dialect.refuse_create(&wanted), []);
    let (mut made, mut done) = (Made::new(), Vec::new());
    for (kind, spec) in &wanted.parts {
        let resources = dialect.resources();
        let planned = resources
            .plan_create(spec.clone(), mark.clone(), &call())
            .await;
        let steps = perform(&*dialect, &mut planned.unwrap(), &made).await;
        made.insert(*kind, steps[0].id.clone().unwrap());
        done.extend(steps);
    }
    let planned = dialect.plan_create(wanted, mark, &call()).await;
    let mut plan: Box<dyn Plan<Written> + '_> = planned.unwrap();
    done.extend(perform(&*dialect, &mut plan, &made).await);
    let id = plan.written().id;
    let made: BTreeSet<String> = all_there().await.difference(&before).cloned().collect();
    let steps: BTreeSet<String> = done.iter().filter_map(|step| step.id.clone()).collect();
    assert_eq!((made.len(), &made), (6, &steps));

    // Networks are switched by other groups, but not while the cloud would take no update.
    let change = |destinations: &[&str]| ConnectionChange {
        fields: BTreeSet::from([Field::Selectors]),
        values: ConnectionSpec {
            selectors: rules(destinations),
            ..ConnectionSpec::default()
        },
        ..ConnectionChange::default()
    };
    let other = change(&["192.168.91.0/24"]);
    let pending = dialect
        .plan_update(&id, other.clone(), &call())
        .await
        .err()
        .unwrap();
    assert_eq!(pending.reason, ErrorReason::WrongState);
    assert!(pending.context.retry_after.is_some());
    reports(&id, "ACTIVE");
    let mut switch = dialect.plan_update(&id, other, &call()).await.unwrap();
    let actions: Vec<Action> = switch.steps().iter().map(|step| step.action).collect();
    assert_eq!(actions, [Action::Create, Action::Update, Action::Delete]);
    let switched = perform(&*dialect, &mut switch, &Made::new()).await;
    assert_eq!(all_there().await.len(), before.len() + 6);

    // The old group is gone, so the new one takes its place when all is taken back.
    let is_old = |step: &Step| step.id == switched[2].id;
    let at = done.iter().position(is_old).unwrap();
    done[at] = switched[0].clone();
    let in_use = dialect.undo(&done[0], &call()).await.unwrap_err();
    assert_eq!(in_use.reason, ErrorReason::InUse);
    for step in done.iter().rev() {
        dialect.undo(step, &call()).await.unwrap();
        assert_eq!(dialect.trace(step, &call()).await.unwrap(), Trace::NotDone);
    }
    assert_eq!(all_there().await, before);
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_call_makes_six_objects_and_one_removes_them() {
    let _alone = cloud::alone().await;
    let before = all_there().await;
    let running = gateway(&Login::demo()).await;
    let networks = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    let rule = pb::PolicyRule {
        sources: networks(&LOCAL),
        destinations: networks(&["192.168.90.0/24"]),
        ..pb::PolicyRule::default()
    };
    let request = pb::CreateConnectionRequest {
        parent: format!("backends/{BACKEND}"),
        connection: Some(pb::Connection {
            display_name: "together".to_owned(),
            peer: Some(pb::Peer {
                address: "198.51.100.77".to_owned(),
                authentication: Some(PbAuthentication::Psk(PSK.to_owned())),
                ..pb::Peer::default()
            }),
            selectors: Some(pb::connection::Selectors::PolicyBased(pb::PolicyBased {
                rules: vec![rule],
                ..pb::PolicyBased::default()
            })),
            ..pb::Connection::default()
        }),
        parts: Some(pb::Parts {
            ike_policy: Some(pb::IkePolicy::default()),
            ipsec_policy: Some(pb::IpsecPolicy::default()),
            vpn_service: Some(pb::VpnService {
                router: seeded("DEMO", "ROUTER"),
                ..pb::VpnService::default()
            }),
            ..pb::Parts::default()
        }),
        ..pb::CreateConnectionRequest::default()
    };
    let tried = pb::CreateConnectionRequest {
        validate_only: true,
        ..request.clone()
    };
    let planned = running.connections().create_connection(tried).await;
    let planned = planned.unwrap().into_inner().plan;
    let collections: Vec<&str> = planned.iter().map(|it| it.collection.as_str()).collect();
    assert_eq!(
        collections,
        [
            "ikePolicies",
            "ipsecPolicies",
            "vpnServices",
            "endpointGroups",
            "endpointGroups",
            "connections"
        ]
    );
    assert_eq!(all_there().await, before, "what is only tried is not done");

    let made = running.connections().create_connection(request).await;
    let name = made.unwrap().into_inner().connection.unwrap().name;
    assert_eq!(all_there().await.len(), before.len() + 6);
    remove(&running, &name).await;
    assert_eq!(all_there().await, before);
}
