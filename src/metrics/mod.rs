//! Every metric of the gateway, and how it is counted.
//!
//! [`table`] names each of them once: what it is called, its unit, its attributes and what it means. The page for
//! Prometheus, OTLP, `docs/metrics.md` and the tests all come from there. Any layer may count; none may read.
//!
//! The instruments are those of the process's meter provider. Until `telemetry` has installed one, and in programs that
//! never do, counting costs a branch and tells nobody.

pub mod attributes;
#[cfg(test)]
mod document;
pub mod table;

use opentelemetry::{
    KeyValue, global,
    metrics::{AsyncInstrument, Meter},
};
use std::sync::OnceLock;

/// What a metric is called and what it means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// As OpenTelemetry has it, with dots.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// In UCUM: `s`, `By`, or what is counted in braces; empty if it says how something is.
    pub unit: &'static str,
    /// Its attributes, which have few values each: never an id.
    pub attributes: &'static [&'static str],
    /// What it means, in one sentence.
    pub help: &'static str,
}

impl Metric {
    /// What it is called on the page for Prometheus; a histogram has `_bucket`, `_sum` and `_count` after it there.
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

    /// What an attribute is called there.
    pub fn label(attribute: &str) -> String {
        attribute.replace('.', "_")
    }
}

/// How a metric is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks.
    UpDownCounter,
    /// How values are distributed.
    Histogram,
    /// What is so when it is read.
    Gauge,
}

/// Something that only grows.
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

    /// Counts this many more.
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

    /// Has what somebody counts himself read whenever metrics are. For what is counted too often for [`Counter::add`].
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

/// Something that grows and shrinks.
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

    /// Counts this many more, or fewer.
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

/// How values are distributed.
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

    /// Takes note of a value.
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

/// What is so when it is read.
#[derive(Debug)]
pub struct Gauge {
    metric: Metric,
}

impl Gauge {
    const fn of(metric: Metric) -> Gauge {
        Gauge { metric }
    }

    /// Has this asked whenever metrics are read. It must not hold on to what it reads: a gateway that has ended is told
    /// of no more.
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
