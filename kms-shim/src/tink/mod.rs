//! Tink's AEAD keysets: the JSON that holds the keys, in clear or encrypted, the ciphertext that they make, and the KEK on top.
//!
//! Any Tink library reads these keysets and unwraps these DEKs ([Tink wire format], [JSON keysets]): a wrapped DEK is
//! an AEAD ciphertext whose associated data is [`Context::canonical_bytes`](crate::kek::Context::canonical_bytes).
//!
//! [Tink wire format]: https://developers.google.com/tink/wire-format
//! [JSON keysets]: https://developers.google.com/tink/generate-plaintext-keyset

mod aead;
mod binary;
mod encrypted;
mod file;
mod keyset;
mod provider;

pub use aead::Aead;
pub use encrypted::{EncryptedKeyset, EncryptedKeysetError};
pub use file::{KeysetFile, KeysetFileError};
pub use keyset::{Keyset, KeysetError};
pub use provider::{InvalidName, KeysetName, SCHEME, TinkKeysetKek};
