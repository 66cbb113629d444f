//! s3ep against a store that answers by a script: what somebody else writes meanwhile is not lost, and a store that cannot
//! answer is asked again.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread::{self, JoinHandle};

const LISTING: &str = "<ListBucketResult><Contents><Key>k</Key><Size>5</Size></Contents></ListBucketResult>";

/// The request that is due, as its line begins, and the answer: status, headers and body.
type Turn = (&'static str, &'static str, &'static str, &'static str);

/// Takes the turns in order, and gives the heads of the requests.
fn serve(listener: TcpListener, turns: Vec<Turn>) -> JoinHandle<Vec<String>> {
    let take = |stream: TcpStream, (due, status, headers, body): Turn| {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        reader.take(length).read_to_end(&mut Vec::new()).unwrap();
        assert!(head.starts_with(due), "{due} was due: {head}");
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n");
        let body = if due.starts_with("HEAD") { "" } else { body };
        (&stream).write_all((answer + body).as_bytes()).unwrap();
        head
    };
    thread::spawn(move || turns.into_iter().map(|turn| take(listener.accept().unwrap().0, turn)).collect())
}

/// Runs s3ep against a store that takes these turns. Gives the requests' heads, too.
fn run(arguments: &[&str], turns: Vec<Turn>) -> (Output, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    fs::write(&key, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let served = serve(listener, turns);
    let output = Command::new(env!("CARGO_BIN_EXE_s3ep"))
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_SECRET_ACCESS_KEY", "secret"), ("AWS_SESSION_TOKEN", "session")])
        .args(arguments)
        .args(["--endpoint-url", &url, "--master-key", &format!("k={}", key.display())])
        .output()
        .unwrap();
    (output, served.join().unwrap())
}

const LIST: Turn = ("GET /b?list-type=2&prefix= ", "200 OK", "", LISTING);
const HEAD: Turn = ("HEAD /b/k ", "200 OK", "etag: \"1\"\r\n", "plain");
const GET: Turn = ("GET /b/k ", "200 OK", "etag: \"1\"\r\n", "plain");
const CHANGED: Turn = ("HEAD /b/k ", "200 OK", "etag: \"2\"\r\n", "newer");

#[test]
fn what_was_written_meanwhile_stays() {
    let put = |status| ("PUT /b/k ", status, "", "");
    let cases: [(&str, Vec<Turn>); 4] = [
        ("before it is read", vec![LIST, HEAD, ("GET /b/k ", "200 OK", "etag: \"2\"\r\n", "newer")]),
        ("while it is read", vec![LIST, HEAD, GET, CHANGED]),
        ("while it is put", vec![LIST, HEAD, GET, HEAD, put("412 Precondition Failed")]),
        ("at the same time", vec![LIST, HEAD, GET, HEAD, put("409 Conflict")]),
    ];
    for (case, turns) in cases {
        let (output, heads) = run(&["encrypt-bucket", "s3://b"], turns);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && said.contains("changed\ts3://b/k"), "{case}: {said}");
        assert!(heads.iter().filter(|head| head.starts_with("PUT")).all(|head| head.contains("if-match: \"1\"")));
    }
    let (output, heads) = run(&["encrypt-bucket", "s3://b"], vec![LIST, HEAD, GET, HEAD, put("200 OK")]);
    assert!(output.status.success(), "{output:?}");
    assert!(heads[4].contains("content-length: 53\r\n") && heads[4].contains("x-amz-meta-s3ep-kek: direct:k\r\n"));
}

#[test]
fn an_object_that_is_deleted_meanwhile_is_no_failure() {
    for command in ["encrypt-bucket", "rewrap"] {
        let (output, _) = run(&[command, "s3://b"], vec![LIST, ("HEAD /b/k ", "404 Not Found", "", "")]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && said.contains("1 were deleted meanwhile"), "{command}: {said}");
    }
    let (output, _) = run(&["verify", "s3://b"], vec![LIST, ("GET /b/k ", "404 Not Found", "", "")]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_store_that_cannot_answer_is_asked_again() {
    let busy = ("GET /b/k ", "503 Slow Down", "", "<Error><Code>SlowDown</Code><Message>wait</Message></Error>");
    let (output, heads) = run(&["verify", "s3://b"], vec![LIST, busy, busy, GET]);
    assert!(output.status.success(), "{output:?}");
    assert!(
        heads.iter().all(|head| head.contains("AWS4-HMAC-SHA256") && head.contains("x-amz-security-token: session"))
    );
    let (output, _) = run(&["verify", "s3://b"], vec![LIST, busy, busy, busy, busy]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        !output.status.success() && said.contains("unchecked\ts3://b/k: the store answers 503 SlowDown wait"),
        "{said}"
    );
}

#[test]
fn a_name_with_dots_is_no_other_name() {
    for (url, due) in
        [("s3://b/a/../k", "GET /b/a/../k "), ("s3://b/./k//", "GET /b/./k// "), ("s3://b//k", "GET /b//k ")]
    {
        let (output, _) = run(&["decrypt", url], vec![(due, "200 OK", "etag: \"1\"\r\n", "plain")]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("the object is not encrypted") && output.stdout.is_empty(), "{url}: {said}");
    }
}

#[test]
fn names_that_xml_cannot_hold_are_asked_for_again() {
    let listing = |key: &str| LISTING.replace("<Key>k</Key>", &format!("<Key>{key}</Key><ETag/>"));
    let raw = Box::leak(listing("a+b&#x1;").into_boxed_str());
    let encoded = listing("a%2Bb%01").replace("<Contents>", "<EncodingType>url</EncodingType><Contents>");
    let encoded = Box::leak(encoded.into_boxed_str());
    let again = ("GET /b?encoding-type=url&list-type=2&prefix= ", "200 OK", "", &*encoded);
    let get = ("GET /b/a%2Bb%01 ", "200 OK", "etag: \"1\"\r\n", "plain");
    let (output, _) = run(&["verify", "s3://b"], vec![(LIST.0, "200 OK", "", raw), again, get]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && said.contains("unencrypted\ts3://b/a+b\\u{1}\n"), "{said}");
}

#[test]
fn a_store_that_refuses_is_quoted() {
    let denied = ("GET /b?", "403 Forbidden", "", "<Error><Code>AccessDenied</Code><Message>no</Message></Error>");
    let (output, _) = run(&["verify", "s3://b"], vec![denied]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("403 AccessDenied no"), "{said}");
}
