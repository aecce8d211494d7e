//! Bytes that say nothing to whoever looks at them, and are opened for what they were sealed for, unchanged, or not at all.
//!
//! There is no key, because every gateway must open what another, or the same before a restart, has sealed. Whoever
//! reads this source can make a seal; it keeps clients from building on what is inside, and secrets out of reach of
//! nobody. What is sealed must be worth nothing but to its owner.

use sha2::{Digest, Sha256};

/// What sealed bytes begin with: the format. No JSON does.
const FORMAT: u8 = 1;

/// Bytes of the seal.
const SEAL_BYTES: usize = 16;

/// What is hashed begins with what it is for, so that no hash is good for another use.
const SEAL: &[u8] = b"isthmus.v1 page token: seal";
const STREAM: &[u8] = b"isthmus.v1 page token: stream";

/// Seals `content` for `scope`. The same for the same.
pub fn seal(scope: &[u8; 32], content: &[u8]) -> Vec<u8> {
    let seal = hash(SEAL, scope, content);
    let seal = &seal[..SEAL_BYTES];
    let mut bytes = vec![FORMAT];
    bytes.extend(seal);
    bytes.extend(masked(scope, seal, content));
    bytes
}

/// What was sealed for `scope`; `None` if nothing was, or it was changed since.
pub fn open(scope: &[u8; 32], bytes: &[u8]) -> Option<Vec<u8>> {
    let (format, rest) = bytes.split_first()?;
    let (seal, hidden) = rest.split_at_checked(SEAL_BYTES)?;
    let content = masked(scope, seal, hidden);
    let is_whole = *format == FORMAT && hash(SEAL, scope, &content)[..SEAL_BYTES] == *seal;
    is_whole.then_some(content)
}

/// The same twice is what it was.
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
