//! Reloads the configuration on SIGHUP and when one of its files changes. An invalid configuration changes nothing.

use crate::{
    cli::{
        check::{self, Bound},
        serve::{
            files::{self, Contents, Noting, Watched},
            notify::Manager,
            secrets::Secrets,
        },
        signal::Hangups,
    },
    config::{Problem, Problems},
    core::{
        gateway::Gateway,
        reload::{NotReloaded, Reloaded},
    },
    metrics::table::RELOADS,
    model::BackendName,
    telemetry::Levels,
};
use opentelemetry::KeyValue;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at. A change takes effect at the second look that finds it.
const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// When to retry a valid configuration after the store refused it.
const AGAIN: Duration = Duration::from_secs(10);

/// The only key outside the backends that a reload can change.
const LEVELS: &str = "telemetry.log_filter";

/// A configuration that was read, and the files that it came from.
pub struct Read {
    pub config: Result<Bound, Problems>,
    /// The content of its files.
    pub contents: Contents,
}

/// Reads a configuration and records every file that belongs to it. Blocks.
pub fn read(file: &Path) -> Read {
    let around = Noting::default();
    // Digested before the read, so that a change in between causes another reload instead of being missed.
    let own = files::content(file);
    let config = check::read_around(file, &around);
    let mut contents = around.read(config.is_ok());
    contents.insert(file.to_owned(), own);
    Read { config, contents }
}

/// Logs the warnings: settings that work but are dangerous.
pub fn warn(file: &Path, warnings: &[Problem]) {
    for warning in warnings {
        let at = warning.place(&file.display().to_string());
        tracing::warn!(at, "{}", warning.message);
    }
}

/// Reloads the configuration of a running gateway.
pub struct Reloader {
    file: PathBuf,
    gateway: Arc<Gateway>,
    levels: Levels,
    log_filter: Option<String>,
    /// The digests of the keys outside the backends at the start.
    begun_with: BTreeMap<String, u64>,
    /// The warnings already logged.
    warned: Vec<Problem>,
    watched: Watched,
    /// When to retry the last configuration if the store refused it. No file changes when the store recovers.
    again: Option<Instant>,
    secrets: Secrets,
    manager: Manager,
    /// Part of the status that systemd shows.
    listen: SocketAddr,
}

impl Reloader {
    /// Makes a reloader for a gateway that runs with this configuration, whose backends are already moved out.
    pub fn new(
        file: &Path,
        config: &Bound,
        contents: Contents,
        gateway: Arc<Gateway>,
        levels: Levels,
        told: (Manager, SocketAddr),
    ) -> Reloader {
        let mut watched = Watched::default();
        watched.have_read(contents);
        let mut secrets = Secrets::default();
        secrets.add(config.secrets.clone());
        // The series start at zero, so that the first reload shows as an increase.
        for result in ["done", "refused"] {
            RELOADS.add(0, &[KeyValue::new("isthmus.result", result)]);
        }
        Reloader {
            file: file.to_owned(),
            gateway,
            levels,
            log_filter: config.telemetry.log_filter.clone(),
            begun_with: config.others.clone(),
            warned: config.warnings.clone(),
            watched,
            again: None,
            secrets,
            manager: told.0,
            listen: told.1,
        }
    }

    /// Reloads on every SIGHUP and every change of a file, until `ends` is cancelled.
    pub async fn run(mut self, mut hangups: Hangups, ends: CancellationToken) {
        self.manager.ready(&self.status());
        let mut looks = interval(LOOKS_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let cause = tokio::select! {
                () = ends.cancelled() => return,
                () = hangups.next() => "SIGHUP",
                _ = looks.tick() => {
                    self.secrets.refresh().await;
                    match (self.look().await, self.again) {
                        (true, _) => "a file changed",
                        (false, Some(at)) if at <= Instant::now() => "the store prevented it",
                        (false, _) => continue,
                    }
                }
            };
            self.reload(cause).await;
        }
    }

    /// Reports whether a file has changed.
    async fn look(&mut self) -> bool {
        let paths = self.watched.paths();
        let now = tokio::task::spawn_blocking(move || files::look(&paths)).await;
        now.is_ok_and(|now| self.watched.changed(now))
    }

    async fn reload(&mut self, cause: &str) {
        self.manager.reloading();
        self.secrets.refresh().await;
        let result = match self.try_reload(cause).await {
            Ok(()) => "done",
            Err(problems) => {
                tracing::error!(cause, problems, "configuration not reloaded");
                "refused"
            }
        };
        RELOADS.add(1, &[KeyValue::new("isthmus.result", result)]);
        let refused = match result {
            "refused" => "; the last reload was refused, see the log",
            _ => "",
        };
        let status = self.status();
        self.manager.ready(&format!("{status}{refused}"));
    }

    fn status(&self) -> String {
        let backends = match self.gateway.backends().len() {
            1 => "1 backend".to_owned(),
            count => format!("{count} backends"),
        };
        format!("serving {backends} at {}", self.listen)
    }

    /// Reloads once. On error nothing is changed, and the error says why.
    async fn try_reload(&mut self, cause: &str) -> Result<(), String> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || read(&file)).await;
        let read = read.map_err(|error| format!("it could not be read: {error}"))?;
        self.watched.have_read(read.contents);
        self.again = None;
        let config = read.config.map_err(|problems| problems.to_string())?;
        let filter = config.telemetry.log_filter.as_deref();
        self.levels.set(filter).map_err(|error| error.to_string())?;
        let reloaded = match self.gateway.reload(config.backends).await {
            Ok(reloaded) => reloaded,
            Err(why) => {
                // The old filter was accepted before.
                let _ = self.levels.set(self.log_filter.as_deref());
                let passes = matches!(why, NotReloaded::Store(_));
                self.again = passes.then(|| Instant::now() + AGAIN);
                return Err(why.to_string());
            }
        };
        self.log_filter = config.telemetry.log_filter;
        self.secrets.add(config.secrets);
        tell(cause, &reloaded);
        let mut new = config.warnings.clone();
        new.retain(|warning| !self.warned.contains(warning));
        warn(&self.file, &new);
        self.warned = config.warnings;
        let fixed = needs_restart(&self.begun_with, &config.others).join(", ");
        if !fixed.is_empty() {
            tracing::warn!(keys = fixed, "a change needs a restart");
        }
        Ok(())
    }
}

fn tell(cause: &str, reloaded: &Reloaded) {
    let listed = |names: &[BackendName]| -> String {
        let names: Vec<&str> = names.iter().map(BackendName::as_str).collect();
        names.join(", ")
    };
    tracing::info!(
        cause,
        added = listed(&reloaded.added),
        changed = listed(&reloaded.changed),
        removed = listed(&reloaded.removed),
        kept = listed(&reloaded.kept),
        "configuration reloaded"
    );
}

/// Returns the keys that differ from the start and are only read there.
fn needs_restart(begun_with: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let mut keys: Vec<&String> = begun_with.keys().chain(now.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| *key != LEVELS && begun_with.get(*key) != now.get(*key));
    keys.into_iter().cloned().collect()
}
