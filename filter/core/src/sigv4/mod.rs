//! AWS Signature Version 4.

pub mod aws_chunked;
pub mod credentials;
