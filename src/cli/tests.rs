//! The commands against a gateway that follows a test's script.

mod apply;
mod fake;
pub mod keys;
mod resources;
mod sites;
mod writes;

use crate::{
    cli::{
        Exit,
        args::{Cli, Command},
        gateway::{Gateway, Printer},
        print,
        question::Output,
        text::Style,
    },
    grpc::pb::{
        self, realization_service_server::RealizationService,
        realization_service_server::RealizationServiceServer,
    },
};
use clap::Parser;
use std::{
    collections::VecDeque,
    io::{self, Write},
    pin::Pin,
    sync::{Arc, Mutex},
};
use tokio::net::TcpListener;
use tokio_stream::{Stream, StreamExt, wrappers::TcpListenerStream};
use tonic::{Request, Response, Status};

type Many = Vec<Result<pb::WatchRealizationsResponse, Status>>;
type Messages = Vec<Result<pb::WatchRealizationResponse, Status>>;

/// The answers of the gateway, in order, and the requests that it received.
#[derive(Clone, Default)]
struct Script {
    watches: Arc<Mutex<VecDeque<Messages>>>,
    waits: Arc<Mutex<VecDeque<Result<pb::WaitRealizationResponse, Status>>>>,
    watched: Arc<Mutex<Vec<pb::WatchRealizationRequest>>>,
    waited: Arc<Mutex<Vec<pb::WaitRealizationRequest>>>,
    /// The messages of a watch over many, after which it stays silent. Without them the call fails.
    many: Arc<Mutex<Option<Many>>>,
    statistics: Arc<Mutex<Option<pb::TunnelStatistics>>>,
    /// The services whose calls are answered by name.
    fake: fake::Fake,
}

#[tonic::async_trait]
impl RealizationService for Script {
    type WatchRealizationStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchRealizationResponse, Status>> + Send>>;
    type WatchRealizationsStream =
        Pin<Box<dyn Stream<Item = Result<pb::WatchRealizationsResponse, Status>> + Send>>;

    async fn get_tunnel_statistics(
        &self,
        request: Request<pb::GetTunnelStatisticsRequest>,
    ) -> Result<Response<pb::GetTunnelStatisticsResponse>, Status> {
        let statistics = self.statistics.lock().unwrap().clone();
        let statistics = statistics.ok_or_else(|| Status::unimplemented("not in this script"))?;
        Ok(Response::new(pb::GetTunnelStatisticsResponse {
            statistics: Some(pb::TunnelStatistics {
                name: request.into_inner().name,
                ..statistics
            }),
        }))
    }

    async fn get_realization(
        &self,
        _: Request<pb::GetRealizationRequest>,
    ) -> Result<Response<pb::GetRealizationResponse>, Status> {
        Err(Status::unimplemented("not in this script"))
    }

    async fn watch_realization(
        &self,
        request: Request<pb::WatchRealizationRequest>,
    ) -> Result<Response<Self::WatchRealizationStream>, Status> {
        self.watched.lock().unwrap().push(request.into_inner());
        let messages = self.watches.lock().unwrap().pop_front();
        // Without a script left, the stream stays silent.
        match messages {
            Some(messages) => Ok(Response::new(Box::pin(tokio_stream::iter(messages)))),
            None => Ok(Response::new(Box::pin(tokio_stream::pending()))),
        }
    }

    async fn watch_realizations(
        &self,
        _: Request<pb::WatchRealizationsRequest>,
    ) -> Result<Response<Self::WatchRealizationsStream>, Status> {
        match self.many.lock().unwrap().take() {
            Some(messages) => {
                let messages = tokio_stream::iter(messages).chain(tokio_stream::pending());
                Ok(Response::new(Box::pin(messages)))
            }
            None => Err(Status::unavailable("not in this script")),
        }
    }

