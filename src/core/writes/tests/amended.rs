//! An existing connection and its parts, changed as one write: which parts change, and what is left if the gateway is
//! killed during the write.

use super::{
    applied::{apply, described, lifetime, networks, router},
    kills::at_every_point,
    *,
};
use crate::{
    core::{
        dialect::Action,
        error::{ErrorKind, ErrorReason},
        writes::apply::{Applied, Description, Outcome},
    },
    model::{Connection, Selectors},
};

fn steps(applied: &Applied) -> Vec<(Action, &str)> {
    let plan = applied.accepted.plan.iter();
    plan.map(|step| (step.action, step.collection.as_str()))
        .collect()
}

/// The same description under another name, using the same parts.
fn second() -> Description {
    let mut description = described();
    description.wanted.spec.display_name = "second".to_owned();
    description
}

async fn there(gateway: &Gateway, applied: &Applied) -> Connection {
    let name = applied.accepted.name.as_ref().unwrap();
    gateway.get(name, soon()).await.unwrap()
}

fn violations(error: &crate::core::error::Error) -> Vec<&str> {
    error
        .context
        .violations
        .iter()
        .map(|it| &*it.field)
        .collect()
}

const SWITCHED: [(Action, &str); 3] = [
    (Action::Create, "endpointGroups"),
    (Action::Update, "connections"),
    (Action::Delete, "endpointGroups"),
];

#[test]
fn a_part_that_is_the_connections_alone_is_changed_where_it_is() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let made = apply(gateway, described(), How::default()).await.unwrap();
        let before = there(gateway, &made).await;
        let mut description = described();
        lifetime(&mut description, 7_200);
        let tried = apply(gateway, description.clone(), How::tried())
            .await
            .unwrap();
        assert_eq!(tried.result, Outcome::Changed);
        assert_eq!(steps(&tried), [(Action::Update, "ikePolicies")]);
        let changed = apply(gateway, description.clone(), How::default())
            .await
            .unwrap();
        assert_eq!(changed.result, Outcome::Changed);
        assert!(!changed.accepted.write_token.is_empty());
        assert_eq!(there(gateway, &made).await.ike_policy, before.ike_policy);
        assert_eq!(site.cloud.world().there(), WHOLE);
        let same = apply(gateway, description, How::default()).await.unwrap();
        assert_eq!(same.result, Outcome::Unchanged);
    });
}

#[test]
fn a_part_that_others_use_is_left_to_them() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let mut third = described();
        third.wanted.spec.display_name = "third".to_owned();
        for description in [described(), second(), third.clone()] {
            apply(gateway, description, How::default()).await.unwrap();
        }
        assert_eq!(site.cloud.world().there().len(), 3 + 3 * 3);
        let mut description = described();
        lifetime(&mut description, 7_200);
        let tried = apply(gateway, description.clone(), How::tried())
            .await
            .unwrap();
        let made = (Action::Create, "ikePolicies");
        assert_eq!(steps(&tried), [&[made][..], &SWITCHED[..]].concat());
        let first = apply(gateway, description, How::default()).await.unwrap();
        let first = there(gateway, &first).await;

        // The first connection's new policy is equal, so it is reused.
        let mut description = second();
        lifetime(&mut description, 7_200);
        let tried = apply(gateway, description.clone(), How::tried())
            .await
            .unwrap();
        let reused = (Action::Reuse, "ikePolicies");
        assert_eq!(steps(&tried), [&[reused][..], &SWITCHED[..]].concat());
        let other = apply(gateway, description, How::default()).await.unwrap();
        assert_eq!(there(gateway, &other).await.ike_policy, first.ike_policy);

        // The old policy is the last connection's alone.
        lifetime(&mut third, 7_200);
        let tried = apply(gateway, third.clone(), How::tried()).await.unwrap();
        assert_eq!(steps(&tried), [(Action::Update, "ikePolicies")]);
        let last = apply(gateway, third, How::default()).await.unwrap();
        assert_ne!(there(gateway, &last).await.ike_policy, first.ike_policy);
    });
}

#[test]
fn what_only_another_connection_can_have_is_told_and_nothing_is_sent() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let made = apply(gateway, described(), How::default()).await.unwrap();
        apply(gateway, second(), How::default()).await.unwrap();
        let requests = site.cloud.world().requests;
        let refused = async |description: Description| {
            let error = apply(gateway, description, How::default())
                .await
                .unwrap_err();
            assert_eq!(error.kind, ErrorKind::FailedPrecondition);
            assert_eq!(error.reason, ErrorReason::ReplacementNeeded);
            let name = made.accepted.name.as_ref().unwrap().to_string();
            assert_eq!(error.context.resource, Some(name));
            assert_eq!(site.cloud.world().requests, requests);
            error
        };
        let mut moved = described();
        router(&mut moved, "another");
        let error = refused(moved.clone()).await;
        assert_eq!(violations(&error), ["parts.vpn_service.router"]);

        // Where references are fixed, parts that others use cannot change either.
        site.cloud.world().fixed = true;
        lifetime(&mut moved, 7_200);
        networks(&mut moved, &["10.2.0.0/16"]);
        let error = refused(moved).await;
        let expected = ["parts.ike_policy.lifetime", "parts.vpn_service.router"];
        assert_eq!(violations(&error), expected);

        let mut referring = described();
        referring.wanted.parts.remove(&ResourceKind::IkePolicy);
        referring.wanted.spec.ike_policy = Some("another".to_owned());
        let error = refused(referring.clone()).await;
        assert_eq!(violations(&error), ["ike_policy"]);
        site.cloud.world().fixed = false;
        let changed = apply(gateway, referring, How::default()).await.unwrap();
        assert_eq!(changed.result, Outcome::Changed);
    });
}

