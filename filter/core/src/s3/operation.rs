//! From a request to the S3 operation that it is (Amazon S3 API Reference, "Operations").
//!
//! What is not known here and could write object data is refused, so that no plaintext reaches the store because an
//! operation is new.

use crate::clients::Access;
use crate::error::RequestError;
use crate::format::metadata;
use crate::http::RequestHead;
use crate::keys::ObjectName;
use crate::s3::copy_source::CopySource;
use crate::s3::multipart::{UploadId, parse_part_number};
use crate::s3::query::{Query, decode};
use crate::sigv4::credentials;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// PutObject.
    PutObject(ObjectName),
    /// GetObject.
    GetObject {
        /// The object.
        name: ObjectName,
        /// `partNumber`, if it is there.
        part: Option<u16>,
    },
    /// HeadObject.
    HeadObject {
        /// The object.
        name: ObjectName,
        /// `partNumber`, if it is there.
        part: Option<u16>,
    },
    /// GetObjectAttributes.
    GetObjectAttributes(ObjectName),
    /// CopyObject.
    CopyObject {
        /// The object that is written.
        name: ObjectName,
        /// The object that is read.
        source: CopySource,
    },
    /// ListBuckets.
    ListBuckets,
    /// ListObjects, ListObjectsV2, ListObjectVersions.
    ListObjects,
    /// ListMultipartUploads.
    ListMultipartUploads,
    /// CreateMultipartUpload.
    CreateMultipartUpload(ObjectName),
    /// UploadPart.
    UploadPart {
        /// The object.
        name: ObjectName,
        /// The part's number, 1 to 10,000.
        part: u16,
        /// The upload.
        upload_id: UploadId,
    },
    /// UploadPartCopy.
    UploadPartCopy {
        /// The object that is written.
        name: ObjectName,
        /// The part's number, 1 to 10,000.
        part: u16,
        /// The upload.
        upload_id: UploadId,
        /// The object that is read.
        source: CopySource,
    },
    /// CompleteMultipartUpload.
    CompleteMultipartUpload(UploadId),
    /// AbortMultipartUpload.
    AbortMultipartUpload(UploadId),
    /// ListParts.
    ListParts(UploadId),
    /// Anything that moves no object data: the store's own business.
    PassThrough(RequestBody),
}

/// What body an operation may have that moves no object data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// None at all.
    None,
    /// A document with this root element, or nothing.
    Document(&'static str),
    /// Whatever the store takes: a document of a subresource that it knows by name.
    Any,
}

/// The bucket and the object key that a request addresses; either may be empty.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    bucket: String,
    object_key: String,
}

/// Subresources of an object that hold no object data.
const OBJECT_SUBRESOURCES: [&str; 4] = ["acl", "tagging", "retention", "legal-hold"];

/// Subresources of a bucket that may be written with PUT.
const BUCKET_SUBRESOURCES: [&str; 25] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "tagging",
    "versioning",
    "website",
];

/// Subresources of a bucket that can be read and not written.
const BUCKET_READS: [&str; 2] = ["location", "policyStatus"];

/// What makes a PUT a copy.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// Parameters that change nothing about what a request is: the SDKs' name for the operation, and signatures.
fn is_neutral(name: &str) -> bool {
    name == "x-id" || credentials::is_query_parameter(name)
}

