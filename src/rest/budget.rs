//! How many requests one upstream account may have: a rate and a number at the same time, shared fairly by everybody
//! who uses the account, shrinking when the cloud asks for patience.
//!
//! NSX allows 100 requests a second and 40 at the same time per user, and answers 429 (or 503) beyond.
//! A refused request halves the rate; every answered one lets it recover by a little.
//!
//! # Who goes first
//! ```text
//!   login     ────────────────► one at a time, before everybody: they all wait for it
//!   outcome   ──┐ 2
//!   callers   ──┼ 2 ──► rate ─► slots ─► the cloud
//!     a b c     │      (start-time fair queueing)
//!   stable    ──┘ 1
//! ```
//! The rate is shared by weight, by start-time fair queueing (Goyal, Vin and Cheng, 1996), as in Kubernetes' priority
//! and fairness: what one class does not want goes to the others, and what it did not want then gives it no credit
//! now. Among callers, each client has an equal share in the same way.
//!
//! A request that hangs cannot be taken back, so that a fair order is not enough for what is under way at the same
//! time: some slots are kept for each class (`reserved`), and whoever comes first has the rest. Of those kept for
//! callers, a client that holds slots already gets another only while two are free, and it holds less than twice as
//! many as are free (the dynamic threshold of Choudhury and Hahne, 1998): so whoever comes next finds one.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, oneshot},
    time::{Instant, sleep_until},
};

/// What an account may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests a second, at most.
    pub rate: f64,
    /// Requests at the same time. A login is one more.
    pub concurrency: u32,
}

/// How much of it is used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Used {
    /// Requests a second allowed now.
    pub rate_limit: f64,
    /// Requests a second over the last ten seconds, logins among them.
    pub rate_used: f64,
    /// Requests allowed at the same time.
    pub concurrency_limit: u32,
    /// Requests under way, logins among them.
    pub in_flight: u32,
    /// How long nothing will be sent yet.
    pub paused_for: Option<Duration>,
    /// What [`Class::Outcome`] has of it.
    pub outcome: Share,
    /// What [`Class::Caller`] and [`Class::Asked`] have of it, all clients together.
    pub callers: Share,
    /// What [`Class::Stable`] has of it.
    pub stable: Share,
}

/// What one class has of a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Requests a second that it gets now if it wants them, whatever the others want.
    pub rate: f64,
    /// Requests a second that it had over the last ten seconds.
    pub rate_used: f64,
    /// Requests at the same time that nobody else can keep it from.
    pub slots: u32,
    /// Its requests under way.
    pub in_flight: u32,
    /// Its requests that wait to be sent.
    pub waiting: u32,
}

/// For whom a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// For everybody: without it nothing else can be sent. Never made twice at the same time.
    Login,
    /// For somebody who waits for what becomes of a write.
    Outcome,
    /// For a client who waits for its answer. The number tells clients apart.
    Caller(u64),
    /// For several clients together: as if it were for one more.
    Asked,
    /// For nobody in particular; it can wait.
    Stable,
}

/// The deadline passes before the budget allows the request. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Whether the cloud asked for patience; else the gateway itself has more to ask than it may.
    pub is_paused: bool,
    /// When to try again at the earliest.
    pub wait: Duration,
}

/// The shared budget of one account.
#[derive(Debug)]
pub struct Budget {
    /// A std mutex: held for arithmetic only, never across an await.
    queue: Mutex<Queue>,
    /// Held by one of those who wait: it lets the others through as time passes.
    clock: tokio::sync::Mutex<()>,
    /// Something other than time has changed.
    changed: Notify,
}

/// The share of the allowed rate below which throttling never pushes it.
const FLOOR: f64 = 0.02;
/// How much of the full rate each answered request gives back.
const RECOVERY: f64 = 0.01;
/// The pause after a refusal that names none.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause a cloud may ask for; longer ones count as this.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(300);
const WINDOW: Duration = Duration::from_secs(10);

