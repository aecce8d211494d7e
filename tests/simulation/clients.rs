//! The clients: writers who wait for their writes, and watchers who stay, resume and are slow. Each host draws what
//! it does from its own seed.

use crate::{
    bugs::{Opened, Tamper},
    clouds::{NSX, OPENSTACK, RESTLESS},
    network::{channel, until},
    plan::Plan,
    record::{Asked, End, Message, Record, Watcher, Write, end, now, of_many, of_one},
    support::clouds::{References, nsx_connection},
};
use http::Method;
use isthmus::{
    grpc::pb::{
        self, connection_service_client::ConnectionServiceClient,
        realization_service_client::RealizationServiceClient,
    },
    simulator::openstack::Inventory,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Request, Status, Streaming, transport::Channel};

/// One client host.
#[derive(Clone)]
pub struct Client {
    pub number: usize,
    pub record: Record,
    pub plan: Arc<Plan>,
    /// Connections that are there for anybody to watch.
    pub board: Board,
    /// What stands between the gateway and this client.
    pub tamper: Tamper,
    /// How many watchers it has had.
    pub watchers: Arc<AtomicUsize>,
}

/// When a connection that has long been in place is changed.
const CHANGE_AT: Duration = Duration::from_secs(52);

/// Connections by name, and whether they never rest.
pub type Board = Arc<Mutex<BTreeMap<String, bool>>>;

impl Client {
    /// Everything this host does, until the run ends.
    pub async fn run(self) -> turmoil::Result {
        let end = self.plan.end;
        // When it is over, whatever is open is left.
        let _ = timeout(end.saturating_sub(now()), self.work()).await;
        Ok(())
    }

    async fn work(self) {
        let mut rng = fastrand::Rng::with_seed(self.plan.seed ^ (0xC11E + self.number as u64));
        // Apart from the rest, so that what is written does not depend on who watches.
        let mut writing = rng.fork();
        let mut tasks = JoinSet::new();
        let normal = channel(false);
        if self.number == 0 {
            for backend in [NSX, OPENSTACK] {
                for description in ["", RESTLESS] {
                    let made = self.create(&normal, backend, description, &mut rng).await;
                    let Some((name, write, token)) = made else {
                        continue;
                    };
                    let restless = description == RESTLESS && backend == NSX;
                    self.board.lock().unwrap().insert(name.clone(), restless);
                    let asked = Asked {
                        name: name.clone(),
                        write: Some(write),
                        ..Asked::default()
                    };
                    let (client, rng) = (self.clone(), rng.fork());
                    let watcher = self.watcher();
                    let channel = normal.clone();
                    tasks.spawn(
                        async move { client.follow(channel, watcher, asked, token, rng).await },
                    );
                    if backend == OPENSTACK && description.is_empty() {
                        let (client, watcher) = (self.clone(), self.watcher());
                        let (channel, rng) = (normal.clone(), writing.fork());
                        tasks
                            .spawn(async move { client.change(channel, watcher, name, rng).await });
                    }
                }
            }
        }
        until(Duration::from_secs(8)).await;
        let board: Vec<(String, bool)> = {
            let board = self.board.lock().unwrap();
            board.iter().map(|(name, it)| (name.clone(), *it)).collect()
        };
        for watcher in 0..self.plan.watchers {
            let mut asked = Asked {
                snapshot_if_compacted: rng.bool(),
                ..Asked::default()
            };
            match watcher % 6 {
                4 => {
                    asked.many = true;
                    asked.name = match rng.u8(0..3) {
                        0 => "backends/-".to_owned(),
                        1 => format!("backends/{NSX}"),
                        _ => format!("backends/{OPENSTACK}"),
                    };
                }
                5 => {
                    asked.slow = true;
                    let restless = board.iter().find(|(_, restless)| *restless);
                    asked.name = restless.map(|(name, _)| name.clone()).unwrap_or_default();
                }
                // Somebody who waits for what never comes keeps the restless one polled quickly.
                0 if self.number == 0 => {
                    let restless = board.iter().find(|(_, restless)| *restless);
                    asked.name = restless.map(|(name, _)| name.clone()).unwrap_or_default();
                    asked.goal = pb::Goal::Gone;
                }
                _ if !board.is_empty() => {
                    asked.name = board[rng.usize(0..board.len())].0.clone();
                    asked.deadline = (watcher % 6 == 3 && self.plan.deadlines)
                        .then(|| Duration::from_secs(rng.u64(20..60)));
                }
                _ => {}
            }
            if asked.name.is_empty() {
                continue;
            }
            let channel = if asked.slow {
                channel(true)
            } else {
                normal.clone()
            };
            let (client, rng) = (self.clone(), rng.fork());
            let watcher = self.watcher();
            tasks.spawn(async move {
                client
                    .follow(channel, watcher, asked, String::new(), rng)
                    .await
            });
        }
        if self.plan.load.is_some() && self.number == 0 {
            self.watch_all(&mut tasks, &normal);
            self.wait_in_vain(&mut tasks, &normal, &board);
        }
        let client = self.clone();
        tasks.spawn(async move { client.write(normal, &mut writing).await });
        while tasks.join_next().await.is_some() {}
    }

