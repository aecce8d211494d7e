//! What 10,000 watched connections cost their cloud, and how soon a change is noticed.
//!
//! Half an hour each, in virtual time: the gateway's own poller, schedule, pace and account budget run against
//! a cloud in memory, and tokio's clock jumps to the next thing to do. That is honest for counting requests and
//! for the time between polls, which are decided by timers; it says nothing of CPU, and nothing is pinned.
//!
//! The cloud asks what the dialects ask for one poll (`dialects/nsx/manager/poll.rs`, `dialects/openstack/poll.rs`): NSX
//! `/state` for the newest outstanding request id, for the others once that is realized, and the session if nobody
//! knows whether it is switched on;
//! Neutron one LIST for a batch. Each request passes the account's budget and takes 30 ms. NSX's own limits, 100
//! requests a second and 40 at a time, are checked, and a request beyond them is a 429.

mod support;

use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{
            Action, Call, Capabilities, Dialect, Mark, Page, PageRequest, Plan, Proof, Target,
            Usage, Written,
        },
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        gateway::Gateway,
        realizations::WatchRequest,
        request_id::How,
        settings::{BackendSettings, PollSettings},
        watch::stream::EventKind,
    },
    dialects::{nsx, openstack},
    model::{
        Assurance, Connection, ConnectionChange, ConnectionName, NewConnection, RealizationState,
        Sighting,
    },
    rest::budget::Budget,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use support::{
    cloud::{self, BACKEND, Cloud, connection},
    report::{self, Table, number, percentile},
};
use tokio::time::{Instant, sleep, sleep_until};

/// How long the cloud takes for a request.
const LATENCY: Duration = Duration::from_millis(30);
/// How long the cloud takes to realize a write.
const REALIZES_IN: Duration = Duration::from_secs(20);
/// What one NSX user may ask for (NSX-T `API rate limiting`): in a second, and at the same time.
const NSX_RATE: usize = 100;
const NSX_CONCURRENCY: usize = 40;
const HEARTBEAT: Duration = Duration::from_secs(15);
const SECOND: Duration = Duration::from_secs(1);

fn main() {
    if support::process::role().is_none() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build();
        runtime.expect("a runtime can be had").block_on(bench());
    }
}

/// A cloud whose requests are counted.
#[derive(Debug)]
struct Counted {
    kind: Kind,
    capabilities: Capabilities,
    budget: Budget,
    connections: Mutex<Vec<Known>>,
    requests: [AtomicU64; 2],
    /// Requests in the last second, and under way, as the cloud's own limits count them.
    recent: Mutex<(VecDeque<Instant>, usize)>,
    refused: AtomicU64,
    writes: AtomicU64,
    /// Since when gaps between polls count.
    measured_from: Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nsx,
    Neutron,
}

#[derive(Debug, Clone, Default)]
struct Known {
    version: u64,
    /// When it changed, until the change has reached a watcher.
    changed: Option<Instant>,
    /// Until when a write is on its way.
    busy_until: Option<Instant>,
    is_fresh: bool,
    polled: Option<Instant>,
    gaps: Vec<f64>,
}

