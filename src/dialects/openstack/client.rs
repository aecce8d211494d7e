//! Sends requests to the network service of one cloud, with the login.

pub use crate::{dialects::login::NoAnswer, rest::request::Ask};

use crate::{
    account::Usage,
    core::{
        dialect::Call,
        error::{Error, Upstream, Violation},
        home::Home,
    },
    dialects::{
        login::NoTicket,
        openstack::{
            auth::{Auth, Sight, Ticket},
            config::Config,
            error::{self, Asked},
            variant::{Fields, Variant},
        },
    },
    rest::{answer::Answer, budget::Budget, client, transport::Network},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::time::Instant;

/// The network service of one cloud, reached with one account.
#[derive(Debug)]
pub struct Client {
    http: client::Client,
    auth: Auth,
    variant: &'static Variant,
    /// Whether this cloud turned out to honor only one `fields` parameter per query.
    fields_are_lost: AtomicBool,
}

/// An answer, and whether the account that asked can see.
#[derive(Debug)]
pub struct Answered {
    /// The answer, whatever its status.
    pub answer: Answer,
    /// Whether the login that the answer was given to can see.
    pub sight: Sight,
}

impl Client {
    /// Creates a client over `network`. Sends nothing and does not log in yet.
    ///
    /// # Errors
    /// The settings that do not work, by configuration key.
    pub fn new(config: Config, network: &dyn Network) -> Result<Client, Vec<Violation>> {
        let budget = Arc::new(Budget::new(config.limits));
        let http = client::Client::new(network, &config.options, budget)
            .map_err(|what| vec![Violation::new("ca_file", what)])?;
        Ok(Client {
            auth: Auth::new(config.login, config.variant.seeing_roles, http.clone()),
            http,
            variant: config.variant,
            fields_are_lost: AtomicBool::new(false),
        })
    }

    pub fn variant(&self) -> &'static Variant {
        self.variant
    }

    /// Reports whether to restrict a LIST to these fields.
    pub fn leaves_out(&self, fields: &[&str]) -> bool {
        match self.variant.fields {
            Fields::None => false,
            Fields::One => fields.len() <= 1 || !self.fields_are_lost.load(Ordering::Relaxed),
            Fields::All => true,
        }
    }

    /// Records that the cloud does not take several `fields` in one query.
    pub fn leave_out_no_more(&self) {
        self.fields_are_lost.store(true, Ordering::Relaxed);
    }

    /// Returns the origin of Keystone, or of the network service if there is no login.
    pub fn place(&self) -> String {
        self.auth.place()
    }

    /// Returns the addresses of the cloud, and the region or project in use.
    pub fn home(&self) -> Home {
        self.auth.home()
    }

    pub fn usage(&self) -> Usage {
        Usage {
            // Requests need both Keystone and the network service.
            circuit: self.http.circuits().worst(),
            login_rest: self.auth.logins().rest(),
            ..self.http.budget().used()
        }
    }

    /// Sends a request and returns its answer, whatever its status.
    ///
    /// A refused token is renewed once and the request sent again, writes included: the middleware that answers 401
    /// stands before Neutron, which has not seen the request. A refused login is also retried some seconds later, if
    /// the deadline allows.
    ///
    /// # Errors
    /// There was no complete answer before the deadline, or no login.
    pub async fn send(&self, ask: Ask<'_>, call: &Call) -> Result<Answered, NoAnswer> {
        let send = |renews| self.try_send(&ask, renews, call);
        let is_refused = |answered: &Result<Answered, NoTicket>| match answered {
            Ok(answered) => error::is_login_refused(&answered.answer),
            Err(none) => none.is_refusal(),
        };
        let answered = self.auth.logins().send(call.deadline, send, is_refused);
        answered.await.map_err(NoAnswer::from)
    }

    /// Reports whether the account's current roles let it see. A login made after `asked` counts as current.
    ///
    /// # Errors
    /// There is no login.
    pub async fn sight_since(&self, asked: Instant, call: &Call) -> Result<Sight, Error> {
        let send = |_| self.auth.sight_since(asked, call);
        let is_refused =
            |sight: &Result<Sight, NoTicket>| sight.as_ref().is_err_and(NoTicket::is_refusal);
        let sight = self.auth.logins().send(call.deadline, send, is_refused);
        sight.await.map_err(|none| NoAnswer::from(none).error)
    }

    async fn try_send(
        &self,
        ask: &Ask<'_>,
        renews: bool,
        call: &Call,
    ) -> Result<Answered, NoTicket> {
        let send = async |ticket: &Ticket| {
            let mut request = ask.at(ticket.api());
            if let Some(token) = ticket.token() {
                request.headers.insert("x-auth-token", token.clone());
            }
            let answer = self.http.send(request, call.priority, call.deadline);
            answer.await.map_err(NoTicket::Unanswered)
        };
        let mut ticket = self.auth.ticket(call).await?;
        let mut answer = send(&ticket).await?;
        if error::is_login_refused(&answer)
            && renews
            && let Some(renewed) = self.auth.renewed(&ticket, call).await?
        {
            ticket = renewed;
            answer = send(&ticket).await?;
        }
        match error::is_login_refused(&answer) {
            // There is no login, so the answer says nothing about one.
            _ if ticket.token().is_none() => {}
            false => self.auth.answered(&ticket),
            true => self.auth.refused(&ticket, said(&answer, ask)),
        }
        Ok(Answered {
            answer,
            sight: ticket.sight(),
        })
    }
}

/// Returns what the cloud said when it refused the login. Its words are left out if the request had a body that they
/// might quote.
fn said(answer: &Answer, ask: &Ask<'_>) -> Upstream {
    let refused = error::refused(answer, Asked::Read, &[]).context.upstream;
    refused
        .filter(|_| !ask.has_body())
        .unwrap_or_else(|| error::wordless(answer))
}
