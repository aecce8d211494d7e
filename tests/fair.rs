//! Who gets how much of an account: an NSX in memory behind the real dialect, budget and poller, and a clock that
//! moves only when nobody has anything to do.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use async_trait::async_trait;
use futures_util::future::{join_all, pending};
use http::{HeaderMap, Method};
use isthmus::{
    core::{
        error::{Error, ErrorReason},
        gateway::Gateway,
        realizations::WatchRequest,
        watch::stream::{EventKind, Outcome, Watch},
    },
    dialects::{self, settings::Given},
    grpc::pb::{self, connection_service_client::ConnectionServiceClient},
    model::{BackendName, ConnectionName, Goal},
    rest::{
        answer::{Answer, Carried, Failure},
        request::Request,
        transport::{Network, Options, Transport},
    },
};
use serde_json::{Value, json};
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use support::{running::Running, scripted::watch_request};
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Endpoint;

const SECOND: Duration = Duration::from_secs(1);
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What the cloud does with one request.
enum Act {
    /// Answers like NSX, with this state where it is asked for one.
    Say(&'static str),
    /// Answers something else.
    Refuse(u16, Option<u64>),
    /// Never answers.
    Hang,
}

type Script = Box<dyn Fn(&str) -> Act + Send>;

/// Managers of an NSX that has every connection there is a name for.
struct Cloud {
    script: Mutex<Script>,
    latency: Duration,
    /// The requests for a state, and when they came.
    states: Mutex<Vec<(String, Instant)>>,
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud")
    }
}

#[derive(Debug)]
struct Wire(Arc<Cloud>);

impl Network for Wire {
    fn open(&self, _: &Options) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::clone(&self.0) as Arc<dyn Transport>)
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    Answer {
        status,
        headers: HeaderMap::new(),
        body: body.to_string().into(),
        carried: Carried::default(),
    }
}

#[async_trait]
impl Transport for Cloud {
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        let path = request.url.path().to_owned();
        if path.ends_with("/state") {
            let id = path.rsplit('/').nth(1).unwrap().to_owned();
            self.states.lock().unwrap().push((id, Instant::now()));
        }
        let act = (self.script.lock().unwrap())(&path);
        sleep(self.latency).await;
        let state = match act {
            Act::Hang => return pending().await,
            Act::Refuse(status, retry_after) => {
                let mut answer = answer(status, &json!({}));
                if let Some(seconds) = retry_after {
                    answer.headers.insert("retry-after", seconds.into());
                }
                return Ok(answer);
            }
            Act::Say(state) => state,
        };
        assert_eq!(request.method, Method::GET, "nothing here writes");
        let id = path.rsplit('/').next().unwrap();
        Ok(match path.rsplit('/').nth(1).unwrap() {
            "sessions" => answer(
                200,
                &json!({
                    "resource_type": "PolicyBasedIPSecVPNSession", "id": id, "enabled": true,
                    "peer_endpoint_id": "p",
                }),
            ),
            "peer-endpoints" => answer(200, &json!({ "id": id, "peer_address": "203.0.113.1" })),
            "ipsec" => answer(200, &json!({ "results": [] })),
            _ => answer(
                200,
                &json!({ "state": state, "details": [
                { "sub_system_type": "TransportNode", "sub_system_id": "n", "state": state },
            ] }),
            ),
        })
    }
}

fn cloud(script: impl Fn(&str) -> Act + Send + 'static) -> Arc<Cloud> {
    Arc::new(Cloud {
        script: Mutex::new(Box::new(script)),
        latency: Duration::from_millis(50),
        states: Mutex::default(),
    })
}

impl Cloud {
    fn script(&self, script: impl Fn(&str) -> Act + Send + 'static) {
        *self.script.lock().unwrap() = Box::new(script);
    }

    /// The times at which the state of a connection was asked for.
    fn polls(&self, id: &str) -> Vec<Instant> {
        let states = self.states.lock().unwrap();
        let of = states.iter().filter(|(of, _)| of == id);
        of.map(|(_, at)| *at).collect()
    }

    fn gateway(self: &Arc<Cloud>, kind: &str) -> Arc<Gateway> {
        let given = Given::new("a".parse().unwrap(), "nsx")
            .with("url", "https://nsx.example")
            .with("auth.kind", kind)
            .with("auth.username", "u")
            .with("auth.password", "p")
            .with("auth.token", "t");
        let network = Wire(Arc::clone(self));
        let dialect = dialects::connect_over(&given, &network).unwrap();
        Gateway::start(vec![(given.core, dialect)], HEARTBEAT)
    }
}

fn name(id: &str) -> ConnectionName {
    let backend: BackendName = "a".parse().unwrap();
    ConnectionName::connection(&backend, id).unwrap()
}

async fn watch(gateway: &Gateway, id: &str, goal: Option<Goal>) -> Watch {
    let request = WatchRequest {
        goal,
        ..watch_request(name(id))
    };
    gateway.watch(request).await.unwrap()
}