impl Counted {
    fn new(kind: Kind, connections: usize, fresh: usize) -> Arc<Counted> {
        let (limits, batch) = match kind {
            Kind::Nsx => (nsx::LIMITS, 1),
            Kind::Neutron => (openstack::LIMITS, 50),
        };
        let known = |index| Known {
            is_fresh: index < fresh,
            ..Known::default()
        };
        Arc::new(Counted {
            kind,
            capabilities: cloud::capabilities(batch),
            budget: Budget::new(limits),
            connections: Mutex::new((0..connections).map(known).collect()),
            requests: [AtomicU64::new(0), AtomicU64::new(0)],
            recent: Mutex::default(),
            refused: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            measured_from: Mutex::new(None),
        })
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Known>> {
        lock(&self.connections)
    }

    /// One request: `fresh` says for what.
    async fn request(&self, call: &Call, fresh: bool) -> Result<()> {
        let _leave = self
            .budget
            .acquire(call.priority, call.deadline)
            .await
            .map_err(|_| unavailable(ErrorReason::UpstreamUnreachable))?;
        self.requests[usize::from(fresh)].fetch_add(1, Ordering::SeqCst);
        let is_refused = {
            let mut recent = lock(&self.recent);
            let now = Instant::now();
            recent.0.push_back(now);
            while recent
                .0
                .front()
                .is_some_and(|at| now.duration_since(*at) > SECOND)
            {
                recent.0.pop_front();
            }
            recent.1 += 1;
            self.kind == Kind::Nsx && (recent.0.len() > NSX_RATE || recent.1 > NSX_CONCURRENCY)
        };
        sleep(LATENCY).await;
        lock(&self.recent).1 -= 1;
        if is_refused {
            self.refused.fetch_add(1, Ordering::SeqCst);
            self.budget.throttled(SECOND);
            return Err(unavailable(ErrorReason::UpstreamThrottled));
        }
        self.budget.answered();
        Ok(())
    }

    /// Notes a poll, and what it sees.
    fn sight(&self, target: &Target) -> Sighting {
        let now = Instant::now();
        let mut connections = self.connections();
        let known = &mut connections[index_of(&target.id)];
        let measured = lock(&self.measured_from).is_some_and(|from| known.polled >= Some(from));
        if let Some(last) = known.polled.replace(now)
            && measured
        {
            known.gaps.push(now.duration_since(last).as_secs_f64());
        }
        let is_busy = known.busy_until.is_some_and(|until| now < until);
        let seen = cloud::sighting(known.version);
        let state = match is_busy {
            true => (RealizationState::InProgress, Assurance::IntentStored),
            false => (RealizationState::Realized, Assurance::ControlPlane),
        };
        Sighting {
            state: state.0,
            assurance: state.1,
            request_ids: target.request_ids.clone(),
            admin_enabled: target.admin_enabled.is_none().then_some(true),
            ..seen
        }
    }

    async fn poll_nsx(&self, target: &Target, call: &Call) -> Result<Sighting> {
        let is_fresh = self.connections()[index_of(&target.id)].is_fresh;
        let mut seen = self.sight(target);
        let session = usize::from(target.admin_enabled.is_none());
        // While the newest write is on its way the others are not asked about.
        let states = match seen.state {
            RealizationState::InProgress => 1,
            _ => target.request_ids.len().max(1),
        };
        let spoken_for = target.request_ids.len().saturating_sub(states);
        seen.request_ids.drain(..spoken_for);
        for _ in 0..states + session {
            self.request(call, is_fresh).await?;
        }
        Ok(seen)
    }

    fn written(&self, id: &str) -> Written {
        let number = self.writes.fetch_add(1, Ordering::SeqCst);
        let mut connections = self.connections();
        connections[index_of(id)].busy_until = Some(Instant::now() + REALIZES_IN);
        let proof = match self.kind {
            // The session's, and its peer endpoint's.
            Kind::Nsx => Proof::RequestIds(vec![format!("{number}-a"), format!("{number}-b")]),
            Kind::Neutron => Proof::AnyStatus,
        };
        Written {
            id: id.to_owned(),
            connection: Some(connection(id)),
            proof,
            warnings: Vec::new(),
        }
    }
}

#[async_trait]
impl Dialect for Counted {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refuse_create(&self, _: &NewConnection) -> Vec<Violation> {
        Vec::new()
    }

    fn refuse_update(&self, _: &ConnectionChange) -> Vec<Violation> {
        Vec::new()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    async fn probe(&self, call: &Call) -> Result<()> {
        self.request(call, false).await
    }

    async fn get(&self, id: &str, call: &Call) -> Result<Connection> {
        self.request(call, false).await?;
        Ok(connection(id))
    }

    async fn list(&self, _: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        self.request(call, false).await?;
        Ok(Page {
            items: Vec::new(),
            next: None,
        })
    }

    async fn plan_create<'a>(
        &'a self,
        _: NewConnection,
        _: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(cloud::not_found())
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        _: ConnectionChange,
        call: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let call = call.clone();
        let write = async move {
            self.request(&call, true).await?;
            Ok(self.written(id))
        };
        Ok(cloud::plan(Action::Update, Some(id.to_owned()), write))
    }

    async fn plan_delete<'a>(
        &'a self,
        _: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        Err(cloud::not_found())
    }

    async fn poll(&self, targets: &[Target], call: &Call) -> Vec<Result<Sighting>> {
        match self.kind {
            Kind::Nsx => {
                let polls = targets.iter().map(|target| self.poll_nsx(target, call));
                futures_util::future::join_all(polls).await
            }
            Kind::Neutron => {
                let seen: Vec<Sighting> = targets.iter().map(|target| self.sight(target)).collect();
                let answered = self.request(call, false).await;
                let each = seen.into_iter().map(|seen| answered.clone().map(|()| seen));
                each.collect()
            }
        }
    }
}

fn unavailable(reason: ErrorReason) -> Error {
    Error::new(ErrorKind::Unavailable, reason, "not now")
}

