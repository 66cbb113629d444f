//! The filter's metrics and access-log fields as a real Envoy shows them, with the labels of the reference configuration.

use std::thread;
use std::time::Duration;

use e2e::at_rest::AtRest;
use e2e::plaintext::random;
use e2e::stack::{BUCKET, Mode};
use e2e::store::StoreKind;

use crate::stacks;

const OBJECT_KEY: &str = "metrics/a name";

/// The filter's metrics of the Envoy with this admin interface.
pub fn prometheus(admin_url: &str) -> String {
    let url = format!("{admin_url}/stats/prometheus?filter=s3ep");
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}

/// Waits for what comes with a delay: workers' counts are merged now and then, and the log is written so.
#[track_caller]
pub fn wait_for(what: &str, text: impl Fn() -> String, is_there: impl Fn(&str) -> bool) {
    let look = |_| {
        thread::sleep(Duration::from_millis(100));
        is_there(&text())
    };
    assert!((0..100).any(look), "no {what} in:\n{}", text());
}

#[test]
fn prometheus_sees_labels_and_the_access_log_sees_fields() {
    let stack = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| builder).unwrap();
    stack.client.put(OBJECT_KEY, &random(150_000, 1)).unwrap();
    stack.client.get(OBJECT_KEY).unwrap();
    let mut object = AtRest::read(&stack.direct, OBJECT_KEY).unwrap();
    object.body[70_000] ^= 1;
    object.write(&stack.direct, OBJECT_KEY).unwrap();
    stack.client.get(OBJECT_KEY).unwrap_err();
    for line in [
        "s3ep_requests{s3ep_operation=\"PutObject\"} 1",
        "s3ep_requests{s3ep_operation=\"GetObject\"} 2",
        "s3ep_failures{s3ep_operation=\"GetObject\",s3ep_cause=\"integrity\"} 1",
        "s3ep_sealed_bytes{} 150000",
        "s3ep_opened_segments{} 4",
        "s3ep_opened_bodies{} 1",
        "s3ep_calls{s3ep_call=\"wrap\",s3ep_outcome=\"ok\"} 1",
        "s3ep_call_ms_count{s3ep_call=\"wrap\"} 1",
    ] {
        wait_for(line, || prometheus(&stack.envoy.admin_url), |text| text.lines().any(|shown| shown == line));
    }
    let fields = format!("s3ep=GetObject bucket={BUCKET} mode=envelope kek=tink-keyset:default cause=integrity");
    wait_for(&fields, || stack.envoy.log(), |log| log.contains(&fields));
}
