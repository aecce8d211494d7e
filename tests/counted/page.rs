//! What the metrics say.

use isthmus::metrics::table::TABLE;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::{
    Registry,
    proto::{MetricFamily, MetricType},
};
use std::{
    collections::BTreeSet,
    sync::{Mutex, OnceLock},
};

static REGISTRY: OnceLock<Registry> = OnceLock::new();
/// The metrics that were found to be more than 0, as somebody expected.
static MOVED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());

/// Installs the meter provider of the process.
pub fn begin() {
    let registry = Registry::new();
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(registry.clone())
        .without_units()
        .without_counter_suffixes()
        .without_target_info()
        .scope_info_enabled(false)
        .build();
    let provider = SdkMeterProvider::builder().with_reader(exporter.unwrap());
    opentelemetry::global::set_meter_provider(provider.build());
    REGISTRY.set(registry).unwrap();
}

pub fn moved() -> BTreeSet<&'static str> {
    MOVED.lock().unwrap().clone()
}

/// The metrics as they are at one moment.
pub struct Page(Vec<MetricFamily>);

/// What one metric says of the series with these labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Said {
    /// The counts or values of all of them; of a histogram how many values there were.
    pub value: f64,
    /// Of a histogram, the sum of the values.
    pub sum: f64,
}

impl Page {
    pub fn read() -> Page {
        Page(REGISTRY.get().unwrap().gather())
    }

    /// What the series say that have these labels among theirs; `None` if there is none. An empty label stands for one
    /// that is not there. Attributes are named as in the table.
    pub fn get(&self, metric: &str, labels: &[(&str, &str)]) -> Option<Said> {
        let known = TABLE.iter().find(|known| known.name == metric);
        let known = known.unwrap_or_else(|| panic!("no metric `{metric}`"));
        for (name, _) in labels {
            assert!(known.attributes.contains(name), "{metric} has no `{name}`");
        }
        let family = self.0.iter().find(|it| it.name() == label(metric))?;
        let mut found: Option<Said> = None;
        for series in family.get_metric() {
            let has = |name: &str| {
                let mut all = series.get_label().iter();
                all.find(|it| it.name() == label(name))
                    .map_or("", |it| it.value())
            };
            for it in series.get_label() {
                let is_known = |name: &&str| label(name) == it.name();
                assert!(
                    known.attributes.iter().any(is_known),
                    "`{}` of {metric} is not in the table",
                    it.name()
                );
            }
            if !labels.iter().all(|(name, value)| has(name) == *value) {
                continue;
            }
            let (value, sum) = match family.get_field_type() {
                MetricType::COUNTER => (series.get_counter().get_value(), 0.0),
                MetricType::GAUGE => (series.get_gauge().get_value(), 0.0),
                MetricType::HISTOGRAM => {
                    let histogram = series.get_histogram();
                    (
                        histogram.get_sample_count() as f64,
                        histogram.get_sample_sum(),
                    )
                }
                other => panic!("{metric} is a {other:?}"),
            };
            let before = found.unwrap_or(Said {
                value: 0.0,
                sum: 0.0,
            });
            found = Some(Said {
                value: before.value + value,
                sum: before.sum + sum,
            });
        }
        found
    }

    /// Sees that this is the value of the series with these labels; none is 0.
    #[track_caller]
    pub fn says(&self, metric: &'static str, labels: &[(&str, &str)], expected: impl Into<f64>) {
        let expected = expected.into();
        let found = self.get(metric, labels).map_or(0.0, |said| said.value);
        // Timers are late by up to a millisecond or two.
        assert!(
            (found - expected).abs() < 0.01,
            "{metric} {labels:?}: {found} and not {expected}"
        );
        if expected > 0.0 {
            MOVED.lock().unwrap().insert(metric);
        }
    }

    /// Sees that the values of a histogram sum up to this, in seconds.
    #[track_caller]
    pub fn sums(&self, metric: &'static str, labels: &[(&str, &str)], expected: f64) {
        let found = self.get(metric, labels).map_or(0.0, |said| said.sum);
        assert!(
            (found - expected).abs() < 0.002,
            "{metric} {labels:?}: {found} and not {expected}"
        );
    }

    /// Sees that there is no such series.
    #[track_caller]
    pub fn lacks(&self, metric: &str, labels: &[(&str, &str)]) {
        assert_eq!(self.get(metric, labels), None, "{metric} {labels:?}");
    }
}

fn label(name: &str) -> String {
    name.replace('.', "_")
}
