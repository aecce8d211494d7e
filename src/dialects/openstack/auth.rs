//! The gateway's own login: a Keystone token, sent with every request to the network service and to nothing else.
//!
//! The dialect logs in when a request first needs a token, renews the token before it expires, and logs in once more
//! when the cloud refuses it. [`Logins`] decides when a refused login may be tried again.

mod catalogue;

use crate::{
    account::Priority,
    core::{
        dialect::Call,
        error::{Error, ErrorKind, ErrorReason, Upstream},
        home::Home,
        secret::Version,
    },
    dialects::{
        login::{self, Logins, NoTicket, Tried, accounts::Whose},
        openstack::{
            config::{Identity, Keystone, Login, Project},
            error::{self, Asked},
        },
    },
    rest::{answer::Answer, client, request::Request},
};
use catalogue::{catalogued, safe_from};
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// How long before expiry a token is renewed; never earlier than after four fifths of its life.
const MARGIN: Duration = Duration::from_secs(60);

/// How long to wait after a failed renewal before trying again, while the token is still valid.
const RENEW_AGAIN: Duration = Duration::from_secs(5);

/// The login of one account to one cloud.
pub struct Auth {
    way: Way,
    http: client::Client,
    /// Roles that let an account see its connections; any one is enough. Empty if this cloud's roles say nothing
    /// about that.
    seeing_roles: &'static [&'static str],
    logins: Logins<Ticket>,
    /// When to retry a failed renewal of a token that is still valid. A std mutex: never held across an await.
    renews_again: Mutex<Option<Instant>>,
}

enum Way {
    /// The network service needs no login.
    Open(Arc<Ticket>),
    Keystone(Box<Keystone>),
}

/// The credentials for one request, and the only service they may be sent to.
pub struct Ticket {
    token: Option<HeaderValue>,
    /// The network service, with its `/v2.0`.
    api: Url,
    sight: Sight,
    /// When the login that produced this ticket began.
    begun: Instant,
    /// The version of the secret that the login used.
    secret: u64,
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
}

/// Whether an empty answer proves that nothing is there. A token without read access gets empty lists and 404, never
/// a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The token has a project and a role that lets it see.
    Sees,
    /// The token has a project, but no role known to let it see.
    Doubtful,
    /// This cloud's roles say nothing about access, or there is no token.
    Unknown,
}

impl Ticket {
    /// Returns the token, or `None` if the network service needs no login.
    pub fn token(&self) -> Option<&HeaderValue> {
        self.token.as_ref()
    }

    /// Returns the network service's URL with `/v2.0`: the only place the token may be sent to.
    pub fn api(&self) -> &Url {
        &self.api
    }

    /// Returns whether the login's roles let the account see its connections.
    pub fn sight(&self) -> Sight {
        self.sight
    }
}

impl login::Ticket for Ticket {
    fn secret(&self) -> u64 {
        self.secret
    }

    fn is_over(&self) -> bool {
        self.ends_at.is_some_and(|end| end <= Instant::now())
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::Open(_) => "Auth(none)",
            Way::Keystone(_) => "Auth(keystone)",
        })
    }
}

