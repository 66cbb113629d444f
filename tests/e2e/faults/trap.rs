//! The filter's VM traps in the middle of everything, and Envoy makes a new one.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::at_rest::{AtRest, MAGIC, shows};
use e2e::client::{Endpoint, Response};
use e2e::plaintext::random;
use e2e::setup::Setup;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::Store;
use e2e::trap::set_trap;
use e2e::workspace::{root, run_dir};
use serde_json::json;

use super::half_an_upload;
use super::relay::Relay;
use crate::stacks::setup;

/// Asking for an object's attributes.
const ATTRIBUTES: &str = "GetObjectAttributes$u20$as$u20$s3ep_core..exchange..Role$GT$12request_head";
/// The end of every upload's body, in the window that completes it: all other segments are with the store by then.
const END_OF_UPLOAD: &str = "8checksum9Checksums6verify";
/// How long Envoy may go without a new VM: it makes at most one in a second or so.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on a stack with one worker, whose VM traps when it is asked for an object's attributes.
fn on_a_trapping_stack(test: impl FnOnce(&Stack)) {
    on_a_stack_that_traps_in(ATTRIBUTES, |builder| builder, |stack, _| test(stack));
}

/// The same with another trap and changes. The relay sees what Envoy sends to the store, and what is sent straight to it.
fn on_a_stack_that_traps_in(
    trap: &str,
    change: impl FnOnce(Builder<'_>) -> Builder<'_>,
    test: impl FnOnce(&mut Stack, &Relay),
) {
    let folder = run_dir().unwrap();
    let wasm = folder.path().join("trapping.wasm");
    set_trap(&setup().wasm, trap, &wasm).unwrap();
    let setup = Setup { wasm, shim: setup().shim.clone(), envoy: setup().envoy.clone() };
    let builder = change(Builder::new(&setup).unwrap().workers(1));
    let store = Store::embedded(&builder.folder()).unwrap().endpoint;
    let relay = Relay::to(store.authority());
    let store = Store::at(Endpoint { url: format!("http://{}", relay.address), ..store });
    let mut stack = builder.start(store, Mode::Envelope).unwrap();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| test(&mut stack, &relay))) {
        eprintln!("{}", stack.log_tails());
        resume_unwind(panic);
    }
}

/// Makes the VM trap, and sees to it that the client hears of it.
fn trap(stack: &Stack) {
    let answer = stack.client.object("GET", "faults/any").query("attributes").header("x-amz-object-attributes", "ETag");
    if let Ok(answer) = answer.send(&[]) {
        assert!(answer.status >= 500, "{answer:?}");
    }
}

/// Waits until an object can be written.
fn wait_for_a_new_vm(stack: &Stack) {
    let deadline = Instant::now() + PATIENCE;
    while stack.client.put("faults/probe", b"plaintext").is_err() {
        assert!(Instant::now() < deadline, "no new VM\n{}", stack.log_tails());
        thread::sleep(Duration::from_millis(50));
    }
}

fn stat(stack: &Stack, name: &str) -> u64 {
    stack.envoy.stat(&format!("wasm.s3ep.{name}")).unwrap()
}

/// Fails unless a counter has gone up that the alert for crashes looks at.
fn assert_alert_sees_it(stack: &Stack) {
    let alerts = fs::read_to_string(root().join("envoy/monitoring/alerts.yml")).unwrap();
    let rule = alerts.split("- alert: ").find(|rule| rule.starts_with("S3EPCrashes\n")).unwrap();
    let words = rule.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let counters: Vec<_> = words.filter_map(|word| word.strip_prefix("envoy_wasm_s3ep_")).collect();
    assert!(counters.iter().map(|counter| stat(stack, counter)).sum::<u64>() > 0, "{counters:?}");
}

