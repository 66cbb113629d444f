//! Many clients for long, every byte looked at, and memory that must not grow.

use std::env;
use std::time::Duration;

use e2e::plaintext::random;
use e2e::stack::{Builder, Mode};
use e2e::store::Store;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::load::Load;
use crate::stacks::{LogsOnPanic, say, setup};

/// Longest object, in bytes.
const MAX_LEN: usize = 300_000;
/// What VMs may still grow by in the last third, in bytes: they never give back what they once took.
const VM_GROWTH: u64 = 32 << 20;
/// What Envoy itself may hold more of then with no client there, in bytes: statistics, and idle connections to the store.
const KEPT: u64 = 8 << 20;

/// `S3EP_SOAK=1000,600 cargo test -p e2e soak` has 1,000 clients for ten minutes.
fn clients_and_seconds() -> (usize, u64) {
    let Ok(text) = env::var("S3EP_SOAK") else { return (50, 9) };
    let (clients, seconds) = text.split_once(',').expect("S3EP_SOAK is CLIENTS,SECONDS");
    (clients.parse().expect("a number of clients"), seconds.parse().expect("seconds"))
}

#[test]
fn memory_stays_flat_and_every_byte_is_right() {
    // A client is a socket here and one in the store, which is in this process, too.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let (clients, seconds) = clients_and_seconds();
    let builder = Builder::new(setup()).unwrap();
    let stack = builder.start(Store::memory().unwrap(), Mode::Envelope).unwrap();
    let _logs = LogsOnPanic(&stack);
    stack.client.put("warm", &random(MAX_LEN, 1)).unwrap();
    let load = Load::new(&stack.client, clients, MAX_LEN);
    let thirds = [0; 3].map(|_| {
        let ends = load.run(Duration::from_secs(seconds / 3));
        ends.assert_all_good();
        (ends.good, stack.envoy.memory_parts().unwrap())
    });
    let requests: u64 = thirds.iter().map(|(good, _)| good).sum();
    let [total, allocated, elsewhere] = [
        thirds.map(|(_, memory)| memory.total),
        thirds.map(|(_, memory)| memory.allocated),
        thirds.map(|(_, memory)| memory.elsewhere),
    ];
    let megabytes = |bytes: [u64; 3]| bytes.map(|bytes| bytes / 1_000_000);
    say(&format!(
        "{clients} clients, {seconds} s: {requests} requests, all right; Envoy's memory after each third, in MB: {:?}, of which \
         allocated: {:?}, VMs and program: {:?}",
        megabytes(total),
        megabytes(allocated),
        megabytes(elsewhere)
    ));
    // The rest is what the allocator keeps after a burst, which comes and goes.
    assert!(allocated[2] < allocated[1] + KEPT, "{allocated:?}");
    assert!(elsewhere[2] < elsewhere[1] + VM_GROWTH, "{elsewhere:?}");
}
