//! The guard that keeps a connection polled; each watcher holds one.

use crate::{
    core::{
        error::Result,
        watch::{
            elsewhere::ForeignWrite,
            interest::Interest,
            judge::{Terms, Verdict, judge_bound},
            links::Link,
            log::{Observation, Wire},
            names::Names,
            subject::Subject,
        },
    },
    model::ConnectionName,
};
use std::sync::Arc;

/// Keeps a connection polled, and known, for as long as it is held.
#[derive(Debug)]
pub struct Watching {
    names: Arc<Names>,
    subject: Arc<Subject>,
    interest: Interest,
    /// The foreign writes that the watch awaits.
    elsewhere: Vec<ForeignWrite>,
    /// Links polls to the span in which the watch was opened.
    link: Option<Box<Link>>,
}

impl Watching {
    /// Has the connection polled. The caller plans the first poll.
    pub fn begin(names: &Arc<Names>, name: &ConnectionName, interest: Interest) -> Watching {
        Watching {
            names: Arc::clone(names),
            subject: names.hold(name, interest),
            interest,
            elsewhere: Vec::new(),
            link: None,
        }
    }

    /// Also links polls to the current span.
    #[must_use]
    pub fn linked(mut self) -> Watching {
        let id = &self.subject.name().id;
        self.link = self.names.links().to_current(Some(id));
        self
    }

    /// Changes what the watch needs of polls.
    pub fn change(&mut self, interest: Interest) {
        self.subject.change_interest(self.interest, interest);
        self.interest = interest;
    }

    /// Has the polls ask about these foreign writes too, for as long as this guard is held.
    ///
    /// # Errors
    /// `LimitExceeded` if too many other writes of this connection are awaited.
    pub fn await_elsewhere(&mut self, writes: &[ForeignWrite]) -> Result<()> {
        self.subject.await_elsewhere(writes)?;
        self.elsewhere = writes.to_vec();
        Ok(())
    }

    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// Returns the foreign writes that the watch awaits.
    pub fn elsewhere(&self) -> &[ForeignWrite] {
        &self.elsewhere
    }

    /// Judges an observation for this watch. Returns [`Verdict::GoesOn`] where the observation cannot decide: foreign
    /// writes are judged with the newest observation only.
    pub fn judge(&self, seen: &Observation, terms: Terms, write: u64) -> Verdict {
        let verdict = judge_bound(&seen.status, terms, write);
        if self.elsewhere.is_empty() {
            return verdict;
        }
        self.subject
            .judge_elsewhere(&self.elsewhere, seen.revision, terms, verdict)
    }

    /// Returns the observation with the status of the awaited foreign writes.
    pub fn overlay(&self, seen: Arc<Observation>) -> Arc<Observation> {
        if self.elsewhere.is_empty() {
            return seen;
        }
        Arc::new(Observation {
            status: self
                .subject
                .overlay_elsewhere(&self.elsewhere, &seen.status),
            wire: Wire::default(),
            name: seen.name.clone(),
            ..*seen
        })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.names
            .release(&self.subject, self.interest, &self.elsewhere);
    }
}