#[test]
fn a_trap_takes_the_streams_of_its_vm_and_nothing_else() {
    on_a_trapping_stack(|stack| {
        // More than fits into all buffers on the way.
        let body = random(64 << 20, 1);
        stack.client.put("faults/whole", &body).unwrap();
        let mut upload = half_an_upload(stack, "faults/half");
        let mut download = TcpStream::connect(stack.client.endpoint.authority()).unwrap();
        let head = stack.client.object("GET", "faults/whole").head().unwrap() + "\r\n";
        download.write_all(head.as_bytes()).unwrap();
        let mut downloaded = vec![0; 100_000];
        download.read_exact(&mut downloaded).unwrap();

        trap(stack);

        // Envoy may have hung up already.
        let _ = upload.write_all(&random(1_000_000, 1)[500_000..]);
        let mut answer = Vec::new();
        let _ = upload.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(stack.direct.object("HEAD", "faults/half").send(&[]).unwrap().status, 404);

        let _ = download.read_to_end(&mut downloaded);
        let begin = downloaded.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        assert!(body.starts_with(&downloaded[begin..]), "bytes that are not the object's");
        assert!(downloaded.len() - begin < body.len(), "a whole object by a VM that had trapped");

        wait_for_a_new_vm(stack);
        assert!(stack.client.get("faults/whole").unwrap().body == body);
        assert!(stat(stack, "vm_reload_success") >= 1);
    });
}

/// Writes objects until it is ended. Gives those of them that were answered with 200.
fn write(stack: &Stack, writer: usize, traps_left: &AtomicUsize) -> usize {
    let (mut good, mut round) = (0, 0);
    while traps_left.load(Ordering::Relaxed) > 0 {
        round += 1;
        let object_key = format!("faults/{writer}/{round}");
        let body = random(100_000, (writer * 1_000_000 + round) as u64);
        let put = stack.client.object("PUT", &object_key).send(&body);
        let is_good = match &put {
            Ok(answer) => {
                assert!(answer.status == 200 || answer.status >= 500, "{answer:?}");
                answer.status == 200
            }
            // Broken off.
            Err(_) => false,
        };
        match stack.direct.object("HEAD", &object_key).send(&[]).unwrap().status {
            // Whatever the client heard, what is there is sealed.
            200 => AtRest::read(&stack.direct, &object_key).unwrap().check_sealed(&body).unwrap(),
            status => assert!(status == 404 && !is_good, "{object_key}: {status}, {put:?}"),
        }
        good += usize::from(is_good);
        thread::sleep(Duration::from_millis(10));
    }
    good
}

#[test]
fn nothing_passes_in_clear_while_vms_trap_and_come_back() {
    const TRAPS: usize = 3;
    on_a_trapping_stack(|stack| {
        let traps_left = &AtomicUsize::new(TRAPS);
        let good: usize = thread::scope(|scope| {
            let writers: Vec<_> = (0..4).map(|writer| scope.spawn(move || write(stack, writer, traps_left))).collect();
            for _ in 0..TRAPS {
                wait_for_a_new_vm(stack);
                trap(stack);
                thread::sleep(Duration::from_millis(500));
                traps_left.fetch_sub(1, Ordering::Relaxed);
            }
            writers.into_iter().map(|writer| writer.join().unwrap()).sum()
        });
        assert!(good > 0);
        wait_for_a_new_vm(stack);
        assert_eq!(stat(stack, "vm_reload_success"), TRAPS as u64);
        assert_eq!(stat(stack, "vm_reload_failure"), 0);
        assert_alert_sees_it(stack);
    });
}

#[test]
fn an_upload_whose_own_window_traps_is_no_object_and_was_never_in_clear() {
    on_a_stack_that_traps_in(
        END_OF_UPLOAD,
        |builder| builder,
        |stack, relay| {
            let body = random(1 << 20, 1);
            for round in 0..3 {
                relay.take_sent();
                let put = stack.client.object("PUT", "faults/end").send(&body);
                assert!(put.as_ref().is_err() || put.as_ref().is_ok_and(|put| put.status == 503), "{put:?}");
                let sent = relay.take_sent();
                // In the first round, the VM is old enough for the next request to get a new one. Later ones may be refused at once.
                assert!(
                    round > 0 || sent.windows(MAGIC.len()).any(|window| window == MAGIC),
                    "the trap came too early"
                );
                assert!(!shows(&sent, &body), "plaintext on its way to the store");
                assert_eq!(stack.direct.object("HEAD", "faults/end").send(&[]).unwrap().status, 404);
            }
        },
    );
}

