//! kms-shim wraps and unwraps S3EP's data keys (DEKs) for the Envoy filter, under a key encryption key (KEK) that the
//! filter never sees.
//!
//! - [`http`] is the service that [`kms_api`] describes, [`token`] who may use it, [`admission`] how much, [`metrics`] what
//!   is counted.
//! - [`listen`] is where it listens, [`tls`] how connections are secured, [`connections`] what bounds them.
//! - [`kek`] is what the service asks of a KEK, [`keks`] are all that it has: [`tink`]'s lie in keyset files, [`kms`]'s
//!   with a key management service.
//! - [`resilience`] stands between the service and a KMS across a network.
//! - [`config`] says which is used, from flags, environment and file; [`keygen`] makes keysets and master keys.
//! - [`serve`] puts it together.

pub mod admission;
pub mod config;
pub mod connections;
pub mod http;
mod json;
pub mod kek;
pub mod keks;
pub mod keygen;
pub mod kms;
pub mod listen;
pub mod metrics;
pub mod resilience;
pub mod serve;
pub mod tink;
pub mod tls;
pub mod token;