    async fn wait_realization(
        &self,
        request: Request<pb::WaitRealizationRequest>,
    ) -> Result<Response<pb::WaitRealizationResponse>, Status> {
        self.waited.lock().unwrap().push(request.into_inner());
        let answer = self.waits.lock().unwrap().pop_front();
        answer
            .unwrap_or_else(|| Err(Status::internal("the script has ended")))
            .map(Response::new)
    }
}

/// A buffer with what was printed.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Serves the script and runs one command line against it. Returns the exit code and the output.
async fn run(script: &Script, line: &str) -> (Exit, String) {
    let (endpoint, server) = serve(script).await;
    let ended = run_at(&endpoint, line).await;
    drop(server);
    ended
}

/// Serves the script until the handle is dropped.
async fn serve(
    script: &Script,
) -> (
    String,
    tokio_util::task::AbortOnDropHandle<Result<(), tonic::transport::Error>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder()
        .add_service(RealizationServiceServer::new(script.clone()))
        .add_service(fake::Of::<{ fake::CONNECTIONS }>(script.fake.clone()))
        .add_service(fake::Of::<{ fake::POLICIES }>(script.fake.clone()))
        .add_service(fake::Of::<{ fake::TOPOLOGY }>(script.fake.clone()))
        .add_service(fake::Of::<{ fake::BACKENDS }>(script.fake.clone()))
        .serve_with_incoming(TcpListenerStream::new(listener).map(|stream| stream));
    let server = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(server));
    (endpoint, server)
}

async fn run_at(endpoint: &str, line: &str) -> (Exit, String) {
    let words = ["isthmus"].into_iter().chain(line.split(' '));
    let Command::Ask(question) = Cli::try_parse_from(words).unwrap().command else {
        panic!("{line} asks nobody")
    };
    let screen = Screen::default();
    let output: Output = question.client().output;
    let mut printer = Printer::new(Box::new(screen.clone()), output, Style::Plain);
    let gateway = Gateway::at(endpoint).unwrap();
    let exit = print(&question, &gateway, &mut printer).await.unwrap();
    let printed = String::from_utf8(screen.0.lock().unwrap().clone()).unwrap();
    (exit, printed)
}

fn seen(state: pb::RealizationState, token: &str) -> pb::WatchRealizationResponse {
    pb::WatchRealizationResponse {
        event: Some(pb::watch_realization_response::Event::Change(
            pb::Realization {
                state: state.into(),
                ..Default::default()
            },
        )),
        resume_token: token.to_owned(),
        ..Default::default()
    }
}

fn ended(
    result: pb::outcome::Result,
    message: pb::WatchRealizationResponse,
) -> pb::WatchRealizationResponse {
    pb::WatchRealizationResponse {
        outcome: Some(pb::Outcome {
            result: result.into(),
            reason: None,
        }),
        ..message
    }
}

fn success() -> pb::WatchRealizationResponse {
    let message = seen(pb::RealizationState::Realized, "t9");
    ended(pb::outcome::Result::Succeeded, message)
}

#[tokio::test]
async fn a_watch_prints_each_message_and_ends_with_its_outcome() {
    let script = Script::default();
    let failure = ended(
        pb::outcome::Result::Failed,
        seen(pb::RealizationState::Failed, "t2"),
    );
    for (last, exit) in [(success(), Exit::Done), (failure, Exit::Failed)] {
        let messages = vec![Ok(seen(pb::RealizationState::Pending, "t1")), Ok(last)];
        script.watches.lock().unwrap().push_back(messages);
        let line = "watch a/1 --goal config --write-token w --accept-partial";
        let (ended, printed) = run(&script, line).await;
        assert_eq!(ended, exit);
        assert!(printed.contains("PENDING"), "{printed}");
    }
    let asked = &script.watched.lock().unwrap()[0];
    assert_eq!(asked.name, "backends/a/connections/1");
    assert_eq!(asked.goal(), pb::Goal::Config);
    assert_eq!(asked.write_token, "w");
    assert!(asked.accept_partial && !asked.include_tunnel);
}

