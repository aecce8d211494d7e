//! The network of the product: HTTP over TCP and TLS, by reqwest.

use crate::{
    files,
    rest::{
        answer::{Answer, Carried, Failure, FailureKind, MAX_ANSWER_BYTES, Sent},
        names::{Lookup, Names, Resolver, System},
        redact,
        request::Request,
        transport::{Network, Options, Transport},
    },
};
use async_trait::async_trait;
use bytes::BytesMut;
use rustls::pki_types::pem::PemObject;
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

#[derive(Debug, Clone, Copy, Default)]
pub struct Https;

impl Network for Https {
    /// # Errors
    /// If the CA file cannot be read or the TLS settings do not work.
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String> {
        Ok(Arc::new(Http::open(options, Arc::new(System))?))
    }
}

/// Settings of all connections to one cloud.
#[derive(Debug)]
struct Way {
    names: Arc<Names>,
    authorities: Vec<reqwest::Certificate>,
    insecure_skip_verify: bool,
    connect_timeout: Duration,
}

impl Way {
    /// Creates an empty connection pool.
    fn pool(&self) -> Result<reqwest::Client, String> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("isthmus/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // Less than the whole timeout, so that a host that drops packets counts as not connected. Then nothing was
            // sent, a write is not in doubt, and time remains to try another host.
            .connect_timeout(self.connect_timeout)
            .dns_resolver(Resolver(Arc::clone(&self.names)))
            // Neutron's server closes idle connections after 75 s. The gateway closes them earlier.
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(KEEPALIVE)
            .tcp_keepalive_retries(3)
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(HTTP2_PING)
            .no_proxy();
        if self.insecure_skip_verify {
            builder = builder.danger_accept_invalid_certs(true);
        }
        for certificate in &self.authorities {
            builder = builder.add_root_certificate(certificate.clone());
        }
        builder
            .build()
            .map_err(|error| format!("cannot set up TLS: {error}"))
    }
}

/// Idle time before a TCP keepalive probe, and the interval between probes. The connection is closed after three
/// unanswered probes. Keepalives stop a firewall from forgetting the pool's idle connections, and detect a connection
/// that a firewall has forgotten before a request uses it.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// Interval and timeout of HTTP/2 pings while a request is in flight. All requests share one HTTP/2 connection, so
/// without pings each of them would wait out its own timeout on a dead one.
const HTTP2_PING: Duration = Duration::from_secs(10);

/// Largest CA file that is read, in bytes. The authorities of a whole system take a quarter of it.
const MAX_CA_FILE: u64 = 1024 * 1024;

/// Reads the certificates of a PEM file, which must hold at least one.
fn authorities(path: &Path) -> Result<Vec<reqwest::Certificate>, String> {
    let named = path.display();
    let pem =
        files::read(path, MAX_CA_FILE).map_err(|error| format!("cannot read {named}: {error}"))?;
    let unsound = |error: &dyn std::fmt::Display| {
        format!("{named} holds a certificate that cannot be read: {error}")
    };
    let found = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unsound(&error))?;
    if found.is_empty() {
        return Err(format!(
            "{named} holds no certificate: it must be a PEM file with the authority's, which begins with \
             -----BEGIN CERTIFICATE-----"
        ));
    }
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unsound(&error))?;
        rustls::RootCertStore::empty()
            .add(certificate)
            .map_err(|error| unsound(&error))?;
    }
    Ok(found)
}

#[derive(Debug)]
struct Http {
    way: Arc<Way>,
    /// The pool for new requests, and the generation of addresses it belongs to or is being replaced for. A std mutex,
    /// held to look and to swap and never across an await.
    pool: Arc<Mutex<(u64, reqwest::Client)>>,
}

impl Http {
    fn open(options: &Options, lookup: Arc<dyn Lookup>) -> Result<Http, String> {
        // An error means that the process has a provider already. Any provider will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = options.ca_file.as_deref().map(authorities).transpose()?;
        let way = Way {
            names: Names::new(lookup),
            authorities: authorities.unwrap_or_default(),
            insecure_skip_verify: options.insecure_skip_verify,
            connect_timeout: options.timeout / 2,
        };
        let pool = Mutex::new((way.names.generation(), way.pool()?));
        Ok(Http {
            way: Arc::new(way),
            pool: Arc::new(pool),
        })
    }

