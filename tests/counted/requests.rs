//! Requests, budgets and logins: an NSX in memory behind the real dialect.

use crate::{
    page::Page,
    support::{
        scripted::watch_request,
        setup::{HEARTBEAT, SECOND, next, soon},
    },
};
use async_trait::async_trait;
use http::{HeaderMap, Method};
use isthmus::{
    core::{error::ErrorReason, gateway::Gateway},
    dialects::{self, settings::Given},
    model::ConnectionName,
    rest::{
        answer::{Answer, Carried, Failure, FailureKind, Sent},
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
use tokio::time::{Instant, sleep};

const BACKEND: &str = "isthmus.backend";
const SHARE: &str = "isthmus.share";
const RESULT: &str = "isthmus.result";
/// What every request takes.
const LATENCY: Duration = Duration::from_millis(50);

/// What the cloud does with the next request.
enum Act {
    Answer(u16, Option<u64>),
    Break,
}

/// An NSX with one session, whose state is this word.
struct Cloud {
    state: &'static str,
    /// In order; then it answers as NSX does.
    script: Mutex<Vec<Act>>,
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
        sleep(LATENCY).await;
        let act = {
            let mut script = self.script.lock().unwrap();
            (!script.is_empty()).then(|| script.remove(0))
        };
        match act {
            Some(Act::Answer(status, retry_after)) => {
                let mut answer = answer(status, &json!({}));
                let after = retry_after.map(|seconds| ("retry-after", seconds.into()));
                answer.headers.extend(
                    after.map(|(name, value)| (http::HeaderName::from_static(name), value)),
                );
                return Ok(answer);
            }
            Some(Act::Break) => {
                return Err(Failure {
                    kind: FailureKind::Connect,
                    sent: Sent::No,
                    message: "no connection".to_owned(),
                });
            }
            None => {}
        }
        let path = request.url.path();
        if request.method == Method::POST {
            assert!(path.ends_with("/session/create"), "nothing here writes");
            let mut answer = answer(200, &json!({}));
            let headers = &mut answer.headers;
            headers.insert("set-cookie", "JSESSIONID=A1; Path=/".parse().unwrap());
            headers.insert("x-xsrf-token", "token".parse().unwrap());
            return Ok(answer);
        }
        let mut parts = path.rsplit('/');
        let id = parts.next().unwrap();
        Ok(match parts.next().unwrap() {
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
                &json!({ "state": self.state, "details": [
                { "sub_system_type": "TransportNode", "sub_system_id": "n", "state": self.state },
            ] }),
            ),
        })
    }
}

struct Nsx {
    cloud: Arc<Cloud>,
    gateway: Arc<Gateway>,
    name: ConnectionName,
}

/// A gateway over an NSX of that name, which logs in so. Whether it is there has been asked.
async fn nsx(backend: &str, kind: &str, state: &'static str) -> Nsx {
    let cloud = Arc::new(Cloud {
        state,
        script: Mutex::default(),
    });
    let given = Given::new(backend.parse().unwrap(), "nsx")
        .with("url", "https://nsx.example")
        .with("auth.kind", kind)
        .with("auth.username", "u")
        .with("auth.password", "p")
        .with("auth.token", "t");
    let dialect = dialects::connect_over(&given, &Wire(Arc::clone(&cloud))).unwrap();
    let name = ConnectionName::connection(&given.core.name, "1").unwrap();
    let gateway = Gateway::start(vec![(given.core, dialect)], HEARTBEAT);
    sleep(SECOND).await;
    Nsx {
        cloud,
        gateway,
        name,
    }
}

impl Nsx {
    /// The next requests end so.
    fn will(&self, acts: impl IntoIterator<Item = Act>) {
        self.cloud.script.lock().unwrap().extend(acts);
    }

    /// Reads the connection: two requests, for its session and its peer.
    async fn get(&self) -> Result<(), ErrorReason> {
        let read = self.gateway.get(&self.name, soon()).await;
        read.map(drop).map_err(|error| error.reason)
    }
}

pub async fn what_a_request_costs() {
    let nsx = nsx("costs", "bearer", "in_sync").await;
    let of = [(BACKEND, "costs")];
    let callers = [of[0], (SHARE, "callers")];
    let stable = [of[0], (SHARE, "stable")];
    Page::read().says("isthmus.budget.used", &stable, 1);
    nsx.get().await.unwrap();
    let page = Page::read();
    page.says("isthmus.budget.used", &callers, 2);
    page.says("isthmus.budget.wait", &callers, 2);
    page.sums("isthmus.budget.wait", &callers, 0.0);
    let labels = [
        of[0],
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("error.type", ""),
        ("server.address", "nsx.example"),
        ("server.port", "443"),
    ];
    page.says("http.client.request.duration", &labels, 3);
    page.sums("http.client.request.duration", &labels, 3.0 * 0.05);
    page.lacks("isthmus.upstream.throttled", &of);

    nsx.will([Act::Break]);
    assert_eq!(nsx.get().await, Err(ErrorReason::UpstreamUnreachable));
    let labels = [
        of[0],
        ("error.type", "connect"),
        ("http.response.status_code", ""),
    ];
    Page::read().says("http.client.request.duration", &labels, 1);
}

