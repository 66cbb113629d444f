//! Stands between Envoy and the store, and breaks what goes through it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What becomes of a connection.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Nothing.
    None,
    /// It ends once so many bytes have gone to the store.
    CutRequest(u64),
    /// It ends once so many bytes have come from the store.
    CutResponse(u64),
    /// Nothing more comes from the store after so many bytes.
    StallResponse(u64),
    /// The store is not asked: this is its answer to the first bytes of a request.
    Answer(String),
}

/// A relay to a store.
pub struct Relay {
    /// `IP:port`, for Envoy.
    pub address: String,
    fault: Arc<Mutex<Fault>>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Relay {
    /// Before the store at this address. It lasts as long as the test process.
    pub fn to(store: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let fault = Arc::new(Mutex::new(Fault::None));
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (store, current, seen) = (store.to_owned(), Arc::clone(&fault), Arc::clone(&sent));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (store, fault) = (store.clone(), current.lock().unwrap().clone());
                let seen = Arc::clone(&seen);
                // What breaks here is what the test is about.
                thread::spawn(move || drop(serve(stream.unwrap(), &store, fault, seen)));
            }
        });
        Self { address, fault, sent }
    }

    /// All that has gone to the store since this was asked last.
    pub fn take_sent(&self) -> Vec<u8> {
        std::mem::take(&mut self.sent.lock().unwrap())
    }

    /// Does this to connections that begin from now on.
    pub fn set(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }
}

/// Writes on, and keeps what was written.
struct Seen<W> {
    to: W,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl<W: io::Write> io::Write for Seen<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sent.lock().unwrap().extend_from_slice(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn serve(mut client: TcpStream, store: &str, fault: Fault, sent: Arc<Mutex<Vec<u8>>>) -> io::Result<()> {
    if let Fault::Answer(answer) = &fault {
        let read = client.read(&mut [0; 65_536])?;
        return if read == 0 { Ok(()) } else { client.write_all(answer.as_bytes()) };
    }
    let upstream = TcpStream::connect(store)?;
    let (mut to_store, mut from_client) = (Seen { to: upstream.try_clone()?, sent }, client.try_clone()?);
    let request_limit = if let Fault::CutRequest(limit) = fault { limit } else { u64::MAX };
    let uploading = thread::spawn(move || {
        let copied = io::copy(&mut (&mut from_client).take(request_limit), &mut to_store);
        if copied.is_ok_and(|copied| copied == request_limit) {
            let _ = from_client.shutdown(Shutdown::Both);
        }
        let _ = to_store.to.shutdown(Shutdown::Both);
    });
    let limit = match fault {
        Fault::CutResponse(limit) | Fault::StallResponse(limit) => limit,
        _ => u64::MAX,
    };
    io::copy(&mut (&upstream).take(limit), &mut client)?;
    if !matches!(fault, Fault::StallResponse(_)) {
        client.shutdown(Shutdown::Both)?;
    }
    let _ = uploading.join();
    Ok(())
}
