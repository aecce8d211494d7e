//! The seam between what is asked of a cloud and the wire it travels on.
//!
//! A [`Network`] knows how to reach clouds; what it opens to one of them is a [`Transport`]. The product has one
//! network, [`Https`](crate::rest::https::Https); a simulated one lets the whole gateway run where no
//! socket is.

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
    /// Whether what is known of its account is to outlive this way to it: the backend may be configured anew.
    pub account_lasts: bool,
    /// PEM file of an authority to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// The longest one request may take.
    pub timeout: Duration,
}

/// How clouds are reached.
pub trait Network: fmt::Debug + Send + Sync {
    /// Opens the way to one cloud with one account. Sends nothing.
    ///
    /// # Errors
    /// What of the options it cannot work with, as a sentence.
    fn open(&self, options: &Options) -> Result<Arc<dyn Transport>, String>;
}

/// The way to one cloud. Knows nothing of budgets, deadlines and repeats: those are the client's.
#[async_trait]
pub trait Transport: fmt::Debug + Send + Sync {
    /// Sends a request once and reads its answer whole, at most
    /// [`MAX_ANSWER_BYTES`](crate::rest::answer::MAX_ANSWER_BYTES). Follows no redirects; dropped, it hangs up.
    ///
    /// # Errors
    /// If there is no whole answer.
    async fn exchange(&self, request: &Request) -> Result<Answer, Failure>;
}
