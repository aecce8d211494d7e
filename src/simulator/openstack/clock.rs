//! Wall-clock times in the formats of the two services.
//!
//! They are only displayed. All timing follows `tokio::time::Instant`, which tests can pause.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A moment in UTC, with microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp(SystemTime);

impl Stamp {
    pub(crate) fn now() -> Self {
        Self(SystemTime::now())
    }

    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0 + time)
    }

    /// `2026-11-20T15:13:22.000000Z`, in whole seconds like Keystone.
    pub(crate) fn keystone(self) -> String {
        let ((year, month, day), seconds, _) = self.parts();
        format!("{year:04}-{month:02}-{day:02}T{}.000000Z", clock(seconds))
    }

    /// `2020-08-05 12:39:35.921257`, like Open Telekom Cloud.
    pub(crate) fn without_zone(self) -> String {
        let ((year, month, day), seconds, micros) = self.parts();
        format!(
            "{year:04}-{month:02}-{day:02} {}.{micros:06}",
            clock(seconds)
        )
    }

    /// The date, the second of the day and the microsecond.
    fn parts(self) -> ((i64, u32, u32), u64, u32) {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let days = i64::try_from(since.as_secs() / 86_400).unwrap_or(i64::MAX / 2);
        (date(days), since.as_secs() % 86_400, since.subsec_micros())
    }
}

fn clock(seconds: u64) -> String {
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The Gregorian date of a day counted from 1970-01-01.
///
/// Counts in years that begin in March, so the leap day is the last day of a year.
fn date(days: i64) -> (i64, u32, u32) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let small = |number: i64| u32::try_from(number).expect("days and months are small");
    (year, small(month), small(day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_around_leap_days() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_777, (2026, 11, 20)),
        ] {
            assert_eq!(date(days), expected);
        }
    }

    #[test]
    fn both_services_spell_the_same_moment() {
        let moment = Stamp(UNIX_EPOCH + Duration::new(1_795_184_002, 921_257_000));
        assert_eq!(moment.keystone(), "2026-11-20T14:13:22.000000Z");
        assert_eq!(moment.without_zone(), "2026-11-20 14:13:22.921257");
    }
}
