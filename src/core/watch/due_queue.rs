//! A queue of polls by due time, which also decides which polls may join a batch. `polling` and `pace` decide when a
//! connection is due. Pure: the caller supplies the time.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tokio::time::Instant;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stake {
    /// A write is in progress, or a watch waits for an outcome.
    High,
    /// A call waits for this poll.
    Asked,
    /// The poll only makes sure that no change is missed.
    Low,
}

impl Stake {
    /// Every stake, the highest first.
    pub const ALL: [Stake; 3] = [Stake::High, Stake::Asked, Stake::Low];

    pub fn as_str(self) -> &'static str {
        match self {
            Stake::High => "high",
            Stake::Asked => "asked",
            Stake::Low => "low",
        }
    }
}

/// When polls of all stakes are due, every fourth turn goes to low stake first, so that it never starves.
const SHARE_OF_LOW: u64 = 4;

/// The time window of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// The earliest time at which the poll may join the batch of another that is due.
    pub from: Instant,
    /// The latest time.
    pub due: Instant,
}

/// Polls by due time, with the earliest time at which each may join a batch. Each connection is queued at most once.
#[derive(Debug, Default)]
pub struct DueQueue {
    /// By stake: maps (due, id) to the earliest time.
    queues: [BTreeMap<(Instant, Arc<str>), Instant>; 3],
    at: HashMap<Arc<str>, (Instant, Stake)>,
    turns: u64,
}

impl DueQueue {
    /// Queues a poll of `id`. If one is queued already, keeps the earlier times and the higher stake.
    pub fn no_later_than(&mut self, id: &Arc<str>, planned: Planned, stake: Stake) {
        let Planned { mut from, mut due } = planned;
        let mut stake = stake;
        if let Some((known, known_stake)) = self.at.get(id).copied() {
            if let Some(known_from) = self.queue(known_stake).remove(&(known, Arc::clone(id))) {
                from = from.min(known_from);
            }
            due = due.min(known);
            stake = stake.min(known_stake);
        }
        self.queue(stake).insert((due, Arc::clone(id)), from);
        self.at.insert(Arc::clone(id), (due, stake));
    }

    pub fn remove(&mut self, id: &Arc<str>) {
        if let Some((due, stake)) = self.at.remove(id) {
            self.queue(stake).remove(&(due, Arc::clone(id)));
        }
    }

    /// Returns the earliest due time among these stakes.
    pub fn next(&self, of: &[Stake]) -> Option<Instant> {
        let first = |stake: &Stake| {
            let ((due, _), _) = self.queues[*stake as usize].first_key_value()?;
            Some(*due)
        };
        of.iter().filter_map(first).min()
    }

    /// Takes up to `most` polls of these stakes that are due at `now`. If any is due, fills the batch with those that
    /// may join it, the soonest due first, because a LIST of several connections costs a cloud little more than polling
    /// one. Returns the batch, sorted by id, with its highest stake.
    pub fn take_due(&mut self, now: Instant, most: usize, of: &[Stake]) -> (Vec<Arc<str>>, Stake) {
        let turn = self.turns + 1;
        let mut order = Stake::ALL;
        if turn.is_multiple_of(SHARE_OF_LOW) {
            order.rotate_right(1);
        }
        let (mut taken, mut highest) = (Vec::new(), Stake::Low);
        for by in [Some(now), None] {
            for stake in order.into_iter().filter(|stake| of.contains(stake)) {
                let before = taken.len();
                self.take(stake, now, by, most, &mut taken);
                if taken.len() > before {
                    highest = highest.min(stake);
                }
            }
            if taken.is_empty() {
                return (taken, highest);
            }
        }
        // How often the poller was woken without a poll being due decides nothing.
        self.turns = turn;
        taken.sort_unstable();
        (taken, highest)
    }

    /// Takes the polls that may start now and are due by `by`; with `None`, whatever their due time.
    fn take(
        &mut self,
        stake: Stake,
        now: Instant,
        by: Option<Instant>,
        most: usize,
        taken: &mut Vec<Arc<str>>,
    ) {
        let room = most.saturating_sub(taken.len());
        let wanted: Vec<Arc<str>> = self
            .queue(stake)
            .iter()
            .take_while(|((due, _), _)| by.is_none_or(|by| *due <= by))
            .filter(|(_, from)| **from <= now)
            .map(|((_, id), _)| Arc::clone(id))
            .take(room)
            .collect();
        wanted.iter().for_each(|id| self.remove(id));
        taken.extend(wanted);
    }

