//! Gauges: values of this process's gateways at the time when metrics are read.
//!
//! Each gauge is registered once. It asks the gateways that exist when it is read for their current backends, so a
//! removed backend is not reported. In a process with several gateways, as in tests, backends of the same name are
//! reported once.

use crate::{
    account::Usage,
    core::{backend::Serving, roster::Member},
    metrics::table::{
        BACKEND, BACKEND_UP, BUDGET_LIMIT, BUDGET_WAITING, LEDGER_ENTRIES, LOG_WINDOW, LOGIN_REST,
        POLL_AGE, POLL_INTERVAL, STORE_UP, UPSTREAM_CIRCUIT,
    },
};
use opentelemetry::{KeyValue, metrics::AsyncInstrument};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

static GATEWAYS: Mutex<Vec<Weak<dyn Gauged>>> = Mutex::new(Vec::new());
static REGISTERED: Once = Once::new();

/// Something that has backends.
pub trait Gauged: Send + Sync {
    /// Returns its current backends.
    fn present(&self) -> Vec<Arc<Member>>;

    /// Returns whether its log is being kept; `None` if the log is in memory.
    fn keeping_now(&self) -> Option<Serving>;
}

/// Reports a gateway's gauges for as long as it exists.
pub fn tell_of(gateway: Weak<dyn Gauged>) {
    let mut gateways = gateways();
    gateways.retain(|known| known.strong_count() > 0);
    gateways.push(gateway);
    drop(gateways);
    REGISTERED.call_once(register);
}

fn register() {
    BACKEND_UP.observe(|read| {
        each(
            |one, [name]| match one.poller().backend().health().serving {
                Serving::NotAsked => {}
                Serving::Yes => read.observe(1.0, &[name]),
                Serving::No => read.observe(0.0, &[name]),
            },
        );
    });
    POLL_AGE.observe(|read| {
        each(|one, name| {
            let age = one.poller().inventory().poll_age();
            tell(read, age.map(|age| age.as_secs_f64()), &name);
        });
    });
    POLL_INTERVAL.observe(|read| {
        each(|one, name| {
            let interval = one.poller().inventory().meant_interval();
            tell(read, interval.map(|it| it.as_secs_f64()), &name);
        });
    });
    LOG_WINDOW.observe(|read| {
        each(|one, name| read.observe(one.poller().log().window().len() as f64, &name));
    });
    LEDGER_ENTRIES.observe(|read| {
        each(|one, [name]| {
            for (state, count) in one.ledger().counts() {
                let state = KeyValue::new("isthmus.state", state);
                read.observe(count as f64, &[name.clone(), state]);
            }
        });
    });
    STORE_UP.observe(|read| {
        let gateways = present();
        let keeping = gateways.iter().filter_map(|it| it.keeping_now());
        // Reports the worst of several gateways.
        let is_kept = keeping.map(|it| f64::from(u8::from(it != Serving::No)));
        tell(read, is_kept.reduce(f64::min), &[]);
    });
    register_accounts();
}

/// Registers the gauges of backend accounts.
fn register_accounts() {
    BUDGET_LIMIT.observe(|read| {
        each(|one, name| read.observe(usage(one).rate_limit, &name));
    });
    BUDGET_WAITING.observe(|read| {
        each(|one, [name]| {
            let used = usage(one);
            for (share, of_it) in [
                ("outcome", used.outcome),
                ("callers", used.callers),
                ("stable", used.stable),
            ] {
                let share = KeyValue::new("isthmus.share", share);
                read.observe(f64::from(of_it.waiting), &[name.clone(), share]);
            }
        });
    });
    UPSTREAM_CIRCUIT.observe(|read| {
        each(|one, name| read.observe(usage(one).circuit.as_f64(), &name));
    });
    LOGIN_REST.observe(|read| {
        each(|one, name| read.observe(usage(one).login_rest.as_secs_f64(), &name));
    });
}

fn usage(one: &Arc<Member>) -> Usage {
    one.poller().backend().dialect().usage()
}

fn tell(read: &dyn AsyncInstrument<f64>, value: Option<f64>, attributes: &[KeyValue]) {
    if let Some(value) = value {
        read.observe(value, attributes);
    }
}

/// Calls `told` with every backend of every gateway, and its name.
fn each(mut told: impl FnMut(&Arc<Member>, [KeyValue; 1])) {
    for gateway in present() {
        for one in gateway.present() {
            let name = one.poller().backend().name().as_str().to_owned();
            told(&one, [KeyValue::new(BACKEND, name)]);
        }
    }
}

/// Returns the existing gateways. Nothing is asked of them under the lock.
fn present() -> Vec<Arc<dyn Gauged>> {
    gateways().iter().filter_map(Weak::upgrade).collect()
}

fn gateways() -> MutexGuard<'static, Vec<Weak<dyn Gauged>>> {
    GATEWAYS.lock().unwrap_or_else(PoisonError::into_inner)
}
