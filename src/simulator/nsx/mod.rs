//! A simulated NSX: the Manager API under `/api/v1/vpn/ipsec`, served by a cluster of one or more managers.
//!
//! `README.md` in this directory lists the documents it follows and the questions they leave open.
//!
//! ```text
//!   Server (one per manager) ──► serve ──► accounts   is this user allowed in?
//!                                     └──► routes     dispatch by path
//!                                            ├──► world ──► kind, fields, rules, references   objects
//!                                            │        └───► inventory          objects at the start
//!                                            ├──► routers              where services are placed
//!                                            ├──► listing              pages
//!                                            └──► runtime ──► realization, forced, tunnel, statistics
//!   NsxState: the levers, which change the world behind the API's back
//! ```

use std::io;

use axum::body::Body;
use axum::extract::State;
use http::header::HeaderValue;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::simulator::chance;
use crate::simulator::faults::Faults;
use crate::simulator::http::{Server, Site};
use crate::simulator::requests::{RequestLog, Seen};

mod accounts;
mod fields;
mod forced;
pub mod inventory;
mod kind;
mod levers;
mod listing;
mod realization;
mod references;
mod refusal;
mod routers;
mod routes;
mod rules;
mod runtime;
mod state;
mod statistics;
mod tunnel;
mod world;

pub use accounts::Limits;
pub use forced::{ForcedDetails, ForcedState};
pub use kind::Kind;
pub use levers::{EndMarker, Levers, PskOnUpdate, UnknownRequestId};
pub use realization::{Pace, Settle};
pub use refusal::StatusKey;
pub use state::NsxState;
pub use tunnel::Tunnel;

use routes::{NsxCall, Reply};
use world::World;

/// How a simulated NSX starts.
#[derive(Clone)]
pub struct NsxOptions {
    /// Number of managers in the cluster, each its own server. Defaults to 1.
    pub managers: usize,
    /// Number of transport nodes that realize a session. Defaults to 2.
    pub nodes: usize,
    /// The name of the only user.
    pub username: String,
    pub password: String,
    /// A bearer token to accept. Defaults to none.
    pub bearer_token: Option<String>,
    /// Behavior of the cluster. [`NsxState::tune`] changes it at runtime.
    pub levers: Levers,
}

impl Default for NsxOptions {
    fn default() -> Self {
        Self {
            managers: 1,
            nodes: 2,
            username: "admin".to_owned(),
            password: "not-a-real-password".to_owned(),
            bearer_token: None,
            levers: Levers::default(),
        }
    }
}

/// A running simulated NSX. Dropping it stops it.
#[derive(Debug)]
pub struct NsxSimulator {
    managers: Vec<Server>,
    state: NsxState,
    faults: Faults,
}

impl NsxSimulator {
    /// Starts the managers on free ports of 127.0.0.1, with the objects of [`inventory`].
    ///
    /// # Errors
    /// If no port can be bound.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(options: NsxOptions) -> io::Result<Self> {
        let (state, faults) = (world(&options), Faults::default());
        let start = |manager| Server::start(router(&state, manager), faults.clone());
        let managers = (0..options.managers)
            .map(start)
            .collect::<io::Result<_>>()?;
        Ok(Self {
            managers,
            state,
            faults,
        })
    }

    /// Creates an NSX with one manager for a network other than loopback.
    pub fn site(options: &NsxOptions) -> (Site, NsxState) {
        let state = world(options);
        let site = Site::new(router(&state, 0), Faults::default());
        (site, state)
    }

    /// The address of the first manager, such as `http://127.0.0.1:40001`.
    pub fn url(&self) -> String {
        self.managers[0].url()
    }

    /// The addresses of all managers.
    pub fn urls(&self) -> Vec<String> {
        self.managers.iter().map(Server::url).collect()
    }

    /// One manager, to stop and restart on its own.
    pub fn manager(&self, index: usize) -> &Server {
        &self.managers[index]
    }

    /// Stops every manager. Connections are refused, and the state stays.
    ///
    /// # Errors
    /// As for [`Server::stop`].
    pub async fn stop(&self) -> io::Result<()> {
        for manager in &self.managers {
            manager.stop().await?;
        }
        Ok(())
    }

    /// Restarts every manager on its port.
    ///
    /// # Errors
    /// As for [`Server::restart`].
    pub async fn restart(&self) -> io::Result<()> {
        for manager in &self.managers {
            manager.restart().await?;
        }
        Ok(())
    }

    /// The HTTP faults of all managers.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The levers on the state of the cluster.
    pub fn state(&self) -> &NsxState {
        &self.state
    }

    /// The request log of the first manager. For the other managers see [`NsxSimulator::manager`] and
    /// [`Server::requests`].
    pub fn requests(&self) -> &RequestLog {
        self.managers[0].requests()
    }

    /// The requests to all managers, in the order of arrival.
    pub fn all_requests(&self) -> Vec<Seen> {
        let mut seen: Vec<_> = self
            .managers
            .iter()
            .flat_map(|manager| manager.requests().all())
            .collect();
        seen.sort_by_key(|seen| seen.at);
        seen
    }
}

