use super::*;
use crate::{
    account::Circuit,
    rest::{answer::Carried, budget::Limits},
};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use std::{
    collections::VecDeque,
    sync::{Mutex, atomic::AtomicU32, atomic::Ordering},
};

const SECOND: Duration = Duration::from_secs(1);
/// Timeout of the backend.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the cloud does with a request.
#[derive(Debug, Clone, Copy)]
enum Does {
    Answers(u16),
    Breaks,
    Refuses,
    Hangs,
}

/// Acts out one step after another and repeats the last.
#[derive(Debug)]
struct Scripted {
    script: Mutex<VecDeque<Does>>,
    asked: AtomicU32,
}

#[async_trait]
impl Transport for Scripted {
    async fn exchange(&self, _request: &Request) -> Result<Answer, Failure> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let does = {
            let mut script = self.script.lock().unwrap();
            let first = *script.front().unwrap();
            if script.len() > 1 {
                script.pop_front();
            }
            first
        };
        let failed = |kind, sent| {
            Err(Failure {
                kind,
                sent,
                message: "it broke".to_owned(),
            })
        };
        match does {
            Does::Answers(status) => Ok(Answer {
                status,
                headers: HeaderMap::new(),
                body: Bytes::new(),
                carried: Carried::default(),
            }),
            Does::Breaks => failed(FailureKind::Broken, Sent::Maybe),
            Does::Refuses => failed(FailureKind::Connect, Sent::No),
            Does::Hangs => std::future::pending().await,
        }
    }
}

/// Creates a client of a cloud that follows `script`, with a pause of 12.5 ms before a retry.
fn client(script: impl IntoIterator<Item = Does>) -> (Client, Arc<Scripted>) {
    let cloud = Arc::new(Scripted {
        script: Mutex::new(script.into_iter().collect()),
        asked: AtomicU32::new(0),
    });
    let budget = Budget::new(Limits {
        rate: 1000.0,
        concurrency: 1000,
    });
    let options = Options {
        timeout: TIMEOUT,
        ..Options::default()
    };
    let client = Client::over(
        Arc::clone(&cloud) as Arc<dyn Transport>,
        &options,
        Arc::new(budget),
        || 0.5,
    );
    (client, cloud)
}

/// Returns how a request with a deadline of `time` ends, and after how long.
async fn asked(
    client: &Client,
    method: Method,
    time: Duration,
) -> (Result<u16, FailureKind>, Duration) {
    let begun = Instant::now();
    let request = Request::new(method, "https://cloud.example/".parse().unwrap());
    let sent = client
        .send(request, Priority::Caller(1), begun + time)
        .await;
    let ended = sent
        .map(|answer| answer.status)
        .map_err(|failure| failure.kind);
    (ended, begun.elapsed())
}

