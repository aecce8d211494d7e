//! A dialect in memory that says what the test tells it to, for tests of the watch with paused time.

use async_trait::async_trait;
use isthmus::{
    core::{
        dialect::{
            Action, Call, Capabilities, Dialect, Done, Mark, Page, PageRequest, Plan, Proof,
            Single, Step, Target, Tell, Usage, Written,
        },
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        home::Home,
        realizations::WatchRequest,
        settings::BackendSettings,
    },
    model::{
        Assurance, Collection, Connection, ConnectionChange, ConnectionName, NewConnection, Node,
        RealizationState, Sighting,
    },
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep_until, timeout_at},
};

/// A watch of a connection, for nothing in particular.
pub fn watch_request(name: ConnectionName) -> WatchRequest {
    WatchRequest {
        name,
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

/// What the next polls of a connection bring.
pub type Answer = Result<Sighting>;

/// The dialect.
#[derive(Debug)]
pub struct Scripted {
    home: Home,
    capabilities: Capabilities,
    answers: Mutex<BTreeMap<String, Answer>>,
    /// By the upstream ids of writes made elsewhere.
    elsewhere: Mutex<BTreeMap<String, Sighting>>,
    /// The IKE policy that each connection uses.
    policies: Mutex<BTreeMap<String, String>>,
    proof: Mutex<Proof>,
    polls: AtomicUsize,
    batches: AtomicUsize,
    lists: AtomicUsize,
    targets: Mutex<Vec<Target>>,
    made: AtomicUsize,
    /// Polls of several show everything.
    shows_all: AtomicBool,
    /// Polls take a permit and give it back; none left holds them.
    gate: Semaphore,
    /// The same for connections that are made.
    making: Semaphore,
    account: Option<Account>,
}

/// What an account allows: so many requests a second, in the order in which they come. A poll costs what it costs on
/// NSX: a request for each write that is asked about, and one more where it is not known whether the connection is
/// switched on.
#[derive(Debug)]
struct Account {
    rate: u32,
    next: Mutex<Instant>,
    /// When each connection was polled last, and the longest time between two polls.
    polled: Mutex<BTreeMap<String, (Instant, Duration)>>,
}

impl Account {
    async fn request(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap();
            let turn = (*next).max(Instant::now());
            *next = turn + Duration::from_secs(1) / self.rate;
            turn
        };
        sleep_until(turn + Duration::from_millis(50)).await;
    }

    fn poll_begins(&self, id: &str) {
        let now = Instant::now();
        let mut polled = self.polled.lock().unwrap();
        let first = (now, Duration::from_secs(1));
        let (last, longest) = polled.entry(id.to_owned()).or_insert(first);
        *longest = now.duration_since(*last).max(*longest);
        *last = now;
    }

    async fn pay_for(&self, target: &Target, seen: &mut Sighting) {
        self.poll_begins(&target.id);
        let mut requests = match seen.state {
            RealizationState::InProgress => 1,
            _ => target.request_ids.len().max(1),
        };
        if target.admin_enabled.is_none() {
            seen.admin_enabled = Some(true);
            requests += 1;
        }
        for _ in 0..requests {
            self.request().await;
        }
    }
}

impl Scripted {
    /// One that knows no connection.
    pub fn new() -> Arc<Scripted> {
        Scripted::in_batches_of(1)
    }

    /// One that shows so many connections at once.
    pub fn in_batches_of(look_batch: usize) -> Arc<Scripted> {
        Arc::new(Scripted::with(look_batch, None))
    }

    /// One whose polls cost requests, of which it answers so many a second.
    pub fn with_account(rate: u32) -> Arc<Scripted> {
        let account = Account {
            rate,
            next: Mutex::new(Instant::now()),
            polled: Mutex::default(),
        };
        Arc::new(Scripted::with(1, Some(account)))
    }

    /// One that cannot be asked about a write, and shows so many connections at once.
    pub fn without_tracking(look_batch: usize) -> Arc<Scripted> {
        let mut cloud = Scripted::with(look_batch, None);
        cloud.capabilities.write_tracking = false;
        Arc::new(cloud)
    }

    /// One that this address leads to.
    pub fn at(address: &str) -> Arc<Scripted> {
        let mut cloud = Scripted::with(1, None);
        cloud.home = Home::at([address.to_owned()]);
        Arc::new(cloud)
    }

    fn with(look_batch: usize, account: Option<Account>) -> Scripted {
        Scripted {
            home: Home::default(),
            capabilities: Capabilities {
                dialect: "scripted",
                variant: "",
                route_based: true,
                inline_policy_rules: true,
                endpoint_groups: true,
                certificates: true,
                inline_dpd: true,
                dpd_policies: true,
                mtu: true,
                tcp_mss_clamping: true,
                on_demand_initiation: true,
                admin_disable: true,
                atomic_etag: true,
                nodes: true,
                write_tracking: true,
                look_batch,
                resources: &[],
                tunnel_statistics: false,
                connection_marks: true,
                availability_zones: false,
            },
            answers: Mutex::default(),
            elsewhere: Mutex::default(),
            policies: Mutex::default(),
            proof: Mutex::new(Proof::AnyStatus),
            polls: AtomicUsize::new(0),
            batches: AtomicUsize::new(0),
            lists: AtomicUsize::new(0),
            targets: Mutex::default(),
            made: AtomicUsize::new(0),
            shows_all: AtomicBool::new(false),
            gate: Semaphore::new(1000),
            making: Semaphore::new(1000),
            account,
        }
    }

    /// Its settings under a name.
    pub fn settings(name: &str) -> BackendSettings {
        BackendSettings::new(name.parse().unwrap())
    }

    /// From now on polls of `id` bring this.
    pub fn say(&self, id: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(id.to_owned(), answer);
    }

    /// How many connections were made.
    pub fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// From now on this is said of a write made elsewhere. What nothing was said of cannot be asked about.
    pub fn say_of_write(&self, request_id: &str, answer: Answer) {
        let mut elsewhere = self.elsewhere.lock().unwrap();
        elsewhere.insert(request_id.to_owned(), answer.unwrap());
    }

    /// From now on the connection `id` uses this IKE policy.
    pub fn uses(&self, id: &str, ike_policy: &str) {
        let mut policies = self.policies.lock().unwrap();
        policies.insert(id.to_owned(), ike_policy.to_owned());
    }

    /// From now on `id` is not known at all, and in no list.
    pub fn forget(&self, id: &str) {
        self.answers.lock().unwrap().remove(id);
    }

    /// From now on every poll brings this error.
    pub fn fail_all(&self, error: &Error) {
        for answer in self.answers.lock().unwrap().values_mut() {
            *answer = Err(error.clone());
        }
    }

    /// How the next writes are proven.
    pub fn prove_by(&self, proof: Proof) {
        *self.proof.lock().unwrap() = proof;
    }

    /// How many connections were polled so far.
    pub fn polls(&self) -> usize {
        self.polls.load(Ordering::SeqCst)
    }

    /// From now on polls of several show everything there is.
    pub fn show_all(&self) {
        self.shows_all.store(true, Ordering::SeqCst);
    }

    /// How often it was asked about some connections together so far.
    pub fn batches(&self) -> usize {
        self.batches.load(Ordering::SeqCst)
    }

    /// What was looked for so far, in order.
    pub fn targets(&self) -> Vec<Target> {
        self.targets.lock().unwrap().clone()
    }

    /// The longest time between two polls of one of these since the last question, or without a poll until now; of a
    /// cloud with an account.
    pub fn longest(&self, is_asked: impl Fn(&str) -> bool) -> Duration {
        let mut polled = self.account.as_ref().unwrap().polled.lock().unwrap();
        let asked = polled.iter_mut().filter(|(id, _)| is_asked(id));
        let gaps = asked.map(|(_, (last, longest))| std::mem::take(longest).max(last.elapsed()));
        gaps.max().unwrap()
    }

    /// How often all connections were listed so far.
    pub fn lists(&self) -> usize {
        self.lists.load(Ordering::SeqCst)
    }

    /// What was looked for last.
    pub fn last_target(&self) -> Target {
        self.targets
            .lock()
            .unwrap()
            .last()
            .cloned()
            .expect("something was looked at")
    }

    /// Holds polls and lists that begin from now on, until [`Scripted::release`].
    pub fn hold(&self) {
        self.gate.forget_permits(1000);
    }

    /// Lets held polls end.
    pub fn release(&self) {
        self.gate.add_permits(1000);
    }

    /// Holds connections that are made from now on, until [`Scripted::release_writes`].
    pub fn hold_writes(&self) {
        self.making.forget_permits(1000);
    }

    /// Lets held writes go on.
    pub fn release_writes(&self) {
        self.making.add_permits(1000);
    }

    fn known(&self, id: &str) -> Result<()> {
        let answers = self.answers.lock().unwrap();
        answers.contains_key(id).then_some(()).ok_or_else(not_found)
    }

    /// One step, which is done at once.
    fn single<'a>(
        &'a self,
        step: Step,
        perform: impl FnOnce() -> Result<Written> + Send + 'a,
    ) -> Box<dyn Plan<Written> + 'a> {
        Single::new(step, |_, _| {
            let performed = perform().map(|written| (done(&written), written));
            Box::pin(std::future::ready(performed))
        })
    }

    fn written(&self, id: String, connection: Option<Connection>) -> Written {
        let proof = self.proof.lock().unwrap().clone();
        Written {
            id,
            connection,
            proof,
            warnings: vec![],
        }
    }
}

