//! What a VM keeps from one request to the next: what saves calls, and how much memory is left for copies.

use std::num::NonZeroUsize;
use std::rc::Rc;
use std::time::Duration;

use crate::budget::Budget;
use crate::config::Config;
use crate::expiring::Expiring;
use crate::format::layout::Layout;
use crate::format::metadata::{Metadata, WrappedDek};
use crate::keys::{ObjectKeys, ObjectName};

/// Unwrapped DEKs. An entry is found only under the very bytes that the KMS once unwrapped for the very same object, so
/// the cache never answers what the KMS would not have answered. It does outlive a revocation, by its time to live.
pub type DekCache = Expiring<(WrappedDek, ObjectName), Rc<ObjectKeys>>;

/// The heads of encrypted objects, by the path that reads them, for ranges. A stale one is found out, because
/// every use is tied to its ETag with If-Match.
pub type HeadCache = Expiring<String, StoredHead>;

/// An encrypted object's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredHead {
    /// Its metadata.
    pub metadata: Metadata,
    /// Bytes of its body.
    pub sealed_len: u64,
    /// Its ETag, quotes included.
    pub etag: String,
    /// Where its parts lie.
    pub layout: Layout,
}

const HEAD_CACHE_ENTRIES: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();
const HEAD_CACHE_TTL: Duration = Duration::from_secs(60);

/// All that a VM keeps.
pub struct Caches {
    /// Unwrapped DEKs.
    pub deks: DekCache,
    /// Objects' heads.
    pub heads: HeadCache,
    /// Bytes of parts that may still be held by UploadPartCopy.
    pub copying: Budget,
}

impl Caches {
    /// As it begins: empty caches of the configured sizes.
    pub fn new(config: &Config) -> Self {
        Self {
            deks: Expiring::new(config.dek_cache_entries, config.dek_cache_ttl),
            heads: Expiring::new(HEAD_CACHE_ENTRIES, HEAD_CACHE_TTL),
            copying: Budget::new(config.upload_part_copy.max_bytes_in_flight),
        }
    }
}
