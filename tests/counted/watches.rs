//! Watches, polls and what is known of backends.

use crate::{
    page::Page,
    support::{
        scripted::{Scripted, active, failed, in_progress, outage, realized, seen},
        setup::{HEARTBEAT, SECOND, Setup, many_request, next, next_many, next_state, state},
    },
};
use isthmus::{
    core::{
        dialect::{Dialect, Proof},
        gateway::Gateway,
        realizations::WatchRequest,
        settings::BackendSettings,
        watch::{
            part::{self, stream::PartEventKind},
            stream::{CONFLATE_BEYOND, Outcome, Watch, WatchEvent},
        },
    },
    model::{
        Assurance, Collection, Goal, Parent, RealizationState as State, Reason, ResourceName, codes,
    },
};
use std::sync::Arc;
use tokio::time::sleep;

const BACKEND: &str = "isthmus.backend";
const KIND: &str = "isthmus.watch.kind";
const RESULT: &str = "isthmus.result";

/// On its way, in these words.
fn step(number: usize) -> crate::support::scripted::Answer {
    let native = format!("step {number}");
    seen(State::InProgress, Assurance::IntentStored, &native)
}

fn setup(backend: &str) -> Setup {
    Setup::with(Scripted::settings(backend))
}

pub async fn changes_by_watch() {
    let setup = setup("three");
    let of = [(BACKEND, "three")];
    setup.cloud.say("1", step(0));
    let mut watches = Vec::new();
    for _ in 0..3 {
        let mut watch = setup.watch("1", None).await;
        next(&mut watch).await;
        watches.push(watch);
    }
    for round in 1..=5 {
        setup.cloud.say("1", step(round));
        for watch in &mut watches {
            next_state(watch).await;
        }
    }
    let page = Page::read();
    page.says(
        "isthmus.watch.open",
        &[(BACKEND, "three"), (KIND, "connection")],
        3,
    );
    page.says("isthmus.watch.events", &of, 15);
    page.says("isthmus.watch.coalesced", &of, 0);
    page.says("isthmus.watch.lag", &of, 15);
    page.says("isthmus.log.window", &of, 6);
    page.says("isthmus.backend.up", &of, 1);
    page.says("isthmus.budget.limit", &of, 20);
    page.says("isthmus.poll.interval", &of, 2);
    let polls = setup.cloud.polls() as f64;
    page.says(
        "isthmus.polls",
        &[(BACKEND, "three"), (RESULT, "ok")],
        polls,
    );

    // A change that is not read at once.
    setup.cloud.say("1", step(6));
    sleep(SECOND * 10).await;
    next_state(&mut watches[0]).await;
    let waited = Page::read().get("isthmus.watch.lag", &of).unwrap().sum;
    assert!((7.0..10.0).contains(&waited), "{waited} s");

    // Polls that hang.
    setup.cloud.hold();
    sleep(SECOND * 100).await;
    let page = Page::read();
    let age = page.get("isthmus.poll.age", &of).unwrap().value;
    assert!((100.0..103.0).contains(&age), "{age} s");
    page.says("isthmus.poll.age", &of, age);
    // Whoever comes anew has waited for nothing yet.
    drop(watches);
    let page = Page::read();
    page.says("isthmus.watch.open", &of, 0);
    page.lacks("isthmus.poll.age", &of);
    page.lacks("isthmus.poll.interval", &of);
    let watching = setup.watch("1", None);
    let watching = tokio::time::timeout(SECOND * 3, watching).await;
    assert!(watching.is_err(), "its first poll hangs");
    setup.cloud.release();

    // What is gone is told of no more, but what was counted is.
    drop(setup);
    let page = Page::read();
    for gauge in [
        "isthmus.backend.up",
        "isthmus.log.window",
        "isthmus.budget.limit",
    ] {
        page.lacks(gauge, &of);
    }
    page.says("isthmus.watch.events", &of, 16);
}

