//! What an exchange did, for whoever counts: metrics and access logs. Nothing here decides anything.

use std::ops::AddAssign;

/// An account of one exchange.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The S3 operation, once it is known.
    pub operation: Option<&'static str>,
    /// The bucket that the request names, if any. It is the client's word, and no more is known of it than that.
    pub bucket: Option<String>,
    /// The id of the KEK that the object's DEK is wrapped by, once it is known.
    pub kek: Option<String>,
    /// What was sealed.
    pub sealed: Volume,
    /// What was opened, every segment's tag checked.
    pub opened: Volume,
    /// How the DEKs of stored objects and uploads were come by.
    pub deks: DekLookups,
}

/// An amount of object data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Bytes of plaintext.
    pub bytes: u64,
    /// Segments.
    pub segments: u64,
    /// Whole objects, parts or ranges: those that came to their proper end.
    pub bodies: u64,
}

/// Counts of DEKs that were looked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DekLookups {
    /// Found in the cache.
    pub hits: u64,
    /// Derived or unwrapped with a master key: direct mode.
    pub derived: u64,
    /// To be asked for at kms-shim.
    pub misses: u64,
}

impl Volume {
    /// A segment of so many plaintext bytes.
    pub fn segment(bytes: usize) -> Self {
        Self { bytes: bytes as u64, segments: 1, bodies: 0 }
    }
}

impl AddAssign for Volume {
    fn add_assign(&mut self, more: Self) {
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.segments = self.segments.saturating_add(more.segments);
        self.bodies = self.bodies.saturating_add(more.bodies);
    }
}
