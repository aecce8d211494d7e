//! The configuration file, read into typed settings before anything starts.
//!
//! Everything that is wrong is told at once, each with its line and what would be accepted. A problem never
//! repeats a secret. `deploy/isthmus.example.toml` documents every key and is read by a test below.

mod backend;
mod problem;
mod section;
mod surroundings;
#[cfg(test)]
mod tests;

pub use backend::DEFAULT_TIMEOUT;
pub use problem::{Position, Problem, Problems};
pub use surroundings::{MAX_SECRET_FILE, Process, Surroundings};

use crate::{
    address::is_loopback,
    config::{
        backend::Around,
        section::{Section, Source, quoted},
    },
    core::{error::Violation, settings::BackendSettings},
};
use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};
use toml::de::{DeTable, DeValue};

/// Everything the file says.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[watch]`
    pub watch: WatchConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// `[[backends]]`, at least one, in the order of the file; no two have the same name.
    pub backends: Vec<BackendSettings>,
    /// What works and is dangerous, in the order of the file, and what would be better.
    pub warnings: Vec<Problem>,
}

/// The listener and its limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// Where to listen. Default `127.0.0.1:50051`.
    pub listen: SocketAddr,
    /// Listen on addresses that others can reach, too. Default no.
    pub allow_non_loopback: bool,
    /// The most client connections at one time. Default 10,000.
    pub max_connections: u32,
    /// The most of them from one address. Default half of `max_connections`.
    pub max_connections_per_address: u32,
    /// The most connections beside them whose client has not yet said its HTTP/2 preface. Default 1,000.
    pub max_opening: u32,
    /// The most calls and streams at one time on all client connections. Default 100,000.
    pub max_calls: u32,
    /// The most calls and streams at one time on one client connection. Default 1,000.
    pub max_streams: u32,
    /// The most calls at one time whose request has not arrived in full. Default 10,000.
    pub max_unfinished: u32,
    /// The most MiB of messages on their way at one time. Default 256.
    pub max_buffered_mib: u32,
    /// The most of them on one client connection. Default 32, or all there are.
    pub max_buffered_mib_per_connection: u32,
    /// How long a client may take for its HTTP/2 preface. Default 10 s.
    pub preface_timeout: Duration,
    /// How long a message of a request, or its end, may take to arrive. Default 30 s.
    pub request_timeout: Duration,
    /// How long a client may take nothing of an answer. Default twice `stall` and `heartbeat` of `[watch]`.
    pub answer_timeout: Duration,
    /// How long calls under way may take to end after the signal to stop. Default 10 s.
    pub drain: Duration,
}

impl Default for ServerConfig {
    fn default() -> Self {
        ServerConfig {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 50051)),
            allow_non_loopback: false,
            max_connections: 10_000,
            max_connections_per_address: 5_000,
            max_opening: 1_000,
            max_calls: 100_000,
            max_streams: 1_000,
            max_unfinished: 10_000,
            max_buffered_mib: 256,
            max_buffered_mib_per_connection: 32,
            preface_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            answer_timeout: Duration::from_secs(150),
            drain: Duration::from_secs(10),
        }
    }
}

/// What all watches share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WatchConfig {
    /// The longest silence on a stream. Default 15 s.
    pub heartbeat: Duration,
    /// A stream that its client does not read for longer than this and a heartbeat is ended. Default 60 s.
    pub stall: Duration,
}

impl Default for WatchConfig {
    fn default() -> Self {
        WatchConfig {
            heartbeat: Duration::from_secs(15),
            stall: Duration::from_secs(60),
        }
    }
}

impl WatchConfig {
    /// How long a watch may go unread before it is ended.
    fn longest_unread(&self) -> Duration {
        self.stall + self.heartbeat
    }
}

/// Where the observation log is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreConfig {
    /// The file, made if it is not there. `None`: in memory, so that positions and write tokens end with the process.
    pub path: Option<PathBuf>,
}

/// What the gateway tells about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TelemetryConfig {
    /// Where traces are sent, as OTLP over gRPC. `None`: nowhere.
    pub otlp_endpoint: Option<String>,
    /// How log lines are written. Which are written is said by the variable `RUST_LOG`.
    pub log: LogFormat,
}

/// How log lines are written, always to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Says what a dialect finds wrong with the settings of a backend, by key: `url`, `auth.username`.
pub type Check<'a> = dyn FnMut(&BackendSettings) -> Vec<Violation> + 'a;

