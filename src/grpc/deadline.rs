//! The deadline of a call: its `grpc-timeout`, or the default for unary calls.

use http::HeaderMap;
use std::time::Duration;
use tokio::time::Instant;

/// Timeout of a unary call that sets no deadline.
pub const DEFAULT_UNARY: Duration = Duration::from_secs(30);

/// The deadline of a call, computed when the server received it. `None` if the caller set none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(pub Option<Instant>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`grpc-timeout` must be 1 to 8 digits and one of H, M, S, m, u, n")]
pub struct Malformed;

/// Returns the deadline that the caller set, if any.
///
/// The server reads it once and puts it into the request's extensions. A request that did not come through the server
/// has none.
pub fn of<T>(request: &tonic::Request<T>) -> Option<Instant> {
    request
        .extensions()
        .get::<Deadline>()
        .and_then(|deadline| deadline.0)
}

/// Returns the deadline of a unary call: the caller's, or [`DEFAULT_UNARY`] from now.
pub fn of_unary<T>(request: &tonic::Request<T>) -> Instant {
    of(request).unwrap_or_else(|| Instant::now() + DEFAULT_UNARY)
}

/// Parses `grpc-timeout`, such as `1S` or `250m`.
///
/// # Errors
/// A malformed value is an error, not a missing deadline, because the caller relies on one.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
    let Some(value) = headers.get("grpc-timeout") else {
        return Ok(None);
    };
    let text = value.to_str().map_err(|_| Malformed)?;
    let (digits, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or(Malformed)?;
    let well_formed =
        (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !well_formed {
        return Err(Malformed);
    }
    let number: u64 = digits.parse().map_err(|_| Malformed)?;
    Ok(Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return Err(Malformed),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<Duration>, Malformed> {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", text.parse().unwrap());
        timeout(&headers)
    }

    #[test]
    fn every_unit_is_read() {
        for (text, expected) in [
            ("2H", Duration::from_secs(7200)),
            ("3M", Duration::from_secs(180)),
            ("1S", Duration::from_secs(1)),
            ("250m", Duration::from_millis(250)),
            ("5u", Duration::from_micros(5)),
            ("99999999n", Duration::from_nanos(99_999_999)),
        ] {
            assert_eq!(read(text), Ok(Some(expected)), "{text}");
        }
        assert_eq!(timeout(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn what_is_no_timeout_is_an_error() {
        for text in [
            "",
            "1",
            "S",
            "123456789S",
            "-1S",
            "+1S",
            "1s",
            "1.5S",
            "1 S",
        ] {
            assert_eq!(read(text), Err(Malformed), "{text:?}");
        }
    }
}
