//! The end-to-end tests: a real Envoy with the filter as it is released, kms-shim, real stores, real clients.
//!
//! One file a subject. `cargo test -p e2e tampering` runs one of them, and `cargo test -p e2e -- full_` those on the
//! full store. All stacks' logs lie below `target/e2e/run` until the next run.

#[macro_use]
mod stacks;

mod auth;
mod bench;
mod cli;
mod clients;
mod demo;
mod envoy_config;
mod etags;
mod faults;
mod headers;
mod kms;
mod kms_servers;
mod kms_tls;
mod large;
mod listings;
mod meshes;
mod metrics;
mod monitoring;
mod multipart;
mod names;
mod ranges;
mod raw;
mod readme;
mod refusals;
mod replicas;
mod round_trip;
mod store_down;
mod stores;
mod tampering;
mod tls;
mod traffic;
mod unencrypted;
mod versions;
