//! What the store kept of backends, in their logs and ledgers.

use crate::{
    core::{
        backend::Serving,
        dialect::Dialect,
        ledger::book::Left,
        roster::{Arrival, Common},
        settings::BackendSettings,
        store::{Recovered, Store, StoreError},
        watch::poller::Kept,
    },
    model::BackendName,
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::watch;

/// Splits by backend what was kept when the gateway starts. The returned function takes out what belongs to a name.
pub fn by_backend(recovered: Recovered) -> impl FnMut(&BackendName) -> Kept {
    let floor = recovered.floor;
    let mut all: BTreeMap<BackendName, Kept> = BTreeMap::new();
    for (backend, floor) in recovered.floors {
        all.entry(backend).or_default().floor = floor;
    }
    for change in recovered.log {
        let backend = change.name.backend.clone();
        all.entry(backend).or_default().log.push(change);
    }
    for (latest, memory) in recovered.connections {
        let backend = latest.name.backend.clone();
        let kept = all.entry(backend).or_default();
        kept.connections.push((latest, memory));
    }
    move |backend| {
        let mut kept = all.remove(backend).unwrap_or_default();
        kept.floor = kept.floor.max(floor);
        kept
    }
}

/// Reads what was kept of a backend that is added while the gateway runs. Waits first until its earlier changes are
/// committed.
///
/// Without a store nothing is kept: what the backend had before it was removed is lost, and its positions are out of
/// range.
///
/// # Errors
/// If the store cannot be read, or is failing to keep the log, so that its content may be incomplete.
pub async fn recall(
    settings: BackendSettings,
    dialect: Arc<dyn Dialect>,
    common: &Common,
    store: &Arc<dyn Store>,
    keeping: Option<&watch::Receiver<Serving>>,
) -> Result<Arrival, StoreError> {
    let name = settings.name.clone();
    let latest = common.log.latest();
    common.log.wait_committed(latest).await;
    if keeping.is_some_and(|keeping| *keeping.borrow() == Serving::No) {
        let why = "the log cannot be kept at the moment, and what is in the store of this backend is not all of it";
        return Err(StoreError(why.to_owned()));
    }
    let kept = match store.recall(&name).await? {
        Some(recovered) => by_backend(recovered)(&name),
        None => Kept {
            floor: latest,
            ..Kept::default()
        },
    };
    let left = Left::read(&name, &common.shelf).await?;
    Ok(Arrival {
        settings,
        dialect,
        kept,
        left,
    })
}
