//! Clients who make connections with everything they need, and remove them. Each write has an id, and is repeated until it
//! is answered, whatever happens meanwhile; some are repeated after that, too.

use crate::{
    bugs::Tamper,
    clouds::{COMPOSITE, Clouds, NSX, OPENSTACK, router_of, unused},
    network::{channel, until},
    plan::{Composites, Plan},
    record::{Attempt, Gone, NotEnded, Record, end, now},
};
use http::Method;
use isthmus::{
    grpc::pb::{
        self, backend_service_client::BackendServiceClient,
        connection_service_client::ConnectionServiceClient,
        policy_service_client::PolicyServiceClient,
        realization_service_client::RealizationServiceClient,
    },
    simulator::openstack::Inventory,
};
use prost::Message;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::{Request, Status, transport::Channel};

/// The name of the policies that are made by calls of their own.
pub const OWN: &str = "own";
/// The longest that a watch of a removal is followed.
const WATCHED: Duration = Duration::from_secs(60);
/// So long after everything is calm no write begins any more, so that those that did can end.
const BEGINS: Duration = Duration::from_secs(15);
/// So long before the end the gateway is asked what has not ended.
const LAST: Duration = Duration::from_secs(5);

/// One host.
#[derive(Clone)]
pub struct Writer {
    pub number: usize,
    pub record: Record,
    pub plan: Arc<Plan>,
    pub clouds: Clouds,
    pub tamper: Tamper,
}

/// The names of everything that all writers make.
pub fn labels(composites: &Composites) -> Vec<String> {
    let writers = 0..composites.writers;
    let each = writers.flat_map(|writer| (0..composites.rounds).map(move |it| (writer, it)));
    each.map(|(writer, round)| label(writer, round)).collect()
}

fn label(writer: usize, round: usize) -> String {
    format!("{COMPOSITE}{writer}.{round}")
}

/// What is asked for.
#[derive(Clone)]
enum Ask {
    Policy(Box<pb::CreateIkePolicyRequest>),
    Create(Box<pb::CreateConnectionRequest>),
    Delete(pb::DeleteConnectionRequest),
}

/// What is needed of an answer: the name of what was written, and the write's token.
struct Answer {
    name: String,
    token: String,
}

impl Writer {
    /// Everything this host does, until the run ends.
    pub async fn run(self) -> turmoil::Result {
        // When it is over, whatever is open is left.
        let _ = timeout(self.plan.end.saturating_sub(now()), self.work()).await;
        Ok(())
    }

    async fn work(&self) {
        let mut rng = fastrand::Rng::with_seed(self.plan.seed ^ (0xC0_17 + self.number as u64));
        let channel = channel(false);
        let rounds = self.plan.composites.as_ref().map_or(0, |it| it.rounds);
        let mut own = Vec::new();
        if self.number == 0 {
            for backend in [NSX, OPENSTACK] {
                own.extend(self.make_a_policy(&channel, backend, &mut rng).await);
            }
        }
        for round in 0..rounds {
            sleep(Duration::from_secs_f64(6.0 * rng.f64())).await;
            if self.is_late() {
                break;
            }
            let backend = if rng.bool() { NSX } else { OPENSTACK };
            let label = label(self.number, round);
            self.make_and_remove(&channel, backend, &label, &own, &mut rng)
                .await;
        }
        until(self.plan.end.saturating_sub(LAST)).await;
        if self.number == 0 {
            self.ask_what_has_not_ended(&channel).await;
        }
    }

    /// Makes a policy by a call of its own: its name.
    async fn make_a_policy(
        &self,
        channel: &Channel,
        backend: &'static str,
        rng: &mut fastrand::Rng,
    ) -> Option<String> {
        let request = pb::CreateIkePolicyRequest {
            parent: format!("backends/{backend}"),
            ike_policy: Some(pb::IkePolicy {
                display_name: OWN.to_owned(),
                ..pb::IkePolicy::default()
            }),
            request_id: uuid(rng),
            ..pb::CreateIkePolicyRequest::default()
        };
        let ask = Ask::Policy(Box::new(request));
        let answer = self.insist(channel, backend, OWN, ask, rng).await;
        Some(answer?.name)
    }

