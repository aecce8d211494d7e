//! Authentication and limits: basic, session cookie with XSRF token, bearer token; lockouts and rate limits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE};
use tokio::time::Instant;

use crate::simulator::chance;
use crate::simulator::nsx::refusal::Refusal;

/// Rate limits for one user on one manager. The defaults are NSX's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Requests within any one second. Defaults to 100.
    pub per_second: usize,
    /// Concurrent requests. Defaults to 40.
    pub concurrent: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_second: 100,
            concurrent: 40,
        }
    }
}

/// The accounts of the cluster and their login sessions. Has no `Debug`, because it holds passwords.
#[derive(Default)]
pub(crate) struct Accounts {
    users: HashMap<String, Account>,
    bearer_tokens: HashSet<String>,
    /// Keyed by cookie.
    sessions: HashMap<String, Session>,
    /// The times of the last second's requests, by manager and user.
    recent: HashMap<(usize, String), VecDeque<Instant>>,
    in_flight: HashMap<(usize, String), usize>,
    pub(crate) tally: Tally,
}

/// Counters over all accounts.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) failed_logins: u64,
    pub(crate) logins: u64,
    pub(crate) throttled: u64,
}

#[derive(Default)]
struct Account {
    password: String,
    /// The previous password, while it is still accepted.
    retiring: Option<String>,
    failures: u32,
    /// When the first of these failures happened.
    failing_since: Option<Instant>,
    locked_until: Option<Instant>,
}

impl Account {
    fn forget_failures(&mut self) {
        self.failures = 0;
        self.failing_since = None;
    }
}

struct Session {
    user: String,
    xsrf_token: String,
    manager: usize,
    last_used: Instant,
}

/// What a successful login returns.
pub(crate) struct Login {
    pub(crate) cookie: String,
    pub(crate) xsrf_token: String,
}

impl Accounts {
    pub(crate) fn set_password(&mut self, user: &str, password: &str) {
        self.users.entry(user.to_owned()).or_default().password = password.to_owned();
    }

    /// The previous password stays valid until it is retired.
    pub(crate) fn rotate_password(&mut self, user: &str, password: &str) {
        let account = self.users.entry(user.to_owned()).or_default();
        let before = std::mem::replace(&mut account.password, password.to_owned());
        account.retiring = Some(before);
    }

    pub(crate) fn retire_passwords(&mut self) {
        for account in self.users.values_mut() {
            account.retiring = None;
        }
    }

    pub(crate) fn reject_token(&mut self, token: &str) {
        self.bearer_tokens.remove(token);
    }

    pub(crate) fn accept_token(&mut self, token: &str) {
        self.bearer_tokens.insert(token.to_owned());
    }

    pub(crate) fn reject_tokens(&mut self) {
        self.bearer_tokens.clear();
    }

    pub(crate) fn expire_sessions(&mut self) {
        self.sessions.clear();
    }

    pub(crate) fn unlock(&mut self) {
        for account in self.users.values_mut() {
            account.forget_failures();
            account.locked_until = None;
        }
    }

    pub(crate) fn log_in(
        &mut self,
        user: &str,
        password: &str,
        manager: usize,
        now: Instant,
    ) -> Result<Login, Refusal> {
        self.check_password(user, password, now)?;
        self.tally.logins += 1;
        let cookie = chance::uuid().simple().to_string().to_uppercase();
        let xsrf_token = chance::uuid().to_string();
        let (user, login) = (
            user.to_owned(),
            Login {
                cookie: cookie.clone(),
                xsrf_token,
            },
        );
        let xsrf_token = login.xsrf_token.clone();
        self.sessions.insert(
            cookie,
            Session {
                user,
                xsrf_token,
                manager,
                last_used: now,
            },
        );
        Ok(login)
    }

    pub(crate) fn log_out(&mut self, headers: &HeaderMap) {
        if let Some(cookie) = cookie(headers) {
            self.sessions.remove(cookie);
        }
    }

