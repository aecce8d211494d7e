//! The gateway's own login: a token of Keystone, with every request to the network service and to nowhere
//! else. Made when it is first needed, renewed before it ends, and once more when it is refused.
//!
//! ```text
//!                 granted                      nearly over, or refused (401)
//!   no token ───────────────► token ───────────────────────────────────────► one new login
//!      ▲                                                                        │
//!      │ 5 s; if refused       a login refused, or a fresh token refused        │
//!      │ again 5 min, 20 min                                                    │
//!      └──────────── held ◄─────────────────────────────────────────────────────┘
//! ```
//!
//! How long it is held is for [`Refusals`] to say. Meanwhile, every request that needs a login is refused at once. Whoever comes while a login is made
//! waits for its outcome instead of making another.

use crate::{
    account::Priority,
    address::is_link_local,
    core::error::{Error, ErrorKind, ErrorReason, Upstream},
    dialects::openstack::{
        config::{self, Identity, Keystone, Login, Project},
        error::{self, Asked},
    },
    rest::{
        client::{self, Answer, Failure, FailureKind, Request, Sent},
        redact::tidy,
        refusals::Refusals,
    },
};
use bytes::Bytes;
use http::{
    HeaderValue, Method,
    header::{ACCEPT, CONTENT_TYPE},
};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::{Instant, timeout_at};

/// A token is renewed so long before it ends, or after four fifths of its life if that is later.
const MARGIN: Duration = Duration::from_secs(60);

/// When a renewal is tried again that failed while the token was still good.
const RENEW_AGAIN: Duration = Duration::from_secs(5);

/// How one account logs in to one cloud.
pub struct Auth {
    login: Login,
    /// Roles with any of which an account sees its connections; empty if roles tell nothing here.
    seeing_roles: &'static [&'static str],
    /// A std mutex: held for look-ups only, never across an await.
    known: Mutex<Known>,
    /// Held while a login is made.
    trying: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    ticket: Option<Ticket>,
    /// Counts logins, so that a token that was renewed meanwhile is not renewed again.
    logins: u64,
    refusals: Refusals<Upstream>,
}

/// What goes with one request, and where it may go.
#[derive(Clone)]
pub struct Ticket {
    token: Option<HeaderValue>,
    /// The network service with its `/v2.0`.
    network: Url,
    sight: Sight,
    /// Which login it stems from.
    login: u64,
    /// When that login was begun.
    begun: Instant,
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

    /// The only place the token may be sent to: the network service with its `/v2.0`.
    pub fn network(&self) -> &Url {
        &self.network
    }

    /// Whether it is shown to see.
    pub fn sight(&self) -> Sight {
        self.sight
    }
}

/// With what and until when a login may be made.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The client whose budget it counts against.
    pub http: &'a client::Client,
    /// When that request must be over.
    pub deadline: Instant,
}

/// Why there is no ticket.
#[derive(Debug)]
pub enum NoTicket {
    /// There was no answer.
    Unanswered(Failure),
    /// The cloud answered something else than a token, or is not asked again yet.
    Refused(Error),
}

impl NoTicket {
    /// Whether the login was refused, or is not made because it was.
    pub fn is_refusal(&self) -> bool {
        matches!(self, NoTicket::Refused(error) if error.kind == ErrorKind::BackendAuth)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.login {
            Login::None(_) => "Auth(none)",
            Login::Keystone(_) => "Auth(keystone)",
        })
    }
}