fn done(written: &Written) -> Done {
    Done {
        id: written.id.clone(),
        request_id: None,
    }
}

/// A write of one connection.
fn step(action: Action, id: Option<&str>) -> Step {
    let collection = Collection::Connections.segment();
    Step::new(action, collection, id.map(str::to_owned))
}

fn not_found() -> Error {
    Error::new(
        ErrorKind::NotFound,
        ErrorReason::ConnectionNotFound,
        "no such connection",
    )
}

fn connection(id: &str) -> Connection {
    Connection {
        id: id.to_owned(),
        admin_enabled: Some(true),
        ..Connection::default()
    }
}

/// What a poll sees.
pub fn seen(state: RealizationState, assurance: Assurance, native: &str) -> Answer {
    Ok(Sighting {
        state,
        assurance,
        native_state: native.to_owned(),
        ..Sighting::default()
    })
}

/// In progress, one of two nodes done.
pub fn in_progress() -> Answer {
    let node = |id: &str, state, native: &str| Node {
        id: id.into(),
        state,
        native_state: native.into(),
        ..Node::default()
    };
    let mut answer = seen(
        RealizationState::InProgress,
        Assurance::IntentStored,
        "in_progress",
    );
    answer.as_mut().unwrap().nodes = vec![
        node("tn-1", RealizationState::Realized, "in_sync"),
        node("tn-2", RealizationState::InProgress, "in_progress"),
    ]
    .into();
    answer
}