    /// Returns the user that a request authenticates as.
    ///
    /// A cookie always decides, even beside a valid password: nsxlib sends both, and logs in again when NSX answers
    /// 403.
    pub(crate) fn authenticate(
        &mut self,
        headers: &HeaderMap,
        manager: usize,
        idle: Duration,
        now: Instant,
    ) -> Result<String, Refusal> {
        if let Some(cookie) = cookie(headers) {
            let session = self.sessions.get_mut(cookie).filter(|session| {
                session.manager == manager && now.duration_since(session.last_used) < idle
            });
            let session = session.ok_or_else(Refusal::credentials)?;
            let token = headers
                .get("x-xsrf-token")
                .and_then(|token| token.to_str().ok());
            if token != Some(session.xsrf_token.as_str()) {
                return Err(Refusal::bad_xsrf_token());
            }
            session.last_used = now;
            return Ok(session.user.clone());
        }
        let said = headers
            .get(AUTHORIZATION)
            .and_then(|said| said.to_str().ok());
        match said.and_then(|said| said.split_once(' ')) {
            // `Remote` is `Basic` for users of the identity manager.
            Some(("Basic" | "Remote", encoded)) => {
                let decoded = BASE64_STANDARD
                    .decode(encoded.trim())
                    .map_err(|_| Refusal::credentials())?;
                let decoded = String::from_utf8_lossy(&decoded).into_owned();
                let (user, password) = decoded.split_once(':').ok_or_else(Refusal::credentials)?;
                self.check_password(user, password, now)?;
                Ok(user.to_owned())
            }
            Some(("Bearer", token)) if self.bearer_tokens.contains(token) => {
                Ok(TOKEN_USER.to_owned())
            }
            _ => Err(Refusal::credentials()),
        }
    }

    /// Admits one request of this user. An admitted request must be followed by [`Accounts::done`].
    pub(crate) fn admit(
        &mut self,
        user: &str,
        manager: usize,
        limits: Option<Limits>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let client = (manager, user.to_owned());
        let in_flight = self.in_flight.entry(client.clone()).or_default();
        let recent = self.recent.entry(client).or_default();
        while recent
            .front()
            .is_some_and(|at| now.duration_since(*at) >= Duration::from_secs(1))
        {
            recent.pop_front();
        }
        if let Some(limits) = limits {
            let refusal = if recent.len() >= limits.per_second {
                Some(Refusal::throttled(user, limits.per_second))
            } else if *in_flight >= limits.concurrent {
                Some(Refusal::too_many_at_once(user, limits.concurrent))
            } else {
                None
            };
            if let Some(refusal) = refusal {
                self.tally.throttled += 1;
                return Err(refusal);
            }
        }
        recent.push_back(now);
        *in_flight += 1;
        Ok(())
    }

    pub(crate) fn done(&mut self, user: &str, manager: usize) {
        if let Some(in_flight) = self.in_flight.get_mut(&(manager, user.to_owned())) {
            *in_flight = in_flight.saturating_sub(1);
        }
    }

    fn check_password(&mut self, user: &str, password: &str, now: Instant) -> Result<(), Refusal> {
        let Some(account) = self.users.get_mut(user) else {
            self.tally.failed_logins += 1;
            return Err(Refusal::credentials());
        };
        if account.locked_until.is_some_and(|until| now < until) {
            self.tally.failed_logins += 1;
            return Err(Refusal::credentials());
        }
        if account.password == password || account.retiring.as_deref() == Some(password) {
            account.forget_failures();
            account.locked_until = None;
            return Ok(());
        }
        self.tally.failed_logins += 1;
        let is_old = |since: Instant| now.duration_since(since) > FAILURES_ARE_KEPT_FOR;
        if account.failing_since.is_none_or(is_old) {
            account.failures = 0;
            account.failing_since = Some(now);
        }
        account.failures += 1;
        if account.failures >= FAILURES_THAT_LOCK {
            account.forget_failures();
            account.locked_until = Some(now + LOCKED_FOR);
        }
        Err(Refusal::credentials())
    }
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|cookies| cookies.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|one| one.trim().strip_prefix("JSESSIONID="))
}

