//! What a description of a connection asks of a dialect beyond one change: keys that are written only where they must be,
//! parts that are made just before, and nothing to write where all matches already.

use crate::{
    resources::full,
    setup::{Nsx, nsx, refusal},
    support::{
        cloud::{Cloud, call, change, peer_of},
        clouds::PSK,
    },
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Action, Made, Mark, Plan, Proof, Step, Target, Trace, Written},
        error::{ErrorKind, ErrorReason, Result},
        portable::export,
    },
    model::{
        Authentication, ConnectionChange, ConnectionSpec, Field, NewConnection, PolicyRule, Psk,
        ResourceChange, ResourceField as F, ResourceKind, ResourceSpec, Selectors, Settings,
        TunnelInterface,
        algorithm::{DhGroup, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm},
        policy::{DpdPolicy, IkePolicy, ProbeMode},
        topology::LocalEndpoint,
    },
    simulator::nsx::{Kind, inventory},
};

/// A change that comes with a key which is to be written only if it must be.
fn with_spare_key(fields: &[Field], values: ConnectionSpec) -> ConnectionChange {
    let mut change = change(
        fields,
        ConnectionSpec {
            authentication: Some(Authentication::Psk(Psk::new("another-key"))),
            ..values
        },
    );
    change.fields.insert(Field::Authentication);
    change.spare_key = true;
    change
}

/// A change by which the connection refers to parts that are made just before.
fn switched_to(kinds: &[ResourceKind]) -> ConnectionChange {
    let mut change = with_spare_key(&[], ConnectionSpec::default());
    change.made = kinds.iter().copied().collect();
    change
}

impl Nsx {
    async fn planned<'a>(
        &'a self,
        id: &'a str,
        change: ConnectionChange,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.dialect.plan_update(id, change, &call()).await
    }

    /// Plans a change, performs all of it, and answers its steps.
    async fn by_steps(&self, id: &str, change: ConnectionChange, made: &Made) -> Vec<Step> {
        let mut plan = self.planned(id, change).await.unwrap();
        let steps = plan.steps().to_vec();
        for index in 0..steps.len() {
            plan.perform(index, made, &call()).await.unwrap();
        }
        let ids = crate::setup::ids(&plan.written());
        assert_eq!(ids.len(), steps.len());
        steps
    }

    async fn made_part(&self, spec: ResourceSpec) -> (ResourceKind, String) {
        let kind = spec.kind();
        let mark = Mark::joint();
        let call = call();
        let plan = self.resources().plan_create(spec, mark, &call).await;
        let done = plan.unwrap().perform(0, &Made::new(), &call).await;
        (kind, done.unwrap().id)
    }
}

fn objects(steps: &[Step]) -> Vec<(&str, bool)> {
    let steps = steps.iter();
    steps
        .map(|step| {
            assert_eq!(step.action, Action::Update);
            (step.collection.as_str(), step.bears_key)
        })
        .collect()
}

fn local_endpoint(address: &str) -> ResourceSpec {
    ResourceSpec {
        settings: Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: Some(inventory::SERVICE_ID.to_owned()),
            address: address.to_owned(),
            ..LocalEndpoint::default()
        }),
        ..ResourceSpec::none(ResourceKind::LocalEndpoint)
    }
}

#[tokio::test]
async fn a_spare_key_is_written_only_with_something_that_needs_it() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let values = |name: &str, address: &str| ConnectionSpec {
        display_name: name.to_owned(),
        peer_address: address.to_owned(),
        ..ConnectionSpec::default()
    };
    let fields = [Field::DisplayName, Field::PeerAddress];
    let change = |name, address| with_spare_key(&fields, values(name, address));

    let same = nsx.update(&id, &change("branch 42", "203.0.113.7")).await;
    assert_eq!(same.unwrap().proof, Proof::Nothing);
    let renamed = change("renamed", "203.0.113.7");
    let steps = nsx.by_steps(&id, renamed, &Made::new()).await;
    assert_eq!(objects(&steps), [("connections", false)]);
    assert_eq!(nsx.cloud.key(&id), PSK);

    let both = change("renamed again", "203.0.113.8");
    let steps = nsx.by_steps(&id, both, &Made::new()).await;
    let written = [("connections", false), ("peerEndpoints", true)];
    assert_eq!(objects(&steps), written);
    assert_eq!(steps[1].fields, ["peer.address", "peer.psk"]);
    assert_eq!(nsx.cloud.key(&id), "another-key");

    // Without one, NSX could not be given the other address.
    let mut keyless = change("renamed again", "203.0.113.9");
    keyless.fields.remove(&Field::Authentication);
    let refused = nsx.update(&id, &keyless).await.unwrap_err();
    assert_eq!(refused.context.violations[0].field, "peer.psk");
}

