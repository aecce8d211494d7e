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
//! How long it is held is for [`Refusals`] to say; meanwhile whoever needs a login is refused at once. Whoever comes
//! while one is made waits for its outcome instead of making another. What a ticket is, and how one is had, is the
//! dialect's.

pub(super) mod lockout;

use crate::{
    core::error::{Error, ErrorKind, ErrorReason, Upstream},
    dialects::refusal::unanswered,
    rest::answer::{Answer, Failure, FailureKind, Sent},
};
use lockout::Refusals;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::time::{Instant, sleep_until, timeout_at};

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
    /// Whether its life has ended by itself.
    fn is_over(&self) -> bool {
        false
    }
}

/// The tickets of one account, and what is known of its login.
#[derive(Debug)]
pub struct Logins<T> {
    /// A std mutex: held for look-ups only, never across an await.
    known: Mutex<Known<T>>,
    /// Held while a login is made or tried for the first time.
    trying: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Known<T> {
    /// By server, where each takes only its own.
    tickets: Vec<Option<Arc<T>>>,
    /// What is sent now was accepted before.
    is_proven: bool,
    refusals: Refusals<Upstream>,
}

/// Nobody else tries to log in.
pub type Alone<'a> = tokio::sync::MutexGuard<'a, ()>;

impl<T: Ticket> Logins<T> {
    /// Not logged in yet to any of so many servers with tickets of their own.
    pub fn new(servers: usize) -> Logins<T> {
        Logins {
            known: Mutex::new(Known {
                tickets: (0..servers).map(|_| None).collect(),
                is_proven: false,
                refusals: Refusals::default(),
            }),
            trying: tokio::sync::Mutex::new(()),
        }
    }

    /// Whether a login may be sent now.
    ///
    /// # Errors
    /// If not, since it was refused lately.
    pub fn may_try(&self) -> Result<(), NoTicket> {
        let known = self.known();
        let Some(held) = known.refusals.held() else {
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
        let error = error.upstream(held.said.clone());
        Err(NoTicket::Refused(error.retry_after(left)))
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
            None => Ok(self.keep(server, log_in.await?)),
        }
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

    /// What was sent at this time was answered, and not with a refusal of the login.
    pub fn accepted(&self, sent: Instant) {
        let mut known = self.known();
        if known.refusals.accepted(sent) {
            known.is_proven = true;
        }
    }

    /// What was sent at this time was refused as a login, in these words, whatever was tried: nothing is sent for a
    /// while. `is_login` if every request is a login of its own.
    ///
    /// The words reach callers who had no part in it, so they must not come from the answer to a request that carried
    /// somebody's key.
    pub fn refused(&self, sent: Instant, is_login: bool, said: Upstream) {
        let mut known = self.known();
        known.is_proven = false;
        known.refusals.refused(sent, is_login, said);
        known.tickets.fill(None);
    }

    /// Does this, and if it `is_refused` as a login once more some seconds later, where that may help and there is time
    /// before `deadline`: what is refused as a login was not begun. `send` is told whether a ticket may be old, so that
    /// a new one may help at once.
    pub async fn send<A, F: Future<Output = A>>(
        &self,
        deadline: Instant,
        send: impl Fn(bool) -> F,
        is_refused: impl Fn(&A) -> bool,
    ) -> A {
        let mut renews = true;
        loop {
            let answer = send(renews).await;
            // Every ticket from now on is fresh.
            renews = false;
            if !is_refused(&answer) {
                return answer;
            }
            let again = self.known().refusals.again_before(deadline);
            match again {
                Some(again) => sleep_until(again).await,
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

    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
