//! What always holds of a cell, whatever goes wrong in it.

use crate::{
    bench::{BACKEND, Bench, writes},
    cell::{Cell, Ended, NEW_KEY, NEW_PEER, World},
    columns::{CANARY, Column, Dialect, WORDS},
    rows::Act,
    support::clouds::PSK,
};
use http::Method;
use isthmus::{
    grpc::pb::{self, unfinished_write::State as Unfinished},
    simulator::requests::Seen,
};
use serde_json::Value;
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic_types::StatusExt;

/// The longest that a circuit is open, a fifth more or less.
const LONGEST_CIRCUIT: Duration = Duration::from_secs(6);

impl Cell<'_> {
    /// The error names its backend, carries what the cloud said, bounded, and no key.
    pub fn the_error_is_fit(&self, status: &Status, word: &str) {
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

    /// Logins repeat only where one is refused, or what was asked with it: once, and once for each request more that a
    /// write in somebody else's hands has `struck`.
    pub fn logins_are_few(&self, bench: &Bench, struck: Option<u32>) {
        let again = matches!(self.column, Column::S401 | Column::S403);
        let most = match struck {
            Some(struck) if again => struck.max(2) as usize,
            _ => 2,
        };
        for (write, times) in writes(&*bench.cloud) {
            assert!(
                !is_login(&write) || times.len() <= most,
                "{write}: {times:#?}"
            );
        }
    }

    /// What makes something is sent once, whatever becomes of it. A change is sent once, too, as it is: another body is
    /// one that puts back what was before, of a write that failed, or one that was planned anew because somebody else
    /// was first. What removes or puts back may be sent again, but never once it was answered with success. Only a
    /// refused login lets anything else be sent again.
    pub fn nothing_is_sent_twice(&self, bench: &Bench, ended: &Ended) {
        let again = matches!(self.column, Column::S401 | Column::S403);
        let once = if again { 2 } else { 1 };
        let edited = matches!(self.column, Column::ResetEdited | Column::LostEdited);
        for (write, times) in writes(&*bench.cloud) {
            if is_login(&write) {
                continue;
            }
            let at = format!("{write}: {times:#?}");
            let done = |it: &Seen| it.answered.is_some_and(|status| status.is_success());
            let repeated_after = |body: u64| {
                let same = times.iter().filter(|it| it.body == body);
                same.skip_while(|it| !done(it)).count() > 1
            };
            let first = times[0].body;
            let as_first = times.iter().filter(|it| it.body == first).count();
            let bodies: BTreeSet<u64> = times.iter().map(|it| it.body).collect();
            match times[0].method {
                Method::DELETE => assert!(!repeated_after(first), "{at}"),
                Method::PUT => {
                    assert!(as_first <= once, "{at}");
                    assert!(!bodies.into_iter().any(repeated_after), "{at}");
                    let others = matches!(ended, Ended::Failed(_)) || edited;
                    assert!(others || times.len() == as_first, "{at}");
                }
                _ => assert!(times.len() <= once, "{at}"),
            }
        }
    }

    /// Whatever the cloud would still send, nobody takes it.
    pub async fn the_cloud_is_hung_up_on(&self, bench: &Bench) {
        let deadline = Instant::now() + Duration::from_secs(5);
        for server in bench.cloud.servers() {
            // A watch goes on asking, so there may be one under way; none stays.
            while server.requests().in_flight() > usize::from(self.row.act.is_watch()) * 2 {
                assert!(Instant::now() < deadline, "the gateway goes on reading");
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        }
    }

    /// Whoever goes on with a write does all of it or leaves nothing of it, once the fault is over.
    pub async fn all_or_nothing_is_left(&self, before: &World, bench: &Bench, ended: &Ended) {
        if matches!(self.column, Column::S401 | Column::S403) {
            // The backend rests, and whoever goes on has to wait for it.
            return;
        }
        let most = match self.column {
            // An attempt has three times the backend's timeout, which is long there.
            Column::Endless => 75,
            _ => 25,
        };
        let deadline = Instant::now() + Duration::from_secs(most);
        let unfinished = loop {
            let unfinished = bench.unfinished().await;
            let mut each = unfinished.iter();
            if each.all(|it| it.state() != Unfinished::Settling) {
                break unfinished;
            }
            assert!(Instant::now() < deadline, "{unfinished:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let how = unfinished.first().map(pb::UnfinishedWrite::state);
        assert!(unfinished.len() <= 1, "{unfinished:#?}");
        // A change whose key cannot be told again, nor taken back, stays half done and says so.
        let is_given_up = how == Some(Unfinished::Abandoned);
        if is_given_up {
            assert!(matches!(self.row.act, Act::Update | Act::Rekey));
            // On NSX the key is in an object of its own.
            let is_named = |it: &String| *it == bench.name() || it.contains("/peerEndpoints/");
            assert!(
                unfinished[0].leftovers.iter().any(is_named),
                "{unfinished:#?}"
            );
        }
        let after = World::of(bench);
        let new =
            |all: &[String], old: &[String]| all.iter().filter(|it| !old.contains(it)).count();
        let made = new(&after.connections, &before.connections);
        let edited = matches!(self.column, Column::ResetEdited | Column::LostEdited);
        let at = format!("{how:?}");
        let is_done = match self.row.act {
            Act::Create => {
                let peers = new(&after.peers, &before.peers);
                let each = usize::from(self.dialect == Dialect::Nsx);
                assert_eq!(peers, made * each, "{at}");
                made > 0
            }
            Act::Update => {
                let renamed = after.first.contains("renamed");
                let moved = after.first_peer.contains(NEW_PEER);
                assert!(
                    moved == renamed || self.dialect != Dialect::Nsx || is_given_up,
                    "{at}"
                );
                assert!(
                    renamed || edited || is_given_up || self.is_as_before(before, &after),
                    "{at}"
                );
                renamed
            }
            // Where a key cannot be told, nobody says that nothing is left.
            Act::Rekey => bench.cloud.key(&bench.ids[0]) == NEW_KEY,
            Act::Delete => {
                assert!(
                    !after.connections.is_empty() || after.peers.is_empty(),
                    "{at}"
                );
                after.connections.is_empty()
            }
            _ => return,
        };
        let expected = match (how, ended) {
            (Some(Unfinished::Finished), _) | (None, Ended::Ok(_)) => true,
            (Some(Unfinished::Undone), _) | (None, Ended::Failed(_)) => false,
            _ => return,
        };
        assert_eq!(is_done, expected, "{at}");
    }

    /// What there is in the cloud is what the client was told, or what can be read of a write that somebody goes on with.
    pub async fn nothing_is_orphaned(
        &self,
        before: &World,
        bench: &Bench,
        ended: &Ended,
        word: &str,
    ) {
        let unfinished = bench.unfinished().await;
        let unfinished: Vec<&String> = unfinished.iter().flat_map(|it| &it.leftovers).collect();
        let is_gone_on_with = |peer: &String| unfinished.iter().any(|name| name.ends_with(peer));
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
                        named.contains(peer.as_str()) || is_marked || is_gone_on_with(peer),
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
                let is_open = matches!(word, "unsure" | "left") || is_gone_on_with(&bench.ids[0]);
                assert!(is_open || !after.first.contains("renamed"));
                let edited = matches!(self.column, Column::ResetEdited | Column::LostEdited);
                assert!(word == "unsure" || edited || after.first_peer == before.first_peer);
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
                    assert!(
                        named.contains(peer.as_str()) || is_gone_on_with(peer),
                        "{peer} is orphaned"
                    );
                }
            }
            _ => nothing_changed(),
        }
    }

    /// Whether an update has left nothing, but for what counts the changes and names the last one.
    fn is_as_before(&self, before: &World, after: &World) -> bool {
        let plain = |text: &str| {
            let mut object: Value = serde_json::from_str(text).unwrap_or_default();
            if let Some(fields) = object.as_object_mut() {
                fields.retain(|key, _| !key.starts_with('_') && key != "tags");
            }
            object
        };
        plain(&before.first) == plain(&after.first)
            && plain(&before.first_peer) == plain(&after.first_peer)
    }

    /// Another backend of the same gateway answers as ever.
    pub async fn nobody_else_notices(&self, bench: &Bench) {
        for _ in 0..3 {
            let read = bench.running.get(&self.bystander.name);
            let answer = timeout(Duration::from_secs(5), read).await;
            answer.expect("the other backend answers in time").unwrap();
        }
    }

    /// The fault is over: the backend serves again, or rests because its login was refused, and says so.
    pub async fn goes_on(&self, bench: &Bench) {
        let deadline = Instant::now() + LONGEST_CIRCUIT * 2;
        let status = loop {
            let Err(status) = bench.running.list(BACKEND).await else {
                return;
            };
            // Nobody has noticed yet that it answers: it says when somebody may.
            let reason = status.get_details_error_info().unwrap().reason;
            if reason != "UPSTREAM_UNREACHABLE" {
                break status;
            }
            let retry = status
                .get_details_retry_info()
                .and_then(|info| info.retry_delay);
            let retry = retry.expect("when to come back");
            assert!(retry <= LONGEST_CIRCUIT && Instant::now() < deadline);
            tokio::time::sleep(retry).await;
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

fn is_login(write: &str) -> bool {
    write.contains("/auth/tokens") || write.contains("/session/create")
}