impl Auth {
    /// Creates a login that has not been made yet. Its requests count against the budget of `http`.
    pub fn new(login: Login, seeing_roles: &'static [&'static str], http: client::Client) -> Auth {
        let secret = match &login {
            Login::None(_) => None,
            Login::Keystone(keystone) => Some(keystone.identity.secret().clone()),
        };
        let whose = whose(&login);
        Auth {
            way: match login {
                Login::None(network) => Way::Open(Arc::new(tokenless(&network))),
                Login::Keystone(keystone) => Way::Keystone(keystone),
            },
            logins: Logins::new(&http, whose, 1, secret),
            http,
            seeing_roles,
            renews_again: Mutex::default(),
        }
    }

    /// Returns the origin of Keystone, or of the network service if there is no login.
    pub fn place(&self) -> String {
        let url = match &self.way {
            Way::Open(ticket) => &ticket.api,
            Way::Keystone(keystone) => &keystone.tokens,
        };
        url.origin().ascii_serialization()
    }

    /// Returns which cloud this is, and which part of it.
    ///
    /// An application credential does not name its project, so it adds none. A project given by name may be the same
    /// as one given by id.
    pub fn home(&self) -> Home {
        let home = Home::at([self.place()]);
        let Way::Keystone(keystone) = &self.way else {
            return home;
        };
        let home = match &keystone.region {
            Some(region) => home.within("region", region),
            None => home,
        };
        match &keystone.identity {
            Identity::ApplicationCredential { .. } => home,
            Identity::Password { project, .. } => match project {
                Project::Id(id) => home.within("project id", id),
                Project::Name { name, domain_id } => {
                    home.within("project", format!("{name} in {domain_id}"))
                }
            },
        }
    }

    pub fn logins(&self) -> &Logins<Ticket> {
        &self.logins
    }

    /// Returns the ticket for the next request, logging in first if necessary.
    ///
    /// The first request that finds the token close to expiry renews it; other requests keep using the old token in
    /// the meantime. If Keystone does not answer or refuses, every request keeps using the old token until it
    /// expires.
    ///
    /// # Errors
    /// The login was refused recently, is refused by this attempt, or cannot be made before the deadline.
    pub async fn ticket(&self, call: &Call) -> Result<Arc<Ticket>, NoTicket> {
        let keystone = match &self.way {
            Way::Keystone(keystone) => keystone,
            Way::Open(ticket) => return Ok(Arc::clone(ticket)),
        };
        let Some(ticket) = self.logins.kept(0) else {
            self.logins.may_try()?;
            let log_in = self.log_in(keystone, call.deadline);
            let ticket = self.logins.ticket(0, call.deadline, |_| true, log_in);
            return ticket.await;
        };
        if !ticket.is_nearly_over() || self.is_postponed() || self.logins.may_try().is_err() {
            return Ok(ticket);
        }
        let Some(_alone) = self.logins.alone_now() else {
            return Ok(ticket);
        };
        // The waiting request already has a ticket, so the renewal may take only half of its remaining time.
        let left = call.deadline.saturating_duration_since(Instant::now());
        Ok(
            match self
                .logins
                .made(self.log_in(keystone, call.deadline - left / 2))
                .await
            {
                Ok(new) => self.logins.keep(0, new),
                Err(_) => {
                    *self.renews_again() = Some(Instant::now() + RENEW_AGAIN);
                    self.logins.keep(0, ticket)
                }
            },
        )
    }

    /// Returns the ticket to send in place of a refused one, or `None` if there is no login to renew.
    ///
    /// # Errors
    /// As for [`Auth::ticket`].
    pub async fn renewed(
        &self,
        refused: &Arc<Ticket>,
        call: &Call,
    ) -> Result<Option<Arc<Ticket>>, NoTicket> {
        let Way::Keystone(keystone) = &self.way else {
            return Ok(None);
        };
        let log_in = self.log_in(keystone, call.deadline);
        let renewed = self.logins.renewed(0, refused, call.deadline, log_in);
        renewed.await.map(Some)
    }

    /// Reports whether the account's current roles let it see. A token stays valid when its account loses a role, but
    /// no longer shows anything.
    ///
    /// A login made after `asked` counts as current, so that concurrent callers share one.
    ///
    /// # Errors
    /// As for [`Auth::ticket`].
    pub async fn sight_since(&self, asked: Instant, call: &Call) -> Result<Sight, NoTicket> {
        let Way::Keystone(keystone) = &self.way else {
            return Ok(Sight::Unknown);
        };
        let is_new = |ticket: &Ticket| ticket.begun >= asked;
        let log_in = self.log_in(keystone, call.deadline);
        let ticket = self.logins.ticket(0, call.deadline, is_new, log_in);
        Ok(ticket.await?.sight)
    }

    /// Records that a request with this ticket got an answer other than a refused login. This vouches for the login
    /// that produced the ticket, not for one refused since.
    pub fn answered(&self, ticket: &Ticket) {
        self.logins.accepted(ticket.tried(), false);
    }

    /// Records that a request with this fresh ticket was refused, with the cloud's words. No login is sent for a
    /// while. The restrictions on the words at [`Logins::refused`] apply.
    pub fn refused(&self, ticket: &Ticket, said: Upstream) {
        self.logins.refused(ticket.tried(), false, said);
    }

    /// Logs in. Boxed because every request's future has room for a login, which is large and rare.
    fn log_in<'a>(
        &'a self,
        keystone: &'a Keystone,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Ticket, NoTicket>> {
        Box::pin(async move {
            // Count the token's life from before the request, so that it expires here first.
            let begun = Instant::now();
            let secret = keystone.identity.secret().now();
            let request = login_request(keystone, &secret);
            let answer = self.http.send(request, Priority::Login, deadline).await;
            let answer = answer.map_err(NoTicket::unanswered)?;
            read(keystone, &secret, self.seeing_roles, &answer, begun).map_err(|error| {
                if error.kind == ErrorKind::BackendAuth {
                    let said = error.context.upstream.clone().unwrap_or_default();
                    let tried = Tried {
                        sent: begun,
                        secret: secret.number,
                    };
                    self.logins.refused(tried, false, said);
                }
                NoTicket::Refused(error.during("logging in"))
            })
        })
    }

    fn is_postponed(&self) -> bool {
        self.renews_again()
            .is_some_and(|again| Instant::now() < again)
    }

    fn renews_again(&self) -> MutexGuard<'_, Option<Instant>> {
        self.renews_again
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    fn tried(&self) -> Tried {
        Tried {
            sent: self.begun,
            secret: self.secret,
        }
    }

    fn is_nearly_over(&self) -> bool {
        self.renew_at.is_some_and(|time| time <= Instant::now())
    }
}

