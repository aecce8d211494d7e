//! Policies, services and endpoint groups, of every kind on every variant.

use crate::{
    setup::{Bench, EVERY_VARIANT, assert_error, settings, taken},
    support::{
        cloud::{call, page},
        writes::Writes,
    },
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Mark, PageRequest, Resources, WrittenResource},
        error::{Error, ErrorKind, ErrorReason, Result},
    },
    dialects,
    model::{
        Resource, ResourceChange, ResourceField as F, ResourceKind, ResourceSpec, Settings,
        algorithm::{EncryptionAlgorithm, IntegrityAlgorithm},
        policy::{IkePolicy, IpsecPolicy, Lifetime},
        topology::{EndpointGroup, EndpointType, VpnService},
    },
    simulator::{
        faults::{Fault, Rule},
        openstack::{Inventory, Kind, OpenstackOptions, Series, Variant},
    },
};
use std::collections::BTreeSet;

const INVENTORY: Inventory = Inventory::fixed();

/// A cloud, its resources, and a kind that it has.
struct Cell {
    bench: Bench,
    variant: Variant,
    kind: ResourceKind,
}

/// Every kind of every variant, each on a cloud of its own.
fn every_cell() -> Vec<Cell> {
    let mut cells = Vec::new();
    for variant in EVERY_VARIANT {
        let kinds = Bench::of(variant).dialect.capabilities().resources;
        for kind in kinds.iter().map(|takes| takes.kind) {
            let bench = Bench::of(variant);
            cells.push(Cell {
                bench,
                variant,
                kind,
            });
        }
    }
    assert_eq!(cells.len(), 11);
    cells
}

fn collection(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::IkePolicy => "/v2.0/vpn/ikepolicies",
        ResourceKind::IpsecPolicy => "/v2.0/vpn/ipsecpolicies",
        ResourceKind::VpnService => "/v2.0/vpn/vpnservices",
        ResourceKind::EndpointGroup => "/v2.0/vpn/endpoint-groups",
        ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => panic!("{kind:?}"),
    }
}

fn simulated(kind: ResourceKind) -> Kind {
    match kind {
        ResourceKind::IkePolicy => Kind::IkePolicy,
        ResourceKind::IpsecPolicy => Kind::IpsecPolicy,
        ResourceKind::VpnService => Kind::VpnService,
        ResourceKind::EndpointGroup => Kind::EndpointGroup,
        ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => panic!("{kind:?}"),
    }
}

fn named(name: &str, settings: Settings) -> ResourceSpec {
    ResourceSpec {
        display_name: name.to_owned(),
        description: "made by a test".to_owned(),
        ..ResourceSpec {
            settings: settings.clone(),
            ..ResourceSpec::none(settings.kind())
        }
    }
}

fn spec(kind: ResourceKind, name: &str) -> ResourceSpec {
    let settings = match kind {
        ResourceKind::IkePolicy => Settings::IkePolicy(IkePolicy {
            encryption_algorithms: vec![Some(EncryptionAlgorithm::AesCbc256)],
            lifetime: Some(Lifetime::Seconds(7200)),
            ..IkePolicy::default()
        }),
        ResourceKind::IpsecPolicy => Settings::IpsecPolicy(IpsecPolicy {
            encryption_algorithms: vec![Some(EncryptionAlgorithm::AesCbc192)],
            ..IpsecPolicy::default()
        }),
        ResourceKind::VpnService => service(INVENTORY.spare_router_id, INVENTORY.spare_subnet_id),
        ResourceKind::EndpointGroup => Settings::EndpointGroup(EndpointGroup {
            endpoint_type: Some(EndpointType::Cidr),
            endpoints: vec!["10.9.0.0/16".to_owned(), "10.8.0.0/16".to_owned()],
        }),
        ResourceKind::DpdPolicy | ResourceKind::LocalEndpoint => panic!("{kind:?}"),
    };
    named(name, settings)
}

fn service(router: &str, subnet: &str) -> Settings {
    Settings::VpnService(VpnService {
        router: router.to_owned(),
        subnet: Some(subnet.to_owned()),
        ..VpnService::default()
    })
}

