//! AWS Signature Version 4: AWS's own examples, AWS's own signer on anything, and what must be refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

#[path = "sigv4/client.rs"]
mod client;

mod sigv4 {
    mod differential;
    mod examples;
    mod refused;
    mod suite;
}
