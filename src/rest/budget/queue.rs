//! Who goes next: start-time fair queueing over classes, and over the clients of a class. Never waits itself.

use crate::{
    account::{BudgetShare, Circuit, Priority, Usage},
    rest::budget::{
        pace::{DEFAULT_PAUSE, Pace},
        recent::Recent,
    },
};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// What an account may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Requests a second, at most.
    pub rate: f64,
    /// Requests at the same time. A login is one more.
    pub concurrency: u32,
}

/// The deadline passes before the budget allows the request. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Whether the cloud asked for patience; else the gateway itself has more to ask than it may.
    pub is_paused: bool,
    /// When to try again at the earliest.
    pub wait: Duration,
}

/// What a request holds while it is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// One of those for whoever comes first.
    Common,
    /// One of those kept for its class.
    Kept,
    /// One beside all of them.
    Extra,
}

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

/// Which class of requests it is, and which of its clients.
fn lane_of(priority: Priority) -> (usize, u64) {
    match priority {
        Priority::Login => (LOGIN, 0),
        Priority::Outcome => (OUTCOME, 0),
        Priority::Caller(client) => (CALLERS, client),
        Priority::Asked => (CALLERS, u64::MAX),
        Priority::Stable => (STABLE, 0),
    }
}

/// Everybody who waits, in fair order.
#[derive(Debug)]
pub struct Queue {
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
    /// Its requests of the last ten seconds.
    recent: Recent,
}

/// One client of a class.
#[derive(Debug, Default)]
struct Flow {
    waiting: BTreeMap<u64, Waiter>,
    in_flight: u32,
    start: f64,
}

/// One who waits.
#[derive(Debug)]
pub struct Waiter {
    /// When it gives up.
    pub deadline: Instant,
    /// Told that it may go, or that it will not before it gives up.
    pub call: oneshot::Sender<Result<Slot, Exhausted>>,
}

impl Queue {
    /// Nobody waits, and all is there.
    pub fn new(limits: Limits) -> Queue {
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

    /// Somebody waits: under which number. Told at once if it would be in vain.
    pub fn wait(&mut self, priority: Priority, waiter: Waiter) -> u64 {
        self.waited += 1;
        let now = Instant::now();
        let never = self.pace.paused_until(now) >= Some(waiter.deadline);
        if never || waiter.deadline <= now {
            // A receiver that is gone needs no word.
            let _ = waiter.call.send(Err(self.exhausted(now)));
            return self.waited;
        }
        let (lane, flow) = lane_of(priority);
        let flow = self.lanes[lane].flows.entry(flow).or_default();
        flow.waiting.insert(self.waited, waiter);
        self.waited
    }

    /// Somebody no longer waits.
    pub fn leave(&mut self, priority: Priority, number: u64) {
        let (lane, flow) = lane_of(priority);
        if let Some(flow) = self.lanes[lane].flows.get_mut(&flow) {
            flow.waiting.remove(&number);
        }
        self.lanes[lane].forget_idle();
    }

    /// Gives back what was handed to somebody who did not use it.
    pub fn unspent(&mut self, priority: Priority, slot: Slot) {
        self.pace.give_back();
        self.lanes[lane_of(priority).0].recent.take_back();
        self.ended(priority, slot);
    }

    /// A request is over.
    pub fn ended(&mut self, priority: Priority, slot: Slot) {
        let (lane, flow) = lane_of(priority);
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

    /// The cloud answered one.
    pub fn answered(&mut self) {
        self.pace.recover();
    }

    /// Lets everybody through who may go now. Answers when time alone lets the next one through.
    pub fn let_through(&mut self, now: Instant) -> Option<Instant> {
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
        lane.recent.add(now);
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

    /// The cloud asks for patience. Whoever would wait longer than it can is told.
    pub fn throttled(&mut self, pause: Duration, now: Instant) {
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

    /// How many clients of all classes are remembered.
    #[cfg(test)]
    pub fn clients(&self) -> usize {
        self.lanes.iter().map(|lane| lane.flows.len()).sum()
    }

    /// What is said to whoever waits in vain.
    pub fn exhausted(&self, now: Instant) -> Exhausted {
        let until = self.pace.paused_until(now);
        Exhausted {
            is_paused: until.is_some(),
            wait: until.map_or(DEFAULT_PAUSE, |until| until - now),
        }
    }

    /// How much is used.
    pub fn used(&self, now: Instant) -> Usage {
        let sent = |lane: &Lane| lane.recent.rate(now);
        let all: f64 = WEIGHTS[OUTCOME..].iter().sum();
        let share = |index: usize| {
            let lane: &Lane = &self.lanes[index];
            BudgetShare {
                rate: self.pace.rate() * WEIGHTS[index] / all,
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
        Usage {
            rate_limit: self.pace.rate(),
            rate_used: self.lanes.iter().map(sent).sum(),
            concurrency_limit: self.slots,
            in_flight: self.lanes.iter().map(|lane| lane.in_flight).sum(),
            paused_for: self.pace.paused_until(now).map(|until| until - now),
            outcome: share(OUTCOME),
            callers: share(CALLERS),
            stable: share(STABLE),
            circuit: Circuit::default(),
            // Of circuits and logins a budget knows nothing.
            login_rest: Duration::ZERO,
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
}
