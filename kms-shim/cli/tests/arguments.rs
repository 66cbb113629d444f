//! What the command line takes, and what it says of the rest.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::process::{Command, Output};

fn s3ep(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_s3ep"));
    command.env_clear().envs(environment.iter().copied()).args(arguments).output().unwrap()
}

/// A keyset's file need not be there to be named in a message.
const KEYS: [&str; 2] = ["--keyset", "/nowhere/keyset.json"];
const CREDENTIALS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s3cret")];

#[test]
fn what_is_wrong_is_named() {
    let commands = ["verify", "rewrap", "encrypt-bucket"];
    let cases: [(&[&str], &str); 7] = [
        (&["s3://b"], "no key: give --keyset"),
        (&["b", "--keyset", "k"], "s3://"),
        (&["s3:///k"], "bucket"),
        (&["s3://b", "--concurrency", "0"], "concurrency"),
        (&["s3://b", KEYS[0], KEYS[1]], "/nowhere/keyset.json"),
        (&["s3://b", "--kek-uri", "https://vault"], "kek-uri"),
        (&["s3://b", "--path-style", "--virtual-host"], "--virtual-host"),
    ];
    for (command, (arguments, named)) in commands.iter().flat_map(|command| cases.map(|case| (command, case))) {
        let output = s3ep(&[&[*command], arguments].concat(), &CREDENTIALS);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(named), "{command} {arguments:?}: {said}");
        assert!(!said.contains("s3cret"));
    }
}

#[test]
fn the_store_needs_credentials_and_a_url() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    std::fs::write(&key, "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=\n").unwrap();
    let key = format!("k={}", key.display());
    let cases: [(&[(&str, &str)], &str); 3] = [
        (&[], "AWS_ACCESS_KEY_ID"),
        (&CREDENTIALS[..1], "AWS_SECRET_ACCESS_KEY"),
        (&[CREDENTIALS[0], CREDENTIALS[1], ("AWS_ENDPOINT_URL", "store:9000")], "store:9000"),
    ];
    for (environment, named) in cases {
        let output = s3ep(&["verify", "s3://b", "--master-key", &key], environment);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(named), "{environment:?}: {said}");
    }
}

#[test]
fn help_names_every_command() {
    let help = String::from_utf8(s3ep(&["--help"], &[]).stdout).unwrap();
    for command in ["inspect", "decrypt", "verify", "rewrap", "encrypt-bucket"] {
        assert!(help.contains(&format!("  {command} ")), "{help}");
        assert!(s3ep(&[command, "--help"], &[]).status.success());
    }
}