fn renamed(kind: ResourceKind, name: &str) -> ResourceChange {
    ResourceChange {
        fields: [F::DisplayName].into(),
        values: ResourceSpec {
            display_name: name.to_owned(),
            ..ResourceSpec::none(kind)
        },
        etag: None,
    }
}

impl Bench {
    fn resources(&self) -> &dyn Resources {
        self.dialect.resources()
    }

    async fn make_resource(&self, spec: &ResourceSpec) -> Result<Resource> {
        assert_eq!(self.resources().refuse_create(spec), []);
        let (mark, call) = (Mark::new(), call());
        let made = self.dialect.create_resource(spec, &mark, &call).await?;
        Ok(made.resource.expect("what was made"))
    }

    async fn change_resource(&self, id: &str, change: &ResourceChange) -> Result<WrittenResource> {
        assert_eq!(self.resources().refuse_update(change), []);
        self.dialect.update_resource(id, change, &call()).await
    }

    async fn remove_resource(&self, kind: ResourceKind, id: &str) -> Result<WrittenResource> {
        self.dialect.delete_resource(kind, id, None, &call()).await
    }

    async fn resource(&self, kind: ResourceKind, id: &str) -> Result<Resource> {
        self.resources().get(kind, id, &call()).await
    }

    /// The ids of all pages, in their order.
    async fn walk_resources(&self, kind: ResourceKind, size: u32) -> Vec<String> {
        let mut request = page(size);
        let mut found = Vec::new();
        loop {
            let page = self
                .resources()
                .list(kind, &request, &call())
                .await
                .unwrap();
            assert!(page.items.len() <= size as usize);
            found.extend(page.items.into_iter().map(|it| it.id));
            let Some(next) = page.next else { return found };
            request.after = Some(next);
        }
    }

    fn sent(&self, method: Method, kind: ResourceKind) -> u64 {
        let requests = self.cloud.neutron().requests();
        requests.count(&method, collection(kind))
    }
}

#[tokio::test]
async fn every_kind_is_made_read_changed_and_removed() {
    for Cell {
        bench,
        variant,
        kind,
    } in every_cell()
    {
        let wanted = spec(kind, "mine");
        let made = bench.make_resource(&wanted).await.unwrap();
        assert!(made.managed && made.etag.len() == 32, "{made:?}");
        assert_eq!(made.spec.display_name, "mine");
        assert_eq!(made.spec.description, "made by a test");
        let read = bench.resource(kind, &made.id).await.unwrap();
        assert_eq!(
            (&read.etag, &read.spec),
            (&made.etag, &made.spec),
            "{variant:?} {kind:?}"
        );

        // What was read changes nothing; a name is written alone.
        if kind == ResourceKind::VpnService {
            let id = &made.id;
            let error = bench
                .change_resource(id, &renamed(kind, "new"))
                .await
                .unwrap_err();
            assert_error(
                &error,
                ErrorKind::FailedPrecondition,
                ErrorReason::WrongState,
            );
            assert!(error.context.retry_after.is_some());
            let active = Some("ACTIVE".into());
            bench
                .cloud
                .state()
                .set_attribute(Kind::VpnService, id, "status", active);
        }
        let all = bench.dialect.capabilities().takes(kind).unwrap().fields;
        let same = ResourceChange {
            fields: all.iter().copied().collect(),
            values: read.spec.clone(),
            etag: Some(read.etag.clone()),
        };
        let unchanged = bench.change_resource(&made.id, &same).await.unwrap();
        assert_eq!(unchanged.resource.unwrap().spec.display_name, "mine");
        assert_eq!(
            bench.sent(Method::PUT, kind),
            0,
            "nothing that is known to be refused"
        );
        let change = ResourceChange {
            etag: Some(read.etag.clone()),
            ..renamed(kind, "new")
        };
        let changed = bench.change_resource(&made.id, &change).await.unwrap();
        let changed = changed.resource.unwrap();
        let expected = ResourceSpec {
            display_name: "new".to_owned(),
            ..read.spec.clone()
        };
        assert_eq!(without_state(&changed.spec), without_state(&expected));
        let error = bench.change_resource(&made.id, &change).await.unwrap_err();
        assert_error(&error, ErrorKind::Stale, ErrorReason::StaleEtag);
        let (etag, call) = (Some(read.etag.as_str()), call());
        let stale = bench.dialect.delete_resource(kind, &made.id, etag, &call);
        assert_error(
            &stale.await.unwrap_err(),
            ErrorKind::Stale,
            ErrorReason::StaleEtag,
        );

        bench.remove_resource(kind, &made.id).await.unwrap();
        for error in [
            bench.resource(kind, &made.id).await.unwrap_err(),
            bench.remove_resource(kind, &made.id).await.unwrap_err(),
            bench
                .change_resource(&made.id, &renamed(kind, "x"))
                .await
                .unwrap_err(),
        ] {
            assert_error(&error, ErrorKind::NotFound, ErrorReason::ResourceNotFound);
        }
    }
}

