//! What `deploy/observability` and `docs/runbook.md` say of metrics is held against the table of them, and the alerts
//! against their runbook and their tests. That the queries have data is seen by `.ci/run observability`.

use isthmus::metrics::{Kind, Metric, table::TABLE};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

const DASHBOARD: &str = "deploy/observability/grafana/dashboards/isthmus.json";
const ALERTS: &str = "deploy/observability/alerts.yml";
const ALERT_TESTS: &str = "deploy/observability/alerts_test.yml";
const RUNBOOK: &str = "docs/runbook.md";

/// What a query may name besides metrics and their attributes: PromQL, and what Prometheus itself says of a target.
const WORDS: &[&str] = &[
    "ALERTS",
    "absent",
    "and",
    "by",
    "histogram_quantile",
    "increase",
    "instance",
    "job",
    "label_replace",
    "label_values",
    "le",
    "min",
    "min_over_time",
    "offset",
    "on",
    "or",
    "rate",
    "sum",
    "target_info",
    "unless",
    "up",
    "vector",
    "alertname",
    "alertstate",
];

#[derive(Deserialize)]
struct AlertFile {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    alert: String,
    expr: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct TestFile {
    tests: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    name: String,
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn alerts() -> Vec<Alert> {
    let file: AlertFile = serde_saphyr::from_str(&read(ALERTS)).expect("the alerts are YAML");
    file.groups
        .into_iter()
        .flat_map(|group| group.rules)
        .collect()
}

/// Every query of the dashboard, with the title of what shows it.
fn dashboard_queries() -> Vec<(String, String)> {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read(DASHBOARD)).expect("the dashboard is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let mut queries = Vec::new();
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a target has a query");
            queries.push((panel["title"].to_string(), query.to_owned()));
        }
    }
    for variable in dashboard["templating"]["list"]
        .as_array()
        .expect("it has variables")
    {
        if let Some(query) = variable["definition"].as_str() {
            queries.push((variable["name"].to_string(), query.to_owned()));
        }
    }
    queries
}

/// The names of a metric's series for Prometheus.
fn series(metric: &Metric) -> Vec<String> {
    let unit = match metric.unit {
        "s" => "_seconds",
        "{request}/s" => "_per_second",
        "By" => "_bytes",
        braces if braces.is_empty() || braces.starts_with('{') => "",
        other => panic!(
            "{}: what becomes of the unit {other} on the page is not known here",
            metric.name
        ),
    };
    let name = format!("{}{unit}", underscored(metric.name));
    match metric.kind {
        Kind::Counter => vec![format!("{name}_total")],
        Kind::Histogram => ["_bucket", "_count", "_sum"]
            .map(|end| format!("{name}{end}"))
            .into(),
        Kind::UpDownCounter | Kind::Gauge => vec![name],
    }
}

fn underscored(name: &str) -> String {
    name.replace('.', "_")
}

/// Every name that a query may have.
fn names() -> BTreeSet<String> {
    let metrics = TABLE.iter().flat_map(|metric| series(metric));
    let labels = TABLE
        .iter()
        .flat_map(|metric| metric.attributes)
        .map(|label| underscored(label));
    metrics
        .chain(labels)
        .chain(WORDS.iter().map(ToString::to_string))
        .collect()
}

/// The identifiers of a query: what is quoted, a time or a variable of Grafana's is none.
fn identifiers(query: &str) -> impl Iterator<Item = &str> {
    query
        .split('"')
        .step_by(2)
        .flat_map(|bare| bare.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '$')))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[test]
fn every_name_in_a_query_is_in_the_table() {
    let names = names();
    let alerts = alerts().into_iter().map(|alert| (alert.alert, alert.expr));
    for (place, query) in dashboard_queries().into_iter().chain(alerts) {
        for word in identifiers(&query) {
            assert!(
                names.contains(word),
                "{place}: there is no `{word}`\n{query}"
            );
        }
    }
}

#[test]
fn every_metric_is_on_the_dashboard() {
    let queries = dashboard_queries();
    let shown: BTreeSet<&str> = queries
        .iter()
        .flat_map(|(_, query)| identifiers(query))
        .collect();
    for metric in TABLE {
        let shown = series(metric)
            .iter()
            .any(|name| shown.contains(name.as_str()));
        assert!(shown, "no panel shows {}", metric.name);
    }
}

#[test]
fn every_name_in_the_runbook_is_in_the_table() {
    let names = names();
    let of_histograms = TABLE.iter().filter(|metric| metric.kind == Kind::Histogram);
    let of_histograms: BTreeSet<String> = of_histograms
        .map(|metric| format!("{}_seconds", underscored(metric.name)))
        .collect();
    let runbook = read(RUNBOOK);
    let words = runbook.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    for word in words.filter(|word| {
        ["isthmus_", "rpc_", "http_"]
            .iter()
            .any(|of_ours| word.starts_with(of_ours))
    }) {
        assert!(
            names.contains(word) || of_histograms.contains(word),
            "{RUNBOOK}: there is no `{word}`"
        );
    }
}

#[test]
fn every_alert_has_its_entry_in_the_runbook_and_its_test() {
    let runbook = read(RUNBOOK);
    let entries: Vec<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .collect();
    let tests: TestFile = serde_saphyr::from_str(&read(ALERT_TESTS)).expect("the tests are YAML");
    let tested: Vec<&str> = tests.tests.iter().map(|test| test.name.as_str()).collect();
    let alerts = alerts();
    let named: Vec<&str> = alerts.iter().map(|alert| alert.alert.as_str()).collect();
    for alert in &alerts {
        let url = format!("{RUNBOOK}#{}", alert.alert.to_lowercase());
        assert_eq!(alert.annotations.get("runbook_url"), Some(&url));
        for text in ["summary", "description"] {
            assert!(
                alert.annotations.contains_key(text),
                "{} has no {text}",
                alert.alert
            );
        }
        let severity = alert.labels.get("severity").map(String::as_str);
        assert!(
            matches!(severity, Some("critical" | "warning" | "info")),
            "{}",
            alert.alert
        );
        assert!(
            entries.contains(&alert.alert.as_str()),
            "{} is not in {RUNBOOK}",
            alert.alert
        );
        assert!(
            tested.contains(&alert.alert.as_str()),
            "{} is not in {ALERT_TESTS}",
            alert.alert
        );
    }
    for entry in entries {
        assert!(
            named.contains(&entry),
            "{RUNBOOK} has {entry}, which is no alert"
        );
    }
    for test in tested {
        assert!(
            named.contains(&test),
            "{ALERT_TESTS} has {test}, which is no alert"
        );
    }
}

#[test]
fn every_panel_says_what_it_shows_and_which_entry_goes_on_from_there() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&read(DASHBOARD)).expect("the dashboard is JSON");
    let known: BTreeSet<String> = alerts().into_iter().map(|alert| alert.alert).collect();
    for panel in dashboard["panels"].as_array().expect("it has panels") {
        let title = panel["title"].as_str().expect("a panel has a title");
        if panel["type"] == "row" {
            continue;
        }
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(
            description.len() > 40,
            "panel {title} says too little of itself"
        );
        if let Some((_, entry)) = description.split_once("Runbook: ") {
            assert!(
                known.contains(entry.trim_end_matches('.')),
                "panel {title}: no alert {entry}"
            );
        }
    }
}
