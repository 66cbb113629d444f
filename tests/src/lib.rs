//! The end-to-end harness: builds the filter and kms-shim, fetches Envoy, and runs them as real processes against a
//! real object store, on free ports of the loopback interface and without Docker.
//!
//! [`setup::Setup`] gets everything that must be there, [`stack::Stack`] runs it, and [`client::S3Client`] talks to it.

pub mod at_rest;
pub mod client;
pub mod envoy;
pub mod envoy_binary;
pub mod go;
pub mod istio;
pub mod kms;
pub mod kubernetes;
pub mod listing;
pub mod node;
/// Private CAs, as the tests of kms-shim make them.
#[path = "../../kms-shim/tests/support/pki.rs"]
pub mod pki;
pub mod plaintext;
pub mod process;
pub mod progress;
pub mod python;
pub mod registry;
pub mod restic;
pub mod s3ep;
pub mod server;
pub mod setup;
pub mod shim;
pub mod stack;
pub mod store;
pub mod trap;
pub mod wasm;
pub mod workspace;
