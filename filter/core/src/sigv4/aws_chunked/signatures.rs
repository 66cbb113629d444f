//! The signatures of chunks and trailers: "Signature Calculations for the Authorization Header: Transferring Payload in
//! Multiple Chunks" (Amazon S3 API Reference).

use std::fmt;

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::sigv4::signing_key::{hex, keyed};

/// A signature is not that of what it should sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("signature mismatch")]
pub struct SignatureMismatch;

/// Sees the chunks of a signed body pass. Never called for [`Framing::UnsignedTrailer`](super::Framing::UnsignedTrailer).
pub trait ChunkVerifier {
    /// A chunk begins, the empty last one included. `signature` has 64 hexadecimal digits.
    fn chunk_begin(&mut self, signature: &str);
    /// The chunk's next bytes.
    fn data(&mut self, data: &[u8]);
    /// The chunk is whole.
    fn chunk_end(&mut self) -> Result<(), SignatureMismatch>;
    /// The trailers in canonical form, `name:value\n` each, sorted. Not called if there are none.
    fn trailers(&mut self, canonical: &[u8], signature: &str) -> Result<(), SignatureMismatch>;
}

/// Takes every signature, for `auth: none`: the mesh, not S3EP, says who may enter.
#[derive(Debug, Clone, Copy)]
pub struct Unverified;

impl ChunkVerifier for Unverified {
    fn chunk_begin(&mut self, _: &str) {}
    fn data(&mut self, _: &[u8]) {}
    fn chunk_end(&mut self) -> Result<(), SignatureMismatch> {
        Ok(())
    }
    fn trailers(&mut self, _: &[u8], _: &str) -> Result<(), SignatureMismatch> {
        Ok(())
    }
}

/// Checks SigV4's chain of signatures: each covers its chunk and the signature before it, the first one the request's.
pub struct ChunkSignatures {
    hmac: Hmac<Sha256>,
    /// Timestamp and scope, a line each.
    scope_lines: String,
    previous: String,
    stated: String,
    data: Sha256,
}

impl ChunkSignatures {
    /// `timestamp` is the request's `x-amz-date`, `scope` is `date/region/s3/aws4_request`, `seed` the request's own
    /// signature in lower-case hexadecimal, already checked.
    pub fn new(signing_key: &[u8; 32], timestamp: &str, scope: &str, seed: &str) -> Self {
        Self {
            hmac: keyed(signing_key),
            scope_lines: format!("{timestamp}\n{scope}\n"),
            previous: seed.to_owned(),
            stated: String::new(),
            data: Sha256::new(),
        }
    }

    fn check(&mut self, algorithm: &str, hashes: &str, stated: &str) -> Result<(), SignatureMismatch> {
        let mut hmac = self.hmac.clone();
        hmac.update(format!("{algorithm}\n{}{}\n{hashes}", self.scope_lines, self.previous).as_bytes());
        let signature = hex(&hmac.finalize().into_bytes());
        if !bool::from(signature.as_bytes().ct_eq(stated.to_ascii_lowercase().as_bytes())) {
            return Err(SignatureMismatch);
        }
        self.previous = signature;
        Ok(())
    }
}

/// Shows nothing of what it holds: the HMAC's state is as good as the signing key.
impl fmt::Debug for ChunkSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSignatures").finish_non_exhaustive()
    }
}

impl ChunkVerifier for ChunkSignatures {
    fn chunk_begin(&mut self, signature: &str) {
        self.stated = signature.to_owned();
        self.data = Sha256::new();
    }

    fn data(&mut self, data: &[u8]) {
        self.data.update(data);
    }

    fn chunk_end(&mut self) -> Result<(), SignatureMismatch> {
        let stated = std::mem::take(&mut self.stated);
        // The hash of nothing stands for the chunk's headers, of which there are none.
        let hashes = format!("{}\n{}", hex(&Sha256::digest([])), hex(&self.data.finalize_reset()));
        self.check("AWS4-HMAC-SHA256-PAYLOAD", &hashes, &stated)
    }

    fn trailers(&mut self, canonical: &[u8], signature: &str) -> Result<(), SignatureMismatch> {
        self.check("AWS4-HMAC-SHA256-TRAILER", &hex(&Sha256::digest(canonical)), signature)
    }
}
