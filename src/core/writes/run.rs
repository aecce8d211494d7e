//! The one path of every write.

use crate::core::{
    dialect::{Action, Call, Made, Plan, Warning},
    error::{Error, ErrorKind, ErrorReason, Result},
    execute::{Performed, perform},
    ledger::{book::Held, claims::Claimed, record::Entry, turns::Turn},
    margin,
    request_id::How,
    writes::{
        accepted::Answer,
        desk::{Writes, write_call},
        noting::{Noted, Noting},
        settle::Case,
    },
};
use crate::{model::ResourceKind, spans};
use async_trait::async_trait;
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};
use tracing::{Span, field::Empty};

/// How many times a write is planned when other clients keep changing its object.
const PLANS: u32 = 3;
/// How long a call retries removals that a cloud refuses at first.
const REMOVALS: Duration = Duration::from_secs(5);
/// Initial backoff between attempts to remove a resource.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// What a write is about.
#[derive(Debug, Clone)]
pub struct About {
    pub action: Action,
    /// The kind of resource; `None` for connections.
    pub kind: Option<ResourceKind>,
    /// The id of the object; `None` for one that is to be created.
    pub object: Option<String>,
}

/// What differs between the kinds of writes.
#[async_trait]
pub trait Write: Send + Sync + 'static {
    /// What the plan leaves once it is performed.
    type Left: Send + 'static;
    type Answer: Answer;

    fn about(&self) -> About;

    /// Plans the write.
    ///
    /// # Errors
    /// If the write cannot be done.
    async fn plan<'a>(
        &'a self,
        on: &'a Writes,
        call: &Call,
    ) -> Result<Box<dyn Plan<Self::Left> + 'a>>;

    /// Records what the write left and returns its answer. `remains` says whether removals are outstanding.
    ///
    /// # Errors
    /// If what the cloud returned cannot be represented, as an id that cannot be part of a name.
    async fn accept(&self, on: &Writes, left: Self::Left, remains: bool) -> Result<Self::Answer>;

    /// Whether the write may be planned again after another client has changed the object.
    fn plans_anew(&self) -> bool {
        false
    }

    /// Whether this failure counts as success.
    fn forgives(&self, _error: &Error) -> bool {
        false
    }

    /// Returns the error with what its caller needs to know.
    fn told(&self, error: Error) -> Error;
}

/// Whether a write has to be performed.
#[derive(Debug)]
pub enum Begun {
    /// The request is only validated.
    Tried,
    /// The write was done before, with this answer.
    Answered(Value),
    /// The turn has come, with everything that the write holds.
    Now(Held),
}

impl Writes {
    /// Claims the request id and waits for the turn.
    ///
    /// # Errors
    /// `InvalidArgument` / `RequestIdReused`; `Unavailable` / `WriteUnderWay` if the turn does not come by `until`;
    /// `Unavailable` / `StoreUnavailable`; `NotFound` / `BackendRemoved` if a reload removes the backend; `Unavailable` /
    /// `Draining` during shutdown.
    pub async fn begin(&self, about: About, how: &How, until: Instant) -> Result<Begun> {
        if how.validate_only {
            return Ok(Begun::Tried);
        }
        let until = margin::before(until);
        // Taken first, so that a drain which waits for the last task also waits for this write.
        let mut held = Held {
            under_way: Some(self.tasks.token()),
            ..Held::default()
        };
        if let Some(request) = &how.request {
            let claimed = self.ledger.claims.claim(request, until).await;
            match claimed.map_err(|error| error.on(self.name()))? {
                Claimed::Answered(answer) => return Ok(Begun::Answered(answer)),
                Claimed::Anew(claim) => held.claim = Some(claim),
            }
        }
        if let Some(id) = &about.object {
            let collection = Entry::new(about.action, about.kind, None).collection();
            let object = format!("{collection}/{id}");
            let turn = self.ledger.turns.take(&object, until).await;
            held.turns.push(self.turn(turn, &object)?);
            if about.kind.is_none() && about.action == Action::Delete {
                held.removing = Some(self.ledger.removing(id));
            }
        }
        self.backend().configured().check()?;
        if self.cancel.is_cancelled() {
            // Cancelling the settler releases the turns of its unfinished writes, which the next start recovers from
            // the ledger. No other write of their objects may begin before that.
            let why = "the gateway is shutting down";
            let error = Error::new(ErrorKind::Unavailable, ErrorReason::Draining, why);
            return Err(error.on(self.name()));
        }
        Ok(Begun::Now(held))
    }