#[tokio::test]
async fn a_watch_that_breaks_off_is_opened_again_where_it_was() {
    let script = Script::default();
    {
        let mut watches = script.watches.lock().unwrap();
        watches.push_back(vec![
            Ok(seen(pb::RealizationState::Pending, "t1")),
            Err(Status::unavailable("the gateway is shutting down")),
        ]);
        watches.push_back(vec![Err(Status::unavailable("not yet"))]);
        // A stream that ends with OK and no outcome breaks the contract, and is not an outcome.
        watches.push_back(vec![Ok(seen(pb::RealizationState::InProgress, "t2"))]);
        watches.push_back(vec![Ok(success())]);
    }
    let (exit, printed) = run(&script, "watch a/1 --goal config -o json").await;
    assert_eq!(exit, Exit::Done);
    assert_eq!(printed.lines().count(), 3, "{printed}");
    assert!(
        printed.lines().all(|line| line.starts_with('{')),
        "{printed}"
    );
    let watched = script.watched.lock().unwrap();
    let resumed: Vec<(&str, bool)> = watched
        .iter()
        .map(|request| (request.resume_token.as_str(), request.snapshot_if_compacted))
        .collect();
    assert_eq!(
        resumed,
        [("", false), ("t1", true), ("t1", true), ("t2", true)]
    );
}

#[tokio::test]
async fn a_watch_ends_when_its_time_is_up() {
    let script = Script::default();
    let (exit, printed) = run(&script, "watch a/1 --timeout 50ms").await;
    assert_eq!((exit, printed.as_str()), (Exit::Deadline, ""));
}

#[tokio::test]
async fn a_watch_that_is_refused_is_not_tried_again() {
    for (status, exit) in [
        (Status::invalid_argument("the name"), Exit::Usage),
        (Status::not_found("no such connection"), Exit::CouldNotAsk),
        (Status::unavailable("the cloud is away"), Exit::CouldNotAsk),
    ] {
        let script = Script::default();
        script.watches.lock().unwrap().push_back(vec![Err(status)]);
        assert_eq!(run(&script, "watch a/1").await.0, exit);
        assert_eq!(script.watched.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    // Bound but never listening: connections are refused, and the port stays reserved.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    for line in [
        "watch a/1",
        "wait a/1",
        "get a/1",
        "list",
        "list ike-policies",
        "backends",
        "backends a",
        "delete dpd-policy a/1",
        "statistics a/1",
    ] {
        assert_eq!(run_at(&endpoint, line).await.0, Exit::CouldNotAsk, "{line}");
    }
}

#[tokio::test]
async fn waiting_says_where_it_stands_and_how_it_ended() {
    let script = Script::default();
    let realization = Some(pb::Realization {
        state: pb::RealizationState::Active.into(),
        assurance: pb::Assurance::TunnelUp.into(),
        native_state: "ACTIVE".to_owned(),
        ..Default::default()
    });
    let outcome = Some(pb::Outcome {
        result: pb::outcome::Result::Succeeded.into(),
        reason: None,
    });
    for outcome in [outcome, None] {
        script
            .waits
            .lock()
            .unwrap()
            .push_back(Ok(pb::WaitRealizationResponse {
                realization: realization.clone(),
                outcome,
            }));
    }
    let (exit, printed) = run(&script, "wait a/1 --timeout 7s").await;
    assert_eq!(exit, Exit::Done);
    assert!(
        printed.contains("ACTIVE       tunnel-up       ACTIVE\n"),
        "{printed}"
    );
    assert!(printed.ends_with("the goal is reached\n"), "{printed}");
    let (exit, _) = run(&script, "wait a/1 --write-token w").await;
    assert_eq!(exit, Exit::Deadline);
    let waited = script.waited.lock().unwrap();
    assert_eq!(waited[0].goal(), pb::Goal::Config);
    assert_eq!(waited[0].timeout.map(|timeout| timeout.seconds), Some(6));
    assert_eq!(waited[1].goal(), pb::Goal::Unspecified);
}
