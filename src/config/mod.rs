//! Reads the configuration file into typed settings before anything starts.
//!
//! All problems are reported at once, each with its line and what is accepted. A problem never repeats a secret.
//! `deploy/isthmus.example.toml` documents every key; a test below reads it.
//!
//! A dialect reads its own keys of a backend through `core::table`. This module knows how a value is written and where
//! it stands, but not what it means.

mod backend;
mod digest;
mod problem;
mod section;
mod server;
mod source;
mod surroundings;
mod table;
#[cfg(test)]
pub(crate) mod tests;

pub use backend::Dialects;
pub use digest::digest;
pub use problem::{Position, Problem, Problems};
pub use server::{ServerConfig, WatchConfig};
pub use surroundings::{MAX_SECRET_FILE, Process, ReadText, SecretFile, Surroundings};

use crate::{
    config::{
        section::Section,
        source::{Around, Source},
    },
    core::settings::BackendSettings,
    telemetry,
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use toml::de::DeTable;

/// The content of the file. `B` is what a dialect makes of a backend.
#[derive(Debug, Clone)]
pub struct Config<B> {
    /// `[server]`
    pub server: ServerConfig,
    /// `[watch]`
    pub watch: WatchConfig,
    /// `[store]`
    pub store: StoreConfig,
    /// `[telemetry]`
    pub telemetry: TelemetryConfig,
    /// `[[backends]]`: at least one, in the order of the file, with unique names.
    pub backends: Vec<(BackendSettings, B)>,
    /// Every secret in a file of its own, for the task that rereads them.
    pub secrets: Vec<SecretFile>,
    /// The digest of each key outside `[[backends]]`, by title and name: `server.listen`.
    pub others: BTreeMap<String, u64>,
    /// Settings that work but are dangerous, in the order of the file, with better ones.
    pub warnings: Vec<Problem>,
}

/// Where the observation log is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreConfig {
    /// The file, created if it does not exist. `None` keeps the log in memory, so that positions and write tokens end
    /// with the process.
    pub path: Option<PathBuf>,
}

/// What the gateway reports about itself.
#[derive(Debug, Clone, PartialEq)]
pub struct TelemetryConfig {
    /// Where traces and metrics are sent, as OTLP over gRPC. `None` sends none.
    pub otlp_endpoint: Option<String>,
    /// Where the page of metrics for Prometheus is served. `None` serves none.
    pub metrics_listen: Option<SocketAddr>,
    /// Allows other hosts to reach the page. Default no.
    pub allow_non_loopback: bool,
    /// The share of the traces started here that is sent, from 0 to 1. Default 1. A caller that says whether its trace
    /// is sampled decides for its own calls.
    pub trace_sample: f64,
    /// The format of log lines.
    pub log: LogFormat,
    /// Which lines are logged, as `info,isthmus=debug`. `None` uses the variable `RUST_LOG`, or `info` without it.
    pub log_filter: Option<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        TelemetryConfig {
            otlp_endpoint: None,
            trace_sample: 1.0,
            metrics_listen: None,
            allow_non_loopback: false,
            log: LogFormat::default(),
            log_filter: None,
        }
    }
}

/// The format of log lines, which always go to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl<B> Config<B> {
    /// Reads the file at `path`; see [`Config::parse`]. Relative paths in it start from its folder.
    ///
    /// # Errors
    /// Every problem in the file.
    pub fn load(
        path: &Path,
        surroundings: &dyn Surroundings,
        dialects: &dyn Dialects<Bound = B>,
    ) -> Result<Config<B>, Problems> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let message = format!("cannot be read: {error}");
            let position = None;
            Problems::new(&file, vec![Problem { position, message }])
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (mut config, holds_secrets) = read(&text, &file, folder, surroundings, dialects)?;
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

    /// Reads `text`. `file` is its name in messages. Relative paths in it start from `folder`.
    ///
    /// `dialects` read their own keys of each backend and report their problems along with those found here.
    ///
    /// # Errors
    /// Every problem in the text. If it is not TOML, only the syntax errors, because the rest cannot be checked.
    pub fn parse(
        text: &str,
        file: &str,
        folder: &Path,
        surroundings: &dyn Surroundings,
        dialects: &dyn Dialects<Bound = B>,
    ) -> Result<Config<B>, Problems> {
        read(text, file, folder, surroundings, dialects).map(|(config, _)| config)
    }
}

/// Does the same as [`Config::parse`], and returns whether the text itself holds a secret.
fn read<B>(
    text: &str,
    file: &str,
    folder: &Path,
    surroundings: &dyn Surroundings,
    dialects: &dyn Dialects<Bound = B>,
) -> Result<(Config<B>, bool), Problems> {
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
    let around = Around {
        surroundings,
        folder,
    };
    let source = Source::new(text, around);
    let mut root = Section::new(&source, "the file", document.get_ref(), 0..0);
    let server_section = root.section("server", "[server]");
    let watch = root
        .section("watch", "[watch]")
        .map(server::watch)
        .unwrap_or_default();
    let mut config = Config {
        server: server_section.map_or_else(
            || ServerConfig {
                answer_timeout: 2 * watch.longest_unread(),
                ..ServerConfig::default()
            },
            |section| server::server(section, &watch),
        ),
        watch,
        store: root
            .section("store", "[store]")
            .map(store)
            .unwrap_or_default(),
        telemetry: root
            .section("telemetry", "[telemetry]")
            .map(told)
            .unwrap_or_default(),
        backends: backend::all(&mut root, dialects),
        secrets: source.take_secrets(),
        others: others(document.get_ref()),
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

/// The digest of each key outside the backends.
fn others(document: &DeTable<'_>) -> BTreeMap<String, u64> {
    let tables = document.iter().filter_map(|(title, value)| {
        let table = value.get_ref().as_table()?;
        Some(digest::by_key(title.get_ref(), table))
    });
    tables.flatten().collect()
}

fn store(mut section: Section<'_>) -> StoreConfig {
    let text = section.text("path");
    let path = text.map(|text| {
        let path = section.source.file(&text.value);
        section.source.warn_of_others(&text.span, &path);
        path
    });
    section.finish();
    StoreConfig { path }
}

fn told(mut section: Section<'_>) -> TelemetryConfig {
    let endpoint = section.text("otlp_endpoint");
    if let Some(text) = &endpoint
        && !reqwest::Url::parse(&text.value)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
    {
        section.source.problem(
            &text.span,
            "`otlp_endpoint` must be the URL of a collector that takes OTLP over gRPC, for example \
             \"http://127.0.0.1:4317\"",
        );
    }
    let allow_non_loopback = section.flag("allow_non_loopback");
    let metrics_listen = section.address("metrics_listen", allow_non_loopback, 9464);
    let trace_sample = section.share("trace_sample", TelemetryConfig::default().trace_sample);
    let log = section.word(
        "log",
        &[("text", LogFormat::Text), ("json", LogFormat::Json)],
    );
    let filter = section.text("log_filter");
    if let Some(text) = &filter
        && let Err(error) = telemetry::check_filter(&text.value)
    {
        let problem = format!("`log_filter` cannot be read: {error}");
        section.source.problem(&text.span, problem);
    }
    section.finish();
    TelemetryConfig {
        otlp_endpoint: endpoint.map(|found| found.value),
        metrics_listen,
        allow_non_loopback,
        trace_sample,
        log: log.map(|found| found.value).unwrap_or_default(),
        log_filter: filter.map(|found| found.value),
    }
}
