//! Clients that write and read back, each its own objects, and look at every byte.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::client::{Response, S3Client};
use e2e::plaintext::random;

/// So many clients at a time.
pub struct Load<'a> {
    client: &'a S3Client,
    clients: usize,
    /// Objects have between one byte and so many.
    max_len: usize,
}

/// How requests ended.
#[derive(Debug, Default)]
pub struct Ends {
    /// 200, and the right bytes.
    pub good: u64,
    /// 503 as S3 says it.
    pub unavailable: u64,
}

impl Ends {
    #[track_caller]
    pub fn assert_all_good(&self) {
        assert!(self.good > 0 && self.unavailable == 0, "{self:?}");
    }
}

impl<'a> Load<'a> {
    pub fn new(client: &'a S3Client, clients: usize, max_len: usize) -> Self {
        Self { client, clients, max_len }
    }

    /// Lets them go on for so long. Panics on any end but the two of [`Ends`], and on any wrong byte.
    pub fn run(&self, time: Duration) -> Ends {
        let (good, unavailable) = (AtomicU64::new(0), AtomicU64::new(0));
        let count = |answer: &Response| match answer.status {
            503 => {
                assert_eq!(answer.error_code().unwrap(), "ServiceUnavailable");
                unavailable.fetch_add(1, Ordering::Relaxed);
                false
            }
            _ => {
                assert!(matches!(answer.status, 200 | 206) && answer.broken.is_none(), "{answer:?}");
                good.fetch_add(1, Ordering::Relaxed);
                true
            }
        };
        let deadline = Instant::now() + time;
        thread::scope(|scope| {
            for client in 0..self.clients {
                let count = &count;
                scope.spawn(move || {
                    (0..)
                        .take_while(|_| Instant::now() < deadline)
                        .for_each(|round| self.write_and_read(client, round, count));
                });
            }
        });
        Ends { good: good.into_inner(), unavailable: unavailable.into_inner() }
    }

    fn write_and_read(&self, client: usize, round: u64, count: &impl Fn(&Response) -> bool) {
        let object_key = format!("load/{client}");
        let seed = (client as u64) << 32 | round;
        let body = random(fastrand::Rng::with_seed(seed).usize(1..=self.max_len), seed);
        if !count(&self.client.object("PUT", &object_key).send(&body).unwrap()) {
            return;
        }
        let whole = self.client.object("GET", &object_key).send(&[]).unwrap();
        assert!(!count(&whole) || whole.body == body, "another body than was put: {object_key}");
        let (first, last) = (body.len() / 3, body.len() * 2 / 3);
        let range = self.client.object("GET", &object_key).header("range", &format!("bytes={first}-{last}"));
        let range = range.send(&[]).unwrap();
        assert!(!count(&range) || range.body == body[first..body.len().min(last + 1)], "another range: {object_key}");
    }
}