const FAILURES_THAT_LOCK: u32 = 5;
const LOCKED_FOR: Duration = Duration::from_secs(15 * 60);
/// `lockout-reset-period`: only failures within it add up (NSX CLI guide, authentication policy).
const FAILURES_ARE_KEPT_FOR: Duration = Duration::from_secs(15 * 60);
/// The principal that a configured bearer token stands for.
const TOKEN_USER: &str = "principal";

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(1800);

    fn accounts() -> Accounts {
        let mut accounts = Accounts::default();
        accounts.set_password("admin", "right");
        accounts
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn basic(user_and_password: &str) -> HeaderMap {
        headers(&[(
            "authorization",
            &format!("Basic {}", BASE64_STANDARD.encode(user_and_password)),
        )])
    }

    #[test]
    fn five_wrong_passwords_lock_the_account_for_a_quarter_of_an_hour() {
        let (mut accounts, now) = (accounts(), Instant::now());
        for _ in 0..4 {
            assert!(
                accounts
                    .authenticate(&basic("admin:wrong"), 0, IDLE, now)
                    .is_err()
            );
        }
        // A right password in between resets the failures.
        assert_eq!(
            accounts
                .authenticate(&basic("admin:right"), 0, IDLE, now)
                .unwrap(),
            "admin"
        );
        for _ in 0..5 {
            assert!(accounts.log_in("admin", "wrong", 0, now).is_err());
        }
        assert!(accounts.log_in("admin", "right", 0, now).is_err());
        assert_eq!(accounts.tally.failed_logins, 10);
        assert!(
            accounts
                .log_in("admin", "right", 0, now + LOCKED_FOR)
                .is_ok()
        );
    }

    #[test]
    fn failures_before_an_account_was_good_again_do_not_date_those_after() {
        let start = Instant::now();
        let (ends, later) = (
            start + FAILURES_ARE_KEPT_FOR,
            start + FAILURES_ARE_KEPT_FOR + Duration::from_secs(1),
        );
        type Way = fn(&mut Accounts, Instant);
        let ways: [(&str, usize, Way); 3] = [
            ("log in", 1, |accounts, now| {
                accounts.log_in("admin", "right", 0, now).unwrap();
            }),
            ("unlock", 1, |accounts, _| accounts.unlock()),
            ("the lock ends", 5, |_, _| {}),
        ];
        for (what, failures, way) in ways {
            let mut accounts = accounts();
            let fail = |accounts: &mut Accounts, count, now| {
                for _ in 0..count {
                    assert!(accounts.log_in("admin", "wrong", 0, now).is_err());
                }
            };
            fail(&mut accounts, failures, start);
            way(&mut accounts, ends);
            fail(&mut accounts, 4, ends);
            fail(&mut accounts, 1, later);
            assert!(
                accounts.log_in("admin", "right", 0, later).is_err(),
                "{what}"
            );
        }
    }

    #[test]
    fn the_password_before_is_good_until_it_is_retired() {
        let (mut accounts, now) = (accounts(), Instant::now());
        accounts.rotate_password("admin", "newer");
        for password in ["right", "newer"] {
            assert!(accounts.log_in("admin", password, 0, now).is_ok());
        }
        accounts.retire_passwords();
        assert!(accounts.log_in("admin", "right", 0, now).is_err());
        assert!(accounts.log_in("admin", "newer", 0, now).is_ok());
    }

    #[test]
    fn a_cookie_is_good_for_one_manager_with_its_token_and_while_used() {
        let (mut accounts, now) = (accounts(), Instant::now());
        let login = accounts.log_in("admin", "right", 0, now).unwrap();
        // nsxlib sends this trailing semicolon.
        let cookie = format!("JSESSIONID={};", login.cookie);
        let both = headers(&[("cookie", &cookie), ("x-xsrf-token", &login.xsrf_token)]);
        assert_eq!(accounts.authenticate(&both, 0, IDLE, now).unwrap(), "admin");
        assert!(accounts.authenticate(&both, 1, IDLE, now).is_err());
        let refusal = accounts
            .authenticate(&headers(&[("cookie", &cookie)]), 0, IDLE, now)
            .unwrap_err();
        assert_eq!(refusal.body()["error_code"], 98);
        let refusal = accounts
            .authenticate(&both, 0, IDLE, now + IDLE)
            .unwrap_err();
        assert_eq!(refusal.status, 403);
        accounts.log_out(&both);
        assert!(accounts.authenticate(&both, 0, IDLE, now).is_err());
        assert_eq!(accounts.tally.failed_logins, 0);
    }

    #[test]
    fn a_bearer_token_must_be_known() {
        let (mut accounts, now) = (accounts(), Instant::now());
        let token = headers(&[("authorization", "Bearer sesame")]);
        assert!(accounts.authenticate(&token, 0, IDLE, now).is_err());
        accounts.accept_token("sesame");
        assert!(accounts.authenticate(&token, 0, IDLE, now).is_ok());
        assert!(
            accounts
                .authenticate(&HeaderMap::new(), 0, IDLE, now)
                .is_err()
        );
    }

    #[test]
    fn a_user_may_ask_so_often_a_second_and_so_much_at_once() {
        let (mut accounts, now) = (accounts(), Instant::now());
        let limits = Some(Limits {
            per_second: 3,
            concurrent: 2,
        });
        assert!(accounts.admit("admin", 0, limits, now).is_ok());
        assert!(accounts.admit("admin", 0, limits, now).is_ok());
        assert!(accounts.admit("admin", 0, limits, now).is_err());
        accounts.done("admin", 0);
        assert!(accounts.admit("admin", 0, limits, now).is_ok());
        accounts.done("admin", 0);
        assert_eq!(
            accounts.admit("admin", 0, limits, now).unwrap_err().status,
            429
        );
        assert!(accounts.admit("other", 0, limits, now).is_ok());
        assert!(
            accounts
                .admit("admin", 0, limits, now + Duration::from_secs(1))
                .is_ok()
        );
        assert_eq!(accounts.tally.throttled, 2);
    }
}