/// A spec without what the cloud alone says.
fn without_state(spec: &ResourceSpec) -> ResourceSpec {
    let mut spec = spec.clone();
    if let Settings::VpnService(service) = &mut spec.settings {
        service.native_state.clear();
    }
    spec
}

#[tokio::test]
async fn every_kind_is_listed_once_page_by_page() {
    for Cell {
        bench,
        variant,
        kind,
    } in every_cell()
    {
        for n in 0..3 {
            bench
                .make_resource(&spec(kind, &format!("n{n}")))
                .await
                .unwrap();
        }
        let all = bench.walk_resources(kind, 1000).await;
        let known: BTreeSet<String> = bench
            .cloud
            .state()
            .ids(simulated(kind))
            .into_iter()
            .collect();
        assert!(
            all.is_sorted() && all.len() >= 4,
            "{variant:?} {kind:?}: {all:?}"
        );
        assert!(all.iter().all(|id| known.contains(id)));
        for (cap, size) in [(Some(1), 2), (None, 3)] {
            bench.cloud.state().set_page_cap(cap);
            let found = bench.walk_resources(kind, size).await;
            assert_eq!(found, all, "{size} with {cap:?}");
        }
        let only = PageRequest {
            filter: "display_name = n1".parse().unwrap(),
            ..page(50)
        };
        let named = bench.resources().list(kind, &only, &call()).await.unwrap();
        assert!(named.items.iter().any(|it| it.spec.display_name == "n1"));
    }
}

#[tokio::test]
async fn what_a_connection_uses_stays_as_it_is() {
    for Cell {
        bench,
        variant,
        kind,
    } in every_cell()
    {
        bench.make(&taken(&bench, variant, "branch")).await.unwrap();
        let (demo, is_k5) = (&INVENTORY.project, variant == Variant::K5);
        let id = match kind {
            ResourceKind::IkePolicy => demo.ike_policy_id,
            ResourceKind::IpsecPolicy => demo.ipsec_policy_id,
            ResourceKind::VpnService if is_k5 => demo.legacy_service_id,
            ResourceKind::VpnService => demo.service_id,
            _ => demo.peer_group_id,
        };
        let error = bench.remove_resource(kind, id).await.unwrap_err();
        assert_error(&error, ErrorKind::FailedPrecondition, ErrorReason::InUse);
        if matches!(kind, ResourceKind::IkePolicy | ResourceKind::IpsecPolicy) {
            let error = bench
                .change_resource(id, &renamed(kind, "new"))
                .await
                .unwrap_err();
            assert_error(&error, ErrorKind::FailedPrecondition, ErrorReason::InUse);
        }
    }
}

