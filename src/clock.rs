//! The time of a webhook, in UTC and on the site's own clock.

use crate::settings::Zone;
use std::time::{SystemTime, UNIX_EPOCH};

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

    /// The moment so many milliseconds after 1970 began.
    pub fn from_millis(millis: u64) -> Clock {
        Clock {
            unix: i64::try_from(millis / 1000).unwrap_or_default(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_mysql_writes_them() {
        let clock = Clock {
            unix: 1_709_210_096,
        };
        assert_eq!(clock.utc(), "2024-02-29 12:34:56");
        assert_eq!(clock.local(&Zone::new("", "-12.5")), "2024-02-29 00:04:56");
        assert_eq!(date_time(-1), "1969-12-31 23:59:59");
    }
}
