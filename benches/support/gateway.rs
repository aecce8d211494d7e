//! The gateway as the command runs it: the same server, with logs on.

use isthmus::{
    core::{dialect::Dialect, gateway::Gateway, settings::BackendSettings},
    server, telemetry,
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Longer than any bench: what is counted are changes. Benches that are about silence say otherwise.
pub const NO_HEARTBEAT: Duration = Duration::from_secs(3600);

/// A gateway that serves until the process ends.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it serves.
    pub gateway: Arc<Gateway>,
    _telemetry: telemetry::Telemetry,
}

/// Serves one backend on a free port.
pub async fn serve(
    settings: BackendSettings,
    dialect: Arc<dyn Dialect>,
    heartbeat: Duration,
) -> Serving {
    let telemetry =
        telemetry::begin(&telemetry::Settings::default()).expect("nobody else writes logs here");
    let gateway = Gateway::start(vec![(settings, dialect)], heartbeat);
    let settings = server::Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..server::Settings::default()
    };
    let listener = settings.bind().await.expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    tokio::spawn(server::run(
        listener,
        Arc::clone(&gateway),
        settings,
        std::future::pending(),
    ));
    Serving {
        addr,
        gateway,
        _telemetry: telemetry,
    }
}
