//! Does what a cell says, and holds what comes of it to what always holds.

use crate::{
    bench::{BACKEND, Bench, server_of},
    cell::{Cell, Ended, NEW_KEY, NEW_PEER, World},
    columns::{CANARY, Column, Dialect},
    rows::Act,
    support::{cloud::Cloud, clouds::PSK},
};
use isthmus::{
    grpc::pb::{self, RealizationState as State},
    simulator::faults::{Fault, Hits},
};
use std::time::Duration;
use tonic::Status;
use tonic_types::StatusExt;

/// What the table calls each error: its gRPC code and its reason.
const WORDS_OF_ERRORS: &[(&str, &str)] = &[
    ("Unavailable/UPSTREAM_UNREACHABLE", "down"),
    ("DeadlineExceeded/DEADLINE", "late"),
    ("Unavailable/UPSTREAM_ERROR", "error"),
    ("Unavailable/UPSTREAM_BROKEN_ANSWER", "broken"),
    ("Unavailable/UPSTREAM_THROTTLED", "busy"),
    ("Internal/UPSTREAM_AUTH", "auth"),
    ("PermissionDenied/UPSTREAM_DENIED", "denied"),
    ("Internal/UPSTREAM_DENIED", "blind"),
    ("Unknown/WRITE_AMBIGUOUS", "unsure"),
    ("Aborted/STALE_ETAG", "stale"),
    ("NotFound/CONNECTION_NOT_FOUND", "gone"),
    ("Unavailable/API_ABSENT", "absent"),
    ("Unavailable/UPSTREAM_REJECTED", "rejected"),
];

