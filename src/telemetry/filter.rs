//! The log filter: levels, optionally by target. It can change while the process runs.

use std::{env::VarError, fmt};
use tracing::{Level, level_filters::LevelFilter};
use tracing_subscriber::{filter::Targets, registry::Registry, reload};

/// The environment variable with the filter, if the settings have none.
pub(super) const VARIABLE: &str = "RUST_LOG";

/// The root of this program's targets. A directive that names a target without a level must name one of these.
const OURS: &str = env!("CARGO_PKG_NAME");

/// A malformed filter. The message says what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// Where the filter comes from. Empty if the caller knows.
    of: &'static str,
    wrong: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.of.is_empty() {
            write!(f, "{}: ", self.of)?;
        }
        write!(
            f,
            "{}; write levels with commas between, for a target or for all: error, warn, info, debug, trace or off, as in \
             \"info,isthmus=debug\"",
            self.wrong
        )
    }
}

impl std::error::Error for FilterError {}

/// Checks that `text` is a filter for log lines.
///
/// # Errors
/// What is wrong with it, and what would be accepted.
pub fn check(text: &str) -> Result<(), FilterError> {
    read(text).map(|_| ())
}

/// Returns the filter of the settings, else that of the environment, else `info`.
///
/// # Errors
/// If the filter is malformed.
pub(super) fn chosen(
    setting: Option<&str>,
    variable: Result<String, VarError>,
) -> Result<Targets, FilterError> {
    let of_variable = |error| FilterError {
        of: VARIABLE,
        ..error
    };
    let targets = match (setting, variable) {
        (Some(text), _) => read(text)?,
        (None, Ok(text)) if !text.trim().is_empty() => read(&text).map_err(of_variable)?,
        (None, Ok(_) | Err(VarError::NotPresent)) => Targets::new().with_default(LevelFilter::INFO),
        (None, Err(VarError::NotUnicode(_))) => return Err(of_variable(wrong("it is not UTF-8"))),
    };
    Ok(hushed(targets))
}

/// Parses a filter. `Targets` has a parser too, but that takes a misspelt level for a target, logs everything from it,
/// and nothing from all others.
fn read(text: &str) -> Result<Targets, FilterError> {
    let mut targets = Targets::new();
    for part in text.split(',').map(str::trim) {
        let level = |text: &str| match text {
            "" => None,
            text => text.parse::<LevelFilter>().ok(),
        };
        targets = match part.split_once('=') {
            None if part.is_empty() => return Err(wrong("there is nothing between two commas")),
            None => match level(part) {
                Some(level) => targets.with_default(level),
                None if is_ours(part) => targets.with_target(part, LevelFilter::TRACE),
                None => return Err(wrong(format!("{part:?} is no level"))),
            },
            Some((target, text)) => {
                let (target, text) = (target.trim(), text.trim());
                if !is_target(target) {
                    return Err(wrong(format!("{target:?} is no target")));
                }
                let Some(level) = level(text) else {
                    return Err(wrong(format!("{text:?} is no level")));
                };
                targets.with_target(target, level)
            }
        };
    }
    Ok(targets)
}

fn wrong(what: impl Into<String>) -> FilterError {
    FilterError {
        of: "",
        wrong: what.into(),
    }
}

/// Targets are module paths.
fn is_target(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '-');
    !text.is_empty() && text.chars().all(is_part)
}

fn is_ours(text: &str) -> bool {
    let rest = text.strip_prefix(OURS);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::")) && is_target(text)
}

/// Silences the warnings of the HTTP/2 library about its peers, which could fill the log at a line per frame. A filter
/// that logs more than warnings, or names the library, keeps them.
fn hushed(filter: Targets) -> Targets {
    const LIBRARY: &str = "h2";
    let warns =
        filter.would_enable(LIBRARY, &Level::WARN) && !filter.would_enable(LIBRARY, &Level::DEBUG);
    let is_named = filter.iter().any(|(target, _)| target.starts_with(LIBRARY));
    match warns && !is_named {
        true => filter.with_target(LIBRARY, LevelFilter::ERROR),
        false => filter,
    }
}

