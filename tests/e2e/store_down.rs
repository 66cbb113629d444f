//! A store that is gone: Envoy's own answer, as S3 XML, so that clients try again.

use e2e::stack::Mode;
use e2e::store::StoreKind;

use crate::stacks::{self, LogsOnPanic};

#[test]
fn clients_get_service_unavailable() {
    let Some(mut stack) = stacks::own(StoreKind::Full, Mode::Direct, |builder| builder) else {
        return stacks::say_skipped();
    };
    stack.client.put("object", b"plaintext").unwrap();
    stack.store.stop().unwrap();
    let _logs = LogsOnPanic(&stack);
    for (method, body) in [("PUT", b"plaintext".as_slice()), ("GET", b""), ("DELETE", b"")] {
        let answer = stack.client.object(method, "object").send(body).unwrap().expect(503).unwrap();
        assert_eq!(answer.error_code().unwrap(), "ServiceUnavailable", "{method}");
        assert_eq!(answer.header("content-type"), Some("application/xml"), "{method}");
    }
    stack.client.object("HEAD", "object").send(&[]).unwrap().expect(503).unwrap();
}
