//! Keystone v3, as far as a client of Neutron needs it: version documents, and issuing, reading and revoking tokens.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use http::header::HeaderName;
use http::{HeaderMap, Method, Uri};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::simulator::openstack::identity::{Identity, Project, Token, User};
use crate::simulator::openstack::reply::Reply;
use crate::simulator::openstack::shared::Shared;

/// The routes of Keystone.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    let path = uri.path().trim_end_matches('/');
    let catalogue = !uri
        .query()
        .unwrap_or_default()
        .split('&')
        .any(|pair| pair.split('=').next() == Some("nocatalog"));
    let now = Instant::now();
    let mut identity = shared.identity();
    let reply = match (method, path) {
        (Method::GET, "") => versions(&shared),
        (Method::GET, "/v3") => {
            Reply::json(200, json!({"version": version(&shared.keystone_url())}))
        }
        (Method::POST, "/v3/auth/tokens") => log_in(&shared, &mut identity, &body, catalogue, now),
        (Method::GET | Method::HEAD, "/v3/auth/tokens") => {
            with_subject(&shared, &identity, &headers, now, |text| {
                let token = identity.valid(text, now)?;
                let body = json!({"token": describe(&shared, &identity, token, catalogue)});
                Some(Reply::json(200, body).header(SUBJECT_TOKEN, text))
            })
        }
        (Method::DELETE, "/v3/auth/tokens") => {
            let mut revoked = None;
            let reply = with_subject(&shared, &identity, &headers, now, |text| {
                revoked = Some(text.to_owned());
                Some(Reply::empty(204))
            });
            if let Some(subject) = revoked {
                identity.revoke(&subject, now);
            }
            reply
        }
        (_, "" | "/v3" | "/v3/auth/tokens") => {
            let message = "The method is not allowed for the requested URL.";
            Reply::keystone_error(405, "Method Not Allowed", message)
        }
        _ => {
            let message = "The requested URL was not found on the server. If you entered the URL manually please check \
                           your spelling and try again.";
            Reply::keystone_error(404, "Not Found", message)
        }
    };
    drop(identity);
    reply.into_response()
}

const AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Applies `then` to the token in `X-Subject-Token`, if both that token and the caller's own are valid.
fn with_subject(
    shared: &Shared,
    identity: &Identity,
    headers: &HeaderMap,
    now: Instant,
    then: impl FnOnce(&str) -> Option<Reply>,
) -> Reply {
    let header = |name: HeaderName| {
        headers
            .get(name)
            .and_then(|text| text.to_str().ok())
            .unwrap_or_default()
    };
    if identity.valid(header(AUTH_TOKEN), now).is_none() {
        return Reply::unauthorized(&shared.keystone_url());
    }
    let subject = header(SUBJECT_TOKEN);
    let found = identity.valid(subject, now).and_then(|_| then(subject));
    found.unwrap_or_else(|| Reply::keystone_error(404, "Not Found", "Failed to validate token"))
}

/// Version documents. The root answers 300, because Keystone offers a choice of versions in principle.
fn versions(shared: &Shared) -> Reply {
    Reply::json(
        300,
        json!({"versions": {"values": [version(&shared.keystone_url())]}}),
    )
}

fn version(url: &str) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": format!("{url}/v3/")}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

/// POST /v3/auth/tokens. A wrong password, an unknown user and a project without a role all get the same 401.
fn log_in(
    shared: &Shared,
    identity: &mut Identity,
    body: &[u8],
    catalogue: bool,
    now: Instant,
) -> Reply {
    let auth = match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(mut body)) => body.remove("auth").unwrap_or_default(),
        _ => Value::Null,
    };
    let Some(methods) = auth["identity"]["methods"].as_array() else {
        let message = "Invalid input for field 'identity': 'methods' is a required property";
        return Reply::keystone_error(400, "Bad Request", message);
    };
    let methods: Vec<_> = methods.iter().filter_map(Value::as_str).collect();
    let granted = match methods[..] {
        ["password"] => by_password(identity, &auth).map(|who| (who, "password")),
        ["application_credential"] => {
            if auth.get("scope").is_some_and(Value::is_object) {
                identity.logins.refused += 1;
                let message = "Application credentials cannot request a scope.";
                return Reply::keystone_error(401, "Unauthorized", message);
            }
            by_application_credential(identity, &auth).map(|who| (who, "application_credential"))
        }
        ["token"] => by_token(identity, &auth, now).map(|who| (who, "token")),
        _ => None,
    };
    let Some(((user, project), method)) = granted else {
        identity.logins.refused += 1;
        return Reply::unauthorized(&shared.keystone_url());
    };
    let (text, token) = identity.issue(user, project, method, now);
    let body = json!({"token": describe(shared, identity, &token, catalogue)});
    Reply::json(201, body).header(SUBJECT_TOKEN, &text)
}

type Who = (User, Option<Project>);