/// A new VM is not made for an hour, so that every request comes to one that has failed.
fn without_a_new_vm(builder: Builder<'_>) -> Builder<'_> {
    builder.connection_manager(|manager| {
        let config = &mut manager["http_filters"][0]["typed_config"]["config"];
        assert_eq!(config["failure_policy"], "FAIL_RELOAD");
        config["reload_config"] = json!({ "backoff": { "base_interval": "3600s" } });
    })
}

/// Fails unless it is what S3 clients try again.
fn assert_unavailable(method: &str, place: &str, answer: &Response) {
    assert_eq!(answer.status, 503, "{method} {place}: {answer:?}");
    if method != "HEAD" {
        assert_eq!(answer.error_code().unwrap(), "ServiceUnavailable", "{method} {place}: {answer:?}");
    }
}

#[test]
fn nothing_at_all_passes_a_vm_that_has_failed() {
    on_a_stack_that_traps_in(ATTRIBUTES, without_a_new_vm, |stack, relay| {
        stack.client.put("faults/there", b"before").unwrap();
        trap(stack);
        relay.take_sent();
        let body = random(300_000, 1);
        let requests: [(&str, &str, &str, &[u8]); 10] = [
            ("PUT", "faults/new", "", &body),
            ("PUT", "faults/there", "", &body),
            ("PUT", "faults/empty", "", b""),
            ("PUT", "faults/part", "partNumber=1&uploadId=any", &body),
            ("POST", "faults/parts", "uploads", b""),
            ("POST", "faults/parts", "uploadId=any", b"<CompleteMultipartUpload/>"),
            ("GET", "faults/there", "", b""),
            ("HEAD", "faults/there", "", b""),
            ("DELETE", "faults/there", "", b""),
            ("PUT", "faults/tagged", "tagging", b"<Tagging/>"),
        ];
        for (method, object_key, query, body) in requests {
            match stack.client.object(method, object_key).query(query).send(body) {
                Ok(answer) => assert_unavailable(method, &format!("{object_key}?{query}"), &answer),
                Err(error) => assert_eq!(method, "PUT", "only an upload can be cut off: {error:?}"),
            }
        }
        assert_unavailable("GET", "the bucket", &stack.client.bucket("GET", "list-type=2").send(&[]).unwrap());
        drop(half_an_upload(stack, "faults/half"));
        assert_eq!(String::from_utf8_lossy(&relay.take_sent()), "", "the store heard of a request");
        assert!(stat(stack, "vm_reload_backoff") > 10);
        assert_alert_sees_it(stack);
        assert_eq!(stat(stack, "vm_reload_success"), 0);
    });
}

/// Envoy gives a stream up in which nothing has moved for a while.
fn hasty(builder: Builder<'_>) -> Builder<'_> {
    builder.connection_manager(|manager| manager["stream_idle_timeout"] = json!("3s"))
}

#[test]
fn an_upload_that_waits_for_kms_shim_when_the_vm_traps_stores_nothing() {
    on_a_stack_that_traps_in(ATTRIBUTES, hasty, |stack, relay| {
        stack.shim.as_mut().unwrap().pause().unwrap();
        let mut upload = half_an_upload(stack, "faults/waiting");
        relay.take_sent();
        trap(stack);
        stack.shim.as_mut().unwrap().resume().unwrap();
        let start = Instant::now();
        let _ = upload.write_all(&random(1_000_000, 1)[500_000..]);
        let mut answer = Vec::new();
        let _ = upload.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 5"), "{}", String::from_utf8_lossy(&answer));
        assert!(start.elapsed() < PATIENCE);
        assert_eq!(String::from_utf8_lossy(&relay.take_sent()), "", "the store heard of the upload");
    });
}
