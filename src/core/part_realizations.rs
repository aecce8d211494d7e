//! The use cases for parts: how far a write to a part is realized on the connections that use it, as a poll, a watch
//! and a wait.

use crate::{
    core::{
        backend::Backend,
        dialect::Pages,
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        gateway::{Gateway, caller},
        realizations::{CurrentStatus, PollRequest, WatchRequest},
        references::uses,
        watch::{
            interest::Interest,
            judge::Terms,
            part::{
                PartToken,
                stream::{OpeningPart, PartEventKind, PartStatus, PartWatch},
            },
            stream::Outcome,
        },
    },
    model::{Collection, ConnectionName, Goal, ResourceKind, ResourceName, Settings},
};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};

impl Gateway {
    /// Polls every connection that uses a part, for a write to it. Concurrent callers share the polls.
    ///
    /// # Errors
    /// If the write token is missing; those of the list of connections and of the first poll that fails.
    pub async fn poll_part_now(
        &self,
        request: &PollRequest,
        deadline: Instant,
    ) -> Result<CurrentStatus> {
        let watch = WatchRequest {
            write_token: request.write_token.clone(),
            include_tunnel: request.include_tunnel,
            upstream_request_ids: request.upstream_request_ids.clone(),
            ..WatchRequest::of(request.name.clone())
        };
        let mut watch = self.open_part(&watch, deadline).await?;
        watch.look_once(deadline).await.map_err(|error| {
            let error = error.on(&request.name.backend);
            error.during("looking at the connections that use a part")
        })?;
        Ok(standing(watch.status(), None))
    }

    /// Opens a watch of a write to a part. It watches the connections that use the part when it is opened.
    ///
    /// # Errors
    /// If a token does not belong to the part, or the request asks for what a part cannot be watched for; those of the
    /// list of connections.
    pub async fn watch_part(&self, request: WatchRequest) -> Result<PartWatch> {
        let patience = self.poller(&request.name.backend)?.backend().settings();
        let patience = patience.timeout.max(self.heartbeat);
        self.open_part(&request, Instant::now() + patience).await
    }

    /// Waits until `until` for the outcome of a write to a part.
    ///
    /// # Errors
    /// Those of [`Gateway::watch_part`] and of the watch. Reaching `until` is not an error.
    pub async fn wait_part(&self, request: WatchRequest, until: Instant) -> Result<CurrentStatus> {
        let mut watch = self.open_part(&request, until).await?;
        while let Ok(Some(event)) = timeout_at(until, watch.next()).await {
            let event = event?;
            if let (
                PartEventKind::Snapshot(status) | PartEventKind::Change(status),
                Some(outcome),
            ) = (event.kind, event.outcome)
            {
                return Ok(standing(status, Some(outcome)));
            }
        }
        Ok(standing(watch.status(), None))
    }

    async fn open_part(&self, request: &WatchRequest, deadline: Instant) -> Result<PartWatch> {
        let name = &request.name;
        let poller = self.poller(&name.backend)?;
        let backend = poller.backend();
        let goal = check(request)?;
        let token = PartToken::decode(&request.write_token, name)?;
        let writes = token.writes(backend.capabilities().write_tracking);
        let connections = users(backend, name, deadline)
            .await
            .map_err(|error| error.during("finding the connections that use a part"))?;
        let is_off = !connections.is_empty() && is_off(backend, name, deadline).await?;
        Ok(PartWatch::open(OpeningPart {
            name: name.clone(),
            connections,
            writes,
            terms: Terms {
                goal,
                accept_partial: request.accept_partial,
                accept_assumed: request.accept_assumed,
                wanted: None,
            },
            is_off,
            interest: Interest {
                tunnel: request.include_tunnel || goal != Goal::Config,
                outcome: true,
            },
            heartbeat: self.heartbeat,
            poller,
        }))
    }
}

/// Returns the goal of the watch, if a part can be watched for it.
fn check(request: &WatchRequest) -> Result<Goal> {
    let mut violations = Vec::new();
    let mut refuse = |wrong: bool, field: &str, what: &str| {
        if wrong {
            violations.push(Violation::new(field, what));
        }
    };
    refuse(
        request.write_token.is_empty(),
        "write_token",
        "must be given: a part has no realization of its own, only a write to it has one, on the connections that use it",
    );
    refuse(
        !request.resume_token.is_empty(),
        "resume_token",
        "a watch of a part has no positions; accepted is none: begin anew with the write token",
    );
    refuse(
        !request.upstream_request_ids.is_empty(),
        "upstream_request_ids",
        "the token of a write to a part names its ids; accepted is none",
    );
    refuse(
        request.goal == Some(Goal::Gone),
        "goal",
        "a write to a part removes no connection: accepted are GOAL_CONFIG, GOAL_IN_EFFECT, GOAL_TUNNEL_UP and \
         unspecified",
    );
    if violations.is_empty() {
        return Ok(request.goal.unwrap_or(Goal::Config));
    }
    Err(Error::invalid(violations))
}

/// Returns the connections that use a part, by id.
async fn users(
    backend: &Backend,
    part: &ResourceName,
    deadline: Instant,
) -> Result<Vec<ConnectionName>> {
    let (mut users, mut pages) = (Vec::new(), Pages::all());
    let call = caller(deadline);
    while let Some(request) = pages.next_page()? {
        let page = timeout_at(deadline, backend.list(&request, &call)).await;
        let read = pages.read(page.unwrap_or_else(|_| Err(late().on(backend.name())))?);
        let used = read.iter().filter(|it| uses(it, part));
        // An id that cannot be part of a name cannot be watched either; reads report it.
        users.extend(used.filter_map(|it| ConnectionName::connection(backend.name(), &it.id).ok()));
    }
    Ok(users)
}

/// Reports whether the part is a VPN service that its cloud shows as switched off.
async fn is_off(backend: &Backend, part: &ResourceName, deadline: Instant) -> Result<bool> {
    if part.collection != Collection::VpnServices {
        return Ok(false);
    }
    let dialect = backend.dialect();
    let resources = dialect.resources();
    let call = caller(deadline);
    let read = resources.get(ResourceKind::VpnService, &part.id, &call);
    let read = backend.record_caller_result(read.await)?;
    let is_off = |settings: &Settings| match settings {
        Settings::VpnService(service) => service.admin_enabled == Some(false),
        _ => false,
    };
    Ok(is_off(&read.spec.settings))
}

fn standing(status: PartStatus, outcome: Option<Outcome>) -> CurrentStatus {
    CurrentStatus {
        observation: Arc::new(status.observation),
        stale: status.stale,
        outcome,
        part_use: Some(status.part_use),
    }
}

fn late() -> Error {
    Error::new(
        ErrorKind::DeadlineExceeded,
        ErrorReason::Deadline,
        "the connections were not listed in time",
    )
}