/// In place.
pub fn realized() -> Answer {
    seen(
        RealizationState::Realized,
        Assurance::ControlPlane,
        "in_sync",
    )
}

/// Up.
pub fn active() -> Answer {
    seen(RealizationState::Active, Assurance::TunnelUp, "ACTIVE")
}

/// Failed.
pub fn failed() -> Answer {
    seen(RealizationState::Failed, Assurance::ControlPlane, "error")
}

/// Gone.
pub fn gone() -> Answer {
    seen(RealizationState::Deleted, Assurance::ControlPlane, "")
}

/// The cloud cannot be reached.
pub fn outage() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        ErrorReason::UpstreamUnreachable,
        "cannot connect",
    )
}

/// The cloud refuses the login.
pub fn login_refused() -> Error {
    Error::new(
        ErrorKind::BackendAuth,
        ErrorReason::UpstreamAuth,
        "the login was refused",
    )
}

#[async_trait]
impl Dialect for Scripted {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn refuse_create(&self, _: &NewConnection) -> Vec<Violation> {
        vec![]
    }

    fn refuse_update(&self, _: &ConnectionChange) -> Vec<Violation> {
        vec![]
    }

    fn home(&self) -> Home {
        self.home.clone()
    }

    fn usage(&self) -> Usage {
        Usage {
            rate_limit: 20.0,
            rate_used: 5.0,
            ..Usage::default()
        }
    }

