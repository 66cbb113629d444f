//! The demo as people and scripts run it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use e2e::client::{Endpoint, S3Client};
use e2e::process::{Process, run};
use e2e::workspace::root;
use rustix::process::{Pid, Signal, test_kill_process};

use crate::stacks::{full_store, say_skipped, setup};

const DEMO: &str = env!("CARGO_BIN_EXE_demo");
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_tour_holds_in_both_modes() {
    for mode in ["envelope", "direct"] {
        tour(&["--mode", mode]);
    }
}

#[test]
fn the_tour_holds_on_minio() {
    match full_store() {
        Some(_) => tour(&["--store", "minio"]),
        None => say_skipped(),
    }
}

fn tour(options: &[&str]) {
    setup();
    let output = run(Command::new(DEMO).args(options)).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.ends_with("Everything held.\n"), "{text}");
}

/// The command that the README gives, with options: the alias must hand them on.
#[test]
fn cargo_demo_takes_options() {
    let mut command = Command::new(env!("CARGO"));
    let output = run(command.current_dir(root()).args(["demo", "--", "--help"])).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("--serve") && text.contains("--env-file"), "{text}");
}

#[test]
fn serving_says_where_everything_is_and_leaves_nothing_running() {
    for (mode, signal) in [("envelope", Signal::TERM), ("direct", Signal::INT)] {
        let folder = tempfile::tempdir().unwrap();
        let env_file = folder.path().join("demo.env");
        let mut demo = serve(&env_file, &["--mode", mode], folder.path());
        let variables = read_env_file(&env_file);
        let client = check_variables(&variables, mode);
        client.put("demo/object", b"served").unwrap();
        assert_eq!(client.get("demo/object").unwrap().body, b"served");

        let children = children_of(demo.pid());
        assert_eq!(children.len(), if mode == "envelope" { 2 } else { 1 }, "Envoy, and kms-shim in envelope mode");
        demo.signal(signal).unwrap();
        let status = demo.wait(PATIENCE).unwrap().expect("it ends");
        assert!(status.success(), "{status}");
        for pid in children {
            assert!(test_kill_process(pid).is_err(), "{pid:?} still runs");
        }
        assert!(!env_file.exists(), "the file names services that are gone");
    }
}

/// Even a killed demo leaves nothing running.
#[test]
fn a_killed_demo_takes_its_children_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = serve(&folder.path().join("demo.env"), &[], folder.path());
    let children = children_of(demo.pid());
    assert_eq!(children.len(), 2);
    demo.signal(Signal::KILL).unwrap();
    demo.wait(PATIENCE).unwrap().expect("it is gone");
    // They are orphans, which somebody else reaps.
    let is_gone = |pid: &Pid| state(*pid).is_none_or(|state| state == 'Z');
    let deadline = std::time::Instant::now() + PATIENCE;
    while !children.iter().all(is_gone) {
        assert!(std::time::Instant::now() < deadline, "{children:?} still run");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A store that somebody else runs: here, that of another demo.
#[test]
fn another_store_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let env_file = folder.path().join("demo.env");
    let _demo = serve(&env_file, &["--mode", "direct"], folder.path());
    let variables = read_env_file(&env_file);
    let mut command = Command::new(DEMO);
    command.args(["--store", &variables["S3EP_STORE_URL"]]);
    run(&mut command).expect_err("without credentials for it");
    let output = run(command.envs(variables.iter().filter(|(name, _)| name.starts_with("S3EP_STORE_")))).unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains(&variables["S3EP_STORE_URL"]));
}

fn serve(env_file: &Path, arguments: &[&str], folder: &Path) -> Process {
    setup();
    // What an earlier run left must not be taken for this one's.
    fs::write(env_file, "stale").unwrap();
    let mut command = Command::new(DEMO);
    command.arg("--serve").arg("--env-file").arg(env_file).args(arguments);
    let mut demo = Process::spawn("demo", command, folder.join("demo.log")).unwrap();
    demo.wait_until_ready(|| fs::read_to_string(env_file).ok().filter(|text| text != "stale")).unwrap();
    demo
}

/// What a served demo says, in a file that only this user may read.
pub fn read_env_file(env_file: &Path) -> BTreeMap<String, String> {
    assert_eq!(fs::metadata(env_file).unwrap().permissions().mode() & 0o777, 0o600, "it holds credentials");
    let text = fs::read_to_string(env_file).unwrap();
    let pairs = text.lines().map(|line| line.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Checks that what a script needs is there and true. Returns a client made of it.
fn check_variables(variables: &BTreeMap<String, String>, mode: &str) -> S3Client {
    let value = |name: &str| variables.get(name).unwrap_or_else(|| panic!("no {name}")).clone();
    let admin = ureq::get(format!("{}/ready", value("S3EP_ENVOY_ADMIN_URL"))).call().unwrap();
    assert_eq!(admin.status(), 200);
    if mode == "envelope" {
        let shim = ureq::get(format!("{}/healthz", value("S3EP_KMS_SHIM_URL"))).call().unwrap();
        assert_eq!(shim.status(), 200);
        assert!(!value("S3EP_KMS_SHIM_TOKEN").is_empty());
        assert!(fs::read_to_string(value("S3EP_KEYSET")).unwrap().contains("AesGcmKey"));
    }
    let client = |url: &str, access_key: &str, secret_key: &str, region: &str| {
        let mut endpoint = Endpoint::new(value(url), value(access_key), value(secret_key));
        endpoint.region = value(region);
        S3Client::new(endpoint, &value("S3EP_BUCKET"))
    };
    let store =
        client("S3EP_STORE_URL", "S3EP_STORE_ACCESS_KEY_ID", "S3EP_STORE_SECRET_ACCESS_KEY", "S3EP_STORE_REGION");
    store.bucket("HEAD", "").send(&[]).unwrap().expect(200).unwrap();
    client("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION")
}

/// The processes that this one has started, from proc(5).
fn children_of(parent: u32) -> Vec<Pid> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_child = |pid: &i32| stat_field(*pid, 1).is_some_and(|field| field == parent.to_string());
    pids.filter(is_child).filter_map(Pid::from_raw).collect()
}

fn state(pid: Pid) -> Option<char> {
    stat_field(pid.as_raw_nonzero().get(), 0)?.chars().next()
}

/// A field of /proc/PID/stat, counted from the one after the name, which ends with the last parenthesis.
fn stat_field(pid: i32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(index).map(str::to_owned)
}