#[tokio::test]
async fn what_a_service_cannot_stand_on_is_named() {
    let bench = Bench::stock();
    let nowhere = "00000000-0000-4000-8000-000000000000";
    let project = &INVENTORY.project;
    for (router, subnet, reason, field) in [
        (nowhere, "", ErrorReason::ReferenceNotFound, "router"),
        (
            INVENTORY.other.router_id,
            "",
            ErrorReason::ReferenceNotFound,
            "router",
        ),
        (
            INVENTORY.router_without_gateway,
            "",
            ErrorReason::WrongState,
            "router",
        ),
        (
            project.router_id,
            INVENTORY.lone_subnet_id,
            ErrorReason::WrongState,
            "subnet",
        ),
        (
            project.router_id,
            nowhere,
            ErrorReason::WrongState,
            "subnet",
        ),
    ] {
        let wanted = named("s", service(router, subnet));
        let error = bench.make_resource(&wanted).await.unwrap_err();
        assert_error(&error, ErrorKind::FailedPrecondition, reason);
        assert_eq!(error.context.violations[0].field, field, "{error}");
    }
    let group = Settings::EndpointGroup(EndpointGroup {
        endpoint_type: Some(EndpointType::Subnet),
        endpoints: vec![nowhere.to_owned()],
    });
    let error = bench.make_resource(&named("g", group)).await.unwrap_err();
    assert_error(
        &error,
        ErrorKind::FailedPrecondition,
        ErrorReason::ReferenceNotFound,
    );
    assert_eq!(error.context.violations[0].field, "endpoints");
}

#[tokio::test]
async fn a_quota_is_told_as_such() {
    for Cell { bench, kind, .. } in every_cell() {
        let project = INVENTORY.project.project_id;
        bench
            .cloud
            .state()
            .set_quota(project, simulated(kind), Some(0));
        let error = bench.make_resource(&spec(kind, "x")).await.unwrap_err();
        assert_error(&error, ErrorKind::QuotaExceeded, ErrorReason::QuotaExceeded);
    }
}

#[tokio::test]
async fn a_post_whose_answer_is_lost_is_looked_for_and_never_repeated() {
    for Cell { bench, kind, .. } in every_cell() {
        let lose = |fault| {
            let rule = Rule::on(Method::POST, collection(kind), fault).times(1);
            bench.cloud.faults().inject(rule);
        };
        lose(Fault::CutAfterHandling);
        let made = bench.make_resource(&spec(kind, "found")).await.unwrap();
        assert_eq!(
            (made.spec.display_name.as_str(), made.managed),
            ("found", true)
        );
        assert_eq!(bench.sent(Method::POST, kind), 1);
        lose(Fault::TruncateBody);
        let again = bench.make_resource(&spec(kind, "found")).await.unwrap();
        assert_ne!(again.id, made.id);
        assert_eq!(bench.sent(Method::POST, kind), 2);
    }
    let bench = Bench::stock();
    let kind = ResourceKind::IkePolicy;
    let cut = Rule::on(Method::POST, collection(kind), Fault::CutBeforeHandling).times(1);
    bench.cloud.faults().inject(cut);
    let error = bench.make_resource(&spec(kind, "lost")).await.unwrap_err();
    assert_error(&error, ErrorKind::Ambiguous, ErrorReason::WriteAmbiguous);
    assert!(error.message.contains("IKE policy"), "{error}");
    assert!(error.context.metadata.iter().any(|(key, _)| *key == "mark"));
    assert_eq!(bench.sent(Method::POST, kind), 1);
}

#[tokio::test]
async fn a_put_or_delete_whose_answer_is_lost_is_looked_up() {
    for Cell { bench, kind, .. } in every_cell() {
        let made = bench.make_resource(&spec(kind, "mine")).await.unwrap();
        let active = Some("ACTIVE".into());
        bench
            .cloud
            .state()
            .set_attribute(simulated(kind), &made.id, "status", active);
        let lose = |method| {
            let rule = Rule::on(method, collection(kind), Fault::CutAfterHandling).times(1);
            bench.cloud.faults().inject(rule);
        };
        lose(Method::PUT);
        let changed = bench
            .change_resource(&made.id, &renamed(kind, "new"))
            .await
            .unwrap();
        assert_eq!(changed.resource.unwrap().spec.display_name, "new");
        lose(Method::DELETE);
        bench.remove_resource(kind, &made.id).await.unwrap();
        assert_eq!(bench.sent(Method::DELETE, kind), 1);
    }
}

