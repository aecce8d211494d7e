//! Durations and timestamps.

use crate::grpc::convert::Problems;
use std::time::{Duration, SystemTime};

pub fn timestamp(time: SystemTime) -> prost_types::Timestamp {
    time.into()
}

/// Converts a duration. Values above some 292 billion years become the longest possible duration.
pub fn duration(length: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(length.subsec_nanos()).unwrap_or_default(),
    }
}

/// Converts whole seconds of the model.
pub fn from_seconds(seconds: u32) -> prost_types::Duration {
    prost_types::Duration {
        seconds: seconds.into(),
        nanos: 0,
    }
}

/// Reads whole seconds, at least one.
pub fn whole_seconds(
    field: &str,
    length: Option<prost_types::Duration>,
    problems: &mut Problems,
) -> Option<u32> {
    let length = length?;
    match u32::try_from(length.seconds) {
        Ok(seconds) if seconds > 0 && length.nanos == 0 => Some(seconds),
        _ => {
            problems.add(field, format!("must be whole seconds, 1 to {}", u32::MAX));
            None
        }
    }
}

/// Reads a duration greater than zero.
pub fn positive(
    field: &str,
    length: Option<prost_types::Duration>,
    problems: &mut Problems,
) -> Option<Duration> {
    let length = Duration::try_from(length?)
        .ok()
        .filter(|length| !length.is_zero());
    if length.is_none() {
        problems.add(field, "must be a positive duration");
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::convert::fields_at_fault;

    fn length(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos })
    }

    #[test]
    fn only_whole_positive_seconds_are_read() {
        let mut problems = Problems::default();
        assert_eq!(whole_seconds("x", None, &mut problems), None);
        assert_eq!(whole_seconds("x", length(30, 0), &mut problems), Some(30));
        assert!(problems.finish(Some(())).is_ok());

        for (seconds, nanos) in [
            (0, 0),
            (-1, 0),
            (1, 500_000_000),
            (0, 1),
            (1, -1),
            (i64::from(u32::MAX) + 1, 0),
            (i64::MAX, i32::MAX),
        ] {
            let mut problems = Problems::default();
            assert_eq!(
                whole_seconds("x", length(seconds, nanos), &mut problems),
                None
            );
            assert_eq!(fields_at_fault(problems.finish(Some(()))), ["x"]);
        }
    }

    #[test]
    fn any_positive_time_may_be_waited() {
        let mut problems = Problems::default();
        assert_eq!(
            positive("x", length(1, 500_000_000), &mut problems),
            Some(Duration::from_millis(1500))
        );
        assert!(problems.finish(Some(())).is_ok());
        for (seconds, nanos) in [(0, 0), (-1, 0), (0, -1)] {
            let mut problems = Problems::default();
            assert_eq!(positive("x", length(seconds, nanos), &mut problems), None);
            assert_eq!(fields_at_fault(problems.finish(Some(()))), ["x"]);
        }
    }

    #[test]
    fn the_longest_duration_can_be_said() {
        assert_eq!(duration(Duration::MAX).seconds, i64::MAX);
        assert_eq!(
            duration(Duration::from_millis(1500)),
            length(1, 500_000_000).unwrap()
        );
    }
}
