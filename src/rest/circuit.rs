//! Whether a server of a cloud is asked at all: a circuit breaker for each.
//!
//! ```text
//!           5 failures in a row, over 1 s at least
//!   closed ────────────────────────────────────────► open ◄──────┐
//!     ▲                                               │ pause     │ it failed: the pause is doubled,
//!     │                                               ▼           │ from 1 s up to 5 s, and a fifth less or more
//!     └──────────── it answered ◄──────────────── half-open ──────┘
//!                                       one request is let through
//! ```
//!
//! A *failure* is no answer (no connection, a broken one, nothing within the backend's whole timeout), or that of
//! somebody who stands before the server and cannot reach it (502, 504). Any other answer closes the circuit. 503 and
//! 429 say for themselves how long to wait, and the account's budget obeys them; a caller's own deadline that passed
//! early says nothing of the server.
//!
//! Who hangs tells only of his own kind. A server that answers calls may let each poll of some connections hang (a
//! gateway of the cloud behind it is away), so polls that hang open the circuit for polls, and a call is refused only if
//! a call has failed, too; so it is the other way round. That there is no connection, or that it breaks, is the same for
//! all. Whichever kind is answered first closes the circuit for both.
//!
//! While it is open nothing is sent, and whoever asks is told at once: no slot of the account is held by what would
//! only hang, no write is in doubt, and another server of the same cloud is asked instead, if there is one. What was
//! begun before the last answer came counts for nothing: a server that is back is not shut out by what hung before.
//!
//! The pause is as short as it is since whatever waits for the cloud to come back, a poll or the look for a lost write,
//! must not wait much longer for the gateway than for the cloud: one request in five seconds hurts no cloud.

use crate::{
    account::{Circuit, Priority},
    rest::answer::{Answer, Failure, FailureKind, Sent},
};
use reqwest::Url;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// So many failures in a row open it. Envoy's `consecutive_gateway_failure`.
const FAILURES: u32 = 5;
/// And so long they must last, from when the first was sent: connections that a restart or a load balancer resets all at
/// once are no outage.
const LASTING: Duration = Duration::from_secs(1);
/// The first pause.
const FIRST: Duration = Duration::from_secs(1);
/// The longest pause, before jitter.
const LONGEST: Duration = Duration::from_secs(5);
/// While it is open, somebody of the other kind who hangs for so long is concerned, too, whatever his deadline.
const TELLING: Duration = Duration::from_secs(5);
/// A server that was not tried for so long after it might have been is not used any more: a catalog names another now.
const UNUSED: Duration = Duration::from_secs(300);
/// The most servers of which anything is known. A backend has a few; a catalog may name others each time.
const SERVERS: usize = 16;

/// Who asks, as far as it matters to a circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    kind: Kind,
    /// Whether there is the backend's whole timeout for it.
    is_whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Somebody waits for the answer, or nothing goes on without it.
    Call,
    /// The gateway asks by itself, and again.
    Poll,
}

impl Asker {
    /// Who asks with this priority; `is_whole` if there is the backend's whole timeout for it.
    pub fn new(priority: Priority, is_whole: bool) -> Asker {
        let kind = match priority {
            Priority::Caller(_) | Priority::Login => Kind::Call,
            Priority::Outcome | Priority::Asked | Priority::Stable => Kind::Poll,
        };
        Asker { kind, is_whole }
    }
}

/// What is known of the servers of one backend.
#[derive(Debug)]
pub struct Circuits {
    /// By origin. A std mutex: held for look-ups only, never across an await.
    servers: Mutex<BTreeMap<String, Server>>,
    /// From 0 to 1.
    random: fn() -> f64,
}

#[derive(Debug, Default)]
struct Server {
    /// Failures in a row.
    failures: u32,
    /// When the first of them was sent.
    since: Option<Instant>,
    /// The last of them.
    last: String,
    /// Which kinds they concern.
    concerns: [bool; 2],
    /// When it last answered.
    answered: Option<Instant>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    pause: Duration,
    until: Instant,
    /// Whether a request is under way that was let through, of each kind: with less than the backend's whole timeout
    /// before it, and with that. One of the former may end without having told anything, and must not keep one of the
    /// latter out, nor one kind the other.
    trying: [[bool; 2]; 2],
}