    /// Watches everything there is, and somewhat later the tunnels, too.
    fn watch_all(&self, tasks: &mut JoinSet<()>, channel: &Channel) {
        let rng = fastrand::Rng::with_seed(self.plan.seed);
        for (name, tunnel) in [
            ("backends/-".to_owned(), false),
            (format!("backends/{NSX}"), false),
            (format!("backends/{NSX}"), true),
        ] {
            let asked = Asked {
                name,
                tunnel,
                many: true,
                snapshot_if_compacted: true,
                ..Asked::default()
            };
            let (client, channel, mut rng) = (self.clone(), channel.clone(), rng.clone());
            let watcher = self.watcher();
            tasks.spawn(async move {
                if tunnel {
                    sleep(Duration::from_secs_f64(2.0 + 4.0 * rng.f64())).await;
                }
                client
                    .follow(channel, watcher, asked, String::new(), rng)
                    .await;
            });
        }
    }

    /// Waits for what never comes: the end of connections that stay.
    fn wait_in_vain(&self, tasks: &mut JoinSet<()>, channel: &Channel, board: &[(String, bool)]) {
        for (name, _) in board.iter().filter(|(_, restless)| !restless) {
            let asked = Asked {
                name: name.clone(),
                goal: pb::Goal::Gone,
                ..Asked::default()
            };
            let (client, channel) = (self.clone(), channel.clone());
            let rng = fastrand::Rng::with_seed(self.plan.seed);
            let watcher = self.watcher();
            tasks.spawn(async move {
                client
                    .follow(channel, watcher, asked, String::new(), rng)
                    .await;
            });
        }
    }

    /// Changes a connection once, and waits for it.
    async fn change(
        self,
        channel: Channel,
        watcher: Watcher,
        name: String,
        mut rng: fastrand::Rng,
    ) {
        until(CHANGE_AT).await;
        if let Some((write, token)) = self.update(&channel, &name, &mut rng).await {
            let asked = Asked {
                name,
                goal: pb::Goal::Config,
                write: Some(write),
                ..Asked::default()
            };
            self.follow(channel, watcher, asked, token, rng).await;
        }
    }

