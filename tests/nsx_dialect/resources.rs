//! Policies, services and local endpoints: one object each, with the same manners.

use crate::{
    setup::{Nsx, nsx, spec, start},
    support::{
        cloud::{call, page},
        writes::Writes,
    },
};
use http::Method;
use isthmus::{
    core::{
        dialect::{Mark, PageRequest, Resources, WrittenResource},
        error::{Error, ErrorKind, ErrorReason},
    },
    model::{
        PolicyRule, Resource, ResourceChange, ResourceDetails, ResourceField as F, ResourceKind,
        ResourceSpec, RuleAction, Settings,
        algorithm::{DhGroup, EncryptionAlgorithm, IkeVersion, IntegrityAlgorithm, PrfAlgorithm},
        policy::{DpdPolicy, IkePolicy, IpsecPolicy, Lifetime, ProbeMode},
        topology::{IkeLogLevel, LocalEndpoint, VpnService},
    },
    simulator::{
        faults::{Fault, Gate, Rule},
        nsx::{Kind, Levers, NsxOptions, inventory},
    },
};
use serde_json::json;
use std::collections::BTreeSet;

/// The kinds that NSX has, with where they are.
pub const KINDS: [(ResourceKind, Kind); 5] = [
    (ResourceKind::IkePolicy, Kind::IkeProfile),
    (ResourceKind::IpsecPolicy, Kind::TunnelProfile),
    (ResourceKind::DpdPolicy, Kind::DpdProfile),
    (ResourceKind::VpnService, Kind::Service),
    (ResourceKind::LocalEndpoint, Kind::LocalEndpoint),
];

/// One of a kind, with everything said that can be.
pub fn full(kind: ResourceKind) -> ResourceSpec {
    let settings = match kind {
        ResourceKind::IkePolicy => Settings::IkePolicy(IkePolicy {
            ike_version: Some(IkeVersion::V2OrV1),
            negotiation_mode: None,
            encryption_algorithms: vec![
                Some(EncryptionAlgorithm::AesCbc256),
                Some(EncryptionAlgorithm::AesCbc128),
            ],
            integrity_algorithms: vec![Some(IntegrityAlgorithm::HmacSha2x512x256)],
            prf_algorithms: vec![Some(PrfAlgorithm::HmacSha2x512)],
            dh_groups: vec![Some(DhGroup::Ecp384), Some(DhGroup::Modp2048)],
            lifetime: Some(Lifetime::Seconds(43_200)),
        }),
        ResourceKind::IpsecPolicy => Settings::IpsecPolicy(IpsecPolicy {
            encryption_algorithms: vec![Some(EncryptionAlgorithm::NullAuthAesGmac192)],
            integrity_algorithms: vec![Some(IntegrityAlgorithm::HmacSha1x96)],
            perfect_forward_secrecy: Some(false),
            dh_groups: vec![Some(DhGroup::Modp4096)],
            lifetime: Some(Lifetime::Seconds(900)),
            ..IpsecPolicy::default()
        }),
        ResourceKind::DpdPolicy => Settings::DpdPolicy(DpdPolicy {
            enabled: Some(false),
            probe_mode: Some(ProbeMode::OnDemand),
            probe_interval_seconds: Some(7),
            retry_count: Some(4),
        }),
        ResourceKind::VpnService => Settings::VpnService(VpnService {
            admin_enabled: Some(false),
            router: inventory::FREE_ROUTER_ID.to_owned(),
            bypass_rules: vec![PolicyRule {
                id: Some("4711".to_owned()),
                sources: vec!["10.0.0.0/24".to_owned()],
                destinations: vec!["2001:db8::/32".to_owned()],
                enabled: Some(true),
                logged: Some(true),
                action: Some(RuleAction::Bypass),
            }],
            ike_log_level: Some(IkeLogLevel::Emergency),
            ha_sync: Some(false),
            ..VpnService::default()
        }),
        ResourceKind::LocalEndpoint => Settings::LocalEndpoint(LocalEndpoint {
            vpn_service: Some(inventory::SERVICE_ID.to_owned()),
            address: "2001:db8::10".to_owned(),
            local_id: Some("gw.example".to_owned()),
            certificate: Some("certificate".to_owned()),
            trusted_authorities: vec!["ca 1".to_owned(), "ca 2".to_owned()],
            revocation_lists: vec!["crl".to_owned()],
        }),
        ResourceKind::EndpointGroup => unreachable!("NSX has none"),
    };
    ResourceSpec {
        display_name: "of the branch".to_owned(),
        description: "made for a test".to_owned(),
        availability_zone: None,
        settings,
    }
}

