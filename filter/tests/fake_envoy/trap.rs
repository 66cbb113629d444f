//! Panics of the filter. In wasm they trap: the VM is gone, and Envoy fails every stream of it with 503 or a reset.
//!
//! Here they cannot unwind out of the filter's `extern "C"` callbacks, they abort the process. So what may trap runs in
//! a process of its own: this test's executable, running the same test alone, told by a variable which case it is to be.

use std::cell::RefCell;
use std::fmt::Debug;
use std::io::Write as _;
use std::process::{Command, exit};

use super::host::{Exchange, exchanges, violations};

const CASE: &str = "S3EP_TEST_CASE";
const HELD: &str = "the case held";

/// Judges what the peers had received when the filter trapped.
type Judge = Box<dyn Fn(&[Exchange])>;

thread_local! {
    static AT_TRAP: RefCell<Option<Judge>> = const { RefCell::new(None) };
}

/// Runs every case in a process of its own. `test` is the calling test's name. If the filter traps, `at_trap` judges
/// what the peers had received by then.
pub fn each_in_its_own_process<C: Debug + Clone + 'static>(
    test: &str,
    cases: &[C],
    run: impl Fn(&C),
    at_trap: fn(&C, &[Exchange]),
) {
    if let Ok(i) = std::env::var(CASE) {
        let case = cases[i.parse::<usize>().unwrap()].clone();
        let judged = case.clone();
        AT_TRAP.set(Some(Box::new(move |exchanges| at_trap(&judged, exchanges))));
        run(&case);
        return println!("{HELD}");
    }
    for (i, case) in cases.iter().enumerate() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        let output = child.args([test, "--exact", "--nocapture"]).env(CASE, i.to_string()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && out.contains(HELD), "{case:?}\n{out}\n{err}");
    }
}

/// The panic hook's part.
pub fn trap(message: &str) {
    // Not the harness's stderr: what it captures is lost when the process aborts.
    let _ = writeln!(std::io::stderr(), "the filter trapped: {message}\nviolations: {:?}", violations());
    if let Some(judge) = AT_TRAP.take() {
        judge(&exchanges());
        println!("{HELD}");
        exit(0);
    }
}
