//! What can be wrong with a stream, done to its messages on their way from the gateway to a client.

use crate::{
    bugs::Bug,
    record::{Asked, End, Event, Kind, Message},
    writers::Written,
};
use isthmus::grpc::pb;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tonic::Status;

/// What stands between the gateway and one client. Without a bug, nothing.
#[derive(Clone)]
pub struct Tamper {
    bug: Option<Bug>,
    client: usize,
    memory: Arc<Mutex<Memory>>,
}

/// What is remembered from one stream to the next.
#[derive(Default)]
struct Memory {
    /// What was said first of each connection.
    first: BTreeMap<String, pb::Realization>,
    /// Tokens of each scope, oldest first.
    tokens: BTreeMap<String, Vec<String>>,
    /// How many writes were answered.
    answers: u8,
}

/// What becomes of a request.
pub struct Opened {
    /// What is asked in its place.
    pub asked: Asked,
    /// The answer, if it is not even asked.
    pub refused: Option<End>,
}

impl Tamper {
    pub fn new(bug: Option<Bug>, client: usize) -> Tamper {
        Tamper {
            bug,
            client,
            memory: Arc::default(),
        }
    }

    /// A watch is opened.
    pub fn open(&self, asked: &Asked) -> Opened {
        let mut opened = Opened {
            asked: asked.clone(),
            refused: None,
        };
        let resumes = !asked.resume.is_empty();
        match self.bug {
            Some(Bug::ResumeTooEarly) if resumes && !asked.slow => {
                let memory = self.memory();
                let tokens = memory.tokens.get(&asked.name);
                if let Some(token) = tokens.and_then(|tokens| tokens.iter().rev().nth(2)) {
                    opened.asked.resume = token.clone();
                }
            }
            Some(Bug::ResumeIgnored) if resumes => opened.asked.resume.clear(),
            Some(Bug::ResumeRefused) if resumes => {
                opened.refused = Some(End::Told {
                    code: tonic::Code::OutOfRange,
                    reason: "isthmus/COMPACTED".to_owned(),
                });
            }
            _ => {}
        }
        opened
    }

    /// The answer to a write.
    pub fn write(&self, answer: Result<Written, Status>) -> Result<Written, Status> {
        let mut answer = answer?;
        if self.bug == Some(Bug::RepeatsAreAnsweredAnew) {
            let mut memory = self.memory();
            memory.answers += 1;
            answer.1.push(memory.answers);
        }
        Ok(answer)
    }

