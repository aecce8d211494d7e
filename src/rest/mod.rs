//! HTTP for dialects: deadline, size limit, pacing, retries, circuit breakers, redaction. Knows nothing of VPNs.

pub mod answer;
pub mod backoff;
pub mod budget;
pub mod circuit;
pub mod client;
mod counts;
pub mod https;
pub mod json;
pub mod names;
pub mod redact;
pub mod request;
pub mod retry;
pub mod secret_echo;
pub mod transport;
