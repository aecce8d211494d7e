//! Descriptions that name networks, on a real Neutron: on a service without a subnet and on services with one.

use crate::{
    cloud::{self, Login, reports, seeded},
    support::clouds::PSK,
    together::all_there,
};
use isthmus::{
    core::{
        dialect::{Call, Dialect, Made, Mark, Plan, Proof, Written, WrittenResource},
        error::{Error, ErrorReason, Result},
        execute::{NoJournal, execute},
    },
    dialects,
    model::{
        Authentication, ConnectionChange, ConnectionSpec, Field, NewConnection, PolicyRule, Psk,
        ResourceChange, ResourceField, ResourceKind, ResourceSpec, Selectors, Settings,
        topology::VpnService,
    },
};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// The networks of the two IPv4 subnets on the seeded router of `demo`; the second is that of the seeded legacy service.
const LOCAL: [&str; 2] = ["10.10.1.0/24", "10.10.2.0/24"];
const PEER: [&str; 2] = ["192.168.90.0/24", "192.168.91.0/24"];
const WIDER: [&str; 2] = ["192.168.90.0/24", "192.168.92.0/24"];

fn rule(sources: &[&str], destinations: &[&str]) -> Option<Selectors> {
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    Some(Selectors::Rules(vec![PolicyRule {
        sources: texts(sources),
        destinations: texts(destinations),
        ..PolicyRule::default()
    }]))
}

fn to(selectors: Option<Selectors>) -> ConnectionChange {
    ConnectionChange {
        fields: BTreeSet::from([Field::Selectors]),
        values: ConnectionSpec {
            selectors,
            ..ConnectionSpec::default()
        },
        ..ConnectionChange::default()
    }
}

fn call() -> Call {
    Call::unary(Duration::from_secs(60))
}

/// A description on a service of its own, with this subnet; or on the seeded one.
fn described(
    subnet: Option<&str>,
    service: Option<String>,
    selectors: Option<Selectors>,
) -> NewConnection {
    let mut settings = vec![
        Settings::none(ResourceKind::IkePolicy),
        Settings::none(ResourceKind::IpsecPolicy),
    ];
    if service.is_none() {
        settings.push(Settings::VpnService(VpnService {
            router: seeded("DEMO", "ROUTER"),
            subnet: subnet.map(str::to_owned),
            ..VpnService::default()
        }));
    }
    let part = |settings: Settings| {
        let none = ResourceSpec::none(settings.kind());
        (settings.kind(), ResourceSpec { settings, ..none })
    };
    NewConnection {
        spec: ConnectionSpec {
            display_name: "portable".to_owned(),
            vpn_service: service,
            peer_address: "198.51.100.78".to_owned(),
            authentication: Some(Authentication::Psk(Psk::new(PSK))),
            selectors,
            ..ConnectionSpec::default()
        },
        parts: settings.into_iter().map(part).collect(),
        ..NewConnection::default()
    }
}

struct Bench(Arc<dyn Dialect>);

impl Bench {
    async fn perform<W>(&self, plan: Box<dyn Plan<W> + '_>, made: &Made) -> W {
        let done = execute(&*self.0, plan, made, &NoJournal, &call()).await;
        done.unwrap()
    }

    /// Makes a description with its parts; the connection, and what it refers to.
    async fn make(&self, wanted: NewConnection) -> (String, Made) {
        assert_eq!(self.0.refuse_create(&wanted), []);
        let call = call();
        let mut wanted = self.0.attach(wanted, &call).await.unwrap();
        let (mut made, mark) = (Made::new(), Mark::joint());
        let own = self.0.plan_create(wanted.clone(), mark.clone(), &call);
        let own = own.await.unwrap();
        for (kind, spec) in std::mem::take(&mut wanted.parts) {
            let part = self.0.resources().plan_create(spec, mark.clone(), &call);
            let written: WrittenResource = self.perform(part.await.unwrap(), &made).await;
            made.insert(kind, written.resource.unwrap().id);
        }
        let written: Written = self.perform(own, &made).await;
        reports(&written.id, "ACTIVE");
        (written.id, made)
    }

