//! The gateway's own login: sent with every request, renewed once when it expires, and never tried again
//! and again. Five failed logins lock an NSX account for fifteen minutes, and it may be somebody else's too.
//!
//! ```text
//!              answered                    refused
//!   unproven ────────────► proven ──────────────────────► held ─ 5 s; if refused again 5 min, 20 min ─► unproven
//!      ▲   one request                (session: after one                 │
//!      │   at a time                   new login, refused as well)        │
//!      └──────────────────────────────────────────────────────────────────┘
//! ```
//!
//! How long it is held is for [`Refusals`] to say.

use crate::{
    account::{Priority, Usage},
    core::error::{Error, ErrorKind, ErrorReason, Upstream},
    dialects::nsx::{
        config::{Credentials, Login},
        error,
    },
    rest::{
        budget::{self, Budget, Limits},
        client::{self, Answer, Failure, FailureKind, Request, Sent},
        refusals::Refusals,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, SET_COOKIE},
};
use reqwest::Url;
use secrecy::ExposeSecret;
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::{Instant, timeout_at};

/// How one account logs in to the managers of one cluster.
pub struct Auth {
    way: Way,
    /// A std mutex: held for look-ups only, never across an await.
    known: Mutex<Known>,
    /// Held while a login is made or tried for the first time, so that whoever comes next finds its outcome
    /// instead of trying as well.
    trying: tokio::sync::Mutex<()>,
    /// Requests that are each a login of their own and may all be refused at once.
    few: Option<Budget>,
}

enum Way {
    /// The password with every request.
    Basic(HeaderValue),
    /// A token with every request.
    Bearer(HeaderValue),
    /// A cookie for each manager: NSX binds them to the node that gave them.
    Cookies(Credentials),
}

#[derive(Default)]
struct Known {
    /// By manager.
    tickets: Vec<Option<Ticket>>,
    /// Counts logins, so that a ticket that was renewed meanwhile is not renewed again.
    logins: u64,
    proven: bool,
    refusals: Refusals<Upstream>,
}

/// What goes with one request.
#[derive(Clone)]
pub struct Ticket {
    headers: HeaderMap,
    /// Which login it stems from.
    login: u64,
}

impl Ticket {
    /// The headers that carry it.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

/// Where and until when a login may be made.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The client whose budget it counts against.
    pub http: &'a client::Client,
    /// The manager, as the index under which its ticket is kept.
    pub index: usize,
    /// The manager's address.
    pub manager: &'a Url,
    /// For whom the request is that needs the login.
    pub priority: Priority,
    /// When that request must be over.
    pub deadline: Instant,
}

/// Why there is no ticket.
#[derive(Debug)]
pub enum NoTicket {
    /// This manager did not answer; another may.
    Unanswered(Failure),
    /// This manager cannot log in anybody now, which it said so; another may.
    Away(Box<(Answer, Error)>),
    /// The cloud answered something else than a ticket, or is not asked again yet.
    Refused(Error),
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::Basic(_) => "Auth(basic)",
            Way::Bearer(_) => "Auth(bearer)",
            Way::Cookies(_) => "Auth(cookies)",
        })
    }
}

/// Requests with a password that are under way at the same time: one for each class of the budget, so that none of
/// them can be kept from the cloud by what hangs in another. When the password is changed they are all refused; so is
/// the next one, which makes sure of it, and the fifth would lock the account. A `session` has no such limit.
const FEW: u32 = 3;

/// How many requests with this login may be under way at the same time, if the account allows more.
pub fn at_once(login: &Login) -> u32 {
    match login {
        Login::Basic(_) => FEW,
        Login::Bearer(_) | Login::Session(_) => u32::MAX,
    }
}

/// Leave to send a request with credentials that may be refused. Kept until the answer was given to
/// [`Auth::answered`] or [`Auth::refused`].
#[derive(Debug, Default)]
pub struct Leave<'a> {
    /// Nobody has tried these credentials yet, so nobody else sends.
    alone: Option<tokio::sync::MutexGuard<'a, ()>>,
    _one_of_few: Option<budget::Leave<'a>>,
}

