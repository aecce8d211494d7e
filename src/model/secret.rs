//! The pre-shared key: goes in and never comes out.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;

/// A pre-shared key.
///
/// It has no `Display` and no `Serialize`, prints as `Psk(..)`, and is wiped when dropped. Each dialect
/// turns it to text in one place, on its way into a request body.
#[derive(Clone)]
pub struct Psk(SecretString);

impl Psk {
    /// Wraps a key. Whether a cloud takes it is for its dialect to say.
    pub fn new(text: impl Into<String>) -> Psk {
        Psk(SecretString::from(text.into()))
    }

    /// The key itself, for a request body and nothing else.
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