    /// Returns the turn.
    ///
    /// # Errors
    /// The error it was given, with the backend and the object's name added.
    pub(super) fn turn(&self, turn: Result<Turn>, object: &str) -> Result<Turn> {
        turn.map_err(|error| {
            let name = format!("{}/{object}", self.name());
            error.on(self.name()).resource(name)
        })
    }

    /// Checks and plans a write without performing it.
    ///
    /// # Errors
    /// If the write could not be done.
    pub async fn try_out<W: Write>(&self, write: &W, until: Instant) -> Result<W::Answer> {
        let call = write_call(self.backend(), until);
        let planned = write.plan(self, &call).await;
        match self.backend().record_result(planned) {
            Ok(plan) => Ok(W::Answer::planned(plan.steps().to_vec())),
            Err(error) if write.forgives(&error) => Ok(W::Answer::default()),
            Err(error) => Err(write.told(error)),
        }
    }

    /// Returns the span of a write, a child of the call's span. Each request of the write is a child of this one.
    pub fn span(&self, about: &About) -> Span {
        let entry = Entry::new(about.action, about.kind, about.object.as_deref());
        spans::child(|| {
            tracing::info_span!(
                "write",
                isthmus.backend = self.name().as_str(),
                isthmus.action = about.action.as_str(),
                isthmus.collection = entry.collection(),
                isthmus.write.id = Empty,
                otel.status_code = Empty,
                error.type = Empty,
            )
        })
    }

    /// Performs a write to its end, or hands what is left to the settler.
    ///
    /// # Errors
    /// Why the write was not done, with what is left of it.
    pub async fn run<W: Write>(
        self: Arc<Self>,
        write: W,
        held: Held,
        until: Instant,
    ) -> Result<W::Answer> {
        let about = write.about();
        let _running = self.ledger.running();
        let call = write_call(self.backend(), until);
        let mut entry = Entry::new(about.action, about.kind, about.object.as_deref());
        Span::current().record("isthmus.write.id", entry.id.as_str());
        entry.request = held.claim.as_ref().map(|claim| claim.print().clone());
        entry.site.clone_from(&held.site);
        entry.home = self.dialect().home();
        let mut noted = Noted { entry, kept: false };
        let mut attempts = 0;
        loop {
            attempts += 1;
            let performed;
            (performed, noted) = self.attempt(&write, noted, &call).await;
            match performed {
                Performed::Undone(error)
                    if error.kind == ErrorKind::Stale && write.plans_anew() && attempts < PLANS => {
                }
                Performed::Undone(error) => return self.undone(&write, error, noted, held).await,
                Performed::Open(error) => return Err(self.left_open(&write, error, noted, held)),
                Performed::Whole(left) => {
                    return self.done(&write, left, noted, held).await;
                }
                Performed::Rest(left, error) => {
                    tracing::debug!(%error, "a removal is to be tried again");
                    self.go_on_removing(&mut noted.entry, &call).await;
                    return self.done(&write, left, noted, held).await;
                }
            }
        }
    }

    async fn attempt<W: Write>(
        &self,
        write: &W,
        mut noted: Noted,
        call: &Call,
    ) -> (Performed<W::Left>, Noted) {
        let plan = match write.plan(self, call).await {
            Ok(plan) => plan,
            Err(error) => return (Performed::Undone(error), noted),
        };
        noted.entry.plan(plan.steps());
        let noting = Noting::new(&self.ledger, noted);
        let performed = perform(self.dialect(), plan, &Made::new(), &noting, call).await;
        (performed, noting.into_noted())
    }