impl Auth {
    /// Not logged in yet.
    ///
    /// # Errors
    /// If a token cannot stand in a header.
    pub fn new(login: Login, managers: usize) -> Result<Auth, &'static str> {
        let few = matches!(login, Login::Basic(_)).then(|| {
            Budget::new(Limits {
                rate: f64::MAX,
                concurrency: FEW,
            })
        });
        let way = match login {
            Login::Basic(credentials) => {
                let pair = format!(
                    "{}:{}",
                    credentials.username,
                    credentials.password.expose_secret()
                );
                Way::Basic(secret(&format!("Basic {}", BASE64_STANDARD.encode(pair)))?)
            }
            Login::Bearer(token) => {
                Way::Bearer(secret(&format!("Bearer {}", token.expose_secret().trim()))?)
            }
            Login::Session(credentials) => Way::Cookies(credentials),
        };
        Ok(Auth {
            way,
            known: Mutex::new(Known {
                tickets: vec![None; managers],
                ..Known::default()
            }),
            trying: tokio::sync::Mutex::new(()),
            few,
        })
    }

    /// What to send with the next request. Logs in first where that is needed.
    ///
    /// The second value must be kept until the answer was given to [`Auth::answered`] or [`Auth::refused`].
    ///
    /// # Errors
    /// If the login was refused lately, or is now, or cannot be made in time.
    pub async fn ticket(&self, place: Place<'_>) -> Result<(Ticket, Leave<'_>), NoTicket> {
        self.rested()?;
        match &self.way {
            Way::Basic(header) | Way::Bearer(header) => {
                let ticket = Ticket {
                    headers: HeaderMap::from_iter([(AUTHORIZATION, header.clone())]),
                    login: 0,
                };
                let one_of_few = match &self.few {
                    Some(few) => Some(
                        few.acquire(place.priority, place.deadline)
                            .await
                            .map_err(|exhausted| NoTicket::Unanswered(exhausted.into()))?,
                    ),
                    None => None,
                };
                let mut leave = Leave {
                    alone: None,
                    _one_of_few: one_of_few,
                };
                self.rested()?;
                if !self.known().proven {
                    let alone = self.alone(place.deadline).await?;
                    self.rested()?;
                    // Whoever was before may have shown that the credentials are good.
                    leave.alone = Some(alone).filter(|_| !self.known().proven);
                }
                Ok((ticket, leave))
            }
            Way::Cookies(credentials) => {
                if let Some(ticket) = self.kept(place.index) {
                    return Ok((ticket, Leave::default()));
                }
                let _alone = self.alone(place.deadline).await?;
                self.rested()?;
                if let Some(ticket) = self.kept(place.index) {
                    return Ok((ticket, Leave::default()));
                }
                let ticket = self.log_in(credentials, place).await?;
                Ok((ticket, Leave::default()))
            }
        }
    }

    /// What to send instead of a ticket that was refused; `None` if there is nothing else to try.
    ///
    /// # Errors
    /// As for [`Auth::ticket`].
    pub async fn renewed(
        &self,
        refused: &Ticket,
        place: Place<'_>,
    ) -> Result<Option<Ticket>, NoTicket> {
        let Way::Cookies(credentials) = &self.way else {
            return Ok(None);
        };
        let _alone = self.alone(place.deadline).await?;
        self.rested()?;
        match self.kept(place.index) {
            Some(ticket) if ticket.login != refused.login => Ok(Some(ticket)),
            _ => Ok(Some(self.log_in(credentials, place).await?)),
        }
    }

    /// How much of what is under way at the same time is used where that is few; `None` where there is no limit but
    /// the account's.
    pub fn few(&self) -> Option<Usage> {
        self.few.as_ref().map(Budget::used)
    }

    /// A request that was sent at this time was answered, and not with a refusal of the login.
    pub fn answered(&self, sent: Instant) {
        let mut known = self.known();
        if known.refusals.accepted(sent) {
            known.proven = true;
        }
    }

    /// When a login that was refused once is asked again, if this call has the time.
    pub fn again_before(&self, deadline: Instant) -> Option<Instant> {
        self.known().refusals.again_before(deadline)
    }

    /// A request that was sent at this time was refused as a login, in these words, whatever was tried: nothing
    /// is sent for a while.
    ///
    /// The words reach callers who had no part in it, so they must not come from the answer to a request that
    /// carried somebody's key.
    pub fn refused(&self, sent: Instant, said: Upstream) {
        let is_login = matches!(self.way, Way::Basic(_));
        let mut known = self.known();
        known.proven = false;
        known.refusals.refused(sent, is_login, said);
        known.tickets.fill(None);
    }

    async fn log_in(
        &self,
        credentials: &Credentials,
        place: Place<'_>,
    ) -> Result<Ticket, NoTicket> {
        let request = login_request(credentials, place.manager);
        let sent = Instant::now();
        let answer = place
            .http
            .exchange(request, Priority::Login, place.deadline)
            .await
            .map_err(|failure| {
                // However far the login came: the request that needs it was not sent, or was refused.
                NoTicket::Unanswered(Failure {
                    sent: Sent::No,
                    ..failure
                })
            })?;
        let secrets = [credentials.password.expose_secret()];
        if !answer.is_success() {
            let refused = error::refused(&answer, error::Asked::Read, &secrets);
            // A login that was made all the same is one more session, and nothing else.
            if error::is_of_its_manager(&answer, true) {
                let refused = refused.during("logging in");
                return Err(NoTicket::Away(Box::new((answer, refused))));
            }
            if matches!(answer.status, 401 | 403) {
                self.refused(sent, refused.context.upstream.clone().unwrap_or_default());
            }
            return Err(NoTicket::Refused(refused.during("logging in")));
        }
        let headers = ticket_headers(&answer).ok_or_else(|| {
            let broken = error::broken(&answer, "a login without cookie or X-XSRF-TOKEN");
            NoTicket::Refused(broken.during("logging in"))
        })?;
        let mut known = self.known();
        known.logins += 1;
        let ticket = Ticket {
            headers,
            login: known.logins,
        };
        known.tickets[place.index] = Some(ticket.clone());
        Ok(ticket)
    }

    fn kept(&self, manager: usize) -> Option<Ticket> {
        self.known().tickets[manager].clone()
    }

    fn rested(&self) -> Result<(), NoTicket> {
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

    async fn alone(&self, deadline: Instant) -> Result<tokio::sync::MutexGuard<'_, ()>, NoTicket> {
        timeout_at(deadline, self.trying.lock())
            .await
            .map_err(|_| no_login_in_time())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_login_in_time() -> NoTicket {
    NoTicket::Unanswered(Failure {
        kind: FailureKind::Deadline,
        sent: Sent::No,
        message: "no login before the deadline".to_owned(),
    })
}

fn login_request(credentials: &Credentials, manager: &Url) -> Request {
    let mut url = manager.clone();
    // Outside `/api/v1`, unlike everything else.
    url.set_path("/api/session/create");
    let mut form = reqwest::Url::parse("form:?").expect("a constant that parses");
    form.query_pairs_mut()
        .append_pair("j_username", &credentials.username)
        .append_pair("j_password", credentials.password.expose_secret());
    let body = form.query().unwrap_or_default().to_owned();
    let mut request = Request::new(Method::POST, url);
    request.headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    request.body = Some(Bytes::from(body));
    request
}

/// Cookie and XSRF token, both of which go with every call.
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
    headers.insert(COOKIE, secret(&cookies.join("; ")).ok()?);
    headers.insert("x-xsrf-token", xsrf);
    Some(headers)
}