fn by_password(identity: &Identity, auth: &Value) -> Option<Who> {
    let given = &auth["identity"]["password"]["user"];
    let user = identity
        .users
        .iter()
        .find(|user| match given["id"].as_str() {
            Some(id) => user.id == id,
            None => Some(user.name.as_str()) == given["name"].as_str() && in_default_domain(given),
        })?;
    if !identity.takes(&user.id, &user.password, &given["password"]) {
        return None;
    }
    scoped(identity, user, auth)
}

fn by_token(identity: &Identity, auth: &Value, now: Instant) -> Option<Who> {
    let token = identity.valid(auth["identity"]["token"]["id"].as_str()?, now)?;
    scoped(identity, &token.user, auth)
}

/// An application credential is bound to a project, so the request contains no scope.
fn by_application_credential(identity: &Identity, auth: &Value) -> Option<Who> {
    let given = &auth["identity"]["application_credential"];
    let known = identity
        .application_credentials
        .iter()
        .find(|known| given["id"].as_str() == Some(&known.id))?;
    if !identity.takes(&known.id, &known.secret, &given["secret"]) {
        return None;
    }
    let user = identity.users.iter().find(|user| user.id == known.user)?;
    let project = identity
        .projects
        .iter()
        .find(|project| project.id == known.project)?;
    user.roles
        .get(&project.id)
        .filter(|roles| !roles.is_empty())?;
    Some((user.clone(), Some(project.clone())))
}

/// Returns the requested scope, if the user has a role there. A request without scope, or for `unscoped`, is always
/// granted.
fn scoped(identity: &Identity, user: &User, auth: &Value) -> Option<Who> {
    let wanted = &auth["scope"]["project"];
    if !wanted.is_object() {
        let unscoped = auth["scope"].is_null()
            || auth["scope"] == "unscoped"
            || auth["scope"]["unscoped"].is_object();
        return unscoped.then(|| (user.clone(), None));
    }
    let project = identity
        .projects
        .iter()
        .find(|project| match wanted["id"].as_str() {
            Some(id) => project.id == id,
            None => {
                Some(project.name.as_str()) == wanted["name"].as_str() && in_default_domain(wanted)
            }
        })?;
    user.roles
        .get(&project.id)
        .filter(|roles| !roles.is_empty())?;
    Some((user.clone(), Some(project.clone())))
}

/// Names are unique only within a domain, so a request must name one. Only the default domain exists.
fn in_default_domain(named: &Value) -> bool {
    match named["domain"]["id"].as_str() {
        Some(id) => id == "default",
        None => named["domain"]["name"]
            .as_str()
            .is_some_and(|name| name.eq_ignore_ascii_case("Default")),
    }
}

/// The body of a token, in Keystone's order.
fn describe(shared: &Shared, identity: &Identity, token: &Token, catalogue: bool) -> Value {
    let domain = json!({"id": "default", "name": "Default"});
    let mut body = Map::new();
    body.insert("methods".to_owned(), json!([token.method]));
    let user = json!({"domain": domain, "id": token.user.id, "name": token.user.name, "password_expires_at": null});
    body.insert("user".to_owned(), user);
    body.insert("audit_ids".to_owned(), json!([token.audit_id]));
    body.insert("expires_at".to_owned(), json!(token.expires.keystone()));
    body.insert("issued_at".to_owned(), json!(token.issued.keystone()));
    if let Some(project) = &token.project {
        body.insert(
            "project".to_owned(),
            json!({"domain": domain, "id": project.id, "name": project.name}),
        );
        body.insert("is_domain".to_owned(), json!(false));
        let roles: Vec<_> = token
            .roles
            .iter()
            .map(|role| json!({"id": id_of(role), "name": role}))
            .collect();
        body.insert("roles".to_owned(), json!(roles));
        if catalogue {
            body.insert("catalog".to_owned(), self::catalogue(shared, identity));
        }
    }
    Value::Object(body)
}

/// The services and their endpoints. The network endpoint has no `/v2.0`.
fn catalogue(shared: &Shared, identity: &Identity) -> Value {
    let endpoints = |service: &str, url: &dyn Fn(Option<&str>) -> String| {
        let mut all = Vec::new();
        for region in &identity.regions {
            for interface in ["public", "internal", "admin"] {
                all.push(json!({
                    "id": id_of(&format!("{service} {interface} {}", region.name)),
                    "interface": interface,
                    "region_id": region.name,
                    "url": url(region.network_url.as_deref()),
                    "region": region.name,
                }));
            }
        }
        json!(all)
    };
    let network = |own: Option<&str>| own.map_or_else(|| shared.neutron_url(), str::to_owned);
    let keystone = |_: Option<&str>| format!("{}/v3", shared.keystone_url());
    json!([
        {"endpoints": endpoints("network", &network), "id": id_of("network"), "type": "network", "name": "neutron"},
        {"endpoints": endpoints("identity", &keystone), "id": id_of("identity"), "type": "identity", "name": "keystone"},
    ])
}

/// Returns an id in Keystone's form that depends only on the name.
fn id_of(name: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(name)
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