    /// One composite, from its create to its end.
    async fn make_and_remove(
        &self,
        channel: &Channel,
        backend: &'static str,
        label: &str,
        own: &[String],
        rng: &mut fastrand::Rng,
    ) {
        let mut request = composite(backend, label);
        request.request_id = uuid(rng);
        let of_backend = format!("backends/{backend}/");
        let own = own.iter().find(|name| name.starts_with(&of_backend));
        let reuse = self.plan.composites.as_ref().is_some_and(|it| it.reuse);
        match rng.u8(0..3) {
            0 if reuse => request.set_reuse(pb::Reuse::Managed),
            1 if own.is_some() => {
                request.parts.as_mut().unwrap().ike_policy = None;
                request.connection.as_mut().unwrap().ike_policy = own.cloned().unwrap();
            }
            _ => {}
        }
        let create = Ask::Create(Box::new(request));
        let made = self.insist(channel, backend, label, create.clone(), rng);
        let Some(made) = made.await else { return };
        sleep(Duration::from_secs_f64(12.0 * rng.f64())).await;
        if self.is_late() {
            return;
        }
        if rng.u8(0..3) > 0 {
            self.insist(channel, backend, label, create, rng).await;
        }
        if rng.u8(0..4) == 0 || self.is_late() {
            return;
        }
        let mark = self.mark_of(&made.name);
        let delete = Ask::Delete(pb::DeleteConnectionRequest {
            name: made.name,
            request_id: uuid(rng),
            ..pb::DeleteConnectionRequest::default()
        });
        let removed = self.insist(channel, backend, label, delete.clone(), rng);
        let Some(removed) = removed.await else { return };
        // Where others use parts of it, what is left may be theirs.
        if self.is_gone(channel, &removed).await && !reuse {
            let estate = self.clouds.estate();
            let left = unused(&estate).into_iter();
            let left = left.filter(|it| !mark.is_empty() && it.mark == mark);
            self.record.gone(Gone {
                label: label.to_owned(),
                at: now(),
                left: left.cloned().collect(),
            });
        }
        if rng.bool() && !self.is_late() {
            self.insist(channel, backend, label, delete, rng).await;
        }
    }

    fn is_late(&self) -> bool {
        now() > self.plan.calm + BEGINS
    }

    fn mark_of(&self, name: &str) -> String {
        let estate = self.clouds.estate();
        let mut connections = estate.into_iter().filter(|it| it.is_connection);
        let found = connections.find(|it| name.ends_with(&it.id));
        found.map(|it| it.mark).unwrap_or_default()
    }

    /// Asks until it is answered.
    async fn insist(
        &self,
        channel: &Channel,
        backend: &'static str,
        label: &str,
        ask: Ask,
        rng: &mut fastrand::Rng,
    ) -> Option<Answer> {
        loop {
            let begun = now();
            let patience = Duration::from_secs(rng.u64(3..16));
            let result = self
                .tamper
                .write(send(channel, ask.clone(), patience).await);
            let (method, id) = match &ask {
                Ask::Policy(request) => (Method::POST, &request.request_id),
                Ask::Create(request) => (Method::POST, &request.request_id),
                Ask::Delete(request) => (Method::DELETE, &request.request_id),
            };
            let noted = result.as_ref().map_err(end);
            self.record.attempted(Attempt {
                id: id.clone(),
                label: label.to_owned(),
                backend,
                method,
                begun,
                ended: now(),
                result: noted.map(|answer| (answer.0.clone(), answer.1.clone())),
            });
            match result {
                Ok((name, _, token)) => return Some(Answer { name, token }),
                Err(_) => sleep(Duration::from_millis(rng.u64(300..4_000))).await,
            }
        }
    }

    /// Follows the watch of a removal: whether it ended with success.
    async fn is_gone(&self, channel: &Channel, removed: &Answer) -> bool {
        let request = pb::WatchRealizationRequest {
            name: removed.name.clone(),
            goal: pb::Goal::Gone.into(),
            write_token: removed.token.clone(),
            ..pb::WatchRealizationRequest::default()
        };
        let watching = async {
            loop {
                let mut client = RealizationServiceClient::new(channel.clone());
                let Ok(stream) = client.watch_realization(request.clone()).await else {
                    sleep(Duration::from_secs(1)).await;
                    continue;
                };
                let mut stream = stream.into_inner();
                while let Ok(Some(message)) = stream.message().await {
                    if let Some(outcome) = message.outcome {
                        return outcome.result() == pb::outcome::Result::Succeeded;
                    }
                }
                sleep(Duration::from_secs(1)).await;
            }
        };
        timeout(WATCHED, watching).await.unwrap_or(false)
    }

