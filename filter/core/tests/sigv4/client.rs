//! Clients that sign with the `aws-sigv4` crate, which AWS's SDK for Rust signs with.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use s3ep_core::http::{Headers, RequestHead};
use s3ep_core::sigv4::{AuthError, Credential, Verified, verify};
use zeroize::Zeroizing;

/// The access key of AWS's examples.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The time of AWS's examples: 2013-05-24T00:00:00Z.
pub const NOW: Duration = Duration::from_secs(1_369_353_600);

/// What AWS's `UriEncode` leaves as it is.
pub const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request in the form of a message of HTTP/1.1: method and path, then headers, a line each.
pub fn head(text: &str) -> RequestHead {
    let mut lines = text.lines();
    let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
    let fields = lines.map(|line| line.split_once(':').unwrap());
    let fields: Vec<_> = fields.map(|(name, value)| (name.to_ascii_lowercase(), value.trim_start())).collect();
    let authority = fields.iter().find(|(name, _)| name == "host").map(|(_, host)| *host);
    let others = fields.iter().filter(|(name, _)| name != "host");
    RequestHead {
        method: method.to_owned(),
        path: path.to_owned(),
        authority: authority.unwrap_or_default().to_owned(),
        headers: others.map(|(name, value)| (name.clone(), *value)).collect(),
        is_end: true,
    }
}

/// Adds header fields.
pub fn with(mut head: RequestHead, fields: &[(&str, &str)]) -> RequestHead {
    let before = head.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec()));
    let added = fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    head.headers = Headers::new(before.chain(added).collect());
    head
}

/// Changes the value of a header, or removes it.
pub fn edit(mut head: RequestHead, name: &str, change: impl Fn(&str) -> Option<String>) -> RequestHead {
    let change = |(n, value): (&str, &[u8])| match n == name {
        true => change(std::str::from_utf8(value).unwrap()).map(|value| (n.to_owned(), value.into_bytes())),
        false => Some((n.to_owned(), value.to_vec())),
    };
    head.headers = Headers::new(head.headers.iter().filter_map(change).collect());
    head
}

/// What a client signs with.
#[derive(Debug, Clone)]
pub struct Client {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: Option<String>,
    pub region: String,
    /// Since the Unix epoch.
    pub time: Duration,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            access_key_id: ACCESS_KEY_ID.into(),
            secret_access_key: SECRET_ACCESS_KEY.into(),
            session_token: None,
            region: "us-east-1".into(),
            time: NOW,
        }
    }
}

impl Client {
    /// The request, signed in `Authorization`. `x-amz-date`, `x-amz-content-sha256` and the token come with it.
    pub fn sign(&self, head: RequestHead, content_sha256: &str) -> RequestHead {
        let (fields, _) = self.instructions(&head, content_sha256, None);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        with(head, &fields)
    }

    /// The request, signed in its query. If it has an `x-amz-content-sha256`, that must be `content_sha256`.
    pub fn presign(&self, mut head: RequestHead, content_sha256: &str, expires: u32) -> RequestHead {
        let (fields, parameters) = self.instructions(&head, content_sha256, Some(expires));
        assert!(fields.is_empty());
        for (name, value) in parameters {
            let separator = if head.path.contains('?') { '&' } else { '?' };
            head.path.push_str(&format!("{separator}{name}={}", utf8_percent_encode(&value, UNRESERVED)));
        }
        head
    }

    /// The headers and parameters to add.
    fn instructions(&self, head: &RequestHead, content_sha256: &str, expires: Option<u32>) -> (Fields, Fields) {
        let identity =
            Credentials::new(&self.access_key_id, &self.secret_access_key, self.session_token.clone(), None, "test")
                .into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        if let Some(expires) = expires {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_secs(expires.into()));
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + self.time)
            .settings(settings)
            .build()
            .unwrap();
        let url = format!("http://{}{}", head.authority, head.path);
        let fields = head.headers.iter().map(|(name, value)| (name, std::str::from_utf8(value).unwrap()));
        let fields = fields.chain([("host", head.authority.as_str())]);
        let body = SignableBody::Precomputed(content_sha256.to_owned());
        let request = SignableRequest::new(&head.method, &url, fields, body).unwrap();
        let (headers, parameters) = sign(request, &params.into()).unwrap().into_parts().0.into_parts();
        (
            headers.iter().map(|header| (header.name().to_owned(), header.value().to_owned())).collect(),
            parameters.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into_owned())).collect(),
        )
    }

    /// Verifies a request, knowing this client alone, at the time `now`.
    pub fn verify(&self, head: &RequestHead, now: Duration) -> Result<Verified, AuthError> {
        let credential = Credential {
            secret_access_key: Zeroizing::new(self.secret_access_key.clone()),
            session_token: self.session_token.clone().map(Zeroizing::new),
        };
        let regions = [self.region.clone()];
        verify(head, now, Some(&regions), &|access_key_id| (access_key_id == self.access_key_id).then_some(&credential))
    }
}

type Fields = Vec<(String, String)>;
