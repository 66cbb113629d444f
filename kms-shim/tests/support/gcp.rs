//! Google Cloud KMS within this process: `encrypt` and `decrypt` of its REST API as Google documents them, with real
//! AES-256-GCM inside, for one service account whose signed tokens it verifies. It can misbehave, stop, and come back.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

const ACCOUNT: &str = "s3ep@p.iam.gserviceaccount.com";
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A bit of what was sent flips before the server looks at it.
    RequestDamaged,
    /// A bit of what the server sends flips after it took the checksum.
    AnswerDamaged,
    /// The server says that it checked nothing.
    Unverified,
    /// The server answers with another key's version.
    OtherKey,
    /// IAM does not let this account use the key.
    Denied,
    /// The key's primary version is disabled.
    Disabled,
    /// The quota is used up.
    Exhausted,
    /// 503.
    Unavailable,
}

/// The server. Dropping it ends it.
pub struct FakeGcp {
    address: SocketAddr,
    kms: Arc<Kms>,
    account: KeyPair,
    running: Option<Runtime>,
}

struct Kms {
    keys: HashMap<String, RandomizedNonceKey>,
    account: Vec<u8>,
    fault: Mutex<Option<Fault>>,
    calls: AtomicUsize,
}

/// The HTTP status, and `google.rpc.Status`'s code and message.
type Refusal = (StatusCode, &'static str, String);

impl FakeGcp {
    /// Serves these keys, by their resource names, on a free port.
    pub fn start(names: &[&str]) -> Self {
        let key = |name: &&str| {
            let mut bytes = [0; 32];
            aws_lc_rs::rand::fill(&mut bytes).unwrap();
            ((*name).to_owned(), RandomizedNonceKey::new(&AES_256_GCM, &bytes).unwrap())
        };
        let account = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let kms = Kms {
            keys: names.iter().map(key).collect(),
            account: account.public_key_raw().to_vec(),
            fault: Mutex::new(None),
            calls: AtomicUsize::new(0),
        };
        let mut server = Self { address: ([127, 0, 0, 1], 0).into(), kms: Arc::new(kms), account, running: None };
        server.resume();
        server
    }

    /// `http://` and its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The service account's key file, for `GOOGLE_APPLICATION_CREDENTIALS`.
    pub fn credentials(&self) -> String {
        let file = json!({
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "1",
            "private_key": self.account.serialize_pem(),
            "client_email": ACCOUNT,
            "client_id": "1",
        });
        file.to_string()
    }

    /// How often it was asked, misbehaving or not.
    pub fn calls(&self) -> usize {
        self.kms.calls.load(Ordering::Relaxed)
    }

    /// From now on this goes wrong; None: nothing.
    pub fn set_fault(&self, fault: impl Into<Option<Fault>>) {
        *self.kms.fault.lock().unwrap() = fault.into();
    }

    /// Ends all connections, and takes none, until [`FakeGcp::resume`].
    pub fn stop(&mut self) {
        if let Some(runtime) = self.running.take() {
            runtime.shutdown_background();
        }
    }

    /// Serves, with the same keys on the same port.
    pub fn resume(&mut self) {
        let listener = TcpListener::bind(self.address).unwrap();
        self.address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let router = Router::new().fallback(serve).with_state(self.kms.clone());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        self.running = Some(runtime);
    }
}

impl Drop for FakeGcp {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn serve(State(kms): State<Arc<Kms>>, request: Request) -> Response {
    kms.calls.fetch_add(1, Ordering::Relaxed);
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let answer = kms.answer(head.method.as_str(), head.uri.path(), &head.headers, &body);
    let (status, json) = match answer {
        Ok(json) => (StatusCode::OK, json),
        Err((status, code, message)) => {
            (status, json!({ "error": { "code": status.as_u16(), "message": message, "status": code } }))
        }
    };
    (status, [("content-type", "application/json; charset=UTF-8")], json.to_string()).into_response()
}

impl Kms {
    fn answer(&self, method: &str, path: &str, headers: &HeaderMap, body: &Bytes) -> Result<Value, Refusal> {
        self.authenticate(headers)?;
        let fault = *self.fault.lock().unwrap();
        refuse(fault)?;
        let not_found = |what: &str| (StatusCode::NOT_FOUND, "NOT_FOUND", format!("{what} not found."));
        let (name, verb) = path.strip_prefix("/v1/").and_then(|path| path.rsplit_once(':')).ok_or(not_found(path))?;
        let key = self.keys.get(name).ok_or_else(|| not_found(name))?;
        let mut request: Value = serde_json::from_slice(body).map_err(|error| invalid(error.to_string()))?;
        match (method, verb) {
            ("POST", "encrypt") => encrypt(name, key, &mut request, fault),
            ("POST", "decrypt") => decrypt(key, &mut request, fault),
            _ => Err(not_found(path)),
        }
    }

    /// A token that the service account signed itself (RFC 7519), as Google takes them.
    fn authenticate(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let token = headers.get("authorization").and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let claims = token.and_then(|token| self.claims(token));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let is_valid = claims.is_some_and(|claims| {
            claims["iss"] == ACCOUNT && claims["scope"] == SCOPE && claims["exp"].as_u64().is_some_and(|end| end > now)
        });
        let refusal = (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED", "Request had invalid credentials.".to_owned());
        is_valid.then_some(()).ok_or(refusal)
    }

    fn claims(&self, token: &str) -> Option<Value> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let public_key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &self.account);
        public_key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
    }
}

fn refuse(fault: Option<Fault>) -> Result<(), Refusal> {
    let (status, code, message) = match fault {
        Some(Fault::Denied) => (StatusCode::FORBIDDEN, "PERMISSION_DENIED", "Permission denied on resource."),
        Some(Fault::Disabled) => (StatusCode::BAD_REQUEST, "FAILED_PRECONDITION", "The key version is not enabled."),
        Some(Fault::Exhausted) => (StatusCode::TOO_MANY_REQUESTS, "RESOURCE_EXHAUSTED", "Quota exceeded."),
        Some(Fault::Unavailable) => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", "The service is unavailable."),
        _ => return Ok(()),
    };
    Err((status, code, message.to_owned()))
}

fn encrypt(name: &str, key: &RandomizedNonceKey, request: &mut Value, fault: Option<Fault>) -> Result<Value, Refusal> {
    let (mut buffer, plaintext_is_checked) = field(request, "plaintext", fault)?;
    let (aad, aad_is_checked) = field(request, "additionalAuthenticatedData", None)?;
    let nonce = key.seal_in_place_append_tag(Aad::from(&aad), &mut buffer).unwrap();
    let ciphertext = [nonce.as_ref().as_slice(), &buffer].concat();
    let is_verified = fault != Some(Fault::Unverified);
    let version = if fault == Some(Fault::OtherKey) { "projects/other" } else { name };
    Ok(json!({
        "name": format!("{version}/cryptoKeyVersions/1"),
        "ciphertext": sent(&ciphertext, fault),
        "ciphertextCrc32c": checksum(&ciphertext),
        "verifiedPlaintextCrc32c": plaintext_is_checked && is_verified,
        "verifiedAdditionalAuthenticatedDataCrc32c": aad_is_checked && is_verified,
        "protectionLevel": 1,
    }))
}

fn decrypt(key: &RandomizedNonceKey, request: &mut Value, fault: Option<Fault>) -> Result<Value, Refusal> {
    let (ciphertext, _) = field(request, "ciphertext", fault)?;
    let (aad, _) = field(request, "additionalAuthenticatedData", None)?;
    let failed = || invalid("Decryption failed: verify that 'name' refers to the correct CryptoKey.".to_owned());
    let (nonce, sealed) = ciphertext.split_at_checked(NONCE_LEN).ok_or_else(failed)?;
    let mut buffer = sealed.to_vec();
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| failed())?;
    let plaintext = key.open_in_place(nonce, Aad::from(&aad), &mut buffer).map_err(|_| failed())?;
    Ok(json!({
        "plaintext": sent(plaintext, fault),
        "plaintextCrc32c": checksum(plaintext),
        "usedPrimary": true,
        "protectionLevel": 1,
    }))
}

