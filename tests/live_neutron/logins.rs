//! Passwords that are wrong, and tokens that are taken back.

use crate::{
    calls::{gateway, gateway_with, made, metadata, remove},
    cloud::{self, Login, reports, seeded_connection},
    operator,
    support::running::{Watching, id_of, reason},
    tap::Tap,
};
use isthmus::{
    dialects::settings::Given,
    grpc::pb::{self, Goal, RealizationState as State},
};
use std::time::{Duration, Instant};
use tonic::Code;

/// Settings with the tap before Keystone.
pub fn through(tap: &Tap, login: &Login) -> Given {
    let mut settings = cloud::settings(login);
    settings.keys.set("auth.auth_url", &tap.url);
    settings
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_is_tried_twice_and_is_nobodys_outcome() {
    let _shared = cloud::shared().await;
    let tap = Tap::start().await;
    let wrong = Login {
        password: "canary-wrong-password".to_owned(),
        ..Login::demo()
    };
    let mut settings = through(&tap, &wrong);
    settings.core.poll.auth_window = Duration::from_secs(4);
    let running = gateway_with(settings).await;
    let name = seeded_connection("DEMO");
    for _ in 0..5 {
        let error = running.get(&name).await.unwrap_err();
        assert_eq!(
            (error.code(), reason(&error).as_str()),
            (Code::Internal, "UPSTREAM_AUTH")
        );
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        assert_eq!(metadata(&error, "upstream_status"), "401");
        assert!(metadata(&error, "upstream_message").contains("requires authentication"));
    }
    let begun = Instant::now();
    let mut watch = running.watch(&name, Goal::TunnelUp, "").await.unwrap();
    let ended = loop {
        match watch.next().await {
            Ok(message) => {
                let message = message.expect("the stream does not end with OK");
                assert_eq!(message.outcome, None);
                use pb::watch_realization_response::Event;
                if let Some(Event::Snapshot(seen) | Event::Change(seen)) = message.event {
                    assert_eq!(seen.state(), State::Unknown);
                    assert_eq!(seen.reason.unwrap().code, "UPSTREAM_AUTH");
                }
            }
            Err(status) => break status,
        }
    };
    assert!(
        begun.elapsed() >= Duration::from_secs(4),
        "the stated window"
    );
    assert_eq!(
        (ended.code(), reason(&ended).as_str()),
        (Code::Unavailable, "UPSTREAM_AUTH")
    );
    // Once more after some seconds, since one refusal alone may be a slip.
    assert_eq!(tap.logins(), 2, "the account is not to be locked");
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_replaced_without_a_word() {
    let _shared = cloud::shared().await;
    let tap = Tap::start().await;
    let running = gateway_with(through(&tap, &Login::demo())).await;
    let (name, token) = made(&running).await;
    reports(&id_of(&name), "DOWN");
    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    watch.until(State::Down).await;
    // The server believes a token for two seconds after it was checked.
    for _ in 0..2 {
        let tokens = tap.tokens();
        let begun = Instant::now();
        operator::revoke(tokens.last().unwrap()).await;
        while tap.tokens().len() == tokens.len() {
            assert!(begun.elapsed() < Duration::from_secs(30), "not replaced");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("a revoked token was replaced after {:?}", begun.elapsed());
        running.get(&name).await.unwrap();
    }
    reports(&id_of(&name), "ACTIVE");
    no_hiccup(&mut watch, State::Active).await;
    remove(&running, &name).await;
}

/// Reads until this state, which is an outcome; before it nothing else than DOWN is said.
async fn no_hiccup(watch: &mut Watching, last: State) {
    loop {
        let (seen, outcome) = watch.next_state().await.unwrap();
        if outcome.is_some() {
            assert_eq!(seen.state(), last);
            return;
        }
        assert_eq!(seen.state(), State::Down, "{seen:?}");
    }
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_that_is_not_there_is_a_refused_login() {
    let _shared = cloud::shared().await;
    let nowhere = Login {
        project: "nowhere".to_owned(),
        ..Login::demo()
    };
    let error = gateway(&nowhere)
        .await
        .get(&seeded_connection("DEMO"))
        .await;
    let error = error.unwrap_err();
    assert_eq!(
        (error.code(), reason(&error).as_str()),
        (Code::Internal, "UPSTREAM_AUTH")
    );
    assert_eq!(metadata(&error, "upstream_status"), "401");
}
