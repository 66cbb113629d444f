//! Dates as S3 writes them.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::format_description;

/// A date in a document: ISO 8601 in UTC, with milliseconds. The epoch if the year has more than four digits.
pub fn iso_8601(since_epoch: Duration) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    let since_epoch = time::Duration::try_from(since_epoch).unwrap_or_default();
    let date = OffsetDateTime::UNIX_EPOCH.checked_add(since_epoch).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    date.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_in_utc() {
        assert_eq!(iso_8601(Duration::from_millis(1_302_554_096_789)), "2011-04-11T20:34:56.789Z");
        assert_eq!(iso_8601(Duration::MAX), "1970-01-01T00:00:00.000Z");
    }
}