#[tokio::test]
async fn a_spare_key_needs_no_peer_endpoint() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let peer = peer_of(&nsx.cloud, &id);
    nsx.cloud.state().vanish(Kind::PeerEndpoint, &peer);
    let change = with_spare_key(&[Field::Description], ConnectionSpec::default());
    let steps = nsx.planned(&id, change.clone()).await.unwrap();
    assert_eq!(objects(steps.steps()), [("connections", false)]);
    let wanted = ConnectionChange {
        spare_key: false,
        ..change
    };
    let refused = nsx.planned(&id, wanted).await.err().unwrap();
    assert_eq!(refused.reason, ErrorReason::ReferenceNotFound);
}

#[tokio::test]
async fn a_connection_is_switched_to_parts_that_are_made_just_before() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let before = nsx.get(&id).await.unwrap();
    let kinds = [
        ResourceKind::LocalEndpoint,
        ResourceKind::IkePolicy,
        ResourceKind::IpsecPolicy,
        ResourceKind::DpdPolicy,
    ];
    assert_eq!(nsx.dialect.refuse_update(&switched_to(&kinds)), []);
    let mut made = Made::new();
    made.extend([nsx.made_part(local_endpoint("192.0.2.78")).await]);
    for kind in &kinds[1..] {
        made.extend([nsx.made_part(full(*kind)).await]);
    }
    let steps = nsx.by_steps(&id, switched_to(&kinds), &made).await;
    let written = [("connections", false), ("peerEndpoints", true)];
    assert_eq!(objects(&steps), written);
    assert_eq!(steps[0].fields, ["local_endpoint"]);
    let profiles = ["ike_policy", "ipsec_policy", "dpd_policy", "peer.psk"];
    assert_eq!(steps[1].fields, profiles);
    let there = nsx.get(&id).await.unwrap();
    let now = [
        &there.local_endpoint,
        &there.ike_policy,
        &there.ipsec_policy,
        &there.dpd_policy,
    ];
    assert_eq!(now, kinds.map(|kind| made.get(&kind).cloned()).each_ref());

    for step in &steps {
        assert!(matches!(nsx.traced(step).await, Trace::Done(_)), "{step:?}");
    }
    nsx.dialect.undo(&steps[0], &call()).await.unwrap();
    let after = nsx.get(&id).await.unwrap();
    assert_eq!(after.local_endpoint, before.local_endpoint);
    // Without its nonce nothing tells whether what is there now is what was made.
    let forgotten = Step {
        mark: None,
        ..steps[0].clone()
    };
    nsx.dialect.undo(&steps[0], &call()).await.unwrap();
    assert_eq!(nsx.traced(&forgotten).await, Trace::Unclear);
}

#[tokio::test]
async fn a_switch_that_fails_half_way_is_taken_back() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let kinds = [ResourceKind::LocalEndpoint, ResourceKind::IkePolicy];
    let mut made = Made::new();
    made.extend([nsx.made_part(local_endpoint("192.0.2.78")).await]);
    made.extend([nsx.made_part(full(ResourceKind::IkePolicy)).await]);
    let mut plan = nsx.planned(&id, switched_to(&kinds)).await.unwrap();
    let steps = plan.steps().to_vec();
    plan.perform(0, &made, &call()).await.unwrap();
    nsx.once(Method::PUT, "/peer-endpoints/", refusal(400, 255));
    let refused = plan.perform(1, &made, &call()).await.unwrap_err();
    assert_eq!(refused.reason, ErrorReason::UpstreamRejected);
    nsx.dialect.undo(&steps[0], &call()).await.unwrap();
    let there = nsx.get(&id).await.unwrap();
    let local = Some(inventory::LOCAL_ENDPOINT_ID);
    assert_eq!(there.local_endpoint.as_deref(), local);
    // Nothing refers to what was made any more.
    for (kind, id) in &made {
        nsx.removed(*kind, id).await.unwrap();
    }
}

#[tokio::test]
async fn what_was_not_made_is_not_referred_to() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let kinds = [ResourceKind::LocalEndpoint];
    let mut plan = nsx.planned(&id, switched_to(&kinds)).await.unwrap();
    let error = plan.perform(0, &Made::new(), &call()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Internal);
    assert_eq!(nsx.get(&id).await.unwrap().display_name, "branch 42");
}