    async fn networks(&self, id: &str) -> Option<Selectors> {
        let there = self.0.get(id, &call()).await.unwrap();
        self.0.as_networks(&there, &call()).await.unwrap()
    }

    async fn change(&self, id: &str, selectors: Option<Selectors>) -> Result<Written> {
        let change = to(selectors);
        assert_eq!(self.0.refuse_update(&change), []);
        let plan = self.0.plan_update(id, change, &call()).await?;
        Ok(self.perform(plan, &Made::new()).await)
    }

    async fn remove(&self, id: &str, made: &Made, groups: Option<Selectors>) {
        let call = call();
        let plan = self.0.plan_delete(id, None, &call).await.unwrap();
        let _: Written = self.perform(plan, &Made::new()).await;
        let mut left: Vec<(ResourceKind, String)> =
            made.iter().map(|(kind, id)| (*kind, id.clone())).collect();
        if let Some(Selectors::EndpointGroups { local, peer }) = groups {
            left.extend([local, peer].map(|id| (ResourceKind::EndpointGroup, id)));
        }
        for (kind, id) in &left {
            let plan = self.0.resources().plan_delete(*kind, id, None, &call);
            let _: WrittenResource = self.perform(plan.await.unwrap(), &Made::new()).await;
        }
    }
}

fn fields(error: &Error) -> Vec<&str> {
    let violations = error.context.violations.iter();
    violations.map(|it| it.field.as_str()).collect()
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_of_networks_reads_back_as_they_are() {
    let _alone = cloud::alone().await;
    let bench = Bench(dialects::connect(&cloud::settings(&Login::demo())).unwrap());
    let before = all_there().await;
    let (plain, legacy) = ("VPN_SERVICE", "LEGACY_VPN_SERVICE");
    let seeded_subnet = seeded("DEMO", "SUBNET_1");
    for (subnet, service, local) in [
        (None, None, &LOCAL[..]),
        (Some(seeded_subnet.as_str()), None, &LOCAL[..1]),
        (None, Some(seeded("DEMO", plain)), &LOCAL[..]),
        (None, Some(seeded("DEMO", legacy)), &LOCAL[1..]),
    ] {
        let wanted = described(subnet, service, rule(local, &PEER));
        let (id, made) = bench.make(wanted).await;
        assert_eq!(bench.networks(&id).await, rule(local, &PEER));
        let there = all_there().await;
        let same = bench.change(&id, rule(local, &PEER)).await.unwrap();
        assert_eq!(same.proof, Proof::Nothing);
        assert_eq!(all_there().await, there);
        bench.change(&id, rule(local, &WIDER)).await.unwrap();
        assert_eq!(bench.networks(&id).await, rule(local, &WIDER));
        let error = bench.change(&id, rule(&["10.99.0.0/24"], &PEER)).await;
        let error = error.unwrap_err();
        assert_eq!(error.reason, ErrorReason::ReferenceNotFound);
        assert_eq!(fields(&error), ["policy_based.rules[0].sources"]);
        let selectors = bench.0.get(&id, &call()).await.unwrap().selectors;
        if let Some(Selectors::Rules(_)) = selectors {
            let other = if local == &LOCAL[1..] {
                LOCAL[0]
            } else {
                LOCAL[1]
            };
            let error = bench.change(&id, rule(&[other], &PEER)).await.unwrap_err();
            assert_eq!(error.reason, ErrorReason::NotExpressible);
        }
        // What is used is known to be so before anything is sent.
        let mut change = ResourceChange {
            fields: [ResourceField::DisplayName].into(),
            values: ResourceSpec::none(ResourceKind::IkePolicy),
            etag: None,
        };
        change.values.display_name = "other".to_owned();
        let policy = &made[&ResourceKind::IkePolicy];
        let resources = bench.0.resources();
        let refused = resources.plan_update(policy, change, &call()).await.err();
        assert_eq!(refused.unwrap().reason, ErrorReason::InUse);
        bench.remove(&id, &made, selectors).await;
        assert_eq!(all_there().await, before);
    }
}
