//! Circuit breakers, one for each server of a cloud.
//!
//! ```text
//!           5 failures in a row, over 1 s at least
//!   closed ────────────────────────────────────────► open ◄──────┐
//!     ▲                                               │ pause     │ the trial fails: the pause doubles,
//!     │                                               ▼           │ from 1 s up to 5 s, ±20 % jitter
//!     └──────── the server answers ◄────────────── half-open ─────┘
//!                                         one trial request passes
//! ```
//!
//! A *failure* is a missing answer (no connection, a broken connection, no answer within the backend's whole timeout)
//! or an answer of a proxy that cannot reach the server (502, 504). Any other answer closes the circuit. 503 and 429
//! name their own pause, which the account's budget observes. A caller's own shorter deadline says nothing about the
//! server.
//!
//! Timeouts of polls and timeouts of calls are judged apart. A server that answers calls may let each poll of some
//! connections hang, for example because a gateway of the cloud behind it is down. So polls that hang open the circuit
//! for polls only; calls are refused once a call fails too, and the other way round. A refused or broken connection
//! concerns both kinds. An answer to either kind closes the circuit for both.
//!
//! While the circuit is open, the gateway sends nothing and refuses requests at once: no request that would only hang
//! takes a slot of the account, no write is left in doubt, and the gateway tries another server of the cloud if there
//! is one. A failure of a request that began before the last answer does not count, so a recovered server is not shut
//! out by requests that hung earlier.
//!
//! The pause is short because polls and searches for lost writes wait for the cloud to come back, and must not wait
//! much longer for the gateway than for the cloud. One request in five seconds hurts no cloud.

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

/// Failures in a row that open the circuit. Envoy's `consecutive_gateway_failure`.
const FAILURES: u32 = 5;
/// Shortest time over which the failures must spread, from when the first request was sent. A restart or a load
/// balancer that resets many connections at once is no outage.
const LASTING: Duration = Duration::from_secs(1);
/// First pause.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause, before jitter.
const LONGEST: Duration = Duration::from_secs(5);
/// While the circuit is open for one kind, a request of the other kind that hangs this long opens it for that kind too,
/// even if its own deadline is shorter than the backend's timeout.
const TELLING: Duration = Duration::from_secs(5);
/// A server not tried for this long after its pause ended is no longer in use: the catalog names another server.
const UNUSED: Duration = Duration::from_secs(300);
/// Most servers that are tracked. A backend has a few servers, but a catalog may name different ones each time. Closed
/// circuits are forgotten first, then the open one tried longest ago.
const SERVERS: usize = 16;

/// What a circuit needs to know about the origin of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    kind: Kind,
    /// Whether the request has the backend's whole timeout.
    is_whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A caller waits for the answer, or nothing proceeds without it.
    Call,
    /// The gateway asks on its own and will ask again.
    Poll,
}

impl Asker {
    /// Returns the asker for `priority`. `is_whole` says whether the request has the backend's whole timeout.
    pub fn new(priority: Priority, is_whole: bool) -> Asker {
        let kind = match priority {
            Priority::Caller(_) | Priority::Login => Kind::Call,
            Priority::Outcome | Priority::Asked | Priority::Stable => Kind::Poll,
        };
        Asker { kind, is_whole }
    }
}

/// Circuits of the servers of one backend.
#[derive(Debug)]
pub struct Circuits {
    /// By origin. A std mutex, held for map operations only and never across an await.
    servers: Mutex<BTreeMap<String, Server>>,
    /// Returns from 0 to 1.
    random: fn() -> f64,
}

#[derive(Debug, Default)]
struct Server {
    /// Failures in a row.
    failures: u32,
    /// When the first of the failed requests was sent.
    since: Option<Instant>,
    /// Message of the last failure.
    last: String,
    /// Whether the failures concern calls and polls, in this order.
    concerns: [bool; 2],
    /// When the server last answered.
    answered: Option<Instant>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    pause: Duration,
    until: Instant,
    /// Whether a trial request is in flight, by kind and by whether it has the backend's whole timeout. A trial with
    /// less time may end without telling anything, so it does not keep out one with the whole timeout. A trial of one
    /// kind does not keep out one of the other.
    trying: [[bool; 2]; 2],
}