/// NSX derives the service from the local endpoint.
#[tokio::test]
async fn a_connection_moves_to_a_new_service_only_with_a_new_local_endpoint() {
    let nsx = nsx();
    let id = nsx.make().await.id;
    let alone = switched_to(&[ResourceKind::VpnService]);
    let refused = nsx.dialect.refuse_update(&alone);
    assert_eq!(refused[0].field, "vpn_service");
    let refused = nsx.planned(&id, alone).await.err().unwrap();
    assert_eq!(refused.context.violations[0].field, "vpn_service");
    let both = switched_to(&[ResourceKind::VpnService, ResourceKind::LocalEndpoint]);
    assert_eq!(nsx.dialect.refuse_update(&both), []);
    let plan = nsx.planned(&id, both).await.unwrap();
    assert_eq!(objects(plan.steps()), [("connections", false)]);
}

fn texts(of: &[&str]) -> Vec<String> {
    of.iter().map(|text| (*text).to_owned()).collect()
}

fn rule(sources: &[&str], destinations: &[&str]) -> PolicyRule {
    PolicyRule {
        sources: texts(sources),
        destinations: texts(destinations),
        ..PolicyRule::default()
    }
}

/// The change of a caller who describes all of a connection, though it is there.
fn described(spec: ConnectionSpec) -> ConnectionChange {
    let set = Field::ALL.into_iter().filter(|field| field.is_set(&spec));
    with_spare_key(&set.collect::<Vec<_>>(), spec)
}

#[tokio::test]
async fn a_description_of_what_is_there_writes_nothing() {
    let nsx = nsx();
    let spec = |address: &str, rules| ConnectionSpec {
        peer_address: address.to_owned(),
        selectors: Some(Selectors::Rules(rules)),
        ..crate::setup::spec()
    };
    let written = spec(
        "2001:db8::7",
        vec![
            rule(&["10.0.0.0/24", "10.0.1.0/24"], &["10.1.0.0/24"]),
            rule(&["10.0.0.0/24"], &["2001:db8:1::/64"]),
        ],
    );
    let id = nsx.create(&written).await.unwrap().id;
    let again = spec(
        "2001:DB8:0::7",
        vec![
            rule(&["10.0.0.9/24"], &["2001:DB8:1:0::/64"]),
            rule(&["10.0.1.0/24", "10.0.0.0/24"], &["10.1.0.1/24"]),
        ],
    );
    let there = nsx.get(&id).await.unwrap();
    let of_cloud = there.selectors.clone().and_then(export::written);
    assert_eq!(of_cloud, written.selectors, "no ids, no defaults");
    let exported = ConnectionSpec {
        selectors: of_cloud,
        ..written.clone()
    };
    let before = nsx.cloud.all_requests().len();
    for same in [written, again, exported] {
        let plan = nsx.planned(&id, described(same)).await.unwrap();
        assert_eq!(plan.steps(), []);
        assert_eq!(plan.written().proof, Proof::Nothing);
    }
    let after = nsx.cloud.all_requests().split_off(before);
    assert!(after.iter().all(|seen| seen.method == Method::GET));
}

#[tokio::test]
async fn a_description_of_a_routed_connection_writes_nothing() {
    let nsx = nsx();
    let interface = |addresses: &[&str]| TunnelInterface {
        id: None,
        addresses: texts(addresses),
    };
    let spec = |interfaces| ConnectionSpec {
        selectors: Some(Selectors::RouteBased(interfaces)),
        ..crate::setup::spec()
    };
    let written = spec(vec![interface(&["169.254.64.1/30", "fd00::1/64"])]);
    let id = nsx.create(&written).await.unwrap().id;
    let there = nsx.get(&id).await.unwrap();
    let of_cloud = there.selectors.clone().and_then(export::written);
    assert_eq!(of_cloud, written.selectors, "no ids");
    let again = spec(vec![interface(&["FD00:0::1/64", "169.254.64.1/30"])]);
    for same in [written, again] {
        let plan = nsx.planned(&id, described(same)).await.unwrap();
        assert_eq!(plan.steps(), []);
    }
    let other = spec(vec![interface(&["169.254.64.5/30"])]);
    let plan = nsx.planned(&id, described(other)).await.unwrap();
    assert_eq!(objects(plan.steps()), [("connections", false)]);
}

