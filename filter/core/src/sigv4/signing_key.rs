//! The signing key and what it makes: "Calculating a Signature" (Amazon S3 API Reference).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::ALGORITHM;
use super::canonical_request::CanonicalRequest;
use super::scope::{CredentialScope, TERMINATOR};
use super::timestamp::Timestamp;

/// HMAC's block with SHA-256, in bytes.
const BLOCK: usize = 64;

/// The key of one client for one scope: derived anew for each request, or kept for as long as the scope's day lasts.
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// Derives the key from the client's secret access key.
    pub fn derive(secret_access_key: &str, scope: &CredentialScope) -> Self {
        let secret = Zeroizing::new([b"AWS4", secret_access_key.as_bytes()].concat());
        let date_key = hmac(&secret, scope.date.as_bytes());
        let date_region_key = hmac(&*date_key, scope.region.as_bytes());
        let date_region_service_key = hmac(&*date_region_key, scope.service.as_bytes());
        Self(hmac(&*date_region_service_key, TERMINATOR.as_bytes()))
    }

    /// The bytes in clear.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The signature of a string to sign, in lower-case hexadecimal.
    pub fn sign(&self, string_to_sign: &str) -> String {
        hex(&*hmac(&*self.0, string_to_sign.as_bytes()))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// What a request's signature is calculated over.
pub fn string_to_sign(timestamp: &Timestamp, scope: &CredentialScope, request: &CanonicalRequest) -> String {
    format!("{ALGORITHM}\n{timestamp}\n{scope}\n{}", hex(&Sha256::digest(request.as_bytes())))
}

/// HMAC-SHA256, ready for data. A long key is hashed, a short one filled up with zeros (RFC 2104 section 2).
pub(super) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let hashed = (key.len() > BLOCK).then(|| Zeroizing::new(<[u8; 32]>::from(Sha256::digest(key))));
    let key = hashed.as_ref().map_or(key, |hashed| hashed.as_slice());
    let mut block = Zeroizing::new([0; BLOCK]);
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    Hmac::new((&*block).into())
}

fn hmac(key: &[u8], data: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hmac = keyed(key);
    hmac.update(data);
    Zeroizing::new(hmac.finalize().into_bytes().into())
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231 test cases 1, 2 and 6: keys shorter and longer than a block.
    #[test]
    fn hmac_with_keys_of_any_length() {
        let long = [0xaa; 131];
        for (key, data, expected) in [
            (&[0x0b; 20][..], "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (
                b"Jefe",
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &long,
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(hex(&*hmac(key, data.as_bytes())), expected);
        }
    }

    #[test]
    fn no_key_shows_in_debug() {
        let scope = CredentialScope { date: "20130524".into(), region: "us-east-1".into(), service: "s3".into() };
        assert_eq!(format!("{:?}", SigningKey::derive("secret", &scope)), "SigningKey(..)");
    }
}
