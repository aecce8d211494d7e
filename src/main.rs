//! The `isthmus` command: arguments, configuration, telemetry, registry, listener, run.

use clap::Parser;
use isthmus::{
    cli::{self, Cli, Command, Exit, check::Bound},
    config::LogFormat,
    core::gateway::Gateway,
    server,
    store::RedbStore,
    telemetry,
};
use std::{error::Error, path::Path, process::ExitCode, sync::Arc};

/// What is freed goes back to the kernel. 200 lists of 1.3 MB that nobody read, their connections closed, and after 15 s
/// 200 small calls, in MiB (one run each; the peaks are the same within what runs differ):
///
/// | allocator | at the start | at the peak | closed | after the calls |
/// | --- | --- | --- | --- | --- |
/// | glibc | 29 | 575 | 464 | 464 |
/// | glibc, two arenas, fixed thresholds of 128 KiB | 26 | 530 | 462 | 462 |
/// | mimalloc | 37 | 505 | 349 | 77 |
/// | mimalloc with `MIMALLOC_PURGE_DELAY=0` | 37 | 454 | 67 | 66 |
/// | jemalloc | 31 | 479 | 270 | 240 |
/// | jemalloc with a background thread | 28 | 459 | 45 | 44 |
///
/// jemalloc needs make and more than a minute of CPU to build, and that thread has to be asked for from outside;
/// mimalloc is one C file, and a C compiler is what ring needs as well. Measured with unoptimized builds, which say nothing
/// of the CPU; `benches/memory.rs` measures both with this one.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    // reqwest is built without a default provider, so that only ring is linked.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nobody else in this process has installed one");
    let exit = match Cli::parse().command {
        Command::Serve { config } => serve(&config).await,
        #[cfg(feature = "demo")]
        Command::Demo(args) => cli::demo::run(&args).await,
        #[cfg(not(feature = "demo"))]
        Command::Demo(_) => cli::no_demo(),
        Command::CheckConfig { file, config } => {
            cli::check::run(&file.or(config).unwrap_or_default())
        }
        Command::Explain { reason } => cli::explain::run(reason.as_deref()),
        Command::Completions { shell } => cli::completions(shell),
        Command::Ask(question) => cli::ask(&question).await,
    };
    exit.into()
}

async fn serve(file: &Path) -> Exit {
    let config = match cli::check::read(file) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return Exit::Usage;
        }
    };
    match run(file, config).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("isthmus: could not serve: {error}");
            Exit::CouldNotAsk
        }
    }
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
        stall: config.watch.stall,
        ..server::Settings::default()
    }
}

async fn run(file: &Path, config: Bound) -> Result<(), Box<dyn Error>> {
    let settings = settings(&config);
    let _telemetry = telemetry::begin(&telemetry::Settings {
        format: match config.telemetry.log {
            LogFormat::Text => telemetry::Format::Human,
            LogFormat::Json => telemetry::Format::Json,
        },
        filter: None,
        otlp_endpoint: config.telemetry.otlp_endpoint,
    })?;
    for warning in &config.warnings {
        let at = warning.place(&file.display().to_string());
        tracing::warn!(at, "{}", warning.message);
    }
    let stop = cli::signal::stop()?;
    let listener = settings
        .bind()
        .await
        .map_err(|error| format!("listening on {}: {error}", settings.listen))?;
    let heartbeat = config.watch.heartbeat;
    let gateway = match &config.store.path {
        Some(path) => {
            let store = Arc::new(RedbStore::open(path).await?);
            Gateway::start_with_store(config.backends, heartbeat, store).await?
        }
        None => {
            tracing::info!(
                "no [store]: positions and write tokens of watches end with this process"
            );
            Gateway::start(config.backends, heartbeat)
        }
    };
    tracing::info!(listen = %listener.local_addr()?, backends = gateway.backends().len(), "serving");
    server::run(listener, Arc::clone(&gateway), settings, stop).await?;
    gateway.shut_down(config.server.drain).await;
    tracing::info!("ended");
    Ok(())
}
