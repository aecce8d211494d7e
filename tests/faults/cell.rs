//! One cell: does it, and holds what comes of it to what always holds.

use crate::{
    bench::{BACKEND, Bench, Bystander, Dialect, server_of, writes},
    columns::{CANARY, Column, WORDS},
    rows::{Act, Row},
    support::{cloud::Cloud, clouds::PSK, running::Watching},
};
use isthmus::{
    grpc::pb::{self, RealizationState as State},
    simulator::faults::{Fault, Hits},
};
use std::time::Duration;
use tokio::time::{Instant, timeout};
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

/// What [`Act::Rekey`] changes the key to.
const NEW_KEY: &str = "canary-psk-of-the-change";

/// What one cell is made with.
pub struct Cell<'a> {
    /// The row.
    pub row: &'a Row,
    /// The column.
    pub column: Column,
    /// The table.
    pub dialect: Dialect,
    /// The backend that must notice nothing.
    pub bystander: &'a Bystander,
}

/// How the use case ended for its client.
enum Ended {
    Ok(&'static str),
    Failed(Box<Status>),
}

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
            self.somebody_edits(&bench, hits.as_ref())
        );
        let asked = hits.as_ref().map_or(1, Hits::count);
        self.nothing_is_sent_twice(&bench);
        self.the_cloud_is_hung_up_on(&bench).await;
        let word = match &ended {
            Ended::Ok(word) => (*word).to_owned(),
            Ended::Failed(status) => self.word(status),
        };
        if let Ended::Failed(status) = &ended {
            self.the_error_is_fit(status, &word);
        }
        self.nothing_is_orphaned(&before, &bench, &ended, &word);
        for server in bench.cloud.servers() {
            server.faults().clear();
            server.restart().await.unwrap();
        }
        self.goes_on(&bench).await;
        if row.act == Act::Delete && word == "unsure" {
            self.what_was_left_is_removed(&bench).await;
        }
        match asked {
            1 => word,
            // How often a look for a lost answer fits into the time is a matter of the machine.
            _ if self.column == Column::Late => word,
            // How often it was asked is told by the other tables.
            _ if matches!(self.column, Column::Foreign(_)) => word,
            times if self.is_looked_for(&word, times) => format!("{word}×n"),
            times => format!("{word}×{times}"),
        }
    }

    /// Whether the fault struck what is repeated as long as there is time: how often that is, is a matter of the machine.
    fn is_looked_for(&self, word: &str, times: u32) -> bool {
        let again = matches!(self.column, Column::S401 | Column::S403);
        // Each takes its time to read.
        let often = times > 2 || self.column == Column::Endless;
        often && !again && matches!(word, "unsure" | "left" | "warned")
    }

    /// Injects the fault, and what leads to it. `None`: connections are refused.
    async fn strike(&self, cloud: &dyn Cloud, ids: &[String], peers: &[String]) -> Option<Hits> {
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

    /// A watch during the fault, and after it.
    async fn watched(&self, bench: &Bench) -> String {
        match self.row.act {
            Act::WatchMany => self.watched_many(bench).await,
            act => self.watched_one(bench, act == Act::WatchGone).await,
        }
    }

    async fn watched_one(&self, bench: &Bench, gone: bool) -> String {
        let running = &bench.running;
        let (name, token) = if gone {
            // Lingers until it is finished, so that the watch does not end before the fault.
            bench.cloud.linger();
            (bench.name(), None)
        } else {
            let (made, token) = running
                .create(BACKEND, bench.cloud.wanted(BACKEND))
                .await
                .unwrap();
            (made.name, Some(token))
        };
        let id = name.rsplit('/').next().unwrap().to_owned();
        let goal = if gone {
            pb::Goal::Gone
        } else {
            pb::Goal::Config
        };
        let token = token.unwrap_or_default();
        let mut watch = running.watch(&name, goal, &token).await.unwrap();
        watch.next_state().await.unwrap();
        let ids = [id.clone()];
        let hits = self.strike(&*bench.cloud, &ids, &bench.peers).await;
        if let Some(hits) = &hits {
            // Polls follow each other: once one was struck, none is under way that began before and may bring news.
            timeout(Duration::from_secs(20), hits.reach(1))
                .await
                .expect("the fault strikes");
        }
        match gone {
            true => bench.cloud.vanish(&id),
            false => bench.cloud.settle(&id),
        }
        let told = tokio::join!(
            self.nothing_is_concluded(&mut watch, hits.as_ref()),
            self.nobody_else_notices(bench)
        );
        self.the_cloud_is_hung_up_on(bench).await;
        for server in bench.cloud.servers() {
            server.faults().clear();
            server.restart().await.unwrap();
        }
        if told.0 == "on" {
            let (_, outcome) = timeout(Duration::from_secs(20), watch.end())
                .await
                .expect("the watch ends once the fault is over");
            assert_eq!(
                outcome.result(),
                pb::outcome::Result::Succeeded,
                "{outcome:?}"
            );
        }
        told.0.to_owned()
    }

    /// While the fault lasts, a watch says nothing that is not so; at most that the login is refused.
    async fn nothing_is_concluded(
        &self,
        watch: &mut Watching,
        hits: Option<&Hits>,
    ) -> &'static str {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut quiet = 0;
        loop {
            assert!(Instant::now() < deadline, "the fault does not strike");
            // Long enough for a look; what comes is looked at, and nothing coming is as good.
            match timeout(Duration::from_millis(150), watch.next_state()).await {
                Err(_) => quiet += 1,
                Ok(Err(status)) => panic!("the watch ended: {status:?}"),
                Ok(Ok((realization, outcome))) => {
                    assert_eq!(outcome, None, "{realization:?}");
                    let reason = realization.reason.clone().unwrap_or_default().code;
                    if reason == "UPSTREAM_AUTH" {
                        assert_eq!(realization.state(), State::Unknown);
                        return "auth";
                    }
                    let state = realization.state();
                    assert!(
                        !matches!(state, State::Failed | State::Deleted | State::Realized),
                        "{realization:?}"
                    );
                }
            }
            let struck = hits.map_or(quiet, Hits::count);
            if struck >= 2 && quiet >= self.quiet_enough() {
                return "on";
            }
        }
    }

    async fn watched_many(&self, bench: &Bench) -> String {
        let request = pb::WatchRealizationsRequest {
            parent: format!("backends/{BACKEND}"),
            ..pb::WatchRealizationsRequest::default()
        };
        let mut client = bench.running.realizations();
        let mut stream = client
            .watch_realizations(request)
            .await
            .unwrap()
            .into_inner();
        let mut active = 0;
        while active < bench.ids.len() {
            let message = stream.message().await.unwrap().unwrap();
            active += message
                .events
                .iter()
                .filter(|event| says(event, State::Active))
                .count();
        }
        let hits = self.strike(&*bench.cloud, &bench.ids, &bench.peers).await;
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut quiet = 0;
        let mut refused = false;
        while !refused
            && (quiet < self.quiet_enough() || hits.as_ref().map_or(quiet, Hits::count) < 2)
        {
            assert!(Instant::now() < deadline, "the fault does not strike");
            match timeout(Duration::from_millis(150), stream.message()).await {
                Err(_) => quiet += 1,
                Ok(message) => {
                    let events = message.unwrap().unwrap().events;
                    assert!(
                        !events
                            .iter()
                            .any(|event| says(event, State::Deleted) || says(event, State::Failed)),
                        "{events:?}"
                    );
                    refused = events.iter().any(|event| says(event, State::Unknown));
                }
            }
        }
        self.nobody_else_notices(bench).await;
        self.the_cloud_is_hung_up_on(bench).await;
        for server in bench.cloud.servers() {
            server.faults().clear();
            server.restart().await.unwrap();
        }
        if refused {
            return "auth".to_owned();
        }
        for id in &bench.ids {
            bench.cloud.take_down(id);
        }
        let mut down = 0;
        while down < bench.ids.len() {
            let message = timeout(Duration::from_secs(20), stream.message()).await;
            let message = message.expect("the watch goes on").unwrap().unwrap();
            down += message
                .events
                .iter()
                .filter(|event| says(event, State::Down))
                .count();
        }
        "on".to_owned()
    }

    /// How many times nothing is heard before nothing is expected any more: where the login is refused, that
    /// has to be said, and a busy machine may take its time to say it.
    fn quiet_enough(&self) -> u32 {
        match self.column {
            Column::S401 | Column::S403 => 20,
            _ => 2,
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

    /// The error names its backend, carries what the cloud said, bounded, and no key.
    fn the_error_is_fit(&self, status: &Status, word: &str) {
        let info = status.get_details_error_info().expect("an ErrorInfo");
        let at = format!("{status:?}");
        assert_eq!(info.domain, "isthmus");
        assert_eq!(
            info.metadata["backend"],
            format!("backends/{BACKEND}"),
            "{at}"
        );
        assert!(
            status.message().len() + status.details().len() < 4096,
            "{at}"
        );
        let details = String::from_utf8_lossy(status.details()).into_owned();
        for secret in [PSK, NEW_KEY, CANARY, "not-a-real-password"] {
            assert!(!at.contains(secret) && !details.contains(secret), "{at}");
        }
        // What an error of another request is about is told by its own row.
        let is_its_own = self.row.lead.is_none() && word != "gone";
        if let (Some(upstream), true) = (self.column.status(), is_its_own) {
            assert_eq!(
                info.metadata["upstream_status"],
                upstream.to_string(),
                "{at}"
            );
            if self.column.has_words() {
                assert!(info.metadata["upstream_message"].starts_with(WORDS), "{at}");
                assert!(status.message().contains(WORDS), "{at}");
            }
        }
        let retry = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        if word == "busy" {
            assert!(retry.is_some_and(|delay| !delay.is_zero()), "{at}");
        }
        if word == "unsure" && self.row.act == Act::Create {
            assert!(info.metadata.contains_key("mark"), "{at}");
        }
    }

    /// Every write is sent once. Only a refused login lets it be sent again, and only logins repeat.
    fn nothing_is_sent_twice(&self, bench: &Bench) {
        let again = matches!(self.column, Column::S401 | Column::S403);
        for (write, times) in writes(&*bench.cloud) {
            let is_login = write.contains("/auth/tokens") || write.contains("/session/create");
            // What cleans up tries again where it certainly did nothing.
            let cleans_up = write.starts_with("DELETE") && write.contains("/peer-endpoints/");
            let refused = !matches!(
                self.column,
                Column::Late
                    | Column::Reset
                    | Column::ResetEdited
                    | Column::Lost
                    | Column::LostEdited
                    | Column::Cut
                    | Column::Garbage
            );
            let most = match (cleans_up && refused, again || is_login) {
                (true, _) => 4,
                (false, true) => 2,
                (false, false) => 1,
            };
            assert!(times <= most, "{write} was sent {times} times");
        }
    }

    /// Whatever the cloud would still send, nobody takes it.
    async fn the_cloud_is_hung_up_on(&self, bench: &Bench) {
        let deadline = Instant::now() + Duration::from_secs(5);
        for server in bench.cloud.servers() {
            // A watch goes on asking, so there may be one under way; none stays.
            while server.requests().in_flight() > usize::from(self.row.act.is_watch()) * 2 {
                assert!(Instant::now() < deadline, "the gateway goes on reading");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Once the connection is seen to be gone, the rest of it goes, too.
    async fn what_was_left_is_removed(&self, bench: &Bench) {
        let rests = matches!(self.column, Column::S401 | Column::S403);
        if rests || !bench.cloud.connections().is_empty() {
            return;
        }
        let read = bench.running.get(&bench.name()).await;
        assert_eq!(read.unwrap_err().code(), tonic::Code::NotFound);
        let deadline = Instant::now() + Duration::from_secs(10);
        while !bench.cloud.peers().is_empty() {
            assert!(Instant::now() < deadline, "{:?}", bench.cloud.peers());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// What there is in the cloud is what the client was told.
    fn nothing_is_orphaned(&self, before: &World, bench: &Bench, ended: &Ended, word: &str) {
        let after = World::of(bench);
        let made = after.connections.len() as i64 - before.connections.len() as i64;
        let peers: Vec<&String> = after
            .peers
            .iter()
            .filter(|peer| !before.peers.contains(peer))
            .collect();
        let with_peers = usize::from(self.dialect == Dialect::Nsx);
        let nothing_changed = || {
            assert_eq!((made, peers.len()), (0, 0), "{word}");
            assert_eq!(after.peers, before.peers);
        };
        match (self.row.act, ended) {
            (Act::Create, Ended::Ok(_)) => assert_eq!((made, peers.len()), (1, with_peers)),
            (Act::Create, Ended::Failed(status)) => {
                let named = format!("{:?}", status.get_details_resource_info());
                let mark = status
                    .get_details_error_info()
                    .unwrap()
                    .metadata
                    .remove("mark");
                assert!(made <= i64::from(word == "unsure") && peers.len() <= 1);
                for peer in peers {
                    let object = bench.cloud.object(peer);
                    let is_marked = mark.as_ref().is_some_and(|mark| object.contains(mark));
                    assert!(
                        named.contains(peer.as_str()) || is_marked,
                        "{peer} is orphaned"
                    );
                }
            }
            (Act::Rekey, ended) => {
                let key = bench.cloud.key(&bench.ids[0]);
                match ended {
                    Ended::Ok(_) => assert_eq!(key, NEW_KEY),
                    Ended::Failed(_) => assert!(word == "unsure" || key == PSK, "{word}"),
                }
                assert_eq!((made, peers.len()), (0, 0));
            }
            (Act::Update, Ended::Ok(_)) => {
                assert!(after.first.contains("renamed"));
                assert_eq!((made, peers.len()), (0, 0));
            }
            (Act::Update, Ended::Failed(_)) => {
                assert!(word == "unsure" || !after.first.contains("renamed"));
                let is_first_step = self.row.target.path != "/sessions/";
                let edited = matches!(self.column, Column::ResetEdited | Column::LostEdited);
                let same = edited || after.first_peer == before.first_peer;
                assert!(word == "unsure" || !is_first_step || same);
                assert_eq!((made, peers.len()), (0, 0));
            }
            (Act::Delete, Ended::Ok(word)) => {
                assert_eq!(made, -1);
                assert!(after.peers.is_empty() || *word == "warned");
            }
            (Act::Delete, Ended::Failed(status)) => {
                assert!(made == 0 || word == "unsure");
                let named = format!("{:?}", status.get_details_resource_info());
                let unused = after.peers.iter().filter(|_| made != 0);
                for peer in unused {
                    assert!(named.contains(peer.as_str()), "{peer} is orphaned");
                }
            }
            _ => nothing_changed(),
        }
    }

    /// Where the column has it, somebody else is at work on the same object once the fault has struck.
    async fn somebody_edits(&self, bench: &Bench, hits: Option<&Hits>) {
        let edits = matches!(self.column, Column::ResetEdited | Column::LostEdited);
        if let Some(hits) = hits.filter(|_| edits) {
            hits.reach(1).await;
            for id in bench.ids[..1].iter().chain(&bench.peers) {
                bench.cloud.describe(id, "changed elsewhere");
            }
        }
    }

    /// Another backend of the same gateway answers as ever.
    async fn nobody_else_notices(&self, bench: &Bench) {
        for _ in 0..3 {
            let read = bench.running.get(&self.bystander.name);
            let answer = timeout(Duration::from_secs(5), read).await;
            answer.expect("the other backend answers in time").unwrap();
        }
    }

    /// The fault is over: the backend serves again, or rests because its login was refused, and says so.
    async fn goes_on(&self, bench: &Bench) {
        let Err(status) = bench.running.list(BACKEND).await else {
            return;
        };
        let reason = status.get_details_error_info().unwrap().reason;
        if self.row.start.reader && reason != "UPSTREAM_AUTH" {
            // Is shown nothing, whatever it asks.
            assert_eq!(reason, "UPSTREAM_DENIED", "{status:?}");
            return;
        }
        let rests = matches!(self.column, Column::S401 | Column::S403);
        assert!(rests && reason == "UPSTREAM_AUTH", "{status:?}");
        let retry = status
            .get_details_retry_info()
            .and_then(|info| info.retry_delay);
        // Refused once, it is asked again in a moment; refused twice, it rests.
        let moment = |delay: Duration| delay <= Duration::from_secs(5);
        assert!(retry.is_some_and(|delay| moment(delay) || delay > Duration::from_secs(200)));
    }
}

/// What there is in the cloud.
struct World {
    connections: Vec<String>,
    peers: Vec<String>,
    /// The first connection, as text.
    first: String,
    /// The peer endpoint that was there before, as text.
    first_peer: String,
}

impl World {
    fn of(bench: &Bench) -> World {
        let text = |ids: &[String]| ids.first().map(|id| bench.cloud.object(id));
        World {
            connections: bench.cloud.connections(),
            peers: bench.cloud.peers(),
            first: text(&bench.ids).unwrap_or_default(),
            first_peer: text(&bench.peers).unwrap_or_default(),
        }
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
            address: "198.51.100.77".to_owned(),
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

fn says(event: &pb::watch_realizations_response::Event, state: State) -> bool {
    use pb::watch_realizations_response::event::Event;
    match &event.event {
        Some(Event::Snapshot(seen) | Event::Change(seen)) => seen.state() == state,
        Some(Event::Heartbeat(_)) | None => false,
    }
}
