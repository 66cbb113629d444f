//! How much is taken on: connections and requests at a time, and requests in a second.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How much is taken on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections: NonZeroU32,
    /// Requests at a time.
    pub requests: NonZeroU32,
    /// Requests in a second. None: any number.
    pub rate: Option<Rate>,
}

impl Default for Limits {
    /// Far more requests than a KMS takes, and far fewer than memory holds; no rate.
    fn default() -> Self {
        const CONNECTIONS: NonZeroU32 = NonZeroU32::new(1024).unwrap();
        const REQUESTS: NonZeroU32 = NonZeroU32::new(512).unwrap();
        Self { connections: CONNECTIONS, requests: REQUESTS, rate: None }
    }
}

/// So many in a second in the long run, and so many at once after a pause.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// In a second.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// Why a request is not taken on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Too many are under way.
    Busy,
    /// Too many came lately; the next one may in this time.
    TooFast(Duration),
}

/// Where requests are taken on.
#[derive(Debug)]
pub struct Admission {
    slots: Semaphore,
    rate: Option<RateLimiter>,
}

impl Admission {
    /// With these limits.
    pub fn new(limits: Limits) -> Self {
        let slots = usize::try_from(limits.requests.get()).unwrap_or(Semaphore::MAX_PERMITS);
        Self { slots: Semaphore::new(slots.min(Semaphore::MAX_PERMITS)), rate: limits.rate.map(RateLimiter::new) }
    }

    /// Takes one request on, which is under way until the permit is dropped. Never waits.
    pub fn enter(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        let permit = self.slots.try_acquire().map_err(|_| Refusal::Busy)?;
        self.rate.as_ref().map_or(Ok(()), RateLimiter::take).map_err(Refusal::TooFast)?;
        Ok(permit)
    }
}

/// The generic cell rate algorithm (ITU-T I.371), which is a token bucket that needs to remember one instant only. Our own,
/// because `governor` would bring a dozen crates for it, and a clock of its own that tests cannot set.
#[derive(Debug)]
struct RateLimiter {
    /// Time between two requests at the full rate.
    interval: Duration,
    /// How far ahead of the full rate requests may be.
    tolerance: Duration,
    /// When the next request would be due at the full rate.
    due: Mutex<Instant>,
}

impl RateLimiter {
    fn new(rate: Rate) -> Self {
        let interval = Duration::from_secs(1) / rate.per_second.get();
        Self { interval, tolerance: interval * (rate.burst.get() - 1), due: Mutex::new(Instant::now()) }
    }

    /// Takes one request, or says how long it is too early.
    fn take(&self) -> Result<(), Duration> {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let ahead = due.saturating_duration_since(now);
        if ahead > self.tolerance {
            return Err(ahead - self.tolerance);
        }
        *due = now + ahead + self.interval;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(requests: u32, rate: Option<(u32, u32)>) -> Limits {
        let number = |number| NonZeroU32::new(number).unwrap();
        let rate = rate.map(|(per_second, burst)| Rate { per_second: number(per_second), burst: number(burst) });
        Limits { requests: number(requests), rate, ..Limits::default() }
    }

    #[test]
    fn a_request_ends_when_its_permit_goes() {
        let admission = Admission::new(limits(2, None));
        let first = admission.enter().unwrap();
        let second = admission.enter().unwrap();
        assert_eq!(admission.enter().unwrap_err(), Refusal::Busy);
        drop(first);
        let _third = admission.enter().unwrap();
        assert_eq!(admission.enter().unwrap_err(), Refusal::Busy);
        drop(second);
        assert!(admission.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_passes_and_then_the_rate() {
        let admission = Admission::new(limits(1, Some((10, 3))));
        let passed = || (0..100).take_while(|_| admission.enter().is_ok()).count();
        let early = |millis| admission.enter().unwrap_err() == Refusal::TooFast(Duration::from_millis(millis));
        assert_eq!(passed(), 3);
        assert!(early(100));
        for (pause, passes) in [(60, 0), (40, 1), (200, 2), (290, 2), (10, 1), (3_600_000, 3)] {
            tokio::time::advance(Duration::from_millis(pause)).await;
            assert_eq!(passed(), passes, "after {pause} ms");
        }
        assert!(early(100));
    }

    #[tokio::test(start_paused = true)]
    async fn the_busy_do_not_use_up_the_rate() {
        let admission = Admission::new(limits(1, Some((1, 2))));
        let permit = admission.enter().unwrap();
        assert_eq!(admission.enter().unwrap_err(), Refusal::Busy);
        drop(permit);
        assert!(admission.enter().is_ok());
        assert_eq!(admission.enter().unwrap_err(), Refusal::TooFast(Duration::from_secs(1)));
    }
}
