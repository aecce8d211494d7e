//! `[[backends]]`: the keys that all backends have. The backend's dialect reads the rest of its table.

use crate::{
    config::{digest, section::Section, source::quoted},
    core::{
        settings::{BackendSettings, PollSettings},
        table::{Table, one_of},
    },
    model::BackendName,
};
use std::{collections::HashMap, time::Duration};
use toml::de::DeValue;

/// The readers of the keys that only a dialect knows.
pub trait Dialects {
    /// What a dialect makes of a table.
    type Bound;

    /// The valid values of a backend's `dialect`.
    fn names(&self) -> Vec<&'static str>;

    /// Reads the table of a backend of this dialect. Returns `None` after it has reported every problem to the table.
    fn bind(&self, dialect: &str, table: &mut dyn Table, timeout: Duration) -> Option<Self::Bound>;
}

/// Reads all backends. Returns the sound ones, and reports problems for the others.
pub(super) fn all<B>(
    root: &mut Section<'_>,
    dialects: &dyn Dialects<Bound = B>,
) -> Vec<(BackendSettings, B)> {
    const WANTED: &str = "at least one [[backends]], each with its own name";
    let source = root.source;
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
        // Checked for unsound backends, too: a duplicate name is wrong in any case.
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
        let section = Section::new(source, "this backend", table, item.span());
        read.extend(one(section, dialects));
    }
    read
}

/// Reads one backend: the common keys here, the rest by its dialect.
fn one<B>(
    mut section: Section<'_>,
    dialects: &dyn Dialects<Bound = B>,
) -> Option<(BackendSettings, B)> {
    let name = name(&mut section);
    let dialect = Table::text(&mut section, "dialect");
    let timeout = section.duration(
        "timeout",
        BackendSettings::DEFAULT_TIMEOUT,
        Duration::from_millis(100)..=Duration::from_secs(300),
    );
    let read_only = section.flag("read_only");
    let poll = section
        .section("poll", "`poll`")
        .map(poll)
        .unwrap_or_default();
    let names = dialects.names();
    let Some(dialect) = dialect.filter(|dialect| names.contains(&dialect.as_str())) else {
        if section.has("dialect") {
            section.refuse("dialect", &one_of(&names));
        } else {
            let names: Vec<String> = names.into_iter().map(quoted).collect();
            let wanted = format!("which API it speaks, {}", names.join(" or "));
            section.missing("dialect", &wanted);
        }
        // Without a dialect, the other valid keys are unknown.
        return None;
    };
    let identity = digest::identity(section.table, section.source);
    let bound = dialects.bind(&dialect, &mut section, timeout);
    section.finish();
    let settings = BackendSettings {
        name: name?,
        timeout,
        read_only,
        poll,
        identity,
    };
    Some((settings, bound?))
}

fn name(section: &mut Section<'_>) -> Option<BackendName> {
    const WANTED: &str = "1 to 63 of a-z, 0-9 and -, beginning with a letter";
    let Some(text) = section.text("name") else {
        if section.value("name").is_none() {
            section.missing("name", WANTED);
        }
        return None;
    };
    let name = text.value.parse();
    if name.is_err() {
        section.source.problem(
            &text.span,
            format!("`name` is {}; it must be {WANTED}", quoted(&text.value)),
        );
    }
    name.ok()
}

fn poll(mut section: Section<'_>) -> PollSettings {
    const SHORT: Duration = Duration::from_millis(100);
    const HOUR: Duration = Duration::from_secs(3600);
    let default = PollSettings::default();
    let poll = PollSettings {
        fresh: section.duration("fresh", default.fresh, SHORT..=HOUR),
        stable: section.duration("stable", default.stable, SHORT..=HOUR),
        quiet_after_update: section.duration(
            "quiet_after_update",
            default.quiet_after_update,
            SHORT..=HOUR,
        ),
        confirm_failure: section.duration("confirm_failure", default.confirm_failure, SHORT..=HOUR),
        vanish_grace: section.duration("vanish_grace", default.vanish_grace, SHORT..=HOUR),
        auth_window: section.duration("auth_window", default.auth_window, SHORT..=24 * HOUR),
    };
    if poll.stable < poll.fresh {
        section.source.problem(
            section.span(),
            "`stable` is shorter than `fresh`: a connection at rest must not be looked at more often than one on its way",
        );
    }
    section.finish();
    poll
}