    /// Returns the pool for one more request, and replaces it if the addresses have changed. Old connections close when
    /// their last request ends. One request has the new pool built on a blocking thread, because that reads all
    /// authorities; until then other requests use the old pool.
    async fn connections(&self) -> reqwest::Client {
        let now = self.way.names.generation();
        // A block, so that no guard lives across the await.
        let (before, old) = {
            let mut kept = kept(&self.pool);
            if kept.0 == now {
                return kept.1.clone();
            }
            let before = std::mem::replace(&mut kept.0, now);
            (before, kept.1.clone())
        };
        let (way, pool) = (Arc::clone(&self.way), Arc::clone(&self.pool));
        // The work continues even if this request is dropped.
        let made = tokio::task::spawn_blocking(move || {
            let made = way.pool();
            let mut kept = self::kept(&pool);
            match (&made, kept.0 == now) {
                (Ok(made), true) => kept.1 = made.clone(),
                // The next request tries again.
                (Err(_), true) => kept.0 = before,
                (_, false) => {}
            }
            made.ok()
        });
        // The same settings worked at start, so a failure here does not fail the request.
        made.await.ok().flatten().unwrap_or(old)
    }
}

fn kept(pool: &Mutex<(u64, reqwest::Client)>) -> MutexGuard<'_, (u64, reqwest::Client)> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Transport for Http {
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        if let Some(host) = request.url.domain() {
            self.way.names.used(host);
        }
        let mut ask = reqwest::Request::new(request.method.clone(), request.url.clone());
        *ask.headers_mut() = request.headers.clone();
        *ask.body_mut() = request.body.clone().map(Into::into);
        let mut response = self
            .connections()
            .await
            .execute(ask)
            .await
            .map_err(failure)?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        if response
            .content_length()
            .is_some_and(|length| length > MAX_ANSWER_BYTES as u64)
        {
            return Err(too_large());
        }
        // Most answers are one piece, and stay as they are.
        let mut body = response.chunk().await.map_err(failure)?.unwrap_or_default();
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(too_large());
            }
            let mut longer = BytesMut::from(body);
            longer.extend_from_slice(&chunk);
            body = longer.freeze();
        }
        Ok(Answer {
            status,
            headers,
            body,
            carried: Carried::default(),
        })
    }
}

fn too_large() -> Failure {
    Failure {
        kind: FailureKind::TooLarge,
        sent: Sent::Maybe,
        message: format!("the answer is larger than {MAX_ANSWER_BYTES} bytes"),
    }
}

fn failure(error: reqwest::Error) -> Failure {
    let (kind, sent) = if error.is_connect() {
        (FailureKind::Connect, Sent::No)
    } else if error.is_timeout() {
        (FailureKind::Deadline, Sent::Maybe)
    } else {
        (FailureKind::Broken, Sent::Maybe)
    };
    // reqwest's own text repeats the URL, whose query may contain private names.
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let what = match kind {
        FailureKind::Connect => "cannot connect",
        FailureKind::Deadline => "timed out",
        _ => "the connection broke",
    };
    let why = redact::tidy(&cause.to_string(), 200);
    let help = help(&why);
    Failure {
        kind,
        sent,
        message: format!("{what}: {why}{help}"),
    }
}