fn index_of(id: &str) -> usize {
    let digits = id.rsplit('-').next().unwrap_or_default();
    digits.parse().expect("made by `Cloud::id`")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is watched, and how.
struct Scenario {
    name: &'static str,
    kind: Kind,
    connections: usize,
    /// So many of them have `watchers_each` watchers, the others one.
    shared: usize,
    watchers_each: usize,
    /// So many of them are written to again and again, one write after the other.
    fresh: usize,
    stable: Duration,
}

/// What a scenario found. Times in seconds.
struct Found {
    stable_rate: f64,
    fresh_rate: f64,
    refused: u64,
    stable_gaps: Vec<f64>,
    fresh_gaps: Vec<f64>,
    detected: Vec<f64>,
    undetected: usize,
    outcomes: Vec<f64>,
    watchers: usize,
}

async fn run(scenario: &Scenario, warm_up: Duration, measured: Duration) -> Found {
    let cloud = Counted::new(scenario.kind, scenario.connections, scenario.fresh);
    let settings = BackendSettings {
        poll: PollSettings {
            stable: scenario.stable,
            ..PollSettings::default()
        },
        ..cloud::settings(SECOND)
    };
    let dialect: Arc<dyn Dialect> = cloud.clone();
    let gateway = Gateway::start(vec![(settings, dialect)], HEARTBEAT);
    let detected = Arc::new(Mutex::new(Vec::new()));
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    let mut watchers = 0;
    for index in scenario.fresh..scenario.connections {
        let is_shared = index - scenario.fresh < scenario.shared;
        for _ in 0..if is_shared { scenario.watchers_each } else { 1 } {
            watchers += 1;
            let (gateway, cloud) = (Arc::clone(&gateway), Arc::clone(&cloud));
            let detected = Arc::clone(&detected);
            tasks.spawn(async move { watch(&gateway, &cloud, index, &detected).await });
        }
        // Nobody's ten thousand clients come in the same instant.
        if index % 20 == 0 {
            sleep(SECOND / 10).await;
        }
    }
    sleep(warm_up).await;
    for index in 0..scenario.fresh {
        let (gateway, cloud) = (Arc::clone(&gateway), Arc::clone(&cloud));
        let outcomes = Arc::clone(&outcomes);
        tasks.spawn(async move {
            sleep(SECOND * 20 * index as u32 / 50).await;
            write(&gateway, &cloud, index, &outcomes).await;
        });
    }
    // Until the writes are under way everywhere.
    sleep(SECOND * 60).await;

    let from = Instant::now();
    *lock(&cloud.measured_from) = Some(from);
    let before = cloud
        .requests
        .each_ref()
        .map(|count| count.load(Ordering::SeqCst));
    let changes = 200;
    for _ in 0..changes {
        sleep(measured / changes / 2).await;
        let index = fastrand::usize(scenario.fresh..scenario.connections);
        let known = &mut cloud.connections()[index];
        known.version += 1;
        known.changed = known.changed.or(Some(Instant::now()));
    }
    sleep_until(from + measured).await;
    let after = cloud
        .requests
        .each_ref()
        .map(|count| count.load(Ordering::SeqCst));
    let rate = |at: usize| (after[at] - before[at]) as f64 / measured.as_secs_f64();
    let end = Instant::now();
    let gaps = |fresh: bool| -> Vec<f64> {
        let connections = cloud.connections();
        let wanted = connections.iter().filter(|known| known.is_fresh == fresh);
        let each = wanted.flat_map(|known| {
            // One that is still waiting counts with what it has waited.
            let waiting = end.duration_since(known.polled.map_or(from, |at| at.max(from)));
            known.gaps.iter().copied().chain([waiting.as_secs_f64()])
        });
        each.collect()
    };
    let undetected = cloud
        .connections()
        .iter()
        .filter(|known| known.changed.is_some())
        .count();
    let found = Found {
        stable_rate: rate(0),
        fresh_rate: rate(1),
        refused: cloud.refused.load(Ordering::SeqCst),
        stable_gaps: gaps(false),
        fresh_gaps: gaps(true),
        detected: std::mem::take(&mut *lock(&detected)),
        undetected,
        outcomes: std::mem::take(&mut *lock(&outcomes)),
        watchers,
    };
    tasks.shutdown().await;
    gateway.shut_down(SECOND).await;
    found
}

fn request(index: usize) -> WatchRequest {
    WatchRequest {
        name: name(index),
        goal: None,
        write_token: String::new(),
        resume_token: String::new(),
        accept_partial: false,
        include_tunnel: false,
        snapshot_if_compacted: false,
        accept_assumed: false,
        upstream_request_ids: Vec::new(),
    }
}

fn name(index: usize) -> ConnectionName {
    let backend = BACKEND.parse().expect("written as a name");
    ConnectionName::connection(&backend, &Cloud::id(index)).expect("made of digits")
}

/// Watches one connection, and notes how long after it happened a change arrives.
async fn watch(gateway: &Gateway, cloud: &Counted, index: usize, detected: &Mutex<Vec<f64>>) {
    let watch = gateway.watch(request(index)).await;
    let mut watch = watch.expect("the connection is there");
    while let Some(event) = watch.next().await {
        let event = event.expect("the watch goes on");
        if let EventKind::Change(_) = event.kind {
            let changed = cloud.connections()[index].changed.take();
            lock(detected).extend(changed.map(|at| at.elapsed().as_secs_f64()));
        }
    }
}

/// Writes to one connection, waits for the outcome, and writes again; notes how long after it was real a write
/// was known to be.
async fn write(gateway: &Gateway, cloud: &Counted, index: usize, outcomes: &Mutex<Vec<f64>>) {
    loop {
        let change = ConnectionChange::default();
        let accepted = gateway
            .update(
                &name(index),
                change,
                How::default(),
                Instant::now() + 60 * SECOND,
            )
            .await;
        let Ok(accepted) = accepted else {
            sleep(SECOND).await;
            continue;
        };
        let request = WatchRequest {
            write_token: accepted.write_token,
            ..request(index)
        };
        let watch = gateway.watch(request).await;
        let mut watch = watch.expect("the write is known");
        while let Some(event) = watch.next().await {
            event.expect("the watch goes on");
        }
        let real = cloud.connections()[index].busy_until;
        lock(outcomes).extend(real.map(|at| at.elapsed().as_secs_f64()));
    }
}

async fn bench() {
    let quick = support::is_quick();
    let connections = if quick { 500 } else { 10_000 };
    let shared = connections / 100;
    let fresh = if quick { 5 } else { 50 };
    let minutes = |minutes: u32| SECOND * 60 * if quick { 1 } else { minutes };
    report::begin(
        "upstream: what watching costs the cloud (virtual time)",
        quick,
    );
    let base = Scenario {
        name: "NSX, a watcher each",
        kind: Kind::Nsx,
        connections,
        shared: 0,
        watchers_each: 1,
        fresh: 0,
        stable: SECOND * 30,
    };
    let scenarios = [
        Scenario { ..base },
        Scenario {
            name: "NSX, 100 watchers for each 100th",
            shared,
            watchers_each: 100,
            ..base
        },
        Scenario {
            name: "NSX, and 50 fresh writes",
            fresh,
            ..base
        },
        Scenario {
            name: "NSX, stable = 540 s",
            stable: SECOND * 540,
            ..base
        },
        Scenario {
            name: "NSX, stable = 540 s, and 50 fresh writes",
            stable: SECOND * 540,
            fresh,
            ..base
        },
        Scenario {
            name: "Neutron, a watcher each",
            kind: Kind::Neutron,
            ..base
        },
        Scenario {
            name: "Neutron, 100 watchers for each 100th",
            kind: Kind::Neutron,
            shared,
            watchers_each: 100,
            ..base
        },
    ];
    let mut table = Table::new(&[
        "what",
        "watchers",
        "req/s stable",
        "req/s fresh",
        "a poller each: req/s",
        "stable looks p50/max s",
        "fresh looks p50/p99 s",
        "detect p50/max s",
        "outcome p50/max s",
        "429",
    ]);
    for scenario in &scenarios {
        let mut found = run(scenario, minutes(20), minutes(30)).await;
        let pair = |values: &mut Vec<f64>, share: f64| match values.is_empty() {
            true => "-".to_owned(),
            false => {
                let (half, high) = (percentile(values, 0.5), percentile(values, share));
                format!("{} / {}", number(half), number(high))
            }
        };
        let name = scenario.name;
        let longest = percentile(&mut found.stable_gaps, 1.0);
        report::at_most(
            &format!("{name}: longest time between looks"),
            longest,
            600.0,
        );
        report::at_most(&format!("{name}: 429"), found.refused as f64, 0.0);
        if scenario.kind == Kind::Nsx && scenario.stable > SECOND * 30 {
            let what = format!("{name}: requests/s for the stable");
            report::at_most(&what, found.stable_rate, 20.0);
        }
        if !found.fresh_gaps.is_empty() {
            let p99 = percentile(&mut found.fresh_gaps, 0.99);
            report::at_most(&format!("{name}: fresh looks p99"), p99, 2.5);
        }
        if found.undetected > 0 {
            println!(
                "  ({} changes were not noticed yet at the end)",
                found.undetected
            );
        }
        let alone = found.watchers as f64 / scenario.stable.as_secs_f64();
        table.row(vec![
            name.to_owned(),
            number(found.watchers as f64),
            number(found.stable_rate),
            number(found.fresh_rate),
            number(alone),
            pair(&mut found.stable_gaps, 1.0),
            pair(&mut found.fresh_gaps, 0.99),
            pair(&mut found.detected, 1.0),
            pair(&mut found.outcomes, 1.0),
            found.refused.to_string(),
        ]);
    }
    println!();
    table.print();
}
