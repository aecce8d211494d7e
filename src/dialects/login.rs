//! The gateway's own login to a cloud. It is kept, renewed once when the cloud refuses it, and never retried in a tight
//! loop: other clients may use the same account, and a lock would lock them out too.
//!
//! ```text
//!              accepted                refused, and again after a renewal
//!   untried ────────────► accepted ─────────────────────────────────────► held ─ 5 s; then 5 min, 20 min ─► untried
//!      ▲   one request                                                      │
//!      │   at a time                                                        │
//!      └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A secret in a file may change at any time. The new secret is tried at once, because refusals of the old one say
//! nothing about it. After a refused login, the file is read again before the login counts as failed.
//!
//! [`Refusals`] decides how long a refused login is held. While it is held, every request that needs a login is refused
//! at once. Requests that arrive while a login is in flight wait for its outcome instead of sending another. What a
//! ticket is, and how to get one, is up to the dialect.

pub(super) mod accounts;
pub(super) mod lockout;

use crate::{
    core::{
        error::{Error, ErrorKind, ErrorReason, Upstream},
        secret::Secret,
    },
    dialects::refusal::unanswered,
    metrics::table::{BACKEND, LOGINS},
    rest::{
        answer::{Answer, Failure, FailureKind, Sent},
        client::Client,
    },
    spans,
};
use accounts::{Account, Whose};
use opentelemetry::KeyValue;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until, timeout_at};
use tracing::{Instrument, field::Empty};

/// Why a request has no answer.
#[derive(Debug)]
pub struct NoAnswer {
    pub error: Error,
    /// Whether the cloud may have acted on the request.
    pub sent: Sent,
}

impl From<Failure> for NoAnswer {
    fn from(failure: Failure) -> NoAnswer {
        NoAnswer {
            error: unanswered(&failure),
            sent: failure.sent,
        }
    }
}

impl From<NoTicket> for NoAnswer {
    fn from(none: NoTicket) -> NoAnswer {
        let error = match none {
            NoTicket::Unanswered(failure) => return failure.into(),
            NoTicket::Away(said) => said.1,
            NoTicket::Refused(error) => error,
        };
        NoAnswer {
            error,
            sent: Sent::No,
        }
    }
}

/// Why there is no ticket to send with a request.
#[derive(Debug)]
pub enum NoTicket {
    /// The server that issues tickets did not answer.
    Unanswered(Failure),
    /// The server answered that it cannot log in anyone at the moment. Another server of the same cloud may.
    Away(Box<(Answer, Error)>),
    /// The cloud answered with something other than a ticket, or the login is still held.
    Refused(Error),
}

impl NoTicket {
    /// A login that got no answer. However far it came, the request that needs the ticket was not sent, or was refused.
    pub fn unanswered(failure: Failure) -> NoTicket {
        NoTicket::Unanswered(Failure {
            sent: Sent::No,
            ..failure
        })
    }

    /// Reports whether the login was refused, or is held because of an earlier refusal.
    pub fn is_refusal(&self) -> bool {
        matches!(self, NoTicket::Refused(error) if error.kind == ErrorKind::BackendAuth)
    }
}

/// The credentials that go with a request.
pub trait Ticket {
    /// The version of the account's secret that the ticket was obtained with.
    fn secret(&self) -> u64;

    /// Reports whether the ticket has expired.
    fn is_over(&self) -> bool {
        false
    }
}

/// When a login was sent, and with which version of the account's secret.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    pub sent: Instant,
    pub secret: u64,
}

/// The tickets of one account, and what is known about its login.
#[derive(Debug)]
pub struct Logins<T> {
    /// The backend the account belongs to, for the metrics.
    backend: Arc<str>,
    /// A std mutex: held for look-ups only, never across an await. The account's mutex is taken while this one is held.
    known: Mutex<Known<T>>,
    /// The refusals of this account, including those of earlier dialects of this backend.
    account: Arc<Account>,
    /// The secret that is sent; `None` if nothing is sent that could be refused.
    secret: Option<Secret>,
    /// Held while a login is made, or while credentials are tried for the first time.
    trying: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known<T> {
    /// The version of the secret that the other fields are about.
    secret: u64,
    /// One slot for each server that accepts only its own tickets.
    tickets: Vec<Option<Arc<T>>>,
    /// Whether the cloud has accepted the present credentials.
    is_proven: bool,
}

/// Proof that no other task is logging in.
pub type Alone<'a> = tokio::sync::MutexGuard<'a, ()>;

impl<T: Ticket> Logins<T> {
    /// Starts without a ticket for any of the `servers` that need tickets of their own. Earlier refusals of this
    /// account still count.
    pub fn new(http: &Client, whose: Whose, servers: usize, secret: Option<Secret>) -> Logins<T> {
        Logins {
            backend: Arc::clone(http.backend()),
            known: Mutex::new(Known {
                secret: secret.as_ref().map_or(0, Secret::version),
                tickets: (0..servers).map(|_| None).collect(),
                is_proven: false,
            }),
            account: accounts::of(http, whose, secret.as_ref()),
            secret,
            trying: tokio::sync::Mutex::new(()),
        }
    }