/// Returns advice for a rejected certificate, by rustls's error.
fn help(why: &str) -> &'static str {
    if why.contains("CaUsedAsEndEntity") {
        "; the server shows the certificate of an authority, which is no server's even if `ca_file` names it: make \
         one with basicConstraints CA:FALSE, self-signed or signed by that authority"
    } else if why.contains("UnknownIssuer") || why.contains("BadSignature") {
        "; nobody who is trusted signed it: `ca_file` must name a PEM file with the authority's certificate, or with \
         the server's own if it signed itself"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;
    use std::{
        io::{Read, Write},
        net::TcpListener,
        path::PathBuf,
        thread,
    };
    use tokio_util::task::AbortOnDropHandle;

    fn fixture(name: &str) -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
        folder.join(name)
    }

    fn open(ca_file: Option<PathBuf>) -> Result<Arc<dyn Transport>, String> {
        Https.open(&Options {
            ca_file,
            timeout: Duration::from_secs(10),
            ..Options::default()
        })
    }

    /// Returns the result of one request to a server with this certificate.
    async fn asked(certificate: &str, ca_file: Option<PathBuf>) -> Result<u16, String> {
        let transport = open(ca_file)?;
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let chain = rustls::pki_types::CertificateDer::from_pem_file(fixture(certificate));
        let key = certificate.replace(".pem", ".key.pem");
        let key = rustls::pki_types::PrivateKeyDer::from_pem_file(fixture(&key));
        let config = rustls::ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![chain.unwrap()], key.unwrap())
            .unwrap();
        let server = thread::spawn(move || {
            let (socket, _) = listener.accept().unwrap();
            let session = rustls::ServerConnection::new(Arc::new(config)).unwrap();
            let mut stream = rustls::StreamOwned::new(session, socket);
            // A client that does not trust the certificate hangs up.
            if stream.read(&mut [0; 1024]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
            }
        });
        let url = format!("https://{address}/").parse().unwrap();
        let answer = transport.exchange(&Request::new(Method::GET, url)).await;
        server.join().unwrap();
        answer.map(|answer| answer.status).map_err(|failure| {
            assert_eq!(
                (failure.kind, failure.sent),
                (FailureKind::Connect, Sent::No)
            );
            failure.message
        })
    }

    #[tokio::test]
    async fn a_server_that_is_its_own_authority_is_trusted_or_explained() {
        let server = "self_signed_ca_false.pem";
        assert_eq!(asked(server, Some(fixture(server))).await, Ok(204));
        let unknown = asked(server, None).await.unwrap_err();
        assert!(unknown.contains("`ca_file`"), "{unknown}");
        let authority = "self_signed_ca_true.pem";
        let why = asked(authority, Some(fixture(authority)))
            .await
            .unwrap_err();
        assert!(why.contains("CA:FALSE"), "{why}");
        let other = asked(server, Some(fixture(authority))).await.unwrap_err();
        assert!(other.contains("`ca_file`"), "{other}");
    }

    /// Starts a server that answers every request with `who`.
    fn serve(listener: tokio::net::TcpListener, who: &'static str) -> AbortOnDropHandle<()> {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let serving = async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((mut socket, _)) = listener.accept().await {
                open.spawn(async move {
                    // A request arrives in one piece.
                    while socket.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{who}");
                        if socket.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        };
        AbortOnDropHandle::new(tokio::spawn(serving))
    }

    #[derive(Debug)]
    struct Moving(Mutex<std::net::IpAddr>);

    #[async_trait]
    impl Lookup for Moving {
        async fn addresses(&self, host: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
            assert_eq!(host, "cloud.test");
            Ok(vec![*self.0.lock().unwrap()])
        }
    }

    #[tokio::test]
    async fn a_cloud_that_moves_is_found_where_it_is_though_the_old_one_answers() {
        let old = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = old.local_addr().unwrap().port();
        let new = tokio::net::TcpListener::bind(("127.0.0.2", port)).await;
        let _serving = [serve(old, "o"), serve(new.unwrap(), "n")];
        let moving = Arc::new(Moving(Mutex::new([127, 0, 0, 1].into())));
        let options = Options {
            timeout: Duration::from_secs(10),
            ..Options::default()
        };
        let http = Http::open(&options, Arc::clone(&moving) as Arc<dyn Lookup>).unwrap();
        let url: reqwest::Url = format!("http://cloud.test:{port}/").parse().unwrap();
        let asked = async || {
            let request = Request::new(Method::GET, url.clone());
            http.exchange(&request).await.unwrap().body
        };
        assert_eq!(asked().await, "o");
        *moving.0.lock().unwrap() = [127, 0, 0, 2].into();
        assert_eq!(asked().await, "o", "its connection is used again");
        // As if a refresh were due: opening a connection resolves the host too.
        http.way.names.resolve("cloud.test").await.unwrap();
        assert_eq!(asked().await, "n");
        *moving.0.lock().unwrap() = [127, 0, 0, 1].into();
        http.way.names.resolve("cloud.test").await.unwrap();
        assert_eq!(asked().await, "o");
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
        for (file, what) in [
            (
                fixture("self_signed_ca_true.key.pem"),
                "holds no certificate",
            ),
            (fixture("README.md"), "holds no certificate"),
            (fixture("not_there.pem"), "cannot read"),
            (fixture(""), "not a regular file"),
        ] {
            let why = open(Some(file)).map(drop).unwrap_err();
            assert!(why.contains(what), "{why}");
        }
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join("broken.pem");
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        std::fs::write(&broken, text).unwrap();
        let why = open(Some(broken)).map(drop).unwrap_err();
        assert!(why.contains("certificate that cannot be read"), "{why}");
    }
}