pub async fn changes_left_out() {
    let setup = setup("slow");
    setup.cloud.say("1", step(0));
    let mut slow = setup.watch("1", None).await;
    let mut quick = setup.watch("1", None).await;
    next(&mut slow).await;
    next(&mut quick).await;
    let rounds = CONFLATE_BEYOND + 4;
    for round in 1..=rounds {
        setup.cloud.say("1", step(round));
        next_state(&mut quick).await;
    }
    let event = next(&mut slow).await;
    assert_eq!(event.coalesced as usize, rounds - 1);
    let page = Page::read();
    let of = [(BACKEND, "slow")];
    page.says("isthmus.watch.events", &of, rounds as f64 + 1.0);
    page.says("isthmus.watch.coalesced", &of, rounds as f64 - 1.0);
}

async fn last(mut watch: Watch) -> WatchEvent {
    loop {
        let event = next(&mut watch).await;
        if event.outcome.is_some() {
            return event;
        }
    }
}

pub async fn outcomes_by_state_and_reason() {
    let setup = setup("ended");
    let says = |state: &str, reason: &str, count: u32| {
        let labels = [
            (BACKEND, "ended"),
            ("isthmus.state", state),
            ("isthmus.reason", reason),
        ];
        Page::read().says("isthmus.watch.outcomes", &labels, count);
    };
    for count in 1..=2 {
        let (id, token) = setup.create().await;
        setup.cloud.say(&id, realized());
        last(setup.watch_write(&id, token).await).await;
        says("succeeded", "NONE", count);
    }

    let reasons = [codes::UPSTREAM_ERROR, "VM_DEPLOYMENT_FAILED"];
    for (code, told) in reasons.into_iter().zip([codes::UPSTREAM_ERROR, "OTHER"]) {
        let (id, token) = setup.create().await;
        let mut answer = failed();
        answer.as_mut().unwrap().reason = Some(Reason::new(code, "words"));
        setup.cloud.say(&id, answer);
        let event = last(setup.watch_write(&id, token).await).await;
        assert!(matches!(event.outcome, Some(Outcome::Failed(_))));
        says("failed", told, 1);
    }

    setup.cloud.say("1", active());
    setup.cloud.prove_by(Proof::StatusMustMove {
        native_state: "ACTIVE".into(),
    });
    let request = WatchRequest {
        goal: Some(Goal::InEffect),
        write_token: setup.update("1").await,
        ..setup.request("1")
    };
    last(setup.open(request).await.unwrap()).await;
    says("undetermined", codes::ASSUMED_AFTER_QUIET_TIME, 1);
    let all = [(BACKEND, "ended")];
    Page::read().says("isthmus.watch.outcomes", &all, 5);
}

pub async fn watches_over_several_backends() {
    let clouds = [Scripted::new(), Scripted::new()];
    let backends = ["many-a", "many-b"]
        .iter()
        .zip(&clouds)
        .map(|(name, cloud)| {
            cloud.say("1", step(0));
            let dialect: Arc<dyn Dialect> = cloud.clone();
            (BackendSettings::new(name.parse().unwrap()), dialect)
        });
    let gateway = Gateway::start(backends.collect(), HEARTBEAT);
    let mut watch = gateway.watch_many(many_request()).await.unwrap();
    let mut one = many_request();
    one.parent = Parent::One("many-b".parse().unwrap());
    let other = gateway.watch_many(one).await.unwrap();
    assert!(next_many(&mut watch).await.synced);
    let mut told = 0;
    let mut round = 0;
    // Each backend's first status is a change to this watch, and one more of the first follows.
    while told < 3 {
        told += next_many(&mut watch).await.changes.len();
        if told == 2 && round == 0 {
            round = 1;
            clouds[0].say("1", step(1));
        }
    }
    let page = Page::read();
    for (name, open, events) in [("many-a", 1, 2), ("many-b", 2, 1)] {
        let many = [(BACKEND, name), (KIND, "many")];
        page.says("isthmus.watch.open", &many, open);
        page.says("isthmus.watch.events", &[(BACKEND, name)], events);
        page.says("isthmus.watch.lag", &[(BACKEND, name)], events);
    }
    drop((watch, other));
    let page = Page::read();
    page.says("isthmus.watch.open", &[(KIND, "many")], 0);
}