    /// What stands in the way of the stream that follows.
    pub fn stream(&self, asked: &Asked) -> Tampered {
        Tampered {
            tamper: self.clone(),
            asked: asked.clone(),
            count: 0,
            changes: 0,
            heartbeat: None,
            kept: None,
            token: String::new(),
            left_out: 0,
            known: BTreeSet::new(),
            over: None,
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }
}

/// What stands in the way of one stream.
pub struct Tampered {
    tamper: Tamper,
    asked: Asked,
    count: usize,
    changes: usize,
    heartbeat: Option<pb::Heartbeat>,
    kept: Option<Message>,
    token: String,
    left_out: u64,
    /// The names that snapshots told of.
    known: BTreeSet<String>,
    over: Option<End>,
}

impl Tampered {
    /// What becomes of a message: what comes in its place.
    pub fn message(&mut self, mut message: Message) -> Vec<Message> {
        let Some(bug) = self.tamper.bug else {
            return vec![message];
        };
        self.count += 1;
        let change = matches!(
            message.events.first(),
            Some(Event {
                kind: Kind::Change(_),
                ..
            })
        );
        self.changes += usize::from(change);
        let (ends, many) = (message.outcome.is_some(), self.asked.many);
        // The other client sees how it really was.
        let here = self.tamper.client == 1;
        self.remember(&message);
        let before = std::mem::replace(&mut self.token, message.token.clone());
        let calm = change && !ends && here;
        match bug {
            Bug::SnapshotMissing if self.count == 1 && !many && !ends => return Vec::new(),
            Bug::SnapshotAgain if change && !ends => {
                if let Kind::Change(realization) = message.events[0].kind.clone() {
                    message.events[0].kind = Kind::Snapshot(realization);
                }
            }
            Bug::SnapshotOld => self.old_snapshots(&mut message),
            Bug::ListIncomplete if many && self.count == 1 => drop(message.events.pop()),
            Bug::ListUnfinished if many && self.count == 1 => {
                if let Some(event) = message.events.first_mut()
                    && let Kind::Snapshot(realization) = event.kind.clone()
                {
                    event.kind = Kind::Change(realization);
                }
            }
            Bug::ChangeTwice if calm => return vec![message.clone(), message],
            Bug::ChangesReordered if calm && !many => match self.kept.take() {
                None => {
                    self.kept = Some(message);
                    return Vec::new();
                }
                Some(kept) => return vec![message, kept],
            },
            Bug::EpochGoesBack if change && self.changes == 2 => {
                each(&mut message, |it| it.epoch -= 1);
            }
            Bug::ObserveTimeGoesBack if change && self.changes == 2 => {
                each(&mut message, |it| {
                    if let Some(time) = &mut it.observe_time {
                        time.seconds -= 60;
                    }
                });
            }
            Bug::TwoTruths if calm => each(&mut message, |it| it.native_state.push('?')),
            Bug::ChangeLost if calm && self.changes == 2 => return Vec::new(),
            Bug::LeftOutUncounted => message.events.iter_mut().for_each(|it| it.coalesced = 0),
            Bug::LeftOutOvercounted => {
                let counted = message.events.iter_mut().filter(|it| it.coalesced > 0);
                counted.for_each(|it| it.coalesced += 1);
            }
            Bug::FailureLeftOut if calm && !many => {
                let failed = message.events[0].kind.realization();
                if failed.is_some_and(|it| it.state() == pb::RealizationState::Failed) {
                    self.left_out += 1;
                    return Vec::new();
                }
                message.events[0].coalesced += std::mem::take(&mut self.left_out);
            }
            Bug::OutcomeMissing if ends => {
                message.outcome = None;
                self.over = Some(End::Left);
                return vec![message];
            }
            Bug::OutcomeTwice if ends => return vec![message.clone(), message],
            Bug::OutcomeNotLast if ends => {
                let mut after = message.clone();
                after.outcome = None;
                after.events[0].kind = Kind::Heartbeat(pb::Heartbeat::default());
                return vec![message, after];
            }
            Bug::OutcomeInverted => {
                if let Some(outcome) = &mut message.outcome {
                    outcome.result = match outcome.result() {
                        pb::outcome::Result::Succeeded => pb::outcome::Result::Failed.into(),
                        _ => pb::outcome::Result::Succeeded.into(),
                    };
                }
            }
            Bug::OutcomeTooEarly if change && !ends && self.asked.ends() => {
                message.outcome = Some(succeeded());
                self.over = Some(End::Ok);
            }
            Bug::OutcomeBare if ends => each(&mut message, |it| {
                it.native_state.clear();
                it.observe_time = None;
            }),
            Bug::PollBeforeWrite if ends => each(&mut message, |it| {
                if let Some(time) = &mut it.observe_time {
                    time.seconds -= 15;
                }
            }),
            Bug::TokenGoesBack if self.count > 3 => {
                let memory = self.tamper.memory();
                let first = memory
                    .tokens
                    .get(&self.asked.name)
                    .and_then(|it| it.first());
                message.token = first.cloned().unwrap_or_default();
            }
            Bug::TokenTooEarly if change => message.token = before,
            Bug::ResumeTooLate if calm && !self.asked.resume.is_empty() && self.changes == 1 => {
                return Vec::new();
            }
            Bug::HeartbeatsCease if heartbeat(&mut message).is_some() => return Vec::new(),
            Bug::HeartbeatFrozen => {
                if let Some(now) = heartbeat(&mut message) {
                    *now = self.heartbeat.get_or_insert_with(|| now.clone()).clone();
                }
            }
            Bug::HeartbeatNeverStale => {
                if let Some(now) = heartbeat(&mut message) {
                    now.stale = false;
                }
            }
            Bug::HeartbeatAlwaysStale => {
                if let Some(now) = heartbeat(&mut message) {
                    now.stale = true;
                }
            }
            Bug::NewcomersAreLeftOut if many => {
                let known = &mut self.known;
                for event in &message.events {
                    if let Kind::Snapshot(it) = &event.kind {
                        known.insert(it.name.clone());
                    }
                }
                message.events.retain(|event| {
                    let told = event.kind.realization();
                    told.is_none_or(|it| known.contains(&it.name))
                });
            }
            Bug::TunnelsAreLeftOut if many => each(&mut message, |it| it.tunnel = None),
            Bug::EndOutOfNothing if here && self.count == 4 => self.over = Some(End::Broken),
            Bug::TokenMissing if self.count == 3 => message.token.clear(),
            _ => {}
        }
        vec![message]
    }

