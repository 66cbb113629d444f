//! Requests, signed and sent, again if that can help.

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use ureq::http::{Request, Response, StatusCode};
use ureq::{Agent, Body};

use super::answer::Answer;

/// How often a request is sent at most.
const ATTEMPTS: u32 = 4;
/// How long to wait before the second attempt; twice as long before each further one.
const PAUSE: Duration = Duration::from_millis(200);

/// An S3 store. Threads share it.
pub struct Store {
    pub(super) address: Address,
    pub(super) region: String,
    pub(super) credentials: Credentials,
    pub(super) agent: Agent,
}

/// Where a store is.
pub(super) struct Address {
    pub(super) scheme: String,
    /// Host and port.
    pub(super) authority: String,
    /// Whether buckets stand in paths, not in hosts.
    pub(super) is_path_style: bool,
}

/// A request.
pub struct Call<'a> {
    method: &'static str,
    /// Path-style, encoded, with the query.
    path: String,
    headers: Vec<(String, String)>,
    body: Option<&'a [u8]>,
}

impl<'a> Call<'a> {
    /// A request without a body.
    pub fn new(method: &'static str, path: String) -> Self {
        Self { method, path, headers: Vec::new(), body: None }
    }

    /// With this header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With these headers.
    pub fn headers(mut self, headers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// With this body.
    pub fn body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }
}

impl Address {
    /// The URL of a path, which is path-style.
    pub(super) fn url(&self, path: &str) -> String {
        let Self { scheme, authority, is_path_style } = self;
        if *is_path_style {
            return format!("{scheme}://{authority}{path}");
        }
        let path = path.trim_start_matches('/');
        let (bucket, rest) = path.split_at(path.find(['/', '?']).unwrap_or(path.len()));
        let slash = if rest.starts_with('/') { "" } else { "/" };
        format!("{scheme}://{bucket}.{authority}{slash}{rest}")
    }
}

impl Store {
    /// Sends a request, again while the store cannot answer. Whatever is answered then is
    /// the answer.
    pub fn send(&self, call: Call<'_>) -> Result<Answer> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match self.attempt(&call) {
                Ok(answer) if !is_passing(answer.status()) => return Ok(Answer::new(answer)),
                _ => thread::sleep(pause),
            }
            pause *= 2;
        }
        self.attempt(&call).map(Answer::new)
    }

    fn attempt(&self, Call { method, path, headers, body }: &Call<'_>) -> Result<Response<Body>> {
        let url = self.address.url(path);
        let request = self.signed(method, &url, headers, SignableBody::Bytes(body.unwrap_or_default()))?;
        let answer = match body {
            Some(body) => self.agent.run(request.map(|()| *body)),
            None => self.agent.run(request),
        };
        answer.context("the store does not answer")
    }

    fn signed(
        &self,
        method: &str,
        url: &str,
        headers: &[(String, String)],
        payload: SignableBody<'_>,
    ) -> Result<Request<()>> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(())?;
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(signing_settings())
            .build()?
            .into();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(method, url, headers, payload)?;
        sign(signable, &parameters)?.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// Whether this may be over in a moment.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 500 | 502 | 503 | 504)
}

/// SigV4 as S3 has it: the path signed as it is sent, and the payload's hash in a header.
fn signing_settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}
