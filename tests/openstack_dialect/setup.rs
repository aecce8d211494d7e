//! A simulated OpenStack with its dialect, and what a test asks of them.

use crate::support::{
    cloud::{Bound, Cloud, call, change, page, target},
    writes::Writes,
};
use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::{Proof, Target},
        error::{Error, ErrorKind, ErrorReason},
    },
    dialects::settings::Given,
    model::{
        ConnectionChange, ConnectionSpec, Field, NewConnection, PolicyRule, ResourceKind,
        ResourceSpec, Selectors, Settings, Sighting, topology::VpnService,
    },
    simulator::{
        faults::{Answer, Fault, Rule},
        openstack::{OpenstackOptions, OpenstackSimulator, Variant},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, time::Duration};

pub const CONNECTIONS: &str = "/v2.0/vpn/ipsec-site-connections";

/// A simulated cloud and the dialect bound to it as the member of its project.
pub type Bench = Bound<OpenstackSimulator>;

impl Bench {
    pub fn new(options: OpenstackOptions) -> Bench {
        Bench::with(options, |_| {})
    }

    pub fn with(options: OpenstackOptions, edit: impl FnOnce(&mut Given)) -> Bench {
        let variant = options.variant;
        let cloud = OpenstackSimulator::start(options).unwrap();
        let mut settings = settings(&cloud, variant);
        edit(&mut settings);
        let bench = Bound::to(cloud, &settings);
        assert_secret_free(&format!("{:?}", bench.dialect));
        bench
    }

    pub fn of(variant: Variant) -> Bench {
        Bench::new(OpenstackOptions {
            variant,
            ..OpenstackOptions::default()
        })
    }

    pub fn stock() -> Bench {
        Bench::of(Variant::Neutron)
    }

    /// A connection with endpoint groups, as every service but K5's wants them.
    pub fn spec(&self, name: &str) -> ConnectionSpec {
        ConnectionSpec {
            display_name: name.to_owned(),
            ..self.cloud.spec()
        }
    }

    pub fn legacy_spec(&self, name: &str) -> ConnectionSpec {
        ConnectionSpec {
            vpn_service: Some(self.cloud.inventory().project.legacy_service_id.to_owned()),
            selectors: Some(Selectors::Rules(vec![PolicyRule {
                destinations: vec!["192.168.77.0/24".to_owned()],
                ..PolicyRule::default()
            }])),
            ..self.spec(name)
        }
    }

    pub async fn make(&self, spec: &ConnectionSpec) -> Result<String, Error> {
        assert_eq!(self.dialect.refuse_alone(spec), []);
        let written = self.create(spec).await?;
        assert_eq!(written.proof, Proof::AnyStatus);
        assert_secret_free(&format!("{written:?}"));
        Ok(written.id)
    }

    pub async fn made(&self, name: &str) -> String {
        self.make(&self.spec(name)).await.unwrap()
    }

    pub async fn poll_all(&self, ids: &[&str]) -> Vec<Result<Sighting, Error>> {
        let targets: Vec<Target> = ids.iter().map(|id| target(id)).collect();
        self.dialect.poll(&targets, &call()).await
    }

    pub async fn poll_one(&self, id: &str) -> Result<Sighting, Error> {
        self.poll(target(id)).await
    }

    pub fn asked(&self, method: Method) -> u64 {
        self.cloud.neutron().requests().count(&method, CONNECTIONS)
    }

    pub fn queries(&self) -> Vec<String> {
        let all = self.cloud.neutron().requests().all();
        let gets = all.into_iter().filter(|seen| seen.method == Method::GET);
        gets.map(|seen| format!("{}?{}", seen.path, seen.query))
            .collect()
    }

    pub fn forget_requests(&self) {
        self.cloud.neutron().requests().clear();
    }
}

pub fn settings(cloud: &OpenstackSimulator, variant: Variant) -> Given {
    let variant = match variant {
        Variant::Neutron => "neutron",
        Variant::Otc => "otc",
        Variant::K5 => "k5",
    };
    let mut settings = cloud.settings("cloud").with("variant", variant);
    settings.core.timeout = Duration::from_secs(10);
    settings
}

pub fn assert_secret_free(text: &str) {
    assert!(
        !text.contains("canary") && !text.contains("not-a-real"),
        "{text}"
    );
}

#[track_caller]
pub fn assert_error(error: &Error, kind: ErrorKind, reason: ErrorReason) {
    assert_eq!((error.kind, error.reason), (kind, reason), "{error}");
    assert_secret_free(&format!("{error:?}"));
}

/// Walks all pages; `between` is told where the next one starts.
pub async fn walk(bench: &Bench, size: u32, between: impl Fn(&String)) -> BTreeSet<String> {
    let mut request = page(size);
    let mut found = BTreeSet::new();
    loop {
        let page = bench.list(&request).await.unwrap();
        assert!(page.items.len() <= size as usize);
        for connection in page.items {
            assert!(
                found.insert(connection.id.clone()),
                "{} twice",
                connection.id
            );
        }
        let Some(next) = page.next else {
            return found;
        };
        between(&next);
        request.after = Some(next);
    }
}

/// What the cloud answers to a LIST of connections, with these rows instead of its own.
pub fn lists(bench: &Bench, rows: Value) {
    let body = json!({ "ipsec_site_connections": rows });
    let fault = Fault::Answer(Answer::json(StatusCode::OK, &body));
    let rule = Rule::on(Method::GET, format!("{CONNECTIONS}$"), fault);
    bench.cloud.faults().inject(rule);
}

pub const EVERY_VARIANT: [Variant; 3] = [Variant::Neutron, Variant::Otc, Variant::K5];

/// A connection that this variant takes.
pub fn taken(bench: &Bench, variant: Variant, name: &str) -> ConnectionSpec {
    match variant {
        Variant::K5 => bench.legacy_spec(name),
        Variant::Neutron | Variant::Otc => bench.spec(name),
    }
}

/// Rules with these sources and destinations.
pub fn rules(pairs: &[(&[&str], &[&str])]) -> Option<Selectors> {
    let texts = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect();
    let rule = |(sources, destinations): &(&[&str], &[&str])| PolicyRule {
        sources: texts(sources),
        destinations: texts(destinations),
        ..PolicyRule::default()
    };
    Some(Selectors::Rules(pairs.iter().map(rule).collect()))
}

/// A change to these.
pub fn to(selectors: Option<Selectors>) -> ConnectionChange {
    let values = ConnectionSpec {
        selectors,
        ..ConnectionSpec::default()
    };
    change(&[Field::Selectors], values)
}

/// What a connection needs of a cloud that has nothing but a router.
pub fn parts(router: &str) -> NewConnection {
    let mut wanted = NewConnection::default();
    let service = VpnService {
        router: router.to_owned(),
        ..VpnService::default()
    };
    for settings in [
        Settings::none(ResourceKind::IkePolicy),
        Settings::none(ResourceKind::IpsecPolicy),
        Settings::VpnService(service),
    ] {
        let kind = settings.kind();
        let spec = ResourceSpec {
            display_name: "inline".to_owned(),
            settings,
            ..ResourceSpec::none(kind)
        };
        wanted.parts.insert(kind, spec);
    }
    wanted
}
