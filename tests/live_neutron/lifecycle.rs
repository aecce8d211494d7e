//! Made, watched, read, and removed, in every state there is.

use crate::{
    calls::{change, create, gateway, made, remove},
    cloud::{self, BACKEND, FRESH, Login, reports, seeded, seeded_connection},
    operator,
    support::{
        clouds::PSK,
        running::{id_of, reason},
    },
};
use futures_util::future::join_all;
use isthmus::grpc::pb::{self, Goal, RealizationState as State};
use reqwest::Method;
use serde_json::Value;
use std::time::Duration;
use tonic::Code;
use tonic_types::StatusExt;

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_on_a_real_neutron_comes_up_under_watch_and_goes_again() {
    let _alone = cloud::alone().await;
    let running = gateway(&Login::demo()).await;
    let (connection, token) = running
        .create(BACKEND, cloud::references().connection(BACKEND))
        .await
        .unwrap();
    let name = connection.name;
    let id = id_of(&name);
    assert!(connection.managed);
    assert!(connection.peer.unwrap().psk_set);
    assert_eq!(
        connection.description, "",
        "the gateway's mark is not shown"
    );

    let mut watch = running.watch(&name, Goal::TunnelUp, &token).await.unwrap();
    let pending = watch.until(State::Pending).await;
    assert_eq!(pending.native_state, "PENDING_CREATE");

    // One poll interval, a tenth of jitter, and what the poll itself takes of a server that may
    // have been started a moment ago. The next slower interval would be three times `FRESH`.
    let soon = FRESH + FRESH / 10 + Duration::from_millis(1500);
    let reported = reports(&id, "DOWN");
    let (down, outcome) = watch.next_state().await.unwrap();
    let lag = reported.elapsed();
    println!("DOWN was seen {lag:?} after the agent reported it");
    assert_eq!((down.native_state.as_str(), outcome), ("DOWN", None));
    assert!(lag <= soon, "{lag:?}");

    let reported = reports(&id, "ACTIVE");
    let (states, outcome) = watch.end().await;
    let lag = reported.elapsed();
    println!("ACTIVE was seen {lag:?} after the agent reported it");
    assert!(lag <= soon, "{lag:?}");
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance()),
        (State::Active, pb::Assurance::TunnelUp)
    );

    remove(&running, &name).await;
    let gone = running.get(&name).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_can_be_removed_in_every_state() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    // What the cloud says, how it comes to say so, and what a poll makes of it.
    let states = [
        ("PENDING_CREATE", None, State::Pending),
        ("BUILD", Some("BUILD --force"), State::Pending),
        ("ACTIVE", Some("ACTIVE"), State::Active),
        ("DOWN", Some("DOWN"), State::Down),
        ("ERROR", Some("ERROR"), State::Failed),
        (
            "PENDING_UPDATE",
            Some("PENDING_UPDATE --force"),
            State::InProgress,
        ),
        (
            "PENDING_DELETE",
            Some("PENDING_DELETE --force"),
            State::Deleting,
        ),
        ("REHEARSING", Some("REHEARSING --force"), State::Unknown),
    ];
    let each = states.map(async |(native, report, state)| {
        let (name, _) = made(&running).await;
        if let Some(report) = report {
            reports(&id_of(&name), report);
        }
        let seen = running.poll(&name).await.unwrap();
        assert_eq!(
            (seen.native_state.as_str(), seen.state()),
            (native, state),
            "{native}"
        );
        let before = running.watch(&name, Goal::TunnelUp, "").await.unwrap();
        remove(&running, &name).await;
        // Who waited for something else learns that it will not come, or had it already.
        let (_, outcome) = before.end().await;
        let succeeded = outcome.result() == pb::outcome::Result::Succeeded;
        assert_eq!(succeeded, native == "ACTIVE", "{native}: {outcome:?}");
        if !succeeded {
            let code = outcome.reason.unwrap().code;
            let failed_by_itself = native == "ERROR" && code == "UPSTREAM_ERROR";
            assert!(failed_by_itself || code == "SUPERSEDED", "{native}: {code}");
        }
        let gone = running.get(&name).await.unwrap_err();
        assert_eq!(gone.code(), Code::NotFound, "{native}");
        let again = running.delete(&name).await.unwrap_err();
        assert_eq!(
            (again.code(), reason(&again).as_str()),
            (Code::NotFound, "CONNECTION_NOT_FOUND")
        );
    });
    join_all(each).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_made_disabled_is_disabled_and_can_only_be_removed() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let answer = create(&running, |it| it.admin_enabled = Some(false))
        .await
        .unwrap();
    let warned: Vec<_> = answer.warnings.iter().map(|it| it.field.as_str()).collect();
    assert_eq!(warned, ["admin_enabled"]);
    let (name, token) = (answer.connection.unwrap().name, answer.write_token);

    let watch = running.watch(&name, Goal::Config, &token).await.unwrap();
    let (states, outcome) = watch.end().await;
    assert_eq!(outcome.result(), pb::outcome::Result::Succeeded);
    let last = states.last().unwrap();
    assert_eq!(
        (last.state(), last.assurance(), last.intent()),
        (
            State::Disabled,
            pb::Assurance::IntentStored,
            pb::Intent::Disabled
        )
    );
    assert_eq!(last.native_state, "PENDING_CREATE");
    assert_eq!(last.reason.as_ref().unwrap().code, "ADMIN_DISABLED");

    let up = running.watch(&name, Goal::TunnelUp, &token).await;
    let up = up.err().expect("no tunnel can come up");
    assert_eq!(
        (up.code(), reason(&up).as_str()),
        (Code::FailedPrecondition, "GOAL_UNREACHABLE")
    );
    let refused = change(&running, &name, "other").await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "WRONG_STATE")
    );
    assert!(refused.get_details_retry_info().is_some());
    remove(&running, &name).await;
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_connection_that_others_made_is_lost_but_its_key() {
    let _shared = cloud::shared().await;
    let running = gateway(&Login::demo()).await;
    let read = running.get(&seeded_connection("DEMO")).await.unwrap();
    let path = format!(
        "vpn/ipsec-site-connections/{}",
        seeded("DEMO", "CONNECTION")
    );
    let raw = operator::neutron(&Login::demo(), Method::GET, &path, Value::Null).await;
    let raw = raw["ipsec_site_connection"].as_object().unwrap();
    assert_eq!(raw["psk"], "seed-psk", "the cloud shows it");
    let shown = format!("{read:?}");
    assert!(!shown.contains("seed-psk") && !shown.contains(PSK));
    for (key, value) in raw {
        // What says nothing needs no place; switches and numbers are looked at below.
        let text = value.as_str().filter(|text| !text.is_empty());
        if let Some(text) = text.filter(|_| key != "psk" && key != "initiator" && key != "status") {
            assert!(shown.contains(text), "{key} = {text}");
        }
    }
    assert!(!read.managed);
    assert!(read.peer.as_ref().unwrap().psk_set);
    assert_eq!(read.initiation(), pb::Initiation::Both);
    assert_eq!((read.mtu, read.admin_enabled), (Some(1500), Some(true)));
    let dpd = read.dpd.unwrap();
    assert_eq!(dpd.action(), pb::dead_peer_detection::Action::Hold);
    assert_eq!(
        (dpd.interval.unwrap().seconds, dpd.timeout.unwrap().seconds),
        (30, 120)
    );
    let native = read.native.unwrap().fields;
    assert!(
        native.contains_key("status") && !native.contains_key("psk"),
        "{native:?}"
    );
}