impl Operation {
    /// Decides what a request, in path style, is, or why it is refused.
    pub fn from_request(head: &RequestHead) -> Result<Self, RequestError> {
        let (path, query) = head.path.split_once('?').unwrap_or((&head.path, ""));
        let target = Target::parse(path)?;
        let query = Query::parse(query)?;
        let is_object = !target.object_key.is_empty();
        match head.method.as_str() {
            "GET" if is_object => get_object(target, &query),
            "HEAD" if is_object => Ok(Self::HeadObject { part: part_number(&query)?, name: target.into_name()? }),
            "PUT" if is_object => put_object(target, &query, head),
            "POST" if is_object => post_object(target, &query),
            "DELETE" if is_object => {
                Ok(upload_id(&query).map_or(Self::PassThrough(RequestBody::None), Self::AbortMultipartUpload))
            }
            "GET" if !target.bucket.is_empty() => get_bucket(&query),
            "GET" => Ok(Self::ListBuckets),
            "HEAD" | "DELETE" | "OPTIONS" => Ok(Self::PassThrough(RequestBody::None)),
            "PUT" => put_bucket(&query),
            "POST" if query.has("delete") => Ok(Self::PassThrough(RequestBody::Document("Delete"))),
            "POST" if query.has_any(&["metadataConfiguration", "metadataTable"]) => {
                Ok(Self::PassThrough(RequestBody::Any))
            }
            "POST" => Err(RequestError::NotImplemented("POST form upload")),
            _ => Err(RequestError::NotImplemented("this method")),
        }
    }
}

impl Operation {
    /// What the Amazon S3 API Reference calls it, for metrics; of what the filter leaves to the store, whether it reads.
    pub fn label(&self, method: &str) -> &'static str {
        match self {
            Self::PutObject(_) => "PutObject",
            Self::GetObject { .. } => "GetObject",
            Self::HeadObject { .. } => "HeadObject",
            Self::GetObjectAttributes(_) => "GetObjectAttributes",
            Self::CopyObject { .. } => "CopyObject",
            Self::ListBuckets => "ListBuckets",
            Self::ListObjects => "ListObjects",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::CreateMultipartUpload(_) => "CreateMultipartUpload",
            Self::UploadPart { .. } => "UploadPart",
            Self::UploadPartCopy { .. } => "UploadPartCopy",
            Self::CompleteMultipartUpload(_) => "CompleteMultipartUpload",
            Self::AbortMultipartUpload(_) => "AbortMultipartUpload",
            Self::ListParts(_) => "ListParts",
            Self::PassThrough(_) if access(method) == Access::Read => "OtherRead",
            Self::PassThrough(_) => "OtherWrite",
        }
    }
}

/// The bucket that a request, in path style, names.
pub fn bucket(head: &RequestHead) -> Option<String> {
    let path = head.path.split_once('?').map_or(head.path.as_str(), |(path, _)| path);
    Target::parse(path).ok().map(|target| target.bucket).filter(|bucket| !bucket.is_empty())
}

fn access(method: &str) -> Access {
    match method {
        "GET" | "HEAD" | "OPTIONS" => Access::Read,
        _ => Access::Write,
    }
}

/// Which buckets a request, in path style, uses, and how. None: none of them.
pub fn accesses(head: &RequestHead, operation: &Operation) -> Result<Vec<(Access, String)>, RequestError> {
    if *operation == Operation::ListBuckets {
        return Ok(Vec::new());
    }
    let path = head.path.split_once('?').map_or(head.path.as_str(), |(path, _)| path);
    let mut accesses = vec![(access(&head.method), Target::parse(path)?.bucket)];
    if let Operation::CopyObject { source, .. } | Operation::UploadPartCopy { source, .. } = operation {
        accesses.push((Access::Read, source.name.bucket.clone()));
    }
    Ok(accesses)
}

/// The upload that a request is about.
fn upload_id(query: &Query) -> Option<UploadId> {
    query.value("uploadId").map(UploadId::parse)
}

fn part_number(query: &Query) -> Result<Option<u16>, RequestError> {
    query.value("partNumber").map(parse_part_number).transpose()
}

fn get_object(target: Target, query: &Query) -> Result<Operation, RequestError> {
    if let Some(upload_id) = upload_id(query) {
        return Ok(Operation::ListParts(upload_id));
    }
    match () {
        () if query.has("torrent") => Err(RequestError::NotImplemented("GetObjectTorrent")),
        () if query.has("attributes") => Ok(Operation::GetObjectAttributes(target.into_name()?)),
        () if query.has_any(&OBJECT_SUBRESOURCES) => Ok(Operation::PassThrough(RequestBody::None)),
        // S3 ignores a parameter that it does not know, and so this is a GetObject.
        () => Ok(Operation::GetObject { part: part_number(query)?, name: target.into_name()? }),
    }
}

