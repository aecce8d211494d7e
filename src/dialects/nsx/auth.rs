//! The gateway's own login to the managers of a cluster. Five failed ones lock an NSX account for fifteen minutes, and
//! it may be somebody else's too; [`Logins`] sees to that.

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
    /// Requests that are each a login of their own and may all be refused at once.
    few: Option<Budget>,
}

enum Way {
    /// The password or a token, with every request.
    Header(Header),
    /// A cookie for each manager: NSX binds them to the node that gave them.
    Cookies(Credentials),
}

/// The password or a token, and what it looks like in a request.
struct Header {
    secret: Secret,
    /// Whose password it is; `None`: it is a token.
    username: Option<String>,
    /// A std mutex: held for look-ups only.
    made: Mutex<Made>,
}

/// What a secret looks like in a request.
struct Made {
    /// The newest that was asked for.
    newest: Arc<Ticket>,
    /// The newest that the cloud took, and has not refused since.
    proven: Option<Arc<Ticket>>,
    /// When the newest was refused while the cloud still took the one before: whoever wrote the file was early. That one is
    /// sent until it is refused, too.
    early: Option<Instant>,
}

/// What goes with one request.
#[derive(Debug)]
pub struct Ticket {
    headers: HeaderMap,
    /// The version of the secret it was had with.
    secret: u64,
}

impl Ticket {
    /// The headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A request with it that was sent at this time.
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
    /// Whether the newest is to wait for its time. Not for ever, and long enough for any lock.
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

    /// What to send now.
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

    /// What to send instead of what was refused: the secret before, if the cloud takes that; or the newest, if that was
    /// refused when it was early. Not if `near`, which is when another refusal would bring a lock near.
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
                "the cloud refuses the secret that its file says; the one before is used on, one request at a time"
            );
        }
        Some(other)
    }

    /// What a refusal of this is about: where the newest was refused just before, in the same breath, both are.
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

/// The header of a password, if there is a user, or of a token.
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
/// [`Logins::accepted`] or [`Auth::refused`].
#[derive(Debug, Default)]
pub struct Leave<'a> {
    /// Nobody has seen these credentials accepted yet, so nobody else sends.
    _alone: Option<Alone<'a>>,
    _one_of_few: Option<budget::Leave<'a>>,
}

impl Auth {
    /// Not logged in yet to any of these managers; what is sent counts against the budget of `http`.
    ///
    /// # Errors
    /// If a token cannot stand in a header.
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
                // Who it is stands in the token.
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

    /// The account's login, whichever manager it is made to.
    pub fn logins(&self) -> &Logins<Ticket> {
        &self.logins
    }

    /// What to send with the next request to this manager. Logs in first where that is needed.
    ///
    /// The second value must be kept until the answer was given to [`Logins::accepted`] or [`Auth::refused`].
    ///
    /// # Errors
    /// If the login was refused lately, or is now, or cannot be made in time.
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
                // Who waited may have leave for another secret.
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

    /// What to send instead of a ticket that was refused; `None` if there is nothing else to try. A new login is to be
    /// asked for once; a secret with every request until there is none.
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

    /// A request with this ticket that was sent at this time was answered, and not with a refusal of the login.
    pub fn accepted(&self, ticket: &Arc<Ticket>, sent: Instant) {
        if let Way::Header(header) = &self.way {
            header.accepted(ticket);
        }
        self.logins.accepted(ticket.tried(sent), self.few.is_some());
    }

    /// Whether each request is a login.
    pub fn is_with_each(&self) -> bool {
        matches!(self.way, Way::Header(_))
    }

    /// How much of what is under way at the same time is used where that is few; `None` where there is no limit but
    /// the account's.
    pub fn few(&self) -> Option<Usage> {
        self.few.as_ref().map(Budget::used)
    }

    /// A request that was sent so was refused as a login, in these words, whatever was tried: nothing is sent for a
    /// while. What is said of the words at [`Logins::refused`] holds here.
    pub fn refused(&self, tried: Tried, said: Upstream) {
        let tried = match &self.way {
            Way::Header(header) => header.blamed(tried),
            Way::Cookies(_) => tried,
        };
        self.logins.refused(tried, self.few.is_some(), said);
    }

