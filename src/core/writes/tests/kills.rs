//! The gateway is killed before and after every request and every disk write, and the next gateway finishes or undoes
//! what is left.

use super::*;
use crate::core::{error::ErrorKind, ledger::UnfinishedState};

/// A site with one connection.
fn with_one() -> (Site, ConnectionName) {
    let site = Site::new();
    let made = site.settled(async |gateway: &Gateway| create(gateway, How::default()).await);
    assert_eq!(site.cloud.world().there(), WHOLE);
    (site, made.unwrap().name.unwrap())
}

fn same(one: &Accepted, other: &Accepted) {
    assert!(!one.write_token.is_empty());
    assert_eq!(one.name, other.name);
    assert_eq!(one.write_token, other.write_token);
}

/// Runs `try_it` with a kill at each point in turn, until it returns `false`.
pub(super) fn at_every_point(mut try_it: impl FnMut(i64) -> bool) {
    let mut points = 0;
    while try_it(points + 1) {
        points += 1;
        assert!(points < 200, "it never ends");
    }
    assert!(points >= 8, "{points}");
}

#[test]
fn a_create_that_is_killed_makes_one_connection_or_none_and_its_repeat_one() {
    at_every_point(|point| {
        let site = Site::new();
        let how = || request("r", "body");
        site.doom.at(point);
        let told = site.life(async |gateway: &Gateway| create(gateway, how()).await);
        let there = site.settled(async |gateway: &Gateway| {
            let unfinished = gateway.unfinished(&backend());
            (unfinished, site.cloud.world().there().len())
        });
        match there.1 {
            6 => {}
            0 => assert!(told.is_none(), "{point}"),
            some => panic!("{some} objects after {point}: {:?}", site.cloud.world()),
        }
        let again = site
            .settled(async |gateway: &Gateway| create(gateway, how()).await)
            .unwrap();
        let third = site
            .settled(async |gateway: &Gateway| create(gateway, how()).await)
            .unwrap();
        same(&again, &third);
        if let Some(told) = &told {
            same(told.as_ref().unwrap(), &again);
        }
        assert_eq!(site.cloud.world().there(), WHOLE, "{point}");
        let name = again.name.unwrap();
        let gone =
            site.settled(async |gateway: &Gateway| delete(gateway, &name, How::default()).await);
        assert_eq!(gone.unwrap().warnings, vec![]);
        assert_eq!(site.cloud.world().there(), Vec::<&str>::new(), "{point}");
        told.is_none()
    });
}

#[test]
fn an_update_that_is_killed_is_done_or_not_and_leaves_no_group() {
    at_every_point(|point| {
        let (site, name) = with_one();
        site.doom.at(point);
        let told =
            site.life(async |gateway: &Gateway| rename(gateway, &name, request("u", "")).await);
        let value = site.settled(async |gateway: &Gateway| {
            let read = gateway.get(&name, soon()).await.unwrap();
            read.display_name
        });
        assert_eq!(site.cloud.world().there(), WHOLE, "{point}");
        assert!(
            value == "new" || told.is_none() && value == "old",
            "{point}"
        );
        let again =
            site.settled(async |gateway: &Gateway| rename(gateway, &name, request("u", "")).await);
        assert_eq!(again.unwrap().connection.unwrap().display_name, "new");
        assert_eq!(site.cloud.world().there(), WHOLE, "{point}");
        told.is_none()
    });
}

#[test]
fn a_delete_that_is_killed_removes_all_or_nothing() {
    at_every_point(|point| {
        let (site, name) = with_one();
        site.doom.at(point);
        let how = || request("d", "");
        let told = site.life(async |gateway: &Gateway| delete(gateway, &name, how()).await);
        let left = site.settled(async |_: &Gateway| site.cloud.world().there().len());
        assert!(left == 0 || told.is_none() && left == 6, "{point}: {left}");
        let again = site.settled(async |gateway: &Gateway| delete(gateway, &name, how()).await);
        again.unwrap();
        assert_eq!(site.cloud.world().there(), Vec::<&str>::new(), "{point}");
        told.is_none()
    });
}

/// The recovery after a restart can be killed too.
#[test]
fn a_gateway_that_is_killed_twice_leaves_nothing_either() {
    for first in (1..40).step_by(3) {
        for second in (1..30).step_by(2) {
            let site = Site::new();
            site.doom.at(first);
            site.life(async |gateway: &Gateway| create(gateway, request("r", "")).await);
            site.doom.at(second);
            site.life(async |_: &Gateway| settle().await);
            let made =
                site.settled(async |gateway: &Gateway| create(gateway, request("r", "")).await);
            made.unwrap();
            assert_eq!(site.cloud.world().there(), WHOLE, "{first}, {second}");
        }
    }
}