const LOGIN: usize = 0;
const OUTCOME: usize = 1;
const CALLERS: usize = 2;
const STABLE: usize = 3;
/// The share of the rate that each class has, where all want more. A login waits for nobody.
const WEIGHTS: [f64; 4] = [f64::INFINITY, 2.0, 2.0, 1.0];

/// How many of `slots` are kept for each class; the others are for whoever comes first.
///
/// Two quarters and an eighth, one at least where there are three. Of two, one is kept for outcomes; a single one is
/// for all, by turns.
fn reserved(slots: u32) -> [u32; 4] {
    match slots {
        0 | 1 => [0; 4],
        2 => [0, 1, 0, 0],
        _ => [
            0,
            (slots / 4).max(1),
            (slots / 4).max(1),
            (slots / 8).max(1),
        ],
    }
}

impl Class {
    fn lane(self) -> (usize, u64) {
        match self {
            Class::Login => (LOGIN, 0),
            Class::Outcome => (OUTCOME, 0),
            Class::Caller(client) => (CALLERS, client),
            Class::Asked => (CALLERS, u64::MAX),
            Class::Stable => (STABLE, 0),
        }
    }
}

/// Leave to send one request. Held until its answer is read.
#[derive(Debug)]
pub struct Leave<'a> {
    budget: &'a Budget,
    class: Class,
    slot: Slot,
}

/// What a request holds while it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// One of those for whoever comes first.
    Common,
    /// One of those kept for its class.
    Kept,
    /// One beside all of them.
    Extra,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut queue = self.budget.queue();
        queue.ended(self.class, self.slot);
        self.budget.let_through(&mut queue);
    }
}

/// A place among those who wait. Dropped before it led to anything, it gives back what it was handed.
struct Place<'a> {
    budget: &'a Budget,
    class: Class,
    number: u64,
    called: oneshot::Receiver<Result<Slot, Exhausted>>,
}

