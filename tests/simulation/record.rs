//! What is written down of a run: what every client saw, what travelled to the clouds, and what was true there.
//!
//! The checker reads this and nothing else. Every entry is also a line of the log, in the order in which things
//! happened; the same seed writes the same lines.

mod attempts;
mod beside;
mod exchange;

pub use attempts::{Attempt, Gone, NotEnded};
pub use beside::{Called, Greed, Junk, Sample};
pub use exchange::{Exchange, Seen};

use crate::clouds::Object;
use http::Method;
use isthmus::{core::watch::token::ResumeToken, grpc::pb};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tonic::Status;
use tonic_types::StatusExt;

/// When simulations begin, by the wall clock.
pub const BEGIN: Duration = Duration::from_secs(1_800_000_000);

/// How long the simulation runs already.
pub fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

/// The wall clock of the simulation.
pub fn wall() -> SystemTime {
    UNIX_EPOCH + BEGIN + now()
}

/// Shared by everybody in a simulation.
#[derive(Debug, Clone, Default)]
pub struct Record(Arc<Mutex<History>>);

/// Everything that was written down.
#[derive(Debug, Default)]
pub struct History {
    /// The lines of the log.
    pub lines: Vec<(Duration, String)>,
    /// Watches, in the order in which they were opened.
    pub streams: Vec<Stream>,
    /// Writes that clients asked for.
    pub writes: Vec<Write>,
    /// Requests to clouds, in the order in which they began.
    pub exchanges: Vec<Seen>,
    /// What became true in the clouds.
    pub facts: Vec<Fact>,
    /// What was made to go wrong.
    pub troubles: Vec<Trouble>,
    /// When readers who never pause were at work.
    pub greed: Vec<Greed>,
    /// Calls of somebody who asks a little now and then.
    pub calls: Vec<Called>,
    /// What the gateway said of itself, beside what was true.
    pub samples: Vec<Sample>,
    /// What became of names that no cloud knows.
    pub junk: Vec<Junk>,
    /// Calls of writes that have an id.
    pub attempts: Vec<Attempt>,
    /// What was proven to be gone.
    pub gone: Vec<Gone>,
    /// How many connections of each name there were at the same time, at most.
    pub most_at_once: BTreeMap<String, usize>,
    /// What the gateway said at the end of writes that did not end with their calls.
    pub not_ended: Vec<NotEnded>,
    /// What somebody else called as the writers call what they make.
    pub lookalikes: Vec<String>,
    /// What the clouds had in the end.
    pub estate: Vec<Object>,
    /// When the run ended.
    pub end: Duration,
}

/// Somebody who watches, on one stream after the other: the host, and a number on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Watcher(pub usize, pub usize);

impl std::fmt::Display for Watcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "watcher {}.{}", self.0, self.1)
    }
}

/// What a watch was opened with.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The connection, or the parent.
    pub name: String,
    /// It is a watch over many.
    pub many: bool,
    /// What is waited for.
    pub goal: pb::Goal,
    /// Which of [`History::writes`] it is bound to.
    pub write: Option<usize>,
    /// The token it goes on from; empty for none.
    pub resume: String,
    /// Begin anew if that is not remembered.
    pub snapshot_if_compacted: bool,
    /// It asks for tunnels.
    pub tunnel: bool,
    /// It pauses between messages.
    pub slow: bool,
    /// The longest that the call may last.
    pub deadline: Option<Duration>,
}

impl Asked {
    /// Whether it ends by itself.
    pub fn ends(&self) -> bool {
        !self.many && (self.goal != pb::Goal::Unspecified || self.write.is_some())
    }
}

/// One watch, from its request to its end.
#[derive(Debug)]
pub struct Stream {
    /// Which client host.
    pub client: usize,
    /// Which watcher: those that follow on each other have the same.
    pub watcher: Watcher,
    /// What it was opened with.
    pub asked: Asked,
    /// When.
    pub opened: Duration,
    /// What came.
    pub messages: Vec<Message>,
    /// How it ended; not at all if the run ended first.
    pub end: Option<(Duration, End)>,
}

/// One message of a watch.
#[derive(Debug, Clone)]
pub struct Message {
    /// When it was read.
    pub at: Duration,
    /// What it told of; one for a watch of one connection.
    pub events: Vec<Event>,
    /// The outcome.
    pub outcome: Option<pb::Outcome>,
    /// The list is complete.
    pub synced: bool,
    /// Where to go on.
    pub token: String,
    /// Backends that could not be listed.
    pub unreachable: Vec<String>,
}

/// Something about one connection.
#[derive(Debug, Clone)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// How many changes were left out before it.
    pub coalesced: u64,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Kind {
    Snapshot(pb::Realization),
    Change(pb::Realization),
    Heartbeat(pb::Heartbeat),
    Nothing,
}

