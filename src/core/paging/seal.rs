//! Seals bytes so that they are unreadable at a glance, and opens them only unchanged and for the scope they were
//! sealed for.
//!
//! There is no key, because every gateway must open what another gateway, or itself before a restart, has sealed.
//! Anyone who reads this source can make a seal. It keeps clients from depending on the content; it does not keep
//! secrets. The content must be of no use to anyone but its owner.

use sha2::{Digest, Sha256};

/// The format byte that sealed bytes begin with. No JSON begins with it.
const FORMAT: u8 = 1;

/// The length of the seal in bytes.
const SEAL_BYTES: usize = 16;

/// Domain separation: each hash input begins with its purpose, so that no hash is valid for another use.
const SEAL: &[u8] = b"isthmus.v1 page token: seal";
const STREAM: &[u8] = b"isthmus.v1 page token: stream";

/// Seals `content` for `scope`. The result is deterministic.
pub fn seal(scope: &[u8; 32], content: &[u8]) -> Vec<u8> {
    let seal = hash(SEAL, scope, content);
    let seal = &seal[..SEAL_BYTES];
    let mut bytes = vec![FORMAT];
    bytes.extend(seal);
    bytes.extend(masked(scope, seal, content));
    bytes
}

/// Opens what was sealed for `scope`; returns `None` if it was not sealed for that scope or has changed.
pub fn open(scope: &[u8; 32], bytes: &[u8]) -> Option<Vec<u8>> {
    let (format, rest) = bytes.split_first()?;
    let (seal, hidden) = rest.split_at_checked(SEAL_BYTES)?;
    let content = masked(scope, seal, hidden);
    let is_whole = *format == FORMAT && hash(SEAL, scope, &content)[..SEAL_BYTES] == *seal;
    is_whole.then_some(content)
}

/// Masks or unmasks `content`. Applying it twice gives the original.
fn masked(scope: &[u8; 32], seal: &[u8], content: &[u8]) -> Vec<u8> {
    let blocks = (0_u32..).flat_map(|block| {
        let at = [seal, &block.to_be_bytes()].concat();
        hash(STREAM, scope, &at)
    });
    content
        .iter()
        .zip(blocks)
        .map(|(one, other)| one ^ other)
        .collect()
}

fn hash(purpose: &[u8], scope: &[u8; 32], content: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(purpose);
    hash.update(scope);
    hash.update(content);
    hash.finalize().into()
}