/// A handle that changes the log filter while lines are written.
#[derive(Debug, Clone)]
pub struct Levels {
    handle: reload::Handle<Targets, Registry>,
}

impl Levels {
    pub(super) fn new(handle: reload::Handle<Targets, Registry>) -> Levels {
        Levels { handle }
    }

    /// Replaces the filter with one in the form of [`Settings::filter`](super::Settings::filter). `None` takes
    /// `RUST_LOG`, or `info` without it. A malformed filter changes nothing.
    ///
    /// # Errors
    /// What is wrong with it, and what would be accepted.
    pub fn set(&self, filter: Option<&str>) -> Result<(), FilterError> {
        let targets = chosen(filter, std::env::var(VARIABLE))?;
        // Fails only if the subscriber is gone.
        let _ = self.handle.reload(targets);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_of_http2_are_for_those_who_want_them() {
        for (directives, warns) in [
            ("info", false),
            ("warn,isthmus=debug", false),
            ("debug", true),
            ("info,h2=warn", true),
            ("isthmus=trace", false),
        ] {
            let filter = chosen(Some(directives), Err(VarError::NotPresent)).unwrap();
            let library = "h2::proto::ping_pong";
            assert_eq!(
                filter.would_enable(library, &Level::WARN),
                warns,
                "{directives}"
            );
            assert!(filter.would_enable("isthmus::server", &Level::WARN));
        }
    }

    #[test]
    fn the_settings_win_over_the_environment_and_nothing_said_is_info() {
        let variable = |text: &str| Ok(text.to_owned());
        let enables = |targets: &Targets, level| targets.would_enable("isthmus::core", &level);
        let both = chosen(Some("warn"), variable("trace")).unwrap();
        assert!(enables(&both, Level::WARN) && !enables(&both, Level::INFO));
        // An unused variable is not parsed.
        assert!(chosen(Some("warn"), variable("loud")).is_ok());
        let variable_alone = chosen(None, variable("off,isthmus=debug")).unwrap();
        assert!(enables(&variable_alone, Level::DEBUG));
        assert!(!variable_alone.would_enable("tonic", &Level::ERROR));
        for nothing in [Err(VarError::NotPresent), variable(""), variable(" ")] {
            let default = chosen(None, nothing).unwrap();
            assert!(enables(&default, Level::INFO) && !enables(&default, Level::DEBUG));
        }
    }

    #[test]
    fn what_is_no_filter_is_told_with_what_would_be_one() {
        for (text, what) in [
            ("loud", "\"loud\" is no level"),
            ("inof", "\"inof\" is no level"),
            ("isthmus=loud", "\"loud\" is no level"),
            ("isthmus=", "\"\" is no level"),
            ("=debug", "\"\" is no target"),
            ("info,", "there is nothing between two commas"),
            ("isthmus[call]=debug", "\"isthmus[call]\" is no target"),
            ("isthmusness", "\"isthmusness\" is no level"),
            ("info;isthmus=debug", "\"info;isthmus\" is no target"),
        ] {
            let said = chosen(Some(text), Err(VarError::NotPresent)).unwrap_err();
            assert!(said.to_string().starts_with(what), "{text}: {said}");
            assert!(said.to_string().contains("\"info,isthmus=debug\""));
            let said = chosen(None, Ok(text.to_owned())).unwrap_err().to_string();
            assert!(said.starts_with(&format!("RUST_LOG: {what}")), "{said}");
        }
        let unreadable = std::ffi::OsString::from("x");
        assert!(chosen(None, Err(VarError::NotUnicode(unreadable))).is_err());
    }

    #[test]
    fn what_is_a_filter_is_read_as_it_always_was() {
        for text in [
            "info",
            "INFO, isthmus=debug",
            "isthmus",
            "isthmus::core=trace,off",
            "h2=4",
        ] {
            let ours = read(text).unwrap();
            let spaceless: Targets = text.replace(' ', "").parse().unwrap();
            assert_eq!(ours, spaceless, "{text}");
        }
    }
}
