//! What keeps a connection being polled: somebody who watches it holds one of these.

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

/// Keeps a connection being polled, and known, for as long as it is held.
#[derive(Debug)]
pub struct Watching {
    names: Arc<Names>,
    subject: Arc<Subject>,
    interest: Interest,
    /// Writes made elsewhere.
    elsewhere: Vec<ForeignWrite>,
    /// Has polls linked to the span it was begun in.
    link: Option<Box<Link>>,
}

impl Watching {
    /// Has the connection of that name polled. The caller plans the first poll.
    pub fn begin(names: &Arc<Names>, name: &ConnectionName, interest: Interest) -> Watching {
        Watching {
            names: Arc::clone(names),
            subject: names.hold(name, interest),
            interest,
            elsewhere: Vec::new(),
            link: None,
        }
    }

    /// The same, for whoever's span is current: polls are linked to it.
    #[must_use]
    pub fn linked(mut self) -> Watching {
        let id = &self.subject.name().id;
        self.link = self.names.links().to_current(Some(id));
        self
    }

    /// Has it polled for something else.
    pub fn change(&mut self, interest: Interest) {
        self.subject.change_interest(self.interest, interest);
        self.interest = interest;
    }

    /// Has the cloud asked about writes made elsewhere, too, for as long as this is held.
    ///
    /// # Errors
    /// `LimitExceeded` if too many others of this connection are waited for.
    pub fn await_elsewhere(&mut self, writes: &[ForeignWrite]) -> Result<()> {
        self.subject.await_elsewhere(writes)?;
        self.elsewhere = writes.to_vec();
        Ok(())
    }

    /// Which connection.
    pub fn subject(&self) -> &Arc<Subject> {
        &self.subject
    }

    /// The writes made elsewhere that it waits for.
    pub fn elsewhere(&self) -> &[ForeignWrite] {
        &self.elsewhere
    }

    /// What is known means for whoever holds this. [`Verdict::GoesOn`] where it cannot be judged by this observation:
    /// what the cloud says of writes made elsewhere goes with the newest only.
    pub fn judge(&self, seen: &Observation, terms: Terms, write: u64) -> Verdict {
        let verdict = judge_bound(&seen.status, terms, write);
        if self.elsewhere.is_empty() {
            return verdict;
        }
        self.subject
            .judge_elsewhere(&self.elsewhere, seen.revision, terms, verdict)
    }

    /// What is said of the connection, for whoever asks about writes made elsewhere.
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
