//! The measurements themselves: that they run, not what they find.

use std::process::Command;

use crate::stacks::setup;

#[test]
fn the_measurements_run() {
    setup();
    let output = Command::new(env!("CARGO_BIN_EXE_bench")).arg("--quick").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = String::from_utf8(output.stdout).unwrap();
    for row in ["| PUT of 64 MiB |", "| GET of 4 KiB, warm |", "| 64 KiB of 1 MiB, cold |", "| 16 MiB |", "| 20 |"] {
        assert!(tables.contains(row), "no {row} in {tables}");
    }
}