#[test]
fn what_nobody_was_told_of_is_told_by_the_backend() {
    let site = Site::new();
    // The third step was recorded but not sent.
    site.doom.at(10);
    site.life(async |gateway: &Gateway| create(gateway, request("r", "")).await);
    site.doom.at(i64::MAX);
    site.life(async |gateway: &Gateway| {
        let told = gateway.unfinished(&backend());
        assert_eq!(told.len(), 1);
        assert_eq!(
            told[0].state,
            crate::core::ledger::UnfinishedState::Settling
        );
        assert_eq!(told[0].name, "backends/b/connections/-");
        assert_eq!(told[0].request_id, "r");
        assert!(gateway.durable_writes());
        settle().await;
        let told = gateway.unfinished(&backend());
        assert_eq!(told[0].state, crate::core::ledger::UnfinishedState::Undone);
    });
    let told = site.settled(async |gateway: &Gateway| gateway.unfinished(&backend()));
    assert_eq!(told.len(), 1);
}

#[test]
fn a_restarted_gateway_takes_no_write_to_what_it_is_still_finding_out_about() {
    let (site, name) = with_one();
    // The PUT was sent and got lost.
    site.cloud.world().fault = Some((2, super::cloud::Fault::LostRequest));
    site.doom.at(8);
    site.life(async |gateway: &Gateway| rename(gateway, &name, How::default()).await);
    site.doom.at(i64::MAX);
    let refused = site.life(async |gateway: &Gateway| {
        let deadline = Instant::now() + Duration::from_secs(5);
        let how = How::default();
        gateway
            .delete(&name, None, false, how, deadline)
            .await
            .unwrap_err()
    });
    let refused = refused.unwrap();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert_eq!(
        refused.reason,
        crate::core::error::ErrorReason::WriteUnderWay
    );
    assert!(refused.context.retry_after.is_some());
    let gone = site.settled(async |gateway: &Gateway| delete(gateway, &name, How::default()).await);
    gone.unwrap();
    assert_eq!(site.cloud.world().there(), Vec::<&str>::new());
}

#[test]
fn what_somebody_else_uses_by_now_stays() {
    let (site, name) = with_one();
    // The connection is gone, and the gateway does not know.
    site.doom.at(4);
    site.life(async |gateway: &Gateway| delete(gateway, &name, How::default()).await);
    assert!(!site.cloud.world().there().contains(&"connections"));
    site.cloud
        .world()
        .put_using("connections", "x", ("ikePolicies", "001"));
    site.settled(async |_: &Gateway| ());
    assert_eq!(site.cloud.world().there(), ["connections", "ikePolicies"]);
}

/// The gateway is killed at each point and restarted with the backend configured for another cloud. It traces nothing
/// there, removes nothing by an id that means another object, and reports nothing as undone.
#[test]
fn what_was_begun_in_another_cloud_is_given_up_and_said_to_be() {
    let mut given_up = 0;
    for removes in [false, true] {
        at_every_point(|point| {
            let site = Site::new();
            site.cloud.world().address = Some("here");
            let made = removes.then(|| {
                let made = site.settled(async |gateway: &Gateway| {
                    let made = create(gateway, How::default()).await;
                    made.unwrap().name.unwrap()
                });
                assert_eq!(site.cloud.world().there(), WHOLE);
                made
            });
            site.doom.at(point);
            let ended = site.life(async |gateway: &Gateway| match &made {
                Some(name) => delete(gateway, name, How::default()).await,
                None => create(gateway, How::default()).await,
            });
            let was_left = !site.disk.keys("writes/").is_empty();
            let before = site.cloud.world().requests;
            site.cloud.world().address = Some("there");
            let unfinished = site.settled(async |gateway: &Gateway| gateway.unfinished(&backend()));
            assert_eq!(site.cloud.world().requests, before, "{point}");
            assert_eq!(unfinished.len(), usize::from(was_left), "{point}");
            for told in unfinished {
                assert_eq!(told.state, UnfinishedState::Abandoned);
                assert!(told.message.contains("another cloud"), "{}", told.message);
                given_up += 1;
            }
            ended.is_none()
        });
    }
    assert!(given_up >= 8, "{given_up}");
}
