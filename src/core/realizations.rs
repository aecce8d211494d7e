//! The realization use cases: poll a connection now, watch it, or wait for an outcome.

use crate::{
    core::{
        error::{Error, ErrorKind, ErrorReason, Result, Violation},
        gateway::{Gateway, scope},
        listed::Listable,
        listing::late,
        margin,
        roster::Member,
        watch::{
            elsewhere::ForeignWrite,
            interest::Interest,
            judge::Terms,
            log::{Observation, observation::Revision, window::Compacted},
            many::{OpeningMany, WatchMany},
            part::tally::PartUse,
            poller::Poller,
            stream::{EventKind, Opening, Outcome, Watch},
            subject::Subject,
            token::{ResumeToken, WriteToken},
            watching::Watching,
        },
    },
    model::{ConnectionName, Goal, Intent, Parent, RealizationState, ResourceName},
};
use futures_util::future::join_all;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long a watch waits for its first poll before it starts with what is known.
const FIRST_POLL: Duration = Duration::from_secs(10);

/// A request to poll a connection now.
#[derive(Debug, Clone)]
pub struct PollRequest {
    /// The connection, or the part that the write changed.
    pub name: ResourceName,
    /// Whether to read the tunnel too.
    pub include_tunnel: bool,
    /// The write that the answer must speak for; empty for none.
    pub write_token: String,
    /// Upstream ids of writes made by other clients that the answer must speak for; at most 4.
    pub upstream_request_ids: Vec<String>,
}

/// A request to watch a connection or a write to a part.
#[derive(Debug, Clone)]
pub struct WatchRequest {
    /// The connection, or the part that the write changed.
    pub name: ResourceName,
    /// The goal to wait for; `None` takes the goal that the write token implies, if any.
    pub goal: Option<Goal>,
    /// The write to wait for; empty for none.
    pub write_token: String,
    /// The position to resume from; empty for the beginning.
    pub resume_token: String,
    /// Whether PARTIAL satisfies CONFIG, and DEGRADED satisfies TUNNEL_UP.
    pub accept_partial: bool,
    /// Whether to read the tunnel too.
    pub include_tunnel: bool,
    /// Whether to begin with a snapshot if the position is compacted.
    pub snapshot_if_compacted: bool,
    /// Whether an assumption after a quiet time counts as proof.
    pub accept_assumed: bool,
    /// Upstream ids of writes made by other clients to wait for; at most 4.
    pub upstream_request_ids: Vec<String>,
}

impl WatchRequest {
    /// Returns a watch of one connection, or part, without a goal.
    pub fn of(name: ResourceName) -> WatchRequest {
        WatchRequest {
            name,
            goal: None,
            write_token: String::new(),
            resume_token: String::new(),
            accept_partial: false,
            include_tunnel: false,
            snapshot_if_compacted: false,
            accept_assumed: false,
            upstream_request_ids: Vec::new(),
        }
    }
}

/// A request to watch all connections of one backend or of every backend.
#[derive(Debug, Clone)]
pub struct WatchManyRequest {
    /// The backend, or all of them.
    pub parent: Parent,
    /// The position to resume from; empty for the beginning.
    pub resume_token: String,
    /// Whether to read the tunnels too.
    pub include_tunnel: bool,
    /// Whether to begin with a snapshot if the position is compacted.
    pub snapshot_if_compacted: bool,
    /// The caller's deadline, if known.
    pub deadline: Option<Instant>,
}

/// The status of a connection, and the outcome of a wait if it ended.
#[derive(Debug, Clone)]
pub struct CurrentStatus {
    pub observation: Arc<Observation>,
    /// Whether the observation is older than promised.
    pub stale: bool,
    /// The outcome of the wait; `None` while it goes on, and for a plain poll.
    pub outcome: Option<Outcome>,
    /// For a write to a part: how many connections have it.
    pub part_use: Option<PartUse>,
}

