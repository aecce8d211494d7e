//! Sends to the network service of one cloud, with the login.

use crate::{
    core::{
        dialect::{Call, Usage},
        error::{Error, Upstream, Violation},
    },
    dialects::openstack::{
        auth::{Auth, NoTicket, Place, Sight, Ticket},
        config::Config,
        error::{self, Asked},
        variant::{Fields, Variant},
    },
    rest::{
        budget::Budget,
        client::{self, Answer, Request, Sent},
        transport::Network,
    },
};
use bytes::Bytes;
use http::{
    HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use serde_json::{Map, Value};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::time::{Instant, sleep_until};

/// The collection of connections.
pub const CONNECTIONS: &str = "ipsec-site-connections";
/// The collection of VPN services.
pub const SERVICES: &str = "vpnservices";

/// The network service of one cloud, reached with one account.
#[derive(Debug)]
pub struct Client {
    http: client::Client,
    auth: Auth,
    variant: &'static Variant,
    /// Whether several `fields` in one query turned out not to count.
    fields_are_lost: AtomicBool,
}

/// What is asked, below `/v2.0/vpn`.
#[derive(Debug, Clone)]
pub struct Ask<'a> {
    method: Method,
    path: Vec<&'a str>,
    query: Vec<(&'a str, &'a str)>,
    body: Option<Bytes>,
}

impl<'a> Ask<'a> {
    /// A request for what stands at this path; each part is one segment, whatever characters it has.
    pub fn get(path: impl Into<Vec<&'a str>>) -> Ask<'a> {
        Ask {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
        }
    }

    /// A request to make an object.
    pub fn post(path: impl Into<Vec<&'a str>>, key: &str, body: Map<String, Value>) -> Ask<'a> {
        Ask {
            method: Method::POST,
            body: Some(bytes(key, body)),
            ..Ask::get(path)
        }
    }

    /// A request to change an object. What is not in the body stays.
    pub fn put(path: impl Into<Vec<&'a str>>, key: &str, body: Map<String, Value>) -> Ask<'a> {
        Ask {
            method: Method::PUT,
            body: Some(bytes(key, body)),
            ..Ask::get(path)
        }
    }

    /// A request to remove an object.
    pub fn delete(path: impl Into<Vec<&'a str>>) -> Ask<'a> {
        Ask {
            method: Method::DELETE,
            ..Ask::get(path)
        }
    }

    /// The same for these fields only, named before everything else.
    #[must_use]
    pub fn only(mut self, fields: &[&'a str]) -> Ask<'a> {
        let fields = fields.iter().map(|field| ("fields", *field));
        self.query.splice(0..0, fields);
        self
    }

    /// Adds a query parameter; the same key may come again.
    #[must_use]
    pub fn with(mut self, key: &'a str, value: &'a str) -> Ask<'a> {
        self.query.push((key, value));
        self
    }

    /// Asks for these fields only: one parameter each, since a list with commas names none.
    #[must_use]
    pub fn fields(mut self, fields: &[&'a str]) -> Ask<'a> {
        self.query
            .extend(fields.iter().map(|field| ("fields", *field)));
        self
    }
}

/// An answer, and whether the account that asked is shown to see.
#[derive(Debug)]
pub struct Answered {
    /// The answer, whatever its status.
    pub answer: Answer,
    /// What is known of the login that it was given to.
    pub sight: Sight,
}

/// Why there is no answer.
#[derive(Debug)]
pub struct NoAnswer {
    /// What it means.
    pub error: Error,
    /// Whether the cloud may have acted on the request.
    pub sent: Sent,
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
            http,
            auth: Auth::new(config.login, config.variant.seeing_roles),
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

    /// How much of the account's budget is used.
    pub fn usage(&self) -> Usage {
        self.http.budget().used()
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
        let mut renews = true;
        loop {
            let answered = self.try_send(&ask, renews, call).await;
            // Every token from now on is fresh.
            renews = false;
            let is_refused = match &answered {
                Ok(answered) => error::is_login_refused(&answered.answer),
                Err(none) => none.is_refusal(),
            };
            if !is_refused || !self.may_ask_again(call).await {
                return answered.map_err(|none| match none {
                    NoTicket::Refused(error) => NoAnswer {
                        error,
                        sent: Sent::No,
                    },
                    NoTicket::Unanswered(failure) => NoAnswer {
                        error: error::unanswered(&failure),
                        sent: failure.sent,
                    },
                });
            }
        }
    }

    /// Waits until a login that was refused once may be asked again. False, at once, if there is no time for
    /// that, or no doubt.
    async fn may_ask_again(&self, call: &Call) -> bool {
        let again = self.auth.again_before(call.deadline);
        if let Some(again) = again {
            sleep_until(again).await;
        }
        again.is_some()
    }

    /// Whether the account sees by the roles it has now; a login made since `asked` is believed.
    ///
    /// # Errors
    /// If there is no login.
    pub async fn sight_since(&self, asked: Instant, call: &Call) -> Result<Sight, Error> {
        loop {
            let sight = self.auth.sight_since(asked, self.place(call)).await;
            let is_refused = sight.as_ref().is_err_and(NoTicket::is_refusal);
            if !is_refused || !self.may_ask_again(call).await {
                return sight.map_err(|none| match none {
                    NoTicket::Refused(error) => error,
                    NoTicket::Unanswered(failure) => error::unanswered(&failure),
                });
            }
        }
    }

    fn place(&self, call: &Call) -> Place<'_> {
        Place {
            http: &self.http,
            deadline: call.deadline,
        }
    }

    async fn try_send(
        &self,
        ask: &Ask<'_>,
        renews: bool,
        call: &Call,
    ) -> Result<Answered, NoTicket> {
        let place = self.place(call);
        let send = async |ticket: &Ticket| {
            let priority = call.priority;
            let answer = self
                .http
                .send(request(ticket, ask), priority, call.deadline)
                .await;
            answer.map_err(NoTicket::Unanswered)
        };
        let mut ticket = self.auth.ticket(place).await?;
        let mut answer = send(&ticket).await?;
        if error::is_login_refused(&answer)
            && renews
            && let Some(renewed) = self.auth.renewed(&ticket, place).await?
        {
            ticket = renewed;
            answer = send(&ticket).await?;
        }
        if !error::is_login_refused(&answer) {
            self.auth.answered(&ticket);
        } else if ticket.token().is_some() {
            self.auth.refused(&ticket, said(&answer, ask));
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
        .filter(|_| ask.body.is_none())
        .unwrap_or_else(|| error::wordless(answer))
}

fn request(ticket: &Ticket, ask: &Ask<'_>) -> Request {
    let mut url = ticket.network().clone();
    url.path_segments_mut()
        .expect("the service's address has a host, so it has a path")
        .push("vpn")
        .extend(&ask.path);
    if !ask.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&ask.query);
    }
    let mut request = Request::new(ask.method.clone(), url);
    let json = HeaderValue::from_static("application/json");
    request.headers.insert(ACCEPT, json.clone());
    if let Some(token) = ticket.token() {
        request.headers.insert("x-auth-token", token.clone());
    }
    if let Some(body) = &ask.body {
        request.headers.insert(CONTENT_TYPE, json);
        request.body = Some(body.clone());
    }
    request
}

fn bytes(key: &str, body: Map<String, Value>) -> Bytes {
    let body = Value::Object(Map::from_iter([(key.to_owned(), Value::Object(body))]));
    Bytes::from(body.to_string())
}
