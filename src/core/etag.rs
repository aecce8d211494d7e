//! The gateway's own check of an etag, before a write is sent or when it is only validated.

use crate::core::error::{Error, ErrorKind, ErrorReason, Result};

/// Returns the etag that a caller gave. An empty one counts as none.
pub fn given(etag: Option<&str>) -> Option<&str> {
    etag.filter(|etag| !etag.is_empty())
}

/// Compares the etag that a caller gave with that of the resource `now`.
///
/// # Errors
/// `Stale` if an etag is given and differs.
pub fn check(etag: Option<&str>, now: &str) -> Result<()> {
    match given(etag) {
        Some(etag) if etag != now => Err(Error::new(
            ErrorKind::Stale,
            ErrorReason::StaleEtag,
            "it was changed since the `etag` was read",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_etag_that_was_given_can_be_stale() {
        for (etag, passes) in [
            (None, true),
            (Some(""), true),
            (Some("3.5"), true),
            (Some("3.4"), false),
        ] {
            let checked = check(etag, "3.5");
            let kind = checked.as_ref().err().map(|error| error.kind);
            assert_eq!(kind, (!passes).then_some(ErrorKind::Stale), "{etag:?}");
        }
    }
}
