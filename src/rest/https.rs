//! The network the product runs on: HTTP over TCP and TLS, by reqwest.

use crate::{
    files,
    rest::{
        answer::{Answer, Carried, Failure, FailureKind, MAX_ANSWER_BYTES, Sent},
        redact,
        request::Request,
        transport::{Network, Options, Transport},
    },
};
use async_trait::async_trait;
use bytes::BytesMut;
use rustls::pki_types::pem::PemObject;
use std::{path::Path, sync::Arc, time::Duration};

/// Reaches clouds by their addresses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Https;

impl Network for Https {
    /// # Errors
    /// If the CA file cannot be read or the TLS settings do not work.
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String> {
        // An error only says that the process has chosen one already, and any will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("isthmus/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // Less than the whole, so that a host that swallows packets counts as not connected: then nothing
            // was sent, a write is not in doubt, and there is time left to ask another host.
            .connect_timeout(options.timeout / 2)
            // Neutron's server closes idle connections after 75 s; leave before it does.
            .pool_idle_timeout(Duration::from_secs(60))
            .no_proxy();
        if options.insecure_skip_verify {
            builder = builder.danger_accept_invalid_certs(true);
        }
        if let Some(path) = &options.ca_file {
            for certificate in authorities(path)? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder
            .build()
            .map_err(|error| format!("cannot set up TLS: {error}"))?;
        Ok(Arc::new(Http(http)))
    }
}

/// The longest file of authorities that is read, in bytes. Those of a whole system are a quarter of it.
const MAX_CA_FILE: u64 = 1024 * 1024;

/// The certificates in a PEM file: at least one.
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
struct Http(reqwest::Client);

#[async_trait]
impl Transport for Http {
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure> {
        let mut ask = reqwest::Request::new(request.method.clone(), request.url.clone());
        *ask.headers_mut() = request.headers.clone();
        *ask.body_mut() = request.body.clone().map(Into::into);
        let mut response = self.0.execute(ask).await.map_err(failure)?;
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
    // reqwest's own text repeats the URL, whose query may name things a log should not have.
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

/// What can be done where a certificate is not trusted, by what rustls says of it.
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

    /// What one request to a server with this certificate comes to.
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
            // A client that does not trust it hangs up.
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

    #[test]
    fn a_file_without_certificates_is_refused() {
        for (file, what) in [
            (
                fixture("self_signed_ca_true.key.pem"),
                "holds no certificate",
            ),
            (fixture("README.md"), "holds no certificate"),
            (fixture("not_there.pem"), "cannot read"),
            (fixture(""), "no regular file"),
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