impl Gateway {
    /// Polls one connection now. Concurrent callers share the poll.
    ///
    /// # Errors
    /// Fails if the write token does not belong to this connection or its write is forgotten, if the cloud cannot be
    /// asked about the upstream ids, and as the poll fails. `NotFound` if the poll proves that the connection does not
    /// exist, unless this gateway deleted it or the call names a write.
    pub async fn poll_now(
        &self,
        request: &PollRequest,
        deadline: Instant,
    ) -> Result<CurrentStatus> {
        let name = &request.name;
        let poller = self.poller(&name.backend)?;
        let (subject, mut watching) = poller.watch(
            name,
            Interest {
                tunnel: request.include_tunnel,
                outcome: false,
            },
        );
        let bound = self.bound(&subject, &request.write_token)?;
        await_elsewhere(&poller, &mut watching, &request.upstream_request_ids)?;
        let number = poller.poll_for_call(&subject);
        let polled = subject.poll_ended(number, deadline).await;
        let observation = subject.latest();
        let answer = watching.overlay(Arc::clone(&observation));
        drop(watching);
        let missing = observation.status.state == RealizationState::Deleted
            && observation.status.intent != Intent::Deleted
            && bound.is_none();
        polled.map_err(|error| error.on(&name.backend).during("looking at a connection"))?;
        if missing {
            return Err(not_found(name));
        }
        Ok(CurrentStatus {
            observation: answer,
            stale: false,
            outcome: None,
            part_use: None,
        })
    }

    /// Opens a watch over one connection.
    ///
    /// # Errors
    /// Fails if a token does not belong to this connection or its write or position is forgotten, if the goal cannot be
    /// reached, or with `NotFound`.
    pub async fn watch(&self, request: WatchRequest) -> Result<Watch> {
        let poller = self.poller(&request.name.backend)?;
        let (subject, mut watching) = poller.watch(&request.name, Interest::default());
        let bound = self.bound(&subject, &request.write_token)?;
        let goal = goal(&request, bound)?;
        let resume = self.resume(&subject, &request)?;
        let tunnel =
            request.include_tunnel || matches!(goal, Some(Goal::InEffect | Goal::TunnelUp));
        let interest = Interest {
            tunnel,
            outcome: goal.is_some(),
        };
        watching.change(interest);
        await_elsewhere(&poller, &mut watching, &request.upstream_request_ids)?;
        let current = match resume {
            None => {
                // What is known from before does not cover these writes.
                let anew = !request.upstream_request_ids.is_empty();
                first_poll(&poller, &subject, interest, anew, self.heartbeat).await
            }
            // A resumed stream does not wait for a poll: it sends what comes next when it arrives. Silence is measured
            // from here.
            Some(_) => {
                poller.poll_by(&subject, subject.soonest_poll());
                false
            }
        };

        let last = subject.latest();
        let anonymous = bound.is_none() && resume.is_none() && goal != Some(Goal::Gone);
        if last.status.state == RealizationState::Deleted && anonymous {
            return Err(not_found(&request.name));
        }
        if goal == Some(Goal::TunnelUp) && last.status.intent == Intent::Disabled {
            return Err(Error::new(
                ErrorKind::FailedPrecondition,
                ErrorReason::GoalUnreachable,
                "the connection is switched off on purpose, so its tunnel cannot come up; \
                 enable it, or wait for GOAL_CONFIG",
            )
            .on(&request.name.backend)
            .resource(request.name.to_string()));
        }
        let terms = goal.map(|goal| Terms {
            goal,
            accept_partial: request.accept_partial,
            accept_assumed: request.accept_assumed,
            wanted: bound.and_then(|(_, intent)| intent),
        });
        Ok(Watch::open(Opening {
            poller,
            subject,
            watching,
            terms,
            bound: bound.map_or(0, |(write, _)| write),
            heartbeat: self.heartbeat,
            resume,
            current,
        }))
    }

