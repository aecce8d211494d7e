//! Decides which request goes next: start-time fair queueing over classes and over the clients of a class. Never waits
//! itself.

use crate::{
    account::{BudgetShare, Circuit, Priority, Usage},
    rest::budget::{
        pace::{DEFAULT_PAUSE, Pace},
        recent::Recent,
    },
};
use std::{collections::BTreeMap, time::Duration};
use tokio::{sync::oneshot, time::Instant};

/// Limits of an account.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Maximum requests a second.
    pub rate: f64,
    /// Maximum concurrent requests. A login may run in addition.
    pub concurrency: u32,
}

/// The deadline passes before the budget admits the request. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Whether the cloud asked to back off. If not, the gateway itself has more requests than the account allows.
    pub is_paused: bool,
    /// Earliest sensible time of a retry.
    pub wait: Duration,
}

/// What a request holds while it is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// A slot that any class may take.
    Common,
    /// A slot reserved for the class.
    Kept,
    /// An additional slot, for a login.
    Extra,
}

const LOGIN: usize = 0;
const OUTCOME: usize = 1;
const CALLERS: usize = 2;
const STABLE: usize = 3;
/// Shares of the rate while all classes want more. A login has no competitor.
const WEIGHTS: [f64; 4] = [f64::INFINITY, 2.0, 2.0, 1.0];

/// Returns how many of `slots` are reserved for each class. Any class may take the others.
///
/// Outcomes and callers get a quarter each, and stable requests an eighth; each class gets at least one if there are
/// three slots or more. Of two slots, one is reserved for outcomes. A single slot is shared by turns.
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

/// Returns the class of a request and its client within the class.
fn lane_of(priority: Priority) -> (usize, u64) {
    match priority {
        Priority::Login => (LOGIN, 0),
        Priority::Outcome => (OUTCOME, 0),
        Priority::Caller(client) => (CALLERS, client),
        Priority::Asked => (CALLERS, u64::MAX),
        Priority::Stable => (STABLE, 0),
    }
}

/// All waiting requests, in fair order.
#[derive(Debug)]
pub struct Queue {
    pace: Pace,
    slots: u32,
    /// Unreserved slots that are free.
    common: u32,
    lanes: [Lane; 4],
    /// Virtual time: the start of the request sent last. A request advances its class by 1 / weight.
    now: f64,
    /// Counts waiting requests, to number each one.
    waited: u64,
}

/// The next request and the slot it will hold.
struct Turn {
    lane: usize,
    flow: u64,
    slot: Slot,
}

#[derive(Debug, Default)]
struct Lane {
    reserved: u32,
    /// Reserved slots held by its requests in flight.
    kept: u32,
    in_flight: u32,
    /// Earliest virtual start of its next request.
    start: f64,
    /// Virtual time of its flows.
    now: f64,
    /// By client. A client without state of its own is forgotten.
    flows: BTreeMap<u64, Flow>,
    recent: Recent,
}

#[derive(Debug, Default)]
struct Flow {
    waiting: BTreeMap<u64, Waiter>,
    in_flight: u32,
    start: f64,
}

/// A waiting request.
#[derive(Debug)]
pub struct Waiter {
    /// When the request gives up.
    pub deadline: Instant,
    /// Receives the slot, or the reason why none will be free before the deadline.
    pub call: oneshot::Sender<Result<Slot, Exhausted>>,
}

impl Queue {
    /// Creates an empty queue with a full bucket and all slots free.
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

    /// Queues a request and returns its number. Fails the request at once if it cannot be admitted before its deadline.
    pub fn wait(&mut self, priority: Priority, waiter: Waiter) -> u64 {
        self.waited += 1;
        let now = Instant::now();
        let never = self.pace.paused_until(now) >= Some(waiter.deadline);
        if never || waiter.deadline <= now {
            // The receiver may be gone, which is fine.
            let _ = waiter.call.send(Err(self.exhausted(now)));
            return self.waited;
        }
        let (lane, flow) = lane_of(priority);
        let flow = self.lanes[lane].flows.entry(flow).or_default();
        flow.waiting.insert(self.waited, waiter);
        self.waited
    }

    /// Removes a request that stopped waiting.
    pub fn leave(&mut self, priority: Priority, number: u64) {
        let (lane, flow) = lane_of(priority);
        if let Some(flow) = self.lanes[lane].flows.get_mut(&flow) {
            flow.waiting.remove(&number);
        }
        self.lanes[lane].forget_idle();
    }

    /// Takes back a slot and a token that were granted and not used.
    pub fn unspent(&mut self, priority: Priority, slot: Slot) {
        self.pace.give_back();
        self.lanes[lane_of(priority).0].recent.take_back();
        self.ended(priority, slot);
    }

    /// Frees the slot of a request that ended.
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

    /// Lets the rate recover after an answer.
    pub fn answered(&mut self) {
        self.pace.recover();
    }

    /// Admits all requests that may go. Returns when time alone admits the next one.
    pub fn let_through(&mut self, now: Instant) -> Option<Instant> {
        while let Some(turn) = self.next() {
            if let Err(later) = self.pace.take(now) {
                return Some(later);
            }
            self.start(turn, now);
        }
        None
    }

    /// Returns the next class and client for which a slot is free.
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

    /// Returns the slot that a further request of this flow may take.
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
        // A request leaves the queue under the same lock, so the receiver exists.
        let _ = waiter.call.send(Ok(turn.slot));
    }

    /// Pauses the account and fails the requests whose deadline falls within the pause.
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

    /// Returns how many clients of all classes are remembered.
    #[cfg(test)]
    pub fn clients(&self) -> usize {
        self.lanes.iter().map(|lane| lane.flows.len()).sum()
    }

    /// Returns the failure for a request that waits in vain.
    pub fn exhausted(&self, now: Instant) -> Exhausted {
        let until = self.pace.paused_until(now);
        Exhausted {
            is_paused: until.is_some(),
            wait: until.map_or(DEFAULT_PAUSE, |until| until - now),
        }
    }

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
            // The budget does not know circuits and logins.
            login_rest: Duration::ZERO,
        }
    }
}

impl Lane {
    /// Returns the next client for which a slot is free, and that slot.
    fn next(&self, slot_for: impl Fn(&Flow) -> Option<Slot>) -> Option<(u64, Slot)> {
        let ready = self.flows.iter().filter_map(|(id, flow)| {
            let first = flow.waiting.keys().next()?;
            // Among equals, the request that has waited longest.
            Some((flow.start.max(self.now), *first, *id, slot_for(flow)?))
        });
        let (_, _, id, slot) = ready.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
        Some((id, slot))
    }

    /// Forgets clients that want nothing and have used no more than their share.
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
