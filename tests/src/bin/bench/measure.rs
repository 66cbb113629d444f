//! Sides, rounds and medians.

use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::client::S3Client;
use e2e::envoy::Envoy;
use e2e::stack::Replica;

/// What is compared.
pub struct Side<'a> {
    /// Objects of this side's begin with it.
    pub name: &'static str,
    pub client: &'a S3Client,
    pub envoy: &'a Envoy,
}

impl<'a> Side<'a> {
    pub fn new(name: &'static str, replica: &'a Replica) -> Self {
        Self { name, client: &replica.client, envoy: &replica.envoy }
    }

    /// An object of this side's.
    pub fn object_key(&self, name: &str) -> String {
        format!("{}/{name}", self.name)
    }
}

/// How much is measured.
pub struct Scale {
    /// Rounds of each measurement.
    pub rounds: usize,
    /// Bytes of a large object.
    pub large: u64,
    /// Small requests on each connection.
    pub requests: usize,
    /// Bytes of the objects that show how cost grows.
    pub growth: Vec<u64>,
    /// Numbers of streams at a time.
    pub streams: Vec<usize>,
}

impl Scale {
    pub fn new(is_quick: bool, is_huge: bool) -> Self {
        let growth = [1 << 20, 16 << 20, 256 << 20].into_iter();
        match is_quick {
            true => Self {
                rounds: 1,
                large: 64 << 20,
                requests: 50,
                growth: growth.take(2).collect(),
                streams: vec![1, 20],
            },
            false => Self {
                rounds: 3,
                large: 1 << 30,
                requests: 1000,
                growth: growth.chain([1 << 30]).chain(is_huge.then_some(10 << 30)).collect(),
                streams: vec![1, 100, 1000],
            },
        }
    }
}

/// What something took.
#[derive(Clone, Copy)]
pub struct Took {
    pub wall: Duration,
    /// Envoy's processor time.
    pub processor: Duration,
}

/// Runs something and says what it took.
pub fn timed(side: &Side<'_>, run: impl FnOnce() -> Result<()>) -> Result<Took> {
    let before = side.envoy.processor_time()?;
    let start = Instant::now();
    run()?;
    Ok(Took { wall: start.elapsed(), processor: side.envoy.processor_time()?.saturating_sub(before) })
}

/// Lets the sides take turns; gives each side's medians.
pub fn in_turns<'a>(
    scale: &Scale,
    sides: &[Side<'a>; 2],
    run: impl Fn(&Side<'a>, usize) -> Result<Took>,
) -> Result<[Took; 2]> {
    let mut all = [Vec::new(), Vec::new()];
    for round in 0..scale.rounds {
        for (side, all) in sides.iter().zip(&mut all) {
            all.push(run(side, round)?);
        }
    }
    Ok(all.map(|took| Took {
        wall: median(took.iter().map(|took| took.wall)),
        processor: median(took.iter().map(|took| took.processor)),
    }))
}

/// The value in the middle.
pub fn median(values: impl Iterator<Item = Duration>) -> Duration {
    quantile(&sorted(values), 0.5)
}

pub fn sorted(values: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut values: Vec<_> = values.collect();
    values.sort_unstable();
    values
}

/// The value below which this share of the sorted values lies.
pub fn quantile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}