/// Leave to send one request.
#[derive(Debug)]
pub struct Pass<'a> {
    circuits: &'a Circuits,
    origin: &'a str,
    begun: Instant,
    asker: Asker,
    /// Whether it is let through while the circuit is half-open.
    is_trial: bool,
}

impl Circuits {
    /// Nothing is known of any server; `random` answers from 0 to 1.
    pub fn new(random: fn() -> f64) -> Circuits {
        Circuits {
            servers: Mutex::default(),
            random,
        }
    }

    /// Whether a request to this server would be refused now.
    ///
    /// # Errors
    /// Why it would.
    pub fn check(&self, url: &Url, asker: Asker) -> Result<(), Failure> {
        let servers = self.servers();
        let refusal = servers
            .get(origin(url))
            .and_then(|server| server.refusal(asker, Instant::now()));
        refusal.map_or(Ok(()), Err)
    }

    /// Leave to send a request to this server now. Whoever drops it without [`Pass::ended`] has learned nothing.
    ///
    /// # Errors
    /// Why it must not be sent.
    pub fn enter<'a>(&'a self, url: &'a Url, asker: Asker) -> Result<Pass<'a>, Failure> {
        let (origin, now) = (origin(url), Instant::now());
        let mut servers = self.servers();
        let server = servers.get_mut(origin);
        if let Some(refused) = server
            .as_ref()
            .and_then(|server| server.refusal(asker, now))
        {
            return Err(refused);
        }
        let trial = server.and_then(|server| server.opened_for(asker));
        let is_trial = trial.is_some();
        if let Some(open) = trial {
            *open.trying(asker) = true;
        }
        Ok(Pass {
            circuits: self,
            origin,
            begun: now,
            asker,
            is_trial,
        })
    }

    /// The circuit of the server at this address.
    pub fn of(&self, url: &Url) -> Circuit {
        let servers = self.servers();
        let server = servers.get(origin(url));
        server.map_or(Circuit::Closed, |server| server.circuit(Instant::now()))
    }

    /// The circuit that is most open of all servers in use: where each is needed, that of the backend.
    pub fn worst(&self) -> Circuit {
        let now = Instant::now();
        let servers = self.servers();
        let is_used = |server: &&Server| {
            let open = server.open.as_ref();
            open.is_none_or(|open| now < open.until + UNUSED)
        };
        let used = servers.values().filter(is_used);
        used.map(|server| server.circuit(now))
            .max()
            .unwrap_or_default()
    }

    /// Takes note of how a request ended to a server of which nothing may be known yet.
    fn ended(&self, pass: &Pass<'_>, end: End<'_>) {
        let now = Instant::now();
        let mut servers = self.servers();
        if !servers.contains_key(pass.origin) {
            if servers.len() >= SERVERS {
                servers.retain(|_, server| server.open.is_some());
            }
            if servers.len() >= SERVERS {
                servers.clear();
            }
            servers.insert(pass.origin.to_owned(), Server::default());
        }
        let Some(server) = servers.get_mut(pass.origin) else {
            return;
        };
        match end {
            End::Answered => server.answered(now),
            End::Failed { why, concerns } => {
                server.failed(pass, why, concerns, (self.random)(), now);
            }
            End::HungBriefly if server.open.is_some() && server.tells(pass) => {
                server.concerns[pass.asker.kind as usize] = true;
            }
            End::HungBriefly => {}
        }
    }

    fn servers(&self) -> MutexGuard<'_, BTreeMap<String, Server>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a request has ended.
enum End<'a> {
    Answered,
    Failed {
        why: &'a str,
        concerns: [bool; 2],
    },
    /// Its own deadline came before the backend's, after a while that tells something.
    HungBriefly,
}

impl Server {
    fn circuit(&self, now: Instant) -> Circuit {
        match &self.open {
            None => Circuit::Closed,
            Some(open) if now < open.until => Circuit::Open,
            Some(_) => Circuit::HalfOpen,
        }
    }

    /// The open circuit, if it is that for this asker.
    fn opened_for(&mut self, asker: Asker) -> Option<&mut Open> {
        let is_concerned = self.concerns[asker.kind as usize];
        self.open.as_mut().filter(|_| is_concerned)
    }

    /// Whether what was begun then says more than the last answer does.
    fn tells(&self, pass: &Pass<'_>) -> bool {
        self.answered <= Some(pass.begun)
    }