pub async fn watches_of_a_part() {
    let setup = setup("part");
    for id in ["1", "2"] {
        setup.cloud.say(id, in_progress());
        setup.cloud.uses(id, "p");
        setup.cloud.say_of_write("w", in_progress());
    }
    let policy = ResourceName::parse(Collection::IkePolicies, "backends/part/ikePolicies/p");
    let policy = policy.unwrap();
    let request = WatchRequest {
        write_token: part::token(&policy, &["w".to_owned()]),
        ..WatchRequest::of(policy)
    };
    let mut watch = setup.gateway.watch_part(request).await.unwrap();
    let kind = [(BACKEND, "part"), (KIND, "part")];
    Page::read().says("isthmus.watch.open", &kind, 1);
    let mut changes = 0;
    let outcome = loop {
        let event = watch.next().await.unwrap().unwrap();
        changes += u32::from(matches!(event.kind, PartEventKind::Change(_)));
        setup.cloud.say_of_write("w", realized());
        for id in ["1", "2"] {
            setup.cloud.say(id, realized());
        }
        if let Some(outcome) = event.outcome {
            break outcome;
        }
    };
    assert!(matches!(outcome, Outcome::Succeeded(None)));
    assert!(changes > 0);
    drop(watch);
    let page = Page::read();
    let of = [(BACKEND, "part")];
    page.says("isthmus.watch.open", &kind, 0);
    page.says("isthmus.watch.events", &of, changes);
    let labels = [
        of[0],
        ("isthmus.state", "succeeded"),
        ("isthmus.reason", "NONE"),
    ];
    page.says("isthmus.watch.outcomes", &labels, 1);
    page.lacks("isthmus.watch.lag", &of);
}

pub async fn polls_of_a_cloud_that_is_away() {
    let setup = setup("away");
    let of = [(BACKEND, "away")];
    let mut odd = in_progress();
    odd.as_mut().unwrap().unrecognized = vec!["status"];
    setup.cloud.say("1", odd);
    Page::read().lacks("isthmus.backend.up", &of);
    let mut watch = setup.watch("1", None).await;
    assert_eq!(state(&next(&mut watch).await), State::InProgress);
    sleep(SECOND * 60).await;
    let before = setup.cloud.polls();
    let page = Page::read();
    page.says(
        "isthmus.status.unrecognized",
        &[of[0], ("isthmus.field", "status")],
        before as f64,
    );
    page.says("isthmus.backend.up", &of, 1);

    setup.cloud.fail_all(&outage());
    sleep(SECOND * 120).await;
    let page = Page::read();
    let failed = setup.cloud.polls() - before;
    assert!(failed > 3);
    page.says("isthmus.backend.up", &of, 0);
    assert!(
        page.get("isthmus.backend.up", &of).is_some(),
        "it is 0 and not absent"
    );
    page.says("isthmus.polls", &[of[0], (RESULT, "ok")], before as f64);
    let unreachable = [of[0], (RESULT, "UPSTREAM_UNREACHABLE")];
    page.says("isthmus.polls", &unreachable, failed as f64);
    let age = page.get("isthmus.poll.age", &of).unwrap().value;
    assert!(
        (118.0..123.0).contains(&age),
        "{age} s since the last answer"
    );
    page.says("isthmus.poll.interval", &of, 30);
}

/// More than the account allows is watched. The pairs that are printed are those of the test of IsthmusPollsLate in
/// `deploy/observability/alerts_test.yml`.
pub async fn polls_that_are_late() {
    let cloud = Scripted::with_account(2);
    for at in 0..300 {
        cloud.say(&format!("{at:03}"), active());
    }
    let setup = Setup::over(cloud);
    let of = [(BACKEND, "a")];
    let mut all = setup.gateway.watch_many(many_request()).await.unwrap();
    while !next_many(&mut all).await.synced {}
    for minute in 1..=15 {
        sleep(SECOND * 60).await;
        let page = Page::read();
        let age = page.get("isthmus.poll.age", &of).unwrap().value;
        println!("minute {minute}: last polled {age} s ago");
        page.says("isthmus.poll.interval", &of, 30);
        let backend = setup.gateway.backend(&setup.backend).unwrap();
        // What is told of the backend is how often connections are really polled.
        let told = backend.longest_interval.as_secs_f64();
        assert!(minute < 5 || (age > 120.0 && told > 120.0), "{age} {told}");
    }
}
