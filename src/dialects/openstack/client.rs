//! Sends to the network service of one cloud, with the login.

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
    /// Whether several `fields` in one query turned out not to count.
    fields_are_lost: AtomicBool,
}

/// An answer, and whether the account that asked is shown to see.
#[derive(Debug)]
pub struct Answered {
    /// The answer, whatever its status.
    pub answer: Answer,
    /// What is known of the login that it was given to.
    pub sight: Sight,
}

impl Client {
    /// A client over `network` that has not logged in yet. Sends nothing.
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

    /// Which cloud it is.
    pub fn variant(&self) -> &'static Variant {
        self.variant
    }

    /// Whether a LIST is to be asked for these fields only.
    pub fn leaves_out(&self, fields: &[&str]) -> bool {
        match self.variant.fields {
            Fields::None => false,
            Fields::One => fields.len() <= 1 || !self.fields_are_lost.load(Ordering::Relaxed),
            Fields::All => true,
        }
    }

    /// Notes that the cloud does not take several fields in one query.
    pub fn leave_out_no_more(&self) {
        self.fields_are_lost.store(true, Ordering::Relaxed);
    }

    /// Where one logs in, or the network service where nobody asks for a login.
    pub fn place(&self) -> String {
        self.auth.place()
    }

    /// Which cloud it is, and what part of it.
    pub fn home(&self) -> Home {
        self.auth.home()
    }

    /// How much of the account's budget is used.
    pub fn usage(&self) -> Usage {
        Usage {
            // Keystone and the network service are both needed.
            circuit: self.http.circuits().worst(),
            login_rest: self.auth.logins().rest(),
            ..self.http.budget().used()
        }
    }

    /// Sends a request and reads its answer, whatever its status.
    ///
    /// A refused token is renewed once, and the request sent again: what answers 401 stands before Neutron,
    /// which has not seen the request then. So is a login that was refused, some seconds later, while there is
    /// time.
    ///
    /// # Errors
    /// If there was no whole answer in time, or no login.
    pub async fn send(&self, ask: Ask<'_>, call: &Call) -> Result<Answered, NoAnswer> {
        let send = |renews| self.try_send(&ask, renews, call);
        let is_refused = |answered: &Result<Answered, NoTicket>| match answered {
            Ok(answered) => error::is_login_refused(&answered.answer),
            Err(none) => none.is_refusal(),
        };
        let answered = self.auth.logins().send(call.deadline, send, is_refused);
        answered.await.map_err(NoAnswer::from)
    }

    /// Whether the account sees by the roles it has now; a login made since `asked` is believed.
    ///
    /// # Errors
    /// If there is no login.
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
            // Nobody asks who we are, so that nothing is said of a login.
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

/// What the cloud said when it refused the login: in its words, unless the request carried what they may quote.
fn said(answer: &Answer, ask: &Ask<'_>) -> Upstream {
    let refused = error::refused(answer, Asked::Read, &[]).context.upstream;
    refused
        .filter(|_| !ask.has_body())
        .unwrap_or_else(|| error::wordless(answer))
}
