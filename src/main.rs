//! The `isthmus` command: arguments, configuration, telemetry, registry, listener, run.

use clap::Parser;
use isthmus::{
    cli::{self, Cli, Command, Exit},
    config::{Config, LogFormat, Problems, Process},
    core::{dialect::Dialect, gateway::Gateway, settings::BackendSettings},
    dialects, server, telemetry,
};
use std::{error::Error, path::Path, process::ExitCode, sync::Arc};

#[tokio::main]
async fn main() -> ExitCode {
    // reqwest is built without a default provider, so that only ring is linked.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nobody else in this process has installed one");
    let exit = match Cli::parse().command {
        Command::Serve { config } => serve(&config).await,
        Command::Demo(args) => demo(&args).await,
        Command::CheckConfig { file, config } => check(&file.or(config).unwrap_or_default()),
        Command::Ask(question) => cli::ask(&question).await,
    };
    exit.into()
}

async fn serve(file: &Path) -> Exit {
    let (config, backends) = match read(file) {
        Ok(read) => read,
        Err(problems) => return wrong(&problems),
    };
    match run(config, backends).await {
        Ok(()) => Exit::Done,
        Err(error) => {
            eprintln!("isthmus: could not serve: {error}");
            Exit::CouldNotAsk
        }
    }
}

async fn run(config: Config, backends: Backends) -> Result<(), Box<dyn Error>> {
    let _telemetry = telemetry::begin(&telemetry::Settings {
        format: match config.telemetry.log {
            LogFormat::Text => telemetry::Format::Human,
            LogFormat::Json => telemetry::Format::Json,
        },
        filter: None,
        otlp_endpoint: config.telemetry.otlp_endpoint,
    })?;
    let stop = cli::signal::stop()?;
    let settings = server::Settings {
        listen: config.server.listen,
        allow_non_loopback: config.server.allow_non_loopback,
        max_connections: config.server.max_connections as usize,
        max_calls_per_connection: config.server.max_streams,
        drain_grace: config.server.drain,
        ..server::Settings::default()
    };
    let listener = settings
        .bind()
        .await
        .map_err(|error| format!("listening on {}: {error}", settings.listen))?;
    tracing::info!(listen = %listener.local_addr()?, backends = backends.len(), "serving");
    let gateway = Gateway::start(backends, config.watch.heartbeat);
    server::run(listener, Arc::clone(&gateway), settings, stop).await?;
    gateway.shut_down(config.server.drain).await;
    tracing::info!("ended");
    Ok(())
}

async fn demo(args: &cli::args::DemoArgs) -> Exit {
    // Lines of a log would be drawn over; whoever wants them asks for them.
    let filter = std::env::var_os("RUST_LOG")
        .is_none()
        .then(|| "off".to_owned());
    let settings = telemetry::Settings {
        filter,
        ..telemetry::Settings::default()
    };
    match telemetry::begin(&settings) {
        Ok(_telemetry) => cli::demo::run(args).await,
        Err(error) => {
            eprintln!("isthmus: {error}");
            Exit::Usage
        }
    }
}

fn check(file: &Path) -> Exit {
    match read(file) {
        Ok((config, _)) => {
            let names = config.backends.iter().map(|backend| backend.name.as_str());
            let names: Vec<&str> = names.collect();
            println!(
                "{}: nothing is wrong; backends: {}",
                file.display(),
                names.join(", ")
            );
            Exit::Done
        }
        Err(problems) => wrong(&problems),
    }
}

type Backends = Vec<(BackendSettings, Arc<dyn Dialect>)>;

/// Reads the configuration and binds a dialect to each backend, which sends nothing.
fn read(file: &Path) -> Result<(Config, Backends), Problems> {
    let mut backends = Vec::new();
    let config = Config::load(
        file,
        &Process,
        &mut |settings| match dialects::connect(settings) {
            Ok(dialect) => {
                backends.push((settings.clone(), dialect));
                Vec::new()
            }
            Err(violations) => violations,
        },
    )?;
    Ok((config, backends))
}

fn wrong(problems: &Problems) -> Exit {
    eprintln!("{problems}");
    Exit::Usage
}
