//! The gateway's own login to the managers of a cluster. Five failed logins lock an NSX account for fifteen minutes,
//! and other clients may use the same account. [`Logins`] prevents that.

use crate::{
    account::{Priority, Usage},
    core::{
        dialect::Call,
        error::Upstream,
        secret::{Secret, Version},
    },
    dialects::{
        login::{
            self, Alone, Logins, NoTicket, Tried,
            accounts::Whose,
            lockout::{AGAIN, LONGEST_REST},
        },
        nsx::{
            api_error,
            config::{Credentials, Login},
        },
    },
    rest::{
        answer::Answer,
        budget::{self, Budget, Limits},
        client,
        request::Request,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE},
};
use reqwest::Url;
use secrecy::ExposeSecret;
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::time::Instant;

/// How one account logs in to the managers of one cluster.
pub struct Auth {
    way: Way,
    http: client::Client,
    managers: Vec<Url>,
    logins: Logins<Ticket>,
    /// Limits requests that are each a login of their own, since all that are in flight may be refused at once.
    few: Option<Budget>,
}

enum Way {
    /// The password or a token, sent with every request.
    Header(Header),
    /// One cookie for each manager: NSX binds a cookie to the node that issued it.
    Cookies(Credentials),
}

/// The password or a token, and its header.
struct Header {
    secret: Secret,
    /// The user of the password; `None` for a token.
    username: Option<String>,
    /// A std mutex: held for look-ups only.
    made: Mutex<Made>,
}

/// The tickets made from a secret.
struct Made {
    /// The ticket of the newest version of the secret.
    newest: Arc<Ticket>,
    /// The newest ticket that the cloud has accepted and not refused since.
    proven: Option<Arc<Ticket>>,
    /// When the newest secret was refused while the cloud still accepted the one before, because the file changed
    /// before the cloud did. The earlier one is sent until the cloud refuses it, too.
    early: Option<Instant>,
}

/// The credentials that go with one request.
#[derive(Debug)]
pub struct Ticket {
    headers: HeaderMap,
    /// The version of the secret that the ticket was obtained with.
    secret: u64,
}

impl Ticket {
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Describes a request with this ticket that was sent at `sent`.
    pub fn tried(&self, sent: Instant) -> Tried {
        Tried {
            sent,
            secret: self.secret,
        }
    }
}

impl login::Ticket for Ticket {
    fn secret(&self) -> u64 {
        self.secret
    }
}

impl Made {
    /// Reports whether the newest secret is still on hold as too early. The hold is limited, but longer than any lock.
    fn is_early(&self) -> bool {
        self.early.is_some_and(|at| at.elapsed() < LONGEST_REST)
    }
}

impl Header {
    fn new(secret: Secret, username: Option<String>) -> Result<Header, &'static str> {
        let now = secret.now();
        let made = header(&now, username.as_deref())?;
        if username.is_none() {
            secret.must(|token| bearer(token).map(drop));
        }
        Ok(Header {
            secret,
            username,
            made: Mutex::new(Made {
                newest: Arc::new(made),
                proven: None,
                early: None,
            }),
        })
    }

    /// Returns the ticket to send with the next request.
    fn ticket(&self) -> Arc<Ticket> {
        let mut made = self.made();
        if made.newest.secret != self.secret.version() {
            let header = header(&self.secret.now(), self.username.as_deref());
            made.newest = Arc::new(header.expect("base64, or a token that was found fit"));
        }
        let before = made.proven.as_ref().filter(|_| made.is_early());
        Arc::clone(before.unwrap_or(&made.newest))
    }

    fn accepted(&self, ticket: &Arc<Ticket>) {
        let mut made = self.made();
        if made.newest.secret == ticket.secret {
            made.early = None;
        }
        let proven = made.proven.as_ref();
        if proven.is_none_or(|proven| proven.secret < ticket.secret) {
            made.proven = Some(Arc::clone(ticket));
        }
    }

    /// Returns the ticket to send instead of a refused one. That is the earlier secret's if the cloud accepts it, or
    /// the newest one's if it was refused as too early. Returns `None` if `near`: another refusal would bring the
    /// account near its lock.
    fn instead(&self, refused: &Ticket, near: bool) -> Option<Arc<Ticket>> {
        let mut made = self.made();
        made.proven
            .take_if(|proven| proven.secret == refused.secret);
        let is_newest = refused.secret == made.newest.secret;
        let other = match is_newest {
            true => made.proven.clone().filter(|_| !made.is_early()),
            false => made
                .early
                .take_if(|at| at.elapsed() >= AGAIN)
                .map(|_| Arc::clone(&made.newest)),
        };
        let other = other.filter(|_| !near)?;
        if is_newest {
            made.early = Some(Instant::now());
            let file = self.secret.file().map(|file| file.display().to_string());
            tracing::warn!(
                file,
                "the cloud refuses the secret in its file; the previous one stays in use, one request at a time"
            );
        }
        Some(other)
    }

    /// Returns what a refusal is about. If the newest secret was refused just before, both secrets are to blame.
    fn blamed(&self, tried: Tried) -> Tried {
        let made = self.made();
        let both = made.early.is_some_and(|at| at.elapsed() < AGAIN);
        match both && made.proven.is_none() {
            true => Tried {
                secret: made.newest.secret,
                ..tried
            },
            false => tried,
        }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Builds the header for a password, if there is a user, or for a token.
fn header(secret: &Version, username: Option<&str>) -> Result<Ticket, &'static str> {
    let text = secret.text.expose_secret();
    let value = match username {
        Some(username) => {
            let pair = format!("{username}:{text}");
            hidden(&format!("Basic {}", BASE64_STANDARD.encode(pair)))?
        }
        None => bearer(text)?,
    };
    Ok(Ticket {
        headers: HeaderMap::from_iter([(AUTHORIZATION, value)]),
        secret: secret.number,
    })
}

