//! Promise 9: watchers share one poller, and what one watches changes nothing for the rest.

use crate::support::{
    scripted::{active, gone},
    setup::{SECOND, Setup, many_request, next, next_many},
};
use futures_util::future::{join, join_all};
use isthmus::{
    core::{error::ErrorReason, realizations::WatchRequest, watch::stream::Outcome},
    model::Goal,
};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn two_hundred_watchers_cost_the_cloud_no_more_than_one() {
    async fn polls_in_a_minute(watchers: usize) -> usize {
        let setup = Setup::new();
        let (id, token) = setup.create().await;
        let mut watches = Vec::new();
        for index in 0..watchers {
            let write_token = if index % 2 == 0 {
                token.clone()
            } else {
                String::new()
            };
            let request = WatchRequest {
                write_token,
                ..setup.request(&id)
            };
            watches.push(setup.gateway.watch(request).await.unwrap());
        }
        tokio::time::sleep(60 * SECOND).await;
        setup.cloud.polls()
    }
    let one = polls_in_a_minute(1).await;
    let many = polls_in_a_minute(200).await;
    assert!(one >= 25, "{one} looks");
    assert!(
        many <= one + 3,
        "{many} looks for 200 watchers, {one} for one"
    );
}

#[tokio::test(start_paused = true)]
async fn two_hundred_watchers_of_all_who_come_at_once_cost_one_list() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    setup.cloud.hold();
    let open = || async { setup.gateway.watch_many(many_request()).await.unwrap() };
    let watches = join_all((0..200).map(|_| open()));
    let release = async {
        tokio::time::sleep(Duration::from_millis(1)).await;
        setup.cloud.release();
    };
    let (mut watches, ()) = join(watches, release).await;
    assert_eq!(setup.cloud.lists(), 1);
    assert_eq!(next_many(&mut watches[199]).await.snapshots.len(), 1);

    // Nor more if it fails.
    drop(watches);
    tokio::time::advance(Duration::from_secs(60)).await;
    let before = setup.cloud.lists();
    setup.cloud.hold();
    let watches = join_all((0..200).map(|_| open())).await;
    assert_eq!(watches.len(), 200);
    assert_eq!(setup.cloud.lists(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn with_no_watcher_left_the_cloud_is_not_asked() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    drop(setup.watch("1", None).await);
    let polls = setup.cloud.polls();
    tokio::time::sleep(600 * SECOND).await;
    assert!(setup.cloud.polls() <= polls + 1);
}

#[tokio::test(start_paused = true)]
async fn a_bystander_does_not_make_a_write_forgotten() {
    // Of our own delete, and of a create whose connection somebody else removed.
    for ours in [true, false] {
        let setup = Setup::new();
        let (id, made) = setup.create().await;
        let token = if ours { setup.delete(&id).await } else { made };
        setup.cloud.say(&id, gone());
        let mut watch = setup.watch(&id, Some(Goal::Gone)).await;
        while next(&mut watch).await.outcome.is_none() {}
        drop(watch);
        let error = setup.gateway.watch(setup.request(&id)).await.unwrap_err();
        assert_eq!(error.reason, ErrorReason::ConnectionNotFound);
        let mut watch = setup.watch_write(&id, token).await;
        let outcome = loop {
            if let Some(outcome) = next(&mut watch).await.outcome {
                break outcome;
            }
        };
        assert_eq!(matches!(outcome, Outcome::Succeeded(_)), ours);
    }
}