fn put_object(target: Target, query: &Query, head: &RequestHead) -> Result<Operation, RequestError> {
    let has_header = |name| head.headers.has(name);
    match () {
        () if query.has_any(&OBJECT_SUBRESOURCES) => Ok(Operation::PassThrough(RequestBody::Any)),
        () if query.has("uploadId") || query.has("partNumber") => put_part(target, query, head),
        () if query.has("renameObject") => Err(RequestError::NotImplemented("RenameObject")),
        () if query.has_other_than(is_neutral) => Err(RequestError::NotImplemented("this kind of PUT")),
        () if has_header("x-amz-write-offset-bytes") => Err(RequestError::NotImplemented("appending to an object")),
        () if has_header("x-amz-rename-source") => Err(RequestError::NotImplemented("RenameObject")),
        () if has_header(COPY_SOURCE) => {
            Ok(Operation::CopyObject { source: copy_source(head)?, name: target.into_name()? })
        }
        () => Ok(Operation::PutObject(target.into_name()?)),
    }
}

fn copy_source(head: &RequestHead) -> Result<CopySource, RequestError> {
    let source = head.headers.text(COPY_SOURCE).ok().flatten();
    CopySource::parse(source.ok_or(RequestError::InvalidArgument("x-amz-copy-source is malformed"))?)
}

fn put_part(target: Target, query: &Query, head: &RequestHead) -> Result<Operation, RequestError> {
    let is_known = |name: &str| is_neutral(name) || name == "uploadId" || name == "partNumber";
    let (Some(upload_id), Some(part)) = (upload_id(query), query.value("partNumber")) else {
        return Err(RequestError::InvalidArgument("a part has a partNumber and an uploadId"));
    };
    let part = parse_part_number(part)?;
    match () {
        () if query.has_other_than(is_known) => Err(RequestError::NotImplemented("this kind of PUT")),
        () if head.headers.has(COPY_SOURCE) => {
            Ok(Operation::UploadPartCopy { part, upload_id, source: copy_source(head)?, name: target.into_name()? })
        }
        () => Ok(Operation::UploadPart { part, upload_id, name: target.into_name()? }),
    }
}

fn post_object(target: Target, query: &Query) -> Result<Operation, RequestError> {
    if let Some(upload_id) = upload_id(query) {
        return Ok(Operation::CompleteMultipartUpload(upload_id));
    }
    match () {
        () if query.has("restore") => Ok(Operation::PassThrough(RequestBody::Any)),
        () if query.has("uploads") => Ok(Operation::CreateMultipartUpload(target.into_name()?)),
        () if query.has("select") => Err(RequestError::NotImplemented("SelectObjectContent")),
        () => Err(RequestError::NotImplemented("this kind of POST")),
    }
}

fn get_bucket(query: &Query) -> Result<Operation, RequestError> {
    match () {
        () if query.has("session") => Err(RequestError::NotImplemented("CreateSession")),
        () if query.has_any(&BUCKET_SUBRESOURCES) || query.has_any(&BUCKET_READS) => {
            Ok(Operation::PassThrough(RequestBody::None))
        }
        () if query.has("uploads") => Ok(Operation::ListMultipartUploads),
        // S3 ignores a parameter that it does not know, and so this is a listing.
        () => Ok(Operation::ListObjects),
    }
}

fn put_bucket(query: &Query) -> Result<Operation, RequestError> {
    let is_known = |name: &str| is_neutral(name) || name == "id" || BUCKET_SUBRESOURCES.contains(&name);
    match () {
        () if query.has_other_than(is_known) => Err(RequestError::NotImplemented("this kind of PUT")),
        () if query.has_any(&BUCKET_SUBRESOURCES) => Ok(Operation::PassThrough(RequestBody::Any)),
        () => Ok(Operation::PassThrough(RequestBody::Document("CreateBucketConfiguration"))),
    }
}

