//! Reads the configuration again, at SIGHUP and when one of its files says something else, and has the gateway go on with
//! it. What is wrong with it changes nothing.

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

/// How often the files are looked at. A change is taken up at the second look that finds it.
const LOOKS_EVERY: Duration = Duration::from_secs(2);

/// When a configuration that was in order is tried again, after the store was not.
const AGAIN: Duration = Duration::from_secs(10);

/// The only key outside the backends that can be changed while the gateway runs.
const LEVELS: &str = "telemetry.log_filter";

/// A configuration, as it was read, and what was read of which file.
pub struct Read {
    /// The configuration, or what is wrong with it.
    pub config: Result<Bound, Problems>,
    /// What its files said.
    pub contents: Contents,
}

/// Reads it, and takes note of every file that belongs to it. Blocks.
pub fn read(file: &Path) -> Read {
    let around = Noting::default();
    // Before it is read: what changes in between is read once more, and not missed.
    let own = files::content(file);
    let config = check::read_around(file, &around);
    let mut contents = around.read(config.is_ok());
    contents.insert(file.to_owned(), own);
    Read { config, contents }
}

/// Says what works and is dangerous.
pub fn warn(file: &Path, warnings: &[Problem]) {
    for warning in warnings {
        let at = warning.place(&file.display().to_string());
        tracing::warn!(at, "{}", warning.message);
    }
}

/// What the gateway runs with, and how it gets another.
pub struct Reloader {
    file: PathBuf,
    gateway: Arc<Gateway>,
    levels: Levels,
    log_filter: Option<String>,
    /// What the keys outside the backends said at the start.
    begun_with: BTreeMap<String, u64>,
    /// What was said of the configuration that works and is dangerous.
    warned: Vec<Problem>,
    watched: Watched,
    /// When the last one is tried again, if the store was in its way: no file changes by that being in order again.
    again: Option<Instant>,
    secrets: Secrets,
    manager: Manager,
    /// What systemd shows of this process, but for how many backends there are.
    listen: SocketAddr,
}

impl Reloader {
    /// One for a gateway that runs with this configuration, of which the backends are not needed any more.
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
        // So that the first one is seen to be one more.
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

    /// Reloads whenever that is asked for by `hangups`, or by a file, until `ends`.
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
                        (false, Some(at)) if at <= Instant::now() => "the store was in the way",
                        (false, _) => continue,
                    }
                }
            };
            self.reload(cause).await;
        }
    }

    /// Whether a file has changed.
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

    /// Fails with what is wrong; nothing is changed then.
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
                // It was accepted before.
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

/// The keys that say something else than at the start and are only read there.
fn needs_restart(begun_with: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> Vec<String> {
    let mut keys: Vec<&String> = begun_with.keys().chain(now.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| *key != LEVELS && begun_with.get(*key) != now.get(*key));
    keys.into_iter().cloned().collect()
}
