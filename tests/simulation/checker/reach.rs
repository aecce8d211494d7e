//! What was in the way when: between whom, of what, and for how long afterwards.

use crate::{
    checker::{Evidence, backend_of, id},
    record::{Stream, TroubleKind},
};
use std::time::Duration;

/// How long a broken connection may go unnoticed.
const FOUND_OUT: Duration = Duration::from_secs(16);

/// How long what somebody asked for who never pauses is still being asked of a cloud.
const AFTERWARDS: Duration = Duration::from_secs(5);

impl Evidence<'_> {
    /// Whether nothing of a kind went wrong from `from` to `to`.
    pub fn calm(&self, kind: &TroubleKind, from: Duration, to: Duration) -> bool {
        let mut troubles = self.history.troubles.iter();
        !troubles.any(|trouble| trouble.kind == *kind && trouble.from <= to && trouble.to >= from)
    }

    /// Whether gateway and client could talk from `from` to `to`. A connection that lost something is found out
    /// only after a while, so what went wrong before counts, too.
    pub fn in_touch(&self, stream: &Stream, from: Duration, to: Duration) -> bool {
        let from = from.saturating_sub(FOUND_OUT);
        self.calm(&TroubleKind::Client(stream.client), from, to)
            && self.calm(&TroubleKind::Gateway, from, to)
    }

    /// Whether gateway and cloud could talk.
    pub fn cloud_in_touch(&self, name: &str, from: Duration, to: Duration) -> bool {
        let from = from.saturating_sub(FOUND_OUT);
        let mut troubles = self.history.troubles.iter();
        !troubles.any(|trouble| {
            let concerns = match &trouble.kind {
                TroubleKind::Upstream(backend) | TroubleKind::Polls(backend) => {
                    *backend == backend_of(name)
                }
                TroubleKind::One(backend, of) => *backend == backend_of(name) && of == id(name),
                TroubleKind::Gateway => true,
                TroubleKind::Client(_) | TroubleKind::Throttled(_) => false,
            };
            concerns && trouble.from <= to && trouble.to + FOUND_OUT >= from
        })
    }

    /// Whether gateway and cloud could talk, and the cloud answered calls about this connection, whatever became of its
    /// polls.
    pub fn answers(&self, name: &str, from: Duration, to: Duration) -> bool {
        let from = from.saturating_sub(FOUND_OUT);
        let mut troubles = self.history.troubles.iter();
        !troubles.any(|trouble| {
            let concerns = match &trouble.kind {
                TroubleKind::Upstream(backend) | TroubleKind::Throttled(backend) => {
                    *backend == backend_of(name)
                }
                TroubleKind::One(backend, of) => *backend == backend_of(name) && of == id(name),
                TroubleKind::Gateway => true,
                TroubleKind::Polls(_) | TroubleKind::Client(_) => false,
            };
            concerns && trouble.from <= to && trouble.to + FOUND_OUT >= from
        })
    }

    /// Whether the gateway was there all the while.
    pub fn calm_gateway(&self, from: Duration, to: Duration) -> bool {
        self.calm(&TroubleKind::Gateway, from, to)
    }

    /// Whether somebody asked all the while, or for a part of it, for all that he could get of a cloud.
    pub fn pressed(&self, backend: &str, from: Duration, to: Duration) -> bool {
        let mut greed = self.history.greed.iter();
        greed.any(|greed| {
            greed.backend == backend && greed.from <= to && greed.to + AFTERWARDS >= from
        })
    }

    /// Whether polls of a connection had to wait for others: for greed, for polls that hung, or for patience.
    pub fn hampered(&self, name: &str, from: Duration, to: Duration) -> bool {
        let backend = backend_of(name);
        let before = from.saturating_sub(FOUND_OUT);
        let mut troubles = self.history.troubles.iter();
        self.pressed(backend, from, to)
            || troubles.any(|trouble| {
                let of_it = match &trouble.kind {
                    TroubleKind::Polls(of)
                    | TroubleKind::One(of, _)
                    | TroubleKind::Throttled(of) => *of == backend,
                    _ => false,
                };
                of_it && trouble.from <= to && trouble.to >= before
            })
    }

    /// Whether polls of a cloud were not answered then.
    pub fn hangs(&self, backend: &str, at: Duration) -> bool {
        let mut troubles = self.history.troubles.iter();
        troubles.any(|trouble| {
            let of_it = match &trouble.kind {
                TroubleKind::Polls(of) | TroubleKind::One(of, _) => *of == backend,
                _ => false,
            };
            of_it && trouble.from <= at && trouble.to + FOUND_OUT >= at
        })
    }

    /// Whether a cloud had lately asked for patience.
    pub fn throttled(&self, backend: &str, at: Duration) -> bool {
        let mut troubles = self.history.troubles.iter();
        troubles.any(|trouble| {
            let of_it = matches!(&trouble.kind, TroubleKind::Throttled(of) if *of == backend);
            of_it && trouble.from <= at && trouble.to + FOUND_OUT >= at
        })
    }
}
