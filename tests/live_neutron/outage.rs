//! The plug of Neutron is pulled for half a minute, in the middle of fifty watches.

use crate::{
    calls::{change, create, gateway_with, made},
    cloud::{self, Knobs, Login, name_of, reports, seeded},
    support::running::{Running, id_of, reason},
};
use isthmus::{
    core::settings::PollSettings,
    grpc::pb::{
        self, Goal, RealizationState as State, outcome::Result as Result_,
        watch_realization_response::Event,
    },
};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tonic::Code;

/// How long Neutron is gone.
const GONE: Duration = Duration::from_secs(30);

/// What one watch has received, as it comes.
struct Watched {
    id: String,
    received: Arc<Mutex<Vec<pb::WatchRealizationResponse>>>,
    /// Ends with the stream: how.
    stream: JoinHandle<Result<(), tonic::Status>>,
}

impl Watched {
    async fn open(running: &Running, id: &str, goal: Goal, write_token: &str) -> Watched {
        let mut watch = running
            .watch(&name_of(id), goal, write_token)
            .await
            .unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&received);
        let stream = tokio::spawn(async move {
            while let Some(message) = watch.next().await? {
                into.lock().unwrap().push(message);
            }
            Ok(())
        });
        Watched {
            id: id.to_owned(),
            received,
            stream,
        }
    }

    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    fn since(&self, count: usize) -> Vec<pb::WatchRealizationResponse> {
        self.received.lock().unwrap()[count..].to_vec()
    }

    fn last(&self) -> Option<(State, String)> {
        let received = self.received.lock().unwrap();
        received
            .iter()
            .rev()
            .find_map(|message| match &message.event {
                Some(Event::Snapshot(seen) | Event::Change(seen)) => {
                    Some((seen.state(), seen.native_state.clone()))
                }
                _ => None,
            })
    }

    /// Waits until this is the last that was said.
    async fn says(&self, native: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.last().is_none_or(|(_, last)| last != native) {
            assert!(Instant::now() < deadline, "{native}: {:?}", self.last());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits for the end, with OK, and its one outcome.
    async fn ends(self) -> pb::Outcome {
        let ended = tokio::time::timeout(Duration::from_secs(60), self.stream).await;
        ended.expect("it ends").unwrap().expect("with OK");
        let received = self.received.lock().unwrap();
        let outcomes: Vec<_> = received
            .iter()
            .filter_map(|it| it.outcome.clone())
            .collect();
        assert_eq!(outcomes.len(), 1, "{}: exactly one outcome", self.id);
        outcomes[0].clone()
    }
}

async fn open(running: &Running, ids: &[String], status: &str, goal: Goal) -> Vec<Watched> {
    let mut all = Vec::new();
    for id in ids {
        reports(id, status);
        all.push(Watched::open(running, id, goal, "").await);
    }
    all
}

#[ignore = "needs a real Neutron, see tests/live/openstack/README.md"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_a_minute_without_neutron_makes_no_outcome_and_ends_no_watch() {
    let _alone = cloud::alone().await;
    let mut settings = cloud::settings(&Login::demo());
    // The intervals as they are stated, but for how often is looked.
    settings.core.poll = PollSettings {
        fresh: cloud::FRESH,
        stable: cloud::STABLE,
        quiet_after_update: Duration::from_secs(20),
        ..PollSettings::default()
    };
    let running = gateway_with(settings).await;
    let origin = seeded("DEMO", "CONNECTION");
    cloud::copies(&origin, 0).await;
    let ids = cloud::copies(&origin, 48).await;

    let mut pending = open(
        &running,
        &ids[..20],
        "PENDING_CREATE --force",
        Goal::TunnelUp,
    )
    .await;
    let mut down = open(&running, &ids[20..33], "DOWN", Goal::TunnelUp).await;
    let plain = open(&running, &ids[33..45], "ACTIVE", Goal::Unspecified).await;
    let (name, token) = made(&running).await;
    let fresh = Watched::open(&running, &id_of(&name), Goal::TunnelUp, &token).await;
    let (changed, _) = made(&running).await;
    reports(&id_of(&changed), "ACTIVE");
    let token = change(&running, &changed, "branch 43").await.unwrap();
    let quiet = Watched::open(&running, &id_of(&changed), Goal::Config, &token).await;
    // Bad news that came just before, and is not yet confirmed.
    let failing = open(&running, &ids[45..], "ERROR", Goal::Config).await;
    let at_rest = [
        (&pending, "PENDING_CREATE"),
        (&down, "DOWN"),
        (&plain, "ACTIVE"),
        (&failing, "ERROR"),
    ];
    for (watches, native) in at_rest {
        for watch in watches {
            watch.says(native).await;
        }
    }
    quiet.says("ACTIVE").await;
    fresh.says("PENDING_CREATE").await;

    cloud::neutron_down().await;
    let gone = Instant::now();
    let all: Vec<&Watched> = [&pending, &down, &plain, &failing]
        .into_iter()
        .flatten()
        .chain([&fresh, &quiet])
        .collect();
    assert_eq!(all.len(), 50);
    let before: Vec<_> = all.iter().map(|it| (it.count(), it.last())).collect();
    // The agents go on meanwhile, and nobody can see it.
    for watch in &pending[..10] {
        reports(&watch.id, "ACTIVE");
    }
    for refused in [
        running.get(&name).await.unwrap_err(),
        change(&running, &name, "x").await.unwrap_err(),
        create(&running, |_| {}).await.unwrap_err(),
        running.delete(&name).await.unwrap_err(),
    ] {
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "UPSTREAM_UNREACHABLE"),
            "{refused:?}"
        );
    }
    tokio::time::sleep(GONE.saturating_sub(gone.elapsed())).await;

    for (watch, (count, last)) in all.iter().zip(&before) {
        assert!(!watch.stream.is_finished(), "{} goes on", watch.id);
        let since = watch.since(*count);
        assert!(since.iter().all(|message| message.outcome.is_none()));
        assert_eq!(watch.last(), *last, "{}: nothing was learned", watch.id);
        let beats: Vec<&pb::Heartbeat> = since
            .iter()
            .filter_map(|message| match &message.event {
                Some(Event::Heartbeat(beat)) => Some(beat),
                _ => None,
            })
            .collect();
        let beat = beats.last().expect("a heartbeat every 15 s");
        assert!(beat.stale && !beat.last_error.is_empty(), "{beat:?}");
    }

    cloud::up(Knobs::LongTokens).await;
    println!("Neutron was gone for {:?}", gone.elapsed());
    let back = Instant::now();
    for watch in pending[10..].iter().chain(&down).chain([&fresh]) {
        reports(&watch.id, "ACTIVE");
    }
    pending.append(&mut down);
    pending.push(fresh);
    for watch in pending {
        let id = watch.id.clone();
        assert_eq!(watch.ends().await.result(), Result_::Succeeded, "{id}");
    }
    let outcome = quiet.ends().await;
    assert_eq!(outcome.result(), Result_::Succeeded);
    assert_eq!(outcome.reason.unwrap().code, "ASSUMED_AFTER_QUIET_TIME");
    for watch in failing {
        let outcome = watch.ends().await;
        assert_eq!(outcome.result(), Result_::Failed);
        assert_eq!(outcome.reason.unwrap().code, "UPSTREAM_ERROR");
    }
    for watch in &plain {
        reports(&watch.id, "DOWN");
    }
    for watch in &plain {
        watch.says("DOWN").await;
        assert!(!watch.stream.is_finished());
        watch.stream.abort();
    }
    println!(
        "all was right again {:?} after it came back",
        back.elapsed()
    );
    for name in [name, changed] {
        running.delete(&name).await.unwrap();
    }
    cloud::copies(&origin, 0).await;
}
