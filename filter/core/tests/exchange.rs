//! The exchange state machine from end to end: a client's requests through it to a store, and the answers back.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

mod exchange {
    mod aws_chunked;
    mod checksums;
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
