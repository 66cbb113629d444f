//! Small requests: how many a second, and how long each takes.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use e2e::plaintext::random;
use e2e::stack::Stack;

use crate::load::{Connection, Signed};
use crate::measure::{Scale, Side, quantile, sorted};
use crate::table::{Table, milliseconds};

const CONNECTIONS: usize = 8;
const SMALL: usize = 4096;
/// Of the objects that ranges are read from.
const OBJECT: usize = 1 << 20;
/// In the middle of a segment, and over the border of two.
const RANGE: &str = "bytes=500000-565535";

/// What a request sends and gets.
struct Kind {
    what: &'static str,
    method: &'static str,
    range: Option<&'static str>,
    /// Whether each request reads another object, which this Envoy has not seen before.
    is_cold: bool,
}

const KINDS: [Kind; 4] = [
    Kind { what: "PUT of 4 KiB", method: "PUT", range: None, is_cold: false },
    Kind { what: "GET of 4 KiB, warm", method: "GET", range: None, is_cold: false },
    Kind { what: "64 KiB of 1 MiB, warm", method: "GET", range: Some(RANGE), is_cold: false },
    Kind { what: "64 KiB of 1 MiB, cold", method: "GET", range: Some(RANGE), is_cold: true },
];

/// Rates and latencies.
pub fn table(scale: &Scale, stack: &Stack, sides: &[Side<'_>; 2]) -> Result<String> {
    let columns = [
        "small requests",
        "S3EP p50 / p99, ms",
        "without filter",
        "p50 more, ms",
        "S3EP, requests/s on 8 connections",
        "without filter",
    ];
    let mut table = Table::new("", &columns);
    prepare(scale, stack, sides)?;
    for kind in &KINDS {
        let [sealing, bare] = [latencies(scale, &sides[0], kind)?, latencies(scale, &sides[1], kind)?];
        let rates = match kind.is_cold {
            // All objects are known by now.
            true => ["–".to_owned(), "–".to_owned()],
            false => [rate(scale, &sides[0], kind)?, rate(scale, &sides[1], kind)?].map(|rate| format!("{rate:.0}")),
        };
        let shown = |sorted: &[Duration]| {
            format!("{} / {}", milliseconds(quantile(sorted, 0.5)), milliseconds(quantile(sorted, 0.99)))
        };
        let more = quantile(&sealing, 0.5).as_secs_f64() - quantile(&bare, 0.5).as_secs_f64();
        let [sealing_rate, bare_rate] = rates;
        table.row(&[
            kind.what.to_owned(),
            shown(&sealing),
            shown(&bare),
            format!("{:.2}", more * 1e3),
            sealing_rate,
            bare_rate,
        ]);
    }
    Ok(table.end())
}

/// Writes what is read, by an Envoy that is not measured.
fn prepare(scale: &Scale, stack: &Stack, sides: &[Side<'_>; 2]) -> Result<()> {
    let (small, object) = (random(SMALL, 1), random(OBJECT, 2));
    let writers = [&stack.client, &stack.direct];
    for (side, writer) in sides.iter().zip(writers) {
        writer.put(&side.object_key("small"), &small)?;
        writer.put(&side.object_key("object"), &object)?;
        (0..cold_requests(scale))
            .try_for_each(|i| writer.put(&side.object_key(&format!("cold/{i}")), &object).map(drop))?;
    }
    Ok(())
}

fn cold_requests(scale: &Scale) -> usize {
    scale.requests / 5
}

fn signed(side: &Side<'_>, kind: &Kind, name: &str) -> Result<Signed> {
    let object_key = side.object_key(name);
    let call = side.client.object(kind.method, &object_key);
    let call = match kind.range {
        Some(range) => call.header("range", range),
        None => call,
    };
    if kind.method == "PUT" { Signed::with_body(&call, SMALL as u64) } else { Signed::new(&call) }
}

/// Sorted latencies on one connection.
fn latencies(scale: &Scale, side: &Side<'_>, kind: &Kind) -> Result<Vec<Duration>> {
    let requests = match kind.is_cold {
        true => {
            (0..cold_requests(scale)).map(|i| signed(side, kind, &format!("cold/{i}"))).collect::<Result<Vec<_>>>()?
        }
        false => vec![signed(side, kind, warm_object(kind))?],
    };
    let times = if kind.is_cold { 1 } else { scale.requests };
    let mut connection = Connection::open(side.client)?;
    if !kind.is_cold {
        run(&mut connection, kind, &requests, scale.requests / 10)?;
    }
    Ok(sorted(run(&mut connection, kind, &requests, times)?.into_iter()))
}

fn warm_object(kind: &Kind) -> &'static str {
    if kind.range.is_some() { "object" } else { "small" }
}

fn run(connection: &mut Connection, kind: &Kind, requests: &[Signed], times: usize) -> Result<Vec<Duration>> {
    let body = random(if kind.method == "PUT" { SMALL } else { 0 }, 3);
    let mut all = Vec::new();
    for request in (0..times).flat_map(|_| requests) {
        let start = Instant::now();
        connection.exchange(request, &mut body.as_slice(), &mut io::sink())?;
        all.push(start.elapsed());
    }
    Ok(all)
}

/// Requests a second on several connections.
fn rate(scale: &Scale, side: &Side<'_>, kind: &Kind) -> Result<f64> {
    let requests = [signed(side, kind, warm_object(kind))?];
    let mut connections = (0..CONNECTIONS).map(|_| Connection::open(side.client)).collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    thread::scope(|scope| {
        let runs: Vec<_> = connections
            .iter_mut()
            .map(|connection| scope.spawn(|| run(connection, kind, &requests, scale.requests).map(drop)))
            .collect();
        runs.into_iter().try_for_each(|run| run.join().expect("a thread"))
    })?;
    Ok((CONNECTIONS * scale.requests) as f64 / start.elapsed().as_secs_f64())
}
