//! Times as these clouds write them.

use std::time::SystemTime;

/// Parses a time such as `2020-08-05 12:39:35.921257`, or the same in RFC 3339 form in UTC. Returns `None` for any
/// other form.
///
/// The text has no zone. Only Open Telekom Cloud shows one of these times, and no document of it names the zone; UTC
/// is assumed, as everywhere else in OpenStack.
pub fn utc(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let text = text.strip_suffix("+00:00").unwrap_or(text);
    humantime::parse_rfc3339_weak(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn times_are_read_with_and_without_a_zone() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_596_631_175);
        for text in [
            "2020-08-05 12:39:35",
            "2020-08-05T12:39:35Z",
            "2020-08-05T12:39:35+00:00",
            " 2020-08-05 12:39:35 ",
        ] {
            assert_eq!(utc(text), Some(at), "{text}");
        }
        let fraction = utc("2020-08-05 12:39:35.921257");
        assert_eq!(fraction, Some(at + Duration::from_micros(921_257)));
        for other in ["", "yesterday", "2020-08-05T12:39:35+02:00", "1596631175"] {
            assert_eq!(utc(other), None, "{other}");
        }
    }
}
