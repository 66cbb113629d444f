//! The client of the measurements: HTTP/1.1 by hand on connections that stay, so that it costs next to nothing itself.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use e2e::client::{Call, S3Client};

/// A request with its signature, good for a quarter of an hour and as many sendings.
pub struct Signed(String);

impl Signed {
    /// A request without a body.
    pub fn new(call: &Call<'_>) -> Result<Self> {
        Ok(Self(call.head()? + "\r\n"))
    }

    /// One with a body of so many bytes.
    pub fn with_body(call: &Call<'_>, len: u64) -> Result<Self> {
        Ok(Self(format!("{}Content-Length: {len}\r\n\r\n", call.head()?)))
    }
}

/// The answer's head.
pub struct Answer {
    pub etag: Option<String>,
    len: u64,
}

/// A connection.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(client: &S3Client) -> Result<Self> {
        let stream = TcpStream::connect(client.endpoint.authority())?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::with_capacity(1 << 18, stream)))
    }

    /// Sends a request and reads its answer, which must be a success, into `sink`.
    pub fn exchange(&mut self, request: &Signed, body: &mut dyn Read, sink: &mut dyn Write) -> Result<Answer> {
        self.send(request, body)?;
        let answer = self.answer()?;
        let read = io::copy(&mut self.0.by_ref().take(answer.len), sink)?;
        ensure!(read == answer.len, "{read} of {} bytes", answer.len);
        Ok(answer)
    }

    /// Sends a request, or as much of it as `body` has.
    pub fn send(&mut self, Signed(head): &Signed, body: &mut dyn Read) -> Result<()> {
        let mut stream = self.0.get_ref();
        let mut buffer = vec![0; 1 << 18];
        let mut filled = head.len();
        buffer[..filled].copy_from_slice(head.as_bytes());
        loop {
            let read = body.read(&mut buffer[filled..])?;
            stream.write_all(&buffer[..filled + read])?;
            filled = 0;
            if read == 0 {
                return Ok(());
            }
        }
    }

    /// Reads the answer's head.
    pub fn answer(&mut self) -> Result<Answer> {
        let status = self.line()?;
        let mut answer = Answer { etag: None, len: 0 };
        let mut is_chunked = false;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => answer.len = value.parse()?,
                "etag" => answer.etag = Some(value.to_owned()),
                "transfer-encoding" => is_chunked = true,
                _ => {}
            }
        }
        ensure!(status.starts_with("HTTP/1.1 2"), "{status}");
        ensure!(!is_chunked, "an answer without a length");
        Ok(answer)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the connection was closed");
        Ok(line.trim_end().to_owned())
    }
}