pub async fn words_that_nobody_knows() {
    let nsx = nsx("odd", "bearer", "odd_word").await;
    let watch = nsx.gateway.watch(watch_request(nsx.name.clone()));
    next(&mut watch.await.unwrap()).await;
    let of = (BACKEND, "odd");
    let page = Page::read();
    page.says("isthmus.polls", &[of], 1);
    for field in ["state", "details.state"] {
        let labels = [of, ("isthmus.field", field)];
        page.says("isthmus.status.unrecognized", &labels, 1);
    }
    page.says("isthmus.status.unrecognized", &[of], 2);
}

pub async fn a_cloud_that_asks_for_patience() {
    let nsx = nsx("tired", "bearer", "in_sync").await;
    let of = [(BACKEND, "tired")];
    let callers = [of[0], (SHARE, "callers")];
    let before = Page::read();
    let limit = before.get("isthmus.budget.limit", &of).unwrap().value;
    nsx.will([Act::Answer(429, Some(7))]);
    assert_eq!(nsx.get().await, Err(ErrorReason::UpstreamThrottled));
    let page = Page::read();
    page.says("isthmus.upstream.throttled", &of, 1);
    page.says("isthmus.budget.limit", &of, limit / 2.0);
    let labels = [
        of[0],
        ("error.type", "429"),
        ("http.response.status_code", "429"),
    ];
    page.says("http.client.request.duration", &labels, 1);
    page.sums("isthmus.budget.wait", &callers, 0.0);
    page.says("isthmus.budget.used", &callers, 1);

    // The next waits out the pause; whoever has less time waits in vain, and is told at once.
    let begun = Instant::now();
    let mut read = Box::pin(nsx.get());
    assert!(futures_util::poll!(&mut read).is_pending());
    Page::read().says("isthmus.budget.waiting", &callers, 1);
    let short = nsx.gateway.get(&nsx.name, begun + SECOND).await;
    assert!(short.is_err());
    let page = Page::read();
    page.says("isthmus.budget.used", &callers, 1);
    page.says("isthmus.budget.wait", &callers, 2);
    read.await.unwrap();
    let page = Page::read();
    page.says("isthmus.budget.waiting", &callers, 0);
    let waited = page.get("isthmus.budget.wait", &callers).unwrap().sum;
    assert!((7.0..7.5).contains(&waited), "{waited} s");
}

pub async fn a_login_that_is_refused() {
    let nsx = nsx("refused", "basic", "in_sync").await;
    let of = [(BACKEND, "refused")];
    let says = |result: &str, count: u32| {
        Page::read().says("isthmus.logins", &[of[0], (RESULT, result)], count);
    };
    nsx.get().await.unwrap();
    says("accepted", 1);
    // It is asked once more by itself, 5 s later.
    nsx.will([Act::Answer(401, None), Act::Answer(401, None)]);
    assert_eq!(nsx.get().await, Err(ErrorReason::UpstreamAuth));
    says("refused", 2);
    let page = Page::read();
    page.says("isthmus.login.rest", &of, 300);
    page.says("isthmus.backend.up", &of, 0);
    sleep(SECOND * 100).await;
    Page::read().says("isthmus.login.rest", &of, 200);
    assert_eq!(nsx.get().await, Err(ErrorReason::UpstreamAuth));
    says("refused", 2);

    sleep(SECOND * 200).await;
    nsx.get().await.unwrap();
    nsx.get().await.unwrap();
    Page::read().says("isthmus.login.rest", &of, 0);
    says("accepted", 2);
}

pub async fn logins_with_tickets() {
    let nsx = nsx("tickets", "session", "in_sync").await;
    let of = [(BACKEND, "tickets")];
    let says = |result: &str, count: u32| {
        Page::read().says("isthmus.logins", &[of[0], (RESULT, result)], count);
    };
    let login = [of[0], (SHARE, "login")];
    nsx.get().await.unwrap();
    says("accepted", 1);
    Page::read().says("isthmus.budget.used", &login, 1);

    // The cookie is over, and no manager answers the renewal.
    nsx.will([Act::Answer(401, None), Act::Break]);
    assert_eq!(nsx.get().await, Err(ErrorReason::UpstreamUnreachable));
    says("failed", 1);
    nsx.get().await.unwrap();
    says("accepted", 2);

    // The next one is refused, and once more 5 s later.
    nsx.will((0..3).map(|_| Act::Answer(401, None)));
    assert_eq!(nsx.get().await, Err(ErrorReason::UpstreamAuth));
    says("refused", 2);
    says("accepted", 2);
    let page = Page::read();
    page.says("isthmus.budget.used", &login, 5);
    page.says("isthmus.login.rest", &of, 300);
}
