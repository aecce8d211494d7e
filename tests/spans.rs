//! Spans that nobody collects are not made, whatever is logged: HTTP/2 has spans for each frame, and to make, enter and
//! close them in the registry cost a third of all CPU.
//!
//! Which spans are made is settled once per process, for all its threads. So each line of the table is a process of
//! its own: this program again, with another `RUST_LOG`.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod support;

use isthmus::{
    core::{dialect::Dialect, gateway::Gateway},
    grpc::pb::{self, watch_realization_response::Event},
    model::{Assurance, RealizationState},
    telemetry,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    env,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use support::{
    collector::Collector,
    running::{Running, Watching},
    scripted::{Scripted, seen},
};
use tracing::{
    Event as Line, Metadata, Subscriber,
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

/// Whether the process has a collector.
const WITH_COLLECTOR: &str = "SPANS_WITH_COLLECTOR";
/// What the line of the process's own output begins with that has its counts.
const COUNTED: &str = "counted: ";
const MESSAGES: usize = 20;

/// How many spans were made and closed, by target, and how often any was entered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    made: BTreeMap<String, usize>,
    closed: usize,
    entered: usize,
}

impl Counts {
    /// Our own spans.
    fn ours(&self) -> usize {
        self.made.get("isthmus").copied().unwrap_or_default()
    }

    /// Spans made, and entries, by whomever.
    fn all(&self) -> usize {
        self.made.values().sum::<usize>() + self.entered
    }
}

/// What one process found.
#[derive(Debug, Serialize, Deserialize)]
struct Found {
    /// While messages were sent on a stream.
    sending: Counts,
    /// From the start to the end.
    whole: Counts,
    /// The names of the spans that a collector got.
    exported: Vec<String>,
    /// The level above which nothing costs more than a comparison.
    level: String,
}

/// The subscriber of the program, and a count of the spans that it makes.
struct Counting<S> {
    inner: S,
    counts: Arc<Mutex<Counts>>,
}

impl<S: Subscriber> Subscriber for Counting<S> {
    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let target = attributes.metadata().target();
        let library = target.split("::").next().unwrap_or_default();
        let mut counts = self.counts.lock().unwrap();
        *counts.made.entry(library.to_owned()).or_default() += 1;
        self.inner.new_span(attributes)
    }

    fn enter(&self, span: &Id) {
        self.counts.lock().unwrap().entered += 1;
        self.inner.enter(span);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.inner.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.inner.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.inner.max_level_hint()
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.inner.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.inner.record_follows_from(span, follows);
    }

    fn event_enabled(&self, event: &Line<'_>) -> bool {
        self.inner.event_enabled(event)
    }

    fn event(&self, event: &Line<'_>) {
        self.inner.event(event);
    }

    fn exit(&self, span: &Id) {
        self.inner.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.inner.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        let closed = self.inner.try_close(id);
        self.counts.lock().unwrap().closed += usize::from(closed);
        closed
    }
}

/// Reads until the connection is said to be as `native` says.
async fn read_until(watching: &mut Watching, native: &str) {
    loop {
        let message = watching.next().await.unwrap().expect("the stream goes on");
        if let Some(Event::Snapshot(now) | Event::Change(now)) = message.event
            && now.native_state == native
        {
            return;
        }
    }
}

