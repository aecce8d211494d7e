//! A description that names networks: what becomes of it, how it reads back, and what a change of it is.

use crate::{
    setup::{Bench, EVERY_VARIANT, assert_error, parts, rules, taken, to},
    support::{
        cloud::{Cloud, call, change},
        clouds::PSK,
        writes::Writes,
    },
};
use http::{Method, StatusCode};
use isthmus::{
    core::{
        dialect::{Made, Mark, Proof},
        error::{Error, ErrorKind, ErrorReason, Result},
        execute::{NoJournal, execute},
    },
    model::{
        Authentication, ConnectionSpec, Field, NewConnection, Psk, ResourceChange, ResourceField,
        ResourceKind, ResourceSpec, Selectors, Settings, policy::IkePolicy,
    },
    simulator::{
        faults::{Answer, Fault, Rule},
        openstack::{Inventory, Kind, Variant},
    },
};
use serde_json::json;

const INVENTORY: Inventory = Inventory::fixed();
const ONE: &[&str] = &["10.10.1.0/24"];
const LEGACY: &[&str] = &["10.10.2.0/24"];
const BOTH: &[&str] = &["10.10.1.0/24", "10.10.2.0/24"];
const PEER: &[&str] = &["192.168.90.0/24", "192.168.91.0/24"];
const WIDER: &[&str] = &["192.168.90.0/24", "192.168.92.0/24"];

/// Where a description is attached.
#[derive(Debug, Clone, Copy)]
enum At {
    /// A service that is made with it, on the project's router.
    Router,
    /// The same with the project's first subnet.
    Subnet,
    /// A service that is there.
    Service(&'static str),
}

/// Each cloud, each way to attach, and the local networks that a connection can have there.
fn table() -> Vec<(Variant, At, &'static [&'static str])> {
    let project = &INVENTORY.project;
    let (plain, legacy) = (project.service_id, project.legacy_service_id);
    vec![
        (Variant::Neutron, At::Router, BOTH),
        (Variant::Neutron, At::Subnet, ONE),
        (Variant::Neutron, At::Service(plain), BOTH),
        (Variant::Neutron, At::Service(legacy), LEGACY),
        (Variant::Otc, At::Router, BOTH),
        (Variant::Otc, At::Service(plain), ONE),
        (Variant::K5, At::Router, ONE),
        (Variant::K5, At::Router, LEGACY),
        (Variant::K5, At::Subnet, ONE),
        (Variant::K5, At::Service(legacy), LEGACY),
    ]
}

fn set_subnet(wanted: &mut NewConnection, id: &str) {
    let part = wanted.parts.get_mut(&ResourceKind::VpnService).unwrap();
    let Settings::VpnService(service) = &mut part.settings else {
        panic!("{part:?}");
    };
    service.subnet = Some(id.to_owned());
}

/// A description with these rules.
fn described(bench: &Bench, at: At, selectors: Option<Selectors>) -> NewConnection {
    let project = &INVENTORY.project;
    let mut wanted = parts(project.router_id);
    wanted.spec = ConnectionSpec {
        vpn_service: None,
        ike_policy: None,
        ipsec_policy: None,
        selectors,
        ..bench.spec("branch")
    };
    match at {
        At::Router => {}
        At::Subnet => set_subnet(&mut wanted, project.subnet_id),
        At::Service(id) => {
            wanted.parts.remove(&ResourceKind::VpnService);
            wanted.spec.vpn_service = Some(id.to_owned());
        }
    }
    wanted
}

impl Bench {
    /// Makes what is described, with its parts, as the core does.
    async fn make_described(&self, wanted: NewConnection) -> Result<String> {
        assert_eq!(self.dialect.refuse_create(&wanted), []);
        let call = call();
        let mut wanted = self.dialect.attach(wanted, &call).await?;
        let mut made = Made::new();
        let mark = Mark::joint();
        let plan = self
            .dialect
            .plan_create(wanted.clone(), mark.clone(), &call)
            .await?;
        for (kind, spec) in std::mem::take(&mut wanted.parts) {
            let written = self.dialect.create_resource(&spec, &mark, &call).await?;
            made.insert(kind, written.resource.unwrap().id);
        }
        let written = execute(&*self.dialect, plan, &made, &NoJournal, &call).await?;
        self.cloud.state().agent_reports(&written.id, "DOWN");
        Ok(written.id)
    }