impl Config {
    /// Reads the file at `path`; see [`Config::parse`]. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn load(
        path: &Path,
        surroundings: &dyn Surroundings,
        check: &mut Check<'_>,
    ) -> Result<Config, Problems> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot be read: {error}");
            let position = None;
            Problems::new(&file, vec![Problem { position, message }])
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (mut config, holds_secrets) = read(&text, &file, folder, surroundings, check)?;
        let others = surroundings.others(path);
        let mut warn = |message: &str| {
            let warning = Problem {
                position: None,
                message: message.to_owned(),
            };
            config.warnings.insert(0, warning);
        };
        if others.read && holds_secrets {
            warn(
                "every user of this machine can read this file, and it holds secrets: `chmod o-r` it, or keep them in \
                 files of their own",
            );
        }
        if others.write {
            warn("every user of this machine can change this file: `chmod o-w` it");
        }
        Ok(config)
    }

    /// Reads `text`. `file` is its name for messages, `folder` where relative paths in it start from.
    ///
    /// `check` is asked about every backend that is sound as far as this module can tell.
    ///
    /// # Errors
    /// Everything that is wrong. If it is no TOML, only what makes it so: the rest cannot be told then.
    pub fn parse(
        text: &str,
        file: &str,
        folder: &Path,
        surroundings: &dyn Surroundings,
        check: &mut Check<'_>,
    ) -> Result<Config, Problems> {
        read(text, file, folder, surroundings, check).map(|(config, _)| config)
    }
}

/// As [`Config::parse`], and whether the text itself holds a secret.
fn read(
    text: &str,
    file: &str,
    folder: &Path,
    surroundings: &dyn Surroundings,
    check: &mut Check<'_>,
) -> Result<(Config, bool), Problems> {
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problem = |error: toml::de::Error| Problem {
            position: error.span().map(|span| Position::of_span(text, &span)),
            message: format!("not TOML: {}", error.message().replace('\n', "; ")),
        };
        return Err(Problems::new(
            file,
            errors.into_iter().map(problem).collect(),
        ));
    }
    let source = Source::new(text);
    let mut root = Section::new(&source, "the file", document.get_ref(), 0..0);
    let around = Around {
        surroundings,
        folder,
    };
    let server_section = root.section("server", "[server]");
    let watch = root
        .section("watch", "[watch]")
        .map(watch)
        .unwrap_or_default();
    let mut config = Config {
        server: server_section.map_or_else(
            || ServerConfig {
                answer_timeout: 2 * watch.longest_unread(),
                ..ServerConfig::default()
            },
            |section| server(section, &watch),
        ),
        watch,
        store: root
            .section("store", "[store]")
            .map(|section| store(section, around))
            .unwrap_or_default(),
        telemetry: root
            .section("telemetry", "[telemetry]")
            .map(telemetry)
            .unwrap_or_default(),
        backends: backends(&mut root, around, check),
        warnings: Vec::new(),
    };
    root.finish();
    config.warnings = source.take_warnings();
    config.warnings.sort();
    let holds_secrets = source.holds_secrets();
    let problems = source.into_problems();
    if problems.is_empty() {
        Ok((config, holds_secrets))
    } else {
        Err(Problems::new(file, problems))
    }
}

fn server(mut section: Section<'_>, watch: &WatchConfig) -> ServerConfig {
    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);
    let default = ServerConfig::default();
    let allow_non_loopback = section.flag("allow_non_loopback");
    let mut listen = default.listen;
    if let Some(text) = section.text("listen") {
        match text.value.parse::<SocketAddr>() {
            Ok(address) if is_loopback(address.ip()) || allow_non_loopback => listen = address,
            Ok(address) => section.source().problem(
                &text.span,
                format!(
                    "`listen` is {address}, which others can reach, and nobody is asked who they are: \
                     set allow_non_loopback = true if that is meant, or listen on 127.0.0.1 or [::1]"
                ),
            ),
            Err(_) => section.source().problem(
                &text.span,
                format!(
                    "`listen` is {}; it must be an IP address and a port, for example \"127.0.0.1:50051\" or \
                     \"[::1]:50051\"",
                    quoted(&text.value)
                ),
            ),
        }
    }
    let max_connections = section.number("max_connections", default.max_connections, 1..=1_000_000);
    // Half, and if there is but one, that one.
    let half = max_connections.div_ceil(2);
    let max_buffered_mib = section.number("max_buffered_mib", default.max_buffered_mib, 8..=65_536);
    let each = default.max_buffered_mib_per_connection;
    let server = ServerConfig {
        listen,
        allow_non_loopback,
        max_connections,
        max_connections_per_address: section.number(
            "max_connections_per_address",
            half,
            1..=max_connections,
        ),
        max_opening: section.number("max_opening", default.max_opening, 1..=1_000_000),
        max_calls: section.number("max_calls", default.max_calls, 1..=10_000_000),
        max_unfinished: section.number("max_unfinished", default.max_unfinished, 1..=1_000_000),
        max_buffered_mib,
        max_buffered_mib_per_connection: section.number(
            "max_buffered_mib_per_connection",
            each.min(max_buffered_mib),
            4..=max_buffered_mib,
        ),
        preface_timeout: section.duration(
            "preface_timeout",
            default.preface_timeout,
            SECOND..=HOUR,
        ),
        request_timeout: section.duration(
            "request_timeout",
            default.request_timeout,
            SECOND..=HOUR,
        ),
        // A watch has to end with its status first.
        answer_timeout: section.duration(
            "answer_timeout",
            2 * watch.longest_unread(),
            watch.longest_unread() + SECOND..=24 * HOUR,
        ),
        max_streams: section.number("max_streams", default.max_streams, 1..=100_000),
        drain: section.duration(
            "drain",
            default.drain,
            Duration::ZERO..=Duration::from_secs(600),
        ),
    };
    section.finish();
    server
}