/// 2026.2 no longer has sha1, its own default, nor 3des, and answers both with a 500.
#[tokio::test]
async fn an_algorithm_that_is_gone_is_named() {
    let bench = Bench::new(OpenstackOptions {
        series: Series::V2026_2,
        ..OpenstackOptions::default()
    });
    for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
        let made = bench
            .make_resource(&ResourceSpec::none(kind))
            .await
            .unwrap();
        assert_eq!(made.native_words["integrity_algorithms"][0], "sha256");
        let before = bench.walk_resources(kind, 50).await;
        let sha1 = vec![Some(IntegrityAlgorithm::HmacSha1x96)];
        let triple_des = vec![Some(EncryptionAlgorithm::TripleDes)];
        let old = match kind {
            ResourceKind::IkePolicy => Settings::IkePolicy(IkePolicy {
                integrity_algorithms: sha1,
                encryption_algorithms: triple_des,
                ..IkePolicy::default()
            }),
            _ => Settings::IpsecPolicy(IpsecPolicy {
                integrity_algorithms: sha1,
                encryption_algorithms: triple_des,
                ..IpsecPolicy::default()
            }),
        };
        let old = named("old", old);
        let change = ResourceChange {
            fields: [F::IntegrityAlgorithms].into(),
            values: old.clone(),
            etag: None,
        };
        let changed = bench.change_resource(&made.id, &change).await.unwrap_err();
        let blamed = |error: &Error| {
            assert_error(error, ErrorKind::Unavailable, ErrorReason::UpstreamError);
            let violations = error.context.violations.iter();
            violations.map(|it| it.field.clone()).collect::<Vec<_>>()
        };
        assert_eq!(blamed(&changed), ["integrity_algorithms"]);
        let refused = bench.make_resource(&old).await.unwrap_err();
        assert_eq!(
            blamed(&refused),
            ["encryption_algorithms", "integrity_algorithms"]
        );
        assert!(refused.message.contains("may no longer take"), "{refused}");
        assert_eq!(bench.walk_resources(kind, 50).await, before);
    }
}

#[tokio::test]
async fn an_account_that_may_not_see_is_told_nothing() {
    let bench = Bench::stock();
    let reader = settings(&bench.cloud, Variant::Neutron)
        .with("auth.username", INVENTORY.reader.name)
        .with("auth.password", INVENTORY.reader.password);
    let reader = dialects::connect(&reader).unwrap();
    for takes in reader.capabilities().resources {
        let resources = reader.resources();
        for error in [
            resources
                .list(takes.kind, &page(50), &call())
                .await
                .unwrap_err(),
            resources
                .get(takes.kind, INVENTORY.project.ike_policy_id, &call())
                .await
                .unwrap_err(),
        ] {
            assert_error(&error, ErrorKind::BackendAuth, ErrorReason::UpstreamDenied);
        }
        // Making something is refused in words; nothing else is.
        let (wanted, mark, call) = (spec(takes.kind, "x"), Mark::new(), call());
        let made = reader.create_resource(&wanted, &mark, &call).await;
        let error = made.unwrap_err();
        assert_error(
            &error,
            ErrorKind::PermissionDenied,
            ErrorReason::UpstreamDenied,
        );
    }
}

/// K5 takes the zone of everything that is made.
#[tokio::test]
async fn a_zone_is_taken_once() {
    let bench = Bench::of(Variant::K5);
    for takes in bench.dialect.capabilities().resources {
        let zoned = |zone: &str| ResourceSpec {
            availability_zone: Some(zone.to_owned()),
            ..spec(takes.kind, "zoned")
        };
        let made = bench.make_resource(&zoned("AZ2")).await.unwrap();
        assert_eq!(made.spec.availability_zone.as_deref(), Some("AZ2"));
        let change = |zone| ResourceChange {
            fields: [F::AvailabilityZone].into(),
            values: zoned(zone),
            etag: None,
        };
        bench
            .change_resource(&made.id, &change("AZ2"))
            .await
            .unwrap();
        let error = bench
            .change_resource(&made.id, &change("AZ1"))
            .await
            .unwrap_err();
        assert_error(
            &error,
            ErrorKind::NotExpressible,
            ErrorReason::NotExpressible,
        );
        assert!(error.message.contains("`AZ2`"), "{error}");
    }
    let mut wanted = taken(&bench, Variant::K5, "branch");
    wanted.availability_zone = Some("AZ2".to_owned());
    let id = bench.make(&wanted).await.unwrap();
    let read = bench.get(&id).await.unwrap();
    assert_eq!(read.availability_zone.as_deref(), Some("AZ2"));
}
