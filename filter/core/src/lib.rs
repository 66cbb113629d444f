//! S3EP's pure core: the object format, S3's semantics, and one S3 exchange as a state machine.
//!
//! Nothing here knows proxy-wasm, a clock or I/O: time and randomness are arguments, calls to the KMS and the store are
//! values that the caller carries out. So everything can be driven by a table, a property or a fuzzer, natively.
//!
//! * [`format`], [`keys`], [`direct`], [`seal`], [`open`]: `FORMAT.md`, the bytes at rest.
//! * [`s3`]: what a request means to S3, and how S3 says that something is wrong.
//! * [`account`]: what an exchange did, for metrics and access logs.
//! * [`sigv4`], [`clients`]: AWS Signature Version 4, and what who signs may do.
//! * [`exchange`]: events in, steps out; a file an operation.
#![forbid(unsafe_code)]

pub mod account;
pub mod budget;
pub mod caches;
pub mod clients;
pub mod config;
pub mod date;
pub mod direct;
pub mod entropy;
pub mod error;
pub mod exchange;
pub mod expiring;
pub mod format;
pub mod http;
pub mod keys;
pub mod open;
pub mod s3;
pub mod seal;
pub mod sigv4;
