//! A fake kms-shim with real AES inside: it wraps under one KEK, and unwraps only what it wrapped, for the same object.

use std::collections::VecDeque;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use kms_api::{EncryptionContext, ErrorKind, Secret, UnwrapRequest, UnwrapResponse, WrapRequest, WrapResponse};
use serde_json::json;

use super::host::{CallAnswer, HttpCall};

/// The `kek` of everything that the fake wraps.
pub const KEK: &str = "fake-kms://kek/1";

#[derive(Debug, Default)]
pub struct FakeKms {
    /// Every context that a DEK was wrapped under, in order.
    pub wrapped: Vec<EncryptionContext>,
    /// Every context that a DEK was unwrapped under, in order.
    pub unwrapped: Vec<EncryptionContext>,
    /// Every DEK that went through here, in clear.
    pub deks: Vec<Vec<u8>>,
    /// Answers to give in place of proper ones, first come, first served.
    pub instead: VecDeque<CallAnswer>,
}

impl FakeKms {
    /// The bearer token that it asks for.
    pub const TOKEN: &str = "a-t0ken-that-no-log-may-show";

    pub fn answer(&mut self, call: &HttpCall) -> CallAnswer {
        if let Some(answer) = self.instead.pop_front() {
            return answer;
        }
        if call.headers.text("authorization") != Some(&format!("Bearer {}", Self::TOKEN)) {
            return error(401, ErrorKind::Denied);
        }
        match (call.headers.text(":method"), call.headers.text(":path")) {
            (Some("POST"), Some("/v1/wrap")) => self.wrap(&call.body),
            (Some("POST"), Some("/v1/unwrap")) => self.unwrap(&call.body),
            _ => CallAnswer::new(404, ""),
        }
    }

    fn wrap(&mut self, body: &[u8]) -> CallAnswer {
        let request: WrapRequest = serde_json::from_slice(body).unwrap();
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&(self.wrapped.len() as u64).to_be_bytes());
        let aad = aad(&request.context);
        let payload = Payload { msg: request.plaintext.expose(), aad: &aad };
        let sealed = cipher().encrypt(&Nonce::from(nonce), payload).unwrap();
        self.deks.push(request.plaintext.expose().to_vec());
        self.wrapped.push(request.context);
        let response = WrapResponse { wrapped: [&nonce[..], &sealed].concat(), kek: KEK.to_owned() };
        CallAnswer::new(200, serde_json::to_vec(&response).unwrap())
    }

    fn unwrap(&mut self, body: &[u8]) -> CallAnswer {
        let request: UnwrapRequest = serde_json::from_slice(body).unwrap();
        let Some((nonce, sealed)) = request.wrapped.split_first_chunk::<12>().filter(|_| request.kek == KEK) else {
            return error(400, ErrorKind::Invalid);
        };
        let aad = aad(&request.context);
        let Ok(dek) = cipher().decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad: &aad }) else {
            return error(422, ErrorKind::ContextMismatch);
        };
        self.unwrapped.push(request.context);
        let response = UnwrapResponse { plaintext: Secret::new(dek) };
        CallAnswer::new(200, serde_json::to_vec(&response).unwrap())
    }
}

/// An error as kms-shim words it.
pub fn error(status: u16, kind: ErrorKind) -> CallAnswer {
    CallAnswer::new(status, json!({"error": {"kind": kind, "message": "the fake says no"}}).to_string())
}

fn cipher() -> Aes256Gcm {
    Aes256Gcm::new(&[0x4b; 32].into())
}

/// `bucket ‖ 0 ‖ key`; a context with anything else in it is none of S3EP's.
fn aad(context: &EncryptionContext) -> Vec<u8> {
    assert_eq!(context.keys().collect::<Vec<_>>(), ["bucket", "key"]);
    [context["bucket"].as_bytes(), &[0], context["key"].as_bytes()].concat()
}
