//! The filter's VM traps in the middle of everything, and Envoy makes a new one.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use e2e::at_rest::AtRest;
use e2e::plaintext::random;
use e2e::setup::Setup;
use e2e::stack::{Builder, Mode, Stack};
use e2e::store::Store;
use e2e::trap::set_trap;
use e2e::workspace::run_dir;

use super::half_an_upload;
use crate::stacks::{LogsOnPanic, setup};

/// What the VM traps in.
const TRAP: &str = "GetObjectAttributes$u20$as$u20$s3ep_core..exchange..Role$GT$12request_head";
/// How long Envoy may go without a new VM: it makes at most one in a second or so.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test on a stack with one worker, whose VM traps when it is asked for an object's attributes.
fn on_a_trapping_stack(test: impl FnOnce(&Stack)) {
    let folder = run_dir().unwrap();
    let wasm = folder.path().join("trapping.wasm");
    set_trap(&setup().wasm, TRAP, &wasm).unwrap();
    let setup = Setup { wasm, shim: setup().shim.clone(), envoy: setup().envoy.clone() };
    let builder = Builder::new(&setup).unwrap().workers(1);
    let store = Store::embedded(&builder.folder()).unwrap();
    let stack = builder.start(store, Mode::Envelope).unwrap();
    let _logs = LogsOnPanic(&stack);
    test(&stack);
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
    });
}