    /// How long a message waits before it is told.
    pub fn wait(&self, message: &Message) -> Duration {
        let change = matches!(
            message.events.first(),
            Some(Event {
                kind: Kind::Change(_),
                ..
            })
        );
        match self.tamper.bug {
            Some(Bug::ChangesHeldBack) if change && !self.asked.slow => Duration::from_secs(3),
            // The restless connection is what slow readers read.
            Some(Bug::SlowReaderStallsOthers) if change && !self.asked.slow && !self.asked.many => {
                Duration::from_secs(2)
            }
            _ => Duration::ZERO,
        }
    }

    /// What becomes of the end, and what comes before it.
    pub fn end(&mut self, end: End) -> (Vec<Message>, End) {
        let drained = matches!(&end, End::Told { reason, .. } if reason == "isthmus/DRAINING");
        match self.tamper.bug {
            Some(Bug::EndWithoutReason) => match end {
                End::Told { code, .. } => {
                    let reason = String::new();
                    (Vec::new(), End::Told { code, reason })
                }
                end => (Vec::new(), end),
            },
            Some(Bug::EndWithOk) if drained => (Vec::new(), End::Ok),
            Some(Bug::OutageIsOutcome) if end != End::Ok && self.asked.ends() => {
                let outcome = pb::Outcome {
                    result: pb::outcome::Result::Failed.into(),
                    reason: Some(pb::Reason {
                        code: "UPSTREAM_ERROR".to_owned(),
                        message: String::new(),
                    }),
                };
                let message = Message {
                    at: Duration::ZERO,
                    events: vec![Event {
                        kind: Kind::Heartbeat(pb::Heartbeat::default()),
                        coalesced: 0,
                    }],
                    outcome: Some(outcome),
                    synced: false,
                    token: self.token.clone(),
                    unreachable: Vec::new(),
                };
                (vec![message], End::Ok)
            }
            _ => (Vec::new(), end),
        }
    }

    /// The end, if the stream is made to end here.
    pub fn over(&mut self) -> Option<End> {
        self.over.take()
    }

    fn remember(&self, message: &Message) {
        let mut memory = self.tamper.memory();
        if !message.token.is_empty() {
            let tokens = memory.tokens.entry(self.asked.name.clone()).or_default();
            if tokens.last() != Some(&message.token) {
                tokens.push(message.token.clone());
            }
        }
        for event in &message.events {
            if let Some(it) = event.kind.realization() {
                let first = memory.first.entry(it.name.clone());
                first.or_insert_with(|| it.clone());
            }
        }
    }

    fn old_snapshots(&self, message: &mut Message) {
        let memory = self.tamper.memory();
        for event in &mut message.events {
            if let Kind::Snapshot(now) = &mut event.kind
                && let Some(first) = memory.first.get(&now.name)
            {
                *now = first.clone();
            }
        }
    }
}

fn each(message: &mut Message, change: impl Fn(&mut pb::Realization)) {
    for event in &mut message.events {
        if let Kind::Snapshot(it) | Kind::Change(it) = &mut event.kind {
            change(it);
        }
    }
}

fn heartbeat(message: &mut Message) -> Option<&mut pb::Heartbeat> {
    match &mut message.events.first_mut()?.kind {
        Kind::Heartbeat(heartbeat) => Some(heartbeat),
        _ => None,
    }
}

fn succeeded() -> pb::Outcome {
    pb::Outcome {
        result: pb::outcome::Result::Succeeded.into(),
        reason: None,
    }
}
