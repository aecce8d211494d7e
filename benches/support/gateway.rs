//! The gateway as the command runs it: the same server, with logs on.

use isthmus::{
    core::{dialect::Dialect, gateway::Gateway, settings::BackendSettings},
    dialects::{self, settings::Given},
    server,
    store::RedbStore,
    telemetry,
};
use std::{env, fs, net::SocketAddr, process, sync::Arc, time::Duration};

/// Longer than any bench: what is counted are changes. Benches that are about silence say otherwise.
pub const NO_HEARTBEAT: Duration = Duration::from_secs(3600);

/// As the command has it by default.
pub const HEARTBEAT: Duration = Duration::from_secs(15);

/// A gateway that serves until the process ends.
#[derive(Debug)]
pub struct Serving {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it serves.
    pub gateway: Arc<Gateway>,
    _telemetry: telemetry::Telemetry,
}

/// Serves one backend on a free port; with a log on disk if it is `durable`, else in memory.
pub async fn serve(
    settings: BackendSettings,
    dialect: Arc<dyn Dialect>,
    heartbeat: Duration,
    durable: bool,
) -> Serving {
    let limits = server::Settings::default();
    serve_within(limits, settings, dialect, heartbeat, durable).await
}

/// The same with these limits of the server.
pub async fn serve_within(
    limits: server::Settings,
    settings: BackendSettings,
    dialect: Arc<dyn Dialect>,
    heartbeat: Duration,
    durable: bool,
) -> Serving {
    let told = telemetry::Settings::default();
    let backends = vec![(settings, dialect)];
    start(limits, backends, heartbeat, durable, &told).await
}

/// The same with its log in memory, telling of itself what is said here.
pub async fn serve_telling(
    settings: BackendSettings,
    dialect: Arc<dyn Dialect>,
    told: &telemetry::Settings,
) -> Serving {
    serve_over(vec![(settings, dialect)], NO_HEARTBEAT, false, told).await
}

/// The same over several backends, with the dialects that their settings name.
pub async fn serve_all(backends: Vec<Given>, heartbeat: Duration, durable: bool) -> Serving {
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("nobody else has");
    let connected = backends.into_iter().map(|given| {
        let dialect = dialects::connect(&given).expect("the settings work");
        (given.core, dialect)
    });
    let told = telemetry::Settings::default();
    serve_over(connected.collect(), heartbeat, durable, &told).await
}

/// The same over several backends.
pub async fn serve_over(
    backends: Vec<(BackendSettings, Arc<dyn Dialect>)>,
    heartbeat: Duration,
    durable: bool,
    told: &telemetry::Settings,
) -> Serving {
    let limits = server::Settings::default();
    start(limits, backends, heartbeat, durable, told).await
}

async fn start(
    limits: server::Settings,
    backends: Vec<(BackendSettings, Arc<dyn Dialect>)>,
    heartbeat: Duration,
    durable: bool,
    told: &telemetry::Settings,
) -> Serving {
    let telemetry = telemetry::begin(told).expect("nobody else writes logs here");
    let gateway = match durable {
        true => start_with_store(backends, heartbeat).await,
        false => Gateway::start(backends, heartbeat),
    };
    let settings = server::Settings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..limits
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

async fn start_with_store(
    backends: Vec<(BackendSettings, Arc<dyn Dialect>)>,
    heartbeat: Duration,
) -> Arc<Gateway> {
    let file = env::temp_dir().join(format!("isthmus-bench-{}.redb", process::id()));
    let store = RedbStore::open(&file).await.expect("a new file");
    // It stays open without a name, and is gone when this process is, however that ends.
    fs::remove_file(&file).expect("it was just made");
    let gateway = Gateway::start_with_store(backends, heartbeat, Arc::new(store)).await;
    gateway.expect("an empty store")
}