/// What a description says of a part, as it is fitted to NSX, is what is there once it was made of it.
#[tokio::test]
async fn a_description_of_parts_that_are_there_writes_nothing() {
    let nsx = nsx();
    let ike = Settings::IkePolicy(IkePolicy {
        ike_version: Some(IkeVersion::V2),
        encryption_algorithms: vec![Some(EncryptionAlgorithm::AesCbc256)],
        integrity_algorithms: vec![Some(IntegrityAlgorithm::HmacSha2x256x128)],
        dh_groups: vec![Some(DhGroup::Modp2048)],
        ..IkePolicy::default()
    });
    let dpd = Settings::DpdPolicy(DpdPolicy {
        enabled: None,
        probe_mode: Some(ProbeMode::Periodic),
        probe_interval_seconds: Some(30),
        retry_count: Some(4),
    });
    let local = |address: &str| local_endpoint(address).settings;
    let (version, encryption, integrity) = (
        F::IkeVersion,
        F::EncryptionAlgorithms,
        F::IntegrityAlgorithms,
    );
    for (made, again, given) in [
        (
            ike.clone(),
            ike,
            &[version, encryption, integrity, F::DhGroups][..],
        ),
        (
            dpd.clone(),
            dpd,
            &[F::ProbeMode, F::ProbeInterval, F::RetryCount],
        ),
        (
            local("2001:db8::99"),
            local("2001:DB8:0::99"),
            &[F::Address, F::VpnService],
        ),
    ] {
        let spec = |settings| ResourceSpec {
            settings,
            ..ResourceSpec::none(ResourceKind::IkePolicy)
        };
        let (_, id) = nsx.made_part(spec(made)).await;
        let change = ResourceChange {
            fields: given.iter().copied().collect(),
            values: spec(again),
            etag: None,
        };
        let call = call();
        let plan = nsx.resources().plan_update(&id, change, &call).await;
        assert_eq!(plan.unwrap().steps(), []);
    }
}

/// Dead peer detection that a connection is described with becomes a profile, and its ranges are told without a request.
#[tokio::test]
async fn the_ranges_of_dead_peer_detection_are_told_before_any_request() {
    let nsx = nsx();
    let refused = |interval, retries| {
        let spec = ResourceSpec {
            settings: Settings::DpdPolicy(DpdPolicy {
                probe_mode: Some(ProbeMode::Periodic),
                probe_interval_seconds: Some(interval),
                retry_count: Some(retries),
                ..DpdPolicy::default()
            }),
            ..ResourceSpec::none(ResourceKind::DpdPolicy)
        };
        let refused = nsx.resources().refuse_create(&spec).into_iter();
        refused.map(|it| it.field).collect::<Vec<_>>()
    };
    for (interval, retries) in [(3, 1), (360, 100), (30, 4)] {
        assert_eq!(refused(interval, retries), [""; 0]);
    }
    assert_eq!(refused(2, 4), ["probe_interval"]);
    assert_eq!(refused(361, 0), ["probe_interval", "retry_count"]);
    assert_eq!(refused(30, 101), ["retry_count"]);
    assert!(nsx.cloud.all_requests().is_empty());
}

/// What another principal made says so, and that is told when the change is planned.
#[tokio::test]
async fn a_part_of_another_principal_is_not_planned_to_be_changed() {
    let nsx = nsx();
    let (kind, id) = nsx.made_part(full(ResourceKind::IkePolicy)).await;
    let state = nsx.cloud.state();
    state.give_to(Kind::IkeProfile, &id, "somebody");
    let call = call();
    let plan = |change| nsx.resources().plan_update(&id, change, &call);
    let renamed = crate::resources::renamed(kind, "mine");
    let refused = plan(renamed).await.err().unwrap();
    assert_eq!(refused.reason, ErrorReason::NotOwner);
    let as_it_is = crate::resources::renamed(kind, "of the branch");
    assert_eq!(plan(as_it_is).await.unwrap().steps(), []);
}

/// A connection that is changed with all of its parts leaves more ids than one poll asks for; each is asked for on the session.
#[tokio::test]
async fn the_writes_of_all_parts_are_asked_for_on_the_session() {
    let nsx = nsx();
    let mut ids = Vec::new();
    let mut wanted = NewConnection::alone(crate::setup::spec()).spec;
    for kind in [ResourceKind::IkePolicy, ResourceKind::IpsecPolicy] {
        let (_, id) = nsx.made_part(full(kind)).await;
        let reference = match kind {
            ResourceKind::IkePolicy => &mut wanted.ike_policy,
            _ => &mut wanted.ipsec_policy,
        };
        *reference = Some(id);
    }
    let made = nsx.create(&wanted).await.unwrap();
    for (kind, part) in [
        (ResourceKind::IkePolicy, &wanted.ike_policy),
        (ResourceKind::IpsecPolicy, &wanted.ipsec_policy),
    ] {
        let change = crate::resources::renamed(kind, "changed");
        let left = nsx.changed(part.as_deref().unwrap(), &change).await;
        ids.extend(left.unwrap().request_ids);
    }
    nsx.cloud.state().finish(&made.id);
    let seen = nsx.poll(Target {
        id: made.id,
        request_ids: ids.clone(),
        admin_enabled: Some(true),
        ..Target::default()
    });
    let seen = seen.await.unwrap();
    assert_eq!(ids.len(), 2);
    assert_eq!(seen.request_ids, ids);
}
