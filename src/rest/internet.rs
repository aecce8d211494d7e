//! The network the product runs on: HTTP over TCP and TLS, by reqwest.

use crate::rest::{
    client::{Answer, Carried, Failure, FailureKind, MAX_ANSWER_BYTES, Options, Request, Sent},
    redact,
    transport::{Network, Transport},
};
use async_trait::async_trait;
use bytes::BytesMut;
use std::{sync::Arc, time::Duration};

/// Reaches clouds by their addresses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Internet;

impl Network for Internet {
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
            let pem = std::fs::read(path)
                .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| {
                format!("{} holds no PEM certificates: {error}", path.display())
            })?;
            for certificate in certificates {
                builder = builder.add_root_certificate(certificate);
            }
        }
        let http = builder
            .build()
            .map_err(|error| format!("cannot set up TLS: {error}"))?;
        Ok(Arc::new(Http(http)))
    }
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
    Failure {
        kind,
        sent,
        message: format!("{what}: {}", redact::tidy(&cause.to_string(), 200)),
    }
}