/// A field's bytes, and whether a checksum came with them. One that does not match is an error, and so is a field that
/// is not known.
fn field(request: &mut Value, name: &str, fault: Option<Fault>) -> Result<(Vec<u8>, bool), Refusal> {
    let text = request[name].as_str().unwrap_or_default();
    let mut bytes = STANDARD.decode(text).map_err(|error| invalid(format!("{name}: {error}")))?;
    if fault == Some(Fault::RequestDamaged) {
        bytes[0] ^= 1;
    }
    let sent = &request[format!("{name}Crc32c")];
    if !sent.is_null() && *sent != checksum(&bytes) {
        let field = snake_case(name);
        return Err(invalid(format!("The checksum in field {field}_crc32c did not match the data in field {field}.")));
    }
    Ok((bytes, !sent.is_null()))
}

/// An `int64`, which protobuf's JSON writes as text.
fn checksum(bytes: &[u8]) -> Value {
    crc32c::crc32c(bytes).to_string().into()
}

fn sent(bytes: &[u8], fault: Option<Fault>) -> Value {
    let mut bytes = bytes.to_vec();
    if fault == Some(Fault::AnswerDamaged) {
        bytes[0] ^= 1;
    }
    STANDARD.encode(bytes).into()
}

fn snake_case(name: &str) -> String {
    name.chars().flat_map(|c| c.is_uppercase().then_some('_').into_iter().chain([c.to_ascii_lowercase()])).collect()
}

fn invalid(message: String) -> Refusal {
    (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message)
}