    /// Opens a watch over all connections of `request.parent`.
    ///
    /// # Errors
    /// Fails if the resume token does not belong here or, for one backend, if its list fails.
    pub async fn watch_many(&self, request: WatchManyRequest) -> Result<WatchMany> {
        let asked = Instant::now();
        let scope = scope(&request.parent);
        let mut roster = self.follow_present();
        let there = Arc::clone(&roster.borrow_and_update());
        let members: Vec<Arc<Member>> = match &request.parent {
            Parent::One(name) => vec![self.member(name)?],
            Parent::Every => there.iter().cloned().collect(),
        };
        drop(there);
        let (mut joined, mut followed) = (Vec::new(), members);
        let resume = match request.resume_token.as_str() {
            "" => None,
            text => {
                let token = ResumeToken::decode(text, &scope)?;
                if request.parent == Parent::Every {
                    let is_new = |member: &Arc<Member>| member.is_unknown_at(token.revision);
                    (joined, followed) = followed.into_iter().partition(is_new);
                }
                let windows = || followed.iter().map(|it| it.poller().log().window());
                let is_covered = self.common.log.issued(token.epoch, token.revision)
                    && windows().all(|window| window.covers(token.revision));
                let oldest = || windows().map(|it| it.compacted()).max().unwrap_or_default();
                resume_after(token, is_covered, request.snapshot_if_compacted, oldest)?
            }
        };
        if resume.is_none() {
            followed.append(&mut joined);
        }
        let all = followed.iter().chain(&joined);
        let all: Vec<Arc<Poller>> = all.map(|it| Arc::clone(it.poller())).collect();
        // One backend that hangs must leave the caller time for the rest. The list itself gets the same deadline as for
        // any other caller, so that a caller short of time does not decide what everybody is told about the backend.
        let until = match request.parent {
            Parent::One(_) => None,
            Parent::Every => request.deadline.map(margin::before),
        };
        // The lists run concurrently: several backends that hang must not delay the first event more than one does.
        let lists = all.iter().map(async |poller| {
            let end = asked + poller.backend().settings().timeout;
            let listed =
                timeout_at(until.unwrap_or(end).min(end), poller.inventory().list(end)).await;
            listed.unwrap_or_else(|_| Err(late(Listable::Connections)))
        });
        let mut unreachable = Vec::new();
        for (poller, listed) in all.iter().zip(join_all(lists).await) {
            if let Err(error) = listed {
                if let Parent::One(_) = request.parent {
                    return Err(error.during("listing connections"));
                }
                unreachable.push(poller.backend().name().clone());
            }
        }
        Ok(WatchMany::open(OpeningMany {
            scope,
            log: Arc::clone(&self.common.log),
            pollers: followed.iter().map(|it| Arc::clone(it.poller())).collect(),
            roster: (request.parent == Parent::Every).then_some(roster),
            joined,
            unreachable,
            tunnel: request.include_tunnel,
            heartbeat: self.heartbeat,
            asked,
            resume,
        }))
    }

    /// Waits for the outcome of a watch, at most until `until`.
    ///
    /// # Errors
    /// Those of [`Gateway::watch`] and of the watch itself. Reaching `until` is not an error.
    pub async fn wait(&self, request: WatchRequest, until: Instant) -> Result<CurrentStatus> {
        let names_writes =
            !request.write_token.is_empty() || !request.upstream_request_ids.is_empty();
        if request.goal.is_none() && !names_writes {
            return Err(Error::invalid(vec![Violation::new(
                "goal",
                "without `write_token` and `upstream_request_ids` there must be a goal to wait for",
            )]));
        }
        let poller = self.poller(&request.name.backend)?;
        let (subject, _held) = poller.watch(&request.name, Interest::default());
        let standing = |outcome| CurrentStatus {
            observation: subject.latest(),
            stale: subject.pulse(0.0).stale,
            outcome,
            part_use: None,
        };
        let Ok(opened) = timeout_at(until, self.watch(request)).await else {
            return Ok(standing(None));
        };
        let mut watch = opened?;
        let mut seen: Option<(Arc<Observation>, bool)> = None;
        loop {
            let next = timeout_at(until, watch.next()).await;
            let Ok(Some(event)) = next else {
                let mut now = standing(None);
                now.observation = watch.overlay(now.observation);
                return Ok(now);
            };
            let event = event?;
            match event.kind {
                EventKind::Snapshot(entry, stale) => seen = Some((entry, stale)),
                EventKind::Change(entry) => seen = Some((entry, false)),
                EventKind::Heartbeat(_) => {}
            }
            if event.outcome.is_some() {
                // The observation that decided the outcome, not a later one.
                let (observation, stale) = seen.unwrap_or_else(|| (subject.latest(), false));
                return Ok(CurrentStatus {
                    observation: watch.overlay(observation),
                    stale,
                    outcome: event.outcome,
                    part_use: None,
                });
            }
        }
    }

