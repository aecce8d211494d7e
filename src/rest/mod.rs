//! HTTP for dialects: deadline, size limit, pacing, redaction. Knows nothing of VPNs.

pub mod answer;
pub mod backoff;
pub mod budget;
pub mod client;
pub mod https;
pub mod json;
pub mod redact;
pub mod request;
pub mod secret_echo;
pub mod transport;
