//! `s3ep`, the way out: looks at S3EP's objects, and gets them out of a bucket, without Envoy.
//!
//! - [`inspect`] says what can be known of an object without a key.
//! - [`stated`] reads an object's metadata from a file, as other programs write it.

pub mod inspect;
pub mod stated;
