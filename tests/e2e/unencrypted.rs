//! Objects that are not ours: passed through byte by byte, or refused, as the configuration says.

use e2e::at_rest::AtRest;
use e2e::plaintext::random;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use serde_json::json;

use crate::stacks::{self, LogsOnPanic};

on_every_stack!(pass_through_byte_exact);

/// A plaintext object as somebody put it into the bucket before S3EP.
pub fn foreign(body: Vec<u8>) -> AtRest {
    let metadata = [("content-type", "text/plain"), ("x-amz-meta-origin", "before")];
    AtRest { body, metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec() }
}

fn pass_through_byte_exact(stack: &Stack) {
    // Also what begins like a segment, as far as that can be data.
    let looks_like_ours = [b"S3EP\x01\x00\x00\x00".to_vec(), random(100, 3)].concat();
    let bodies = [vec![], b"x".to_vec(), b"S3EP".to_vec(), random(31, 1), random(200_000, 2), looks_like_ours];
    for (number, body) in bodies.into_iter().enumerate() {
        let object_key = format!("unencrypted/{number}");
        let object = foreign(body);
        object.write(&stack.direct, &object_key).unwrap();
        for method in ["HEAD", "GET"] {
            let [through, straight] = [&stack.client, &stack.direct]
                .map(|client| client.object(method, &object_key).send(&[]).unwrap().expect(200).unwrap());
            assert!(through.body == straight.body, "{method} {object_key}: {} bytes", through.body.len());
            for name in ["content-length", "content-type", "x-amz-meta-origin", "x-amz-server-side-encryption"] {
                assert_eq!(through.header(name), straight.header(name), "{method} {object_key}: {name}");
            }
            // No ETag looks like an MD5, whosever object it is.
            let etag = straight.header("etag").map(|etag| format!("{}-01\"", etag.trim_end_matches('"')));
            assert_eq!(through.header("etag"), etag.as_deref(), "{method} {object_key}");
        }
    }
}

#[test]
fn are_refused_where_the_configuration_says_so() {
    let refuse = |plugin: &mut serde_json::Value| plugin["unencrypted_objects"] = json!("refuse");
    let stack = stacks::own(StoreKind::Embedded, Mode::Direct, |builder| builder.plugin(refuse)).unwrap();
    let _logs = LogsOnPanic(&stack);
    foreign(b"plaintext".to_vec()).write(&stack.direct, "foreign").unwrap();
    let refused = stack.client.object("GET", "foreign").send(&[]).unwrap().expect(403).unwrap();
    assert_eq!(refused.error_code().unwrap(), "AccessDenied");
    stack.client.object("HEAD", "foreign").send(&[]).unwrap().expect(403).unwrap();
    stack.client.put("ours", b"sealed").unwrap();
    assert_eq!(stack.client.get("ours").unwrap().body, b"sealed");
}