    /// Checks that a login may be sent.
    ///
    /// # Errors
    /// Fails while the login is held after a refusal.
    pub fn may_try(&self) -> Result<(), NoTicket> {
        let Some(held) = self.heeding().refusals(|it| it.held().cloned()) else {
            return Ok(());
        };
        let what = match held.is_sure {
            true => "is not tried again yet so that the account is not locked",
            false => "is asked once more in some seconds",
        };
        let error = Error::new(
            ErrorKind::BackendAuth,
            ErrorReason::UpstreamAuth,
            format!("the cloud refused the gateway's login, which {what}"),
        );
        let left = held.until.saturating_duration_since(Instant::now());
        let error = error.upstream(held.said);
        Err(NoTicket::Refused(error.retry_after(left)))
    }

    /// How long the login is still held after its last refusal; zero if it is not held.
    pub fn rest(&self) -> Duration {
        let until = self
            .heeding()
            .refusals(|it| it.held().map(|held| held.until));
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    /// Returns the ticket for this server, unless it has expired.
    pub fn kept(&self, server: usize) -> Option<Arc<T>> {
        let ticket = self.known().tickets[server].clone();
        ticket.filter(|ticket| !ticket.is_over())
    }

    pub fn keep(&self, server: usize, ticket: impl Into<Arc<T>>) -> Arc<T> {
        let ticket = ticket.into();
        self.known().tickets[server] = Some(Arc::clone(&ticket));
        ticket
    }

    /// Returns the kept ticket if it `is_good`, or the one that `log_in` makes. One login is made at a time. Tasks that
    /// wait for another task's login use its outcome.
    ///
    /// # Errors
    /// Fails if the login is held, is refused, or cannot be made before `deadline`.
    pub async fn ticket(
        &self,
        server: usize,
        deadline: Instant,
        is_good: impl Fn(&T) -> bool,
        log_in: impl Future<Output = Result<T, NoTicket>>,
    ) -> Result<Arc<T>, NoTicket> {
        let _alone = self.alone(deadline).await?;
        self.may_try()?;
        match self.kept(server).filter(|ticket| is_good(ticket)) {
            Some(ticket) => Ok(ticket),
            None => {
                let span = spans::child(|| tracing::info_span!("login", otel.status_code = Empty));
                let ticket = self
                    .made(log_in)
                    .instrument(span.clone())
                    .await
                    .inspect_err(|_| {
                        span.record("otel.status_code", "ERROR");
                    })?;
                Ok(self.keep(server, ticket))
            }
        }
    }

    /// Makes a login and counts its result. `log_in` itself reports a refusal to [`Logins::refused`].
    ///
    /// # Errors
    /// The error of `log_in`.
    pub async fn made(
        &self,
        log_in: impl Future<Output = Result<T, NoTicket>>,
    ) -> Result<T, NoTicket> {
        let made = log_in.await;
        match &made {
            Ok(_) => self.count("accepted"),
            Err(NoTicket::Refused(error))
                if matches!(
                    error.kind,
                    ErrorKind::BackendAuth | ErrorKind::PermissionDenied
                ) => {}
            Err(_) => self.count("failed"),
        }
        made
    }

    fn count(&self, result: &'static str) {
        let backend = KeyValue::new(BACKEND, Arc::clone(&self.backend));
        LOGINS.add(1, &[backend, KeyValue::new("isthmus.result", result)]);
    }

    /// Returns a ticket to replace one that was refused: a newer one that is already kept, or the one that `log_in`
    /// makes.
    ///
    /// # Errors
    /// As [`Logins::ticket`].
    pub async fn renewed(
        &self,
        server: usize,
        refused: &Arc<T>,
        deadline: Instant,
        log_in: impl Future<Output = Result<T, NoTicket>>,
    ) -> Result<Arc<T>, NoTicket> {
        self.forget(server, refused);
        self.ticket(server, deadline, |_| true, log_in).await
    }

    /// Waits for permission to send credentials that the cloud has not accepted yet. Only one task at a time has it,
    /// because each refusal counts towards the lock. Returns `None` if the credentials are known to be good.
    ///
    /// # Errors
    /// Fails if the credentials are held after a refusal, or if another task keeps the permission until `deadline`.
    pub async fn first(&self, deadline: Instant) -> Result<Option<Alone<'_>>, NoTicket> {
        if self.known().is_proven {
            return Ok(None);
        }
        let alone = self.alone(deadline).await?;
        self.may_try()?;
        // The task before this one may have shown that they are good.
        Ok(Some(alone).filter(|_| !self.known().is_proven))
    }

    /// Returns the permission to log in if no other task holds it.
    pub fn alone_now(&self) -> Option<Alone<'_>> {
        self.trying.try_lock().ok()
    }

