//! `demo`: two simulated clouds, the gateway over them, and the realization of a connection on each.
//!
//! Nothing is staged: the simulators are HTTP servers, the gateway is the one that `serve` runs, and all that is shown
//! comes through a gRPC client. With `--trouble` the clouds really fail.

mod clouds;
mod lines;
mod trouble;

use crate::{
    address::is_loopback,
    cli::{
        args::DemoArgs,
        demo::{
            clouds::{Clouds, Plan},
            lines::Subject,
        },
        exit::Exit,
        gateway::{Gateway as Client, answer},
        names::short,
        progress,
        screen::{Row, Screen},
        show::failed,
        signal,
    },
    core::gateway::Gateway,
    dialects,
    grpc::pb::{
        self, CreateConnectionRequest, Goal, WatchRealizationRequest, WatchRealizationResponse,
        outcome, watch_realization_response::Event,
    },
    server,
    store::RedbStore,
    telemetry,
};
use std::{
    future,
    io::{self, Write},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    sync::mpsc,
    time::{Instant, sleep, timeout_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::Status;

/// The timeout of both outcomes.
const PATIENCE: Duration = Duration::from_secs(20);

/// The heartbeat interval of watches in the demo.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// The pause before a background watch is reopened.
const AGAIN: Duration = Duration::from_secs(2);

/// How long calls in flight may take to end when the demo ends.
const DRAIN: Duration = Duration::from_secs(2);

/// Runs the demo until ctrl-c, or with `once` until both outcomes are in.
pub async fn run(args: &DemoArgs) -> Exit {
    // Log lines would be overwritten by the screen, so the log is off unless RUST_LOG is set.
    let log = telemetry::Settings {
        filter: std::env::var_os("RUST_LOG")
            .is_none()
            .then(|| "off".to_owned()),
        metrics_listen: args.metrics_listen,
        ..telemetry::Settings::default()
    };
    match telemetry::begin(&log) {
        Ok(_telemetry) => perform(args).await,
        Err(error @ telemetry::Error::Filter(_)) => {
            could_not("begin", &error);
            Exit::Usage
        }
        Err(error) => could_not("begin", &error),
    }
}

async fn perform(args: &DemoArgs) -> Exit {
    let stop = match signal::stop() {
        Ok(stop) => stop,
        Err(error) => return could_not("wait for signals", &error),
    };
    tokio::pin!(stop);
    let settings = server::Settings {
        listen: args.listen,
        drain_grace: DRAIN,
        ..server::Settings::default()
    };
    let listener = match settings.bind().await {
        Ok(listener) => listener,
        Err(error) => return could_not_listen(args.listen, &error),
    };
    let stage = match Stage::set(listener, settings).await {
        Ok(stage) => stage,
        Err(error) => return could_not("start the simulated clouds", &error),
    };
    let mut made = Vec::new();
    let exit = tokio::select! {
        shown = stage.show(args.once, &mut made) => match shown {
            Ok(exit) => exit,
            Err(error) => could_not("show it", &error),
        },
        () = &mut stop => Exit::CouldNotAsk,
    };
    // Whatever became of the connections, the gateway stays up to be asked about them.
    let serves = matches!(exit, Exit::Done | Exit::Failed | Exit::Deadline);
    let mut watching = Vec::new();
    if serves && !args.once {
        if args.trouble.is_some() {
            watching.extend(made.iter().map(|made| watch_on(stage.address, made)));
        }
        tokio::select! {
            () = stage.serve_on(args.trouble) => {}
            () = &mut stop => {}
        }
    }
    stage.clear().await;
    // Dropped last, so that it is the drain that ends their streams.
    drop(watching);
    exit
}

/// Everything that runs.
struct Stage {
    address: SocketAddr,
    clouds: Clouds,
    gateway: Arc<Gateway>,
    server: AbortOnDropHandle<io::Result<()>>,
    shutdown: CancellationToken,
    /// The folder of the store, removed with the demo.
    _folder: TempDir,
}

impl Stage {
    async fn set(listener: TcpListener, settings: server::Settings) -> io::Result<Stage> {
        let clouds = Clouds::start()?;
        let mut backends = Vec::new();
        for backend in clouds.backends() {
            let dialect = dialects::connect(&backend).map_err(|violations| {
                let words = violations
                    .iter()
                    .map(|v| format!("{}: {}", v.field, v.description));
                io::Error::other(words.collect::<Vec<_>>().join("; "))
            })?;
            backends.push((backend.core, dialect));
        }
        let address = listener.local_addr()?;
        let folder = tempfile::tempdir()?;
        let store = RedbStore::open(&folder.path().join("log.redb")).await;
        let store = Arc::new(store.map_err(io::Error::other)?);
        let gateway = Gateway::start_with_store(backends, HEARTBEAT, store).await;
        let gateway = gateway.map_err(io::Error::other)?;
        let shutdown = CancellationToken::new();
        let serving = server::run(
            listener,
            Arc::clone(&gateway),
            settings,
            shutdown.clone().cancelled_owned(),
        );
        Ok(Stage {
            address,
            clouds,
            gateway,
            server: AbortOnDropHandle::new(tokio::spawn(serving)),
            shutdown,
            _folder: folder,
        })
    }

    /// Creates a connection on each cloud, shows the progress of both, and prints what to try next.
    ///
    /// # Errors
    /// If the output cannot be written.
    async fn show(&self, once: bool, made: &mut Vec<Made>) -> io::Result<Exit> {
        let mut out = io::stdout();
        writeln!(
            out,
            "The gateway listens on {}. Two simulated clouds are behind it:",
            self.address
        )?;
        for (name, address) in self.clouds.addresses() {
            writeln!(out, "  {name:<14}  {address}")?;
        }
        let client = match Client::at(&self.address.to_string()) {
            Ok(client) => client,
            Err(why) => return Ok(could_not("speak to the gateway", &why)),
        };
        for plan in self.clouds.plans() {
            match create(&client, plan).await {
                Ok(new) => made.push(new),
                Err((plan, status)) => {
                    let doing = format!("create a connection on {}", plan.backend);
                    return Ok(failed(&doing, &status, &client));
                }
            }
        }
        writeln!(
            out,
            "\nA connection was created on each, through gRPC. How far they have come:\n"
        )?;
        let exit = follow(&client, made).await?;
        if once || matches!(exit, Exit::CouldNotAsk | Exit::Usage) {
            return Ok(exit);
        }
        if let [nsx, openstack] = &made[..] {
            let program = std::env::args()
                .next()
                .unwrap_or_else(|| "isthmus".to_owned());
            let subject = Subject {
                address: self.address,
                program: &program,
                nsx: &nsx.name,
                openstack: &openstack.name,
                write_token: &nsx.write_token,
            };
            writeln!(
                out,
                "\nPaste into another terminal:\n\n{}\n",
                lines::lines(&subject)
            )?;
        }
        writeln!(out, "Serving on until ctrl-c.")?;
        Ok(exit)
    }

    /// Plays the trouble, if any, with this many seconds per phase. Never returns.
    async fn serve_on(&self, trouble: Option<u64>) {
        if let Some(seconds) = trouble {
            let step = Duration::from_secs(seconds);
            if let Err(error) = trouble::play(&self.clouds, step, &mut io::stdout()).await {
                could_not("go on with the trouble", &error);
            }
        }
        future::pending().await
    }

    async fn clear(self) {
        self.shutdown.cancel();
        match self.server.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("isthmus: the server ended with: {error}"),
            Err(error) => eprintln!("isthmus: the server broke: {error}"),
        }
        self.gateway.shut_down(DRAIN).await;
    }
}

/// A connection that was created.
struct Made {
    plan: Plan,
    name: String,
    write_token: String,
}

async fn create(client: &Client, plan: Plan) -> Result<Made, (Plan, Status)> {
    let request = CreateConnectionRequest {
        parent: format!("backends/{}", plan.backend),
        connection: Some(plan.connection.clone()),
        ..CreateConnectionRequest::default()
    };
    match answer(client.connections().create_connection(request)).await {
        Ok(response) => Ok(Made {
            plan,
            name: response.connection.unwrap_or_default().name,
            write_token: response.write_token,
        }),
        Err(status) => Err((plan, status)),
    }
}

/// Watches a connection until the handle is dropped, and reopens the stream whenever it ends.
fn watch_on(address: SocketAddr, made: &Made) -> AbortOnDropHandle<()> {
    let request = WatchRealizationRequest {
        name: made.name.clone(),
        ..WatchRealizationRequest::default()
    };
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            if let Ok(client) = Client::at(&address.to_string()) {
                let (sender, mut receiver) = mpsc::channel(1);
                let read = async { while receiver.recv().await.is_some() {} };
                tokio::join!(watch(client, request.clone(), 0, sender), read);
            }
            sleep(AGAIN).await;
        }
    }))
}