/// Refuses headers that no request may have.
pub fn check_headers(head: &RequestHead) -> Result<(), RequestError> {
    for (name, _) in head.headers.iter() {
        if name.starts_with(metadata::PREFIX) {
            return Err(RequestError::InvalidArgument("the metadata prefix x-amz-meta-s3ep- is reserved"));
        }
        if name.starts_with("x-amz-server-side-encryption-customer-")
            || name.starts_with("x-amz-copy-source-server-side-encryption-customer-")
        {
            return Err(RequestError::NotImplemented("server-side encryption with customer keys (SSE-C)"));
        }
    }
    Ok(())
}

impl Target {
    fn parse(path: &str) -> Result<Self, RequestError> {
        let path = path.strip_prefix('/').unwrap_or(path);
        let (bucket, object_key) = path.split_once('/').unwrap_or((path, ""));
        let bucket = decode(bucket)?;
        if bucket.contains(['\0', '/']) {
            // A store that decodes first would see an object in another bucket.
            return Err(RequestError::InvalidUri("a bucket's name has neither NUL nor slash"));
        }
        Ok(Self { bucket, object_key: decode(object_key)? })
    }

    fn into_name(self) -> Result<ObjectName, RequestError> {
        if self.bucket.is_empty() {
            return Err(RequestError::InvalidUri("it names no bucket"));
        }
        Ok(ObjectName { bucket: self.bucket, object_key: self.object_key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Headers;

    fn operation(request: &str, headers: &[(&str, &str)]) -> Result<Operation, RequestError> {
        let (method, rest) = request.split_once(' ').unwrap();
        let head = RequestHead {
            method: method.into(),
            path: rest.into(),
            authority: "localhost:10000".into(),
            headers: headers.iter().copied().collect::<Headers>(),
            is_end: false,
        };
        Operation::from_request(&head)
    }

    fn name(bucket: &str, object_key: &str) -> ObjectName {
        ObjectName { bucket: bucket.into(), object_key: object_key.into() }
    }

    fn get(name: ObjectName, part: Option<u16>) -> Operation {
        Operation::GetObject { name, part }
    }

    #[test]
    fn object_data_is_recognised_and_its_name_decoded() {
        let cases = [
            ("PUT /b/k", Operation::PutObject(name("b", "k"))),
            ("PUT /b/k?x-id=PutObject", Operation::PutObject(name("b", "k"))),
            ("PUT /b/k?X-Amz-Signature=0&X-Amz-Date=1", Operation::PutObject(name("b", "k"))),
            ("GET /b/a%20b/%C3%BC+%2B%25", get(name("b", "a b/ü++%"), None)),
            ("GET /b//k/", get(name("b", "/k/"), None)),
            ("GET /b/../k", get(name("b", "../k"), None)),
            ("GET /b/k?versionId=1&unknown", get(name("b", "k"), None)),
            ("GET /b/k?versionId=1&partNumber=2&unknown", get(name("b", "k"), Some(2))),
            ("HEAD /b/k", Operation::HeadObject { name: name("b", "k"), part: None }),
            ("HEAD /b/k?partNumber=3", Operation::HeadObject { name: name("b", "k"), part: Some(3) }),
        ];
        for (request, expected) in cases {
            assert_eq!(operation(request, &[]), Ok(expected), "{request}");
        }
    }

    #[test]
    fn uploads_are_recognised() {
        let upload_id = || UploadId { upstream: "u/1".into(), token: None };
        let part = |part| Operation::UploadPart { name: name("b", "k"), part, upload_id: upload_id() };
        let cases = [
            ("POST /b/k?uploads", Operation::CreateMultipartUpload(name("b", "k"))),
            ("PUT /b/k?partNumber=1&uploadId=u%2F1", part(1)),
            ("PUT /b/k?x-id=UploadPart&uploadId=u/1&partNumber=10000", part(10_000)),
            ("POST /b/k?uploadId=u%2F1", Operation::CompleteMultipartUpload(upload_id())),
            ("DELETE /b/k?uploadId=u%2F1", Operation::AbortMultipartUpload(upload_id())),
            ("GET /b/k?uploadId=u%2F1&max-parts=2", Operation::ListParts(upload_id())),
        ];
        for (request, expected) in cases {
            assert_eq!(operation(request, &[]), Ok(expected), "{request}");
        }
        for number in ["0", "10001", "-1", "x", ""] {
            let refused = operation(&format!("PUT /b/k?partNumber={number}&uploadId=u"), &[]);
            assert!(matches!(refused, Err(RequestError::InvalidArgument(_))), "{number}: {refused:?}");
        }
    }

    #[test]
    fn a_bucket_s_name_has_no_slash_however_it_is_encoded() {
        for path in ["/b%2Fk", "/b%2fk/l", "/b%00/k"] {
            assert!(matches!(operation(&format!("GET {path}"), &[]), Err(RequestError::InvalidUri(_))), "{path}");
        }
    }

    #[test]
    fn listings_are_recognised() {
        for request in "GET /b|GET /b/|GET /b?list-type=2&prefix=x|GET /b?versions|GET /b/?new".split('|') {
            assert_eq!(operation(request, &[]), Ok(Operation::ListObjects), "{request}");
        }
    }

    #[test]
    fn what_moves_no_object_data_passes() {
        let cases = "HEAD /b|GET /b?location|GET /b/?policy|PUT /b|PUT /b?versioning|PUT /b?analytics&id=1\
            |DELETE /b/k|DELETE /b|DELETE /b/k?tagging|POST /b?delete|PUT /b/k?tagging&versionId=1|GET /b/k?acl\
            |PUT /b/k?legal-hold|POST /b/k?restore|OPTIONS /b/k";
        for request in cases.split('|') {
            assert!(matches!(operation(request, &[]), Ok(Operation::PassThrough(_))), "{request}");
        }
    }

    #[test]
    fn only_documents_pass() {
        let cases = [
            ("PUT /b", RequestBody::Document("CreateBucketConfiguration")),
            ("POST /b?delete", RequestBody::Document("Delete")),
            ("PUT /b?policy", RequestBody::Any),
            ("PUT /b/k?tagging", RequestBody::Any),
            ("GET /b?policy", RequestBody::None),
            ("GET /b/k?acl", RequestBody::None),
            ("DELETE /b/k", RequestBody::None),
        ];
        for (request, allowed) in cases {
            assert_eq!(operation(request, &[]), Ok(Operation::PassThrough(allowed)), "{request}");
        }
    }

    #[test]
    fn whatever_else_could_write_is_refused() {
        let cases = "PUT /b/k?partNumber=1&uploadId=u&new|PUT /b/k?append\
            |PUT /b/k?renameObject|PUT /b/k?encryption|POST /b/k?select&select-type=2|POST /b|POST /|POST /WriteGetObjectResponse\
            |PATCH /b/k|PUT /b?unheard-of|GET /b/k?torrent|POST /b/k|GET /b?session|CONNECT /b/k";
        for request in cases.split('|') {
            let refused = operation(request, &[]);
            assert!(matches!(refused, Err(RequestError::NotImplemented(_))), "{request}: {refused:?}");
        }
        for header in ["x-amz-write-offset-bytes", "x-amz-rename-source"] {
            let refused = operation("PUT /b/k", &[(header, "1")]);
            assert!(matches!(refused, Err(RequestError::NotImplemented(_))), "{header}: {refused:?}");
        }
    }

    #[test]
    fn a_path_that_names_nothing_is_refused() {
        for request in ["GET /b/%", "GET /b/%2", "GET /b/%zz", "GET /b/%ff", "PUT //k", "GET /%00/k", "GET /b/k?%f"] {
            let refused = operation(request, &[]);
            assert!(matches!(refused, Err(RequestError::InvalidUri(_))), "{request}: {refused:?}");
        }
    }
}
