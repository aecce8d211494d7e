//! Tells requests apart without storing what they contain. A request body may contain a key, so bodies are compared by
//! a MAC. The MAC's own key is random, made once and stored beside the records.

use crate::core::{
    ledger::shelf::Shelf,
    request_id::Request,
    store::{Expect, RecordChange, StoreError},
};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// The record that holds the MAC key.
const KEY: &str = "keys/request_mac";

#[derive(Clone)]
pub struct MacKey([u8; 32]);

/// Identifies a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The request id that its caller chose.
    pub id: String,
    /// The RPC method.
    pub method: String,
    /// The MAC of the method and the body, in hexadecimal.
    pub mac: String,
}

impl MacKey {
    pub fn random() -> MacKey {
        let mut key = [0; 32];
        key[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        MacKey(key)
    }

    /// Returns the stored key, storing a new one if there is none.
    ///
    /// # Errors
    /// If the key can be neither read nor stored.
    pub async fn kept(shelf: &Shelf) -> Result<MacKey, StoreError> {
        for _ in 0..2 {
            let kept = shelf.read(KEY).await?;
            if let Some((_, value)) = kept.into_iter().find(|(key, _)| key == KEY) {
                let malformed = |_| StoreError(format!("the record `{KEY}` is malformed"));
                return Ok(MacKey(value.try_into().map_err(malformed)?));
            }
            let key = MacKey::random();
            if shelf.write(vec![key.record()]).await? {
                return Ok(key);
            }
            // Another writer stored a key first.
        }
        Err(StoreError(format!("the record `{KEY}` comes and goes")))
    }

    /// Stores the key again if the store has lost it.
    ///
    /// # Errors
    /// If the key cannot be stored.
    pub async fn keep(&self, shelf: &Shelf) -> Result<(), StoreError> {
        shelf.write(vec![self.record()]).await.map(drop)
    }

    fn record(&self) -> RecordChange {
        RecordChange {
            key: KEY.to_owned(),
            expect: Expect::Absent,
            value: Some(self.0.to_vec()),
        }
    }

    pub fn fingerprint(&self, request: &Request) -> Fingerprint {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("any length is a key");
        mac.update(request.method.as_bytes());
        mac.update(&[0]);
        mac.update(&request.body);
        let mac = mac.finalize().into_bytes();
        Fingerprint {
            id: request.id.clone(),
            method: request.method.to_owned(),
            mac: mac.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &'static str, body: &[u8]) -> Request {
        Request {
            id: "r".to_owned(),
            method,
            body: body.to_vec(),
        }
    }

    #[tokio::test]
    async fn the_same_request_has_the_same_fingerprint_as_long_as_the_key_is_kept() {
        let shelf = Shelf::in_memory();
        let key = MacKey::kept(&shelf).await.unwrap();
        let again = MacKey::kept(&shelf).await.unwrap();
        let one = key.fingerprint(&request("Create", b"body"));
        assert_eq!(one, again.fingerprint(&request("Create", b"body")));
        for other in [
            key.fingerprint(&request("Create", b"Body")),
            key.fingerprint(&request("Creat", b"ebody")),
            MacKey::random().fingerprint(&request("Create", b"body")),
        ] {
            assert_ne!(one.mac, other.mac);
        }
        assert_eq!(format!("{key:?}"), "MacKey(..)");
    }

    /// RFC 4231, test case 2, with this module's separator between method and body.
    #[test]
    fn it_is_hmac_sha256() {
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let mut expected = <Hmac<Sha256> as Mac>::new_from_slice(b"Jefe").unwrap();
        expected.update(b"what do ya want \0for nothing?");
        let expected: String = expected
            .finalize()
            .into_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // HMAC pads a key shorter than a block with zeros, so both keys are the same.
        let found = MacKey(key).fingerprint(&request("what do ya want ", b"for nothing?"));
        assert_eq!(found.mac, expected);
    }
}
