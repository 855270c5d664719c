//! The time of a webhook, in UTC and on the site's own clock.

use crate::settings::Zone;
use std::time::{SystemTime, UNIX_EPOCH};

/// Names of months in dates of HTTP.
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// A moment, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unix: i64,
}

impl Clock {
    /// This moment.
    pub fn now() -> Clock {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Clock {
            unix: i64::try_from(since.as_secs()).unwrap_or_default(),
        }
    }

    /// Seconds since 1970.
    pub fn unix(&self) -> i64 {
        self.unix
    }

    /// The moment so many milliseconds after 1970 began.
    pub fn from_millis(millis: u64) -> Clock {
        Clock {
            unix: i64::try_from(millis / 1000).unwrap_or_default(),
        }
    }

    /// The moment in a date of HTTP: `Wed, 21 Oct 2026 07:28:00 GMT`, or one of the two older forms,
    /// `Wednesday, 21-Oct-26 07:28:00 GMT` and `Wed Oct 21 07:28:00 2026`.
    pub fn from_http_date(text: &str) -> Option<Clock> {
        let words: Vec<&str> = text
            .split([' ', ':', '-'])
            .filter(|word| !word.is_empty())
            .collect();
        let (day, month, year, time) = match words.as_slice() {
            [_, day, month, year, time @ .., "GMT"] => (day, month, year, time),
            [_, month, day, time @ .., year] => (day, month, year, time),
            _ => return None,
        };
        let &[hour, minute, second] = time else {
            return None;
        };
        let month = MONTHS.iter().position(|name| name == month)?;
        let number = |text: &str| text.parse().ok();
        let year: i32 = year.parse().ok()?;
        let moment = tz::UtcDateTime::new(
            // Two digits are all that one of the older forms has.
            if year < 100 { 2000 + year } else { year },
            u8::try_from(month).ok()? + 1,
            number(day)?,
            number(hour)?,
            number(minute)?,
            number(second)?,
            0,
        );
        let unix = moment.ok()?.unix_time();
        Some(Clock { unix })
    }

    /// Whole seconds from another moment to this one; 0 when this one is earlier.
    pub fn seconds_since(&self, other: &Clock) -> u32 {
        u32::try_from((self.unix - other.unix).max(0)).unwrap_or(u32::MAX)
    }

    /// `YYYY-MM-DD HH:MM:SS` in UTC, as WordPress stores `user_registered`.
    pub fn utc(&self) -> String {
        date_time(self.unix)
    }

    /// The same on the site's clock, as WP Fusion's log has it.
    pub fn local(&self, zone: &Zone) -> String {
        date_time(self.unix + zone.offset_at(self.unix))
    }
}

/// `YYYY-MM-DD HH:MM:SS` for seconds since 1970.
fn date_time(unix: i64) -> String {
    match tz::UtcDateTime::from_timespec(unix, 0) {
        Ok(t) => format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
            t.year(),
            t.month(),
            t.month_day(),
            t.hour(),
            t.minute(),
            t.second()
        ),
        Err(_) => "1970-01-01 00:00:00".to_owned(),
    }
}

/// Milliseconds as a person says them: a unit is used from two of it on.
pub fn span(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_the_unit_that_fits() {
        for (milliseconds, words) in [
            (999, "0 s"),
            (119_999, "119 s"),
            (120_000, "2 min"),
            (7_199_999, "119 min"),
            (7_200_000, "2 h"),
            (172_800_000, "2 days"),
        ] {
            assert_eq!(span(milliseconds), words);
        }
    }

    #[test]
    fn moments_are_written_as_mysql_writes_them() {
        let clock = Clock {
            unix: 1_709_210_096,
        };
        assert_eq!(clock.utc(), "2024-02-29 12:34:56");
        assert_eq!(clock.local(&Zone::new("", "-12.5")), "2024-02-29 00:04:56");
        assert_eq!(date_time(-1), "1969-12-31 23:59:59");
    }

    #[test]
    fn dates_of_http_are_read() {
        let date = |text| Clock::from_http_date(text).map(|clock| clock.utc());
        let read = date("Thu, 29 Feb 2024 12:34:56 GMT");
        assert_eq!(read.as_deref(), Some("2024-02-29 12:34:56"));
        for bad in [
            "",
            "soon",
            "Thu, 31 Feb 2024 12:34:56 GMT",
            "Thu, 29 Feb 2024 12:34:56 CET",
        ] {
            assert_eq!(date(bad), None, "{bad}");
        }
        let (early, late) = (Clock { unix: 5 }, Clock { unix: 12 });
        assert_eq!(
            (late.seconds_since(&early), early.seconds_since(&late)),
            (7, 0)
        );
    }
}
