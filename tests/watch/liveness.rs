//! Promises 7 and 8: silence and lag are bounded.

use crate::support::{
    scripted::{active, outage, realized},
    setup::{HEARTBEAT, Setup, next, next_state},
};
use isthmus::{
    core::{error::ErrorReason, watch::stream::EventKind},
    grpc::convert::backend::backend,
};
use std::time::Duration;
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn silence_never_exceeds_the_heartbeat() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    next(&mut watch).await;
    for beat in 0..20 {
        let before = Instant::now();
        if beat == 10 {
            setup.cloud.fail_all(&outage());
        }
        let event = next(&mut watch).await;
        assert!(before.elapsed() <= HEARTBEAT + Duration::from_millis(10));
        let EventKind::Heartbeat(pulse) = event.kind else {
            panic!("nothing changes here")
        };
        assert!(pulse.last_success.is_some());
        assert!(pulse.interval > Duration::ZERO);
        assert_eq!(pulse.budget_used, 0.25, "as the dialect says");
        if beat < 10 {
            assert_eq!((pulse.stale, pulse.last_error), (false, None));
        }
        if beat > 16 {
            assert_eq!(
                (pulse.stale, pulse.last_error),
                (true, Some(ErrorReason::UpstreamUnreachable))
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_goes_on_does_not_wait_for_a_cloud_that_hangs() {
    let setup = Setup::new();
    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    let token = next(&mut watch).await.resume_token().to_owned();
    drop(watch);
    tokio::time::advance(Duration::from_secs(60)).await;
    setup.cloud.hold();
    let before = Instant::now();
    let mut resumed = setup.resume("1", token).await.unwrap();
    let event = next(&mut resumed).await;
    assert!(matches!(event.kind, EventKind::Heartbeat(_)));
    assert!(before.elapsed() <= HEARTBEAT + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_backend_tells_its_budget_and_the_longest_interval_there_is_now() {
    let setup = Setup::new();
    let told = || {
        backend(
            setup.gateway.backend(&setup.backend).unwrap(),
            Vec::new(),
            false,
        )
    };
    let budget = told().budget.unwrap();
    assert_eq!((budget.rate_limit, budget.rate_used), (20.0, 5.0));
    assert_eq!(
        (budget.watched_connections, budget.longest_interval),
        (0, None)
    );

    setup.cloud.say("1", active());
    let mut watch = setup.watch("1", None).await;
    next(&mut watch).await;
    // The longer nothing changes, the longer the intervals.
    for _ in 0..20 {
        let event = next(&mut watch).await;
        let EventKind::Heartbeat(pulse) = event.kind else {
            continue;
        };
        let budget = told().budget.unwrap();
        assert_eq!(budget.watched_connections, 1);
        let longest = Duration::try_from(budget.longest_interval.unwrap()).unwrap();
        assert_eq!(longest, pulse.interval, "as the heartbeat says");
    }
    drop(watch);
    assert_eq!(told().budget.unwrap().watched_connections, 0);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_fresh_write_is_told_within_the_stated_interval() {
    let setup = Setup::new();
    let (id, token) = setup.create().await;
    let mut watch = setup.watch_write(&id, token).await;
    next(&mut watch).await;
    next_state(&mut watch).await;
    setup.cloud.say(&id, realized());
    let changed = Instant::now();
    next_state(&mut watch).await;
    assert!(
        changed.elapsed() <= Duration::from_millis(2200),
        "2 s and a tenth of jitter"
    );
}
