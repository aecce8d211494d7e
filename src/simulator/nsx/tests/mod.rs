//! Tests of the simulated NSX against its documents: first without sockets, then over HTTP.

mod kinds;
mod objects;
mod realizing;
mod routers;
mod served;
mod statistics;

use http::{HeaderMap, HeaderName, Method};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::simulator::nsx::inventory;
use crate::simulator::nsx::levers::Levers;
use crate::simulator::nsx::routes::{self, NsxCall};
use crate::simulator::nsx::world::World;

/// A world without a server. Requests come from its administrator.
struct Bench {
    world: World,
    now: Instant,
    asked: u32,
}

impl Bench {
    fn new() -> Self {
        Self {
            world: World::new(Levers::default(), 2),
            now: Instant::now(),
            asked: 0,
        }
    }

    /// Returns status and body of one request below `/api/v1/vpn/ipsec/`.
    fn ask(&mut self, method: Method, path: &str, body: Value) -> (u16, Value) {
        self.ask_with(method, path, body, &[])
    }

    fn ask_with(
        &mut self,
        method: Method,
        path: &str,
        body: Value,
        headers: &[(&'static str, &'static str)],
    ) -> (u16, Value) {
        let path = format!("/api/v1/vpn/ipsec/{path}");
        self.ask_at(method, &path, body, headers)
    }

    /// As [`Self::ask_with`], for any path.
    fn ask_at(
        &mut self,
        method: Method,
        path: &str,
        body: Value,
        headers: &[(&'static str, &'static str)],
    ) -> (u16, Value) {
        self.asked += 1;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect();
        let call = NsxCall {
            method,
            path: path.to_owned(),
            query: routes::pairs(query),
            headers,
            body: body.to_string().into(),
            manager: 0,
            request_id: self.request_id(),
            now: self.now,
        };
        let reply =
            routes::answer(&mut self.world, &call, "admin").unwrap_or_else(routes::Reply::from);
        (reply.status.as_u16(), reply.body.unwrap_or_default())
    }

    /// The request id of the newest request.
    fn request_id(&self) -> String {
        format!("request-{}", self.asked)
    }

    fn get(&mut self, path: &str) -> (u16, Value) {
        self.ask(Method::GET, path, Value::Null)
    }

    fn delete(&mut self, path: &str) -> (u16, Value) {
        self.ask(Method::DELETE, path, Value::Null)
    }

    /// Creates an object and returns its id.
    #[track_caller]
    fn create(&mut self, collection: &str, body: Value) -> String {
        let (status, made) = self.ask(Method::POST, collection, body);
        assert_eq!(status, 201, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    fn peer(&mut self) -> String {
        self.create("peer-endpoints", peer())
    }

    fn session(&mut self) -> String {
        let peer = self.peer();
        self.create("sessions", session(&peer))
    }
}

fn peer() -> Value {
    json!({ "display_name": "branch", "peer_address": "203.0.113.7", "peer_id": "203.0.113.7", "psk": "sesame" })
}

fn session(peer: &str) -> Value {
    json!({
        "resource_type": "PolicyBasedIPSecVPNSession",
        "display_name": "branch",
        "local_endpoint_id": inventory::LOCAL_ENDPOINT_ID,
        "peer_endpoint_id": peer,
        "policy_rules": [
            { "sources": [{ "subnet": "10.0.0.0/24" }], "destinations": [{ "subnet": "10.1.0.0/24" }] }
        ],
    })
}
