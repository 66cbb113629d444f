//! A DNS server for which every name is this machine (RFC 1035, sections 3.2 and 4.1), so that manifests keep theirs.

use std::net::{SocketAddr, UdpSocket};
use std::thread;

use anyhow::Result;

const HEADER: usize = 12;
/// The type of a question for an IPv4 address.
const A: [u8; 2] = [0, 1];

/// Answers on a free port until this process ends.
pub fn serve() -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    thread::spawn(move || {
        let mut question = [0; 1500];
        while let Ok((length, client)) = socket.recv_from(&mut question) {
            // What is no question gets no answer.
            if let Some(answer) = answer(&question[..length]) {
                let _ = socket.send_to(&answer, client);
            }
        }
    });
    Ok(address)
}

/// 127.0.0.1 to a question for an IPv4 address, and nothing to any other.
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let id = question.get(..2)?;
    let name = question.get(HEADER..)?.iter().position(|byte| *byte == 0)?;
    // After the name's last byte come type and class.
    let asked = question.get(HEADER..HEADER + name + 5)?;
    let is_address = asked[name + 1..name + 3] == A;
    // A response without an error; one question, and answers.
    let mut answer = [id, &[0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0], asked].concat();
    if is_address {
        // The name asked for, type, class, a minute to live, four bytes.
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    Some(answer)
}