/// Watches all connections concurrently until every outcome is in, or the timeout passes.
async fn follow(client: &Client, made: &[Made]) -> io::Result<Exit> {
    let mut screen = Screen::stdout(made.iter().map(row).collect());
    screen.begin()?;
    let (sender, mut receiver) = mpsc::channel(64);
    let mut watching = Vec::new();
    for (index, made) in made.iter().enumerate() {
        // Each watch has a channel of its own, as the contract advises.
        let client = match Client::at(&client.endpoint) {
            Ok(client) => client,
            Err(why) => return Err(io::Error::other(why)),
        };
        let request = WatchRealizationRequest {
            name: made.name.clone(),
            goal: made.plan.goal.into(),
            write_token: made.write_token.clone(),
            ..WatchRealizationRequest::default()
        };
        let task = tokio::spawn(watch(client, request, index, sender.clone()));
        watching.push(AbortOnDropHandle::new(task));
    }
    drop(sender);
    let deadline = Instant::now() + PATIENCE;
    let mut exit = Exit::Done;
    let mut outcomes = 0;
    while outcomes < made.len() {
        let Ok(heard) = timeout_at(deadline, receiver.recv()).await else {
            eprintln!("isthmus: no outcome of every connection within {PATIENCE:?}");
            return Ok(Exit::Deadline);
        };
        let Some((index, heard)) = heard else {
            return Ok(Exit::CouldNotAsk);
        };
        let message = match heard {
            Ok(message) => message,
            Err(status) => {
                return Ok(failed(
                    &format!("watch {}", made[index].name),
                    &status,
                    client,
                ));
            }
        };
        screen.show(index, &message)?;
        if message.outcome.is_some() {
            outcomes += 1;
            if let Err(why) = as_it_should_be(&made[index].plan, &message) {
                eprintln!("isthmus: {}: {why}", short(&made[index].name));
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn row(made: &Made) -> Row {
    let goal = match made.plan.goal {
        Goal::TunnelUp => "until a tunnel is up",
        _ => "until the configuration is in place",
    };
    Row {
        label: made.plan.backend.to_owned(),
        title: format!("{}, {goal}:", short(&made.name)),
        ..Row::default()
    }
}

/// Forwards every message of one watch, and its error if the stream breaks.
async fn watch(
    client: Client,
    request: WatchRealizationRequest,
    index: usize,
    sender: mpsc::Sender<(usize, Result<WatchRealizationResponse, Status>)>,
) {
    let mut stream = match client.realizations().watch_realization(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => {
            // If the receiver is gone, the demo is over.
            let _ = sender.send((index, Err(status))).await;
            return;
        }
    };
    loop {
        let heard = match stream.message().await {
            Ok(Some(message)) => Ok(message),
            Ok(None) => return,
            Err(status) => Err(status),
        };
        if sender.send((index, heard)).await.is_err() {
            return;
        }
    }
}

/// Checks that an outcome is a success, in exactly the state that the plan expects.
fn as_it_should_be(plan: &Plan, message: &WatchRealizationResponse) -> Result<(), String> {
    let seen = match &message.event {
        Some(Event::Snapshot(seen) | Event::Change(seen)) => seen,
        Some(Event::Heartbeat(_)) | None => return Err("an outcome without evidence".to_owned()),
    };
    let result = message.outcome.as_ref().map(pb::Outcome::result);
    if result != Some(outcome::Result::Succeeded) {
        return Err(format!(
            "no success, in state {}",
            progress::state(seen.state)
        ));
    }
    if seen.state() != plan.state {
        return Err(format!(
            "the goal was reached in state {}, not in {}",
            progress::state(seen.state),
            progress::state(plan.state.into())
        ));
    }
    Ok(())
}

fn could_not_listen(address: SocketAddr, error: &io::Error) -> Exit {
    if error.kind() == io::ErrorKind::AddrInUse {
        eprintln!(
            "isthmus: {address} is taken, perhaps by another gateway. Choose another port, or any free one:\n  \
             isthmus demo --listen {}:0",
            address.ip()
        );
        return Exit::CouldNotAsk;
    }
    if !is_loopback(address.ip()) {
        eprintln!("isthmus: the demo listens on loopback only: 127.0.0.1 or [::1], not {address}");
        return Exit::Usage;
    }
    could_not(&format!("listen on {address}"), error)
}

fn could_not(what: &str, why: &dyn std::fmt::Display) -> Exit {
    eprintln!("isthmus: could not {what}: {why}");
    Exit::CouldNotAsk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_in_the_expected_state_is_as_it_should_be() {
        let plan = Plan {
            backend: "a",
            connection: pb::Connection::default(),
            goal: pb::Goal::TunnelUp,
            state: pb::RealizationState::Active,
        };
        let ended =
            |state: pb::RealizationState, result: outcome::Result| WatchRealizationResponse {
                event: Some(Event::Change(pb::Realization {
                    state: state.into(),
                    ..Default::default()
                })),
                outcome: Some(pb::Outcome {
                    result: result.into(),
                    reason: None,
                }),
                ..Default::default()
            };
        use outcome::Result::{Failed, Succeeded};
        use pb::RealizationState::{Active, Realized};
        assert_eq!(as_it_should_be(&plan, &ended(Active, Succeeded)), Ok(()));
        for wrong in [ended(Realized, Succeeded), ended(Active, Failed)] {
            assert!(as_it_should_be(&plan, &wrong).is_err());
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_told_apart() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let args = DemoArgs {
            once: true,
            listen: taken.local_addr().unwrap(),
            metrics_listen: None,
            trouble: None,
        };
        assert_eq!(perform(&args).await, Exit::CouldNotAsk);
    }
}
