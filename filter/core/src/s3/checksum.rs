//! Checksums of an upload: `Content-MD5`, `x-amz-content-sha256`, and `x-amz-checksum-*` in a header or a trailer.
//!
//! All of them are of the plaintext, after aws-chunked decoding. S3's rules are those of "Checking object integrity for
//! data uploads in Amazon S3" (Amazon S3 User Guide) and PutObject (Amazon S3 API Reference). Only what the client asks
//! for is computed.

mod algorithm;

pub use algorithm::{Algorithm, Checksum, Digest};
use subtle::ConstantTimeEq as _;

use crate::sigv4::signing_key::hex;

const CONTENT_MD5: &str = "content-md5";
const CONTENT_SHA256: &str = "x-amz-content-sha256";
const SDK_ALGORITHM: &str = "x-amz-sdk-checksum-algorithm";
const TRAILER: &str = "x-amz-trailer";
const CHECKSUM_PREFIX: &str = "x-amz-checksum-";
/// `x-amz-checksum-` headers that hold no checksum.
const NOT_CHECKSUMS: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];

/// Why a request's checksums are refused. The messages are S3's; [`ChecksumError::code`] is S3's error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumError {
    /// `Content-MD5` is not base64 of 16 bytes.
    #[error("The Content-MD5 you specified was invalid.")]
    InvalidContentMd5,
    /// `x-amz-content-sha256` is neither 64 hexadecimal digits nor one of the words that S3 knows.
    #[error("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING value, or a valid sha256 value.")]
    InvalidContentSha256,
    /// A checksum header is malformed, or contradicts another.
    #[error("Value for {0} header is invalid.")]
    InvalidHeader(&'static str),
    /// A trailer's value is malformed.
    #[error("Value for {0} trailing header is invalid.")]
    InvalidTrailer(&'static str),
    /// More than one `x-amz-checksum-*`, in headers and trailers together.
    #[error("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")]
    Multiple,
    /// A checksum that S3EP cannot verify, so it must not pretend to.
    #[error("A checksum algorithm you specified is not implemented.")]
    UnsupportedAlgorithm,
    /// An algorithm without its checksum.
    #[error(
        "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were \
         found."
    )]
    AlgorithmWithoutChecksum,
    /// `x-amz-trailer` announces something else than a checksum.
    #[error("The value specified in the x-amz-trailer header is not supported")]
    UnsupportedTrailer,
    /// The trailers are not those that were announced.
    #[error("The request contained trailing data that was not well-formed or did not conform to our published schema.")]
    MalformedTrailer,
    /// The body is not that of `x-amz-content-sha256`.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    ContentSha256Mismatch,
    /// The body is not that of `Content-MD5`.
    #[error("The Content-MD5 you specified did not match what we received.")]
    ContentMd5Mismatch,
    /// The body is not that of `x-amz-checksum-*`.
    #[error("The {} you specified did not match the calculated checksum.", .0.name())]
    Mismatch(Algorithm),
}

impl ChecksumError {
    /// S3's error code. `NotImplemented` goes with status 501, all others with 400.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidContentMd5 => "InvalidDigest",
            Self::InvalidContentSha256 => "InvalidArgument",
            Self::InvalidHeader(_)
            | Self::InvalidTrailer(_)
            | Self::Multiple
            | Self::AlgorithmWithoutChecksum
            | Self::UnsupportedTrailer => "InvalidRequest",
            Self::UnsupportedAlgorithm => "NotImplemented",
            Self::MalformedTrailer => "MalformedTrailerError",
            Self::ContentSha256Mismatch => "XAmzContentSHA256Mismatch",
            Self::ContentMd5Mismatch | Self::Mismatch(_) => "BadDigest",
        }
    }
}

/// The `x-amz-checksum-*` of a request.
#[derive(Debug, Clone)]
struct Declared {
    algorithm: Algorithm,
    is_trailer: bool,
    /// None until the trailer has come.
    digest: Option<Vec<u8>>,
}

/// What a request states about its body, and what its body comes to so far.
#[derive(Debug, Clone, Default)]
pub struct Checksums {
    declared: Option<Declared>,
    content_md5: Option<Vec<u8>>,
    /// 64 lower-case hexadecimal digits.
    content_sha256: Option<Vec<u8>>,
    /// At most one an algorithm.
    digests: Vec<(Algorithm, Digest)>,
}

