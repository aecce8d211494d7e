//! What the configuration says of one backend now: the one place where whoever needs it reads it, since a reload may change it
//! at any time.

use crate::core::{
    error::{Error, ErrorKind, ErrorReason, Result},
    settings::{BackendSettings, PollSettings},
};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_util::sync::CancellationToken;

/// What is configured of one backend, for as long as anybody has to do with it.
#[derive(Debug)]
pub struct Configured {
    /// Held for one copy only, never across an await.
    settings: RwLock<Arc<BackendSettings>>,
    /// Cancelled when it is configured no more.
    removed: CancellationToken,
}

impl Configured {
    /// A backend that is configured so.
    pub fn new(settings: BackendSettings) -> Configured {
        Configured {
            settings: RwLock::new(Arc::new(settings)),
            removed: CancellationToken::new(),
        }
    }

    /// Its settings, as they are now.
    pub fn settings(&self) -> Arc<BackendSettings> {
        let settings = self.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    /// How it is polled from now on.
    pub fn poll(&self) -> PollSettings {
        let settings = self.settings.read();
        settings.unwrap_or_else(PoisonError::into_inner).poll
    }

    /// It is configured differently from now on, under the same name.
    pub fn change(&self, settings: BackendSettings) {
        let settings = Arc::new(settings);
        let mut now = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *now = settings;
    }

    /// It is configured no more, which is for ever: a backend that comes back is another.
    pub fn remove(&self) {
        self.removed.cancel();
    }

    /// Whether it is configured no more.
    pub fn is_removed(&self) -> bool {
        self.removed.is_cancelled()
    }

    /// Waits until it is configured no more.
    pub async fn removed(&self) {
        self.removed.cancelled().await;
    }

    /// Fails if it is configured no more.
    ///
    /// # Errors
    /// `NotFound` / `BackendRemoved`.
    pub fn check(&self) -> Result<()> {
        if !self.is_removed() {
            return Ok(());
        }
        let name = &self.settings().name;
        Err(Error::new(
            ErrorKind::NotFound,
            ErrorReason::BackendRemoved,
            format!(
                "the backend `{}` was taken out of the gateway's configuration",
                name.as_str()
            ),
        )
        .on(name)
        .resource(name.to_string()))
    }
}
