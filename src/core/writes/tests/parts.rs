//! Parts: planned, reused, refused, and removed with the last connection that uses them.

use super::*;
use crate::{
    core::{
        dialect::{Action, Mark},
        error::{ErrorKind, ErrorReason},
        ledger::UnfinishedState,
        realizations::PollRequest,
    },
    model::{RealizationState, ResourceChange, ResourceField, ResourceName, codes},
};

fn steps(plan: &[crate::core::dialect::Step]) -> Vec<(Action, &str, Option<&str>)> {
    let each = plan.iter();
    each.map(|it| (it.action, it.collection.as_str(), it.id.as_deref()))
        .collect()
}

#[test]
fn a_plan_says_what_would_be_done_in_the_order_of_the_requests() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let plan = create(gateway, How::tried()).await.unwrap().plan;
        let expected = [
            "ikePolicies",
            "vpnServices",
            "localEndpoints",
            "peerEndpoints",
            "endpointGroups",
            "connections",
        ];
        assert_eq!(steps(&plan), expected.map(|it| (Action::Create, it, None)));
        let marks: Vec<_> = plan.iter().map(|it| it.mark.as_ref().unwrap()).collect();
        assert!(
            marks
                .iter()
                .all(|it| *it == marks[0] && Mark::is_joint(it.as_str()))
        );
        assert_eq!(site.cloud.world().requests, 0);

        let name = create(gateway, How::default()).await.unwrap().name.unwrap();
        let plan = delete(gateway, &name, How::tried()).await.unwrap().plan;
        let expected = [
            ("connections", "006"),
            ("peerEndpoints", "004"),
            ("localEndpoints", "003"),
            ("endpointGroups", "005"),
            ("ikePolicies", "001"),
            ("vpnServices", "002"),
        ];
        assert_eq!(
            steps(&plan),
            expected.map(|(it, id)| (Action::Delete, it, Some(id)))
        );
        let plan = rename(gateway, &name, How::tried()).await.unwrap().plan;
        let expected = [
            (Action::Create, "endpointGroups", None),
            (Action::Update, "connections", Some("006")),
            (Action::Delete, "endpointGroups", Some("005")),
        ];
        assert_eq!(steps(&plan), expected);
        assert_eq!(site.cloud.world().there(), WHOLE);
    });
}

#[test]
fn something_equal_is_used_in_place_of_a_part_if_its_caller_wants_that() {
    let reused = |reuse: Reuse| {
        let site = Site::new();
        for (id, value, mark) in [
            ("a", "other", None),
            ("b", "p", None),
            ("c", "p", Some(Mark::new())),
            ("d", "p", Some(Mark::new())),
        ] {
            site.cloud.world().put("ikePolicies", id, value, mark);
        }
        site.settled(async |gateway: &Gateway| {
            let wanted = NewConnection { reuse, ..whole() };
            let made = gateway
                .create(&backend(), wanted, How::default(), soon())
                .await;
            let name = made.unwrap().name.unwrap();
            let policy = gateway.get(&name, soon()).await.unwrap().ike_policy;
            delete(gateway, &name, How::default()).await.unwrap();
            // Parts that existed before stay.
            assert_eq!(site.cloud.world().there(), ["ikePolicies"; 4]);
            policy.unwrap()
        })
    };
    assert_eq!(reused(Reuse::Never), "001");
    assert_eq!(reused(Reuse::Managed), "c");
    assert_eq!(reused(Reuse::Any), "b");
}

#[test]
fn parts_go_with_the_last_connection_that_uses_them() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let wanted = || NewConnection {
            reuse: Reuse::Managed,
            ..whole()
        };
        let make = async || {
            let made = gateway
                .create(&backend(), wanted(), How::default(), soon())
                .await;
            made.unwrap().name.unwrap()
        };
        let (one, other) = (make().await, make().await);
        let both = site.cloud.world().there().len();
        assert_eq!(both, 6 + 3, "the parts are shared");
        delete(gateway, &one, How::default()).await.unwrap();
        assert_eq!(site.cloud.world().there(), WHOLE);
        let again = make().await;
        // Two concurrent deletes: neither leaves the parts to the other.
        let (first, second) = tokio::join!(
            delete(gateway, &again, How::default()),
            delete(gateway, &other, How::default())
        );
        first.and(second).unwrap();
        settle().await;
        assert_eq!(site.cloud.world().there(), Vec::<&str>::new());
    });
}

