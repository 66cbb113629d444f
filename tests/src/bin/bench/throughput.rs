//! Large objects: bytes a second, and what a byte costs.

use std::io;
use std::thread;

use anyhow::{Context as _, Result};
use e2e::plaintext::{Large, random};

use crate::load::{Connection, Signed};
use crate::measure::{Scale, Side, Took, in_turns, timed};
use crate::table::{Table, rate};

const CONNECTIONS: usize = 8;
const PART: usize = 8 << 20;

/// PUT, GET and multipart uploads.
pub fn table(scale: &Scale, sides: &[Side<'_>; 2]) -> Result<String> {
    let columns = [
        "one Envoy worker",
        "S3EP, MB/s",
        "without filter, MB/s",
        "ratio",
        "S3EP, MB per s of Envoy's processor time",
        "without filter",
        "ratio",
    ];
    let mut table = Table::new("Large objects:", &columns);
    let len = scale.large;
    let put_took = in_turns(scale, sides, |side, _| put(side, len))?;
    let get_took = in_turns(scale, sides, |side, _| get(side, len))?;
    let parts_len = (CONNECTIONS * PART) as u64;
    let parts_took = in_turns(scale, sides, |side, _| put_parts(side))?;
    for (what, len, took) in [
        (format!("PUT of {} MiB", len >> 20), len, put_took),
        (format!("GET of {} MiB", len >> 20), len, get_took),
        (format!("multipart upload, {CONNECTIONS} parts of 8 MiB on {CONNECTIONS} connections"), parts_len, parts_took),
    ] {
        table.row(&row(what, len, took));
    }
    Ok(table.end())
}

fn row(what: String, len: u64, [sealing, bare]: [Took; 2]) -> Vec<String> {
    let pair =
        |sealing: f64, bare: f64| [format!("{sealing:.0}"), format!("{bare:.0}"), format!("{:.2}", sealing / bare)];
    let wall = pair(rate(len, sealing.wall), rate(len, bare.wall));
    let processor = pair(rate(len, sealing.processor), rate(len, bare.processor));
    [what].into_iter().chain(wall).chain(processor).collect()
}

/// How the cost of a byte depends on the object's length.
pub fn growth(scale: &Scale, sides: &[Side<'_>; 2]) -> Result<String> {
    let columns = ["object", "PUT, S3EP", "PUT, without filter", "GET, S3EP", "GET, without filter"];
    let mut table = Table::new("Envoy's processor time for a MiB, in milliseconds:", &columns);
    for len in &scale.growth {
        let times = (scale.large / len).clamp(1, 64);
        let repeated = |side: &Side<'_>, run: fn(&Side<'_>, u64) -> Result<Took>| {
            timed(side, || (0..times).try_for_each(|_| run(side, *len).map(drop)))
        };
        let both = |side: &Side<'_>| -> Result<[Took; 2]> {
            let took = [repeated(side, put)?, repeated(side, get)?];
            // The store has no room for two of the largest.
            put(side, 1)?;
            Ok(took)
        };
        let [[sealed, opened], [sent, received]] = [both(&sides[0])?, both(&sides[1])?];
        let took = [sealed, sent, opened, received];
        let mebibytes = ((len * times) >> 20) as f64;
        let cells = took.into_iter().map(|took| format!("{:.2}", took.processor.as_secs_f64() * 1e3 / mebibytes));
        table.row(&[format!("{} MiB", len >> 20)].into_iter().chain(cells).collect::<Vec<_>>());
    }
    Ok(table.end())
}

fn put(side: &Side<'_>, len: u64) -> Result<Took> {
    let request = Signed::with_body(&side.client.object("PUT", &side.object_key("large")), len)?;
    let mut connection = Connection::open(side.client)?;
    timed(side, || connection.exchange(&request, &mut Large::new(len), &mut io::sink()).map(drop))
}

/// Reads what [`put`] wrote last, and compares it.
fn get(side: &Side<'_>, len: u64) -> Result<Took> {
    let request = Signed::new(&side.client.object("GET", &side.object_key("large")))?;
    let mut connection = Connection::open(side.client)?;
    let mut expected = Large::new(len);
    let took = timed(side, || connection.exchange(&request, &mut io::empty(), &mut expected).map(drop))?;
    (expected.position() == len).then_some(took).context("a body of another length")
}

fn put_parts(side: &Side<'_>) -> Result<Took> {
    let object_key = side.object_key("parts");
    let created = side.client.object("POST", &object_key).query("uploads=").send(&[])?.expect(200)?;
    let document = String::from_utf8(created.body)?;
    let upload_id =
        document.split("<UploadId>").nth(1).and_then(|rest| rest.split('<').next()).context("no UploadId")?;
    let requests: Vec<_> = (1..=CONNECTIONS)
        .map(|number| {
            let query = format!("partNumber={number}&uploadId={upload_id}");
            Signed::with_body(&side.client.object("PUT", &object_key).query(&query), PART as u64)
        })
        .collect::<Result<_>>()?;
    let body = random(PART, 1);
    let mut connections = requests.iter().map(|_| Connection::open(side.client)).collect::<Result<Vec<_>>>()?;
    timed(side, || {
        thread::scope(|scope| {
            let sendings: Vec<_> = connections
                .iter_mut()
                .zip(&requests)
                .map(|(connection, request)| {
                    scope.spawn(|| connection.exchange(request, &mut body.as_slice(), &mut io::sink()).map(drop))
                })
                .collect();
            sendings.into_iter().try_for_each(|sending| sending.join().expect("a thread"))
        })
    })
}
