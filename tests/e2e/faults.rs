//! What breaks in production: the store, kms-shim, Envoy and clients, each at the worst moment.

mod load;
mod relay;
mod soak;
mod store;
mod trap;
mod update;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use e2e::plaintext::random;
use e2e::process::Process;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::{Store, StoreKind};
use rustix::process::{Pid, Signal, kill_process};

use self::load::Load;
use crate::stacks::{self, LogsOnPanic, say_skipped, setup};

/// Begins an upload of 1 MB, and sends half of it.
fn begun_upload(stack: &Stack, object_key: &str) -> TcpStream {
    let head = stack.client.object("PUT", object_key).head().unwrap();
    let mut upload = TcpStream::connect(stack.client.endpoint.authority()).unwrap();
    upload.write_all(format!("{head}Content-Length: 1000000\r\n\r\n").as_bytes()).unwrap();
    upload.write_all(&random(500_000, 1)).unwrap();
    upload
}

/// The same, and waits until the half has come to the store.
fn half_an_upload(stack: &Stack, object_key: &str) -> TcpStream {
    let upload = begun_upload(stack, object_key);
    thread::sleep(Duration::from_millis(500));
    upload
}

#[test]
fn envoy_is_killed_in_the_middle_of_an_upload() {
    for store in [StoreKind::Embedded, StoreKind::Full] {
        let Some(stack) = stacks::own(store, Mode::Envelope, |builder| builder) else { return say_skipped() };
        let mut upload = half_an_upload(&stack, "faults/half");
        kill_process(Pid::from_raw(stack.envoy.pid().cast_signed()).unwrap(), Signal::KILL).unwrap();
        assert_eq!(upload.read(&mut [0; 1]).unwrap_or(0), 0, "the client hears of it");
        thread::sleep(Duration::from_millis(500));
        assert_eq!(stack.direct.object("HEAD", "faults/half").send(&[]).unwrap().status, 404, "{store:?}");
    }
}

fn clients_leave_in_the_middle(stack: &Stack) {
    let body = random(4 << 20, 1);
    stack.client.put("faults/left", &body).unwrap();
    let head = stack.client.object("GET", "faults/left").head().unwrap() + "\r\n";
    for _ in 0..20 {
        drop(begun_upload(stack, "faults/abandoned"));
        let mut download = TcpStream::connect(stack.client.endpoint.authority()).unwrap();
        download.write_all(head.as_bytes()).unwrap();
        download.read_exact(&mut [0; 10_000]).unwrap();
    }
    assert!(stack.client.get("faults/left").unwrap().body == body);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(stack.direct.object("HEAD", "faults/abandoned").send(&[]).unwrap().status, 404);
}

on_every_stack!(clients_leave_in_the_middle);

/// kms-shim as the stack has it, at the same address.
fn shim_again(stack: &Stack, run: usize) -> Process {
    let shim = stack.shim.as_ref().unwrap();
    let mut command = Command::new(&setup().shim);
    command.args(["serve", "--listen", &shim.address, "--keyset"]).arg(&shim.keyset);
    command.arg("--token-file").arg(stack.folder().join("kms-shim.token"));
    let log = stack.folder().join(format!("kms-shim-{run}.log"));
    let mut process = Process::spawn("kms-shim", command, log).unwrap();
    process.wait_until_ready(|| TcpStream::connect(&shim.address).ok()).unwrap();
    process
}

#[test]
fn kms_shim_is_killed_under_load_and_comes_back() {
    // Without a cache, every request needs kms-shim.
    let forgetful = |plugin: &mut serde_json::Value| {
        plugin["dek_cache"] = serde_json::json!({ "max_entries": 1, "ttl_seconds": 1 });
        plugin["keys"]["envelope"]["timeout_ms"] = serde_json::json!(1000);
    };
    let own = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| builder.plugin(forgetful));
    let mut stack = own.unwrap();
    stack.shim.as_mut().unwrap().stop().unwrap();
    let mut shim = shim_again(&stack, 0);
    let _logs = LogsOnPanic(&stack);
    let load = Load::new(&stack.client, 8, 50_000);
    load.run(Duration::from_secs(2)).assert_all_good();
    let disturbed = thread::scope(|scope| {
        let running = scope.spawn(|| load.run(Duration::from_secs(6)));
        for run in 1..3 {
            thread::sleep(Duration::from_secs(1));
            kill_process(Pid::from_raw(shim.pid().cast_signed()).unwrap(), Signal::KILL).unwrap();
            thread::sleep(Duration::from_secs(1));
            shim = shim_again(&stack, run);
        }
        running.join().unwrap()
    });
    assert!(disturbed.good > 0 && disturbed.unavailable > 0, "{disturbed:?}");
    load.run(Duration::from_secs(2)).assert_all_good();
}

/// A kms-shim that gets no processor for a moment, as in a container that is throttled, takes no connections then. Those that
/// clients' requests wait for must wait too, and not time out.
#[test]
fn a_crowd_waits_for_a_kms_shim_that_stalls() {
    let mut stack = Builder::new(setup()).unwrap().start(Store::memory().unwrap(), Mode::Envelope).unwrap();
    let client = stack.client.clone();
    let load = Load::new(&client, 400, 1000);
    let shim = stack.shim.as_mut().unwrap();
    shim.pause().unwrap();
    let crowd = thread::scope(|scope| {
        let crowd = scope.spawn(|| load.run(Duration::from_secs(1)));
        // Longer than Envoy waits for a connection, and shorter than the filter waits for an answer.
        thread::sleep(Duration::from_secs(3));
        shim.resume().unwrap();
        crowd.join().unwrap()
    });
    crowd.assert_all_good();
    // And each of Envoy's workers may have one.
    assert!(stack.envoy.stat("cluster.kms_shim.upstream_cx_total").unwrap() <= 130);
}
