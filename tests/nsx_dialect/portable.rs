//! What a description of a connection asks of a dialect beyond one change: keys that are written only where they must be,
//! parts that are made just before, and nothing to write where all is so already.

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
        dialect::{Action, Made, Mark, Plan, Proof, Step, Trace, Written},
        error::{ErrorKind, ErrorReason, Result},
    },
    model::{
        Authentication, ConnectionChange, ConnectionSpec, Field, Psk, ResourceKind, ResourceSpec,
        Settings, topology::LocalEndpoint,
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