    async fn ask_what_has_not_ended(&self, channel: &Channel) {
        for backend in [NSX, OPENSTACK] {
            let request = pb::GetBackendRequest {
                name: format!("backends/{backend}"),
            };
            let answer = BackendServiceClient::new(channel.clone())
                .get_backend(request)
                .await;
            let unfinished = answer.map(|answer| answer.into_inner().backend.unwrap().unfinished);
            for write in unfinished.unwrap_or_default() {
                let state = write.state().as_str_name().to_owned();
                let name = write.name;
                self.record.not_ended(NotEnded {
                    backend,
                    state,
                    name,
                });
            }
        }
    }
}

/// The name, the whole answer and the token.
pub type Written = (String, Vec<u8>, String);

async fn send(channel: &Channel, ask: Ask, patience: Duration) -> Result<Written, Status> {
    fn within<T>(message: T, patience: Duration) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(patience);
        request
    }
    match ask {
        Ask::Policy(request) => {
            let mut client = PolicyServiceClient::new(channel.clone());
            let answer = client.create_ike_policy(within(*request, patience)).await?;
            let answer = answer.into_inner();
            let bytes = answer.encode_to_vec();
            let policy = answer.ike_policy.unwrap_or_default();
            Ok((policy.name, bytes, String::new()))
        }
        Ask::Create(request) => {
            let mut client = ConnectionServiceClient::new(channel.clone());
            let answer = client.create_connection(within(*request, patience)).await?;
            let answer = answer.into_inner();
            let bytes = answer.encode_to_vec();
            let connection = answer.connection.unwrap_or_default();
            Ok((connection.name, bytes, answer.write_token))
        }
        Ask::Delete(request) => {
            let name = request.name.clone();
            let mut client = ConnectionServiceClient::new(channel.clone());
            let answer = client.delete_connection(within(request, patience)).await?;
            let answer = answer.into_inner();
            Ok((name, answer.encode_to_vec(), answer.write_token))
        }
    }
}

/// A connection that refers to nothing, and everything that it needs.
fn composite(backend: &str, label: &str) -> pb::CreateConnectionRequest {
    let display_name = label.to_owned();
    let rule = pb::PolicyRule {
        sources: vec!["10.10.1.0/24".into()],
        destinations: vec!["192.168.77.0/24".into()],
        ..pb::PolicyRule::default()
    };
    let peer = pb::Peer {
        address: "198.51.100.20".into(),
        authentication: Some(pb::peer::Authentication::Psk("not-a-real-key".into())),
        ..pb::Peer::default()
    };
    let rules = pb::PolicyBased {
        rules: vec![rule],
        ..pb::PolicyBased::default()
    };
    let mut service = pb::VpnService {
        display_name: display_name.clone(),
        ..pb::VpnService::default()
    };
    let mut parts = pb::Parts {
        ike_policy: Some(pb::IkePolicy {
            display_name: display_name.clone(),
            ..pb::IkePolicy::default()
        }),
        ipsec_policy: Some(pb::IpsecPolicy {
            display_name: display_name.clone(),
            ..pb::IpsecPolicy::default()
        }),
        ..pb::Parts::default()
    };
    if backend == NSX {
        service.router = router_of(label);
        parts.dpd_policy = Some(pb::DpdPolicy {
            display_name: display_name.clone(),
            ..pb::DpdPolicy::default()
        });
        parts.local_endpoint = Some(pb::LocalEndpoint {
            display_name: display_name.clone(),
            address: "198.51.100.11".into(),
            ..pb::LocalEndpoint::default()
        });
    } else {
        service.router = Inventory::fixed().project.router_id.to_owned();
    }
    parts.vpn_service = Some(service);
    pb::CreateConnectionRequest {
        parent: format!("backends/{backend}"),
        connection: Some(pb::Connection {
            display_name,
            peer: Some(peer),
            selectors: Some(pb::connection::Selectors::PolicyBased(rules)),
            ..pb::Connection::default()
        }),
        parts: Some(parts),
        ..pb::CreateConnectionRequest::default()
    }
}

fn uuid(rng: &mut fastrand::Rng) -> String {
    let random = rng.u128(..).to_le_bytes();
    let uuid = uuid::Builder::from_random_bytes(random).into_uuid();
    uuid.to_string()
}
