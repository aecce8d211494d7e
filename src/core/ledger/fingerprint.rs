//! What tells one request from another without holding what is in it: a body may have a key, so it is compared by a MAC
//! whose own key is random, made once and kept beside the records.

use crate::core::{
    ledger::shelf::Shelf,
    request_id::Request,
    store::{Expect, RecordChange, StoreError},
};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;

/// Under which the key is kept.
const KEY: &str = "keys/request_mac";

/// The key of the MAC.
#[derive(Clone)]
pub struct MacKey([u8; 32]);

/// A request, told from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// The id that its caller chose.
    pub id: String,
    /// Which call.
    pub method: String,
    /// The MAC of the rest, in hexadecimal.
    pub mac: String,
}

impl MacKey {
    /// A new one.
    pub fn random() -> MacKey {
        let mut key = [0; 32];
        key[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        MacKey(key)
    }

    /// The one that is kept there; it is made if there is none.
    ///
    /// # Errors
    /// If it can be neither read nor kept.
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
            // Another was quicker.
        }
        Err(StoreError(format!("the record `{KEY}` comes and goes")))
    }

    /// Has it be kept, should the store have lost it.
    ///
    /// # Errors
    /// If it cannot be kept.
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

    /// What tells this request from others.
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

    /// RFC 4231, test case 2, with the separator that stands between method and body here.
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
        // A key shorter than a block is padded with zeros, so these are one key.
        let found = MacKey(key).fingerprint(&request("what do ya want ", b"for nothing?"));
        assert_eq!(found.mac, expected);
    }
}
