//! The seam between the requests to a cloud and the wire that carries them.
//!
//! A [`Network`] opens a [`Transport`] to each cloud. The product has one network,
//! [`Https`](crate::rest::https::Https). A simulated network runs the whole gateway without sockets.

use crate::rest::{
    answer::{Answer, Failure},
    request::Request,
};
use async_trait::async_trait;
use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// How to reach one cloud.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The backend's name, for metrics, spans and the log.
    pub backend: Arc<str>,
    /// Whether state about the account outlives this client. Set when a reload may replace the backend.
    pub account_lasts: bool,
    /// PEM file of a certificate authority to trust in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// Accepts any certificate.
    pub insecure_skip_verify: bool,
    /// Timeout of one request.
    pub timeout: Duration,
}

/// Opens transports to clouds.
pub trait Network: fmt::Debug + Send + Sync {
    /// Opens a transport to one cloud for one account. Sends nothing.
    ///
    /// # Errors
    /// A sentence that names the option the network cannot use.
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String>;
}

/// A transport to one cloud. The client, not the transport, handles budgets, deadlines and retries.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request once and reads its whole answer, at most
    /// [`MAX_ANSWER_BYTES`](crate::rest::answer::MAX_ANSWER_BYTES). Does not follow redirects. Dropping the future
    /// cancels the request.
    ///
    /// # Errors
    /// If no whole answer arrives.
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure>;
}
