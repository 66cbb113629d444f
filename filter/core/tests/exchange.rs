//! The exchange state machine from end to end: a client's requests through it to a store, and the answers back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

#[path = "sigv4/client.rs"]
#[expect(dead_code, reason = "the tests of signatures use all of it")]
mod signer;

mod exchange {
    mod account;
    mod aws_chunked;
    mod checksums;
    mod clients;
    mod conditions;
    mod etags;
    mod get;
    mod hostile_store;
    mod kms;
    mod leaks;
    mod listing;
    mod look;
    mod multipart;
    mod put;
    mod range;
    mod refused;
    mod tampering;
}
