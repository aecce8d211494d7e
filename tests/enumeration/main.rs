//! Every algorithm, every value of every enum and every field that the clouds' documents list: reachable through the
//! contract, or refused by name.
//!
//! The lists are the vendors' (`fixtures/nsx/nsx-mp-vpn-openapi.json`, `fixtures/openstack/words.json` and
//! `attributes.json`), what each word means is written down here by its number at IANA or its RFC (`meanings`), and
//! neither comes from the code under test. Each word is put into an object of a simulated cloud and read; then it is
//! written, and looked for in what the cloud has.

#![allow(
    clippy::unwrap_used,
    reason = "in a test, what is not there is a failure"
)]

mod fields;
mod meanings;
#[path = "../support/mod.rs"]
mod support;
mod words;
