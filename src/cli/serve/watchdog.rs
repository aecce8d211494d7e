//! Feeds systemd's watchdog while the gateway is alive: the runtime runs this task, and the poller of each backend
//! reacts to a wake-up. The health of a cloud does not count, because a restart would not improve it.

use crate::{cli::serve::notify::Manager, core::gateway::Gateway, model::BackendName};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Notifies systemd twice per period until this future is dropped. Once `ends` is cancelled the pollers stop, and only
/// the runtime itself is checked.
pub async fn run(
    gateway: Arc<Gateway>,
    manager: Manager,
    period: Duration,
    ends: CancellationToken,
) {
    let mut ticks = interval(period / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut turns = BTreeMap::new();
    loop {
        ticks.tick().await;
        let now = nudged(&gateway);
        let stuck = stuck(&turns, &now);
        turns = now;
        match stuck {
            Some(backend) if !ends.is_cancelled() => {
                let backend = backend.as_str();
                tracing::error!(
                    backend,
                    "a poller is stuck: systemd is not told that the gateway is alive"
                );
            }
            _ => manager.alive(),
        }
    }
}

/// Wakes every poller and returns how many turns each had made before.
fn nudged(gateway: &Gateway) -> BTreeMap<BackendName, u64> {
    let there = gateway.present();
    let each = there.iter().map(|it| it.poller());
    each.map(|poller| (poller.backend().name().clone(), poller.nudge()))
        .collect()
}

/// Returns a poller that has made no turn since the last wake-up.
fn stuck(
    before: &BTreeMap<BackendName, u64>,
    now: &BTreeMap<BackendName, u64>,
) -> Option<BackendName> {
    let mut each = now.iter();
    let stuck = each.find(|(name, turns)| before.get(*name).is_some_and(|before| before == *turns));
    stuck.map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poller_that_was_woken_must_have_turned() {
        let turns = |of: &[(&str, u64)]| -> BTreeMap<BackendName, u64> {
            let each = of.iter();
            each.map(|(name, turns)| (name.parse().unwrap(), *turns))
                .collect()
        };
        let before = turns(&[("a", 1), ("b", 7), ("gone", 3)]);
        assert_eq!(
            stuck(&before, &turns(&[("a", 2), ("b", 9), ("new", 0)])),
            None
        );
        let stuck = stuck(&before, &turns(&[("a", 2), ("b", 7)]));
        assert_eq!(stuck.unwrap().as_str(), "b");
    }
}