    /// Records that a request sent with `tried` was answered and its login not refused. If the secret has changed
    /// since, that proves nothing about the present one. But where every request is a login (`is_login`), the cloud's
    /// own count starts again.
    pub fn accepted(&self, tried: Tried, is_login: bool) {
        let mut known = self.known();
        let accepted = || self.account.refusals(|it| it.accepted(tried.sent));
        if is_login && tried.secret < known.secret {
            accepted();
            return;
        }
        if tried.secret != known.secret || !accepted() {
            return;
        }
        // Credentials that obtained tickets are counted when the tickets are made.
        let is_first = !known.is_proven && known.tickets.iter().all(Option::is_none);
        known.is_proven = true;
        // A reader of the metrics takes this lock while it holds the lock of the meter provider. The first count takes
        // that lock too.
        drop(known);
        if is_first {
            self.count("accepted");
        }
    }

    /// Records that the cloud refused `tried` as a login with the text `said`. Nothing is sent for a while, unless the
    /// secret has changed since. `is_login` says that every request is a login of its own.
    ///
    /// `said` reaches callers who had no part in the request, so it must not come from the answer to a request that
    /// carried another caller's key.
    pub fn refused(&self, tried: Tried, is_login: bool, said: Upstream) {
        self.count("refused");
        let mut known = self.known();
        for ticket in &mut known.tickets {
            ticket.take_if(|ticket| ticket.secret() <= tried.secret);
        }
        if tried.secret < known.secret {
            self.account.refusals(|it| it.noted(is_login, said));
            return;
        }
        known.is_proven = false;
        let account = &self.account;
        account.refusals(|it| it.refused(tried.sent, is_login, said));
    }

    /// Reports whether, after one more refusal, another would bring the account near its lock.
    pub fn is_near(&self, is_login: bool) -> bool {
        self.heeding().refusals(|it| it.is_near(is_login))
    }

    /// Records a refusal that says nothing about the credentials sent from here on.
    pub fn noted(&self, is_login: bool) {
        let said = Upstream::default();
        self.heeding().refusals(|it| it.noted(is_login, said));
    }

    /// Runs `send`. If the result `is_refused` as a login, runs it once more some seconds later, where that may help
    /// and `deadline` allows. A request that is refused as a login was not begun, so it is safe to repeat. `send` is
    /// told whether its ticket may be old, in which case a new one may help at once. If the secret has changed since
    /// the refusal, the new one is tried at once.
    pub async fn send<A, F: Future<Output = A>>(
        &self,
        deadline: Instant,
        send: impl Fn(bool) -> F,
        is_refused: impl Fn(&A) -> bool,
    ) -> A {
        let mut renews = true;
        loop {
            let secret = self.known().secret;
            let answer = send(renews).await;
            // From here on every ticket is fresh.
            renews = false;
            if !is_refused(&answer) {
                return answer;
            }
            self.look_for_another_than(secret, deadline).await;
            let (again, present) = {
                let known = self.known();
                let again = self.account.refusals(|it| it.again_before(deadline));
                (again, known.secret)
            };
            if present != secret && Instant::now() < deadline {
                // Another task may have shown already that the new secret is good, so the login may not be held at all.
                continue;
            }
            match again {
                Some(again) => tokio::select! {
                    () = sleep_until(again) => {}
                    () = self.another_than(secret) => {}
                },
                None => return answer,
            }
        }
    }

    fn forget(&self, server: usize, refused: &Arc<T>) {
        let kept = &mut self.known().tickets[server];
        kept.take_if(|kept| Arc::ptr_eq(kept, refused));
    }

    async fn alone(&self, deadline: Instant) -> Result<Alone<'_>, NoTicket> {
        timeout_at(deadline, self.trying.lock()).await.map_err(|_| {
            NoTicket::Unanswered(Failure {
                kind: FailureKind::Deadline,
                sent: Sent::No,
                message: "no login before the deadline".to_owned(),
            })
        })
    }

    /// Reads the secret again, unless its version is newer than the `refused` one already.
    async fn look_for_another_than(&self, refused: u64, deadline: Instant) {
        let secret = self.secret.as_ref();
        if let Some(secret) = secret.filter(|secret| secret.version() == refused) {
            // The task that watches the file reports what is wrong with it.
            let _ = timeout_at(deadline, secret.refresh()).await;
        }
    }

    /// Completes when the secret is another than the `refused` version.
    async fn another_than(&self, refused: u64) {
        match &self.secret {
            Some(secret) => secret.changed_from(refused).await,
            None => std::future::pending().await,
        }
    }

    /// Returns the account after it was given the present secret.
    fn heeding(&self) -> &Account {
        drop(self.known());
        &self.account
    }

    /// Returns what is known about the present secret.
    fn known(&self) -> MutexGuard<'_, Known<T>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.secret.as_ref().map_or(0, Secret::version);
        if known.secret != now {
            known.secret = now;
            known.is_proven = false;
            self.account.give(self.secret.as_ref());
        }
        known
    }
}