#[test]
fn a_delete_is_not_over_before_its_parts_are_gone() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let name = create(gateway, How::default()).await.unwrap().name.unwrap();
        // An object that the gateway does not know uses the policy for a while.
        let policy = ("ikePolicies", "001");
        site.cloud.world().put_using("others", "x", policy);
        let told = delete(gateway, &name, How::default()).await.unwrap();
        assert_eq!(told.warnings.len(), 1);
        let policy = "backends/b/ikePolicies/001".to_owned();
        assert!(told.warnings[0].message.contains(&policy), "{told:?}");
        settle().await;
        let left = gateway.unfinished(&backend());
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].state, UnfinishedState::Settling);
        assert_eq!(
            (&left[0].name, &left[0].leftovers),
            (&name.to_string(), &vec![policy])
        );
        let poll = PollRequest {
            name: name.clone(),
            include_tunnel: false,
            write_token: told.write_token,
            upstream_request_ids: vec![],
        };
        let status = gateway.poll_now(&poll, soon()).await.unwrap();
        let status = status.observation.status.clone();
        assert_eq!(status.state, RealizationState::Deleting);
        assert_eq!(status.reason.unwrap().code, codes::PARTS_REMAIN);

        site.cloud
            .world()
            .objects
            .retain(|(it, _), _| it != "others");
        settle().await;
        assert_eq!(site.cloud.world().there(), Vec::<&str>::new());
        assert_eq!(gateway.unfinished(&backend()), vec![]);
        let status = gateway.poll_now(&poll, soon()).await.unwrap();
        assert_eq!(status.observation.status.state, RealizationState::Deleted);
    });
}

#[test]
fn nobody_waits_for_a_removal_that_is_refused_for_good() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let name = create(gateway, How::default()).await.unwrap().name.unwrap();
        site.cloud.world().protected = Some("peerEndpoints");
        let begun = Instant::now();
        let told = delete(gateway, &name, How::default()).await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(1));
        // Everything else is removed.
        assert_eq!(told.warnings.len(), 1, "{told:?}");
        assert_eq!(site.cloud.world().there(), ["peerEndpoints"]);
        site.cloud.world().protected = None;
        settle().await;
        assert_eq!(site.cloud.world().there(), Vec::<&str>::new());
    });
}

#[test]
fn what_is_wrong_with_a_part_is_told_by_its_path() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let refused = async |wanted: NewConnection| {
            let told = gateway
                .create(&backend(), wanted, How::tried(), soon())
                .await;
            let error = told.unwrap_err();
            let fields = error.context.violations.iter().map(|it| it.field.clone());
            (error.kind, fields.collect::<Vec<_>>())
        };
        let mut wanted = whole();
        wanted.parts.remove(&ResourceKind::VpnService);
        let kind = ErrorKind::NotExpressible;
        let service = "parts.local_endpoint.vpn_service".to_owned();
        assert_eq!(refused(wanted).await, (kind, vec![service]));

        let mut wanted = whole();
        let dpd = ResourceKind::DpdPolicy;
        wanted.parts.insert(dpd, part(dpd, ""));
        wanted
            .parts
            .get_mut(&ResourceKind::IkePolicy)
            .unwrap()
            .description = "d".repeat(5);
        let expected = vec![
            "parts.ike_policy.description".to_owned(),
            "parts.dpd_policy".to_owned(),
        ];
        assert_eq!(refused(wanted).await, (kind, expected));

        let mut wanted = whole();
        wanted.spec.ike_policy = Some("i".to_owned());
        let expected = vec!["parts.ike_policy".to_owned()];
        assert_eq!(
            refused(wanted).await,
            (ErrorKind::InvalidArgument, expected)
        );
    });
}

#[test]
fn a_resource_goes_the_same_way() {
    let site = Site::new();
    let kind = ResourceKind::IkePolicy;
    site.settled(async |gateway: &Gateway| {
        let spec = part(kind, "one");
        let parent = backend();
        let made = || gateway.create_resource(&parent, spec.clone(), request("r", ""), soon());
        let first = made().await.unwrap();
        let again = made().await.unwrap();
        assert_eq!(first.resource, again.resource);
        assert_eq!(site.cloud.world().there(), ["ikePolicies"]);
        let name = format!("backends/b/ikePolicies/{}", first.resource.unwrap().id);
        let name = ResourceName::parse(kind.collection(), &name).unwrap();
        let change = |field| ResourceChange {
            fields: [field].into(),
            values: part(kind, "two"),
            etag: None,
        };
        let tried = |field| gateway.update_resource(&name, change(field), How::tried(), soon());
        // A validation also reports what cannot change.
        let fixed = tried(ResourceField::VpnService).await.unwrap_err();
        assert_eq!(fixed.context.violations[0].field, "vpn_service");
        let plan = tried(ResourceField::DisplayName).await.unwrap().plan;
        assert_eq!(steps(&plan), [(Action::Update, "ikePolicies", Some("001"))]);
        let change = change(ResourceField::DisplayName);
        let told = gateway
            .update_resource(&name, change, How::default(), soon())
            .await
            .unwrap();
        assert!(!told.write_token.is_empty());
        let delete = async |how| {
            gateway
                .delete_resource(kind, &name, None, false, how, soon())
                .await
        };
        assert_eq!(delete(How::tried()).await.unwrap().plan.len(), 1);
        delete(How::default()).await.unwrap();
        let missing = delete(How::default()).await.unwrap_err();
        assert_eq!(missing.reason, ErrorReason::ResourceNotFound);
        assert_eq!(missing.context.resource, Some(name.to_string()));
    });
}
