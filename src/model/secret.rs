//! The pre-shared key. The gateway passes it to a cloud and never returns it.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A pre-shared key.
///
/// It has no `Display` and no `Serialize`, its `Debug` prints `Psk(..)`, and its memory is wiped on drop. Each dialect
/// calls [`Psk::expose`] in one place, to put the key into a request body.
#[derive(Clone)]
pub struct Psk(SecretString);

impl Psk {
    /// Wraps a key. The dialect decides whether its cloud accepts the key.
    pub fn new(text: impl Into<String>) -> Psk {
        Psk(SecretString::from(text.into()))
    }

    /// The key itself. For request bodies only.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Psk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Psk(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", Psk::new("canary")), "Psk(..)");
    }
}
