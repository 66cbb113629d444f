//! An object store in memory, as S3 behaves where it matters here, with knobs for those that do not.

use std::collections::{BTreeMap, VecDeque};

use s3ep_core::exchange::HeadRequest;
use s3ep_core::http::Headers;
use s3ep_core::s3::checksum::{Algorithm, Digest};
use s3ep_core::s3::range::{ByteRange, ContentRange, Resolved};

/// An object as it is stored.
#[derive(Debug, Clone)]
pub struct Object {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub etag: String,
    /// Dates are compared as text: tests take them from one minute.
    pub last_modified: String,
}

impl Object {
    pub fn new(headers: &[(&str, &str)], body: &[u8]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { headers, etag: etag(body), body: body.to_vec(), last_modified: date(0) }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Replaces a header, or removes it.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        self.headers.retain(|(n, _)| n != name);
        self.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    }
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: String,
    pub path: String,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// Whether all of the body came that the head promises.
    pub is_whole: bool,
    /// Body bytes that the answer had.
    pub answered: usize,
}

impl Recorded {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.text(name).unwrap()
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub struct StoreResponse {
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
    /// Whether the head is the end.
    pub is_end: bool,
}

impl StoreResponse {
    pub fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self { status, headers: headers.into_iter().collect(), is_end: body.is_empty(), body }
    }

    fn error(status: u16, code: &str) -> Self {
        let body = format!("<Error><Code>{code}</Code></Error>").into_bytes();
        let headers = vec![("content-length".into(), body.len().to_string()), ("x-error".into(), code.into())];
        Self::new(status, headers, body)
    }
}

/// The store.
#[derive(Default)]
pub struct Store {
    /// By path.
    pub objects: BTreeMap<String, Object>,
    /// Every request, in order.
    pub requests: Vec<Recorded>,
    /// Answers that are given in place of its own, first to last.
    pub instead: VecDeque<StoreResponse>,
    /// Put in place after the next HEAD of its path.
    pub after_head: Option<(String, Object)>,
    /// As some stores do.
    pub ignores_range: bool,
    /// As some stores do.
    pub ignores_if_match: bool,
    written: u32,
}

impl Store {
    pub fn object(&mut self, path: &str) -> &mut Object {
        self.objects.get_mut(path).unwrap()
    }

    pub fn count(&self, method: &str) -> usize {
        self.requests.iter().filter(|request| request.method == method).count()
    }

    /// Body bytes sent in answers.
    pub fn answered(&self) -> usize {
        self.requests.iter().map(|request| request.answered).sum()
    }

    pub fn last(&self) -> &Recorded {
        self.requests.last().unwrap()
    }

    /// The proxy's own HEAD, under the store's own name.
    pub fn head(&mut self, request: &HeadRequest) -> StoreResponse {
        let headers = request.headers.clone().into_iter().collect();
        let (method, path) = ("HEAD".into(), request.path.clone());
        let recorded = Recorded { method, path, headers, body: Vec::new(), is_whole: true, answered: 0 };
        self.receive(recorded).unwrap()
    }

    /// Takes a request. None: it is not whole, and so the store goes on waiting.
    pub fn receive(&mut self, mut request: Recorded) -> Option<StoreResponse> {
        let response = request.is_whole.then(|| self.answer(&request));
        request.answered = response.as_ref().map_or(0, |response| response.body.len());
        self.requests.push(request);
        response
    }

