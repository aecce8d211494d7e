//! Those who behave: a thousand watches, two watches over everything, and calls at a modest rate, each with a deadline.

use crate::{
    clouds::{Clouds, NEUTRON, NSX, WATCHED},
    support::{
        process::{self, Commands},
        report::{Table, number, percentile},
    },
};
use futures_util::{StreamExt, stream};
use isthmus::grpc::pb::{
    self, backend_service_client::BackendServiceClient,
    connection_service_client::ConnectionServiceClient,
    realization_service_client::RealizationServiceClient, watch_realization_response::Event,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tonic::{
    Code, Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Watched connections in each cloud, and streams of `WatchRealization` on each.
const CONNECTIONS: usize = 100;
const STREAMS: usize = 5;
/// HTTP/2 connections that share the streams.
const CHANNELS: usize = 20;
/// A stream is silent for longer than its heartbeats (15 s) allow for.
const SILENCE: Duration = Duration::from_secs(25);
/// How long an outcome may take. Neutron's updates are not provable before 75 s of quiet.
const OUTCOME: Duration = Duration::from_secs(60);
const QUIET_OUTCOME: Duration = Duration::from_secs(200);

/// How calls of one kind went.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Kind {
    milliseconds: Vec<f64>,
    failed: BTreeMap<String, usize>,
}

/// How all of them went since it was asked last.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Told(BTreeMap<String, Kind>);

impl Told {
    /// As a table.
    pub fn print(mut self) {
        let mut table = Table::new(&["call", "in time", "p50 ms", "p99 ms", "longest", "failed"]);
        for (name, kind) in &mut self.0 {
            let times = &mut kind.milliseconds;
            let failed: Vec<String> = kind
                .failed
                .iter()
                .map(|(why, count)| format!("{why}: {count}"))
                .collect();
            table.row(vec![
                name.clone(),
                times.len().to_string(),
                number(percentile(times, 0.5)),
                number(percentile(times, 0.99)),
                number(percentile(times, 1.0)),
                failed.join(", "),
            ]);
        }
        table.print();
    }
}

#[derive(Debug, Clone, Default)]
struct Book(Arc<Mutex<Told>>);

impl Book {
    fn note(&self, kind: &str, result: Result<Duration, String>) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = told.0.entry(kind.to_owned()).or_default();
        match result {
            Ok(time) => kind.milliseconds.push(time.as_secs_f64() * 1e3),
            Err(why) => *kind.failed.entry(why).or_default() += 1,
        }
    }

    fn take(&self) -> Told {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A call that is to be answered within its deadline.
    async fn call<T>(
        &self,
        kind: &str,
        deadline: Duration,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Option<T> {
        let begun = Instant::now();
        // A little longer than the deadline that the gateway was told.
        let result = timeout(deadline + Duration::from_millis(250), call).await;
        let (noted, answer) = match result {
            Ok(Ok(answer)) => (Ok(begun.elapsed()), Some(answer)),
            Ok(Err(status)) => (Err(format!("{:?}", status.code())), None),
            Err(_) => (Err("no answer".to_owned()), None),
        };
        self.note(kind, noted);
        answer
    }
}

fn request<T>(message: T, deadline: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    request
}

#[derive(Clone)]
struct Customer {
    addr: SocketAddr,
    channel: Channel,
    clouds: Clouds,
    book: Book,
}

/// Makes the connections, opens the watches, and then calls until the bench is gone.
pub async fn run((addr, clouds): (SocketAddr, Clouds)) {
    let endpoint = Endpoint::from_shared(format!("http://{addr}")).expect("an address");
    let book = Book::default();
    let customer = |channel: Channel| Customer {
        addr,
        channel,
        clouds: clouds.clone(),
        book: book.clone(),
    };
    let channels: Vec<Customer> = (0..CHANNELS)
        .map(|_| customer(endpoint.connect_lazy()))
        .collect();
    let maker = channels[0].clone();
    let wanted = [NSX, NEUTRON]
        .into_iter()
        .flat_map(|backend| std::iter::repeat_n(backend, CONNECTIONS));
    let names: Vec<String> = stream::iter(wanted)
        .map(|backend| maker.create(backend, WATCHED, Duration::from_secs(60)))
        .buffer_unordered(8)
        .map(|made| made.expect("the cloud takes it").0)
        .collect()
        .await;
    for (number, name) in names.iter().cycle().take(names.len() * STREAMS).enumerate() {
        let (customer, name) = (channels[number % CHANNELS].clone(), name.clone());
        tokio::spawn(async move { customer.watch(name).await });
    }
    for backend in [NSX, NEUTRON] {
        let one = customer(endpoint.connect_lazy());
        tokio::spawn(one.clone().watch_all(backend));
        tokio::spawn(one.clone().read(backend, names.clone()));
        tokio::spawn(one.clone().list(backend));
        tokio::spawn(one.write(backend));
    }
    tokio::spawn(customer(endpoint.connect_lazy()).ask_health());
    book.take();
    process::answer(&());
    let mut commands = Commands::begin();
    while let Some(()) = commands.next().await {
        process::answer(&book.take());
    }
}

impl Customer {
    fn connections(&self) -> ConnectionServiceClient<Channel> {
        ConnectionServiceClient::new(self.channel.clone())
    }

    fn realizations(&self) -> RealizationServiceClient<Channel> {
        RealizationServiceClient::new(self.channel.clone())
    }

    /// Makes a connection: its name, and the write's token.
    async fn create(
        &self,
        backend: &str,
        display_name: &str,
        deadline: Duration,
    ) -> Option<(String, String)> {
        let create = pb::CreateConnectionRequest {
            parent: format!("backends/{backend}"),
            connection: Some(self.clouds.connection(backend, display_name)),
            ..Default::default()
        };
        let mut client = self.connections();
        let call = client.create_connection(request(create, deadline));
        let kind = format!("create {backend}");
        let made = self.book.call(&kind, deadline, call).await?.into_inner();
        Some((made.connection?.name, made.write_token))
    }

    /// Follows one connection for ever.
    async fn watch(self, name: String) {
        let mut request = pb::WatchRealizationRequest {
            name,
            ..Default::default()
        };
        loop {
            let ended = self.follow(&mut request).await;
            self.book.note("a watch goes on", Err(ended));
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Until it breaks: why. Each message is noted with the time since the one before it.
    async fn follow(&self, request: &mut pb::WatchRealizationRequest) -> String {
        let opened = self.realizations().watch_realization(request.clone()).await;
        let mut messages = match opened {
            Ok(answer) => answer.into_inner(),
            Err(status) => return format!("{:?}", status.code()),
        };
        loop {
            let begun = Instant::now();
            match timeout(SILENCE, messages.message()).await {
                Err(_) => return "silent".to_owned(),
                Ok(Err(status)) => return format!("{:?}", status.code()),
                Ok(Ok(None)) => return "ended".to_owned(),
                Ok(Ok(Some(message))) => {
                    request.resume_token = message.resume_token;
                    if let Some(Event::Heartbeat(beat)) = &message.event
                        && beat.stale
                    {
                        self.book.note("a watch goes on", Err("stale".to_owned()));
                    }
                    self.book.note("a watch goes on", Ok(begun.elapsed()));
                }
            }
        }
    }

    /// Follows every connection of a backend for ever.
    async fn watch_all(self, backend: &str) {
        let mut request = pb::WatchRealizationsRequest {
            parent: format!("backends/{backend}"),
            snapshot_if_compacted: true,
            ..Default::default()
        };
        let kind = format!("a watch over {backend} goes on");
        loop {
            let opened = self
                .realizations()
                .watch_realizations(request.clone())
                .await;
            let ended = match opened {
                Err(status) => format!("{:?}", status.code()),
                Ok(answer) => {
                    let mut messages = answer.into_inner();
                    loop {
                        let begun = Instant::now();
                        match timeout(SILENCE, messages.message()).await {
                            Ok(Ok(Some(message))) => {
                                request.resume_token = message.resume_token;
                                self.book.note(&kind, Ok(begun.elapsed()));
                            }
                            Err(_) => break "silent".to_owned(),
                            Ok(Ok(None)) => break "ended".to_owned(),
                            Ok(Err(status)) => break format!("{:?}", status.code()),
                        }
                    }
                }
            };
            self.book.note(&kind, Err(ended));
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Reads a connection of a backend every second.
    async fn read(self, backend: &'static str, names: Vec<String>) {
        const DEADLINE: Duration = Duration::from_secs(5);
        let parent = format!("backends/{backend}/");
        let names = names
            .iter()
            .filter(|name| name.starts_with(&parent))
            .cycle();
        let mut tick = every(Duration::from_secs(1));
        for name in names {
            tick.tick().await;
            let get = pb::GetConnectionRequest { name: name.clone() };
            let mut client = self.connections();
            let call = client.get_connection(request(get, DEADLINE));
            self.book
                .call(&format!("get {backend}"), DEADLINE, call)
                .await;
            let get = pb::GetBackendRequest {
                name: format!("backends/{backend}"),
            };
            let mut client = BackendServiceClient::new(self.channel.clone());
            let call = client.get_backend(request(get, Duration::from_secs(1)));
            self.book
                .call("get backend", Duration::from_secs(1), call)
                .await;
        }
    }

    /// Lists a backend every ten seconds.
    async fn list(self, backend: &'static str) {
        const DEADLINE: Duration = Duration::from_secs(10);
        let mut tick = every(Duration::from_secs(10));
        loop {
            tick.tick().await;
            let list = pb::ListConnectionsRequest {
                parent: format!("backends/{backend}"),
                page_size: 50,
                ..Default::default()
            };
            let mut client = self.connections();
            let call = client.list_connections(request(list, DEADLINE));
            self.book
                .call(&format!("list {backend}"), DEADLINE, call)
                .await;
        }
    }

    /// Makes a connection every half minute, changes and removes it, and waits for each outcome.
    async fn write(self, backend: &'static str) {
        const DEADLINE: Duration = Duration::from_secs(20);
        let mut tick = every(Duration::from_secs(30));
        loop {
            tick.tick().await;
            let Some((name, token)) = self.create(backend, "written", DEADLINE).await else {
                continue;
            };
            self.outcome(backend, "create", &name, token, OUTCOME).await;
            let mut connection = pb::Connection {
                name: name.clone(),
                ..Default::default()
            };
            // NSX wants the key again.
            connection.peer = self
                .clouds
                .connection(backend, "")
                .peer
                .map(|peer| pb::Peer {
                    address: "198.51.100.21".to_owned(),
                    ..peer
                });
            let update = pb::UpdateConnectionRequest {
                connection: Some(connection),
                update_mask: Some(prost_types::FieldMask {
                    paths: vec!["peer.address".to_owned(), "peer.psk".to_owned()],
                }),
                ..Default::default()
            };
            let mut client = self.connections();
            let call = client.update_connection(request(update, DEADLINE));
            let kind = format!("update {backend}");
            if let Some(done) = self.book.call(&kind, DEADLINE, call).await {
                let token = done.into_inner().write_token;
                let patience = if backend == NSX {
                    OUTCOME
                } else {
                    QUIET_OUTCOME
                };
                self.outcome(backend, "update", &name, token, patience)
                    .await;
            }
            let delete = pb::DeleteConnectionRequest {
                name: name.clone(),
                ..Default::default()
            };
            let mut client = self.connections();
            let call = client.delete_connection(request(delete, DEADLINE));
            let kind = format!("delete {backend}");
            if let Some(done) = self.book.call(&kind, DEADLINE, call).await {
                let token = done.into_inner().write_token;
                self.outcome(backend, "delete", &name, token, OUTCOME).await;
            }
        }
    }

    async fn outcome(
        &self,
        backend: &str,
        write: &str,
        name: &str,
        write_token: String,
        patience: Duration,
    ) {
        let watch = pb::WatchRealizationRequest {
            name: name.to_owned(),
            write_token,
            ..Default::default()
        };
        let mut client = self.realizations();
        let follow = async {
            let opened = client.watch_realization(request(watch, patience)).await?;
            let mut messages = opened.into_inner();
            while let Some(message) = messages.message().await? {
                if let Some(outcome) = message.outcome {
                    return match outcome.result() {
                        pb::outcome::Result::Succeeded => Ok(()),
                        other => Err(Status::new(Code::Aborted, format!("{other:?}"))),
                    };
                }
            }
            Err(Status::internal("the stream ended without an outcome"))
        };
        let kind = format!("outcome of {write} {backend}");
        self.book.call(&kind, patience, follow).await;
    }

    /// Asks for the gateway's health every second, each time on a connection of its own.
    async fn ask_health(self) {
        const DEADLINE: Duration = Duration::from_secs(1);
        let mut tick = every(Duration::from_secs(1));
        loop {
            tick.tick().await;
            let endpoint = Endpoint::from_shared(format!("http://{}", self.addr));
            let ask = async {
                let channel = endpoint.expect("an address").connect().await;
                let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
                let check = request(HealthCheckRequest::default(), DEADLINE);
                HealthClient::new(channel).check(check).await
            };
            self.book.call("health", DEADLINE, ask).await;
        }
    }
}

fn every(time: Duration) -> tokio::time::Interval {
    let mut tick = interval(time);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tick
}
