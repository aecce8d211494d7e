//! Who is looked at when. Pure: the caller brings the time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// What is at stake in a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stake {
    /// Something is on its way, or somebody waits for an outcome.
    High,
    /// Somebody waits for this look.
    Asked,
    /// Nothing; it is looked at so that a change is not missed.
    Low,
}

impl Stake {
    /// Every stake, the highest first.
    pub const ALL: [Stake; 3] = [Stake::High, Stake::Asked, Stake::Low];
}

/// When both are due, every so many turns one goes to what has little at stake, so that it never starves.
const SHARE_OF_LOW: u64 = 4;

/// Connections by the time at which they are due; each at most once.
#[derive(Debug, Default)]
pub struct Schedule {
    /// By stake.
    queues: [BTreeSet<(Instant, Arc<str>)>; 3],
    at: HashMap<Arc<str>, (Instant, Stake)>,
    turns: u64,
}

impl Schedule {
    /// Has `id` looked at at `when`, or earlier if it is already due earlier; and with the higher stake.
    pub fn no_later_than(&mut self, id: &Arc<str>, when: Instant, stake: Stake) {
        let (when, stake) = match self.at.get(id) {
            Some((known, higher)) => (when.min(*known), stake.min(*higher)),
            None => (when, stake),
        };
        self.remove(id);
        self.queue(stake).insert((when, Arc::clone(id)));
        self.at.insert(Arc::clone(id), (when, stake));
    }

    /// Takes `id` off.
    pub fn remove(&mut self, id: &Arc<str>) {
        if let Some((when, stake)) = self.at.remove(id) {
            self.queue(stake).remove(&(when, Arc::clone(id)));
        }
    }

    /// When the next of these stakes is due.
    pub fn next(&self, of: &[Stake]) -> Option<Instant> {
        let first = |stake: &Stake| Some(self.queues[*stake as usize].first()?.0);
        of.iter().filter_map(first).min()
    }

    /// Takes off what is due at `now`, at most `most` and only of these stakes. If anything is, what is due within
    /// `slack` may come along, because looking at several costs a cloud that can LIST little more than looking at one.
    /// The second part of the answer is the highest stake among them.
    pub fn take_due(
        &mut self,
        now: Instant,
        slack: Duration,
        most: usize,
        of: &[Stake],
    ) -> (Vec<Arc<str>>, Stake) {
        self.turns += 1;
        let mut order = Stake::ALL;
        if self.turns.is_multiple_of(SHARE_OF_LOW) {
            order.rotate_right(1);
        }
        let (mut taken, mut highest) = (Vec::new(), Stake::Low);
        for due in [now, now + slack] {
            for stake in order.into_iter().filter(|stake| of.contains(stake)) {
                let before = taken.len();
                self.take(stake, due, most, &mut taken);
                if taken.len() > before {
                    highest = highest.min(stake);
                }
            }
            if taken.is_empty() {
                break;
            }
        }
        (taken, highest)
    }

    fn take(&mut self, stake: Stake, due: Instant, most: usize, taken: &mut Vec<Arc<str>>) {
        while taken.len() < most {
            let Some((when, id)) = self.queue(stake).first().cloned() else {
                break;
            };
            if when > due {
                break;
            }
            self.remove(&id);
            taken.push(id);
        }
    }

    fn queue(&mut self, stake: Stake) -> &mut BTreeSet<(Instant, Arc<str>)> {
        &mut self.queues[stake as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Arc<str> {
        text.into()
    }

    fn due(schedule: &mut Schedule, now: Instant, slack: Duration, most: usize) -> Vec<Arc<str>> {
        schedule.take_due(now, slack, most, &Stake::ALL).0
    }

    #[test]
    fn what_may_not_begin_is_left_and_holds_nothing_else_up() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        for (name, stake) in [
            ("low", Stake::Low),
            ("asked", Stake::Asked),
            ("high", Stake::High),
        ] {
            schedule.no_later_than(&id(name), start, stake);
        }
        let mut take = |of: &[Stake]| schedule.take_due(start, Duration::ZERO, 9, of);
        assert_eq!(take(&[]), (vec![], Stake::Low));
        assert_eq!(take(&[Stake::Asked]), (vec![id("asked")], Stake::Asked));
        let rest = (vec![id("high"), id("low")], Stake::High);
        assert_eq!(take(&Stake::ALL), rest);
        schedule.no_later_than(&id("low"), start, Stake::Low);
        assert_eq!(schedule.next(&[Stake::High]), None);
        assert_eq!(schedule.next(&Stake::ALL), Some(start));
    }

    #[test]
    fn the_due_come_first_and_the_nearly_due_come_along() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        for (name, seconds) in [("c", 9), ("a", 1), ("b", 3), ("a", 5)] {
            schedule.no_later_than(&id(name), at(seconds), Stake::Low);
        }
        assert_eq!(schedule.next(&Stake::ALL), Some(at(1)));
        let slack = Duration::from_secs(2);
        assert_eq!(due(&mut schedule, at(0), slack, 10), Vec::<Arc<str>>::new());
        assert_eq!(due(&mut schedule, at(1), slack, 10), vec![id("a"), id("b")]);
        assert_eq!(due(&mut schedule, at(9), slack, 0), Vec::<Arc<str>>::new());
        schedule.remove(&id("c"));
        assert_eq!(schedule.next(&Stake::ALL), None);
    }

    #[test]
    fn much_at_stake_goes_first_and_little_does_not_starve() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        for number in 0..40 {
            schedule.no_later_than(&id(&format!("low-{number}")), start, Stake::Low);
        }
        let now = start + Duration::from_secs(60);
        let mut order = Vec::new();
        for _ in 0..12 {
            // One fresh write, due again as soon as it was looked at; it became due last of all.
            schedule.no_later_than(&id("high"), now, Stake::High);
            order.extend(due(&mut schedule, now, Duration::ZERO, 1));
        }
        let high = order.iter().filter(|name| name.starts_with("high")).count();
        assert_eq!((order.len(), high), (12, 9));
    }

    #[test]
    fn a_stake_is_raised_and_not_lowered_while_it_waits() {
        let start = Instant::now();
        let later = start + Duration::from_secs(9);
        let mut schedule = Schedule::default();
        schedule.no_later_than(&id("a"), later, Stake::Low);
        schedule.no_later_than(&id("a"), start, Stake::High);
        schedule.no_later_than(&id("a"), later, Stake::Low);
        schedule.no_later_than(&id("b"), start, Stake::Low);
        assert_eq!(due(&mut schedule, start, Duration::ZERO, 1), vec![id("a")]);
    }
}
