//! Objects far larger than the memory that Envoy may take for them.

use std::io;
use std::time::Instant;

use e2e::at_rest::{OVERHEAD, SEGMENT};
use e2e::plaintext::Large;
use e2e::stack::Mode;
use e2e::store::StoreKind;

use crate::stacks::{self, LogsOnPanic};

const LENGTH: u64 = 2 << 30;
const MEMORY_LIMIT: u64 = 200_000_000;

#[test]
fn two_gibibytes_stream_in_bounded_memory() {
    let stack = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| builder).unwrap();
    let _logs = LogsOnPanic(&stack);
    let idle = stack.envoy.peak_memory().unwrap();

    let start = Instant::now();
    let put = stack.client.object("PUT", "large").stream(&mut Large::new(LENGTH), LENGTH, &mut io::sink());
    put.unwrap().expect(200).unwrap();
    let put_seconds = start.elapsed().as_secs_f64();
    let after_put = stack.envoy.peak_memory().unwrap();

    let at_rest = stack.direct.object("HEAD", "large").send(&[]).unwrap().expect(200).unwrap();
    let sealed = LENGTH + LENGTH / SEGMENT as u64 * OVERHEAD as u64;
    assert_eq!(at_rest.header("content-length"), Some(&*sealed.to_string()));

    let start = Instant::now();
    let mut expected = Large::new(LENGTH);
    let get = stack.client.object("GET", "large").stream(&mut io::empty(), 0, &mut expected);
    get.unwrap().expect(200).unwrap();
    let get_seconds = start.elapsed().as_secs_f64();
    assert_eq!(expected.position(), LENGTH);

    let peak = stack.envoy.peak_memory().unwrap();
    let [idle, after_put, peak_mb] = [idle, after_put, peak].map(|bytes| bytes / 1_000_000);
    stacks::say(&format!(
        "2 GiB: PUT {put_seconds:.1} s, GET {get_seconds:.1} s. \
         Envoy's peak memory: {idle} MB idle, {after_put} MB after the PUT, {peak_mb} MB after the GET"
    ));
    assert!(peak < MEMORY_LIMIT, "{peak_mb} MB");
}
