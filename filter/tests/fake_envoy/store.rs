//! A fake S3 store: enough of S3 for whole requests to make sense, and everything in it open to be tampered with.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::headers::Headers;
use super::host::{CallAnswer, HttpCall, Received};

/// An object at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoredObject {
    /// Its metadata, as response headers.
    pub headers: Headers,
    pub body: Vec<u8>,
}

#[derive(Debug, Default)]
pub struct FakeStore {
    /// By path, as sent, without the query.
    pub objects: BTreeMap<String, StoredObject>,
    /// Every complete request.
    pub requests: Vec<Received>,
    /// Changes every answer to a GET or HEAD.
    pub distort: Option<fn(&mut CallAnswer)>,
}

impl FakeStore {
    pub fn object(&mut self, path: &str) -> &mut StoredObject {
        self.objects.get_mut(path).expect("the store has the object")
    }

    /// Serves a complete request.
    pub fn serve(&mut self, request: &Received) -> CallAnswer {
        self.requests.push(request.clone());
        let path = request.header(":path").unwrap().split('?').next().unwrap().to_owned();
        let method = request.header(":method").unwrap();
        let mut answer = match method {
            "PUT" => return self.put(path, request),
            "DELETE" => {
                self.objects.remove(&path);
                return answer(204, Headers::default(), Vec::new());
            }
            "GET" | "HEAD" => self.get(&path, request.headers.as_ref().unwrap()),
            _ => return error(405, "MethodNotAllowed"),
        };
        if let Some(distort) = self.distort {
            distort(&mut answer);
        }
        if method == "HEAD" {
            answer.body.clear();
        }
        answer
    }

    /// Serves a call that the filter makes on its own account.
    pub fn answer(&mut self, call: &HttpCall) -> CallAnswer {
        let (headers, body) = (Some(call.headers.clone()), call.body.clone());
        self.serve(&Received { headers, body, ended: true, ..Received::default() })
    }

    fn put(&mut self, path: String, request: &Received) -> CallAnswer {
        let headers = request.headers.as_ref().unwrap();
        if headers.get("content-length").is_none() {
            return error(411, "MissingContentLength");
        }
        let is_kept = |name: &str| name.starts_with("x-amz-meta-") || KEPT.contains(&name);
        let mut kept: Headers = headers.iter().filter(|(name, _)| is_kept(name)).collect();
        kept.set("etag", etag(&request.body));
        kept.set("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT");
        kept.set("x-amz-version-id", format!("v{}", self.requests.len()));
        let shown = kept.iter().filter(|(name, _)| ["etag", "x-amz-version-id"].contains(name)).collect();
        self.objects.insert(path, StoredObject { headers: kept, body: request.body.clone() });
        answer(200, shown, Vec::new())
    }

    fn get(&self, path: &str, request: &Headers) -> CallAnswer {
        let Some(object) = self.objects.get(path) else { return error(404, "NoSuchKey") };
        let (etag, total) = (object.headers.get("etag"), object.body.len());
        if request.get("if-match").is_some_and(|wanted| Some(wanted) != etag) {
            return error(412, "PreconditionFailed");
        }
        let mut headers = object.headers.clone();
        headers.set("accept-ranges", "bytes");
        if etag.is_some() && request.get("if-none-match") == etag {
            return answer(304, headers, Vec::new());
        }
        let Some((first, last)) = request.text("range").and_then(|range| parse_range(range, total)) else {
            return answer(200, headers, object.body.clone());
        };
        headers.set("content-range", format!("bytes {first}-{last}/{total}"));
        answer(206, headers, object.body[first..=last].to_vec())
    }
}

/// The headers that S3 keeps with an object, beside `x-amz-meta-*`.
const KEPT: [&str; 6] =
    ["content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires"];

/// `bytes=first-last`, which is all that the filter asks for.
fn parse_range(range: &str, total: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && first < total).then(|| (first, last.min(total - 1)))
}

fn etag(body: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    format!("\"{:032x}\"", hasher.finish())
}

fn error(status: u16, code: &str) -> CallAnswer {
    let body = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
    answer(status, Headers::of(&[("content-type", "application/xml")]), body.into_bytes())
}

fn answer(status: u16, mut headers: Headers, body: Vec<u8>) -> CallAnswer {
    headers.set(":status", status.to_string());
    headers.set("x-amz-request-id", "FAKESTORE");
    if ![204, 304].contains(&status) {
        headers.set("content-length", body.len().to_string());
    }
    CallAnswer { headers, body, trailers: Headers::default() }
}
