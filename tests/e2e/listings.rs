//! Listings, in plaintext terms.

use e2e::listing::sizes;
use e2e::plaintext::random;
use e2e::stack::Stack;

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
