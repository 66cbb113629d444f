//! A new configuration of the filter while requests are under way: Envoy watches a file with the listener, and takes it as it
//! would from a control plane.

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use e2e::plaintext::random;
use e2e::process::free_address;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::Store;
use serde_json::{Value, json};

use super::half_an_upload;
use super::load::Load;
use crate::stacks::{LogsOnPanic, setup};

/// Changes the filter's configuration in the file that Envoy watches.
fn update(file: &Path, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    let manager = &mut document["resources"][0]["filter_chains"][0]["filters"][0]["typed_config"];
    let text = &mut manager["http_filters"][0]["typed_config"]["config"]["configuration"]["value"];
    let mut plugin = serde_json::from_str(text.as_str().unwrap()).unwrap();
    change(&mut plugin);
    *text = json!(plugin.to_string());
    // Envoy looks when a file is moved there, and so never sees half of one.
    let new = file.with_extension("new");
    fs::write(&new, document.to_string()).unwrap();
    fs::rename(new, file).unwrap();
}

/// Waits until Envoy has taken, or refused, so many listeners.
fn wait_for(stack: &Stack, counter: &str, number: u64) {
    let is_there = |_| {
        thread::sleep(Duration::from_millis(100));
        stack.envoy.stat(&format!("listener_manager.lds.{counter}")).unwrap() >= number
    };
    assert!((0..200).any(is_there), "{counter} is not {number}\n{}", stack.log_tails());
}

fn status_of_plaintext(stack: &Stack) -> u16 {
    stack.client.object("GET", "faults/plain").send(&[]).unwrap().status
}

#[test]
fn a_new_configuration_drops_no_request() {
    let builder = Builder::new(setup()).unwrap();
    // On port 0 a new listener would get another port.
    let port = free_address().unwrap().port();
    let store = Store::embedded(&builder.folder()).unwrap();
    let (builder, file) = builder.port(port).watched();
    let stack = builder.start(store, Mode::Envelope).unwrap();
    let _logs = LogsOnPanic(&stack);
    stack.direct.put("faults/plain", b"plaintext").unwrap();
    assert_eq!(status_of_plaintext(&stack), 200);
    let load = Load::new(&stack.client, 4, 200_000);
    thread::scope(|scope| {
        let running = scope.spawn(|| load.run(Duration::from_secs(8)));
        thread::sleep(Duration::from_secs(1));
        let mut upload = half_an_upload(&stack, "faults/across");

        update(&file, |plugin| plugin["unencrypted_objects"] = json!("refuse"));
        wait_for(&stack, "update_success", 2);
        let is_in_force = |_| {
            thread::sleep(Duration::from_millis(100));
            status_of_plaintext(&stack) == 403
        };
        assert!((0..100).any(is_in_force), "the new configuration is not in force");

        update(&file, |plugin| plugin["unheard_of"] = json!(true));
        wait_for(&stack, "update_rejected", 1);
        assert_eq!(status_of_plaintext(&stack), 403, "what was refused changes nothing");

        upload.write_all(&random(1_000_000, 1)[500_000..]).unwrap();
        let mut answer = [0; 12];
        upload.read_exact(&mut answer).unwrap();
        assert_eq!(str::from_utf8(&answer), Ok("HTTP/1.1 200"));
        running.join().unwrap().assert_all_good();
    });
    let across = stack.client.get("faults/across").unwrap().body;
    assert_eq!(across.len(), 1_000_000);
    assert!(across[..500_000] == random(500_000, 1) && across[500_000..] == random(1_000_000, 1)[500_000..]);
}
