//! `s3ep`, the way out: looks at S3EP's objects, and gets them out of a bucket, without Envoy.
//!
//! - [`inspect`] says what can be known of an object, [`decrypt`] gets its plaintext.
//! - [`verify`] does the same with all objects of a bucket, on a [`walk`], and keeps nothing.
//! - [`rewrap`] moves DEKs from one KEK to another, [`encrypt_bucket`] seals what is plaintext; [`moving`] is what they share.
//! - [`sealed`] is a stored object, [`stated`] its metadata in a file, as other programs write it.
//! - [`keyring`] holds the keys, [`store`] speaks to the store, [`object_url`] says what is meant there.
//! - [`failure`] tells an object that is not authentic from one that could not be looked at.

pub mod decrypt;
pub mod encrypt_bucket;
pub mod failure;
pub mod inspect;
pub mod keyring;
pub mod moving;
pub mod object_url;
pub mod rewrap;
pub mod sealed;
pub mod stated;
pub mod store;
pub mod verify;
pub mod walk;