    async fn networks(&self, id: &str) -> Result<Option<Selectors>> {
        let there = self.get(id).await.unwrap();
        self.forget_requests();
        self.dialect.as_networks(&there, &call()).await
    }

    fn paths(&self) -> Vec<String> {
        let queries = self.queries().into_iter();
        let path = |it: String| it.split('?').next().unwrap_or_default().to_owned();
        let mut paths: Vec<String> = queries
            .map(path)
            .map(|path| path.trim_start_matches("/v2.0/").to_owned())
            .collect();
        paths.sort();
        paths
    }

    #[track_caller]
    fn assert_only_read(&self) {
        let all = self.cloud.neutron().requests().all();
        let writes: Vec<_> = all.iter().filter(|it| it.method != Method::GET).collect();
        assert!(writes.is_empty(), "{writes:?}");
    }
}

#[track_caller]
fn fields(error: &Error) -> Vec<&str> {
    let violations = error.context.violations.iter();
    violations.map(|it| it.field.as_str()).collect()
}

#[track_caller]
fn said(error: &Error, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}

#[track_caller]
fn is_refused(error: &Error, field: &str, words: &[&str]) {
    let (kind, reason) = (ErrorKind::NotExpressible, ErrorReason::NotExpressible);
    assert_error(error, kind, reason);
    assert_eq!(fields(error), [field]);
    said(error, words);
}

#[track_caller]
fn is_not_there(error: &Error, field: &str, words: &[&str]) {
    let reason = ErrorReason::ReferenceNotFound;
    assert_error(error, ErrorKind::FailedPrecondition, reason);
    assert_eq!(fields(error), [field]);
    said(error, words);
}

#[tokio::test]
async fn what_is_made_of_networks_reads_back_as_they_are() {
    for (variant, at, local) in table() {
        let bench = Bench::of(variant);
        let what = format!("{variant:?} {at:?} {local:?}");
        // In any order, in several rules, with host bits.
        let mut reversed: Vec<(&[&str], &[&str])> = Vec::new();
        for source in local.iter().rev() {
            reversed.push((std::slice::from_ref(source), &["192.168.91.7/24"]));
            reversed.push((std::slice::from_ref(source), &["192.168.90.0/24"]));
        }
        let wanted = described(&bench, at, rules(&reversed));
        let id = bench.make_described(wanted).await;
        let id = id.unwrap_or_else(|error| panic!("{what}: {error}"));
        let plain = rules(&[(local, PEER)]);
        assert_eq!(bench.networks(&id).await.unwrap(), plain, "{what}");
        let expected = match bench.get(&id).await.unwrap().selectors {
            Some(Selectors::EndpointGroups { .. }) => 3,
            _ => 2,
        };
        let asked = bench.paths().len() - 1;
        assert_eq!(asked, expected, "{what}: {:?}", bench.queries());

        // The same again is nothing to write, in whichever form.
        for same in [plain.clone(), rules(&reversed)] {
            bench.forget_requests();
            let written = bench.update(&id, &to(same)).await.unwrap();
            assert_eq!(written.proof, Proof::Nothing, "{what}");
            bench.assert_only_read();
        }

        let wider = rules(&[(local, WIDER)]);
        let written = bench.update(&id, &to(wider.clone())).await.unwrap();
        assert_ne!(written.proof, Proof::Nothing, "{what}");
        assert_eq!(bench.networks(&id).await.unwrap(), wider, "{what}");
    }
}