/// Reads the same connection again and again.
async fn read_for_ever(gateway: &Gateway, id: &str) {
    loop {
        let read = gateway.get(&name(id), Instant::now() + SECOND * 30).await;
        if read.is_err() {
            // What is refused at once takes no time, and would have the clock stand still.
            sleep(Duration::from_millis(10)).await;
        }
    }
}

async fn outcome(mut watch: Watch) -> Outcome {
    loop {
        if let Some(outcome) = watch.next().await.unwrap().unwrap().outcome {
            return outcome;
        }
    }
}

/// How long this takes beside so many readers, at most two minutes.
async fn beside<T>(readers: usize, gateway: &Gateway, work: impl Future<Output = T>) -> T {
    let readers = join_all((0..readers).map(|_| read_for_ever(gateway, "read")));
    tokio::select! {
        biased;
        done = timeout(SECOND * 120, work) => done.expect("it takes more than two minutes"),
        _ = readers => unreachable!("readers never end"),
    }
}

#[tokio::test(start_paused = true)]
async fn readers_keep_nobody_from_an_outcome() {
    for readers in [1, 20, 500] {
        let begun = Instant::now();
        let cloud = cloud(move |_| match begun.elapsed() < SECOND * 10 {
            true => Act::Say("in_progress"),
            false => Act::Say("in_sync"),
        });
        let gateway = cloud.gateway("bearer");
        let ended = beside(readers, &gateway, async {
            sleep(SECOND * 2).await;
            outcome(watch(&gateway, "written", Some(Goal::Config)).await).await
        });
        assert!(matches!(ended.await, Outcome::Succeeded(_)));
        let took = begun.elapsed();
        assert!(took < SECOND * 13, "{readers} readers: {took:?}");
        let polls = cloud.polls("written");
        for pair in polls.windows(2) {
            let gap = pair[1] - pair[0];
            assert!(gap < SECOND * 3, "{readers} readers: no look for {gap:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn readers_and_outcomes_keep_no_stable_connection_from_its_polls() {
    let cloud = cloud(|path| match path.contains("/written") {
        true => Act::Say("in_progress"),
        false => Act::Say("in_sync"),
    });
    let gateway = cloud.gateway("bearer");
    let wait = async {
        let ids: Vec<String> = (0..100).map(|number| format!("written-{number}")).collect();
        let written = ids.iter().map(|id| watch(&gateway, id, Some(Goal::Config)));
        let _written = join_all(written).await;
        let mut stable = watch(&gateway, "stable", None).await;
        let mut beats = 0;
        while beats < 3 {
            if let EventKind::Heartbeat(pulse) = stable.next().await.unwrap().unwrap().kind {
                assert!(!pulse.stale, "{pulse:?}");
                beats += 1;
            }
        }
    };
    beside(100, &gateway, wait).await;
    assert!(cloud.polls("stable").len() >= 2);
}

/// Watches so many connections of which every poll hangs, until no more of them begin.
async fn hanging(gateway: &Gateway, count: usize, goal: Option<Goal>) -> Vec<Watch> {
    let ids: Vec<String> = (0..count).map(|number| format!("hangs-{number}")).collect();
    let watches = join_all(ids.iter().map(|id| watch(gateway, id, goal))).await;
    sleep(SECOND * 60).await;
    watches
}

fn some_hang(path: &str) -> Act {
    match path.contains("/hangs-") {
        true => Act::Hang,
        false => Act::Say("in_sync"),
    }
}

#[tokio::test(start_paused = true)]
async fn polls_that_hang_keep_nobody_else_from_the_cloud() {
    for kind in ["bearer", "basic"] {
        for goal in [None, Some(Goal::Config)] {
            let cloud = cloud(|_| Act::Say("in_sync"));
            let gateway = cloud.gateway(kind);
            gateway
                .get(&name("read"), Instant::now() + SECOND)
                .await
                .unwrap();
            cloud.script(some_hang);
            let _watches = hanging(&gateway, 61, goal).await;
            for attempt in 0..20 {
                let begun = Instant::now();
                let read = gateway.get(&name("read"), begun + SECOND * 5).await;
                assert!(
                    read.is_ok() && begun.elapsed() < SECOND,
                    "{kind:?}, {goal:?}, {attempt}: {read:?} after {:?}",
                    begun.elapsed()
                );
                sleep(Duration::from_millis(700)).await;
            }
            if goal.is_none() {
                let begun = Instant::now();
                outcome(watch(&gateway, "written", Some(Goal::Config)).await).await;
                let took = begun.elapsed();
                assert!(took < SECOND * 2, "{kind:?}: an outcome took {took:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_keep_no_poll_from_the_cloud() {
    for kind in ["bearer", "basic"] {
        let cloud = cloud(some_hang);
        let gateway = cloud.gateway(kind);
        gateway
            .get(&name("read"), Instant::now() + SECOND)
            .await
            .unwrap();
        let calls = join_all((0..61).map(|_| read_for_ever(&gateway, "hangs-0")));
        let work = async {
            sleep(SECOND * 20).await;
            let begun = Instant::now();
            outcome(watch(&gateway, "written", Some(Goal::Config)).await).await;
            begun.elapsed()
        };
        tokio::select! {
            biased;
            took = work => assert!(took < SECOND * 2, "{kind:?}: an outcome took {took:?}"),
            _ = calls => unreachable!("they never end"),
        }
    }
}

#[tokio::test]
async fn one_client_leaves_another_its_share() {
    let cloud = cloud(|_| Act::Say("in_sync"));
    let running = Running::serve(cloud.gateway("bearer")).await;
    let request = || pb::GetConnectionRequest {
        name: name("read").to_string(),
    };
    let greedy = running.connections();
    let greedy = join_all((0..500).map(|_| {
        let mut client = greedy.clone();
        async move {
            loop {
                let _ = client.get_connection(request()).await;
            }
        }
    }));
    let modest = async {
        sleep(SECOND).await;
        let endpoint = Endpoint::from_shared(format!("http://{}", running.addr)).unwrap();
        let client = ConnectionServiceClient::new(endpoint.connect().await.unwrap());
        let calls = (0..5).map(|_| {
            let mut client = client.clone();
            let mut request = tonic::Request::new(request());
            request.set_timeout(SECOND * 2);
            async move { client.get_connection(request).await.map(drop) }
        });
        join_all(calls).await
    };
    tokio::select! {
        answers = modest => {
            let answered = answers.iter().filter(|answer| answer.is_ok()).count();
            assert_eq!(answered, 5, "{answers:?}");
        }
        _ = greedy => unreachable!("they never end"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_refused_call_says_when_to_come_back() {
    for (status, retry_after, expected) in [
        (429, Some(7), 7),
        (429, None, 1),
        (503, Some(7), 7),
        (503, None, 1),
    ] {
        let cloud = cloud(move |_| Act::Refuse(status, retry_after));
        let gateway = cloud.gateway("bearer");
        let get = async |time: Duration| -> Error {
            let read = gateway.get(&name("read"), Instant::now() + time).await;
            read.unwrap_err()
        };
        let told = |error: &Error| error.context.retry_after.map(|wait| wait.as_secs());
        let first = get(SECOND * 30).await;
        assert_eq!(told(&first), Some(expected), "{status}: {first:?}");
        // Nothing is sent for it, because its time is over before the pause is.
        let short = Duration::from_millis(500);
        let second = get(short).await;
        assert_eq!(second.reason, ErrorReason::UpstreamThrottled, "{second:?}");
        let wait = second.context.retry_after.unwrap();
        assert!(wait > short && wait <= SECOND * expected as u32, "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_the_budget_refuses_says_when_to_come_back() {
    let cloud = cloud(|_| Act::Hang);
    let gateway = cloud.gateway("bearer");
    let read = name("read");
    let reads = (0..61).map(|_| gateway.get(&read, Instant::now() + SECOND * 5));
    let refused = join_all(reads).await.into_iter().map(Result::unwrap_err);
    let mut by_budget = 0;
    for error in refused {
        if error.reason == ErrorReason::LimitExceeded {
            by_budget += 1;
            assert!(error.context.retry_after.is_some(), "{error:?}");
        }
    }
    assert!(by_budget > 0);
}

#[tokio::test(start_paused = true)]
async fn one_connection_that_is_throttled_delays_no_other_confirmation_beyond_the_pause() {
    for (status, pause) in [
        (429, None),
        (503, None),
        (429, Some(5)),
        (503, Some(5)),
        (429, Some(60)),
    ] {
        // Who comes first after a pause is a matter of luck, which is always the same here.
        fastrand::seed(4711);
        let begun = Instant::now();
        let cloud = cloud(move |path| {
            let failing = begun.elapsed() > SECOND * 5;
            match path {
                path if path.contains("/throttled/") => Act::Refuse(status, pause),
                path if path.contains("/failing/") && failing => Act::Say("failed"),
                _ => Act::Say("in_progress"),
            }
        });
        let gateway = cloud.gateway("bearer");
        let throttled = async {
            let mut watch = watch(&gateway, "throttled", Some(Goal::Config)).await;
            loop {
                watch.next().await.unwrap().unwrap();
            }
        };
        let failing = async {
            let watch = watch(&gateway, "failing", Some(Goal::Config)).await;
            outcome(watch).await
        };
        let ended = tokio::select! {
            biased;
            ended = failing => ended,
            _ = throttled => unreachable!("it never ends"),
        };
        assert!(matches!(ended, Outcome::Failed(_)));
        // It fails at 5 s. One pause may pass until the poll that is under way ends, and one before each of the two
        // requests of the polls that see the failure and confirm it; each a tenth longer, and a moment.
        let pauses = (SECOND * pause.unwrap_or(1) as u32).mul_f64(1.1) * 5;
        let most = SECOND * (5 + 2 + 10 + 2 + 1) + pauses;
        let took = begun.elapsed();
        assert!(
            took <= most,
            "{status}, {pause:?}: {took:?} and not {most:?}"
        );
    }
}
