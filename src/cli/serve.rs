//! `serve`: runs the gateway from its configuration to its shutdown, and reloads the configuration in between.

mod files;
mod notify;
mod reload;
mod secrets;
mod watchdog;

use crate::{
    cli::{
        check::Bound,
        exit::Exit,
        signal::{self, Hangups},
    },
    config::LogFormat,
    core::gateway::Gateway,
    server,
    store::RedbStore,
    telemetry::{self, Telemetry},
};
use notify::Manager;
use reload::Reloader;
use std::{error::Error, mem, path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Time after the drain to commit the last of the log and to export the last spans.
const LAST_THINGS: Duration = Duration::from_secs(15);

/// Runs the gateway until SIGINT or SIGTERM. The process needs a TLS provider.
pub async fn run(file: &Path) -> Exit {
    // Installed first, so that an early SIGHUP does not end the process. It causes a reload instead.
    let hangups = match Hangups::begin() {
        Ok(hangups) => hangups,
        Err(error) => {
            eprintln!("isthmus: could not serve: no signals: {error}");
            return Exit::CouldNotAsk;
        }
    };
    let read = reload::read(file);
    let config = match read.config {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return Exit::Usage;
        }
    };
    let read = (config, read.contents);
    match serve(file, read, hangups).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("isthmus: could not serve: {error}");
            match error.downcast_ref() {
                Some(telemetry::Error::Filter(_)) => Exit::Usage,
                _ => Exit::CouldNotAsk,
            }
        }
    }
}

async fn serve(
    file: &Path,
    (mut config, contents): (Bound, files::Contents),
    hangups: Hangups,
) -> Result<(), Box<dyn Error>> {
    let settings = settings(&config);
    let telemetry = telemetry(&config)?;
    reload::warn(file, &config.warnings);
    let stop = signal::stop()?;
    let manager = Manager::of_process();
    let listener = settings
        .bind()
        .await
        .map_err(|error| format!("listening on {}: {error}", settings.listen))?;
    let gateway = gateway(&mut config).await?;
    let listen = listener.local_addr()?;
    tracing::info!(
        %listen,
        metrics = telemetry.metrics_address().map(tracing::field::display),
        backends = gateway.backends().len(),
        "serving"
    );

    let ends = CancellationToken::new();
    let told = (manager.clone(), listen);
    let levels = telemetry.levels();
    let reloader = Reloader::new(file, &config, contents, Arc::clone(&gateway), levels, told);
    // Shutdown does not wait for this task: a reload that waits for a write must not delay it.
    let reloads = tokio::spawn(reloader.run(hangups, ends.clone()));
    let watchdog = notify::watchdog().map(|period| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(watchdog::run(
            gateway,
            manager.clone(),
            period,
            ends.clone(),
        ))
    });
    let drain = config.server.drain;
    let shutdown = async {
        stop.await;
        ends.cancel();
        // One drain period for calls, and one for writes.
        manager.stopping(2 * drain + LAST_THINGS);
    };
    server::run(listener, Arc::clone(&gateway), settings, shutdown).await?;
    gateway.shut_down(drain).await;
    reloads.abort();
    if let Some(watchdog) = watchdog {
        watchdog.abort();
    }
    tracing::info!("ended");
    Ok(())
}

fn telemetry(config: &Bound) -> Result<Telemetry, telemetry::Error> {
    telemetry::begin(&telemetry::Settings {
        format: match config.telemetry.log {
            LogFormat::Text => telemetry::Format::Human,
            LogFormat::Json => telemetry::Format::Json,
        },
        filter: config.telemetry.log_filter.clone(),
        otlp_endpoint: config.telemetry.otlp_endpoint.clone(),
        metrics_listen: config.telemetry.metrics_listen,
        allow_non_loopback: config.telemetry.allow_non_loopback,
        trace_sample: Some(config.telemetry.trace_sample),
    })
}

async fn gateway(config: &mut Bound) -> Result<Arc<Gateway>, Box<dyn Error>> {
    let backends = mem::take(&mut config.backends);
    let heartbeat = config.watch.heartbeat;
    let Some(path) = &config.store.path else {
        tracing::info!("no [store]: positions and write tokens of watches end with this process");
        return Ok(Gateway::start(backends, heartbeat));
    };
    let store = Arc::new(RedbStore::open(path).await?);
    Ok(Gateway::start_with_store(backends, heartbeat, store).await?)
}

fn settings(config: &Bound) -> server::Settings {
    const MIB: usize = 1024 * 1024;
    let server = &config.server;
    server::Settings {
        listen: server.listen,
        allow_non_loopback: server.allow_non_loopback,
        max_connections: server.max_connections as usize,
        max_connections_per_address: server.max_connections_per_address as usize,
        max_opening: server.max_opening as usize,
        max_calls: server.max_calls as usize,
        max_calls_per_connection: server.max_streams,
        max_unfinished: server.max_unfinished as usize,
        max_buffered_bytes: server.max_buffered_mib as usize * MIB,
        max_buffered_bytes_per_connection: server.max_buffered_mib_per_connection as usize * MIB,
        preface_timeout: server.preface_timeout,
        request_timeout: server.request_timeout,
        answer_timeout: server.answer_timeout,
        drain_grace: server.drain,
        max_connection_age: server.max_connection_age,
        stall: config.watch.stall,
        ..server::Settings::default()
    }
}