    async fn log_in(
        &self,
        credentials: &Credentials,
        manager: usize,
        call: &Call,
    ) -> Result<Ticket, NoTicket> {
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
            // A login that was made all the same is one more session, and nothing else.
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
mod tests {
    use super::*;
    use crate::{
        core::error::ErrorKind,
        dialects::login::lockout::REST,
        rest::{
            answer::{Carried, Sent},
            client::Client,
            https::Https,
            transport::Options,
        },
    };
    use std::time::Duration;

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
        let credentials = credentials();
        let password = credentials.password.now();
        let request = login_request(&credentials.username, &password, &manager());
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
        let http = Client::new(&Https, &options, Arc::new(budget)).unwrap();
        let auth = Auth::new(Login::Basic(credentials()), vec![manager()], http).unwrap();
        let ticket = async || auth.ticket(0, &Call::poll(Duration::from_secs(1))).await;
        let tried = || Tried {
            sent: Instant::now(),
            secret: 0,
        };
        let (_, leave) = ticket().await.unwrap();
        assert!(
            leave._alone.is_some(),
            "credentials nobody tried go one at a time"
        );
        let waiting = ticket().await;
        assert!(matches!(waiting, Err(NoTicket::Unanswered(failure)) if failure.sent == Sent::No));
        auth.refused(tried(), Upstream::default());
        drop(leave);
        assert!(ticket().await.is_err());
        tokio::time::advance(AGAIN).await;
        let (_, leave) = ticket().await.unwrap();
        assert!(leave._alone.is_some(), "nor do those that were refused");
        auth.refused(tried(), Upstream::default());
        drop(leave);
        tokio::time::advance(REST - Duration::from_secs(1)).await;
        let Err(NoTicket::Refused(error)) = ticket().await else {
            panic!("tried again too early")
        };
        assert_eq!(error.kind, ErrorKind::BackendAuth);
        assert_eq!(error.context.retry_after, Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        ticket().await.unwrap();
        auth.logins.accepted(tried(), true);
        let (_, leave) = ticket().await.unwrap();
        assert!(leave._alone.is_none());
    }

    /// A login with each request, whose secret the file says anew.
    fn in_file(username: &str) -> (Auth, Secret) {
        let read = || Ok("early".into());
        let password = Secret::in_file("file".into(), "old".into(), Arc::new(read));
        let budget = Budget::new(Limits {
            rate: 1.0,
            concurrency: 1,
        });
        let options = Options {
            timeout: Duration::from_secs(1),
            ..Options::default()
        };
        let http = Client::new(&Https, &options, Arc::new(budget)).unwrap();
        let login = Login::Basic(Credentials {
            username: username.to_owned(),
            password: password.clone(),
        });
        let auth = Auth::new(login, vec![manager()], http).unwrap();
        (auth, password)
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_is_early_for_hours_does_not_stop_the_one_that_works() {
        let (auth, password) = in_file("early");
        let call = || Call::poll(Duration::from_secs(1));
        let (old, leave) = auth.ticket(0, &call()).await.unwrap();
        auth.accepted(&old, Instant::now());
        drop(leave);
        password.refresh().await;
        for _ in 0..6 {
            let (new, leave) = auth.ticket(0, &call()).await.unwrap();
            assert!(new.secret > old.secret, "it is tried now and then");
            let other = auth.renewed(&new, 0, &call()).await.unwrap().unwrap();
            assert_eq!(other.secret, old.secret);
            auth.accepted(&other, Instant::now());
            drop(leave);
            assert_eq!(auth.logins.rest(), Duration::ZERO);
            tokio::time::advance(LONGEST_REST).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn two_secrets_that_are_refused_in_one_breath_are_left_alone_for_some_seconds() {
        let (auth, password) = in_file("both");
        let call = || Call::poll(Duration::from_secs(1));
        let (old, leave) = auth.ticket(0, &call()).await.unwrap();
        auth.accepted(&old, Instant::now());
        drop(leave);
        password.refresh().await;
        let (new, _leave) = auth.ticket(0, &call()).await.unwrap();
        let other = auth.renewed(&new, 0, &call()).await.unwrap().unwrap();
        let third = auth.renewed(&other, 0, &call()).await.unwrap();
        assert!(third.is_none(), "the new one was refused just now");
        auth.refused(other.tried(Instant::now()), Upstream::default());
        assert_eq!(auth.logins.rest(), AGAIN);
    }
}