    /// Makes, changes and removes connections, and waits for each.
    async fn write(self, channel: Channel, rng: &mut fastrand::Rng) {
        let mut tasks = JoinSet::new();
        for _ in 0..self.plan.rounds {
            sleep(Duration::from_secs_f64(10.0 * rng.f64())).await;
            if now() >= self.plan.calm {
                break;
            }
            let backend = if rng.bool() { NSX } else { OPENSTACK };
            let Some((name, write, token)) = self.create(&channel, backend, "", rng).await else {
                continue;
            };
            let goal = drawn_goal(rng);
            self.await_write(&mut tasks, &channel, &name, goal, write, &token, rng);
            sleep(Duration::from_secs_f64(2.0 + 30.0 * rng.f64())).await;
            if rng.bool() {
                if let Some((write, token)) = self.update(&channel, &name, rng).await {
                    let goal = drawn_goal(rng);
                    self.await_write(&mut tasks, &channel, &name, goal, write, &token, rng);
                }
                sleep(Duration::from_secs_f64(2.0 + 20.0 * rng.f64())).await;
            }
            if rng.u8(0..3) > 0
                && let Some((write, token)) = self.delete(&channel, &name).await
            {
                let goal = pb::Goal::Unspecified;
                self.await_write(&mut tasks, &channel, &name, goal, write, &token, rng);
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    #[allow(clippy::too_many_arguments, reason = "what a watch is opened with")]
    fn await_write(
        &self,
        tasks: &mut JoinSet<()>,
        channel: &Channel,
        name: &str,
        goal: pb::Goal,
        write: usize,
        token: &str,
        rng: &mut fastrand::Rng,
    ) {
        for _ in 0..1 + rng.usize(0..2) {
            let asked = Asked {
                name: name.to_owned(),
                goal,
                write: Some(write),
                ..Asked::default()
            };
            let (client, channel, token) = (self.clone(), channel.clone(), token.to_owned());
            let (watcher, rng) = (self.watcher(), rng.fork());
            tasks.spawn(async move { client.follow(channel, watcher, asked, token, rng).await });
        }
    }

    fn watcher(&self) -> Watcher {
        Watcher(self.number, self.watchers.fetch_add(1, Ordering::Relaxed))
    }

    async fn create(
        &self,
        channel: &Channel,
        backend: &'static str,
        description: &str,
        rng: &mut fastrand::Rng,
    ) -> Option<(String, usize, String)> {
        let mut connection = if backend == NSX {
            nsx_connection(backend)
        } else {
            let project = Inventory::fixed().project;
            let references = References {
                vpn_service: project.service_id.to_owned(),
                ike_policy: project.ike_policy_id.to_owned(),
                ipsec_policy: project.ipsec_policy_id.to_owned(),
                local_endpoint_group: project.local_group_id.to_owned(),
                peer_endpoint_group: project.peer_group_id.to_owned(),
            };
            references.connection(backend)
        };
        connection.description = description.to_owned();
        if let Some(peer) = &mut connection.peer {
            peer.address = format!("198.51.100.{}", rng.u8(20..250));
        }
        let request = pb::CreateConnectionRequest {
            parent: format!("backends/{backend}"),
            connection: Some(connection),
            validate_only: false,
            ..Default::default()
        };
        let asked = now();
        let answer = ConnectionServiceClient::new(channel.clone())
            .create_connection(within(request))
            .await;
        let answer = self.answered("POST", answer)?;
        let name = answer.connection.map(|it| it.name).unwrap_or_default();
        let write = self.wrote(&name, Method::POST, asked);
        Some((name, write, answer.write_token))
    }

    async fn update(
        &self,
        channel: &Channel,
        name: &str,
        rng: &mut fastrand::Rng,
    ) -> Option<(usize, String)> {
        let mut connection = pb::Connection {
            name: name.to_owned(),
            ..pb::Connection::default()
        };
        // Something that has to be realized: a name is only stored by Neutron.
        let path = if name.starts_with(&format!("backends/{NSX}/")) {
            connection.display_name = format!("branch {}", rng.u32(..));
            "display_name"
        } else {
            connection.mtu = Some(rng.u32(1280..1500));
            "mtu"
        };
        let request = pb::UpdateConnectionRequest {
            connection: Some(connection),
            update_mask: Some(prost_types::FieldMask {
                paths: vec![path.into()],
            }),
            validate_only: false,
            ..Default::default()
        };
        let asked = now();
        let answer = ConnectionServiceClient::new(channel.clone())
            .update_connection(within(request))
            .await;
        let answer = self.answered("PUT", answer)?;
        let write = self.wrote(name, Method::PUT, asked);
        Some((write, answer.write_token))
    }

    async fn delete(&self, channel: &Channel, name: &str) -> Option<(usize, String)> {
        let request = pb::DeleteConnectionRequest {
            name: name.to_owned(),
            ..pb::DeleteConnectionRequest::default()
        };
        let asked = now();
        let answer = ConnectionServiceClient::new(channel.clone())
            .delete_connection(within(request))
            .await;
        let answer = self.answered("DELETE", answer)?;
        let write = self.wrote(name, Method::DELETE, asked);
        Some((write, answer.write_token))
    }

    fn wrote(&self, name: &str, method: Method, asked: Duration) -> usize {
        self.record.wrote(Write {
            name: name.to_owned(),
            method,
            asked,
            answered: now(),
        })
    }

    fn answered<T>(&self, what: &str, answer: Result<tonic::Response<T>, Status>) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer.into_inner()),
            Err(status) => {
                let text = format!("client {} {what}: {:?}", self.number, end(&status));
                self.record.line(text);
                None
            }
        }
    }

    /// One watcher: opens its watch again with its last token, until it has its outcome.
    async fn follow(
        self,
        channel: Channel,
        watcher: Watcher,
        mut asked: Asked,
        mut write_token: String,
        mut rng: fastrand::Rng,
    ) {
        let first = asked.clone();
        loop {
            let Opened {
                asked: tampered,
                refused,
            } = self.tamper.open(&asked);
            let stream = self.record.opened(self.number, watcher, asked.clone());
            let (reason, token) = match refused {
                Some(end) => (self.ended(stream, end), String::new()),
                None => self.watch(&channel, stream, &tampered, &write_token).await,
            };
            let reason = match reason {
                End::Ok => return,
                End::Told { reason, .. } => reason,
                End::Broken | End::Left => String::new(),
            };
            if reason == "isthmus/CONNECTION_NOT_FOUND" {
                return;
            }
            if !token.is_empty() {
                asked.resume = token;
            }
            if reason == "isthmus/COMPACTED" {
                // Whoever asks for a snapshot is refused only for the write's token.
                if !write_token.is_empty()
                    && (first.snapshot_if_compacted || asked.resume.is_empty())
                {
                    write_token.clear();
                    if asked.goal == pb::Goal::Unspecified {
                        asked.goal = self.implied_goal(&asked);
                    }
                    asked.write = None;
                }
                asked.resume.clear();
            } else if rng.u8(0..10) == 0 {
                asked.resume.clear();
            }
            sleep(Duration::from_millis(rng.u64(200..2_000))).await;
        }
    }