impl Kind {
    /// Where the connection stands, if it tells.
    pub fn realization(&self) -> Option<&pb::Realization> {
        match self {
            Kind::Snapshot(realization) | Kind::Change(realization) => Some(realization),
            Kind::Heartbeat(_) | Kind::Nothing => None,
        }
    }
}

/// How a watch ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With OK.
    Ok,
    /// With a status that somebody at the other end wrote.
    Told { code: tonic::Code, reason: String },
    /// The connection broke; what the status says is our own.
    Broken,
    /// We went away.
    Left,
}

/// A write, as its client knows it.
#[derive(Debug, Clone)]
pub struct Write {
    /// The connection.
    pub name: String,
    /// POST, PUT or DELETE.
    pub method: Method,
    /// When it was asked for.
    pub asked: Duration,
    /// When it was answered.
    pub answered: Duration,
}

/// What became true in a cloud.
#[derive(Debug, Clone)]
pub struct Fact {
    pub at: Duration,
    pub backend: &'static str,
    pub id: String,
    pub what: What,
}

/// Of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Everything written so far is in place, a deletion too.
    Applied,
    /// The cloud says that it failed.
    Fails,
    /// It no longer does.
    Heals,
    TunnelUp,
    TunnelDown,
    /// Somebody else removed it.
    Vanished,
    /// Somebody else made it.
    Made,
}

