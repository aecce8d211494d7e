//! The hosts beside the clients: readers who never pause, and a neighbour who asks a little now and then, polls
//! what the gateway says of itself, removes what others made, and asks for names that no cloud knows.

use crate::{
    clouds::{Clouds, NSX, OPENSTACK, theirs},
    load::Greedy,
    network::{channel, until},
    plan::Plan,
    record::{Called, End, Greed, Junk, Record, Sample, end, now},
    store::Disk,
};
use isthmus::{
    core::watch::token::WriteToken,
    grpc::pb::{
        self, backend_service_client::BackendServiceClient,
        connection_service_client::ConnectionServiceClient,
        realization_service_client::RealizationServiceClient,
    },
};
use std::{future::Future, ops::Range, sync::Arc, time::Duration};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Request, Response, Status, transport::Channel};

/// How long somebody waits for an answer who asks a little.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// When it begins.
const BEGINS: Duration = Duration::from_secs(9);
/// How often it asks, and how often it polls what the gateway says of itself.
const ASKS: Duration = Duration::from_secs(1);
const SAMPLES: Duration = Duration::from_secs(5);
/// How long after the calls that used a name its token is handed back.
const LATER: Duration = Duration::from_secs(5);

/// What all of them share.
#[derive(Clone)]
pub struct Neighbours {
    pub record: Record,
    pub plan: Arc<Plan>,
    pub clouds: Clouds,
    /// The gateway's, if it has one.
    pub disk: Option<Disk>,
}

impl Neighbours {
    /// What a host does on which somebody reads without a pause.
    pub async fn read(self, greedy: Greedy) -> turmoil::Result {
        until(greedy.from).await;
        let channel = channel(false);
        let mut loops = JoinSet::new();
        for number in 0..greedy.loops {
            let (this, greedy, channel) = (self.clone(), greedy.clone(), channel.clone());
            loops.spawn(async move { this.read_on(&greedy, channel, number).await });
        }
        let answered = loops.join_all().await.iter().sum();
        self.record.was_greedy(Greed {
            backend: greedy.backend,
            from: greedy.from,
            to: greedy.to,
            answered,
        });
        Ok(())
    }

