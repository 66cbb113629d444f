//! Requests as a client makes them, and how bodies are cut on their way.

use s3ep_core::http::{Headers, RequestHead};

/// How a body's end shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the last window.
    WithLastWindow,
    /// In an empty window of its own.
    EmptyWindow,
    /// With trailers.
    Trailers,
}

/// How a body is cut into windows: of these lengths, over and over; 0 is an empty window.
#[derive(Debug, Clone)]
pub struct Split {
    pub lengths: Vec<usize>,
    pub end: End,
}

impl Split {
    pub fn new(lengths: &[usize], end: End) -> Self {
        assert!(lengths.iter().any(|length| *length > 0));
        Self { lengths: lengths.to_vec(), end }
    }

    /// Everything in one window.
    pub fn whole() -> Self {
        Self::new(&[usize::MAX], End::WithLastWindow)
    }

    /// Cuts that lie within headers, within tags, on borders and next to them, and the three ends.
    pub fn samples() -> Vec<Self> {
        let lengths: [&[usize]; 6] =
            [&[usize::MAX], &[65_536], &[65_584], &[1, 30, 2, 0, 65_535, 16], &[997], &[16_384, 0, 48, 100_000]];
        let ends = [End::WithLastWindow, End::EmptyWindow, End::Trailers];
        lengths.iter().zip(ends.into_iter().cycle()).map(|(lengths, end)| Self::new(lengths, end)).collect()
    }

    /// The windows, each with whether it is the end.
    pub fn windows<'a>(&self, mut body: &'a [u8]) -> Vec<(&'a [u8], bool)> {
        let mut windows = Vec::new();
        let mut lengths = self.lengths.iter().cycle();
        while !body.is_empty() {
            let (window, rest) = body.split_at((*lengths.next().unwrap()).min(body.len()));
            windows.push((window, false));
            body = rest;
        }
        if self.end == End::EmptyWindow || windows.is_empty() {
            windows.push((&[], false));
        }
        if let (Some(last), true) = (windows.last_mut(), self.end != End::Trailers) {
            last.1 = true;
        }
        windows
    }
}

/// A request. Without a body its head is its end.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub authority: String,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Option<Vec<u8>>,
}

impl Request {
    pub fn new(method: &str, path: &str) -> Self {
        Self {
            method: method.into(),
            path: path.into(),
            authority: "proxy.example:10000".into(),
            headers: Vec::new(),
            body: None,
        }
    }

    pub fn get(path: &str) -> Self {
        Self::new("GET", path)
    }

    pub fn head(path: &str) -> Self {
        Self::new("HEAD", path)
    }

    /// With a `content-length`.
    pub fn put(path: &str, body: &[u8]) -> Self {
        Self::new("PUT", path).body(body).header("content-length", &body.len().to_string())
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.body = Some(body.to_vec());
        self
    }

    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = authority.into();
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| n != name);
        self
    }

    pub fn to_head(&self) -> RequestHead {
        RequestHead {
            method: self.method.clone(),
            path: self.path.clone(),
            authority: self.authority.clone(),
            headers: Headers::new(self.headers.clone()),
            is_end: self.body.is_none(),
        }
    }
}
