//! A relay before Keystone or Neutron that reads along, to know the gateway's tokens, and count its logins and writes.

use crate::cloud::variable;
use std::sync::{Arc, Mutex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// What passes in one direction, on all connections together.
type Seen = Arc<Mutex<Vec<u8>>>;
/// What is done to what the gateway sends. Must keep its length.
type Edit = fn(&[u8]) -> Vec<u8>;

/// The relay; dropped, it stops.
pub struct Tap {
    /// Where it listens, as the address of what it stands before.
    pub url: String,
    asked: Seen,
    answered: Seen,
    listener: JoinHandle<()>,
}

impl Tap {
    /// Passes everything on as it is.
    pub async fn start() -> Tap {
        Tap::editing(<[u8]>::to_vec).await
    }

    /// Passes on what `edit` makes of each piece the gateway sends.
    pub async fn editing(edit: Edit) -> Tap {
        Tap::before("LIVE_KEYSTONE_URL", edit).await
    }

    /// Passes everything on to Neutron.
    pub async fn neutron() -> Tap {
        Tap::before("LIVE_NEUTRON_URL", <[u8]>::to_vec).await
    }

    async fn before(server: &str, edit: Edit) -> Tap {
        let server = variable(server);
        let server = server.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, answered) = (Seen::default(), Seen::default());
        let seen = (Arc::clone(&asked), Arc::clone(&answered));
        let listener = tokio::spawn(async move {
            while let Ok((gateway, _)) = listener.accept().await {
                let cloud = TcpStream::connect(&server).await.unwrap();
                let (from_gateway, to_gateway) = gateway.into_split();
                let (from_cloud, to_cloud) = cloud.into_split();
                tokio::spawn(pass(from_gateway, to_cloud, Arc::clone(&seen.0), edit));
                tokio::spawn(pass(
                    from_cloud,
                    to_gateway,
                    Arc::clone(&seen.1),
                    <[u8]>::to_vec,
                ));
            }
        });
        Tap {
            url,
            asked,
            answered,
            listener,
        }
    }

    /// How often a login was tried.
    pub fn logins(&self) -> usize {
        text(&self.asked).matches("POST /v3/auth/tokens").count()
    }

    /// How often something of a VPN was to be written.
    pub fn writes(&self) -> usize {
        let asked = text(&self.asked);
        let count = |method: &str| asked.matches(&format!("{method} /v2.0/vpn/")).count();
        ["POST", "PUT", "DELETE"].into_iter().map(count).sum()
    }

    /// The tokens that Keystone gave, oldest first.
    pub fn tokens(&self) -> Vec<String> {
        let answers = text(&self.answered);
        let lines = answers.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(name, _)| name.eq_ignore_ascii_case("x-subject-token"))
            .map(|(_, token)| token.trim().to_owned())
            .collect()
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn text(seen: &Seen) -> String {
    String::from_utf8_lossy(&seen.lock().unwrap()).into_owned()
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, seen: Seen, edit: Edit) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length) = from.read(&mut piece).await {
        if length == 0 {
            break;
        }
        let edited = edit(&piece[..length]);
        seen.lock().unwrap().extend_from_slice(&edited);
        if to.write_all(&edited).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