    async fn read_on(&self, greedy: &Greedy, channel: Channel, number: usize) -> usize {
        let mut client = ConnectionServiceClient::new(channel);
        let mut ids = self.clouds.ids(greedy.backend);
        let mut answered = 0;
        for turn in number.. {
            if now() >= greedy.to {
                break;
            }
            let done = if greedy.lists || ids.is_empty() {
                let request = pb::ListConnectionsRequest {
                    parent: format!("backends/{}", greedy.backend),
                    ..pb::ListConnectionsRequest::default()
                };
                client.list_connections(within(request)).await.map(drop)
            } else {
                let id = &ids[turn % ids.len()];
                let name = name(greedy.backend, id);
                let request = pb::GetConnectionRequest { name };
                client.get_connection(within(request)).await.map(drop)
            };
            match done {
                Ok(()) => answered += 1,
                Err(_) => {
                    ids = self.clouds.ids(greedy.backend);
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        answered
    }

    /// What the host of the neighbour does.
    pub async fn live(self) -> turmoil::Result {
        until(BEGINS).await;
        let channel = channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(self.clone().ask(channel.clone()));
        tasks.spawn(self.clone().sample(channel.clone()));
        let load = self.plan.load.clone().unwrap_or_default();
        if let Some((from, backend, numbers)) = load.sweep {
            let sweep = self.clone().sweep(channel.clone(), from, backend, numbers);
            tasks.spawn(sweep);
        }
        if let Some((from, count)) = load.junk {
            for number in 0..count {
                let from = from + Duration::from_millis(100 * number as u64);
                tasks.spawn(self.clone().junk(channel.clone(), from, number));
            }
        }
        let end = self.plan.end;
        // When it is over, whatever is open is left.
        let _ = timeout(end.saturating_sub(now()), tasks.join_all()).await;
        Ok(())
    }

    /// Reads one connection, and then another, a call at a time.
    async fn ask(self, channel: Channel) {
        let mut client = ConnectionServiceClient::new(channel);
        for backend in [NSX, OPENSTACK].into_iter().cycle() {
            sleep(ASKS).await;
            let Some(id) = self.clouds.ids(backend).into_iter().next() else {
                continue;
            };
            let name = name(backend, &id);
            let request = pb::GetConnectionRequest { name: name.clone() };
            let call = client.get_connection(within(request));
            self.call("a connection", name, call).await;
        }
    }

    async fn call<T>(
        &self,
        what: &'static str,
        name: String,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> bool {
        let at = now();
        let failed = call.await.err().map(|status| why(&status));
        let done = failed.is_none();
        self.record.called(Called {
            what,
            name,
            at,
            ended: now(),
            failed,
        });
        done
    }

    /// Polls what the gateway says of itself.
    async fn sample(self, channel: Channel) {
        let mut client = BackendServiceClient::new(channel);
        loop {
            sleep(SAMPLES).await;
            for backend in [NSX, OPENSTACK] {
                let name = format!("backends/{backend}");
                let request = pb::GetBackendRequest { name };
                let Ok(answer) = client.get_backend(within(request)).await else {
                    continue;
                };
                let budget = answer.into_inner().backend.and_then(|it| it.budget);
                let watched = budget.map_or(0, |budget| budget.watched_connections);
                let kept = self.disk.as_ref().map(Disk::names);
                self.record.sampled(Sample {
                    at: now(),
                    backend,
                    watched: watched as usize,
                    live: self.clouds.ids(backend),
                    kept: kept.unwrap_or_default(),
                });
            }
        }
    }

    /// Removes connections of somebody else's through the gateway.
    async fn sweep(
        self,
        channel: Channel,
        from: Duration,
        backend: &'static str,
        numbers: Range<u32>,
    ) {
        until(from).await;
        let mut client = ConnectionServiceClient::new(channel);
        for number in numbers {
            let name = name(backend, &theirs(backend, number));
            let request = pb::DeleteConnectionRequest {
                name: name.clone(),
                ..pb::DeleteConnectionRequest::default()
            };
            let call = client.delete_connection(within(request));
            self.call("a removal", name, call).await;
        }
    }

    /// Asks in several ways for a name that no cloud knows, and comes back later with the token that it was given.
    async fn junk(self, channel: Channel, from: Duration, number: usize) {
        until(from).await;
        let backend = if number.is_multiple_of(2) {
            NSX
        } else {
            OPENSTACK
        };
        let name = name(backend, &format!("no-such-{number}"));
        let mut client = RealizationServiceClient::new(channel);
        let forged = pb::WatchRealizationRequest {
            name: name.clone(),
            write_token: WriteToken::new(name.clone(), 1, 1).encode(),
            ..pb::WatchRealizationRequest::default()
        };
        let _ = client.watch_realization(within(forged)).await;
        let polled = pb::GetRealizationRequest {
            name: name.clone(),
            ..pb::GetRealizationRequest::default()
        };
        let _ = client.get_realization(within(polled)).await;
        let gone = pb::WatchRealizationRequest {
            name: name.clone(),
            goal: pb::Goal::Gone.into(),
            ..pb::WatchRealizationRequest::default()
        };
        let Ok(answer) = client.watch_realization(within(gone)).await else {
            return;
        };
        let (mut stream, mut token) = (answer.into_inner(), String::new());
        while let Ok(Some(message)) = stream.message().await {
            token = message.resume_token;
        }
        drop(stream);
        let over = now();
        if token.is_empty() {
            return;
        }
        sleep(LATER).await;
        let resumed = now();
        let again = pb::WatchRealizationRequest {
            name: name.clone(),
            goal: pb::Goal::Gone.into(),
            resume_token: token,
            ..pb::WatchRealizationRequest::default()
        };
        let refused = client.watch_realization(within(again)).await;
        self.record.asked_for_junk(Junk {
            name,
            over,
            resumed,
            refused: refused.err().map(|status| why(&status)),
        });
    }
}

fn name(backend: &str, id: &str) -> String {
    format!("backends/{backend}/connections/{id}")
}

fn why(status: &Status) -> String {
    match end(status) {
        End::Told { reason, code } if reason.is_empty() => format!("{code:?}"),
        End::Told { reason, .. } => reason,
        // The call's deadline is kept at both ends, and ours may be the first.
        End::Ok | End::Broken | End::Left => "no answer".to_owned(),
    }
}

fn within<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}