    async fn probe(&self, _: &Call) -> Result<()> {
        Ok(())
    }

    async fn get(&self, id: &str, _: &Call) -> Result<Connection> {
        self.known(id).map(|()| connection(id))
    }

    async fn list(&self, _: &PageRequest, call: &Call) -> Result<Page<Connection>> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        let _permit = timeout_at(call.deadline, self.gate.acquire())
            .await
            .map_err(|_| outage())?
            .unwrap();
        let ids: Vec<String> = self.answers.lock().unwrap().keys().cloned().collect();
        let policies = self.policies.lock().unwrap();
        let connections = ids.iter().map(|id| Connection {
            ike_policy: policies.get(id).cloned(),
            ..connection(id)
        });
        let connections = connections.collect();
        Ok(Page {
            items: connections,
            next: None,
        })
    }

    async fn plan_create<'a>(
        &'a self,
        _: NewConnection,
        mark: Mark,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        let step = Step {
            mark: Some(mark),
            ..step(Action::Create, None)
        };
        let _permit = self.making.acquire().await.unwrap();
        Ok(self.single(step, || {
            let id = format!("made-{}", self.made.fetch_add(1, Ordering::SeqCst));
            let mut answers = self.answers.lock().unwrap();
            answers.entry(id.clone()).or_insert_with(in_progress);
            let made = connection(&id);
            Ok(self.written(id, Some(made)))
        }))
    }

    async fn plan_update<'a>(
        &'a self,
        id: &'a str,
        _: ConnectionChange,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.known(id)?;
        Ok(self.single(step(Action::Update, Some(id)), || {
            self.known(id)?;
            Ok(self.written(id.to_owned(), Some(connection(id))))
        }))
    }

    async fn plan_delete<'a>(
        &'a self,
        id: &'a str,
        _: Option<String>,
        _: &Call,
    ) -> Result<Box<dyn Plan<Written> + 'a>> {
        self.known(id)?;
        Ok(self.single(step(Action::Delete, Some(id)), || {
            self.known(id)?;
            Ok(self.written(id.to_owned(), None))
        }))
    }

    async fn poll(&self, targets: &[Target], _: &Call) -> Vec<Result<Sighting>> {
        self.polls.fetch_add(targets.len(), Ordering::SeqCst);
        self.batches.fetch_add(1, Ordering::SeqCst);
        self.targets.lock().unwrap().extend_from_slice(targets);
        // What is true when the poll begins is what it brings, however long it takes.
        let mut answers: Vec<Answer> = targets
            .iter()
            .map(|target| {
                let mut answer = self
                    .answers
                    .lock()
                    .unwrap()
                    .get(&target.id)
                    .cloned()
                    .unwrap_or_else(gone);
                if let Ok(sighting) = &mut answer {
                    sighting.request_ids = target.request_ids.clone();
                    let elsewhere = self.elsewhere.lock().unwrap();
                    let said = target.elsewhere.iter();
                    sighting.elsewhere = said
                        .filter_map(|id| Some((id.clone(), elsewhere.get(id)?.clone())))
                        .collect();
                }
                answer
            })
            .collect();
        let _permit = self.gate.acquire().await.unwrap();
        if let Some(account) = &self.account {
            for (target, seen) in targets.iter().zip(&mut answers) {
                account.pay_for(target, seen.as_mut().unwrap()).await;
            }
        }
        answers
    }

    async fn poll_around(
        &self,
        targets: &[Target],
        call: &Call,
        tell: Tell<'_>,
    ) -> Option<Vec<String>> {
        let shows_all = self.shows_all.load(Ordering::SeqCst) && targets.len() > 1;
        let all = shows_all.then(|| self.answers.lock().unwrap().keys().cloned().collect());
        let seen = self.poll(targets, call).await;
        for (place, seen) in seen.into_iter().enumerate() {
            tell(place, seen);
        }
        all
    }
}
