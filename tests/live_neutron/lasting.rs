//! Tokens of 20 seconds, for minutes; and the quiet window at its stated length.

use crate::{
    calls::{change, gateway_with, made, remove},
    cloud::{self, Knobs, Login, STABLE, reports, seeded_connection},
    logins::through,
    operator,
    support::running::id_of,
    tap::Tap,
};
use isthmus::{
    core::settings::PollSettings,
    grpc::pb::{self, Goal, RealizationState as State, watch_realization_response::Event},
};
use std::time::{Duration, Instant};
use tokio::time::timeout_at;

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_ended_while_nobody_asked_is_replaced() {
    let _shared = cloud::shared_with(Knobs::ShortTokens).await;
    let tap = Tap::start().await;
    let running = gateway_with(through(&tap, &Login::demo())).await;
    let name = seeded_connection("DEMO");
    running.get(&name).await.unwrap();
    let first = tap.tokens();
    assert_eq!(first.len(), 1);
    // Until it is refused is not waited for here, but for the time that Keystone has told.
    tokio::time::sleep(Duration::from_secs(21)).await;
    running.get(&name).await.unwrap();
    let tokens = tap.tokens();
    assert!(
        tokens.len() >= 2 && tokens[0] == first[0],
        "{}",
        tokens.len()
    );
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_tokens_of_20_seconds_a_watch_of_two_minutes_never_hiccups() {
    let _shared = cloud::shared_with(Knobs::ShortTokens).await;
    let (_, told) = operator::token(&Login::demo()).await;
    let time = |key: &str| humantime::parse_rfc3339_weak(told[key].as_str().unwrap()).unwrap();
    let life = time("expires_at")
        .duration_since(time("issued_at"))
        .unwrap();
    assert_eq!(life, Duration::from_secs(20));

    let tap = Tap::start().await;
    let running = gateway_with(through(&tap, &Login::demo())).await;
    let (name, _) = made(&running).await;
    reports(&id_of(&name), "DOWN");
    let mut watch = running.watch(&name, Goal::Unspecified, "").await.unwrap();
    watch.until(State::Down).await;

    let end = tokio::time::Instant::now() + Duration::from_secs(120);
    let (mut changes, mut heartbeats, mut slowest) = (0, 0, Duration::ZERO);
    let words = [("ACTIVE", State::Active), ("DOWN", State::Down)];
    for (word, state) in words.iter().cycle() {
        // The agent says something new every seven seconds, and it is seen within an interval and a look.
        let reported = reports(&id_of(&name), word);
        let until = tokio::time::Instant::now() + Duration::from_secs(7);
        let mut seen = false;
        while let Ok(message) = timeout_at(until.min(end), watch.next()).await {
            let message = message.expect("no error").expect("it goes on");
            assert_eq!(message.outcome, None);
            match message.event.unwrap() {
                Event::Snapshot(now) | Event::Change(now) => {
                    assert_eq!((now.state(), now.stale), (*state, false), "{now:?}");
                    slowest = slowest.max(reported.elapsed());
                    seen = true;
                    changes += 1;
                }
                Event::Heartbeat(beat) => {
                    assert_eq!((beat.stale, beat.last_error.as_str()), (false, ""));
                    heartbeats += 1;
                }
            }
        }
        if tokio::time::Instant::now() >= end {
            break;
        }
        assert!(seen, "{word} was not seen within seven seconds");
    }
    let logins = tap.logins();
    println!(
        "two minutes: {changes} changes, the slowest seen after {slowest:?}, {heartbeats} heartbeats, {logins} logins"
    );
    assert!(
        slowest <= STABLE + STABLE / 10 + Duration::from_secs(3),
        "{slowest:?}"
    );
    assert!((6..=9).contains(&logins), "one each 16 s: {logins}");
    assert_eq!(tap.tokens().len(), logins, "none was refused");
    drop(watch);
    remove(&running, &name).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quiet_window_is_as_long_as_stated() {
    let _shared = cloud::shared_with(Knobs::ShortTokens).await;
    let mut settings = cloud::settings(&Login::demo());
    settings.core.poll = PollSettings::default();
    let stated = settings.core.poll.quiet_after_update;
    assert_eq!(stated, Duration::from_secs(75));
    let running = gateway_with(settings).await;
    let (name, _) = made(&running).await;
    reports(&id_of(&name), "ACTIVE");
    let asked = Instant::now();
    let token = change(&running, &name, "branch 43").await.unwrap();
    let answered = Instant::now();
    // A heartbeat every 15 s, so that each message is in time.
    let watch = running.watch(&name, Goal::Config, &token).await.unwrap();
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    assert_eq!(outcome.reason.unwrap().code, "ASSUMED_AFTER_QUIET_TIME");
    assert_eq!(states.last().unwrap().state(), State::Active);
    println!("assumed {:?} after the answer", answered.elapsed());
    assert!(asked.elapsed() >= stated, "{:?}", asked.elapsed());
    // The next poll after it; they come every two seconds.
    assert!(
        answered.elapsed() <= stated + Duration::from_secs(5),
        "{:?}",
        answered.elapsed()
    );
    remove(&running, &name).await;
}
