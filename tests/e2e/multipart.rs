//! Multipart uploads and copies, which need a store that knows part numbers.

use e2e::process::run;
use e2e::python::python;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use e2e::workspace::root;

use crate::stacks;

#[test]
fn full_envelope() {
    stacks::on(StoreKind::Full, Mode::Envelope, |stack| boto3(stack, "boto3_multipart.py"));
}

#[test]
fn full_direct() {
    stacks::on(StoreKind::Full, Mode::Direct, |stack| boto3(stack, "boto3_multipart.py"));
}

#[test]
fn part_copy_full_envelope() {
    stacks::on(StoreKind::Full, Mode::Envelope, |stack| boto3(stack, "boto3_part_copy.py"));
}

#[test]
fn part_copy_full_direct() {
    stacks::on(StoreKind::Full, Mode::Direct, |stack| boto3(stack, "boto3_part_copy.py"));
}

fn boto3(stack: &Stack, script: &str) {
    let script = root().join("tests/e2e").join(script);
    let store = &stack.direct.endpoint;
    let mut command = stack.client_command(python().unwrap());
    command
        .env("S3EP_STORE_URL", &store.url)
        .env("S3EP_STORE_ACCESS_KEY_ID", &store.access_key)
        .env("S3EP_STORE_SECRET_ACCESS_KEY", &store.secret_key);
    run(command.arg(script)).unwrap();
}
