//! The current configuration of one backend. Everything that needs it reads it here, since a
//! reload may change it at any time.

use crate::core::{
    error::{Error, ErrorKind, ErrorReason, Result},
    settings::{BackendSettings, PollSettings},
};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_util::sync::CancellationToken;

/// The configuration of one backend, kept for as long as anything refers to the backend.
#[derive(Debug)]
pub struct Configured {
    /// Held for one copy only, never across an await.
    settings: RwLock<Arc<BackendSettings>>,
    /// Cancelled when the backend is removed from the configuration.
    removed: CancellationToken,
}

impl Configured {
    pub fn new(settings: BackendSettings) -> Configured {
        Configured {
            settings: RwLock::new(Arc::new(settings)),
            removed: CancellationToken::new(),
        }
    }

    /// Returns the current settings.
    pub fn settings(&self) -> Arc<BackendSettings> {
        let settings = self.settings.read();
        Arc::clone(&settings.unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the current poll settings.
    pub fn poll(&self) -> PollSettings {
        let settings = self.settings.read();
        settings.unwrap_or_else(PoisonError::into_inner).poll
    }

    /// Replaces the settings; the name stays the same.
    pub fn change(&self, settings: BackendSettings) {
        let settings = Arc::new(settings);
        let mut now = self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *now = settings;
    }

    /// Marks the backend as removed. This is permanent: a backend that comes back under the same name is a new one.
    pub fn remove(&self) {
        self.removed.cancel();
    }

    pub fn is_removed(&self) -> bool {
        self.removed.is_cancelled()
    }

    pub async fn removed(&self) {
        self.removed.cancelled().await;
    }

    /// Fails if the backend was removed from the configuration.
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
