//! A small S3 client that shows everything: raw status, headers, and how much of a body came before a transfer broke.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, anyhow, ensure};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::config::Config;
use ureq::http::{HeaderMap, Request, Response as HttpResponse, Uri};
use ureq::tls::{Certificate, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body, SendBody};

/// What S3's clients leave as it is in an object key (Amazon S3 API Reference, "Authenticating Requests: UriEncode").
const OBJECT_KEY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Where an S3 service is, and the credentials for it.
#[derive(Clone)]
pub struct Endpoint {
    /// `http://host:port`, or `https://host:port`.
    pub url: String,
    /// The certificate of the authority that vouches for it, in PEM. Needed with `https` only.
    pub ca: Option<PathBuf>,
    /// The access key's id.
    pub access_key: String,
    /// The secret access key.
    pub secret_key: String,
    /// The region that signatures name.
    pub region: String,
}

impl Endpoint {
    /// An endpoint in `us-east-1`.
    pub fn new(url: String, access_key: String, secret_key: String) -> Self {
        let region = "us-east-1".to_owned();
        Self { url, ca: None, access_key, secret_key, region }
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        self.url.split("//").last().unwrap_or_default()
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}, {})", self.url, self.access_key)
    }
}

/// Talks to one bucket.
#[derive(Debug, Clone)]
pub struct S3Client {
    /// The service.
    pub endpoint: Endpoint,
    /// The bucket.
    pub bucket: String,
    agent: Agent,
}

impl S3Client {
    /// A client for `bucket`. It opens a connection for each request, since tests break connections.
    pub fn new(endpoint: Endpoint, bucket: &str) -> Self {
        let config = Self::config(&endpoint);
        Self { endpoint, bucket: bucket.to_owned(), agent: config.new_agent() }
    }

    /// The same for a service whose host has this address, whatever its name is.
    pub fn at(address: SocketAddr, endpoint: Endpoint, bucket: &str) -> Self {
        let config = Self::config(&endpoint);
        let agent = Agent::with_parts(config, DefaultConnector::default(), Resolved(address));
        Self { endpoint, bucket: bucket.to_owned(), agent }
    }

    fn config(endpoint: &Endpoint) -> Config {
        let config = Agent::config_builder()
            .tls_config(trusting(endpoint.ca.as_deref()))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .allow_non_standard_methods(true)
            // Tests of hanging peers must end, and a 2 GiB transfer must not.
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .timeout_per_write(Some(Duration::from_secs(60)));
        config.build()
    }

    /// A request on an object.
    pub fn object(&self, method: &str, object_key: &str) -> Call<'_> {
        self.call(method, self.object_path(object_key))
    }

    /// A request on the bucket, with a query like `versioning`.
    pub fn bucket(&self, method: &str, query: &str) -> Call<'_> {
        self.call(method, format!("/{}", self.bucket)).query(query)
    }

    /// Stores an object; fails unless the answer is 200.
    pub fn put(&self, object_key: &str, body: &[u8]) -> Result<Response> {
        self.object("PUT", object_key).send(body)?.expect(200)
    }

    /// Reads an object; fails unless the answer is 200 and whole.
    pub fn get(&self, object_key: &str) -> Result<Response> {
        self.object("GET", object_key).send(&[])?.expect(200)
    }

    /// The object's path, encoded.
    pub fn object_path(&self, object_key: &str) -> String {
        format!("/{}/{}", self.bucket, utf8_percent_encode(object_key, &OBJECT_KEY))
    }

    fn call(&self, method: &str, path: String) -> Call<'_> {
        Call { client: self, method: method.to_owned(), path_and_query: path, headers: Vec::new() }
    }
}

/// Finds every host at one address.
#[derive(Debug)]
struct Resolved(SocketAddr);

impl Resolver for Resolved {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// Trusts this certificate authority, given in PEM, and nobody else.
pub fn trusting(ca: Option<&Path>) -> TlsConfig {
    let read = |file| Certificate::from_pem(&fs::read(file).expect("the CA's file")).expect("a certificate");
    TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root_certs(ca.map(read).into_iter().collect::<Vec<_>>().into())
        .build()
}

/// A request that is being put together.
#[derive(Debug)]
pub struct Call<'a> {
    client: &'a S3Client,
    method: String,
    path_and_query: String,
    headers: Vec<(String, String)>,
}

