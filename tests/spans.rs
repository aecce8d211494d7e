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
    collections::{BTreeMap, BTreeSet},
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
/// How many of the traces are kept.
const SAMPLE: &str = "SPANS_SAMPLE";
/// Whether the caller keeps its trace.
const KEPT_BY_CALLER: &str = "SPANS_KEPT_BY_CALLER";
/// What the line of the process's own output begins with that has its counts.
const COUNTED: &str = "counted: ";
const MESSAGES: usize = 20;

/// How many spans were made and closed, by target, and how often any was entered; what the gateway does by itself,
/// as polls, is counted apart.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    made: BTreeMap<String, usize>,
    closed: usize,
    entered: usize,
    own: usize,
    own_ids: BTreeSet<u64>,
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
        let is_own = attributes.is_root();
        let id = self.inner.new_span(attributes);
        let mut counts = self.counts.lock().unwrap();
        if is_own {
            counts.own += 1;
            counts.own_ids.insert(id.into_u64());
        } else {
            *counts.made.entry(library.to_owned()).or_default() += 1;
        }
        id
    }

    fn enter(&self, span: &Id) {
        let mut counts = self.counts.lock().unwrap();
        counts.entered += usize::from(!counts.own_ids.contains(&span.into_u64()));
        drop(counts);
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
        let number = id.into_u64();
        let closed = self.inner.try_close(id);
        let mut counts = self.counts.lock().unwrap();
        if closed && !counts.own_ids.remove(&number) {
            counts.closed += 1;
        }
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
        trace_sample: env::var(SAMPLE).ok().map(|share| share.parse().unwrap()),
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
    let mut request = tonic::Request::new(pb::WatchRealizationRequest {
        name: "backends/a/connections/1".to_owned(),
        ..pb::WatchRealizationRequest::default()
    });
    if env::var_os(KEPT_BY_CALLER).is_some() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let headers = request.metadata_mut();
        headers.insert("traceparent", parent.parse().unwrap());
    }
    let watch = running.realizations().watch_realization(request).await;
    let mut watching = Watching {
        stream: watch.unwrap().into_inner(),
    };
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
fn process(
    directives: Option<&str>,
    sample: Option<&str>,
    kept_by_caller: bool,
) -> (Found, String) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "one_process", "--ignored", "--nocapture"]);
    command.env_remove("RUST_LOG").env_remove(WITH_COLLECTOR);
    command.env_remove("OTEL_EXPORTER_OTLP_ENDPOINT");
    command.envs(directives.map(|directives| ("RUST_LOG", directives)));
    command.env_remove(SAMPLE).env_remove(KEPT_BY_CALLER);
    command.envs(kept_by_caller.then_some((KEPT_BY_CALLER, "yes")));
    if let Some(sample) = sample {
        command.envs([(WITH_COLLECTOR, "yes"), (SAMPLE, sample)]);
    }
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
fn a_caller_who_keeps_its_watch_has_no_poll_of_it_kept() {
    let (found, _) = process(None, Some("0.0"), true);
    assert_eq!(found.exported.len(), 1, "{found:?}");
    assert!(
        found.exported[0].ends_with("/WatchRealization"),
        "{found:?}"
    );
    assert_eq!(found.whole.own, 0, "{found:?}");
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
        // Nobody collects; all traces are kept; somebody collects, and none is kept.
        for sample in [None, Some("1.0"), Some("0.0")] {
            let (found, lines) = process(directives, sample, false);
            let kept = sample == Some("1.0");
            let ours = usize::from(kept);
            let calls = found.exported.iter().filter(|name| name.contains('/'));
            let level = match (sample.is_some(), level) {
                (true, "off") => "info",
                (_, level) => level,
            };
            let holds = [
                // A call site that two threads meet first at the same moment may let one through.
                ("no span for a message", found.sending.all() < MESSAGES),
                ("one for the call, if kept", found.whole.ours() == ours),
                ("the gateway's own, if kept", (found.whole.own > 0) == kept),
                ("exported", calls.count() == ours),
                ("level", found.level == level),
                // To be without spans is not to be without lines.
                ("lines of HTTP/2", lines.contains(" h2::") == http),
            ];
            let broken: Vec<_> = holds.iter().filter(|(_, holds)| !holds).collect();
            if !broken.is_empty() {
                wrong.push(format!(
                    "RUST_LOG={directives:?}, kept {sample:?}: {broken:?}: {found:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
