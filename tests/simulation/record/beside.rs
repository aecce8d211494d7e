//! What is written down beside watches: who else used the gateway, and what it said of itself.

use crate::record::{History, Record, now, short};
use std::time::Duration;

/// A time in which a reader who never pauses was at work.
#[derive(Debug, Clone)]
pub struct Greed {
    pub backend: &'static str,
    pub from: Duration,
    pub to: Duration,
    /// Calls that were answered.
    pub answered: usize,
}

/// A call of somebody who asks a little now and then.
#[derive(Debug, Clone)]
pub struct Called {
    pub what: &'static str,
    pub name: String,
    pub at: Duration,
    pub ended: Duration,
    /// Why it failed; none if it did not.
    pub failed: Option<String>,
}

/// What the gateway said of a backend, beside what was true then.
#[derive(Debug, Clone)]
pub struct Sample {
    pub at: Duration,
    pub backend: &'static str,
    /// `watched_connections`.
    pub watched: usize,
    /// The ids that the cloud had.
    pub live: Vec<String>,
    /// The names that the gateway's store kept, of all backends; none where it keeps nothing.
    pub kept: Vec<String>,
}

/// What became of a name that no cloud knows, once the calls that used it were over.
#[derive(Debug, Clone)]
pub struct Junk {
    pub name: String,
    /// When the last of them was over.
    pub over: Duration,
    /// When it was asked about again, with the token that they gave.
    pub resumed: Duration,
    /// How that was answered: a reason, or none for OK.
    pub refused: Option<String>,
}

impl Record {
    pub fn called(&self, called: Called) {
        self.beside(
            |history| &mut history.calls,
            |called| {
                format!(
                    "asked {} of {} at {:?}: {:?}",
                    called.what,
                    short(&called.name),
                    called.at,
                    called.failed
                )
            },
            called,
        );
    }

    pub fn sampled(&self, sample: Sample) {
        self.beside(
            |history| &mut history.samples,
            |sample| {
                format!(
                    "{} watches {} of {}, and {} names are kept",
                    sample.backend,
                    sample.watched,
                    sample.live.len(),
                    sample.kept.len()
                )
            },
            sample,
        );
    }

    pub fn was_greedy(&self, greed: Greed) {
        self.beside(
            |history| &mut history.greed,
            |greed| {
                format!(
                    "a greedy reader of {} got {}",
                    greed.backend, greed.answered
                )
            },
            greed,
        );
    }

    pub fn asked_for_junk(&self, junk: Junk) {
        self.beside(
            |history| &mut history.junk,
            |junk| format!("{} is resumed: {:?}", short(&junk.name), junk.refused),
            junk,
        );
    }

    fn beside<T>(
        &self,
        list: impl Fn(&mut History) -> &mut Vec<T>,
        text: impl Fn(&T) -> String,
        entry: T,
    ) {
        let mut history = self.history();
        let text = text(&entry);
        history.line(now(), &text);
        list(&mut history).push(entry);
    }
}