impl Cell<'_> {
    /// Does it; answers what the table should say.
    ///
    /// # Panics
    /// If something is not as it always must be.
    pub async fn run(&self) -> String {
        let row = self.row;
        let (cloud, mut settings, ids) = Bench::cloud(self.dialect, row.start).await;
        if !row.act.is_watch() {
            // One poll, and no other beside it that would count, too.
            settings.core.poll.fresh = Duration::from_secs(60);
            settings.core.poll.stable = Duration::from_secs(60);
        }
        if self.column == Column::Endless {
            // It is the size that ends it, however slow the machine.
            settings.core.timeout = Duration::from_secs(15);
        }
        let bench;
        let hits;
        if row.start.settled {
            let mut started = Bench::start(cloud, settings, ids, self.bystander, true).await;
            if row.act == Act::Delete {
                started.read_etag().await;
            }
            bench = started;
            if row.act.is_watch() {
                return self.watched(&bench).await;
            }
            if row.act == Act::PollGone && !row.start.reader {
                bench.cloud.vanish(&bench.ids[0]);
            }
            if row.act == Act::GetExpired {
                bench.cloud.expire_logins();
            }
            hits = self.strike(&*bench.cloud, &bench.ids, &bench.peers).await;
        } else {
            hits = self.strike(&*cloud, &ids, &cloud.peers()).await;
            bench = Bench::start(cloud, settings, ids, self.bystander, false).await;
        }
        let before = World::of(&bench);
        let (ended, (), ()) = tokio::join!(
            self.act(&bench),
            self.nobody_else_notices(&bench),
            self.somebody_edits(&bench)
        );
        let asked = hits.as_ref().map_or(1, Hits::count);
        let word = match &ended {
            Ended::Ok(word) => (*word).to_owned(),
            Ended::Failed(status) => self.word(status),
        };
        let is_open = matches!(&*word, "unsure" | "left" | "warned");
        self.logins_are_few(&bench, is_open.then_some(asked));
        self.the_cloud_is_hung_up_on(&bench).await;
        if let Ended::Failed(status) = &ended {
            self.the_error_is_fit(status, &word);
        }
        self.nothing_is_orphaned(&before, &bench, &ended, &word)
            .await;
        for server in bench.cloud.servers() {
            server.faults().clear();
            server.restart().await.unwrap();
        }
        self.goes_on(&bench).await;
        self.all_or_nothing_is_left(&before, &bench, &ended).await;
        self.nothing_is_sent_twice(&bench, &ended);
        match asked {
            1 => word,
            // How often fits into the time is a matter of the machine, and somebody goes on with it by now.
            _ if is_open || self.column == Column::Late => word,
            // How often it was asked is told by the other tables.
            _ if matches!(self.column, Column::Foreign(_)) => word,
            times => format!("{word}×{times}"),
        }
    }

    /// Injects the fault, and what leads to it. `None`: connections are refused.
    pub async fn strike(
        &self,
        cloud: &dyn Cloud,
        ids: &[String],
        peers: &[String],
    ) -> Option<Hits> {
        let (row, none) = (self.row, String::new());
        let id = ids.first().unwrap_or(&none);
        let peer = peers.first().unwrap_or(&none);
        let elsewhere = format!("{}/elsewhere", self.bystander.cloud.url());
        let fault = self.column.fault(self.dialect, &elsewhere);
        if fault.is_none() {
            match &row.before {
                // Whatever leads to the target has to see it open.
                Some(before) => {
                    let rule = before.rule(Fault::Shut, id, peer);
                    server_of(cloud, before.path).faults().inject(rule.times(1));
                }
                None => server_of(cloud, row.target.path).stop().await.unwrap(),
            }
        }
        if let Some((asked, lead)) = &row.lead {
            let rule = asked.rule(lead.fault(id), id, peer);
            server_of(cloud, asked.path).faults().inject(rule.times(1));
        }
        if let Some(hold) = self.column.waits_for_an_edit(&self.edited) {
            let rule = row.target.rule(hold, id, peer).times(1);
            server_of(cloud, row.target.path).faults().inject(rule);
        }
        let mut rule = row.target.rule(fault?, id, peer);
        match self.column {
            _ if row.act.is_watch() => {}
            Column::S503 => rule = rule.times(2),
            Column::Page503 | Column::Done503 | Column::Goes503 => rule = rule.times(1),
            _ => {}
        }
        Some(server_of(cloud, row.target.path).faults().inject(rule))
    }

    async fn act(&self, bench: &Bench) -> Ended {
        match self.try_act(bench).await {
            Ok(word) => Ended::Ok(word),
            Err(status) => Ended::Failed(Box::new(status)),
        }
    }

    async fn try_act(&self, bench: &Bench) -> Result<&'static str, Status> {
        let running = &bench.running;
        let wrote = match self.row.target.is_write() && self.row.target.path != "/v3/auth/tokens$" {
            true => "found",
            false => "ok",
        };
        Ok(match self.row.act {
            Act::Probe => {
                let health = bench.health().await;
                if health.state() == pb::health::State::Serving {
                    return Ok("ok");
                }
                let found = WORDS_OF_ERRORS
                    .iter()
                    .find(|(name, _)| name.ends_with(&format!("/{}", health.reason)));
                assert!(health.message.len() < 4096 && !health.message.contains(CANARY));
                found.map_or("?", |(_, word)| word)
            }
            Act::Get | Act::GetExpired => {
                running.get(&bench.name()).await?;
                "ok"
            }
            Act::List => {
                let listed = bench.running.list(BACKEND).await?;
                assert_eq!(listed.connections.len(), bench.ids.len());
                "ok"
            }
            Act::Create => {
                let request = pb::CreateConnectionRequest {
                    parent: format!("backends/{BACKEND}"),
                    connection: Some(bench.cloud.wanted(BACKEND)),
                    validate_only: false,
                    ..Default::default()
                };
                let mut client = running.connections();
                client.create_connection(in_time(request)).await?;
                wrote
            }
            Act::Update | Act::Rekey => {
                let request = match self.row.act {
                    Act::Rekey => rekey(bench),
                    _ => change(self.dialect, bench),
                };
                running
                    .connections()
                    .update_connection(in_time(request))
                    .await?;
                wrote
            }
            Act::Delete => {
                let request = pb::DeleteConnectionRequest {
                    name: bench.name(),
                    etag: bench.etag.clone(),
                    // A 404 that proves nothing is no reason to take a removal for done.
                    allow_missing: matches!(self.column, Column::Foreign(_)),
                    ..Default::default()
                };
                let answer = running
                    .connections()
                    .delete_connection(in_time(request))
                    .await?;
                match answer.into_inner().warnings.is_empty() {
                    true => wrote,
                    false => "warned",
                }
            }
            Act::PollResult | Act::PollTunnel | Act::PollGone => {
                let request = pb::GetRealizationRequest {
                    name: bench.name(),
                    include_tunnel: self.row.act == Act::PollTunnel,
                    ..pb::GetRealizationRequest::default()
                };
                let answer = running.realizations().get_realization(request).await?;
                let state = answer.into_inner().realization.unwrap().state();
                assert!(
                    matches!(state, State::Realized | State::Active | State::Down),
                    "{state:?}"
                );
                "ok"
            }
            Act::WatchAll => {
                let request = pb::WatchRealizationsRequest {
                    parent: format!("backends/{BACKEND}"),
                    ..pb::WatchRealizationsRequest::default()
                };
                let mut stream = running
                    .realizations()
                    .watch_realizations(request)
                    .await?
                    .into_inner();
                let first = stream.message().await?.expect("it goes on");
                assert!(first.synced && first.events.len() == bench.ids.len());
                "ok"
            }
            Act::Watch | Act::WatchGone | Act::WatchMany => unreachable!("has a way of its own"),
        })
    }

    /// Where the column has it, somebody else changes the same objects while the faulty request waits for it.
    async fn somebody_edits(&self, bench: &Bench) {
        if self.column.waits_for_an_edit(&self.edited).is_some() {
            self.edited.reached(1).await;
            for id in bench.ids[..1].iter().chain(&bench.peers) {
                bench.cloud.describe(id, "changed elsewhere");
            }
            self.edited.open();
        }
    }

    fn word(&self, status: &Status) -> String {
        let info = status.get_details_error_info().expect("an ErrorInfo");
        let name = format!("{:?}/{}", status.code(), info.reason);
        if name == "InvalidArgument/UPSTREAM_REJECTED" && self.row.lead.is_some() {
            return match status.get_details_resource_info() {
                Some(_) => "left".to_owned(),
                None => "undone".to_owned(),
            };
        }
        let found = WORDS_OF_ERRORS.iter().find(|(known, _)| *known == name);
        found.map_or(name, |(_, word)| (*word).to_owned())
    }
}

