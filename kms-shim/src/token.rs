//! The bearer token that every caller of `/v1` must send (RFC 6750).

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A bearer token. `Debug` does not show it.
pub struct Token(Zeroizing<String>);

/// A token that no `Authorization` header could carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Nothing but white space.
    #[error("the bearer token is empty")]
    Empty,
    /// Something else than visible ASCII in it.
    #[error("the bearer token must be visible ASCII without spaces")]
    Characters,
}

impl Token {
    /// Takes the token, without the white space around it, as a file ends in a newline.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        let token = text.trim();
        if token.is_empty() {
            return Err(InvalidToken::Empty);
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken::Characters);
        }
        Ok(Self(Zeroizing::new(token.to_owned())))
    }

    /// Whether an `Authorization` header carries this token. Takes the same time for every token of the right length.
    pub fn authorizes(&self, authorization: &[u8]) -> bool {
        let Some((scheme, credentials)) = authorization.split_at_checked(7) else {
            return false;
        };
        scheme.eq_ignore_ascii_case(b"Bearer ") && bool::from(credentials.ct_eq(self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_token_that_a_header_can_carry_is_taken() {
        for (text, error) in [
            ("", InvalidToken::Empty),
            (" \n", InvalidToken::Empty),
            ("two words", InvalidToken::Characters),
            ("tökén", InvalidToken::Characters),
            ("a\0b", InvalidToken::Characters),
        ] {
            assert_eq!(Token::new(text).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn only_the_same_token_under_the_bearer_scheme_authorizes() {
        let token = Token::new("s3cret\n").unwrap();
        for (header, authorized) in [
            ("Bearer s3cret", true),
            ("bearer s3cret", true),
            ("Bearer s3cres", false),
            ("Bearer s3cret2", false),
            ("Bearer s3cre", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Bearer  s3cret", false),
            ("Basic s3cret", false),
            ("s3cret", false),
            ("", false),
        ] {
            assert_eq!(token.authorizes(header.as_bytes()), authorized, "{header:?}");
        }
        assert!(!format!("{token:?}").contains("s3cret"));
    }
}