impl<'a> Place<'a> {
    fn taken(budget: &'a Budget, class: Class, deadline: Instant) -> Place<'a> {
        let (call, called) = oneshot::channel();
        let mut queue = budget.queue();
        let number = queue.wait(class, Waiter { deadline, call });
        budget.let_through(&mut queue);
        drop(queue);
        Place {
            budget,
            class,
            number,
            called,
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queue = self.budget.queue();
        // Whoever is called is so under the lock.
        match self.called.try_recv() {
            Ok(Ok(slot)) => queue.unspent(self.class, slot),
            Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => return,
            Err(oneshot::error::TryRecvError::Empty) => queue.leave(self.class, self.number),
        }
        self.budget.let_through(&mut queue);
    }
}

impl Budget {
    /// A budget that is full.
    pub fn new(limits: Limits) -> Budget {
        Budget {
            queue: Mutex::new(Queue::new(limits)),
            clock: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        }
    }

    /// Waits until one more request may be sent.
    ///
    /// # Errors
    /// If that is not before `deadline`; at once, if the account is paused until then.
    pub async fn acquire(&self, class: Class, deadline: Instant) -> Result<Leave<'_>, Exhausted> {
        let mut place = Place::taken(self, class, deadline);
        let called = tokio::select! {
            biased;
            called = &mut place.called => called,
            () = sleep_until(deadline) => return Err(self.queue().exhausted(Instant::now())),
            never = self.keep_time() => match never {},
        };
        called
            .expect("a place is called before it is given up")
            .map(|slot| Leave {
                budget: self,
                class,
                slot,
            })
    }

    /// Lets through whoever may go as time passes. One of those who wait does it for all.
    async fn keep_time(&self) -> Infallible {
        let _clock = self.clock.lock().await;
        loop {
            let next = self.queue().let_through(Instant::now());
            let changed = self.changed.notified();
            match next {
                Some(next) => tokio::select! {
                    biased;
                    () = sleep_until(next) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        }
    }

    /// The cloud asked for patience (429, 503): halves the rate and pauses, at most [`LONGEST_PAUSE`]. Whoever would
    /// wait longer than it can is told at once.
    pub fn throttled(&self, pause: Duration) {
        self.queue().throttled(pause, Instant::now());
        self.changed.notify_one();
    }

    /// The cloud answered: lets the rate recover.
    pub fn answered(&self) {
        self.queue().pace.recover();
    }

    /// How much is used now.
    pub fn used(&self) -> Used {
        self.queue().used(Instant::now())
    }

    fn let_through(&self, queue: &mut Queue) {
        if queue.let_through(Instant::now()).is_some() {
            self.changed.notify_one();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everybody who waits, in fair order.
#[derive(Debug)]
struct Queue {
    pace: Pace,
    slots: u32,
    /// Slots for whoever comes first that nobody holds.
    common: u32,
    lanes: [Lane; 4],
    /// Virtual time: the start of the request that was sent last. A request takes its class 1 / weight of it.
    now: f64,
    /// Counts those who wait, so that each has a number.
    waited: u64,
}

/// Who goes next, and what it will hold.
struct Turn {
    lane: usize,
    flow: u64,
    slot: Slot,
}

/// One class.
#[derive(Debug, Default)]
struct Lane {
    reserved: u32,
    /// Of its requests under way, those that hold one of the slots kept for it.
    kept: u32,
    in_flight: u32,
    /// When its next request starts at the earliest, in virtual time.
    start: f64,
    /// The virtual time of its flows.
    now: f64,
    /// By client. None is kept of whom nothing is known that another would not know.
    flows: BTreeMap<u64, Flow>,
    /// When its requests of the last ten seconds were sent.
    recent: VecDeque<Instant>,
}

/// One client of a class.
#[derive(Debug, Default)]
struct Flow {
    waiting: BTreeMap<u64, Waiter>,
    in_flight: u32,
    start: f64,
}

#[derive(Debug)]
struct Waiter {
    deadline: Instant,
    call: oneshot::Sender<Result<Slot, Exhausted>>,
}

impl Queue {
    fn new(limits: Limits) -> Queue {
        let reserved = reserved(limits.concurrency);
        Queue {
            pace: Pace::new(limits.rate),
            slots: limits.concurrency,
            common: limits.concurrency - reserved.iter().sum::<u32>(),
            lanes: reserved.map(|reserved| Lane {
                reserved,
                ..Lane::default()
            }),
            now: 0.0,
            waited: 0,
        }
    }

    fn wait(&mut self, class: Class, waiter: Waiter) -> u64 {
        self.waited += 1;
        let now = Instant::now();
        let never = self.pace.paused_until(now) >= Some(waiter.deadline);
        if never || waiter.deadline <= now {
            // A receiver that is gone needs no word.
            let _ = waiter.call.send(Err(self.exhausted(now)));
            return self.waited;
        }
        let (lane, flow) = class.lane();
        let flow = self.lanes[lane].flows.entry(flow).or_default();
        flow.waiting.insert(self.waited, waiter);
        self.waited
    }

    fn leave(&mut self, class: Class, number: u64) {
        let (lane, flow) = class.lane();
        if let Some(flow) = self.lanes[lane].flows.get_mut(&flow) {
            flow.waiting.remove(&number);
        }
        self.lanes[lane].forget_idle();
    }

    /// Gives back what was handed to somebody who did not use it.
    fn unspent(&mut self, class: Class, slot: Slot) {
        self.pace.tokens += 1.0;
        self.lanes[class.lane().0].recent.pop_back();
        self.ended(class, slot);
    }

    fn ended(&mut self, class: Class, slot: Slot) {
        let (lane, flow) = class.lane();
        let lane = &mut self.lanes[lane];
        lane.in_flight -= 1;
        match slot {
            Slot::Common => self.common += 1,
            Slot::Kept => lane.kept -= 1,
            Slot::Extra => {}
        }
        if let Some(flow) = lane.flows.get_mut(&flow) {
            flow.in_flight -= 1;
        }
        lane.forget_idle();
    }

    /// Lets everybody through who may go now. Answers when time alone lets the next one through.
    fn let_through(&mut self, now: Instant) -> Option<Instant> {
        while let Some(turn) = self.next() {
            if let Err(later) = self.pace.take(now) {
                return Some(later);
            }
            self.start(turn, now);
        }
        None
    }

    /// The class and client whose turn it is, of those that a slot is free for.
    fn next(&self) -> Option<Turn> {
        let turn = |lane: usize, slot_for: &dyn Fn(&Flow) -> Option<Slot>| {
            let (flow, slot) = self.lanes[lane].next(slot_for)?;
            Some(Turn { lane, flow, slot })
        };
        let login = turn(LOGIN, &|_| Some(Slot::Extra));
        let start = |turn: &Turn| self.lanes[turn.lane].start.max(self.now);
        login.or_else(|| {
            (OUTCOME..self.lanes.len())
                .filter_map(|lane| turn(lane, &|flow| self.slot_for(lane, flow)))
                .min_by(|a, b| start(a).total_cmp(&start(b)))
        })
    }

    /// The slot that another request may take.
    fn slot_for(&self, lane: usize, flow: &Flow) -> Option<Slot> {
        let own = &self.lanes[lane];
        let free = own.reserved - own.kept;
        let is_fair =
            lane != CALLERS || flow.in_flight == 0 || (free > 1 && flow.in_flight < 2 * free);
        match free {
            _ if self.common > 0 => Some(Slot::Common),
            1.. if is_fair => Some(Slot::Kept),
            _ => None,
        }
    }

    fn start(&mut self, turn: Turn, now: Instant) {
        let lane = &mut self.lanes[turn.lane];
        let Some(client) = lane.flows.get_mut(&turn.flow) else {
            return;
        };
        let Some((_, waiter)) = client.waiting.pop_first() else {
            return;
        };
        lane.now = client.start.max(lane.now);
        client.start = lane.now + 1.0;
        client.in_flight += 1;
        lane.in_flight += 1;
        lane.recent.push_back(now);
        match turn.slot {
            Slot::Common => self.common -= 1,
            Slot::Kept => lane.kept += 1,
            Slot::Extra => {}
        }
        if turn.lane != LOGIN {
            self.now = lane.start.max(self.now);
            lane.start = self.now + 1.0 / WEIGHTS[turn.lane];
        }
        // Its place is given up under the same lock, so that the receiver is there.
        let _ = waiter.call.send(Ok(turn.slot));
    }

    fn throttled(&mut self, pause: Duration, now: Instant) {
        self.pace.throttled(pause, now);
        let until = self.pace.paused_until(now);
        let told = self.exhausted(now);
        for lane in &mut self.lanes {
            for flow in lane.flows.values_mut() {
                for (number, waiter) in std::mem::take(&mut flow.waiting) {
                    if until >= Some(waiter.deadline) {
                        let _ = waiter.call.send(Err(told));
                    } else {
                        flow.waiting.insert(number, waiter);
                    }
                }
            }
            lane.forget_idle();
        }
    }

    fn exhausted(&self, now: Instant) -> Exhausted {
        let until = self.pace.paused_until(now);
        Exhausted {
            is_paused: until.is_some(),
            wait: until.map_or(DEFAULT_PAUSE, |until| until - now),
        }
    }

    fn used(&mut self, now: Instant) -> Used {
        for lane in &mut self.lanes {
            lane.forget_old(now);
        }
        let sent = |lane: &Lane| lane.recent.len() as f64 / WINDOW.as_secs_f64();
        let all: f64 = WEIGHTS[OUTCOME..].iter().sum();
        let share = |index: usize| {
            let lane: &Lane = &self.lanes[index];
            Share {
                rate: self.pace.rate * WEIGHTS[index] / all,
                rate_used: sent(lane),
                slots: lane.reserved,
                in_flight: lane.in_flight,
                waiting: lane
                    .flows
                    .values()
                    .map(|flow| flow.waiting.len() as u32)
                    .sum(),
            }
        };
        Used {
            rate_limit: self.pace.rate,
            rate_used: self.lanes.iter().map(sent).sum(),
            concurrency_limit: self.slots,
            in_flight: self.lanes.iter().map(|lane| lane.in_flight).sum(),
            paused_for: self.pace.paused_until(now).map(|until| until - now),
            outcome: share(OUTCOME),
            callers: share(CALLERS),
            stable: share(STABLE),
        }
    }
}

impl Lane {
    /// The client whose turn it is of those for whom there is a slot, and that slot.
    fn next(&self, slot_for: impl Fn(&Flow) -> Option<Slot>) -> Option<(u64, Slot)> {
        let ready = self.flows.iter().filter_map(|(id, flow)| {
            let first = flow.waiting.keys().next()?;
            // Whoever began to wait first, where several have had as much.
            Some((flow.start.max(self.now), *first, *id, slot_for(flow)?))
        });
        let (_, _, id, slot) = ready.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
        Some((id, slot))
    }

    /// Forgets clients that want nothing and have had no more than others.
    fn forget_idle(&mut self) {
        let now = self.now;
        let is_idle = |flow: &Flow| flow.waiting.is_empty() && flow.in_flight == 0;
        if self.flows.values().all(is_idle) {
            self.flows.clear();
        } else {
            self.flows
                .retain(|_, flow| !is_idle(flow) || flow.start > now);
        }
    }

    fn forget_old(&mut self, now: Instant) {
        while self
            .recent
            .front()
            .is_some_and(|sent| now.duration_since(*sent) > WINDOW)
        {
            self.recent.pop_front();
        }
    }
}

/// How many requests a second.
#[derive(Debug)]
struct Pace {
    most: f64,
    rate: f64,
    tokens: f64,
    refilled: Instant,
    paused_until: Option<Instant>,
}

impl Pace {
    fn new(rate: f64) -> Pace {
        Pace {
            most: rate,
            rate,
            tokens: burst(rate),
            refilled: Instant::now(),
            paused_until: None,
        }
    }

    fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| now < *until)
    }

    /// Takes one token, or says when to ask again.
    fn take(&mut self, now: Instant) -> Result<(), Instant> {
        if let Some(until) = self.paused_until {
            if now < until {
                return Err(until);
            }
            self.paused_until = None;
            self.refilled = now;
        }
        let elapsed = now.duration_since(self.refilled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(burst(self.rate));
        self.refilled = now;
        // Not exactly 1: refilling by floating point may end a hair below it.
        if self.tokens + 1e-6 >= 1.0 {
            self.tokens -= 1.0;
            Ok(())
        } else {
            let wait = ((1.0 - self.tokens) / self.rate).max(0.001);
            Err(now + Duration::from_secs_f64(wait))
        }
    }

    fn throttled(&mut self, pause: Duration, now: Instant) {
        let until = now + pause.min(LONGEST_PAUSE);
        self.paused_until = Some(self.paused_until.map_or(until, |known| known.max(until)));
        self.rate = (self.rate / 2.0).max(self.most * FLOOR);
        self.tokens = 0.0;
    }

    fn recover(&mut self) {
        self.rate = (self.rate + self.most * RECOVERY).min(self.most);
    }
}

/// Tokens that can be saved up: half a second's worth, at least one. So no second ever has more than one and a half
/// times the rate, which is how a cloud that counts by the second sees it.
fn burst(rate: f64) -> f64 {
    (rate / 2.0).max(1.0)
}

#[cfg(test)]
mod tests;