fn bearer(token: &str) -> Result<HeaderValue, &'static str> {
    hidden(&format!("Bearer {}", token.trim()))
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.way, &self.few) {
            (Way::Header(_), Some(_)) => "Auth(basic)",
            (Way::Header(_), None) => "Auth(bearer)",
            (Way::Cookies(_), _) => "Auth(cookies)",
        })
    }
}

/// How many requests with a password may be in flight: one for each class of the budget, so that hanging requests of
/// one class never keep another class from the cloud. When the password changes, all of them are refused. So is the
/// next request, which confirms the refusal. A fifth would lock the account. A `session` login has no such limit.
const FEW: u32 = 3;

/// How many requests with this login may be in flight, if the account allows more.
pub fn at_once(login: &Login) -> u32 {
    match login {
        Login::Basic(_) => FEW,
        Login::Bearer(_) | Login::Session(_) => u32::MAX,
    }
}

/// The permission to send a request with credentials that may be refused. The caller keeps it until it has passed the
/// answer to [`Auth::accepted`] or [`Auth::refused`].
#[derive(Debug, Default)]
pub struct Leave<'a> {
    /// The cloud has not accepted these credentials yet, so no other task sends.
    _alone: Option<Alone<'a>>,
    _one_of_few: Option<budget::Leave<'a>>,
}