fn whose(login: &Login) -> Whose {
    let (url, who) = match login {
        Login::None(network) => (network, String::new()),
        Login::Keystone(keystone) => {
            let who = match &keystone.identity {
                Identity::Password {
                    username,
                    user_domain_id,
                    ..
                } => format!("{username} of {user_domain_id}"),
                Identity::ApplicationCredential { id, .. } => id.clone(),
            };
            (&keystone.tokens, who)
        }
    };
    Whose {
        places: vec![url.origin().ascii_serialization()],
        who,
    }
}

fn tokenless(network: &Url) -> Ticket {
    Ticket {
        token: None,
        api: api(network.clone()),
        sight: Sight::Unknown,
        begun: Instant::now(),
        secret: 0,
        renew_at: None,
        ends_at: None,
    }
}

/// Strips trailing slashes from the network service's URL.
fn api(mut network: Url) -> Url {
    let path = network.path().trim_end_matches('/').to_owned();
    network.set_path(&path);
    network
}

fn refusal(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BackendAuth, ErrorReason::UpstreamAuth, what)
}

fn login_request(keystone: &Keystone, secret: &Version) -> Request {
    let secret = secret.text.expose_secret();
    let auth = match &keystone.identity {
        Identity::Password {
            username,
            user_domain_id,
            project,
            ..
        } => {
            let project = match project {
                Project::Id(id) => json!({ "id": id }),
                Project::Name { name, domain_id } => {
                    json!({ "name": name, "domain": { "id": domain_id } })
                }
            };
            json!({
                "identity": { "methods": ["password"], "password": { "user": {
                    "name": username,
                    "domain": { "id": user_domain_id },
                    "password": secret,
                } } },
                "scope": { "project": project },
            })
        }
        // No scope: Keystone refuses a request for one, even for the credential's own project.
        Identity::ApplicationCredential { id, .. } => json!({
            "identity": { "methods": ["application_credential"], "application_credential": {
                "id": id,
                "secret": secret,
            } },
        }),
    };
    let mut url = keystone.tokens.clone();
    if keystone.network.is_some() {
        url.set_query(Some("nocatalog"));
    }
    Request::new(Method::POST, url).json(&json!({ "auth": auth }))
}

/// Reads the ticket from Keystone's answer.
fn read(
    keystone: &Keystone,
    secret: &Version,
    seeing_roles: &[&str],
    answer: &Answer,
    begun: Instant,
) -> Result<Ticket, Error> {
    let body = error::granted(answer, Asked::LogIn, &[secret.text.expose_secret()])?;
    let token = answer.headers.get("x-subject-token").cloned();
    let mut token = token
        .filter(|token| !token.is_empty())
        .ok_or_else(|| error::broken(answer, "a login without X-Subject-Token"))?;
    token.set_sensitive(true);
    let told = &body["token"];
    // A complete answer names its user and its expiry. A partial one proves nothing about the account.
    let is_whole = told["user"].is_object() && told["expires_at"].is_string();
    let has_project = match &told["project"] {
        Value::Object(_) => true,
        Value::Null if is_whole => false,
        _ => return Err(error::broken(answer, "no token of Keystone's")),
    };
    if !has_project {
        // A token without a project is shown only empty lists.
        return Err(refusal(
            "Keystone's token is bound to no project: the account needs a role on one",
        ));
    }
    let network = match &keystone.network {
        Some(network) => network.clone(),
        None => {
            let network = catalogued(&told["catalog"], keystone.region.as_deref())?;
            safe_from(&keystone.tokens, &network)?;
            network
        }
    };
    let life = life(told);
    Ok(Ticket {
        token: Some(token),
        api: api(network),
        sight: sight(told, seeing_roles),
        begun,
        secret: secret.number,
        renew_at: life.map(|life| begun + life - MARGIN.min(life / 5)),
        ends_at: life.map(|life| begun + life),
    })
}

fn sight(token: &Value, seeing_roles: &[&str]) -> Sight {
    if seeing_roles.is_empty() {
        return Sight::Unknown;
    }
    let roles = token["roles"].as_array().map_or(&[][..], Vec::as_slice);
    let sees = roles
        .iter()
        .filter_map(|role| role["name"].as_str())
        .any(|name| {
            seeing_roles
                .iter()
                .any(|seeing| name.eq_ignore_ascii_case(seeing))
        });
    if sees { Sight::Sees } else { Sight::Doubtful }
}

/// Returns how long a token lives. Uses Keystone's own clock if the answer has both ends, since the local clock may
/// differ.
fn life(token: &Value) -> Option<Duration> {
    let time = |key: &str| {
        let text = token[key].as_str()?;
        humantime::parse_rfc3339_weak(text).ok()
    };
    let begins = time("issued_at").unwrap_or_else(SystemTime::now);
    Some(
        time("expires_at")?
            .duration_since(begins)
            .unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests;