impl Call<'_> {
    /// Adds a query, encoded already.
    pub fn query(mut self, query: &str) -> Self {
        if !query.is_empty() {
            self.path_and_query.push('?');
            self.path_and_query.push_str(query);
        }
        self
    }

    /// Adds a header, which will be signed.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds headers, which will be signed.
    pub fn headers(mut self, headers: &[(String, String)]) -> Self {
        self.headers.extend_from_slice(headers);
        self
    }

    /// Sends the request with this body and reads the whole answer.
    pub fn send(self, body: &[u8]) -> Result<Response> {
        let mut received = Vec::new();
        let mut reader = body;
        let (response, broken) =
            self.exchange(SignableBody::Bytes(body), &mut reader, body.len() as u64, &mut received)?;
        Ok(Response { body: received, ..Response::new(response, broken) })
    }

    /// Sends the request without a signature and without a body.
    pub fn send_unsigned(self) -> Result<Response> {
        let uri = format!("{}{}", self.client.endpoint.url, self.path_and_query);
        let request = Request::builder().method(self.method.as_str()).uri(uri).body(())?;
        let mut response = self.client.agent.run(request)?;
        let body = response.body_mut().read_to_vec()?;
        Ok(Response { body, ..Response::new(response, None) })
    }

    /// Sends `length` bytes of a reader, unsigned, and writes the answer's body into `sink`.
    pub fn stream(self, body: &mut dyn Read, length: u64, sink: &mut dyn Write) -> Result<Response> {
        let (response, broken) = self.exchange(SignableBody::UnsignedPayload, body, length, sink)?;
        Ok(Response::new(response, broken))
    }

    /// The request's head, signed without a body, to be sent by hand. More headers and an empty line may follow.
    pub fn head(&self) -> Result<String> {
        let request = self.signed(SignableBody::UnsignedPayload, ())?;
        let authority = self.client.endpoint.authority();
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {authority}\r\n", self.method, self.path_and_query);
        for (name, value) in request.headers() {
            head.push_str(&format!("{name}: {}\r\n", value.to_str()?));
        }
        Ok(head)
    }

    fn exchange(
        self,
        signable: SignableBody<'_>,
        body: &mut dyn Read,
        length: u64,
        sink: &mut dyn Write,
    ) -> Result<(HttpResponse<Body>, Option<String>)> {
        let agent = &self.client.agent;
        let answer = if matches!(self.method.as_str(), "PUT" | "POST") {
            let mut request = self.signed(signable, SendBody::from_reader(body))?;
            request.headers_mut().insert("content-length", length.into());
            agent.run(request)
        } else {
            agent.run(self.signed(signable, ())?)
        };
        let mut response = answer.context("no answer")?;
        // A body that ends early is what many tests are about; what came before is kept.
        let broken = io::copy(&mut response.body_mut().as_reader(), sink).err();
        Ok((response, broken.map(|error| error.to_string())))
    }

    fn signed<B>(&self, signable: SignableBody<'_>, body: B) -> Result<Request<B>> {
        let endpoint = &self.client.endpoint;
        let uri = format!("{}{}", endpoint.url, self.path_and_query);
        let mut request = Request::builder().method(self.method.as_str()).uri(&uri);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(body)?;
        let identity = Credentials::from_keys(&endpoint.access_key, &endpoint.secret_key, None).into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&endpoint.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(signing_settings())
            .build()?
            .into();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let signable = SignableRequest::new(&self.method, &uri, headers, signable)?;
        sign(signable, &params)?.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

/// SigV4 as S3 has it: the path signed as it is sent, and the payload's hash in a header.
fn signing_settings() -> SigningSettings {
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it came. Empty if it went to a sink.
    pub body: Vec<u8>,
    /// Why the body ended before its time, if it did.
    pub broken: Option<String>,
}

impl Response {
    fn new(response: HttpResponse<Body>, broken: Option<String>) -> Self {
        Self { status: response.status().as_u16(), headers: response.headers().clone(), body: Vec::new(), broken }
    }

    /// Fails unless the status is this one and the body whole.
    pub fn expect(self, status: u16) -> Result<Self> {
        ensure!(
            self.status == status && self.broken.is_none(),
            "expected {status}, got {} {:?}: {}",
            self.status,
            self.broken,
            String::from_utf8_lossy(&self.body[..self.body.len().min(1000)])
        );
        Ok(self)
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The headers whose names begin with this.
    pub fn headers_with_prefix(&self, prefix: &str) -> Vec<(String, String)> {
        self.headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(prefix))
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect()
    }

    /// The code in the body, which must be an S3 error (Amazon S3 API Reference, "Error Responses").
    pub fn error_code(&self) -> Result<String> {
        let text = str::from_utf8(&self.body)?;
        let document = roxmltree::Document::parse(text).with_context(|| format!("not XML: {text}"))?;
        let root = document.root_element();
        ensure!(root.has_tag_name("Error"), "not an S3 error: {text}");
        let code = root.children().find(|child| child.has_tag_name("Code"));
        let code = code.and_then(|code| code.text()).ok_or_else(|| anyhow!("no Code: {text}"))?;
        Ok(code.to_owned())
    }
}