impl Auth {
    /// Not logged in yet.
    pub fn new(login: Login, seeing_roles: &'static [&'static str]) -> Auth {
        Auth {
            login,
            seeing_roles,
            known: Mutex::default(),
            trying: tokio::sync::Mutex::new(()),
        }
    }

    /// What to send with the next request. Logs in first where that is needed.
    ///
    /// A token that is nearly over is renewed by whoever comes first; the others go on with it meanwhile, and
    /// so does everybody if Keystone does not answer, or refuses: until the token ends, it is good.
    ///
    /// # Errors
    /// If the login was refused lately, or is now, or cannot be made in time.
    pub async fn ticket(&self, place: Place<'_>) -> Result<Ticket, NoTicket> {
        let keystone = match &self.login {
            Login::Keystone(keystone) => keystone,
            Login::None(network) => return Ok(tokenless(network)),
        };
        if let Some(ticket) = self.kept() {
            if !ticket.is_nearly_over() || self.rested().is_err() {
                return Ok(ticket);
            }
            let Ok(_alone) = self.trying.try_lock() else {
                return Ok(ticket);
            };
            // The request that waits for this has a ticket, and needs time of its own.
            let left = place.deadline.saturating_duration_since(Instant::now());
            let hurried = Place {
                deadline: place.deadline - left / 2,
                ..place
            };
            return match self.log_in(keystone, hurried).await {
                Ok(ticket) => Ok(ticket),
                Err(_) => Ok(self.postponed(ticket)),
            };
        }
        self.rested()?;
        let _alone = self.alone(place.deadline).await?;
        if let Some(ticket) = self.kept() {
            return Ok(ticket);
        }
        self.rested()?;
        self.log_in(keystone, place).await
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
        let Login::Keystone(keystone) = &self.login else {
            return Ok(None);
        };
        let _alone = self.alone(place.deadline).await?;
        if let Some(ticket) = self.kept().filter(|kept| kept.login != refused.login) {
            return Ok(Some(ticket));
        }
        self.known().ticket = None;
        self.rested()?;
        self.log_in(keystone, place).await.map(Some)
    }

    /// Whether the account sees by the roles it has now: a token keeps its life, and not what it may see,
    /// when its account loses a role.
    ///
    /// A login made since `asked` is believed, so that requests at once share one.
    ///
    /// # Errors
    /// As for [`Auth::ticket`].
    pub async fn sight_since(&self, asked: Instant, place: Place<'_>) -> Result<Sight, NoTicket> {
        let Login::Keystone(keystone) = &self.login else {
            return Ok(Sight::Unknown);
        };
        let _alone = self.alone(place.deadline).await?;
        if let Some(ticket) = self.kept().filter(|kept| kept.begun >= asked) {
            return Ok(ticket.sight);
        }
        self.rested()?;
        let ticket = self.log_in(keystone, place).await?;
        Ok(ticket.sight)
    }

    /// A request with this ticket was answered, and not with a refusal of the login. That speaks for the login
    /// it stems from, and for none that was refused since.
    pub fn answered(&self, ticket: &Ticket) {
        self.known().refusals.accepted(ticket.begun);
    }

    /// When a login that was refused once is asked again, if this call has the time.
    pub fn again_before(&self, deadline: Instant) -> Option<Instant> {
        self.known().refusals.again_before(deadline)
    }

    /// A request with this ticket, which is fresh, was refused in these words: no login is sent for a while.
    ///
    /// The words reach callers who had no part in it, so they must not come from the answer to a request that
    /// carried somebody's key.
    pub fn refused(&self, ticket: &Ticket, said: Upstream) {
        self.doubted(ticket.begun, said);
    }

    fn doubted(&self, begun: Instant, said: Upstream) {
        let mut known = self.known();
        known.refusals.refused(begun, false, said);
        known.ticket = None;
    }

    async fn log_in(&self, keystone: &Keystone, place: Place<'_>) -> Result<Ticket, NoTicket> {
        // The token's life is counted from before it was asked for, so that it is over here first.
        let begun = Instant::now();
        let answer = place
            .http
            .send(login_request(keystone), Priority::Login, place.deadline)
            .await
            .map_err(|failure| {
                // However far the login came: the request that needs it was not sent, or was refused.
                NoTicket::Unanswered(Failure {
                    sent: Sent::No,
                    ..failure
                })
            })?;
        let refuse = |error: Error| {
            if error.kind == ErrorKind::BackendAuth {
                self.doubted(begun, error.context.upstream.clone().unwrap_or_default());
            }
            NoTicket::Refused(error.during("logging in"))
        };
        let mut ticket = read(keystone, self.seeing_roles, &answer, begun).map_err(refuse)?;
        let mut known = self.known();
        known.logins += 1;
        ticket.login = known.logins;
        known.ticket = Some(ticket.clone());
        Ok(ticket)
    }

    /// A ticket that could not be renewed and is good for a while yet: kept, and not tried again at once.
    fn postponed(&self, mut ticket: Ticket) -> Ticket {
        ticket.renew_at = Some(Instant::now() + RENEW_AGAIN);
        self.known().ticket = Some(ticket.clone());
        ticket
    }

    fn kept(&self) -> Option<Ticket> {
        self.known()
            .ticket
            .clone()
            .filter(|ticket| !ticket.is_over())
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
        let error = refusal(format!(
            "the cloud refused the gateway's login, which {what}"
        ));
        let left = held.until.saturating_duration_since(Instant::now());
        let error = error.upstream(held.said.clone());
        Err(NoTicket::Refused(error.retry_after(left)))
    }

    async fn alone(&self, deadline: Instant) -> Result<tokio::sync::MutexGuard<'_, ()>, NoTicket> {
        timeout_at(deadline, self.trying.lock()).await.map_err(|_| {
            NoTicket::Unanswered(Failure {
                kind: FailureKind::Deadline,
                sent: Sent::No,
                message: "no login before the deadline".to_owned(),
            })
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    fn is_over(&self) -> bool {
        self.ends_at.is_some_and(|end| end <= Instant::now())
    }

    fn is_nearly_over(&self) -> bool {
        self.renew_at.is_some_and(|time| time <= Instant::now())
    }
}

fn tokenless(network: &Url) -> Ticket {
    Ticket {
        token: None,
        network: network.clone(),
        sight: Sight::Unknown,
        login: 0,
        begun: Instant::now(),
        renew_at: None,
        ends_at: None,
    }
}

fn refusal(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::BackendAuth, ErrorReason::UpstreamAuth, what)
}