    fn answer(&mut self, request: &Recorded) -> StoreResponse {
        if let Some(instead) = self.instead.pop_front() {
            return instead;
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        // Envoy rewrites the host, so a bucket that is not in the path is lost.
        let path = path.to_owned();
        let is_object = path.trim_start_matches('/').contains('/') && !path.ends_with('/');
        match request.method.as_str() {
            "PUT" if is_object && !query.contains("tagging") && !query.contains("acl") => self.put(path, request),
            "GET" | "HEAD" if is_object => self.read(&path, request),
            "GET" => StoreResponse::new(200, vec![("content-type".into(), "application/xml".into())], self.listing()),
            "DELETE" => StoreResponse::new(204, Vec::new(), Vec::new()),
            _ => StoreResponse::new(200, Vec::new(), Vec::new()),
        }
    }

    fn put(&mut self, path: String, request: &Recorded) -> StoreResponse {
        if request.header("if-none-match") == Some("*") && self.objects.contains_key(&path) {
            return StoreResponse::error(412, "PreconditionFailed");
        }
        let of_object = |name: &str| name.starts_with("x-amz-meta-") || KEPT.contains(&name);
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        let headers = request.headers.iter().filter(|(name, _)| of_object(name));
        let headers = headers.map(|(name, value)| (name.to_owned(), text(value))).collect();
        let object = Object {
            headers,
            body: request.body.clone(),
            etag: etag(&request.body),
            last_modified: date(self.written),
        };
        self.written += 1;
        let told = vec![("etag".into(), object.etag.clone()), ("x-amz-checksum-crc32".into(), "AAAAAA==".into())];
        self.objects.insert(path, object);
        StoreResponse::new(200, told, Vec::new())
    }

    fn read(&mut self, path: &str, request: &Recorded) -> StoreResponse {
        let mut response = match self.objects.get(path) {
            Some(object) => self.read_object(object, request),
            None => StoreResponse::error(404, "NoSuchKey"),
        };
        if request.method == "HEAD" {
            response.body.clear();
            response.is_end = true;
            if let Some((_, object)) = self.after_head.take_if(|(changed, _)| changed == path) {
                self.objects.insert(path.to_owned(), object);
            }
        }
        response
    }

    fn read_object(&self, object: &Object, request: &Recorded) -> StoreResponse {
        match self.condition(object, request) {
            Some(412) => return StoreResponse::error(412, "PreconditionFailed"),
            Some(status) => return StoreResponse::new(status, vec![("etag".into(), object.etag.clone())], Vec::new()),
            None => {}
        }
        let mut headers = object.headers.clone();
        headers.push(("etag".into(), object.etag.clone()));
        headers.push(("last-modified".into(), object.last_modified.clone()));
        headers.push(("x-amz-checksum-crc64nvme".into(), "AAAAAAAAAAA=".into()));
        let is_current = request.header("if-range").is_none_or(|it| it == object.etag || it == object.last_modified);
        let range = request.header("range").filter(|_| is_current && !self.ignores_range).and_then(ByteRange::parse);
        // The only part of an object that one PutObject wrote.
        let range = if request.path.contains("?partNumber=1") && !object.body.is_empty() {
            Some(ByteRange::From(0))
        } else {
            range
        };
        let len = object.body.len() as u64;
        let (status, body) = match range.map_or(Resolved::Whole, |range| range.resolve(len)) {
            Resolved::Whole => (200, object.body.clone()),
            Resolved::Unsatisfiable => return StoreResponse::error(416, "InvalidRange"),
            Resolved::Part(span) => {
                headers.push(("content-range".into(), ContentRange::Part(span, Some(len)).to_string()));
                (206, object.body[span.first() as usize..=span.last() as usize].to_vec())
            }
        };
        headers.push(("content-length".into(), body.len().to_string()));
        StoreResponse::new(status, headers, body)
    }

    /// RFC 9110 section 13.2.2, which S3 follows.
    fn condition(&self, object: &Object, request: &Recorded) -> Option<u16> {
        let names = |list: &str| list.split(',').any(|tag| ["*", &object.etag].contains(&tag.trim()));
        let is_newer = |date: &str| object.last_modified.as_str() > date;
        match (request.header("if-match"), request.header("if-unmodified-since")) {
            (Some(list), _) if self.ignores_if_match || names(list) => {}
            (Some(_), _) => return Some(412),
            (None, Some(date)) if is_newer(date) => return Some(412),
            _ => {}
        }
        match (request.header("if-none-match"), request.header("if-modified-since")) {
            (Some(list), _) => names(list).then_some(304),
            (None, Some(date)) => (!is_newer(date)).then_some(304),
            _ => None,
        }
    }

    /// ListObjectsV2, of whatever bucket.
    fn listing(&self) -> Vec<u8> {
        let entry = |(path, object): (&String, &Object)| {
            let (etag, size) = (object.etag.replace('"', "&quot;"), object.body.len());
            format!("<Contents><Key>{path}</Key><ETag>{etag}</ETag><Size>{size}</Size></Contents>")
        };
        let entries: String = self.objects.iter().map(entry).collect();
        let declaration = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        format!("{declaration}<ListBucketResult><Name>bucket</Name>{entries}</ListBucketResult>").into_bytes()
    }
}

/// System metadata that S3 keeps with an object.
const KEPT: [&str; 6] =
    ["content-type", "content-encoding", "content-language", "content-disposition", "cache-control", "expires"];

/// An MD5 in quotes.
pub fn etag(body: &[u8]) -> String {
    let mut digest = Digest::new(Algorithm::Md5);
    digest.update(body);
    format!("\"{}\"", hex::encode(digest.finish()))
}

/// A date within one minute.
fn date(second: u32) -> String {
    assert!(second < 60);
    format!("Thu, 01 Jan 2026 00:00:{second:02} GMT")
}
