//! The configuration file, read into typed settings before anything starts.
//!
//! Everything that is wrong is told at once, each with its line and what would be accepted. A problem never
//! repeats a secret. `deploy/isthmus.example.toml` documents every key and is read by a test below.

mod backend;
mod problem;
mod section;
mod server;
mod surroundings;
#[cfg(test)]
mod tests;

pub use backend::DEFAULT_TIMEOUT;
pub use problem::{Position, Problem, Problems};
pub use server::{ServerConfig, WatchConfig};
pub use surroundings::{MAX_SECRET_FILE, Process, Surroundings};

use crate::{
    config::{
        backend::Around,
        section::{Section, Source, quoted},
    },
    core::{error::Violation, settings::BackendSettings},
};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
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
