//! What reading costs at the store, as Envoy counts it.

use e2e::plaintext::random;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;

use crate::stacks::{self, LogsOnPanic, say_skipped};

const SEGMENT_AT_REST: u64 = 65_584;
/// The heads of a few answers.
const HEADS: u64 = 4_096;
/// Envoy's worker threads, each with a filter of its own that remembers what it saw.
const WORKERS: u64 = 2;

/// Requests to the store, and bytes from it.
fn counted(stack: &Stack) -> (u64, u64) {
    let stat = |name| stack.envoy.stat(&format!("cluster.s3.{name}")).unwrap();
    (stat("upstream_rq_total"), stat("upstream_cx_rx_bytes_total"))
}

#[test]
fn a_range_costs_what_it_touches() {
    for (store, mode) in [(StoreKind::Full, Mode::Envelope), (StoreKind::Embedded, Mode::Direct)] {
        let Some(stack) = stacks::own(store, mode, |builder| builder) else { return say_skipped() };
        let _logs = LogsOnPanic(&stack);
        let plaintext = random(20 << 20, 1);
        stack.client.put("traffic", &plaintext).unwrap();
        let mut before = counted(&stack);
        let mut looks = 0;
        for offset in 0..20_usize {
            let (start, len) = (offset * 1_000_003, 1_000);
            let range = format!("bytes={start}-{}", start + len - 1);
            let answer = stack.client.object("GET", "traffic").header("range", &range).send(&[]).unwrap();
            assert!(answer.expect(206).unwrap().body == plaintext[start..start + len]);
            let after = counted(&stack);
            let (requests, bytes) = (after.0 - before.0, after.1 - before.1);
            assert!((1..=2).contains(&requests), "{requests} requests for a range");
            assert!(bytes <= len as u64 + 2 * SEGMENT_AT_REST + HEADS, "{bytes} bytes for a range");
            looks += requests - 1;
            before = after;
        }
        assert!((1..=WORKERS).contains(&looks), "{looks} looks at one object");
    }
}
