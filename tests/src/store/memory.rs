//! A store in this process's memory, for measurements: quick, with little of S3, and it believes every signature.
//!
//! It has PutObject, GetObject (ranges and If-Match, too), HeadObject, and multipart uploads. What it is asked for beyond that it
//! refuses with 501.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use anyhow::Result;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, RANGE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// Serves an empty store on a free port until this process ends.
pub fn serve() -> Result<SocketAddr> {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("the runtime starts"));
    let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let address = listener.local_addr()?;
    RUNTIME.spawn(accept(listener, Arc::default()));
    Ok(address)
}

async fn accept(listener: TcpListener, memory: Arc<Memory>) {
    while let Ok((socket, _)) = listener.accept().await {
        let memory = Arc::clone(&memory);
        let service = service_fn(move |request| answer(Arc::clone(&memory), request));
        let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), service);
        tokio::spawn(async move { drop(connection.await) });
    }
}

#[derive(Default)]
struct Memory {
    /// By path, and uploads by UploadId.
    objects: Mutex<HashMap<String, Object>>,
    uploads: Mutex<HashMap<String, Upload>>,
    last_id: AtomicU64,
}

#[derive(Clone, Default)]
struct Object {
    metadata: HeaderMap,
    etag: String,
    body: Pieces,
}

#[derive(Default)]
struct Upload {
    metadata: HeaderMap,
    parts: HashMap<u16, Pieces>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(memory: Arc<Memory>, request: Request<Incoming>) -> Result<Response<Pieces>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let query = |name: &str| {
        let pairs = head.uri.query().unwrap_or_default().split('&');
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.to_owned())
    };
    let Ok(body) = received(body).await else { return Ok(status(StatusCode::BAD_REQUEST)) };
    Ok(match (head.method, query("uploadId"), query("partNumber")) {
        (Method::PUT, Some(id), Some(number)) => memory.put_part(&id, &number, body),
        (Method::PUT, None, None) => memory.put(path, &head.headers, body),
        (Method::POST, Some(id), None) => memory.complete(path, &id),
        (Method::POST, None, None) if query("uploads").is_some() => memory.create_upload(&head.headers),
        (method @ (Method::GET | Method::HEAD), None, None) => memory.get(&path, &head.headers, method == Method::HEAD),
        _ => status(StatusCode::NOT_IMPLEMENTED),
    })
}

/// The whole body, unless the sender breaks off.
async fn received(mut body: Incoming) -> Result<Pieces, hyper::Error> {
    let mut pieces = Pieces::default();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        pieces.0.extend(frame?.into_data());
    }
    Ok(pieces)
}

impl Memory {
    fn etag(&self) -> String {
        format!("\"{:032x}-1\"", self.last_id.fetch_add(1, Ordering::Relaxed))
    }

    fn put(&self, path: String, headers: &HeaderMap, body: Pieces) -> Response<Pieces> {
        let object = Object { metadata: metadata(headers), etag: self.etag(), body };
        let response = with_etag(&object.etag);
        lock(&self.objects).insert(path, object);
        response
    }

    fn create_upload(&self, headers: &HeaderMap) -> Response<Pieces> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed).to_string();
        let document =
            format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>");
        lock(&self.uploads).insert(id, Upload { metadata: metadata(headers), parts: HashMap::new() });
        Response::new(Pieces::from(document))
    }

    fn put_part(&self, id: &str, number: &str, body: Pieces) -> Response<Pieces> {
        match (lock(&self.uploads).get_mut(id), number.parse()) {
            (Some(upload), Ok(number)) => {
                upload.parts.insert(number, body);
                with_etag(&self.etag())
            }
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    /// Takes all parts that there are.
    fn complete(&self, path: String, id: &str) -> Response<Pieces> {
        let Some(Upload { metadata, parts }) = lock(&self.uploads).remove(id) else {
            return status(StatusCode::NOT_FOUND);
        };
        let mut parts: Vec<_> = parts.into_iter().collect();
        parts.sort_unstable_by_key(|(number, _)| *number);
        let body = Pieces(parts.into_iter().flat_map(|(_, pieces)| pieces.0).collect());
        let etag = self.etag();
        let document = format!("<CompleteMultipartUploadResult><ETag>{etag}</ETag></CompleteMultipartUploadResult>");
        lock(&self.objects).insert(path, Object { metadata, etag, body });
        Response::new(Pieces::from(document))
    }

    fn get(&self, path: &str, headers: &HeaderMap, is_head: bool) -> Response<Pieces> {
        let Some(object) = lock(&self.objects).get(path).cloned() else {
            return status(StatusCode::NOT_FOUND);
        };
        if headers.get(IF_MATCH).is_some_and(|etag| etag.as_bytes() != object.etag.as_bytes()) {
            return status(StatusCode::PRECONDITION_FAILED);
        }
        let len = object.body.len();
        let range = headers.get(RANGE).and_then(|range| range.to_str().ok()).and_then(|text| parse_range(text, len));
        let mut response = with_etag(&object.etag);
        response.headers_mut().extend(object.metadata);
        let body = match range {
            Some((first, last)) => {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                let stated = format!("bytes {first}-{last}/{len}").parse().expect("a header");
                response.headers_mut().insert(CONTENT_RANGE, stated);
                object.body.slice(first, last + 1)
            }
            None => object.body,
        };
        response.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        response.map(|_| if is_head { Pieces::default() } else { body })
    }
}

fn status(status: StatusCode) -> Response<Pieces> {
    let mut response = Response::new(Pieces::default());
    *response.status_mut() = status;
    response
}

fn with_etag(etag: &str) -> Response<Pieces> {
    let mut response = status(StatusCode::OK);
    response.headers_mut().insert(ETAG, etag.parse().expect("a header"));
    response
}

/// What comes back with an object.
fn metadata(headers: &HeaderMap) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-meta-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn parse_range(text: &str, len: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() { len } else { last.parse().ok()? };
    Some((first.parse().ok()?, last.min(len.checked_sub(1)?)))
}

/// A body, as it came.
#[derive(Clone, Default)]
struct Pieces(VecDeque<Bytes>);

impl Pieces {
    fn len(&self) -> u64 {
        self.0.iter().map(|piece| piece.len() as u64).sum()
    }

    fn slice(&self, start: u64, end: u64) -> Self {
        let mut offset = 0;
        let part = |piece: &Bytes| {
            let begins = offset;
            offset += piece.len() as u64;
            let from = start.clamp(begins, offset) - begins;
            let to = end.clamp(begins, offset) - begins;
            (from < to).then(|| piece.slice(from as usize..to as usize))
        };
        Self(self.0.iter().filter_map(part).collect())
    }
}

impl From<String> for Pieces {
    fn from(text: String) -> Self {
        Self([Bytes::from(text)].into())
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len())
    }
}
