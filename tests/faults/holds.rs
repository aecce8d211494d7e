//! What always holds of a cell, whatever goes wrong in it.

use crate::{
    bench::{BACKEND, Bench, writes},
    cell::{Cell, Ended, NEW_KEY, World},
    columns::{CANARY, Column, Dialect, WORDS},
    rows::Act,
    support::clouds::PSK,
};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic_types::StatusExt;

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

    /// Every write is sent once. Only a refused login lets it be sent again, and only logins repeat.
    pub fn nothing_is_sent_twice(&self, bench: &Bench) {
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

    /// Once the connection is seen to be gone, the rest of it goes, too.
    pub async fn what_was_left_is_removed(&self, bench: &Bench) {
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
    pub fn nothing_is_orphaned(&self, before: &World, bench: &Bench, ended: &Ended, word: &str) {
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
