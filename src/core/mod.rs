//! What the gateway does, whatever the dialect.

pub mod dialect;
pub mod error;
pub mod settings;
