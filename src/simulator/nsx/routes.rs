//! Dispatches each request by its path.

use http::header::{CONTENT_TYPE, SET_COOKIE};
use http::{HeaderMap, HeaderName, Method, StatusCode};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::simulator::nsx::kind::Kind;
use crate::simulator::nsx::listing::{self, parameter};
use crate::simulator::nsx::refusal::Refusal;
use crate::simulator::nsx::routers;
use crate::simulator::nsx::runtime;
use crate::simulator::nsx::world::{Actor, World};

/// One request, read completely.
pub(crate) struct NsxCall {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: bytes::Bytes,
    /// Index of the manager that received the request.
    pub(crate) manager: usize,
    /// The id that the server gives to this request.
    pub(crate) request_id: String,
    pub(crate) now: Instant,
}

/// An answer before serialization.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Option<Value>,
}

impl Reply {
    fn of(status: StatusCode, body: Value) -> Self {
        let headers = vec![(CONTENT_TYPE, "application/json".to_owned())];
        Self {
            status,
            headers,
            body: Some(body),
        }
    }

    fn ok(body: Value) -> Self {
        Self::of(StatusCode::OK, body)
    }

    fn empty() -> Self {
        Self {
            status: StatusCode::OK,
            headers: Vec::new(),
            body: None,
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        Self::of(refusal.status, refusal.body())
    }
}

/// Handles login and logout, which need no credentials in the headers. Returns `None` for any other call.
pub(crate) fn login(world: &mut World, call: &NsxCall) -> Option<Result<Reply, Refusal>> {
    match (call.path.as_str(), &call.method) {
        ("/api/session/create", &Method::POST) => Some(log_in(world, call)),
        ("/api/session/destroy", &Method::POST) => {
            world.accounts.log_out(&call.headers);
            Some(Ok(Reply::empty()))
        }
        _ => None,
    }
}

/// Handles every other call, for an authenticated user.
pub(crate) fn answer(world: &mut World, call: &NsxCall, user: &str) -> Result<Reply, Refusal> {
    match call.path.as_str() {
        "/api/v1/reverse-proxy/node/health" if call.method == Method::GET => {
            return Ok(Reply::ok(json!({ "healthy": true })));
        }
        "/api/v1/node" if call.method == Method::GET => {
            return Ok(Reply::ok(
                json!({ "node_version": "4.2.0.0.0.0", "export_type": "UNRESTRICTED" }),
            ));
        }
        _ => {}
    }
    let unknown = || Refusal::unprocessable(StatusCode::NOT_FOUND);
    if world.levers.api_absent {
        return Err(unknown());
    }
    let segments: Vec<_> = call.path.split('/').skip(1).collect();
    if let ["api", "v1", "logical-routers", below @ ..] = segments.as_slice() {
        return routers::answer(world, &call.method, below, &call.query).map(Reply::ok);
    }
    let below = call
        .path
        .strip_prefix("/api/v1/vpn/ipsec/")
        .ok_or_else(unknown)?;
    let segments: Vec<_> = below.split('/').collect();
    let kind = Kind::of_collection(segments[0]).ok_or_else(unknown)?;
    let actor = Actor {
        user,
        request_id: &call.request_id,
        overwrite: call
            .headers
            .get("x-allow-overwrite")
            .is_some_and(|said| said == "true"),
        now: call.now,
    };
    let asked = |name: &str| parameter(&call.query, name);
    match (&call.method, &segments[1..]) {
        (&Method::GET, []) => listing::list(world, kind, &call.query).map(Reply::ok),
        (&Method::POST, []) => {
            let made = world.create(kind, object(&call.body)?, actor)?;
            Ok(Reply::of(StatusCode::CREATED, made))
        }
        (&Method::GET, [id]) => read(world, kind, id, asked("action")),
        (&Method::PUT, [id]) => world
            .update(kind, id, object(&call.body)?, actor)
            .map(Reply::ok),
        (&Method::DELETE, [id]) => {
            world.delete(kind, id, asked("force") == Some("true"), actor)?;
            Ok(Reply::empty())
        }
        (&Method::GET, [id, "state"]) if kind == Kind::Session => {
            runtime::state(world, id, asked("request_id"), call.now).map(Reply::ok)
        }
        (&Method::GET, [id, "status"]) if kind == Kind::Session => {
            runtime::status(world, id, asked("source"), call.now).map(Reply::ok)
        }
        (&Method::GET, [id, "statistics"]) if kind == Kind::Session => {
            runtime::statistics(world, id, asked("source"), call.now).map(Reply::ok)
        }
        (&Method::POST, [id, "statistics"])
            if kind == Kind::Session && asked("action") == Some("reset") =>
        {
            runtime::reset(world, id, call.now).map(|()| Reply::empty())
        }
        (_, [] | [_]) => Err(Refusal::unprocessable(StatusCode::METHOD_NOT_ALLOWED)),
        _ => Err(unknown()),
    }
}

/// The decoded pairs of `a=b&c=d`.
///
/// nsxlib sends its password in the form without encoding it, so a text that is not an escape is taken literally.
pub(crate) fn pairs(encoded: &str) -> Vec<(String, String)> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    encoded
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(pair)
        .collect()
}

fn log_in(world: &mut World, call: &NsxCall) -> Result<Reply, Refusal> {
    let form = pairs(&String::from_utf8_lossy(&call.body));
    let said = |name| parameter(&form, name).unwrap_or_default();
    let login = world.accounts.log_in(
        said("j_username"),
        said("j_password"),
        call.manager,
        call.now,
    )?;
    let cookie = format!(
        "JSESSIONID={}; Path=/; Secure; HttpOnly; SameSite=Lax",
        login.cookie
    );
    let mut reply = Reply::empty();
    reply.headers.push((SET_COOKIE, cookie));
    reply
        .headers
        .push((HeaderName::from_static("x-xsrf-token"), login.xsrf_token));
    Ok(reply)
}

fn read(world: &World, kind: Kind, id: &str, action: Option<&str>) -> Result<Reply, Refusal> {
    let object = world.read(kind, id)?;
    let mut value = Value::Object(object.value.clone());
    match action {
        None => {}
        Some("show-sensitive-data") if kind == Kind::PeerEndpoint => {
            if let Some(psk) = &object.psk {
                value["psk"] = json!(psk);
            }
        }
        Some(_) => return Err(Refusal::unprocessable(StatusCode::BAD_REQUEST)),
    }
    Ok(Reply::ok(value))
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Refusal::not_json("an object is expected")),
        Err(error) => Err(Refusal::not_json(&error.to_string())),
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = text
            .get(at + 1..at + 3)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], escape) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 2;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}
