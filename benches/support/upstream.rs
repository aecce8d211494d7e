//! A cloud over HTTP that costs next to nothing: it answers prepared bytes, and counts.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::net::TcpListener;

/// The connection as Neutron 2026.1 answered it, the key aside.
pub const RECORDED: &str = r#"{"ipsec_site_connection": {"id": "b0f38f6f-cf87-497a-a997-8e4b0de75f73", "tenant_id": "fc01997757d140ebb063c7729563fba8", "name": "", "description": "", "peer_address": "198.51.100.20", "peer_id": "198.51.100.20", "local_id": "", "route_mode": "static", "mtu": 1500, "auth_mode": "psk", "psk": "not-a-secret", "initiator": "bi-directional", "dpd": {"action": "hold", "interval": 30, "timeout": 120}, "admin_state_up": true, "status": "ACTIVE", "vpnservice_id": "1e895ab9-9823-44dd-bca7-065ffeba871e", "ikepolicy_id": "c573ba64-128f-4fbf-aa90-15471a8dc49a", "ipsecpolicy_id": "ed664305-b59f-470f-b045-e8bebe38ce90", "peer_cidrs": [], "local_ep_group_id": "2dd8e2a4-7bbd-42b8-8763-398a5f487425", "peer_ep_group_id": "fee1ba84-bf34-46a9-932d-5f5d50758756", "project_id": "fc01997757d140ebb063c7729563fba8"}}"#;
/// Its id.
pub const ID: &str = "b0f38f6f-cf87-497a-a997-8e4b0de75f73";

/// The cloud.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub addr: SocketAddr,
    requests: Arc<AtomicU64>,
}

impl Upstream {
    /// Starts it; `answer` tells what is answered to a path with its query.
    pub async fn start(answer: impl Fn(&str) -> Bytes + Send + Sync + 'static) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("a bound socket");
        let requests = Arc::new(AtomicU64::new(0));
        let answer = Arc::new(answer);
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                socket.set_nodelay(true).expect("a TCP socket");
                let (answer, counted) = (Arc::clone(&answer), Arc::clone(&counted));
                let service = service_fn(move |request: Request<Incoming>| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let path = request.uri().path_and_query();
                    let body = answer(path.map_or("/", |path| path.as_str()));
                    async move {
                        let answer = Response::builder().header("content-type", "application/json");
                        Ok::<_, Infallible>(answer.body(Full::new(body)).expect("plain headers"))
                    }
                });
                tokio::spawn(async move {
                    // The client ends it.
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Upstream { addr, requests }
    }

    /// How many requests came so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}