fn login_request(keystone: &Keystone) -> Request {
    let auth = match &keystone.identity {
        Identity::Password {
            username,
            password,
            user_domain_id,
            project,
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
                    "password": password.expose_secret(),
                } } },
                "scope": { "project": project },
            })
        }
        // No scope: asking for one is refused, even for the right one.
        Identity::ApplicationCredential { id, secret } => json!({
            "identity": { "methods": ["application_credential"], "application_credential": {
                "id": id,
                "secret": secret.expose_secret(),
            } },
        }),
    };
    let mut url = keystone.tokens.clone();
    if keystone.network.is_some() {
        url.set_query(Some("nocatalog"));
    }
    let mut request = Request::new(Method::POST, url);
    let json = HeaderValue::from_static("application/json");
    request.headers.insert(ACCEPT, json.clone());
    request.headers.insert(CONTENT_TYPE, json);
    request.body = Some(Bytes::from(json!({ "auth": auth }).to_string()));
    request
}

/// The ticket in Keystone's answer.
fn read(
    keystone: &Keystone,
    seeing_roles: &[&str],
    answer: &Answer,
    begun: Instant,
) -> Result<Ticket, Error> {
    let secret = match &keystone.identity {
        Identity::Password { password, .. } => password,
        Identity::ApplicationCredential { secret, .. } => secret,
    };
    let body = error::granted(answer, Asked::LogIn, &[secret.expose_secret()])?;
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
        network,
        sight: sight(told, seeing_roles),
        login: 0,
        begun,
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

fn none(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, ErrorReason::ApiAbsent, what)
}

/// Whether the token may be sent where the catalogue leads: not in clear if it came encrypted, and not to an address
/// of one link, where clouds keep the credentials of their machines. Only `url` can name such a place. What a host
/// name resolves to is not looked at.
fn safe_from(keystone: &Url, network: &Url) -> Result<(), Error> {
    let host = network.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse();
    if address.is_ok_and(is_link_local) {
        return Err(none(format!(
            "the service catalogue leads to the link-local address {host}, where nothing is sent unless `url` names it"
        )));
    }
    if keystone.scheme() == "https" && network.scheme() != "https" {
        return Err(none(format!(
            "the service catalogue leads from https:// to http:// at {}, where nothing is sent unless `url` names it",
            tidy(host, 64)
        )));
    }
    Ok(())
}