fn change(kind: ResourceKind, fields: &[F], values: ResourceSpec) -> ResourceChange {
    assert_eq!(kind, values.kind());
    ResourceChange {
        fields: fields.iter().copied().collect(),
        values,
        etag: None,
    }
}

pub fn renamed(kind: ResourceKind, name: &str) -> ResourceChange {
    let values = ResourceSpec {
        display_name: name.to_owned(),
        ..ResourceSpec::none(kind)
    };
    change(kind, &[F::DisplayName], values)
}

impl Nsx {
    pub fn resources(&self) -> &dyn Resources {
        self.dialect.resources()
    }

    pub async fn attempt(&self, spec: &ResourceSpec) -> Result<WrittenResource, Error> {
        self.dialect
            .create_resource(spec, &Mark::new(), &call())
            .await
    }

    pub async fn made_of(&self, kind: ResourceKind) -> Resource {
        let made = self.attempt(&full(kind)).await.unwrap();
        made.resource.unwrap()
    }

    pub async fn read(&self, kind: ResourceKind, id: &str) -> Result<Resource, Error> {
        self.resources().get(kind, id, &call()).await
    }

    pub async fn changed(
        &self,
        id: &str,
        change: &ResourceChange,
    ) -> Result<WrittenResource, Error> {
        self.dialect.update_resource(id, change, &call()).await
    }

    pub async fn removed(&self, kind: ResourceKind, id: &str) -> Result<WrittenResource, Error> {
        self.dialect.delete_resource(kind, id, None, &call()).await
    }

    pub async fn everything(&self, kind: ResourceKind, size: u32) -> Vec<Resource> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let request = PageRequest {
                after,
                ..page(size)
            };
            let page = self
                .resources()
                .list(kind, &request, &call())
                .await
                .unwrap();
            assert!(page.items.len() <= size as usize);
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                return found;
            }
        }
    }
}

pub fn said(error: &Error) -> (ErrorKind, ErrorReason) {
    (error.kind, error.reason)
}

#[tokio::test]
async fn each_kind_is_made_read_listed_changed_and_removed() {
    for (kind, _) in KINDS {
        let nsx = nsx();
        let written = nsx.attempt(&full(kind)).await.unwrap();
        assert_eq!(written.request_ids.len(), 1);
        let made = written.resource.unwrap();
        let mut expected = full(kind);
        if let Settings::IpsecPolicy(policy) = &mut expected.settings {
            use isthmus::model::algorithm as model;
            policy.transform_protocol = Some(model::TransformProtocol::Esp);
            policy.encapsulation_mode = Some(model::EncapsulationMode::Tunnel);
            policy.df_policy = Some(model::DfPolicy::Copy);
        }
        assert_eq!(made.spec, expected);
        assert!(made.managed && made.create_time.is_some() && made.update_time.is_some());

        let read = nsx.read(kind, &made.id).await.unwrap();
        assert_eq!(read, made);
        let listed = nsx.everything(kind, 1).await;
        assert!(listed.contains(&made) && listed.len() == 2, "{listed:?}");

        // What was read and comes back as it is is not written.
        let back = change(kind, kind.fields(), read.spec);
        let done = nsx.changed(&made.id, &back).await.unwrap();
        assert_eq!(done.request_ids, [""; 0]);
        assert_eq!(done.resource.unwrap(), made);

        let done = nsx
            .changed(&made.id, &renamed(kind, "another"))
            .await
            .unwrap();
        assert_eq!(done.request_ids.len(), 1);
        let changed = done.resource.unwrap();
        assert_eq!(changed.spec.display_name, "another");
        assert_eq!(changed.spec.settings, made.spec.settings);
        assert_ne!(changed.etag, made.etag);
        assert_eq!(
            changed.native,
            nsx.read(kind, &made.id).await.unwrap().native
        );

        let mut stale = renamed(kind, "too late");
        stale.etag = Some(made.etag.clone());
        let error = nsx.changed(&made.id, &stale).await.unwrap_err();
        assert_eq!(said(&error), (ErrorKind::Stale, ErrorReason::StaleEtag));
        let (etag, call) = (Some(made.etag.as_str()), call());
        let removed = nsx.dialect.delete_resource(kind, &made.id, etag, &call);
        assert_eq!(removed.await.unwrap_err().kind, ErrorKind::Stale);

        assert_eq!(
            nsx.removed(kind, &made.id).await.unwrap().request_ids.len(),
            1
        );
        for error in [
            nsx.read(kind, &made.id).await.unwrap_err(),
            nsx.changed(&made.id, &renamed(kind, "x"))
                .await
                .unwrap_err(),
            nsx.removed(kind, &made.id).await.unwrap_err(),
        ] {
            let gone = (ErrorKind::NotFound, ErrorReason::ResourceNotFound);
            assert_eq!(said(&error), gone);
            assert!(error.message.contains(kind.noun()), "{error}");
        }
    }
}

