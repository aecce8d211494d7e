//! The gateway's own login to the managers of a cluster. Five failed ones lock an NSX account for fifteen minutes, and
//! it may be somebody else's too; [`Logins`] sees to that.

use crate::{
    account::{Priority, Usage},
    core::{dialect::Call, error::Upstream},
    dialects::{
        login::{Alone, Logins, NoTicket, Ticket},
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
use std::{fmt, sync::Arc};
use tokio::time::Instant;

/// How one account logs in to the managers of one cluster.
pub struct Auth {
    way: Way,
    http: client::Client,
    managers: Vec<Url>,
    logins: Logins<HeaderMap>,
    /// Requests that are each a login of their own and may all be refused at once.
    few: Option<Budget>,
}

enum Way {
    /// The password or a token, with every request.
    Header(Arc<HeaderMap>),
    /// A cookie for each manager: NSX binds them to the node that gave them.
    Cookies(Credentials),
}

/// The headers that go with one request.
impl Ticket for HeaderMap {}

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
        let header = |text: &str| -> Result<Way, &'static str> {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, secret(text)?)]);
            Ok(Way::Header(Arc::new(headers)))
        };
        let way = match login {
            Login::Basic(credentials) => {
                let pair = format!(
                    "{}:{}",
                    credentials.username,
                    credentials.password.expose_secret()
                );
                header(&format!("Basic {}", BASE64_STANDARD.encode(pair)))?
            }
            Login::Bearer(token) => header(&format!("Bearer {}", token.expose_secret().trim()))?,
            Login::Session(credentials) => Way::Cookies(credentials),
        };
        Ok(Auth {
            way,
            http,
            logins: Logins::new(managers.len()),
            managers,
            few,
        })
    }

    /// The account's login, whichever manager it is made to.
    pub fn logins(&self) -> &Logins<HeaderMap> {
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
    ) -> Result<(Arc<HeaderMap>, Leave<'_>), NoTicket> {
        self.logins.may_try()?;
        let credentials = match &self.way {
            Way::Header(headers) => return Ok((Arc::clone(headers), self.leave(call).await?)),
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

    /// What to send instead of a ticket that was refused; `None` if there is nothing else to try.
    ///
    /// # Errors
    /// As for [`Auth::ticket`].
    pub async fn renewed(
        &self,
        refused: &Arc<HeaderMap>,
        manager: usize,
        call: &Call,
    ) -> Result<Option<Arc<HeaderMap>>, NoTicket> {
        let Way::Cookies(credentials) = &self.way else {
            return Ok(None);
        };
        let log_in = self.log_in(credentials, manager, call);
        let renewed = self.logins.renewed(manager, refused, call.deadline, log_in);
        renewed.await.map(Some)
    }

    /// How much of what is under way at the same time is used where that is few; `None` where there is no limit but
    /// the account's.
    pub fn few(&self) -> Option<Usage> {
        self.few.as_ref().map(Budget::used)
    }

    /// A request that was sent at this time was refused as a login, in these words, whatever was tried: nothing
    /// is sent for a while. What is said of the words at [`Logins::refused`] holds here.
    pub fn refused(&self, sent: Instant, said: Upstream) {
        self.logins.refused(sent, self.few.is_some(), said);
    }

    async fn log_in(
        &self,
        credentials: &Credentials,
        manager: usize,
        call: &Call,
    ) -> Result<HeaderMap, NoTicket> {
        let request = login_request(credentials, &self.managers[manager]);
        let sent = Instant::now();
        let answer = self.http.exchange(request, Priority::Login, call.deadline);
        let answer = answer.await.map_err(NoTicket::unanswered)?;
        if !answer.is_success() {
            let refused = api_error::login_refused(&answer, credentials.password.expose_secret());
            // A login that was made all the same is one more session, and nothing else.
            if api_error::is_of_its_manager(&answer, true) {
                let refused = refused.during("logging in");
                return Err(NoTicket::Away(Box::new((answer, refused))));
            }
            if matches!(answer.status, 401 | 403) {
                self.refused(sent, refused.context.upstream.clone().unwrap_or_default());
            }
            return Err(NoTicket::Refused(refused.during("logging in")));
        }
        ticket_headers(&answer).ok_or_else(|| {
            let broken = api_error::broken(&answer, "a login without cookie or X-XSRF-TOKEN");
            NoTicket::Refused(broken.during("logging in"))
        })
    }
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
    use crate::{
        core::error::ErrorKind,
        dialects::login::lockout::{AGAIN, REST},
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
        let http = Client::new(&Https, &options, Arc::new(budget)).unwrap();
        let auth = Auth::new(Login::Basic(credentials()), vec![manager()], http).unwrap();
        let ticket = async || auth.ticket(0, &Call::poll(Duration::from_secs(1))).await;
        let (_, leave) = ticket().await.unwrap();
        assert!(
            leave._alone.is_some(),
            "credentials nobody tried go one at a time"
        );
        let waiting = ticket().await;
        assert!(matches!(waiting, Err(NoTicket::Unanswered(failure)) if failure.sent == Sent::No));
        auth.refused(Instant::now(), Upstream::default());
        drop(leave);
        assert!(ticket().await.is_err());
        tokio::time::advance(AGAIN).await;
        let (_, leave) = ticket().await.unwrap();
        assert!(leave._alone.is_some(), "nor do those that were refused");
        auth.refused(Instant::now(), Upstream::default());
        drop(leave);
        tokio::time::advance(REST - Duration::from_secs(1)).await;
        let Err(NoTicket::Refused(error)) = ticket().await else {
            panic!("tried again too early")
        };
        assert_eq!(error.kind, ErrorKind::BackendAuth);
        assert_eq!(error.context.retry_after, Some(Duration::from_secs(1)));
        tokio::time::advance(Duration::from_secs(1)).await;
        ticket().await.unwrap();
        auth.logins.accepted(Instant::now());
        let (_, leave) = ticket().await.unwrap();
        assert!(leave._alone.is_none());
    }
}