/// The public address of the network service in a service catalogue.
fn catalogued(catalogue: &Value, region: Option<&str>) -> Result<Url, Error> {
    let services = catalogue.as_array().map_or(&[][..], Vec::as_slice);
    let found: Vec<(&str, &str)> = services
        .iter()
        .filter(|service| service["type"] == "network")
        .filter_map(|service| service["endpoints"].as_array())
        .flatten()
        .filter(|endpoint| endpoint["interface"] == "public")
        .filter_map(|endpoint| {
            let region = endpoint["region_id"]
                .as_str()
                .or(endpoint["region"].as_str());
            Some((region.unwrap_or_default(), endpoint["url"].as_str()?))
        })
        .collect();
    let regions: BTreeSet<&str> = found.iter().map(|(region, _)| *region).collect();
    let listed = tidy(&regions.iter().copied().collect::<Vec<_>>().join(", "), 200);
    let url = match region {
        Some(region) => found.iter().find(|(of, _)| *of == region).ok_or_else(|| {
            none(format!(
                "the service catalogue has no public network service in the region `{region}`; it has: {listed}"
            ))
        })?,
        None if regions.len() > 1 => {
            return Err(none(format!(
                "the service catalogue has several regions, and `auth.region` names none of them: {listed}"
            )));
        }
        None => found.first().ok_or_else(|| {
            none("the service catalogue has no public network service; `url` may name one".to_owned())
        })?,
    };
    let url = config::address(url.1).ok_or_else(|| {
        none(
            "the service catalogue's address of the network service is none; `url` may name it"
                .to_owned(),
        )
    })?;
    Ok(config::with_version(url))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::client::Carried;
    use http::{HeaderMap, HeaderName};

    fn endpoint(interface: &str, region: &str, url: &str) -> Value {
        json!({ "interface": interface, "region_id": region, "region": region, "url": url })
    }

    fn catalogue(endpoints: &[Value]) -> Value {
        json!([
            { "type": "identity", "endpoints": [endpoint("public", "one", "http://k")] },
            { "type": "network", "endpoints": endpoints },
        ])
    }

    #[test]
    fn the_catalogue_tells_where_the_network_service_is() {
        let two = catalogue(&[
            endpoint("internal", "one", "http://inner"),
            endpoint("public", "one", "http://n1:9696"),
            endpoint("public", "two", "http://n2/networking/"),
        ]);
        let address = |catalogue: &Value, region: Option<&str>| {
            catalogued(catalogue, region)
                .map(String::from)
                .map_err(|error| error.message)
        };
        assert_eq!(address(&two, Some("one")).unwrap(), "http://n1:9696/v2.0");
        assert_eq!(
            address(&two, Some("two")).unwrap(),
            "http://n2/networking/v2.0"
        );
        assert!(
            address(&two, Some("three"))
                .unwrap_err()
                .ends_with("it has: one, two")
        );
        assert!(address(&two, None).unwrap_err().contains("auth.region"));
        let one = catalogue(&[endpoint("public", "one", "http://n/v2.0")]);
        assert_eq!(address(&one, None).unwrap(), "http://n/v2.0");
        assert!(address(&catalogue(&[]), None).is_err());
        assert!(address(&Value::Null, None).is_err());
        let odd = catalogue(&[endpoint("public", "one", "ftp://n")]);
        assert!(address(&odd, None).is_err());
    }

    #[test]
    fn a_catalogue_leads_nowhere_unsafe() {
        let leads = |keystone: &str, network: &str| {
            let network = config::address(network).unwrap();
            safe_from(&Url::parse(keystone).unwrap(), &network).map_err(|error| error.message)
        };
        for (keystone, network) in [
            ("https://k", "https://n:9696"),
            ("http://k", "http://n:9696"),
            ("http://k", "https://[2001:db8::1]"),
            ("http://k", "http://127.0.0.1:9696"),
        ] {
            assert_eq!(leads(keystone, network), Ok(()), "{network}");
        }
        let plain = leads("https://k", "http://n:9696").unwrap_err();
        assert!(
            plain.contains("from https:// to http:// at n,") && plain.contains("`url`"),
            "{plain}"
        );
        for network in [
            "https://169.254.169.254",
            "http://[fe80::1]:9696",
            "http://[::ffff:169.254.169.254]",
            "http://2852039166/",
        ] {
            let refused = leads("http://k", network).unwrap_err();
            assert!(
                refused.contains("link-local") && refused.contains("`url`"),
                "{refused}"
            );
        }
    }

    #[test]
    fn an_account_sees_by_its_roles() {
        let token = |roles: &[&str]| {
            let roles: Vec<Value> = roles.iter().map(|name| json!({ "name": name })).collect();
            json!({ "roles": roles })
        };
        let seeing = ["member", "admin"];
        assert_eq!(sight(&token(&["reader", "member"]), &seeing), Sight::Sees);
        assert_eq!(sight(&token(&["Admin"]), &seeing), Sight::Sees);
        assert_eq!(sight(&token(&["reader"]), &seeing), Sight::Doubtful);
        assert_eq!(sight(&json!({}), &seeing), Sight::Doubtful);
        assert_eq!(sight(&token(&["te_admin"]), &[]), Sight::Unknown);
    }

    #[test]
    fn a_token_is_renewed_before_it_ends_however_short_its_life() {
        let settings = Keystone {
            tokens: Url::parse("http://k/v3/auth/tokens").unwrap(),
            identity: Identity::ApplicationCredential {
                id: "id".to_owned(),
                secret: "secret".into(),
            },
            network: Some(Url::parse("http://n/v2.0").unwrap()),
            region: None,
        };
        let begun = Instant::now();
        let granted = |project: Value, ends: &str| {
            let issued = "2026-11-20T14:00:00.000000Z";
            let token = json!({
                "user": {}, "project": project, "issued_at": issued, "expires_at": ends,
            });
            let answer = Answer {
                status: 201,
                headers: HeaderMap::from_iter([(
                    HeaderName::from_static("x-subject-token"),
                    HeaderValue::from_static("canary"),
                )]),
                body: json!({ "token": token }).to_string().into(),
                carried: Carried::default(),
            };
            read(&settings, &[], &answer, begun)
        };
        for (ends, renewed, ended) in [
            ("2026-11-20T14:00:20Z", 16, 20),
            ("2026-11-20T14:05:00Z", 240, 300),
            ("2026-11-20T15:00:00Z", 3540, 3600),
        ] {
            let ticket =
                granted(json!({ "id": "p" }), ends).unwrap_or_else(|error| panic!("{error}"));
            let after = |at: Option<Instant>| at.map(|at| at.duration_since(begun).as_secs());
            assert_eq!(
                (after(ticket.renew_at), after(ticket.ends_at)),
                (Some(renewed), Some(ended))
            );
            assert!(!format!("{:?}", ticket.token()).contains("canary"));
        }
        // Without a project it would be shown empty lists for ever.
        let unscoped = granted(Value::Null, "2026-11-20T15:00:00Z").err();
        assert_eq!(
            unscoped.map(|error| error.kind),
            Some(ErrorKind::BackendAuth)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_still_good_does_not_speak_for_a_login_that_was_refused() {
        let network = Url::parse("http://n/v2.0").unwrap();
        let auth = Auth::new(Login::None(network.clone()), &[]);
        let old = tokenless(&network);
        let sure = || auth.known().refusals.held().map(|held| held.is_sure);
        auth.doubted(Instant::now(), Upstream::default());
        assert_eq!(sure(), Some(false));
        tokio::time::advance(Duration::from_secs(5)).await;
        auth.answered(&old);
        auth.doubted(Instant::now(), Upstream::default());
        assert_eq!(
            sure(),
            Some(true),
            "else it would be asked every five seconds"
        );
        tokio::time::advance(Duration::from_secs(300)).await;
        auth.answered(&tokenless(&network));
        auth.doubted(Instant::now(), Upstream::default());
        assert_eq!(sure(), Some(false));
    }

    #[test]
    fn a_life_is_counted_by_keystones_clock() {
        let token = json!({
            "issued_at": "2026-11-20T14:13:22.000000Z", "expires_at": "2026-11-20T14:13:42.000000Z",
        });
        assert_eq!(life(&token), Some(Duration::from_secs(20)));
        assert_eq!(life(&json!({})), None);
        assert_eq!(life(&json!({ "expires_at": "soon" })), None);
        assert_eq!(
            life(&json!({ "expires_at": "2001-01-01T00:00:00Z" })),
            Some(Duration::ZERO)
        );
    }
}
