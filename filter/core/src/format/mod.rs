//! The bytes at rest, as `FORMAT.md` fixes them.

pub mod layout;
pub mod metadata;
pub mod segment;