fn watch(mut section: Section<'_>) -> WatchConfig {
    let watch = WatchConfig {
        heartbeat: section.duration(
            "heartbeat",
            WatchConfig::default().heartbeat,
            Duration::from_secs(1)..=Duration::from_secs(300),
        ),
        stall: section.duration(
            "stall",
            WatchConfig::default().stall,
            Duration::from_secs(1)..=Duration::from_secs(3600),
        ),
    };
    section.finish();
    watch
}

fn store(mut section: Section<'_>, around: Around<'_>) -> StoreConfig {
    let path = section.text("path");
    if let Some(text) = path.as_ref().filter(|text| text.value.is_empty()) {
        section.source().problem(
            &text.span,
            "`path` is empty; it must be that of a file, for example \"/var/lib/isthmus/log.redb\"",
        );
    }
    if let Some(text) = &path {
        let file = around.folder.join(&text.value);
        around.warn_of_others(section.source(), &text.span, &file);
    }
    section.finish();
    StoreConfig {
        path: path.map(|text| around.folder.join(text.value)),
    }
}

fn telemetry(mut section: Section<'_>) -> TelemetryConfig {
    let endpoint = section.text("otlp_endpoint");
    if let Some(text) = &endpoint
        && !reqwest::Url::parse(&text.value)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    {
        section.source().problem(
            &text.span,
            "`otlp_endpoint` must be the URL of a collector that takes OTLP over gRPC, for example \
             \"http://127.0.0.1:4317\"",
        );
    }
    let log = section.word(
        "log",
        &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    );
    section.finish();
    TelemetryConfig {
        otlp_endpoint: endpoint.map(|found| found.value),
        log: log.map(|found| found.value).unwrap_or_default(),
    }
}

fn backends(
    root: &mut Section<'_>,
    around: Around<'_>,
    check: &mut Check<'_>,
) -> Vec<BackendSettings> {
    const WANTED: &str = "at least one [[backends]], each with its own name";
    let source = root.source();
    let Some(value) = root.value("backends") else {
        root.missing("backends", WANTED);
        return Vec::new();
    };
    let DeValue::Array(items) = value.get_ref() else {
        root.wrong_type("backends", value.span(), value.get_ref(), WANTED);
        return Vec::new();
    };
    if items.is_empty() {
        source.problem(
            &value.span(),
            format!("`backends` is empty; it must be {WANTED}"),
        );
    }
    let mut read = Vec::new();
    let mut names: HashMap<String, usize> = HashMap::new();
    for item in items {
        let DeValue::Table(table) = item.get_ref() else {
            root.wrong_type("backends", item.span(), item.get_ref(), WANTED);
            continue;
        };
        // Not only of backends that are sound: a name twice is wrong whatever else is.
        if let Some(name) = table.get("name")
            && let Some(text) = name.get_ref().as_str()
            && let Some(line) = names.insert(text.to_owned(), source.position(&name.span()).line)
        {
            source.problem(
                &name.span(),
                format!(
                    "a second backend named {}; the first is in line {line}",
                    quoted(text)
                ),
            );
        }
        let before = source.count();
        let section = Section::new(source, "this backend", table, item.span());
        let places = backend::places(&section, table);
        let settings = backend::read(section, around);
        if let Some(settings) = settings
            && source.count() == before
        {
            for violation in check(&settings) {
                blame(source, &violation, &places, source.position(&item.span()));
            }
            read.push(settings);
        }
    }
    read
}

/// Notes what a dialect finds wrong, at the line of the key it names if that is there, at a key it stands in for,
/// or at the backend's header.
fn blame(
    source: &Source<'_>,
    violation: &Violation,
    places: &[(String, Position)],
    header: Position,
) {
    let field = violation.field.as_str();
    let parent = field.split('.').next().unwrap_or(field);
    let is = |wanted: &str| {
        let wanted = wanted.to_owned();
        places.iter().find(|(key, _)| *key == wanted)
    };
    let place = is(field)
        .or_else(|| is(&format!("{field}_env")))
        .or_else(|| is(&format!("{field}_file")))
        .or_else(|| is(parent));
    let position = place.map_or(header, |(_, position)| *position);
    let message = if field.is_empty() {
        violation.description.clone()
    } else {
        format!("`{field}`: {}", violation.description)
    };
    source.note(Problem {
        position: Some(position),
        message,
    });
}