    /// Ends a write of which nothing is left in the cloud.
    async fn undone<W: Write>(
        self: &Arc<Self>,
        write: &W,
        error: Error,
        noted: Noted,
        held: Held,
    ) -> Result<W::Answer> {
        let action = noted.entry.action;
        match self.recorded(error) {
            error if write.forgives(&error) => {
                self.count(action, "succeeded");
                let answer = W::Answer::default();
                self.close(noted, held, kept(&answer), false).await;
                Ok(answer)
            }
            error => {
                self.count(action, "failed");
                self.close(noted, held, None, false).await;
                Err(write.told(error))
            }
        }
    }

    /// Hands over to the settler a write of which something is, or may be, left in the cloud.
    fn left_open<W: Write>(
        self: &Arc<Self>,
        write: &W,
        error: Error,
        noted: Noted,
        held: Held,
    ) -> Error {
        let error = write.told(self.recorded(error));
        self.hand_over(Case::new(noted.entry, held, error.to_string()));
        error
    }

    /// Answers a write whose steps are all done except for removals.
    async fn done<W: Write>(
        self: &Arc<Self>,
        write: &W,
        left: W::Left,
        noted: Noted,
        held: Held,
    ) -> Result<W::Answer> {
        let _ = self.backend().record_result(Ok(()));
        let remain = noted.entry.leftover_names(self.name());
        let accepted = write.accept(self, left, !remain.is_empty()).await;
        let result = if accepted.is_ok() {
            "succeeded"
        } else {
            "failed"
        };
        self.count(noted.entry.action, result);
        match accepted {
            Ok(mut answer) => {
                answer.warnings().extend(remain.iter().map(|name| Warning {
                    field: String::new(),
                    message: format!("`{name}` is not removed yet; the gateway goes on with it"),
                }));
                let remains = !remain.is_empty();
                self.close(noted, held, kept(&answer), remains).await;
                Ok(answer)
            }
            Err(error) => {
                self.close(noted, held, None, false).await;
                Err(write.told(error))
            }
        }
    }

    /// Removes the record and keeps the answer in one store write. If removals remain, the record stays and the settler
    /// takes over.
    async fn close(
        self: &Arc<Self>,
        noted: Noted,
        held: Held,
        answer: Option<Value>,
        remains: bool,
    ) {
        let Noted { mut entry, kept } = noted;
        let mut changes = Vec::new();
        if remains {
            entry.answered = true;
            changes.push(self.ledger.record(&entry));
        } else if kept {
            changes.push(self.ledger.without(&entry));
        }
        if let (Some(claim), Some(answer)) = (&held.claim, answer) {
            changes.push(self.ledger.claims.answer(claim.print(), answer));
        }
        let kept = match changes.is_empty() {
            true => Ok(true),
            false => self.ledger.shelf().write(changes.clone()).await,
        };
        match kept {
            Ok(_) if !remains => {}
            Ok(_) => self.hand_over(Case::new(entry, held.after_answer(), String::new())),
            Err(error) => {
                tracing::error!(%error, "the end of a write cannot be kept yet");
                let case = Case::new(entry, held, error.to_string());
                self.hand_over(case.pending(changes, remains));
            }
        }
    }

    /// Retries the remaining removals for a short while if the obstacle may pass while the caller waits, such as an
    /// object that the cloud has not released yet or an outage.
    async fn go_on_removing(&self, entry: &mut Entry, call: &Call) {
        let mut end = Instant::now() + REMOVALS;
        if let Some(by) = call.answer_by.filter(|by| *by > Instant::now()) {
            end = end.min(margin::before(by));
        }
        let mut pause = FIRST_PAUSE;
        while Instant::now() + pause < end {
            sleep(pause).await;
            pause *= 2;
            match self.remove_rest(entry, call).await {
                Err(error) if may_pass(&error) => {}
                Ok(()) | Err(_) => return,
            }
        }
    }

    fn recorded(&self, error: Error) -> Error {
        match self.backend().record_result::<()>(Err(error.clone())) {
            Err(error) => error,
            Ok(()) => error,
        }
    }
}

/// Reports whether a refused removal may succeed a moment later.
fn may_pass(error: &Error) -> bool {
    error.reason == ErrorReason::InUse || error.is_outage()
}

/// Returns an answer as it is stored.
fn kept(answer: &impl Answer) -> Option<Value> {
    serde_json::to_value(answer).ok()
}