/// Something that was made to go wrong, for a while.
#[derive(Debug, Clone)]
pub struct Trouble {
    pub from: Duration,
    pub to: Duration,
    pub kind: TroubleKind,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TroubleKind {
    /// Between the gateway and a client.
    Client(usize),
    /// Between the gateway and a cloud, or in the cloud.
    Upstream(&'static str),
    /// A cloud does not answer how far its connections are; it answers everything else.
    Polls(&'static str),
    /// A cloud does not answer about this one connection.
    One(&'static str, String),
    /// A cloud asks for patience now and then, by which everything that is asked of it slows down.
    Throttled(&'static str),
    /// The gateway is not there.
    Gateway,
}

impl Record {
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.0.lock().unwrap()
    }

    /// Everything, once the run is over.
    pub fn into_history(self) -> History {
        std::mem::take(&mut *self.history())
    }

    /// Adds a line to the log.
    pub fn line(&self, text: impl AsRef<str>) {
        self.history().line(now(), text.as_ref());
    }

    pub fn fact(&self, backend: &'static str, id: &str, what: What) {
        let mut history = self.history();
        history.line(now(), &format!("{backend} {} {what:?}", short(id)));
        history.facts.push(Fact {
            at: now(),
            backend,
            id: id.to_owned(),
            what,
        });
    }

    pub fn wrote(&self, write: Write) -> usize {
        let mut history = self.history();
        let text = format!("wrote {} {}", write.method, short(&write.name));
        history.line(now(), &text);
        history.writes.push(write);
        history.writes.len() - 1
    }

    pub fn opened(&self, client: usize, watcher: Watcher, asked: Asked) -> usize {
        let mut history = self.history();
        let number = history.streams.len();
        let bound = asked
            .write
            .map(|write| history.writes[write].method.clone());
        let text = format!(
            "{watcher} opens {} {:?} bound to {bound:?} from {}{}",
            short(&asked.name),
            asked.goal,
            position(&asked.resume),
            if asked.tunnel { " with tunnels" } else { "" },
        );
        history.line(now(), &text);
        history.streams.push(Stream {
            client,
            watcher,
            asked,
            opened: now(),
            messages: Vec::new(),
            end: None,
        });
        number
    }

    pub fn message(&self, stream: usize, message: Message) {
        let mut history = self.history();
        let mut text = history.streams[stream].watcher.to_string();
        for event in &message.events {
            let _ = write!(text, " {}", told(&event.kind));
            if event.coalesced > 0 {
                let _ = write!(text, " coalesced={}", event.coalesced);
            }
        }
        if let Some(outcome) = &message.outcome {
            let reason = outcome.reason.as_ref().map_or("", |reason| &reason.code);
            let _ = write!(text, " OUTCOME {:?} {reason}", outcome.result());
        }
        if message.synced {
            text.push_str(" synced");
        }
        let _ = write!(text, " at {}", position(&message.token));
        history.line(now(), &text);
        history.streams[stream].messages.push(message);
    }

    pub fn ended(&self, stream: usize, end: End) {
        let mut history = self.history();
        let text = format!("{} ends: {end:?}", history.streams[stream].watcher);
        history.line(now(), &text);
        history.streams[stream].end = Some((now(), end));
    }
}

impl History {
    pub fn line(&mut self, at: Duration, text: &str) {
        self.lines.push((at, text.to_owned()));
    }

    /// The log. What happened at the same instant is sorted: tokio wakes those who wait for the same change in an
    /// order of its own, which no seed decides, and which nothing but the order of these lines follows from.
    pub fn log(&self) -> String {
        let mut lines: Vec<&(Duration, String)> = self.lines.iter().collect();
        lines.sort();
        let mut log = String::new();
        for (at, text) in lines {
            let micros = at.as_micros();
            let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
            let _ = writeln!(log, "{seconds:6}.{micros:06} {text}");
        }
        log
    }
}

/// The message of a watch of one connection.
pub fn of_one(message: pb::WatchRealizationResponse) -> Message {
    use pb::watch_realization_response::Event as E;
    let kind = match message.event {
        Some(E::Snapshot(realization)) => Kind::Snapshot(realization),
        Some(E::Change(realization)) => Kind::Change(realization),
        Some(E::Heartbeat(heartbeat)) => Kind::Heartbeat(heartbeat),
        None => Kind::Nothing,
    };
    Message {
        at: now(),
        events: vec![Event {
            kind,
            coalesced: message.coalesced,
        }],
        outcome: message.outcome,
        synced: false,
        token: message.resume_token,
        unreachable: Vec::new(),
    }
}

/// The message of a watch over many.
pub fn of_many(message: pb::WatchRealizationsResponse) -> Message {
    use pb::watch_realizations_response::event::Event as E;
    let events = message.events.into_iter().map(|event| Event {
        kind: match event.event {
            Some(E::Snapshot(realization)) => Kind::Snapshot(realization),
            Some(E::Change(realization)) => Kind::Change(realization),
            Some(E::Heartbeat(heartbeat)) => Kind::Heartbeat(heartbeat),
            None => Kind::Nothing,
        },
        coalesced: event.coalesced,
    });
    Message {
        at: now(),
        events: events.collect(),
        outcome: None,
        synced: message.synced,
        token: message.resume_token,
        unreachable: message.unreachable,
    }
}

/// How a stream ended that ended with this.
pub fn end(status: &Status) -> End {
    match status.get_details_error_info() {
        Some(info) => End::Told {
            code: status.code(),
            reason: format!("{}/{}", info.domain, info.reason),
        },
        // tonic makes a status of its own when the connection breaks under a call, and only then has a cause.
        None if std::error::Error::source(status).is_some() => End::Broken,
        None => End::Told {
            code: status.code(),
            reason: String::new(),
        },
    }
}

/// A position as (epoch, sequence); none for no token.
pub fn decoded(token: &str, scope: &str) -> Option<(u64, u64)> {
    let token = ResumeToken::decode(token, scope).ok()?;
    Some((token.epoch, token.revision))
}

fn position(token: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let json = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    let value: Value = serde_json::from_slice(&json).unwrap_or_default();
    match (value["e"].as_u64(), value["s"].as_u64()) {
        (Some(epoch), Some(sequence)) => format!("{epoch}/{sequence}"),
        _ => "-".to_owned(),
    }
}

/// Since the simulation began.
pub fn since_begin(time: &prost_types::Timestamp) -> Duration {
    let seconds = u64::try_from(time.seconds).unwrap_or_default();
    let nanos = u32::try_from(time.nanos).unwrap_or_default();
    Duration::new(seconds, nanos).saturating_sub(BEGIN)
}

fn told(kind: &Kind) -> String {
    let of = |realization: &pb::Realization| {
        let time = realization.observe_time.as_ref().map(since_begin);
        let reason = realization.reason.as_ref().map_or("", |it| &it.code);
        format!(
            "{} {}/{} {}/{} {reason} `{}` {:?} seen {time:?} {:?}{}{}",
            short(&realization.name),
            realization.epoch,
            realization.sequence,
            realization.state().as_str_name(),
            realization.assurance().as_str_name(),
            realization.native_state,
            realization.intent(),
            realization.upstream_request_ids,
            realization
                .tunnel
                .as_ref()
                .map_or(String::new(), |it| format!(
                    " {}",
                    it.status().as_str_name()
                )),
            if realization.stale { " stale" } else { "" },
        )
    };
    match kind {
        Kind::Snapshot(realization) => format!("SNAPSHOT {}", of(realization)),
        Kind::Change(realization) => format!("CHANGE {}", of(realization)),
        Kind::Heartbeat(heartbeat) => format!(
            "HEARTBEAT success {:?} next {:?} stale={} interval {:?} {}",
            heartbeat.last_success_time.as_ref().map(since_begin),
            heartbeat.next_look_time.as_ref().map(since_begin),
            heartbeat.stale,
            heartbeat.interval.map(|it| (it.seconds, it.nanos)),
            heartbeat.last_error,
        ),
        Kind::Nothing => "NOTHING".to_owned(),
    }
}

/// The last part of a name, for the log.
pub fn short(name: &str) -> &str {
    name.strip_prefix("backends/").unwrap_or(name)
}