    fn implied_goal(&self, asked: &Asked) -> pb::Goal {
        let history = self.record.history();
        match asked.write.map(|write| &history.writes[write].method) {
            Some(method) if *method == Method::DELETE => pb::Goal::Gone,
            _ => pb::Goal::Config,
        }
    }

    /// One watch to its end: how it ended, and the last token.
    async fn watch(
        &self,
        channel: &Channel,
        stream: usize,
        asked: &Asked,
        write_token: &str,
    ) -> (End, String) {
        let mut left = Left(Some((self.record.clone(), stream)));
        let mut client = RealizationServiceClient::new(channel.clone());
        let opened = if asked.many {
            let request = pb::WatchRealizationsRequest {
                parent: asked.name.clone(),
                resume_token: asked.resume.clone(),
                include_tunnel: asked.tunnel,
                snapshot_if_compacted: asked.snapshot_if_compacted,
            };
            let opened = client.watch_realizations(request).await;
            opened.map(|answer| Reading::Many(answer.into_inner()))
        } else {
            let request = pb::WatchRealizationRequest {
                name: asked.name.clone(),
                goal: asked.goal.into(),
                write_token: write_token.to_owned(),
                resume_token: asked.resume.clone(),
                accept_partial: false,
                include_tunnel: asked.tunnel,
                snapshot_if_compacted: asked.snapshot_if_compacted,
                accept_assumed: false,
                upstream_request_ids: Vec::new(),
            };
            let mut request = Request::new(request);
            if let Some(deadline) = asked.deadline {
                request.set_timeout(deadline);
            }
            let opened = client.watch_realization(request).await;
            opened.map(|answer| Reading::One(answer.into_inner()))
        };
        let mut token = String::new();
        let mut reading = match opened {
            Ok(reading) => reading,
            Err(status) => {
                left.0 = None;
                return (self.ended(stream, end(&status)), token);
            }
        };
        let mut tampered = self.tamper.stream(asked);
        let mut read = 0;
        let end = loop {
            let next = match reading.next().await {
                Ok(Some(message)) => Ok(message),
                Ok(None) => Err(End::Ok),
                Err(status) => Err(end(&status)),
            };
            let (messages, mut over) = match next {
                Ok(message) => (tampered.message(message), None),
                Err(end) => {
                    let (last, end) = tampered.end(end);
                    (last, Some(end))
                }
            };
            for mut message in messages {
                if !message.token.is_empty() {
                    token = message.token.clone();
                }
                sleep(tampered.wait(&message)).await;
                message.at = now();
                self.record.message(stream, message);
            }
            over = over.or_else(|| tampered.over());
            if let Some(end) = over {
                break end;
            }
            // Whoever pauses reads first what is on its way to it already, and then what was left out meanwhile.
            read += 1;
            if asked.slow && read % 4 == 1 {
                sleep(Duration::from_secs(46)).await;
            }
        };
        left.0 = None;
        (self.ended(stream, end), token)
    }

    fn ended(&self, stream: usize, end: End) -> End {
        self.record.ended(stream, end.clone());
        end
    }
}

/// Notes that the run ended before the watch.
struct Left(Option<(Record, usize)>);

impl Drop for Left {
    fn drop(&mut self) {
        if let Some((record, stream)) = self.0.take() {
            record.ended(stream, End::Left);
        }
    }
}

enum Reading {
    One(Streaming<pb::WatchRealizationResponse>),
    Many(Streaming<pb::WatchRealizationsResponse>),
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Message>, Status> {
        match self {
            Reading::One(stream) => Ok(stream.message().await?.map(of_one)),
            Reading::Many(stream) => Ok(stream.message().await?.map(of_many)),
        }
    }
}

fn within<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(20));
    request
}

/// What is waited for after a create or an update.
fn drawn_goal(rng: &mut fastrand::Rng) -> pb::Goal {
    match rng.u8(0..4) {
        0 => pb::Goal::InEffect,
        1 => pb::Goal::TunnelUp,
        2 => pb::Goal::Config,
        _ => pb::Goal::Unspecified,
    }
}
