//! The gateway's own login: a token of Keystone, with every request to the network service and to nowhere
//! else. Made when it is first needed, renewed before it ends, and once more when it is refused. What a refused login
//! means for those that follow is for [`Logins`] to say.

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

/// A token is renewed so long before it ends, or after four fifths of its life if that is later.
const MARGIN: Duration = Duration::from_secs(60);

/// When a renewal is tried again that failed while the token was still good.
const RENEW_AGAIN: Duration = Duration::from_secs(5);

/// How one account logs in to one cloud.
pub struct Auth {
    way: Way,
    http: client::Client,
    /// Roles with any of which an account sees its connections; empty if roles tell nothing here.
    seeing_roles: &'static [&'static str],
    logins: Logins<Ticket>,
    /// When the renewal of a token that is still good is tried again. A std mutex: held for look-ups only.
    renews_again: Mutex<Option<Instant>>,
}

enum Way {
    /// Nobody asks who we are.
    Open(Arc<Ticket>),
    /// By a token.
    Keystone(Box<Keystone>),
}

/// What goes with one request, and where it may go.
pub struct Ticket {
    token: Option<HeaderValue>,
    /// The VPN API of the network service.
    api: Url,
    sight: Sight,
    /// When the login was begun that it stems from.
    begun: Instant,
    /// The version of the secret it was had with.
    secret: u64,
    renew_at: Option<Instant>,
    ends_at: Option<Instant>,
}

/// Whether an account that is shown nothing can be believed that nothing is there. A token that may not
/// read gets empty lists and 404, never a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// It has a project, and a role that sees.
    Sees,
    /// It has a project, and no role that is known to see.
    Doubtful,
    /// Roles tell nothing on this cloud, or there is no token.
    Unknown,
}

impl Ticket {
    /// The token; `None` where nobody asks for one.
    pub fn token(&self) -> Option<&HeaderValue> {
        self.token.as_ref()
    }

    /// The only place the token may be sent to: the network service, `/v2.0`.
    pub fn api(&self) -> &Url {
        &self.api
    }

    /// Whether it is shown to see.
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
    /// Not logged in yet; what is sent counts against the budget of `http`.
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

    /// Where one logs in, or the network service where nobody asks for a login.
    pub fn place(&self) -> String {
        let url = match &self.way {
            Way::Open(ticket) => &ticket.api,
            Way::Keystone(keystone) => &keystone.tokens,
        };
        url.origin().ascii_serialization()
    }

    /// Which cloud it is, and what part of it. An application credential does not tell its project; a project that is told by
    /// its name may be the one that is told by its id.
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

    /// The account's login.
    pub fn logins(&self) -> &Logins<Ticket> {
        &self.logins
    }

    /// What to send with the next request. Logs in first where that is needed.
    ///
    /// A token that is nearly over is renewed by whoever comes first; the others go on with it meanwhile, and
    /// so does everybody if Keystone does not answer, or refuses: until the token ends, it is good.
    ///
    /// # Errors
    /// If the login was refused lately, or is now, or cannot be made in time.
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
        // The request that waits for this has a ticket, and needs time of its own.
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

    /// What to send instead of a ticket that was refused; `None` if there is nothing else to try.
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

    /// Whether the account sees by the roles it has now: a token keeps its life, and not what it may see,
    /// when its account loses a role.
    ///
    /// A login made since `asked` is believed, so that requests at once share one.
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

    /// A request with this ticket was answered, and not with a refusal of the login. That speaks for the login
    /// it stems from, and for none that was refused since.
    pub fn answered(&self, ticket: &Ticket) {
        self.logins.accepted(ticket.tried(), false);
    }

    /// A request with this ticket, which is fresh, was refused in these words: no login is sent for a while. What is
    /// said of the words at [`Logins::refused`] holds here.
    pub fn refused(&self, ticket: &Ticket, said: Upstream) {
        self.logins.refused(ticket.tried(), false, said);
    }

    async fn log_in(&self, keystone: &Keystone, deadline: Instant) -> Result<Ticket, NoTicket> {
        // The token's life is counted from before it was asked for, so that it is over here first.
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

/// This network service, in one spelling.
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
        // No scope: asking for one is refused, even for the right one.
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

/// The ticket in Keystone's answer.
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
    // A whole answer names its user and its end; a piece of one proves nothing of the account.
    let is_whole = told["user"].is_object() && told["expires_at"].is_string();
    let has_project = match &told["project"] {
        Value::Object(_) => true,
        Value::Null if is_whole => false,
        _ => return Err(error::broken(answer, "no token of Keystone's")),
    };
    if !has_project {
        // Empty lists are all that such a token is shown.
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

/// How long a token lives. By Keystone's own clock where it tells both ends, since ours may differ.
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
