//! The time that a signature is made at.

use std::fmt;
use std::time::Duration;

use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime, UtcOffset};

use super::AuthError;

/// How far a client's clock may be off.
const MAX_SKEW: i64 = 15 * 60;

/// `x-amz-date`, or what stands for it. Displayed as `yyyyMMdd'T'HHmmss'Z'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Parses `yyyyMMdd'T'HHmmss'Z'`, the basic format of ISO 8601.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let is_digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(date, 8) || !is_digits(time, 6) {
            return None;
        }
        let pair = |text: &str, at: usize| text.get(at..at.saturating_add(2))?.parse::<u8>().ok();
        let month = Month::try_from(pair(date, 4)?).ok()?;
        let date = Date::from_calendar_date(date.get(..4)?.parse().ok()?, month, pair(date, 6)?).ok()?;
        Some(Self(date.with_hms(pair(time, 0)?, pair(time, 2)?, pair(time, 4)?).ok()?.assume_utc()))
    }

    /// Parses a `Date` header: as above, or as RFC 9110 section 5.6.7 prefers it (`Fri, 24 May 2013 00:00:00 GMT`).
    pub fn parse_date(text: &str) -> Option<Self> {
        let rfc2822 = || OffsetDateTime::parse(text, &Rfc2822).ok()?.checked_to_offset(UtcOffset::UTC).map(Self);
        Self::parse(text).or_else(rfc2822)
    }

    /// The day, `yyyyMMdd`.
    pub fn date(&self) -> String {
        format!("{:04}{:02}{:02}", self.0.year(), u8::from(self.0.month()), self.0.day())
    }

    /// Whether a request of this time may come at `now`, counted from the Unix epoch.
    pub fn check_skew(&self, now: Duration) -> Result<(), AuthError> {
        match self.age(now).abs() {
            ..=MAX_SKEW => Ok(()),
            _ => Err(AuthError::RequestTimeTooSkewed),
        }
    }

    /// Whether a URL presigned at this time, for so many seconds, is good at `now`. One for 0 seconds never is.
    pub fn check_expiry(&self, expires: u32, now: Duration) -> Result<(), AuthError> {
        match self.age(now) {
            age if age < -MAX_SKEW => Err(AuthError::RequestNotYetValid),
            age if expires == 0 || age > i64::from(expires) => Err(AuthError::RequestExpired),
            _ => Ok(()),
        }
    }

    /// Seconds, negative in the future.
    fn age(&self, now: Duration) -> i64 {
        i64::try_from(now.as_secs()).unwrap_or(i64::MAX).saturating_sub(self.0.unix_timestamp())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{:02}{:02}{:02}Z", self.date(), self.0.hour(), self.0.minute(), self.0.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2013-05-24T00:00:00Z, the time of AWS's examples.
    const EXAMPLE: i64 = 1_369_353_600;

    #[test]
    fn both_formats_of_a_date() {
        let good = [
            ("20130524T000000Z", EXAMPLE),
            ("20240229T235959Z", 1_709_251_199),
            ("19700101T000000Z", 0),
            ("00010101T000000Z", -62_135_596_800),
            ("Fri, 24 May 2013 00:00:00 GMT", EXAMPLE),
            ("Fri, 24 May 2013 00:00:00 +0000", EXAMPLE),
            ("Fri, 24 May 2013 02:00:00 +0200", EXAMPLE),
        ];
        for (text, seconds) in good {
            assert_eq!(Timestamp::parse_date(text).unwrap().0.unix_timestamp(), seconds, "{text}");
        }
        let bad = "|20130524|20130524T000000|20130524T000000z|20130524T0000Z|20130524T000060Z|20130524T240000Z\
            |20130229T000000Z|20131324T000000Z|2013-05-24T00:00:00Z|+0130524T000000Z|２０13T000000Z|1369353600\
            |Fri, 24 May 2013|24 May|Fri, 99 May 2013 00:00:00 GMT| 20130524T000000Z";
        for text in bad.split('|') {
            assert_eq!(Timestamp::parse_date(text), None, "{text}");
        }
        assert_eq!(Timestamp::parse("Fri, 24 May 2013 00:00:00 GMT"), None);
        // RFC 2822 has comments within comments: no stack is to end here.
        assert_eq!(Timestamp::parse_date(&format!("Fri, {}", "(".repeat(100_000))), None);
    }

    #[test]
    fn it_is_shown_as_it_is_signed() {
        for text in ["20130524T010203Z", "00010101T000000Z", "99991231T235959Z"] {
            assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        }
        let timestamp = Timestamp::parse_date("Fri, 24 May 2013 01:30:00 +0200").unwrap();
        assert_eq!((timestamp.to_string().as_str(), timestamp.date().as_str()), ("20130523T233000Z", "20130523"));
    }

    #[test]
    fn the_edges_of_what_is_in_time() {
        let timestamp = Timestamp::parse("20130524T000000Z").unwrap();
        let at = |offset: i64| Duration::from_secs((EXAMPLE + offset) as u64);
        for (offset, is_good) in [(-901, false), (-900, true), (0, true), (900, true), (901, false)] {
            assert_eq!(timestamp.check_skew(at(offset)).is_ok(), is_good, "{offset}");
        }
        for (offset, expected) in [
            (-901, Err(AuthError::RequestNotYetValid)),
            (-900, Ok(())),
            (60, Ok(())),
            (61, Err(AuthError::RequestExpired)),
        ] {
            assert_eq!(timestamp.check_expiry(60, at(offset)), expected, "{offset}");
        }
        assert_eq!(timestamp.check_expiry(0, at(0)), Err(AuthError::RequestExpired));
        assert!(timestamp.check_skew(Duration::MAX).is_err() && timestamp.check_skew(Duration::ZERO).is_err());
    }
}
