//! Tink's AEAD keysets: the JSON that holds the keys, the ciphertext that they make, and the KEK on top.
//!
//! Any Tink library reads these keysets and unwraps these DEKs ([Tink wire format], [JSON keysets]): a wrapped DEK is
//! an AEAD ciphertext whose associated data is [`Context::canonical_bytes`](crate::kek::Context::canonical_bytes).
//!
//! [Tink wire format]: https://developers.google.com/tink/wire-format
//! [JSON keysets]: https://developers.google.com/tink/generate-plaintext-keyset

mod aead;
mod keyset;
mod provider;

pub use aead::Aead;
pub use keyset::{Keyset, KeysetError};
pub use provider::{InvalidName, KeysetName, TinkKeysetKek};
