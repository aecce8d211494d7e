//! What is written down of writes that are repeated until they are answered, and of what they left.

use crate::{
    clouds::Object,
    record::{End, Record},
};
use http::Method;
use std::time::Duration;

/// One call of a write; those with the same id are the same write.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// Its `request_id`.
    pub id: String,
    /// What it makes or removes has this name.
    pub label: String,
    pub backend: &'static str,
    pub method: Method,
    pub begun: Duration,
    pub ended: Duration,
    /// The resource's name and the whole answer, or how it failed.
    pub result: Result<(String, Vec<u8>), End>,
}

/// A watch of a removal ended with success.
#[derive(Debug, Clone)]
pub struct Gone {
    pub label: String,
    pub at: Duration,
    /// What the clouds had then that was made for it and nobody used.
    pub left: Vec<Object>,
}

/// What the gateway said at the end of writes that did not end with their calls.
#[derive(Debug, Clone)]
pub struct NotEnded {
    pub backend: &'static str,
    pub state: String,
    pub name: String,
}

impl Record {
    pub fn attempted(&self, attempt: Attempt) {
        let Attempt {
            id,
            label,
            backend,
            method,
            begun,
            ..
        } = &attempt;
        let result = attempt.result.as_ref().map(|(name, _)| name);
        self.line(format!(
            "{backend} {method} {label} {id} begun {begun:?}: {result:?}"
        ));
        self.history().attempts.push(attempt);
    }

    pub fn gone(&self, gone: Gone) {
        let Gone { label, left, .. } = &gone;
        self.line(format!("{label} is proven gone, but for {left:?}"));
        self.history().gone.push(gone);
    }

    pub fn not_ended(&self, not_ended: NotEnded) {
        self.line(format!("at the end {not_ended:?}"));
        self.history().not_ended.push(not_ended);
    }
}
