//! ETags, with a store that heeds conditions and lists ETags.

use e2e::process::run;
use e2e::python::python;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use e2e::workspace::root;

use crate::stacks;

#[test]
fn full_envelope() {
    stacks::on(StoreKind::Full, Mode::Envelope, boto3);
}

#[test]
fn full_direct() {
    stacks::on(StoreKind::Full, Mode::Direct, boto3);
}

fn boto3(stack: &Stack) {
    let script = root().join("tests/e2e/boto3_etags.py");
    run(stack.client_command(python().unwrap()).arg(script)).unwrap();
}
