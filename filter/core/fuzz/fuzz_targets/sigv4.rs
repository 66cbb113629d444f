//! A request of arbitrary text is never let in, and its canonical form is canonical.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use s3ep_core::http::RequestHead;
use s3ep_core::sigv4::canonical_request::{CanonicalRequest, SignedHeaders};
use s3ep_core::sigv4::query_parameters::QueryParameters;
use s3ep_core::sigv4::{Credential, verify};
use zeroize::Zeroizing;

/// Method, path, host, and then a header a line.
fn head(text: &[u8]) -> Option<RequestHead> {
    let mut lines = text.split(|byte| *byte == b'\n');
    let mut text = || std::str::from_utf8(lines.next()?).ok().map(str::to_owned);
    let (method, path, authority) = (text()?, text()?, text()?);
    let field = |line: &[u8]| {
        let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
        Some((std::str::from_utf8(name).ok()?.to_ascii_lowercase(), value.get(1..)?.to_vec()))
    };
    Some(RequestHead { method, path, authority, headers: lines.filter_map(field).collect(), is_end: true })
}

fn canonical(head: &RequestHead) -> Option<CanonicalRequest> {
    let query = head.path.split_once('?').map_or("", |(_, query)| query);
    CanonicalRequest::new(head, &QueryParameters::parse(query).ok()?, &SignedHeaders::parse("host"), "").ok()
}

fuzz_target!(|data: &[u8]| {
    let Some(mut head) = head(data) else { return };
    // No fuzzer finds a signature: 2013-05-24T00:00:00Z, and a secret that it does not see.
    let secret_access_key = Zeroizing::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
    let credential = Credential { secret_access_key, session_token: None };
    let error = verify(&head, Duration::from_secs(1_369_353_600), None, &|_| Some(&credential)).expect_err("let in");
    assert!(!error.to_string().contains('\n'), "{error}");

    let Some(first) = canonical(&head) else { return };
    let text = String::from_utf8(first.as_bytes().to_vec()).expect("the host is text");
    let [_, path, query] = text.lines().take(3).collect::<Vec<_>>()[..] else { return };
    head.path = format!("{path}?{query}");
    assert_eq!(canonical(&head), Some(first));
});