#[tokio::test]
async fn other_local_networks_are_other_groups_or_refused_with_what_is_there() {
    for (variant, at, local) in table() {
        let bench = Bench::of(variant);
        let wanted = described(&bench, at, rules(&[(local, PEER)]));
        let id = bench.make_described(wanted).await.unwrap();
        let other: &[&str] = if local == LEGACY { ONE } else { LEGACY };
        let groups = matches!(
            bench.get(&id).await.unwrap().selectors,
            Some(Selectors::EndpointGroups { .. })
        );
        bench.forget_requests();
        let changed = bench.update(&id, &to(rules(&[(other, PEER)]))).await;
        if groups {
            changed.unwrap();
            assert_eq!(bench.networks(&id).await.unwrap(), rules(&[(other, PEER)]));
        } else {
            let field = "policy_based.rules[0].sources";
            is_refused(&changed.unwrap_err(), field, &[other[0], local[0]]);
            bench.assert_only_read();
        }
        // That no subnet of the router has it is not the connection's fault: no other could have it.
        bench.forget_requests();
        let elsewhere = to(rules(&[(&["10.10.3.0/24"], PEER)]));
        let error = bench.update(&id, &elsewhere).await.unwrap_err();
        let field = "policy_based.rules[0].sources";
        is_not_there(&error, field, &["10.10.3.0/24", ONE[0], LEGACY[0]]);
        bench.assert_only_read();
    }
}

#[tokio::test]
async fn a_subnet_is_found_on_the_router_of_the_service() {
    let project = &INVENTORY.project;
    let attached = async |bench: &Bench, at: At, selectors| {
        let wanted = described(bench, at, selectors);
        bench.forget_requests();
        bench.dialect.attach(wanted, &call()).await
    };
    let subnet_of = |wanted: &NewConnection| match &wanted.parts[&ResourceKind::VpnService].settings
    {
        Settings::VpnService(it) => it.subnet.clone(),
        other => panic!("{other:?}"),
    };
    let k5 = Bench::of(Variant::K5);
    let found = attached(&k5, At::Router, rules(&[(LEGACY, PEER)])).await;
    let found = found.unwrap();
    assert_eq!(subnet_of(&found).as_deref(), Some(project.legacy_subnet_id));
    assert_eq!(found.spec.selectors, rules(&[(&[], PEER)]));
    assert_eq!(k5.paths(), ["ports", "subnets"]);

    // One of another router, and one that is on none.
    for elsewhere in ["10.10.3.0/24", "10.10.4.0/24"] {
        let error = attached(&k5, At::Router, rules(&[(&[elsewhere], PEER)])).await;
        let field = "policy_based.rules[0].sources";
        let words = [elsewhere, project.router_id, ONE[0], LEGACY[0]];
        is_refused(&error.unwrap_err(), field, &words);
    }
    // One that is given is what counts.
    for variant in [Variant::Neutron, Variant::K5] {
        let bench = Bench::of(variant);
        let error = attached(&bench, At::Subnet, rules(&[(LEGACY, PEER)])).await;
        let field = "policy_based.rules[0].sources";
        is_refused(&error.unwrap_err(), field, &[LEGACY[0], ONE[0]]);
        let mut hidden = described(&bench, At::Subnet, rules(&[(ONE, PEER)]));
        set_subnet(&mut hidden, INVENTORY.other.subnet_id);
        let error = bench.dialect.attach(hidden, &call()).await.unwrap_err();
        let field = "parts.vpn_service.subnet";
        is_not_there(&error, field, &[INVENTORY.other.subnet_id]);
        bench.assert_only_read();
    }

    // Nothing is asked where nothing is open.
    let stock = Bench::stock();
    let open = [
        (&stock, At::Router, rules(&[(BOTH, PEER)])),
        (
            &stock,
            At::Service(project.service_id),
            rules(&[(ONE, PEER)]),
        ),
        (&stock, At::Subnet, rules(&[(&[], PEER)])),
        (&stock, At::Router, stock.spec("").selectors),
        (&k5, At::Router, rules(&[(&[], PEER)])),
    ];
    for (bench, at, selectors) in open {
        let found = attached(bench, at, selectors.clone()).await.unwrap();
        assert_eq!(found.spec.selectors, selectors, "{at:?}");
        assert_eq!(bench.paths(), [""; 0]);
    }
}

