//! Listings, in plaintext terms.

use e2e::listing::sizes;
use e2e::plaintext::random;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use serde_json::json;

use crate::stacks::{self, LogsOnPanic};

on_every_stack!(sizes_are_of_the_plaintext);

fn sizes_are_of_the_plaintext(stack: &Stack) {
    let lengths = [0, 1, 65_536, 65_537, 200_000];
    for len in lengths {
        stack.client.put(&format!("listings/{len:06}"), &random(len, 1)).unwrap();
    }
    let expected = lengths.map(|len| (format!("listings/{len:06}"), len as u64));
    for query in ["list-type=2&prefix=listings%2F", "prefix=listings%2F"] {
        assert_eq!(sizes(&stack.client, query).unwrap(), expected, "{query}");
        assert_ne!(sizes(&stack.direct, query).unwrap(), expected, "{query} at the store");
    }
}

#[test]
fn sizes_in_mixed_buckets_are_the_store_s() {
    let mixed = |plugin: &mut serde_json::Value| plugin["mixed_buckets"] = json!(true);
    let stack = stacks::own(StoreKind::Embedded, Mode::Direct, |builder| builder.plugin(mixed)).unwrap();
    let _logs = LogsOnPanic(&stack);
    stack.client.put("ours", &random(1_000, 1)).unwrap();
    stack.direct.put("plain", &random(1_000, 2)).unwrap();
    let listed = sizes(&stack.client, "list-type=2").unwrap();
    assert_eq!(listed, [("ours".to_owned(), 1_048), ("plain".to_owned(), 1_000)]);
}
