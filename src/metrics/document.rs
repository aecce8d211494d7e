//! The tables of `docs/metrics.md`, generated from those of this module.
//!
//! `cargo test --lib metrics::document::made_anew -- --ignored` regenerates them in the document.

use super::{
    Kind, Metric,
    attributes::{ATTRIBUTES, Attribute, attribute},
    table::TABLE,
};
use std::{fmt::Write, fs, path::PathBuf};

const BEGIN: &str =
    "<!-- From here on made by `cargo test --lib metrics::document::made_anew -- --ignored`. -->\n";

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md")
}

/// Returns the document with its generated tables up to date.
fn document() -> String {
    let text = fs::read_to_string(path()).unwrap();
    let (prose, _) = text.split_once(BEGIN).expect("the tables begin somewhere");
    format!("{prose}{BEGIN}{}", tables())
}

fn tables() -> String {
    let mut text = String::from(
        "\n## Metrics\n\n\
         | OpenTelemetry | Prometheus | kind | unit | attributes | what it says |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for metric in TABLE {
        let attributes: Vec<String> = metric.attributes.iter().map(|it| code(it)).collect();
        let cells = [
            code(metric.name),
            code(&metric.prometheus_name()),
            kind(metric).to_owned(),
            if metric.unit.is_empty() {
                String::new()
            } else {
                code(metric.unit)
            },
            attributes.join(", "),
            cell(metric.help),
        ];
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text += "\n## Attributes\n\n\
             | attribute | label | of | values | what it says |\n\
             | --- | --- | --- | --- | --- |\n";
    for it in ATTRIBUTES {
        let values: Vec<String> = it.values.iter().map(|value| code(value)).collect();
        let of: Vec<String> = it.of.iter().map(|of| code(of)).collect();
        let cells = [
            code(it.name),
            code(&Metric::label(it.name)),
            of.join(", "),
            values.join(", "),
            cell(it.meaning),
        ];
        writeln!(text, "| {} |", cells.join(" | ")).unwrap();
    }
    text
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Escapes what would end the cell of a Markdown table.
fn cell(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn kind(metric: &Metric) -> &'static str {
    match metric.kind {
        Kind::Counter => "counter",
        Kind::UpDownCounter => "up-down counter",
        Kind::Histogram => "histogram",
        Kind::Gauge => "gauge",
    }
}

#[test]
fn the_document_is_of_what_is_counted() {
    let text = fs::read_to_string(path()).unwrap();
    let line = |text: &str, at: usize| text.lines().nth(at).unwrap_or_default().to_owned();
    let wanted = document();
    let lines = text.lines().count().max(wanted.lines().count());
    if let Some(at) = (0..lines).find(|at| line(&text, *at) != line(&wanted, *at)) {
        panic!(
            "docs/metrics.md:{} is\n{}\nand is to be\n{}\n{BEGIN}",
            at + 1,
            line(&text, at),
            line(&wanted, at)
        );
    }
}

#[test]
#[ignore = "writes the document"]
fn made_anew() {
    fs::write(path(), document()).unwrap();
}

#[test]
fn every_name_is_of_one_thing() {
    let mut names: Vec<String> = TABLE.iter().map(|it| it.prometheus_name()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), TABLE.len());
    for metric in TABLE {
        assert!(
            !metric.help.is_empty() && metric.help.ends_with('.'),
            "{}",
            metric.name
        );
        let is_ours = metric.name.starts_with("isthmus.");
        assert!(is_ours || metric.name.starts_with("rpc.") || metric.name.starts_with("http."));
    }
}

#[test]
fn every_attribute_of_a_metric_is_said_and_nothing_else_is() {
    for metric in TABLE {
        for name in metric.attributes {
            let said = attribute(metric.name, name);
            assert!(said.is_some(), "{} of {} has no entry", name, metric.name);
        }
    }
    let is_had = |it: &Attribute| {
        let mut having = TABLE
            .iter()
            .filter(|metric| metric.attributes.contains(&it.name));
        match it.of {
            [] => having.next().is_some(),
            of => of
                .iter()
                .all(|name| having.clone().any(|metric| metric.name == *name)),
        }
    };
    for it in ATTRIBUTES {
        assert!(is_had(it), "no metric has {}", it.name);
        assert!(it.meaning.ends_with('.'), "{}", it.name);
    }
}

#[test]
fn prometheus_has_names_of_its_own() {
    let name = |wanted: &str| {
        let found = TABLE.iter().find(|metric| metric.name == wanted).unwrap();
        found.prometheus_name()
    };
    for (ours, theirs) in [
        (
            "rpc.server.call.duration",
            "rpc_server_call_duration_seconds",
        ),
        ("isthmus.server.connections", "isthmus_server_connections"),
        ("isthmus.server.refused", "isthmus_server_refused_total"),
        ("isthmus.budget.limit", "isthmus_budget_limit_per_second"),
        ("isthmus.backend.up", "isthmus_backend_up"),
    ] {
        assert_eq!(name(ours), theirs);
    }
}