/// Permission to send one request.
#[derive(Debug)]
pub struct Pass<'a> {
    circuits: &'a Circuits,
    origin: &'a str,
    begun: Instant,
    asker: Asker,
    /// Whether the request is a trial of a half-open circuit.
    is_trial: bool,
}

impl Circuits {
    /// Creates circuits that are all closed. `random` returns from 0 to 1.
    pub fn new(random: fn() -> f64) -> Circuits {
        Circuits {
            servers: Mutex::default(),
            random,
        }
    }

    /// Checks whether a request to this server would pass.
    ///
    /// # Errors
    /// Why the circuit would refuse the request.
    pub fn check(&self, url: &Url, asker: Asker) -> Result<(), Failure> {
        let servers = self.servers();
        let refusal = servers
            .get(origin(url))
            .and_then(|server| server.refusal(asker, Instant::now()));
        refusal.map_or(Ok(()), Err)
    }

    /// Admits a request to this server. A [`Pass`] dropped without [`Pass::ended`] changes no failure count.
    ///
    /// # Errors
    /// Why the circuit refuses the request.
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

    /// Returns the circuit of the server at this address.
    pub fn of(&self, url: &Url) -> Circuit {
        let servers = self.servers();
        let server = servers.get(origin(url));
        server.map_or(Circuit::Closed, |server| server.circuit(Instant::now()))
    }

    /// Returns the most open circuit of all servers in use. A backend needs all of its servers, so this is the
    /// backend's circuit.
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

    /// Records how a request ended. The server may be unknown yet.
    fn ended(&self, pass: &Pass<'_>, end: End<'_>) {
        let now = Instant::now();
        let mut servers = self.servers();
        if !servers.contains_key(pass.origin) {
            if servers.len() >= SERVERS {
                let least = servers.iter().min_by_key(|(_, server)| server.worth());
                if let Some(origin) = least.map(|(origin, _)| origin.clone()) {
                    servers.remove(&origin);
                }
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

enum End<'a> {
    Answered,
    Failed {
        why: &'a str,
        concerns: [bool; 2],
    },
    /// The request's own deadline came before the backend's timeout, but after at least [`TELLING`].
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

    /// Orders servers by what is lost if they are forgotten: closed circuits by the time they were last heard of, then
    /// open ones by the end of their pause, which moves with each trial that fails.
    fn worth(&self) -> (Option<Instant>, Option<Instant>) {
        let until = self.open.as_ref().map(|open| open.until);
        (until, self.answered.max(self.since))
    }

    /// Returns the open circuit if it applies to this asker.
    fn opened_for(&mut self, asker: Asker) -> Option<&mut Open> {
        let is_concerned = self.concerns[asker.kind as usize];
        self.open.as_mut().filter(|_| is_concerned)
    }

    /// Reports whether the request began after the last answer, so that its result is newer evidence.
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
        // The duration of a trial is unknown.
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
                // Forgets any other trial in flight. Its result still counts when it ends.
                *open = Open::new(pause, random, now);
            }
            None | Some(_) => {}
        }
    }
}

impl Open {
    /// Opens the circuit for `pause` ±20 %, so that the backends of one cloud, or several gateways, do not retry
    /// together.
    fn new(pause: Duration, random: f64, now: Instant) -> Open {
        Open {
            pause,
            until: now + pause.mul_f64(0.8 + 0.4 * random),
            trying: [[false; 2]; 2],
        }
    }

    /// The flag of a trial in flight for this kind of asker.
    fn trying(&mut self, asker: Asker) -> &mut bool {
        &mut self.trying[asker.kind as usize][usize::from(asker.is_whole)]
    }
}

impl Pass<'_> {
    /// Records how the request ended.
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
                // Dropping the pass makes room for the next trial.
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
        // If the circuit has reopened since this trial began, its flags belong to later trials.
        if let Some(open) = open
            && open.until <= self.begun
        {
            *open.trying(self.asker) = false;
        }
    }
}

/// Returns the scheme, host and port of an address.
fn origin(url: &Url) -> &str {
    let text = url.as_str();
    let host = text.find("://").map_or(0, |at| at + "://".len());
    let end = text[host..].find('/').map_or(text.len(), |at| host + at);
    &text[..end]
}

#[cfg(test)]
mod tests;