#[tokio::test]
async fn what_nobody_here_knows_survives_an_update() {
    let nsx = nsx();
    let made = nsx.made_of(ResourceKind::IkePolicy).await;
    let state = nsx.cloud.state();
    let tags = json!([{ "scope": "team", "tag": "net" }]);
    let words = json!(["AES_128", "AES_128_FUTURE"]);
    state.alter(
        Kind::IkeProfile,
        &made.id,
        json!({ "tags": tags, "encryption_algorithms": words, "future": 7 }),
    );
    let read = nsx.read(ResourceKind::IkePolicy, &made.id).await.unwrap();
    assert_eq!(read.native_words["encryption_algorithms"], words);
    assert_eq!(read.native["future"], 7);
    assert_eq!(read.native["tags"], tags);
    let back = change(
        ResourceKind::IkePolicy,
        ResourceKind::IkePolicy.fields(),
        read.spec,
    );
    let done = nsx.changed(&made.id, &back).await.unwrap();
    assert_eq!(done.request_ids, [""; 0]);
    let only = ResourceSpec {
        settings: Settings::IkePolicy(IkePolicy {
            encryption_algorithms: vec![None],
            ..IkePolicy::default()
        }),
        ..ResourceSpec::none(ResourceKind::IkePolicy)
    };
    let only = change(ResourceKind::IkePolicy, &[F::EncryptionAlgorithms], only);
    let error = nsx.changed(&made.id, &only).await.unwrap_err();
    assert_eq!(
        said(&error),
        (ErrorKind::NotExpressible, ErrorReason::NotExpressible)
    );
    assert_eq!(error.context.violations[0].field, "encryption_algorithms");
    assert_eq!(
        nsx.asked(Method::PUT, &format!("ike-profiles/{}", made.id)),
        0
    );
}

#[tokio::test]
async fn what_is_the_clouds_own_is_refused_before_anything_is_sent() {
    for (kind, id) in [
        (ResourceKind::IkePolicy, inventory::DEFAULT_IKE_PROFILE_ID),
        (
            ResourceKind::IpsecPolicy,
            inventory::DEFAULT_TUNNEL_PROFILE_ID,
        ),
        (ResourceKind::DpdPolicy, inventory::DEFAULT_DPD_PROFILE_ID),
    ] {
        let nsx = nsx();
        let read = nsx.read(kind, id).await.unwrap();
        let Some(ResourceDetails::Nsx(details)) = &read.details else {
            panic!("{:?}", read.details)
        };
        assert!(details.system_owned && !read.managed);
        // Sent back as it was read it is as it is.
        let back = change(kind, kind.fields(), read.spec);
        assert!(nsx.changed(id, &back).await.is_ok());
        for error in [
            nsx.changed(id, &renamed(kind, "mine")).await.unwrap_err(),
            nsx.removed(kind, id).await.unwrap_err(),
        ] {
            let not_ours = (ErrorKind::PermissionDenied, ErrorReason::NotOwner);
            assert_eq!(said(&error), not_ours);
        }
        let requests = nsx.cloud.all_requests();
        assert!(requests.iter().all(|it| it.method == Method::GET));
    }
}

#[tokio::test]
async fn what_another_principal_made_is_not_ours() {
    for (kind, of_cloud) in KINDS {
        let nsx = nsx();
        let made = nsx.made_of(kind).await;
        nsx.cloud.state().give_to(of_cloud, &made.id, "somebody");
        for error in [
            nsx.changed(&made.id, &renamed(kind, "mine"))
                .await
                .unwrap_err(),
            nsx.removed(kind, &made.id).await.unwrap_err(),
        ] {
            let not_ours = (ErrorKind::PermissionDenied, ErrorReason::NotOwner);
            assert_eq!(said(&error), not_ours);
        }
    }
}

