//! S3's semantics: what a request asks for, and how an error reads.

pub mod attributes;
pub mod buckets;
pub mod checksum;
pub mod copy_source;
pub mod error;
pub mod etag;
pub mod listing;
pub mod multipart;
pub mod operation;
pub mod query;
pub mod range;
pub mod upload;
pub mod virtual_host;
pub mod xml;