/// The request of a caller who does not wait for ever: where a backend's own timeout is long, a lost write is looked
/// for as long as its caller waits.
fn in_time<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(Duration::from_secs(20));
    request
}

fn change(dialect: Dialect, bench: &Bench) -> pb::UpdateConnectionRequest {
    let mut paths = vec!["display_name".to_owned()];
    let mut connection = pb::Connection {
        name: bench.name(),
        display_name: "renamed".to_owned(),
        ..pb::Connection::default()
    };
    if dialect == Dialect::Nsx {
        // So that both of its objects change.
        paths.extend(["peer.address".to_owned(), "peer.psk".to_owned()]);
        connection.peer = Some(pb::Peer {
            address: NEW_PEER.to_owned(),
            authentication: Some(pb::peer::Authentication::Psk(PSK.to_owned())),
            ..pb::Peer::default()
        });
    }
    pb::UpdateConnectionRequest {
        connection: Some(connection),
        update_mask: Some(prost_types::FieldMask { paths }),
        validate_only: false,
        ..Default::default()
    }
}

/// A change of nothing but the key.
fn rekey(bench: &Bench) -> pb::UpdateConnectionRequest {
    let peer = pb::Peer {
        authentication: Some(pb::peer::Authentication::Psk(NEW_KEY.to_owned())),
        ..pb::Peer::default()
    };
    pb::UpdateConnectionRequest {
        connection: Some(pb::Connection {
            name: bench.name(),
            peer: Some(peer),
            ..pb::Connection::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["peer.psk".to_owned()],
        }),
        validate_only: false,
        ..Default::default()
    }
}
