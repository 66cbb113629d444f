//! What streams hold in Envoy's memory.

use std::io::Read as _;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use e2e::plaintext::Large;
use e2e::stack::Replica;

use crate::load::{Connection, Signed};
use crate::measure::{Scale, Side};
use crate::table::Table;

/// Bytes of each object.
const LEN: u64 = 4 << 20;
/// Of which each upload sends so many, and then no more.
const SENT: u64 = 1 << 20;
/// Time for Envoy to take in all that it will.
const SETTLING: Duration = Duration::from_secs(2);

/// Envoy's memory with so many streams, half of them uploads that stall and half downloads that nobody reads on.
pub fn table(scale: &Scale, fresh: impl Fn() -> Result<[Replica; 2]>) -> Result<String> {
    let columns = ["streams", "S3EP, MiB", "without filter, MiB", "more, MiB", "goal: 16 MiB and 256 KiB a stream"];
    let mut table = Table::new(
        "Envoy's resident memory with streams that have stalled, half of them uploads and half downloads:",
        &columns,
    );
    for streams in &scale.streams {
        let replicas = fresh()?;
        let [sealing, bare] = [stalled("s3ep", &replicas[0], *streams)?, stalled("bare", &replicas[1], *streams)?];
        let goal = 16.0 + *streams as f64 / 4.0;
        table.row(&[
            streams.to_string(),
            format!("{sealing:.0}"),
            format!("{bare:.0}"),
            format!("{:.1}", sealing - bare),
            format!("{goal:.2}"),
        ]);
    }
    Ok(table.end())
}

/// In MiB.
fn stalled(name: &'static str, replica: &Replica, streams: usize) -> Result<f64> {
    let side = Side::new(name, replica);
    let object_key = side.object_key("stalled");
    let put = Signed::with_body(&side.client.object("PUT", &object_key), LEN)?;
    Connection::open(side.client)?.exchange(&put, &mut Large::new(LEN), &mut std::io::sink())?;
    let get = Signed::new(&side.client.object("GET", &object_key))?;
    let uploads = streams.div_ceil(2);
    let open = |i: usize| {
        let mut connection = Connection::open(side.client)?;
        match i < uploads {
            true => connection.send(&put, &mut Large::new(LEN).take(SENT))?,
            false => connection.send(&get, &mut std::io::empty())?,
        }
        Ok(connection)
    };
    let connections = (0..streams).map(open).collect::<Result<Vec<_>>>()?;
    thread::sleep(SETTLING);
    let memory = side.envoy.memory()?;
    drop(connections);
    Ok(memory as f64 / f64::from(1 << 20))
}