impl Checksums {
    /// Reads what the headers of a PutObject or UploadPart state. Other headers are ignored.
    ///
    /// Not for CompleteMultipartUpload, whose `x-amz-checksum-*` is the object's and not the body's.
    pub fn expecting<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Self, ChecksumError> {
        let mut this = Self::default();
        let mut sdk_algorithm = None;
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            let value = value.trim_ascii();
            match name.as_str() {
                CONTENT_MD5 => this.expect_content_md5(value)?,
                CONTENT_SHA256 => this.expect_content_sha256(value)?,
                SDK_ALGORITHM => sdk_algorithm = Some(sdk_value(value)?),
                TRAILER => this.announce(value)?,
                _ if NOT_CHECKSUMS.contains(&name.as_str()) => {}
                _ if name.starts_with(CHECKSUM_PREFIX) => this.expect_checksum(&name, value)?,
                _ => {}
            }
        }
        match (sdk_algorithm, &this.declared) {
            (None, _) => {}
            (Some(_), None) => return Err(ChecksumError::AlgorithmWithoutChecksum),
            (Some(named), Some(declared)) if named == declared.algorithm => {}
            (Some(_), Some(_)) => return Err(ChecksumError::InvalidHeader(SDK_ALGORITHM)),
        }
        Ok(this)
    }

    /// Whether the body need not be shown at all.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Takes the next bytes of the plaintext.
    pub fn update(&mut self, data: &[u8]) {
        for (_, digest) in &mut self.digests {
            digest.update(data);
        }
    }

    /// Takes a trailer, which must be the one that was announced.
    pub fn trailer(&mut self, name: &str, value: &str) -> Result<(), ChecksumError> {
        let Some(declared) = self.declared.as_mut().filter(|declared| declared.is_trailer) else {
            return Err(ChecksumError::MalformedTrailer);
        };
        let header = declared.algorithm.header();
        if !name.eq_ignore_ascii_case(header) || declared.digest.is_some() {
            return Err(ChecksumError::MalformedTrailer);
        }
        let digest = declared.algorithm.decode(value.trim_ascii().as_bytes());
        declared.digest = Some(digest.ok_or(ChecksumError::InvalidTrailer(header))?);
        Ok(())
    }

    /// Whether the whole body has every checksum that was stated. To be asked before the last segment goes upstream.
    pub fn verify(&self) -> Result<(), ChecksumError> {
        if let Some(stated) = &self.content_sha256 {
            agree(stated, hex(&self.digest(Algorithm::Sha256)).as_bytes(), ChecksumError::ContentSha256Mismatch)?;
        }
        if let Some(stated) = &self.content_md5 {
            agree(stated, &self.digest(Algorithm::Md5), ChecksumError::ContentMd5Mismatch)?;
        }
        if let Some(declared) = &self.declared {
            let stated = declared.digest.as_ref().ok_or(ChecksumError::MalformedTrailer)?;
            agree(stated, &self.digest(declared.algorithm), ChecksumError::Mismatch(declared.algorithm))?;
        }
        Ok(())
    }

    /// The algorithm of the request's `x-amz-checksum-*`, in header or trailer.
    pub fn algorithm(&self) -> Option<Algorithm> {
        self.declared.as_ref().map(|declared| declared.algorithm)
    }

    /// The request's `x-amz-checksum-*`: from the start if it is a header, once the trailer was taken if it is one. Not to
    /// be trusted before [`verify`](Self::verify).
    pub fn stated(&self) -> Option<Checksum> {
        let Declared { algorithm, digest, .. } = self.declared.as_ref()?;
        digest.clone().map(|digest| Checksum { algorithm: *algorithm, digest })
    }

    fn expect_content_md5(&mut self, value: &[u8]) -> Result<(), ChecksumError> {
        let digest = Algorithm::Md5.decode(value).filter(|_| self.content_md5.is_none());
        self.content_md5 = Some(digest.ok_or(ChecksumError::InvalidContentMd5)?);
        self.compute(Algorithm::Md5);
        Ok(())
    }

    fn expect_content_sha256(&mut self, value: &[u8]) -> Result<(), ChecksumError> {
        if value == b"UNSIGNED-PAYLOAD" || value.starts_with(b"STREAMING-") {
            return Ok(());
        }
        if value.len() != 64 || !value.iter().all(u8::is_ascii_hexdigit) || self.content_sha256.is_some() {
            return Err(ChecksumError::InvalidContentSha256);
        }
        self.content_sha256 = Some(value.to_ascii_lowercase());
        self.compute(Algorithm::Sha256);
        Ok(())
    }

    fn expect_checksum(&mut self, name: &str, value: &[u8]) -> Result<(), ChecksumError> {
        let algorithm = Algorithm::from_header(name).ok_or(ChecksumError::UnsupportedAlgorithm)?;
        let digest = algorithm.decode(value).ok_or(ChecksumError::InvalidHeader(algorithm.header()))?;
        self.declare(Declared { algorithm, is_trailer: false, digest: Some(digest) })
    }

    fn announce(&mut self, value: &[u8]) -> Result<(), ChecksumError> {
        let value = std::str::from_utf8(value).map_err(|_| ChecksumError::UnsupportedTrailer)?;
        for name in value.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let algorithm = Algorithm::from_header(name).ok_or(ChecksumError::UnsupportedTrailer)?;
            self.declare(Declared { algorithm, is_trailer: true, digest: None })?;
        }
        Ok(())
    }

    fn declare(&mut self, declared: Declared) -> Result<(), ChecksumError> {
        self.compute(declared.algorithm);
        match self.declared.replace(declared) {
            None => Ok(()),
            Some(_) => Err(ChecksumError::Multiple),
        }
    }

    fn compute(&mut self, algorithm: Algorithm) {
        if !self.digests.iter().any(|(computed, _)| *computed == algorithm) {
            self.digests.push((algorithm, Digest::new(algorithm)));
        }
    }

    /// Empty, so equal to no checksum, if the algorithm is not computed.
    fn digest(&self, algorithm: Algorithm) -> Vec<u8> {
        let found = self.digests.iter().find(|(computed, _)| *computed == algorithm);
        found.map(|(_, digest)| digest.clone().finish()).unwrap_or_default()
    }
}

fn sdk_value(value: &[u8]) -> Result<Algorithm, ChecksumError> {
    let name = std::str::from_utf8(value).ok();
    name.and_then(Algorithm::from_name).ok_or(ChecksumError::InvalidHeader(SDK_ALGORITHM))
}

fn agree(stated: &[u8], computed: &[u8], otherwise: ChecksumError) -> Result<(), ChecksumError> {
    if bool::from(stated.ct_eq(computed)) { Ok(()) } else { Err(otherwise) }
}
