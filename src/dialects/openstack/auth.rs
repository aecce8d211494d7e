//! The gateway's own login: a token of Keystone, with every request to the network service and to nowhere
//! else. Made when it is first needed, renewed before it ends, and once more when it is refused. What a refused login
//! means for those that follow is for [`Logins`] to say.

use crate::{
    account::Priority,
    address::is_link_local,
    core::{
        dialect::Call,
        error::{Error, ErrorKind, ErrorReason, Upstream},
    },
    dialects::{
        login::{self, Logins, NoTicket},
        openstack::{
            config::{self, Identity, Keystone, Login, Project},
            error::{self, Asked},
        },
    },
    rest::{answer::Answer, client, redact::tidy, request::Request},
};
use http::{HeaderValue, Method};
use reqwest::Url;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
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

    /// The only place the token may be sent to: the VPN API of the network service, `/v2.0/vpn`.
    pub fn api(&self) -> &Url {
        &self.api
    }

    /// Whether it is shown to see.
    pub fn sight(&self) -> Sight {
        self.sight
    }
}

impl login::Ticket for Ticket {
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
        Auth {
            way: match login {
                Login::None(network) => Way::Open(Arc::new(tokenless(&network))),
                Login::Keystone(keystone) => Way::Keystone(keystone),
            },
            http,
            seeing_roles,
            logins: Logins::new(1),
            renews_again: Mutex::default(),
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
            match self.log_in(keystone, call.deadline - left / 2).await {
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
        self.logins.accepted(ticket.begun);
    }

    /// A request with this ticket, which is fresh, was refused in these words: no login is sent for a while. What is
    /// said of the words at [`Logins::refused`] holds here.
    pub fn refused(&self, ticket: &Ticket, said: Upstream) {
        self.logins.refused(ticket.begun, false, said);
    }

    async fn log_in(&self, keystone: &Keystone, deadline: Instant) -> Result<Ticket, NoTicket> {
        // The token's life is counted from before it was asked for, so that it is over here first.
        let begun = Instant::now();
        let request = login_request(keystone);
        let answer = self.http.send(request, Priority::Login, deadline).await;
        let answer = answer.map_err(NoTicket::unanswered)?;
        read(keystone, self.seeing_roles, &answer, begun).map_err(|error| {
            if error.kind == ErrorKind::BackendAuth {
                let said = error.context.upstream.clone().unwrap_or_default();
                self.logins.refused(begun, false, said);
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
    fn is_nearly_over(&self) -> bool {
        self.renew_at.is_some_and(|time| time <= Instant::now())
    }
}

fn tokenless(network: &Url) -> Ticket {
    Ticket {
        token: None,
        api: api(network.clone()),
        sight: Sight::Unknown,
        begun: Instant::now(),
        renew_at: None,
        ends_at: None,
    }
}

/// The VPN API of this network service.
fn api(mut network: Url) -> Url {
    let path = format!("{}/vpn", network.path().trim_end_matches('/'));
    network.set_path(&path);
    network
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
    Request::new(Method::POST, url).json(&json!({ "auth": auth }))
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
        api: api(network),
        sight: sight(told, seeing_roles),
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
    use crate::rest::{
        answer::Carried,
        budget::{Budget, Limits},
        client::Client,
        https::Https,
        transport::Options,
    };
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
        let limits = Limits {
            rate: 1.0,
            concurrency: 1,
        };
        let budget = Arc::new(Budget::new(limits));
        let http = Client::new(&Https, &Options::default(), budget).unwrap();
        let auth = Auth::new(Login::None(network.clone()), &[], http);
        let old = tokenless(&network);
        let refuse = || auth.refused(&tokenless(&network), Upstream::default());
        let sure = || match auth.logins.may_try() {
            Err(NoTicket::Refused(error)) => Some(error.message.contains("not tried again")),
            _ => None,
        };
        refuse();
        assert_eq!(sure(), Some(false));
        tokio::time::advance(Duration::from_secs(5)).await;
        auth.answered(&old);
        refuse();
        assert_eq!(
            sure(),
            Some(true),
            "else it would be asked every five seconds"
        );
        tokio::time::advance(Duration::from_secs(300)).await;
        auth.answered(&tokenless(&network));
        refuse();
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