#[tokio::test]
async fn what_is_used_is_not_removed_and_can_be_changed() {
    let nsx = nsx();
    let policies = [
        ResourceKind::IkePolicy,
        ResourceKind::IpsecPolicy,
        ResourceKind::DpdPolicy,
    ];
    let mut made = Vec::new();
    for kind in policies {
        made.push(nsx.made_of(kind).await);
    }
    let mut connection = spec();
    connection.ike_policy = Some(made[0].id.clone());
    connection.ipsec_policy = Some(made[1].id.clone());
    connection.dpd_policy = Some(made[2].id.clone());
    let connection = nsx.create(&connection).await.unwrap();
    let used = policies
        .into_iter()
        .zip(made.iter().map(|it| it.id.as_str()));
    let used = used.chain([
        (ResourceKind::VpnService, inventory::SERVICE_ID),
        (ResourceKind::LocalEndpoint, inventory::LOCAL_ENDPOINT_ID),
    ]);
    for (kind, id) in used {
        let error = nsx.removed(kind, id).await.unwrap_err();
        let in_use = (ErrorKind::FailedPrecondition, ErrorReason::InUse);
        assert_eq!(said(&error), in_use, "{kind:?}");
        nsx.changed(id, &renamed(kind, "another")).await.unwrap();
    }
    nsx.delete(&connection.id).await.unwrap();
    nsx.removed(ResourceKind::IkePolicy, &made[0].id)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_reference_that_is_not_there_is_said_so() {
    let nsx = nsx();
    let mut endpoint = full(ResourceKind::LocalEndpoint);
    let Settings::LocalEndpoint(settings) = &mut endpoint.settings else {
        unreachable!()
    };
    settings.vpn_service = Some("none".to_owned());
    let error = nsx.attempt(&endpoint).await.unwrap_err();
    let expected = (
        ErrorKind::FailedPrecondition,
        ErrorReason::ReferenceNotFound,
    );
    assert_eq!(said(&error), expected);
    assert!(error.message.contains("local endpoint"), "{error}");
}

#[tokio::test]
async fn a_local_endpoint_can_move_to_another_service() {
    let nsx = nsx();
    let service = nsx.made_of(ResourceKind::VpnService).await;
    let made = nsx.made_of(ResourceKind::LocalEndpoint).await;
    let mut values = full(ResourceKind::LocalEndpoint);
    let Settings::LocalEndpoint(settings) = &mut values.settings else {
        unreachable!()
    };
    settings.vpn_service = Some(service.id.clone());
    let moved = change(
        ResourceKind::LocalEndpoint,
        &[F::VpnService],
        values.clone(),
    );
    let done = nsx.changed(&made.id, &moved).await.unwrap();
    assert_eq!(done.resource.unwrap().spec, values);
}

#[tokio::test]
async fn a_list_stands_still_while_resources_vanish() {
    let levers = Levers {
        max_page: 4,
        ..Levers::default()
    };
    let options = NsxOptions {
        levers,
        ..NsxOptions::default()
    };
    let nsx = start(options, "basic");
    let state = nsx.cloud.state();
    let planted: Vec<String> = (0..9)
        .map(|_| state.plant(Kind::DpdProfile, json!({ "dpd_probe_mode": "PERIODIC" })))
        .collect();
    let kind = ResourceKind::DpdPolicy;
    let all = nsx.everything(kind, 3).await;
    let ids: Vec<&str> = all.iter().map(|it| it.id.as_str()).collect();
    assert!(ids.is_sorted());
    let expected: BTreeSet<&str> = planted.iter().map(String::as_str).collect();
    let found: BTreeSet<&str> = ids.iter().copied().collect();
    assert!(found.is_superset(&expected) && found.len() == 10);

    // One vanishes from the first page of the cloud's while the second is read.
    let gate = Gate::default();
    let hold = Rule::on(Method::GET, "/dpd-profiles$", Fault::Hold(gate.clone()));
    let held = nsx.cloud.faults().inject(hold.query("cursor=").times(1));
    let request = page(100);
    let listing = call();
    let listed = nsx.resources().list(kind, &request, &listing);
    let vanish = async {
        held.reach(1).await;
        assert!(state.vanish(Kind::DpdProfile, &planted[0]));
        gate.open();
    };
    let (listed, ()) = tokio::join!(listed, vanish);
    let listed = listed.unwrap().items;
    let left: BTreeSet<&str> = listed.iter().map(|it| it.id.as_str()).collect();
    let stays = planted[1..].iter().all(|id| left.contains(id.as_str()));
    assert!(stays, "{left:?}");
}

#[tokio::test]
async fn a_kind_that_nsx_does_not_have_is_said_so() {
    let nsx = nsx();
    let kind = ResourceKind::EndpointGroup;
    let error = nsx.read(kind, "x").await.unwrap_err();
    assert_eq!(
        said(&error),
        (ErrorKind::Unimplemented, ErrorReason::KindAbsent)
    );
    assert!(nsx.dialect.capabilities().takes(kind).is_none());
    assert_eq!(nsx.cloud.all_requests().len(), 0);
}