/// An account may be shown routers and none of their ports.
#[tokio::test]
async fn what_the_account_is_not_shown_is_said_to_be_so() {
    let bench = Bench::of(Variant::K5);
    let none = Answer::json(StatusCode::OK, &json!({ "ports": [] }));
    let rule = Rule::on(Method::GET, "/v2.0/ports", Fault::Answer(none));
    bench.cloud.faults().inject(rule);
    let wanted = described(&bench, At::Router, rules(&[(ONE, PEER)]));
    let error = bench.dialect.attach(wanted, &call()).await.unwrap_err();
    let field = "policy_based.rules[0].sources";
    is_refused(&error, field, &["none that the gateway's account is shown"]);
}

#[tokio::test]
async fn two_local_networks_beside_one_subnet_are_refused_unsent() {
    let two = || rules(&[(ONE, PEER), (LEGACY, PEER)]);
    let reason = "is the one subnet of its VPN service";
    for (variant, at) in [
        (Variant::K5, At::Router),
        (Variant::K5, At::Subnet),
        (
            Variant::K5,
            At::Service(INVENTORY.project.legacy_service_id),
        ),
        (Variant::Neutron, At::Subnet),
    ] {
        let bench = Bench::of(variant);
        let found = bench.dialect.refuse_create(&described(&bench, at, two()));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].field, "policy_based.rules[1].sources");
        let said = &found[0].description;
        assert!(said.contains(reason) && said.contains(LEGACY[0]), "{said}");
        if variant == Variant::K5 {
            assert_eq!(bench.dialect.refuse_update(&to(two())), found);
        }
    }
    // Of a service that is there it is known once it is read.
    let bench = Bench::stock();
    let id = bench.make(&bench.legacy_spec("legacy")).await.unwrap();
    let there = bench.get(&id).await.unwrap();
    assert_eq!(bench.dialect.refuse_update(&to(two())), []);
    let found = bench.dialect.refuse_to_become(&to(two()), &there);
    assert_eq!(found[0].field, "policy_based.rules[1].sources");
    // Both IP versions, and what is no product, are refused as everywhere.
    let k5 = Bench::of(Variant::K5);
    let mixed = rules(&[(ONE, &["192.168.90.0/24", "2001:db8:90::/64"])]);
    let found = k5.dialect.refuse_update(&to(mixed));
    assert_eq!(found[0].field, "policy_based.rules[0].destinations");
    // Open Telekom Cloud has groups beside every service.
    let otc = Bench::of(Variant::Otc);
    let wanted = described(&otc, At::Subnet, rules(&[(ONE, PEER)]));
    let found = otc.dialect.refuse_create(&wanted);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].field, "parts.vpn_service.subnet");
}

#[tokio::test]
async fn what_selectors_refer_to_and_is_gone_is_named() {
    let nowhere = "00000000-0000-4000-8000-000000000000";
    for variant in [Variant::Neutron, Variant::Otc] {
        let bench = Bench::of(variant);
        let wanted = described(&bench, At::Router, rules(&[(BOTH, PEER)]));
        let id = bench.make_described(wanted).await.unwrap();
        let Some(Selectors::EndpointGroups { local, peer }) =
            bench.get(&id).await.unwrap().selectors
        else {
            panic!("groups");
        };
        bench.cloud.state().set_page_cap(Some(1));
        let plain = rules(&[(BOTH, PEER)]);
        assert_eq!(bench.networks(&id).await.unwrap(), plain, "in pages");
        let endpoints = Some(json!([INVENTORY.project.subnet_id, nowhere]));
        let (state, group) = (bench.cloud.state(), Kind::EndpointGroup);
        state.set_attribute(group, &local, "endpoints", endpoints);
        let field = "policy_based.local_endpoint_group";
        let error = bench.networks(&id).await.unwrap_err();
        is_not_there(&error, field, &["subnet", nowhere]);
        // Where a group holds networks, they are what it stands for.
        let endpoints = Some(json!(["10.9.0.0/16"]));
        state.set_attribute(group, &local, "endpoints", endpoints);
        let networks = bench.networks(&id).await.unwrap();
        assert_eq!(networks, rules(&[(&["10.9.0.0/16"], PEER)]));
        assert!(state.vanish(group, &peer));
        let field = "policy_based.peer_endpoint_group";
        let error = bench.networks(&id).await.unwrap_err();
        is_not_there(&error, field, &["endpoint group", &peer]);
    }
    for variant in [Variant::Neutron, Variant::K5] {
        let bench = Bench::of(variant);
        let id = bench.make(&bench.legacy_spec("legacy")).await.unwrap();
        let legacy = INVENTORY.project.legacy_service_id;
        let state = bench.cloud.state();
        let subnet = Some(json!(nowhere));
        state.set_attribute(Kind::VpnService, legacy, "subnet_id", subnet);
        let error = bench.networks(&id).await.unwrap_err();
        is_not_there(&error, "vpn_service", &["subnet", nowhere]);
        assert!(state.vanish(Kind::VpnService, legacy));
        let error = bench.networks(&id).await.unwrap_err();
        is_not_there(&error, "vpn_service", &["VPN service", legacy]);
    }
}

