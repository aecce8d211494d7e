//! Who is looked at when. Pure: the caller brings the time.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// Connections by the time at which they are due; each at most once.
#[derive(Debug, Default)]
pub struct Schedule {
    due: BTreeSet<(Instant, Arc<str>)>,
    at: HashMap<Arc<str>, Instant>,
}

impl Schedule {
    /// Has `id` looked at at `when`, or earlier if it is already due earlier.
    pub fn no_later_than(&mut self, id: &Arc<str>, when: Instant) {
        match self.at.get(id) {
            Some(known) if *known <= when => {}
            _ => {
                self.remove(id);
                self.due.insert((when, Arc::clone(id)));
                self.at.insert(Arc::clone(id), when);
            }
        }
    }

    /// Takes `id` off.
    pub fn remove(&mut self, id: &Arc<str>) {
        if let Some(when) = self.at.remove(id) {
            self.due.remove(&(when, Arc::clone(id)));
        }
    }

    /// When the next is due.
    pub fn next(&self) -> Option<Instant> {
        self.due.first().map(|(when, _)| *when)
    }

    /// Takes off what is due at `now`, at most `most`. If anything is, what is due within `slack` may come
    /// along, because looking at several costs a cloud that can LIST little more than looking at one.
    pub fn take_due(&mut self, now: Instant, slack: Duration, most: usize) -> Vec<Arc<str>> {
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some((when, id)) = self.due.first().cloned() else {
                break;
            };
            let allowed = if taken.is_empty() { now } else { now + slack };
            if when > allowed {
                break;
            }
            self.remove(&id);
            taken.push(id);
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_due_come_first_and_the_nearly_due_come_along() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut schedule = Schedule::default();
        for (id, seconds) in [("c", 9), ("a", 1), ("b", 3), ("a", 5)] {
            schedule.no_later_than(&id.into(), at(seconds));
        }
        assert_eq!(schedule.next(), Some(at(1)));
        let slack = Duration::from_secs(2);
        assert_eq!(schedule.take_due(at(0), slack, 10), Vec::<Arc<str>>::new());
        assert_eq!(
            schedule.take_due(at(1), slack, 10),
            vec!["a".into(), "b".into()]
        );
        assert_eq!(schedule.take_due(at(9), slack, 0), Vec::<Arc<str>>::new());
        schedule.remove(&"c".into());
        assert_eq!(schedule.next(), None);
    }
}