    fn refusal(&self, asker: Asker, now: Instant) -> Option<Failure> {
        let is_concerned = self.concerns[asker.kind as usize];
        let open = self.open.as_ref().filter(|_| is_concerned)?;
        let left = open.until.saturating_duration_since(now);
        let is_tried = open.trying[asker.kind as usize][usize::from(asker.is_whole)];
        if left.is_zero() && !is_tried {
            return None;
        }
        // How long a trial takes nobody knows.
        let wait = if left.is_zero() { FIRST } else { left };
        let silent = self.since.map_or(Duration::ZERO, |since| now - since);
        Some(Failure {
            kind: FailureKind::CircuitOpen(wait),
            sent: Sent::No,
            message: format!(
                "the cloud has not answered for {} s and is not asked until it is tried again in {} s; the last of {} \
                 requests: {}",
                silent.as_secs(),
                wait.as_secs_f64().ceil(),
                self.failures,
                self.last,
            ),
        })
    }

    fn answered(&mut self, now: Instant) {
        *self = Server {
            answered: Some(now),
            ..Server::default()
        };
    }

    fn failed(
        &mut self,
        pass: &Pass<'_>,
        why: &str,
        concerns: [bool; 2],
        random: f64,
        now: Instant,
    ) {
        if !self.tells(pass) {
            return;
        }
        for (known, more) in self.concerns.iter_mut().zip(concerns) {
            *known |= more;
        }
        self.failures = self.failures.saturating_add(1);
        self.last = why.to_owned();
        let since = self.since.map_or(pass.begun, |since| since.min(pass.begun));
        self.since = Some(since);
        match &mut self.open {
            None if self.failures >= FAILURES && now - since >= LASTING => {
                self.open = Some(Open::new(FIRST, random, now));
            }
            Some(open) if pass.is_trial => {
                let pause = (open.pause * 2).min(LONGEST);
                // The other that was let through, if there is one, is forgotten: it ends as it ends.
                *open = Open::new(pause, random, now);
            }
            None | Some(_) => {}
        }
    }
}

impl Open {
    /// A fifth less or more, so that the backends of one cloud, or several gateways, do not come together.
    fn new(pause: Duration, random: f64, now: Instant) -> Open {
        Open {
            pause,
            until: now + pause.mul_f64(0.8 + 0.4 * random),
            trying: [[false; 2]; 2],
        }
    }

    /// Whether one like this is under way.
    fn trying(&mut self, asker: Asker) -> &mut bool {
        &mut self.trying[asker.kind as usize][usize::from(asker.is_whole)]
    }
}

impl Pass<'_> {
    /// The request has ended so.
    pub fn ended(self, result: &Result<Answer, Failure>) {
        let all = [true; 2];
        let own = [Kind::Call, Kind::Poll].map(|kind| kind == self.asker.kind);
        let failed = |why, concerns| End::Failed { why, concerns };
        let gateway;
        let end = match result {
            Ok(answer) if matches!(answer.status, 502 | 504) => {
                gateway = format!("the answer was {}", answer.status);
                failed(gateway.as_str(), all)
            }
            Ok(_) => End::Answered,
            Err(failure) => match failure.kind {
                FailureKind::TooLarge => End::Answered,
                FailureKind::Connect | FailureKind::Broken => failed(&failure.message, all),
                FailureKind::Deadline if self.asker.is_whole => failed(&failure.message, own),
                FailureKind::Deadline if self.begun.elapsed() >= TELLING => End::HungBriefly,
                // Dropped, it makes room for the next.
                FailureKind::Deadline | FailureKind::Budget(_) | FailureKind::CircuitOpen(_) => {
                    return;
                }
            },
        };
        self.circuits.ended(&self, end);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.is_trial {
            return;
        }
        let mut servers = self.circuits.servers();
        let open = servers
            .get_mut(self.origin)
            .and_then(|server| server.open.as_mut());
        // One that was opened anew since this was let through is not its own.
        if let Some(open) = open
            && open.until <= self.begun
        {
            *open.trying(self.asker) = false;
        }
    }
}

/// Scheme, host and port of an address.
fn origin(url: &Url) -> &str {
    let text = url.as_str();
    let host = text.find("://").map_or(0, |at| at + "://".len());
    let end = text[host..].find('/').map_or(text.len(), |at| host + at);
    &text[..end]
}

#[cfg(test)]
mod tests;
