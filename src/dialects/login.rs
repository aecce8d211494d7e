//! The gateway's own login to a cloud: kept, renewed once when it is refused, and never tried again and again. An
//! account that is locked is not ours alone.
//!
//! ```text
//!              accepted                refused, and after a renewal again
//!   untried ────────────► accepted ─────────────────────────────────────► held ─ 5 s; then 5 min, 20 min ─► untried
//!      ▲   one request                                                      │
//!      │   at a time                                                        │
//!      └────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! A secret in a file may change meanwhile. The new one is tried at once, as one that nobody tried yet: what was said of
//! the old one says nothing of it. A login that is refused has the file read before it is given up.
//!
//! How long it is held is for [`Refusals`] to say; meanwhile whoever needs a login is refused at once. Whoever comes
//! while one is made waits for its outcome instead of making another. What a ticket is, and how one is had, is the
//! dialect's.

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

/// Why there is no answer to a request.
#[derive(Debug)]
pub struct NoAnswer {
    /// What it means.
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
    /// Whoever makes them did not answer.
    Unanswered(Failure),
    /// Who was asked cannot log in anybody now, and said so; another of the same cloud may.
    Away(Box<(Answer, Error)>),
    /// The cloud answered something else than a ticket, or is not asked again yet.
    Refused(Error),
}

impl NoTicket {
    /// A login without an answer. However far it came: the request that needs it was not sent, or was refused.
    pub fn unanswered(failure: Failure) -> NoTicket {
        NoTicket::Unanswered(Failure {
            sent: Sent::No,
            ..failure
        })
    }

    /// Whether the login was refused, or is not made because it was.
    pub fn is_refusal(&self) -> bool {
        matches!(self, NoTicket::Refused(error) if error.kind == ErrorKind::BackendAuth)
    }
}

/// What goes with a request, so that the cloud knows whose it is.
pub trait Ticket {
    /// Which version of the account's secret it was had with.
    fn secret(&self) -> u64;

    /// Whether its life has ended by itself.
    fn is_over(&self) -> bool {
        false
    }
}

/// When a login was sent, and with which version of the account's secret.
#[derive(Debug, Clone, Copy)]
pub struct Tried {
    /// When.
    pub sent: Instant,
    /// Which version.
    pub secret: u64,
}

/// The tickets of one account, and what is known of its login.
#[derive(Debug)]
pub struct Logins<T> {
    /// Whose account it is, for the metrics.
    backend: Arc<str>,
    /// A std mutex: held for look-ups only, never across an await. That of the account is taken within it.
    known: Mutex<Known<T>>,
    /// What was refused, by whichever dialect this backend had before.
    account: Arc<Account>,
    /// What is sent; `None` if nothing is that could be refused.
    secret: Option<Secret>,
    /// Held while a login is made or tried for the first time.
    trying: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known<T> {
    /// The version of the secret that all of this is about.
    secret: u64,
    /// By server, where each takes only its own.
    tickets: Vec<Option<Arc<T>>>,
    /// What is sent now was accepted before.
    is_proven: bool,
}

/// Nobody else tries to log in.
pub type Alone<'a> = tokio::sync::MutexGuard<'a, ()>;

impl<T: Ticket> Logins<T> {
    /// Not logged in yet to any of so many servers of this backend with tickets of their own. What was refused to this
    /// account before still counts.
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

    /// Whether a login may be sent now.
    ///
    /// # Errors
    /// If not, since it was refused lately.
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

    /// How long none is tried yet, since the last was refused.
    pub fn rest(&self) -> Duration {
        let until = self
            .heeding()
            .refusals(|it| it.held().map(|held| held.until));
        until.map_or(Duration::ZERO, |until| {
            until.saturating_duration_since(Instant::now())
        })
    }

    /// The ticket for this server, unless it is over.
    pub fn kept(&self, server: usize) -> Option<Arc<T>> {
        let ticket = self.known().tickets[server].clone();
        ticket.filter(|ticket| !ticket.is_over())
    }

