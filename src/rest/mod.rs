//! HTTP for dialects: deadline, size limit, pacing, redaction. Knows nothing of VPNs.

pub mod answer;
pub mod budget;
pub mod client;
pub mod echo;
pub mod internet;
pub mod json;
pub mod patience;
pub mod redact;
pub mod refusals;
pub mod request;
pub mod transport;
