//! HTTP/1.1 by hand, for requests that no proper client sends and servers that do not answer properly.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends these bytes and returns all that comes back until the connection closes.
pub fn exchange(authority: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

/// Listens on a free port and answers every connection's first request with these bytes; with none, it never answers.
/// It lasts as long as the test process.
pub fn serve(answer: Option<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let answer = answer.clone();
            thread::spawn(move || answer_one(stream.unwrap(), answer));
        }
    });
    address.to_string()
}

fn answer_one(mut stream: TcpStream, answer: Option<String>) {
    let mut request = [0; 65_536];
    // Small enough to come in one piece, which is good enough here.
    let _ = stream.read(&mut request);
    match answer {
        Some(answer) => drop(stream.write_all(answer.as_bytes())),
        None => thread::sleep(PATIENCE),
    }
}

/// Sends these bytes and hangs up.
pub fn send_and_leave(authority: &str, request: &[u8]) {
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.write_all(request).unwrap();
}