    /// Keeps a ticket for this server.
    pub fn keep(&self, server: usize, ticket: impl Into<Arc<T>>) -> Arc<T> {
        let ticket = ticket.into();
        self.known().tickets[server] = Some(Arc::clone(&ticket));
        ticket
    }

    /// The kept ticket if it `is_good`, or the one that `log_in` makes. One login is made at a time, and whoever waits
    /// for another's finds its outcome.
    ///
    /// # Errors
    /// If the login was refused lately, or is now, or cannot be made before `deadline`.
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

    /// Makes a login. One that is refused is told to [`Logins::refused`] by whoever makes it.
    ///
    /// # Errors
    /// As it fails.
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

    /// The ticket to send instead of one that was refused: another that is there by now, or the one that `log_in`
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

    /// Leave to send credentials that nobody has seen accepted yet: one at a time, since each that is refused counts.
    /// `None` if they are known to be good.
    ///
    /// # Errors
    /// If they were refused lately, or another is not done with them before `deadline`.
    pub async fn first(&self, deadline: Instant) -> Result<Option<Alone<'_>>, NoTicket> {
        if self.known().is_proven {
            return Ok(None);
        }
        let alone = self.alone(deadline).await?;
        self.may_try()?;
        // Whoever was before may have shown that they are good.
        Ok(Some(alone).filter(|_| !self.known().is_proven))
    }

    /// Leave to log in if nobody else does so now.
    pub fn alone_now(&self) -> Option<Alone<'_>> {
        self.trying.try_lock().ok()
    }

    /// What was sent so was answered, and not with a refusal of the login. With another secret than the present one that
    /// proves nothing of the present one; but where every request is a login (`is_login`), the cloud counts anew.
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
        // Those for which there are tickets were counted when they were made.
        let is_first = !known.is_proven && known.tickets.iter().all(Option::is_none);
        known.is_proven = true;
        // Whoever reads metrics takes this lock within that of the provider, which the first count takes.
        drop(known);
        if is_first {
            self.count("accepted");
        }
    }

    /// What was sent so was refused as a login, in these words, whatever was tried: nothing is sent for a while, unless
    /// there is another secret by now. `is_login` if every request is a login of its own.
    ///
    /// The words reach callers who had no part in it, so they must not come from the answer to a request that carried
    /// somebody's key.
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

    /// Whether, after one more refusal, another would bring the account near its lock.
    pub fn is_near(&self, is_login: bool) -> bool {
        self.heeding().refusals(|it| it.is_near(is_login))
    }

    /// A refusal that says nothing of what is sent from now on.
    pub fn noted(&self, is_login: bool) {
        let said = Upstream::default();
        self.heeding().refusals(|it| it.noted(is_login, said));
    }

    /// Does this, and if it `is_refused` as a login once more some seconds later, where that may help and there is time
    /// before `deadline`: what is refused as a login was not begun. `send` is told whether a ticket may be old, so that
    /// a new one may help at once. Where there is another secret than what was refused, it is tried at once.
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
            // Every ticket from now on is fresh.
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
                // Somebody may have shown already that it is good, so that nothing is held.
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

    /// Reads the secret again if it is still this one.
    async fn look_for_another_than(&self, refused: u64, deadline: Instant) {
        let secret = self.secret.as_ref();
        if let Some(secret) = secret.filter(|secret| secret.version() == refused) {
            // Whoever watches the file says what is wrong with it.
            let _ = timeout_at(deadline, secret.refresh()).await;
        }
    }

    /// Ready when there is another secret than this.
    async fn another_than(&self, refused: u64) {
        match &self.secret {
            Some(secret) => secret.changed_from(refused).await,
            None => std::future::pending().await,
        }
    }

    /// The account, with the secret as it is now.
    fn heeding(&self) -> &Account {
        drop(self.known());
        &self.account
    }

    /// What is known of the secret as it is now.
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