impl Scripted {
    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_read_that_broke_is_sent_again_and_once() {
    for (does, method, requests) in [
        (Does::Breaks, Method::GET, 2),
        (Does::Breaks, Method::POST, 1),
        (Does::Breaks, Method::PUT, 1),
        (Does::Breaks, Method::DELETE, 1),
        (Does::Refuses, Method::GET, 1),
        (Does::Answers(429), Method::GET, 1),
        (Does::Answers(502), Method::GET, 1),
        (Does::Answers(503), Method::GET, 1),
    ] {
        let (client, cloud) = client([does]);
        let _ = asked(&client, method.clone(), SECOND * 10).await;
        assert_eq!(cloud.asked(), requests, "{does:?} {method}");
    }
    let (client, _) = client([Does::Breaks, Does::Answers(200)]);
    let (ended, took) = asked(&client, Method::GET, SECOND * 10).await;
    assert_eq!(ended, Ok(200));
    let pause = retry::pause(0.5).as_millis();
    assert!((pause..=pause + 2).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_has_few_requests_sent_again() {
    let (client, cloud) = client([Does::Breaks]);
    let all = (0..100).map(|_| asked(&client, Method::GET, SECOND * 10));
    let all = futures_util::future::join_all(all).await;
    assert!(
        all.iter()
            .all(|(ended, _)| *ended == Err(FailureKind::Broken))
    );
    let requests = cloud.asked();
    assert!((100..=120).contains(&requests), "{requests}");
}

#[tokio::test(start_paused = true)]
async fn no_request_goes_on_after_its_deadline_or_the_backends_timeout() {
    let late = Err(FailureKind::Deadline);
    for (time, most) in [(SECOND * 2, SECOND * 2), (SECOND * 100, TIMEOUT)] {
        for script in [vec![Does::Hangs], vec![Does::Breaks, Does::Hangs]] {
            let (client, _) = client(script);
            let (ended, took) = asked(&client, Method::GET, time).await;
            assert_eq!(ended, late);
            assert!(took.abs_diff(most) < SECOND / 10, "{took:?} of {most:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_retry_begins_that_the_deadline_would_end() {
    let (client, cloud) = client([Does::Breaks]);
    let (ended, took) = asked(&client, Method::GET, Duration::from_millis(10)).await;
    assert_eq!((ended, took), (Err(FailureKind::Broken), Duration::ZERO));
    assert_eq!(cloud.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_budget_counts_for_the_deadline() {
    let (client, cloud) = client([Does::Hangs]);
    client.budget().throttled(SECOND * 3);
    let (ended, took) = asked(&client, Method::GET, SECOND * 5).await;
    assert_eq!(ended, Err(FailureKind::Deadline));
    assert!(took.abs_diff(SECOND * 5) < SECOND / 10, "{took:?}");
    assert_eq!(cloud.asked(), 1);
    client.budget().throttled(SECOND * 60);
    let (ended, took) = asked(&client, Method::GET, SECOND * 5).await;
    assert!(matches!(ended, Err(FailureKind::Budget(_))), "{ended:?}");
    assert_eq!(took, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_soon_costs_nobody_any_time() {
    let (client, cloud) = client([Does::Hangs]);
    for _ in 0..5 {
        let (_, took) = asked(&client, Method::POST, SECOND * 100).await;
        assert!(took.abs_diff(TIMEOUT) < SECOND / 10, "{took:?}");
    }
    for _ in 0..100 {
        let (ended, took) = asked(&client, Method::POST, SECOND * 100).await;
        assert!(
            matches!(ended, Err(FailureKind::CircuitOpen(_))),
            "{ended:?}"
        );
        assert_eq!(took, Duration::ZERO);
    }
    assert_eq!(cloud.asked(), 5);
    assert_eq!(client.circuits().worst(), Circuit::Open);
    // One trial finds that the cloud is back; the other requests learn when to retry.
    cloud.script.lock().unwrap().push_back(Does::Answers(200));
    cloud.script.lock().unwrap().pop_front();
    sleep(SECOND).await;
    assert_eq!(asked(&client, Method::GET, SECOND).await.0, Ok(200));
    assert_eq!(client.circuits().worst(), Circuit::Closed);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_the_budget_do_not_hang_one_after_the_other() {
    let (client, cloud) = client([Does::Hangs]);
    let budget = Budget::new(Limits {
        rate: 1000.0,
        concurrency: 5,
    });
    let client = Client {
        budget: Arc::new(budget),
        ..client
    };
    let all = (0..100).map(|_| asked(&client, Method::GET, SECOND * 300));
    let all = futures_util::future::join_all(all).await;
    let longest = all.iter().map(|(_, took)| *took).max().unwrap();
    // Four slots fail, then one more while the others are taken again.
    assert!(longest <= TIMEOUT * 3 + SECOND, "{longest:?}");
    assert!(cloud.asked() <= 15, "{}", cloud.asked());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_hangs_and_is_only_probed_opens_its_circuit() {
    let (client, cloud) = client([Does::Hangs]);
    for _ in 0..5 {
        assert_eq!(client.circuits().worst(), Circuit::Closed);
        // Like a probe, which sets its deadline some time before it sends its request.
        let deadline = Instant::now() + TIMEOUT;
        sleep(SECOND / 10).await;
        let request = Request::new(Method::GET, "https://cloud.example/".parse().unwrap());
        let sent = client.send(request, Priority::Stable, deadline).await;
        assert_eq!(sent.map(drop).unwrap_err().kind, FailureKind::Deadline);
    }
    assert_eq!(client.circuits().worst(), Circuit::Open);
    assert_eq!(cloud.asked(), 5);
}
