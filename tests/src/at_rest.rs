//! Objects as they lie in the store. What is known of them here is from FORMAT.md, not from the code under test.

use std::collections::HashSet;

use anyhow::{Context as _, Result, ensure};

use crate::client::{Response, S3Client};

/// Plaintext bytes in a segment that is not the last (FORMAT.md section 1).
pub const SEGMENT: usize = 65_536;
/// Bytes of a segment's header (FORMAT.md section 1).
pub const HEADER: usize = 32;
/// Bytes of a segment's header and tag (FORMAT.md section 1).
pub const OVERHEAD: usize = 48;
/// The beginning of a segment (FORMAT.md section 1).
pub const MAGIC: &[u8] = b"S3EP\x01";
/// The prefix of our metadata (FORMAT.md section 4).
pub const OUR_METADATA: &str = "x-amz-meta-s3ep-";

/// The body length of an object of `len` plaintext bytes (FORMAT.md section 5).
pub fn sealed_len(len: usize) -> usize {
    len + OVERHEAD * len.div_ceil(SEGMENT)
}

/// An object's body and metadata in the store, where the attacker sits: to be looked at, altered, and put back.
#[derive(Debug, Clone)]
pub struct AtRest {
    /// The body.
    pub body: Vec<u8>,
    /// The user metadata, all of it, and Content-Type: names and values.
    pub metadata: Vec<(String, String)>,
}

impl AtRest {
    /// Takes an object out of the store, past Envoy.
    pub fn read(direct: &S3Client, object_key: &str) -> Result<Self> {
        let response = direct.get(object_key)?;
        let mut metadata = response.headers_with_prefix("x-amz-meta-");
        metadata.extend(response.headers_with_prefix("content-type"));
        let body = response.body;
        Ok(Self { body, metadata })
    }

    /// Puts it into the store, past Envoy.
    pub fn write(&self, direct: &S3Client, object_key: &str) -> Result<Response> {
        let call = direct.object("PUT", object_key).headers(&self.metadata);
        call.send(&self.body)?.expect(200)
    }

    /// A metadata value; `name` is the part after `x-amz-meta-s3ep-`.
    pub fn ours(&self, name: &str) -> Option<&str> {
        let name = format!("{OUR_METADATA}{name}");
        let found = self.metadata.iter().find(|(candidate, _)| *candidate == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Checks that this is a sealed form of `plaintext`, as far as that shows without the key.
    pub fn check_sealed(&self, plaintext: &[u8]) -> Result<()> {
        ensure!(
            self.body.len() == sealed_len(plaintext.len()),
            "{} bytes at rest for {} bytes of plaintext",
            self.body.len(),
            plaintext.len()
        );
        let mut segments = self.body.chunks(SEGMENT + OVERHEAD);
        ensure!(segments.all(|segment| segment.starts_with(MAGIC)), "a segment without S3EP");
        for name in ["alg", "dek", "kek", "len", "mac"] {
            self.ours(name).with_context(|| format!("no {OUR_METADATA}{name} at rest"))?;
        }
        ensure!(!shows(&self.body, plaintext), "plaintext at rest");
        Ok(())
    }
}

/// Whether any 32 bytes of `plaintext` appear in `stored`. Each such window holds an aligned block of 16 bytes, so
/// those are looked for: ciphertext has one of them by chance once in 2^128 tries.
pub fn shows(stored: &[u8], plaintext: &[u8]) -> bool {
    let blocks: HashSet<&[u8]> = plaintext.chunks_exact(16).collect();
    stored.windows(16).any(|window| blocks.contains(window))
}

/// How a tampered object was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// With an S3 error and no byte of the object.
    Error {
        /// The HTTP status.
        status: u16,
        /// S3's error code.
        code: String,
    },
    /// After so many bytes, all of them authentic, by breaking the transfer.
    Broken {
        /// How many bytes came through.
        released: usize,
    },
}

/// Checks that the answer to a GET refuses: never a clean success, and no byte that is not the plaintext's.
pub fn refusal(answer: &Response, plaintext: &[u8]) -> Result<Refusal> {
    if answer.status >= 400 {
        ensure!(answer.broken.is_none(), "the error itself broke off: {answer:?}");
        return Ok(Refusal::Error { status: answer.status, code: answer.error_code()? });
    }
    ensure!(answer.broken.is_some(), "a clean {} for a tampered object", answer.status);
    ensure!(
        plaintext.starts_with(&answer.body),
        "{} bytes were released that are not a prefix of the plaintext",
        answer.body.len()
    );
    Ok(Refusal::Broken { released: answer.body.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plaintext::random;

    #[test]
    fn plaintext_is_found_wherever_it_stands() {
        let plaintext = random(100, 1);
        let mut stored = random(1000, 2);
        assert!(!shows(&stored, &plaintext));
        stored[501..533].copy_from_slice(&plaintext[37..69]);
        assert!(shows(&stored, &plaintext));
    }

    #[test]
    fn lengths_are_those_of_the_format() {
        let lengths = [0, 1, 65_535, 65_536, 65_537, 131_072].map(sealed_len);
        assert_eq!(lengths, [0, 49, 65_583, 65_584, 65_633, 131_168]);
    }
}