fn world(options: &NsxOptions) -> NsxState {
    let mut world = World::new(options.levers, options.nodes);
    world
        .accounts
        .set_password(&options.username, &options.password);
    if let Some(token) = &options.bearer_token {
        world.accounts.accept_token(token);
    }
    NsxState::new(world)
}

fn router(state: &NsxState, manager: usize) -> axum::Router {
    let manager = Manager {
        state: state.clone(),
        manager,
    };
    axum::Router::new().fallback(serve).with_state(manager)
}

/// One manager's view of the cluster.
#[derive(Clone)]
struct Manager {
    state: NsxState,
    manager: usize,
}

async fn serve(State(site): State<Manager>, request: Request<Body>) -> Response<Body> {
    let request_id = chance::uuid().to_string();
    let (head, body) = request.into_parts();
    // A client that breaks off its body does not wait for the answer.
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let call = NsxCall {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: routes::pairs(head.uri.query().unwrap_or_default()),
        headers: head.headers,
        body,
        manager: site.manager,
        request_id,
        now: Instant::now(),
    };
    let reply = reply(&site, &call).await;
    let levers = site.state.levers();
    written(
        reply,
        levers.request_ids.then_some(call.request_id.as_str()),
    )
}

async fn reply(site: &Manager, call: &NsxCall) -> Reply {
    let admitted = {
        let world = &mut *site.state.world();
        if let Some(answer) = routes::login(world, call) {
            return answer.unwrap_or_else(Reply::from);
        }
        let (idle, limits) = (world.levers.session_idle, world.levers.limits);
        let accounts = &mut world.accounts;
        let user = match accounts.authenticate(&call.headers, call.manager, idle, call.now) {
            Ok(user) => user,
            Err(refusal) => return refusal.into(),
        };
        if let Err(refusal) = accounts.admit(&user, call.manager, limits, call.now) {
            return refusal.into();
        }
        Admitted { site, user }
    };
    let latency = site.state.levers().latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let answer = routes::answer(&mut site.state.world(), call, &admitted.user);
    answer.unwrap_or_else(Reply::from)
}

/// Counts its request as in flight until it is dropped, even if the client goes away.
struct Admitted<'a> {
    site: &'a Manager,
    user: String,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.site
            .state
            .world()
            .accounts
            .done(&self.user, self.site.manager);
    }
}

fn written(reply: Reply, request_id: Option<&str>) -> Response<Body> {
    let body = reply
        .body
        .map(|body| Body::from(body.to_string()))
        .unwrap_or_default();
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    for (name, value) in reply.headers {
        headers.append(
            name,
            HeaderValue::from_str(&value).expect("we write no control characters"),
        );
    }
    if let Some(request_id) = request_id {
        let request_id = HeaderValue::from_str(request_id).expect("a UUID is a header value");
        headers.insert("x-nsx-requestid", request_id);
    }
    response
}

#[cfg(test)]
mod tests;