/// An amendment that changes a policy and a network changes both or neither.
#[test]
fn an_amendment_that_is_killed_is_done_or_undone() {
    at_every_point(|point| {
        let site = Site::new();
        let made = site
            .settled(async |gateway: &Gateway| apply(gateway, described(), How::default()).await);
        let made = made.unwrap();
        let mut wanted = described();
        lifetime(&mut wanted, 7_200);
        networks(&mut wanted, &["10.2.0.0/16"]);
        site.doom.at(point);
        let how = || request("u", "");
        let told = site.life(async |gateway: &Gateway| apply(gateway, wanted.clone(), how()).await);
        let (policy, networks) = site.settled(async |gateway: &Gateway| {
            let name = made.accepted.name.as_ref().unwrap();
            let site = gateway.export(name, soon()).await.unwrap().site;
            let policy = site.parts[&ResourceKind::IkePolicy].clone();
            (policy, site.spec.selectors)
        });
        let is_new = policy.settings == wanted.wanted.parts[&ResourceKind::IkePolicy].settings;
        assert_eq!(networks == wanted.wanted.spec.selectors, is_new, "{point}");
        assert!(is_new || told.is_none(), "{point}");
        assert_eq!(site.cloud.world().there(), WHOLE, "{point}");
        let again =
            site.settled(async |gateway: &Gateway| apply(gateway, wanted.clone(), how()).await);
        let again = again.unwrap();
        assert_eq!(again.result, Outcome::Changed, "{point}");
        if let Some(told) = &told {
            let token = &told.as_ref().unwrap().accepted.write_token;
            assert_eq!(*token, again.accepted.write_token, "{point}");
        }
        assert_eq!(site.cloud.world().there(), WHOLE, "{point}");
        told.is_none()
    });
}

/// A policy that another connection uses: either a new policy and the connection refers to it, or neither.
#[test]
fn a_switch_to_another_part_that_is_killed_leaves_no_part_behind() {
    at_every_point(|point| {
        let site = Site::new();
        site.settled(async |gateway: &Gateway| {
            for description in [described(), second()] {
                apply(gateway, description, How::default()).await.unwrap();
            }
        });
        let before = site.cloud.world().there().len();
        let mut wanted = described();
        lifetime(&mut wanted, 7_200);
        site.doom.at(point);
        let apply_it =
            async |gateway: &Gateway| apply(gateway, wanted.clone(), How::default()).await;
        let told = site.life(apply_it);
        let after = site.settled(async |_: &Gateway| site.cloud.world().there().len());
        assert!(
            after == before + 1 || told.is_none() && after == before,
            "{point}: {after}"
        );
        let again = site.settled(apply_it).unwrap();
        let expected = match after > before {
            true => Outcome::Unchanged,
            false => Outcome::Changed,
        };
        assert_eq!(again.result, expected, "{point}");
        assert_eq!(site.cloud.world().there().len(), before + 1, "{point}");
        told.is_none()
    });
}

/// The next apply, without the first one's request id and before anything is settled, waits for what the first left.
#[test]
fn a_create_that_is_killed_is_not_made_a_second_time() {
    at_every_point(|point| {
        let site = Site::new();
        site.doom.at(point);
        let apply_it = async |gateway: &Gateway| {
            let patience = Instant::now() + Duration::from_secs(900);
            let how = How::default();
            gateway.apply(&backend(), described(), how, patience).await
        };
        let told = site.life(apply_it);
        site.doom.at(i64::MAX);
        site.life(apply_it).unwrap().unwrap();
        assert_eq!(site.cloud.world().there(), WHOLE, "{point}");
        told.is_none()
    });
}

#[test]
fn what_is_there_is_described_without_references_and_is_as_described() {
    let site = Site::new();
    site.settled(async |gateway: &Gateway| {
        let made = apply(gateway, described(), How::default()).await.unwrap();
        let name = made.accepted.name.unwrap();
        let exported = gateway.export(&name, soon()).await.unwrap();
        assert_eq!(exported.warnings, vec![]);
        let (spec, parts) = (&exported.site.spec, &exported.site.parts);
        assert_eq!(parts.len(), 3);
        assert!(spec.ike_policy.is_none() && spec.vpn_service.is_none());
        assert!(spec.local_endpoint.is_none() && spec.authentication.is_none());
        // The peer's id is its address.
        assert_eq!((&*spec.peer_address, &spec.peer_id), ("192.0.2.1", &None));
        assert_eq!(*parts, described().wanted.parts);
        assert!(matches!(&spec.selectors, Some(Selectors::Rules(rules)) if rules.len() == 1));
        let description = Description {
            wanted: exported.site,
            ..described()
        };
        let same = apply(gateway, description, How::default()).await.unwrap();
        assert_eq!(same.result, Outcome::Unchanged);
        let missing = ConnectionName::connection(&backend(), "nobody").unwrap();
        let error = gateway.export(&missing, soon()).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::ConnectionNotFound);
    });
}