impl Auth {
    /// Starts without a login to any of these managers. Requests count against the budget of `http`.
    ///
    /// # Errors
    /// Fails if a token cannot stand in a header.
    pub fn new(
        login: Login,
        managers: Vec<Url>,
        http: client::Client,
    ) -> Result<Auth, &'static str> {
        let few = matches!(login, Login::Basic(_)).then(|| {
            Budget::new(Limits {
                rate: f64::MAX,
                concurrency: FEW,
            })
        });
        let secret = match &login {
            Login::Basic(credentials) | Login::Session(credentials) => &credentials.password,
            Login::Bearer(token) => token,
        };
        let secret = secret.clone();
        let whose = Whose {
            places: managers
                .iter()
                .map(|url| url.origin().ascii_serialization())
                .collect(),
            who: match &login {
                Login::Basic(credentials) | Login::Session(credentials) => {
                    credentials.username.clone()
                }
                // The token itself says whose it is.
                Login::Bearer(_) => String::new(),
            },
        };
        let way = match login {
            Login::Basic(credentials) => Way::Header(Header::new(
                credentials.password,
                Some(credentials.username),
            )?),
            Login::Bearer(token) => Way::Header(Header::new(token, None)?),
            Login::Session(credentials) => Way::Cookies(credentials),
        };
        Ok(Auth {
            way,
            logins: Logins::new(&http, whose, managers.len(), Some(secret)),
            http,
            managers,
            few,
        })
    }

    /// The account's login, shared by all managers.
    pub fn logins(&self) -> &Logins<Ticket> {
        &self.logins
    }

    /// Returns the ticket for the next request to this manager. Logs in first if necessary.
    ///
    /// The caller keeps the second value until it has passed the answer to [`Auth::accepted`] or [`Auth::refused`].
    ///
    /// # Errors
    /// Fails if the login is held after a refusal, is refused, or cannot be made in time.
    pub async fn ticket(
        &self,
        manager: usize,
        call: &Call,
    ) -> Result<(Arc<Ticket>, Leave<'_>), NoTicket> {
        self.logins.may_try()?;
        let credentials = match &self.way {
            Way::Header(header) => loop {
                let ticket = header.ticket();
                let leave = self.leave(call).await?;
                // The permission may be for another secret than the one this task had before it waited.
                if header.ticket().secret == ticket.secret {
                    return Ok((ticket, leave));
                }
            },
            Way::Cookies(credentials) => credentials,
        };
        let ticket = match self.logins.kept(manager) {
            Some(ticket) => ticket,
            None => {
                let log_in = self.log_in(credentials, manager, call);
                self.logins
                    .ticket(manager, call.deadline, |_| true, log_in)
                    .await?
            }
        };
        Ok((ticket, Leave::default()))
    }

    async fn leave(&self, call: &Call) -> Result<Leave<'_>, NoTicket> {
        let one_of_few = match &self.few {
            Some(few) => {
                let leave = few.acquire(call.priority, call.deadline).await;
                Some(leave.map_err(|exhausted| NoTicket::Unanswered(exhausted.into()))?)
            }
            None => None,
        };
        self.logins.may_try()?;
        Ok(Leave {
            _alone: self.logins.first(call.deadline).await?,
            _one_of_few: one_of_few,
        })
    }

    /// Returns the ticket to send instead of a refused one, or `None` if there is nothing else to try. With cookies,
    /// the caller asks once for a new login. With a secret in every request, it asks until the answer is `None`.
    ///
    /// # Errors
    /// As for [`Auth::ticket`].
    pub async fn renewed(
        &self,
        refused: &Arc<Ticket>,
        manager: usize,
        call: &Call,
    ) -> Result<Option<Arc<Ticket>>, NoTicket> {
        let credentials = match &self.way {
            Way::Header(header) => {
                let is_login = self.few.is_some();
                let other = header.instead(refused, self.logins.is_near(is_login));
                if other.is_some() {
                    self.logins.noted(is_login);
                }
                return Ok(other);
            }
            Way::Cookies(credentials) => credentials,
        };
        let log_in = self.log_in(credentials, manager, call);
        let renewed = self.logins.renewed(manager, refused, call.deadline, log_in);
        renewed.await.map(Some)
    }

    /// Records that a request with this ticket, sent at `sent`, was answered and its login not refused.
    pub fn accepted(&self, ticket: &Arc<Ticket>, sent: Instant) {
        if let Way::Header(header) = &self.way {
            header.accepted(ticket);
        }
        self.logins.accepted(ticket.tried(sent), self.few.is_some());
    }

    /// Reports whether every request carries the secret.
    pub fn is_with_each(&self) -> bool {
        matches!(self.way, Way::Header(_))
    }

    /// How much of the limit on requests in flight is used; `None` if the account's own limit is the only one.
    pub fn few(&self) -> Option<Usage> {
        self.few.as_ref().map(Budget::used)
    }

    /// Records that the cloud refused `tried` as a login with the text `said`. Nothing is sent for a while. What
    /// [`Logins::refused`] requires of `said` holds here, too.
    pub fn refused(&self, tried: Tried, said: Upstream) {
        let tried = match &self.way {
            Way::Header(header) => header.blamed(tried),
            Way::Cookies(_) => tried,
        };
        self.logins.refused(tried, self.few.is_some(), said);
    }

    /// Logs in. Boxed because every request's future has room for a login, which is large and rare.
    fn log_in<'a>(
        &'a self,
        credentials: &'a Credentials,
        manager: usize,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Ticket, NoTicket>> {
        Box::pin(async move {
            let password = credentials.password.now();
            let request = login_request(&credentials.username, &password, &self.managers[manager]);
            let tried = Tried {
                sent: Instant::now(),
                secret: password.number,
            };
            let answer = self.http.exchange(request, Priority::Login, call.deadline);
            let answer = answer.await.map_err(NoTicket::unanswered)?;
            if !answer.is_success() {
                let refused = api_error::login_refused(&answer, password.text.expose_secret());
                // If the login was made after all, the cost is one more session and nothing else.
                if api_error::is_of_its_manager(&answer, true) {
                    let refused = refused.during("logging in");
                    return Err(NoTicket::Away(Box::new((answer, refused))));
                }
                if matches!(answer.status, 401 | 403) {
                    self.refused(tried, refused.context.upstream.clone().unwrap_or_default());
                }
                return Err(NoTicket::Refused(refused.during("logging in")));
            }
            let headers = ticket_headers(&answer).ok_or_else(|| {
                let broken = api_error::broken(&answer, "a login without cookie or X-XSRF-TOKEN");
                NoTicket::Refused(broken.during("logging in"))
            })?;
            Ok(Ticket {
                headers,
                secret: password.number,
            })
        })
    }
}

fn login_request(username: &str, password: &Version, manager: &Url) -> Request {
    let mut url = manager.clone();
    // Outside `/api/v1`, unlike everything else.
    url.set_path("/api/session/create");
    let mut form = reqwest::Url::parse("form:?").expect("a constant that parses");
    form.query_pairs_mut()
        .append_pair("j_username", username)
        .append_pair("j_password", password.text.expose_secret());
    let body = form.query().unwrap_or_default().to_owned();
    let mut request = Request::new(Method::POST, url);
    request.headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    request.body = Some(Bytes::from(body));
    request
}

/// Returns the cookie and the XSRF token, both of which go with every call.
fn ticket_headers(answer: &Answer) -> Option<HeaderMap> {
    let cookies: Vec<&str> = answer
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
        .map(str::trim)
        .collect();
    if !cookies
        .iter()
        .any(|cookie| cookie.starts_with("JSESSIONID="))
    {
        return None;
    }
    let mut xsrf = answer.headers.get("x-xsrf-token")?.clone();
    xsrf.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, hidden(&cookies.join("; ")).ok()?);
    headers.insert("x-xsrf-token", xsrf);
    Some(headers)
}

fn hidden(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "must have no line breaks and no control characters")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;