/// One process of the table: a stream with some messages over real HTTP/2, and at its end a line of counts.
#[ignore = "started by `nothing_is_spent_on_spans_that_nobody_collects`, once for each line of its table"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process() {
    let counts = Arc::new(Mutex::new(Counts::default()));
    let collector = env::var_os(WITH_COLLECTOR).map(|_| Collector::default());
    let settings = telemetry::Settings {
        otlp_endpoint: collector
            .as_ref()
            .map(|collector| format!("http://{}", collector.serve())),
        ..telemetry::Settings::default()
    };
    let (inner, telemetry) = telemetry::subscriber(&settings).unwrap();
    let counting = Counting {
        inner,
        counts: Arc::clone(&counts),
    };
    tracing::subscriber::set_global_default(counting).unwrap();
    let so_far = || counts.lock().unwrap().clone();

    let cloud = Scripted::new();
    let say = |native: &str| {
        let state = RealizationState::InProgress;
        cloud.say("1", seen(state, Assurance::IntentStored, native));
    };
    say("first");
    let mut settings = Scripted::settings("a");
    settings.poll.fresh = Duration::from_millis(5);
    settings.poll.stable = Duration::from_millis(5);
    let dialect: Arc<dyn Dialect> = Arc::clone(&cloud) as Arc<dyn Dialect>;
    let gateway = Gateway::start(vec![(settings, dialect)], Duration::from_secs(3600));
    let mut running = Running::serve(gateway).await;
    let mut watching = running
        .watch("backends/a/connections/1", pb::Goal::Unspecified, "")
        .await
        .unwrap();
    read_until(&mut watching, "first").await;

    let before = so_far();
    for number in 0..MESSAGES {
        say(&number.to_string());
        read_until(&mut watching, &number.to_string()).await;
    }
    let mut sending = so_far();
    sending.entered -= before.entered;
    sending.closed -= before.closed;
    sending.made.retain(|library, made| {
        *made -= before.made.get(library).unwrap_or(&0);
        *made > 0
    });

    drop(watching);
    running.drain().await;
    // The call's span ends with its stream, which the server hears of from its client.
    let deadline = Instant::now() + Duration::from_secs(20);
    while so_far().closed < so_far().ours() {
        assert!(Instant::now() < deadline, "the call's span does not end");
        tokio::task::yield_now().await;
    }
    // Sends the last spans, which is HTTP/2 as well.
    tokio::task::spawn_blocking(move || drop(telemetry))
        .await
        .unwrap();
    let spans = collector.map_or(Vec::new(), |collector| collector.spans());
    let found = Found {
        sending,
        whole: so_far(),
        exported: spans.into_iter().map(|span| span.name).collect(),
        level: LevelFilter::current().to_string(),
    };
    println!("{COUNTED}{}", serde_json::to_string(&found).unwrap());
}

/// What a process found, and the lines it logged.
fn process(directives: Option<&str>, collector: bool) -> (Found, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "one_process", "--ignored", "--nocapture"]);
    command.env_remove("RUST_LOG").env_remove(WITH_COLLECTOR);
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    command.envs(directives.map(|directives| ("RUST_LOG", directives)));
    command.envs(collector.then_some((WITH_COLLECTOR, "yes")));
    let output = command.output().unwrap();
    let (said, lines) = (
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    );
    let counted = said.lines().find_map(|line| line.split_once(COUNTED));
    let (_, counted) = counted.unwrap_or_else(|| panic!("{said}{lines}"));
    (serde_json::from_str(counted).unwrap(), lines)
}

#[test]
fn nothing_is_spent_on_spans_that_nobody_collects() {
    // What is logged; the most that costs more than a comparison; whether lines of HTTP/2 are asked for.
    let table = [
        (None, "info", false),
        (Some("off"), "off", false),
        (Some("debug"), "debug", true),
        (Some("trace"), "trace", true),
        (Some("isthmus=debug,h2=info"), "debug", false),
        (Some("isthmus=trace"), "trace", false),
        (Some("info,h2=trace"), "trace", true),
    ];
    let mut wrong = Vec::new();
    for (directives, level, http) in table {
        for collector in [false, true] {
            let (found, lines) = process(directives, collector);
            let ours = usize::from(collector);
            let level = match (collector, level) {
                (true, "off") => "info",
                (_, level) => level,
            };
            let kept = [
                // A call site that two threads meet first at the same moment may let one through.
                ("no span for a message", found.sending.all() < MESSAGES),
                ("one for the call, if collected", found.whole.ours() == ours),
                ("exported", found.exported.len() == ours),
                ("level", found.level == level),
                // To be without spans is not to be without lines.
                ("lines of HTTP/2", lines.contains(" h2::") == http),
            ];
            let broken: Vec<_> = kept.iter().filter(|(_, holds)| !holds).collect();
            if !broken.is_empty() {
                wrong.push(format!(
                    "RUST_LOG={directives:?}, collector {collector}: {broken:?}: {found:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