#[tokio::test]
async fn a_key_that_is_spared_is_never_written() {
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let id = bench.make(&taken(&bench, variant, "branch")).await.unwrap();
        bench.cloud.state().agent_reports(&id, "DOWN");
        let spared = |fields: &[Field]| {
            let authentication = Some(Authentication::Psk(Psk::new("canary-other")));
            let values = ConnectionSpec {
                authentication,
                display_name: "renamed".to_owned(),
                ..ConnectionSpec::default()
            };
            let mut change = change(fields, values);
            change.spare_key = true;
            change
        };
        bench.forget_requests();
        let alone = spared(&[Field::Authentication]);
        let written = bench.update(&id, &alone).await.unwrap();
        assert_eq!(written.proof, Proof::Nothing);
        bench.assert_only_read();
        let both = spared(&[Field::Authentication, Field::DisplayName]);
        let plan = bench.dialect.plan_update(&id, both.clone(), &call()).await;
        let plan = plan.unwrap();
        assert!(!plan.steps()[0].bears_key);
        assert_eq!(plan.steps()[0].fields, ["display_name"]);
        drop(plan);
        bench.update(&id, &both).await.unwrap();
        assert_eq!(bench.get(&id).await.unwrap().display_name, "renamed");
        assert_eq!(bench.cloud.key(&id), PSK, "{variant:?}");
    }
}

/// What the cloud would refuse at the end is told when it is planned: whoever applies a description can then say that it
/// needs another object.
#[tokio::test]
async fn a_policy_in_use_is_told_before_anything_is_written() {
    for variant in EVERY_VARIANT {
        let bench = Bench::of(variant);
        let connection = bench.make(&taken(&bench, variant, "branch")).await.unwrap();
        let version = |version| {
            let settings = Settings::IkePolicy(IkePolicy {
                ike_version: Some(version),
                ..IkePolicy::default()
            });
            ResourceChange {
                fields: [ResourceField::IkeVersion].into(),
                values: ResourceSpec {
                    settings,
                    ..ResourceSpec::none(ResourceKind::IkePolicy)
                },
                etag: None,
            }
        };
        use isthmus::model::algorithm::IkeVersion::{V1, V2};
        let id = INVENTORY.project.ike_policy_id;
        bench.forget_requests();
        let (resources, call) = (bench.dialect.resources(), call());
        let error = resources.plan_update(id, version(V1), &call).await.err();
        let error = error.unwrap();
        assert_error(&error, ErrorKind::FailedPrecondition, ErrorReason::InUse);
        assert_eq!(fields(&error), ["ike_version"]);
        said(&error, &[&connection]);
        bench.assert_only_read();
        // What matches already is no change, and asks for nothing more.
        bench.forget_requests();
        let plan = resources.plan_update(id, version(V2), &call).await.unwrap();
        assert_eq!(plan.steps(), []);
        assert_eq!(bench.paths(), [format!("vpn/ikepolicies/{id}")]);
        drop(plan);
        // One that nobody uses changes.
        bench.delete(&connection).await.unwrap();
        let change = version(V1);
        let written = bench.dialect.update_resource(id, &change, &call).await;
        let Settings::IkePolicy(policy) = written.unwrap().resource.unwrap().spec.settings else {
            panic!("an IKE policy");
        };
        assert_eq!(policy.ike_version, Some(V1), "{variant:?}");
    }
}
