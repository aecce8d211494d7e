//! Every metric of the gateway, and how it is counted.
//!
//! [`table`] defines each metric once: its name, unit, attributes and meaning. The page for Prometheus, OTLP,
//! `docs/metrics.md` and the tests are all derived from it. Any layer may count; none may read.
//!
//! The instruments belong to the process's meter provider. Until `telemetry` installs one, and in programs that never
//! do, counting costs a branch and has no effect.

pub mod attributes;
#[cfg(test)]
mod document;
pub mod table;

use opentelemetry::{
    KeyValue, global,
    metrics::{AsyncInstrument, Meter},
};
use std::sync::OnceLock;

/// The definition of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The OpenTelemetry name, with dots.
    pub name: &'static str,
    pub kind: Kind,
    /// The unit in UCUM: `s`, `By`, or the counted thing in braces. Empty for a metric that reports a condition.
    pub unit: &'static str,
    /// The names of its attributes. Each has few values: an id is never an attribute.
    pub attributes: &'static [&'static str],
    /// The meaning, in one sentence.
    pub help: &'static str,
}

impl Metric {
    /// Returns the name on the page for Prometheus. There, `_bucket`, `_sum` and `_count` follow the name of a
    /// histogram.
    pub fn prometheus_name(&self) -> String {
        let unit = match self.unit {
            "s" => "_seconds",
            unit if unit.ends_with("/s") => "_per_second",
            _ => "",
        };
        let total = match self.kind {
            Kind::Counter => "_total",
            Kind::UpDownCounter | Kind::Histogram | Kind::Gauge => "",
        };
        format!("{}{unit}{total}", Metric::label(self.name))
    }

    /// Returns the label for Prometheus of an attribute.
    pub fn label(attribute: &str) -> String {
        attribute.replace('.', "_")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Counter,
    /// A value that grows and shrinks.
    UpDownCounter,
    /// A distribution of values.
    Histogram,
    /// A value at the time of reading.
    Gauge,
}

/// A monotonic counter, whose instrument is made at its first use.
#[derive(Debug)]
pub struct Counter {
    metric: Metric,
    instrument: OnceLock<opentelemetry::metrics::Counter<u64>>,
}

impl Counter {
    const fn of(metric: Metric) -> Counter {
        Counter {
            metric,
            instrument: OnceLock::new(),
        }
    }

    pub fn add(&self, more: u64, attributes: &[KeyValue]) {
        let make = || {
            let metric = &self.metric;
            let meter = meter();
            let builder = meter.u64_counter(metric.name);
            let builder = builder.with_unit(metric.unit);
            builder.with_description(metric.help).build()
        };
        self.instrument.get_or_init(make).add(more, attributes);
    }

    /// Registers a callback that reads a count kept elsewhere, at every collection. For events too frequent for
    /// [`Counter::add`].
    pub fn observe(&self, read: impl Fn(&dyn AsyncInstrument<u64>) + Send + Sync + 'static) {
        let metric = &self.metric;
        let meter = meter();
        let builder = meter.u64_observable_counter(metric.name);
        let builder = builder.with_unit(metric.unit);
        let builder = builder.with_description(metric.help);
        // The provider keeps the callback; the instrument itself does nothing.
        let _ = builder.with_callback(read).build();
    }
}

#[derive(Debug)]
pub struct UpDownCounter {
    metric: Metric,
    instrument: OnceLock<opentelemetry::metrics::UpDownCounter<i64>>,
}

impl UpDownCounter {
    const fn of(metric: Metric) -> UpDownCounter {
        UpDownCounter {
            metric,
            instrument: OnceLock::new(),
        }
    }

    /// Adds `more`, which may be negative.
    pub fn add(&self, more: i64, attributes: &[KeyValue]) {
        let make = || {
            let metric = &self.metric;
            let meter = meter();
            let builder = meter.i64_up_down_counter(metric.name);
            let builder = builder.with_unit(metric.unit);
            builder.with_description(metric.help).build()
        };
        self.instrument.get_or_init(make).add(more, attributes);
    }
}

#[derive(Debug)]
pub struct Histogram {
    metric: Metric,
    bounds: &'static [f64],
    instrument: OnceLock<opentelemetry::metrics::Histogram<f64>>,
}

impl Histogram {
    const fn of(metric: Metric, bounds: &'static [f64]) -> Histogram {
        Histogram {
            metric,
            bounds,
            instrument: OnceLock::new(),
        }
    }

    pub fn record(&self, value: f64, attributes: &[KeyValue]) {
        let make = || {
            let metric = &self.metric;
            let meter = meter();
            let builder = meter.f64_histogram(metric.name);
            let builder = builder.with_unit(metric.unit).with_description(metric.help);
            builder.with_boundaries(self.bounds.to_vec()).build()
        };
        self.instrument.get_or_init(make).record(value, attributes);
    }
}

/// A value that is read at every collection.
#[derive(Debug)]
pub struct Gauge {
    metric: Metric,
}

impl Gauge {
    const fn of(metric: Metric) -> Gauge {
        Gauge { metric }
    }

    /// Registers a callback that every collection runs. The callback must not own what it reads, so that a gateway that
    /// has ended is dropped and no longer reported.
    pub fn observe(&self, read: impl Fn(&dyn AsyncInstrument<f64>) + Send + Sync + 'static) {
        let metric = &self.metric;
        let meter = meter();
        let builder = meter.f64_observable_gauge(metric.name);
        let builder = builder.with_unit(metric.unit);
        let builder = builder.with_description(metric.help);
        let _ = builder.with_callback(read).build();
    }
}

fn meter() -> Meter {
    global::meter(env!("CARGO_PKG_NAME"))
}