    fn queue(&mut self, stake: Stake) -> &mut BTreeMap<(Instant, Arc<str>), Instant> {
        &mut self.queues[stake as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn id(text: &str) -> Arc<str> {
        text.into()
    }

    fn at(start: Instant, from: u64, due: u64) -> Planned {
        Planned {
            from: start + Duration::from_secs(from),
            due: start + Duration::from_secs(due),
        }
    }

    fn due(queue: &mut DueQueue, now: Instant, most: usize) -> Vec<Arc<str>> {
        queue.take_due(now, most, &Stake::ALL).0
    }

    #[test]
    fn what_may_not_begin_is_left_and_holds_nothing_else_up() {
        let start = Instant::now();
        let mut queue = DueQueue::default();
        for (name, stake) in [
            ("low", Stake::Low),
            ("asked", Stake::Asked),
            ("high", Stake::High),
        ] {
            queue.no_later_than(&id(name), at(start, 0, 0), stake);
        }
        let mut take = |of: &[Stake]| queue.take_due(start, 9, of);
        assert_eq!(take(&[]), (vec![], Stake::Low));
        assert_eq!(take(&[Stake::Asked]), (vec![id("asked")], Stake::Asked));
        let rest = (vec![id("high"), id("low")], Stake::High);
        assert_eq!(take(&Stake::ALL), rest);
        queue.no_later_than(&id("low"), at(start, 0, 0), Stake::Low);
        assert_eq!(queue.next(&[Stake::High]), None);
        assert_eq!(queue.next(&Stake::ALL), Some(start));
    }

    #[test]
    fn the_due_come_first_and_whoever_may_comes_along() {
        let start = Instant::now();
        let now = |seconds| start + Duration::from_secs(seconds);
        let mut queue = DueQueue::default();
        for (name, from, due) in [
            ("c", 4, 9),
            ("a", 1, 1),
            ("b", 0, 3),
            ("d", 0, 8),
            ("a", 1, 5),
        ] {
            queue.no_later_than(&id(name), at(start, from, due), Stake::Low);
        }
        assert_eq!(queue.next(&Stake::ALL), Some(now(1)));
        assert_eq!(due(&mut queue, now(0), 10), Vec::<Arc<str>>::new());
        // Among those that may join, the soonest due come first.
        assert_eq!(due(&mut queue, now(1), 2), vec![id("a"), id("b")]);
        assert_eq!(queue.next(&Stake::ALL), Some(now(8)));
        assert_eq!(due(&mut queue, now(3), 10), Vec::<Arc<str>>::new());
        assert_eq!(due(&mut queue, now(8), 1), vec![id("d")]);
        // A poll whose due time moves earlier may also join earlier.
        queue.no_later_than(&id("e"), at(start, 9, 9), Stake::Low);
        queue.no_later_than(&id("c"), at(start, 8, 20), Stake::Low);
        queue.no_later_than(&id("f"), at(start, 10, 12), Stake::High);
        queue.no_later_than(&id("f"), at(start, 9, 40), Stake::Low);
        assert_eq!(due(&mut queue, now(9), 10), vec![id("c"), id("e"), id("f")]);
        queue.remove(&id("c"));
        assert_eq!(queue.next(&Stake::ALL), None);
    }

    #[test]
    fn much_at_stake_goes_first_and_little_does_not_starve() {
        let start = Instant::now();
        let mut queue = DueQueue::default();
        for number in 0..40 {
            queue.no_later_than(&id(&format!("low-{number}")), at(start, 0, 0), Stake::Low);
        }
        let mut order = Vec::new();
        for _ in 0..12 {
            // One fresh write, due again right after its poll; it became due last of all.
            queue.no_later_than(&id("high"), at(start, 60, 60), Stake::High);
            order.extend(due(&mut queue, start + Duration::from_secs(60), 1));
        }
        let high = order.iter().filter(|name| name.starts_with("high")).count();
        assert_eq!((order.len(), high), (12, 9));
    }

    #[test]
    fn a_turn_without_a_due_poll_decides_nothing() {
        let start = Instant::now();
        let later = start + Duration::from_secs(9);
        for idle in 0..5 {
            let mut queue = DueQueue::default();
            queue.no_later_than(&id("low"), at(start, 9, 9), Stake::Low);
            queue.no_later_than(&id("high"), at(start, 9, 9), Stake::High);
            for _ in 0..idle {
                assert_eq!(due(&mut queue, start, 1), Vec::<Arc<str>>::new());
            }
            assert_eq!(due(&mut queue, later, 1), vec![id("high")]);
        }
    }

    #[test]
    fn a_batch_has_the_same_order_in_every_turn() {
        let start = Instant::now();
        let mut queue = DueQueue::default();
        for _ in 0..5 {
            queue.no_later_than(&id("a"), at(start, 0, 0), Stake::Low);
            queue.no_later_than(&id("b"), at(start, 0, 0), Stake::High);
            assert_eq!(due(&mut queue, start, 9), vec![id("a"), id("b")]);
        }
    }

    #[test]
    fn a_stake_is_raised_and_not_lowered_while_it_waits() {
        let start = Instant::now();
        let mut queue = DueQueue::default();
        queue.no_later_than(&id("a"), at(start, 9, 9), Stake::Low);
        queue.no_later_than(&id("a"), at(start, 0, 0), Stake::High);
        queue.no_later_than(&id("a"), at(start, 9, 9), Stake::Low);
        queue.no_later_than(&id("b"), at(start, 0, 0), Stake::Low);
        assert_eq!(due(&mut queue, start, 1), vec![id("a")]);
    }
}
