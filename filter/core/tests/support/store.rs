//! An object store in memory, as S3 behaves where it matters here, with knobs for those that do not.

use std::collections::{BTreeMap, VecDeque};

use s3ep_core::exchange::{CallBody, StoreRequest};
use s3ep_core::http::Headers;
use s3ep_core::s3::checksum::{Algorithm, Digest};
use s3ep_core::s3::range::{ByteRange, ContentRange, Resolved, Span};

/// An object as it is stored.
#[derive(Debug, Clone)]
pub struct Object {
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub etag: String,
    /// Dates are compared as text: tests take them from one minute.
    pub last_modified: String,
    /// The lengths of the parts of a multipart upload.
    pub parts: Vec<usize>,
}

impl Object {
    pub fn new(headers: &[(&str, &str)], body: &[u8]) -> Self {
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { headers, etag: etag(body), body: body.to_vec(), last_modified: date(0), parts: Vec::new() }
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
    /// As some stores do.
    pub ignores_part_numbers: bool,
    /// Uploads in progress, by their UploadIds.
    uploads: BTreeMap<String, Upload>,
    written: u32,
}

/// An upload in progress.
struct Upload {
    headers: Vec<(String, String)>,
    parts: BTreeMap<u16, Vec<u8>>,
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

    /// A request of the proxy's own, under the store's own name.
    pub fn called(&mut self, request: &StoreRequest) -> StoreResponse {
        let StoreRequest { method, path, headers, body: CallBody(body) } = request.clone();
        let (method, headers) = (method.to_owned(), headers.into_iter().collect());
        self.receive(Recorded { method, path, headers, body, is_whole: true, answered: 0 }).unwrap()
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
            "POST" if is_object && query == "uploads" => self.create_upload(request),
            "PUT" if parameter(&request.path, "partNumber").is_some() => self.put_part(request),
            "POST" if is_object && query.starts_with("uploadId=") => self.complete(path, request),
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
        let body = match request.header("x-amz-copy-source") {
            Some(source) => match self.objects.get(source) {
                Some(object) => object.body.clone(),
                None => return StoreResponse::error(404, "NoSuchKey"),
            },
            None => request.body.clone(),
        };
        let object = Object {
            headers: of_object(request),
            etag: etag(&body),
            body,
            last_modified: date(self.written),
            parts: Vec::new(),
        };
        self.written += 1;
        let told = vec![("etag".into(), object.etag.clone()), ("x-amz-checksum-crc32".into(), "AAAAAA==".into())];
        self.objects.insert(path, object);
        StoreResponse::new(200, told, Vec::new())
    }

    fn create_upload(&mut self, request: &Recorded) -> StoreResponse {
        let upload_id = format!("upload.{}", self.uploads.len());
        let body =
            format!("<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>");
        self.uploads.insert(upload_id, Upload { headers: of_object(request), parts: BTreeMap::new() });
        StoreResponse::new(200, Vec::new(), body.into_bytes())
    }

    fn put_part(&mut self, request: &Recorded) -> StoreResponse {
        let Ok(number) = parameter(&request.path, "partNumber").unwrap().parse() else {
            return StoreResponse::error(400, "InvalidArgument");
        };
        let upload_id = parameter(&request.path, "uploadId");
        let Some(upload) = upload_id.and_then(|upload_id| self.uploads.get_mut(upload_id)) else {
            return StoreResponse::error(404, "NoSuchUpload");
        };
        upload.parts.insert(number, request.body.clone());
        StoreResponse::new(200, vec![("etag".into(), etag(&request.body))], Vec::new())
    }

    /// Takes all parts that came, whatever the document says.
    fn complete(&mut self, path: String, request: &Recorded) -> StoreResponse {
        let upload_id = parameter(&request.path, "uploadId");
        let Some(upload) = upload_id.and_then(|upload_id| self.uploads.remove(upload_id)) else {
            return StoreResponse::error(404, "NoSuchUpload");
        };
        let body: Vec<u8> = upload.parts.values().flatten().copied().collect();
        let object = Object {
            headers: upload.headers,
            etag: format!("{}-{}\"", etag(&body).trim_end_matches('"'), upload.parts.len()),
            body,
            last_modified: date(self.written),
            parts: upload.parts.values().map(Vec::len).collect(),
        };
        self.written += 1;
        self.objects.insert(path, object);
        StoreResponse::new(200, Vec::new(), b"<CompleteMultipartUploadResult/>".to_vec())
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
        let part = parameter(&request.path, "partNumber").filter(|_| !self.ignores_part_numbers);
        let range = match part.map(|number| number.parse::<usize>().unwrap()) {
            None => range,
            // The only part of an object that one PutObject wrote.
            Some(1) if object.parts.is_empty() && object.body.is_empty() => None,
            Some(1) if object.parts.is_empty() => Some(ByteRange::From(0)),
            Some(number) if number > object.parts.len() => return StoreResponse::error(416, "InvalidPartNumber"),
            Some(number) => {
                headers.push(("x-amz-mp-parts-count".into(), object.parts.len().to_string()));
                let start: usize = object.parts[..number - 1].iter().sum();
                let last = (start + object.parts[number - 1]).checked_sub(1);
                last.and_then(|last| Span::new(start as u64, last as u64)).map(ByteRange::Bounded)
            }
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

/// The headers that an object keeps of the request that made it.
fn of_object(request: &Recorded) -> Vec<(String, String)> {
    let is_kept = |name: &str| name.starts_with("x-amz-meta-") || KEPT.contains(&name);
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let kept = request.headers.iter().filter(|(name, _)| is_kept(name));
    kept.map(|(name, value)| (name.to_owned(), text(value))).collect()
}

/// The value of a query parameter.
fn parameter<'a>(path: &'a str, name: &str) -> Option<&'a str> {
    let parameters = path.split_once('?')?.1.split('&').filter_map(|parameter| parameter.split_once('='));
    parameters.into_iter().find(|(n, _)| *n == name).map(|(_, value)| value)
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