fn secret(text: &str) -> Result<HeaderValue, &'static str> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| "must have no line breaks and no control characters")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::{
        budget::{Budget, Limits},
        client::{Carried, Client, Options},
        internet::Internet,
        refusals::{AGAIN, REST},
    };
    use std::{sync::Arc, time::Duration};

    fn credentials() -> Credentials {
        Credentials {
            username: "a&b".to_owned(),
            password: "can ary=".into(),
        }
    }

    fn manager() -> Url {
        Url::parse("https://nsx.example").unwrap()
    }

    #[test]
    fn a_login_is_a_form_outside_the_api() {
        let request = login_request(&credentials(), &manager());
        assert_eq!(request.url.path(), "/api/session/create");
        let body = request.body.clone().unwrap();
        assert_eq!(&body[..], b"j_username=a%26b&j_password=can+ary%3D");
        assert!(!format!("{request:?}").contains("ary"));
    }

    #[test]
    fn a_ticket_is_a_cookie_with_its_token() {
        let answer = |cookie: &str, token: bool| {
            let mut headers = HeaderMap::new();
            headers.append(SET_COOKIE, "route=1; Path=/".parse().unwrap());
            headers.append(SET_COOKIE, cookie.parse().unwrap());
            if token {
                headers.insert("x-xsrf-token", "token".parse().unwrap());
            }
            Answer {
                status: 200,
                headers,
                body: Bytes::new(),
                carried: Carried::default(),
            }
        };
        let headers = ticket_headers(&answer("JSESSIONID=A1; Path=/; Secure; HttpOnly", true));
        assert_eq!(headers.unwrap()[COOKIE], "route=1; JSESSIONID=A1");
        assert!(ticket_headers(&answer("JSESSIONID=A1", false)).is_none());
        assert!(ticket_headers(&answer("OTHER=A1", true)).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_refused_twice_rests_for_five_minutes() {
        let budget = Budget::new(Limits {
            rate: 1.0,
            concurrency: 1,
        });
        let options = Options {
            timeout: Duration::from_secs(1),
            ..Options::default()
        };
        let http = Client::new(&Internet, &options, Arc::new(budget)).unwrap();
        let auth = Auth::new(Login::Basic(credentials()), 1).unwrap();
        let manager = manager();
        let place = || Place {
            http: &http,
            index: 0,
            manager: &manager,
            priority: Priority::Stable,
            deadline: Instant::now() + Duration::from_secs(1),
        };
        let (_, leave) = auth.ticket(place()).await.unwrap();
        assert!(
            leave.alone.is_some(),
            "credentials nobody tried go one at a time"
        );
        let waiting = auth.ticket(place()).await;
        assert!(matches!(waiting, Err(NoTicket::Unanswered(failure)) if failure.sent == Sent::No));
        auth.refused(Instant::now(), Upstream::default());
        drop(leave);
        assert!(auth.ticket(place()).await.is_err());
        tokio::time::advance(AGAIN).await;
        let (_, leave) = auth.ticket(place()).await.unwrap();
        assert!(leave.alone.is_some(), "nor do those that were refused");
        auth.refused(Instant::now(), Upstream::default());
        drop(leave);
        tokio::time::advance(REST - Duration::from_secs(1)).await;
        let Err(NoTicket::Refused(error)) = auth.ticket(place()).await else {
            panic!("tried again too early")
        };
        assert_eq!(error.kind, ErrorKind::BackendAuth);
        assert_eq!(error.context.retry_after, Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        auth.ticket(place()).await.unwrap();
        auth.answered(Instant::now());
        let (_, leave) = auth.ticket(place()).await.unwrap();
        assert!(leave.alone.is_none());
    }
}