    /// Returns the number of the write that a token names, and that write's intent.
    fn bound(&self, subject: &Subject, token: &str) -> Result<Option<(u64, Option<Intent>)>> {
        if token.is_empty() {
            return Ok(None);
        }
        let token = WriteToken::decode(token, &subject.name().to_string())?;
        let intent = subject.intent_of(token.write);
        if !self.common.log.issued(token.epoch, token.write) || intent.is_none() {
            return Err(Error::new(
                ErrorKind::OutOfRange,
                ErrorReason::Compacted,
                "this gateway no longer remembers that write; watch without its token",
            ));
        }
        Ok(Some((token.write, intent)))
    }

    /// Returns the revision that a resume token points to, or `None` to start from the beginning.
    fn resume(&self, subject: &Subject, request: &WatchRequest) -> Result<Option<Revision>> {
        if request.resume_token.is_empty() {
            return Ok(None);
        }
        let token = ResumeToken::decode(&request.resume_token, &request.name.to_string())?;
        let is_covered =
            self.common.log.issued(token.epoch, token.revision) && subject.covers(token.revision);
        let oldest = || subject.compacted();
        resume_after(token, is_covered, request.snapshot_if_compacted, oldest)
    }
}

/// Returns the revision to resume after: the token's if the window covers it, or `None` if a snapshot is acceptable.
fn resume_after(
    token: ResumeToken,
    is_covered: bool,
    snapshot_if_compacted: bool,
    oldest: impl FnOnce() -> Revision,
) -> Result<Option<Revision>> {
    match (is_covered, snapshot_if_compacted) {
        (true, _) => Ok(Some(token.revision)),
        (false, true) => Ok(None),
        (false, false) => Err(Compacted(oldest()).into()),
    }
}

/// Has the polls ask the cloud about writes made by other clients, for as long as `watching` is held.
fn await_elsewhere(poller: &Poller, watching: &mut Watching, request_ids: &[String]) -> Result<()> {
    let backend = poller.backend();
    if !request_ids.is_empty() && !backend.capabilities().write_tracking {
        return Err(Error::not_expressible(vec![Violation::new(
            "upstream_request_ids",
            "this cloud cannot be asked about a write (`write_tracking` of its capabilities); accepted is none",
        )])
        .on(backend.name()));
    }
    let writes = request_ids.iter().cloned().map(ForeignWrite::Traceable);
    let writes: Vec<ForeignWrite> = writes.collect();
    watching
        .await_elsewhere(&writes)
        .map_err(|error| error.on(backend.name()))
}

/// Returns the goal of a watch: the requested one, or the one that its writes imply.
fn goal(request: &WatchRequest, bound: Option<(u64, Option<Intent>)>) -> Result<Option<Goal>> {
    let deleting = matches!(bound, Some((_, Some(Intent::Deleted))));
    let elsewhere = !request.upstream_request_ids.is_empty();
    if elsewhere && (deleting || request.goal == Some(Goal::Gone)) {
        return Err(Error::invalid(vec![Violation::new(
            "upstream_request_ids",
            "a removal is not judged by ids of requests: accepted is none",
        )]));
    }
    match request.goal {
        Some(goal) if deleting && goal != Goal::Gone => Err(Error::invalid(vec![Violation::new(
            "goal",
            "the token names a delete: accepted are GOAL_GONE and unspecified",
        )])),
        Some(goal) => Ok(Some(goal)),
        None if deleting => Ok(Some(Goal::Gone)),
        None => Ok((bound.is_some() || elsewhere).then_some(Goal::Config)),
    }
}

/// Waits, for a bounded time, until what is known is current, and reports whether it is.
///
/// If it already is, the gateway asks the cloud only if `anew`: the two hundredth watcher costs no request.
async fn first_poll(
    poller: &Arc<Poller>,
    subject: &Subject,
    interest: Interest,
    anew: bool,
    heartbeat: Duration,
) -> bool {
    let (_, current) = subject.current(interest);
    if current && !anew {
        poller.poll_by(subject, subject.soonest_poll());
        return true;
    }
    let wait = FIRST_POLL.min(heartbeat);
    let shared = subject.poll_under_way(interest.tunnel).filter(|_| !anew);
    let number = shared.unwrap_or_else(|| poller.poll_soon(subject));
    subject
        .poll_ended(number, Instant::now() + wait)
        .await
        .is_ok()
}

fn not_found(name: &ConnectionName) -> Error {
    Error::new(
        ErrorKind::NotFound,
        ErrorReason::ConnectionNotFound,
        format!("there is no `{name}`: the cloud says so itself"),
    )
    .on(&name.backend)
    .resource(name.to_string())
}
