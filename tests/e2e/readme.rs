//! The commands that the READMEs give: each is run here as it stands, or stands in a list with what runs it instead.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::at_rest::MAGIC;
use e2e::client::{Endpoint, S3Client};
use e2e::process::{Process, free_address, run};
use e2e::store::Store;
use e2e::wasm::build_s3ep;
use e2e::workspace::{root, target_dir};
use tempfile::TempDir;

use crate::demo::read_env_file;
use crate::stacks::setup;

const FILES: [&str; 2] = ["README.md", "envoy/README.md"];
/// What a command of ours may begin with, in running text.
const PROGRAMS: [&str; 7] = ["cargo", "curl", "docker", "envoy", "kms-shim", "python3", "s3ep"];

/// What no test here runs as it stands, and why not, or what does.
const ELSEWHERE: [(&str, &str); 14] = [
    ("cargo demo", "demo::the_tour_holds_in_both_modes runs the binary"),
    ("cargo test", "it runs this"),
    ("cargo bench-wasm", "needs an idle machine. Below: the binary is there"),
    ("cargo bench-e2e", "bench::the_measurements_run runs the binary"),
    ("cargo bench-e2e --quick", "bench::the_measurements_run runs the binary"),
    (".ci/run", "it runs this"),
    (FUZZ, "needs a nightly compiler and cargo-fuzz. Below: target and dictionaries are there"),
    ("cargo build --release -p s3ep-cli", "takes minutes. The harness builds it in the development profile"),
    ("S3EP_SOAK=1000,600 cargo test -p e2e soak", "ten minutes. faults::soak is the same for nine seconds"),
    ("docker compose up --build", "tests/compose.sh"),
    ("docker compose --profile monitoring up", "tests/compose.sh"),
    ("docker build -f filter/Dockerfile -t REGISTRY/s3ep/filter:VERSION .", "tests/compose.sh"),
    ("envoy --mode validate", "envoy_config, stores and meshes"),
    ("python3 tests/s3_tests.py CHECKOUT", "needs a checkout of Ceph's suite, and half an hour"),
];
const FUZZ: &str = "cd filter/core && cargo +nightly fuzz run sigv4 -- -dict=fuzz/dictionaries/sigv4";

/// Flags of other people's programs that stand alone in running text.
const FOREIGN_FLAGS: [&str; 2] = ["--s3-upload-cutoff", "--s3-use-multipart-etag"];

fn text(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap()
}

/// The lines of a text's blocks of shell: a list for each block.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| block.lines().filter(|line| !command(line).is_empty()).collect()).collect()
}

/// A line of shell without its comment.
fn command(line: &str) -> &str {
    line.split(" #").next().unwrap().trim()
}

/// What stands in backticks in running text.
fn spans(text: &str) -> Vec<&str> {
    let running = text.split("```").step_by(2).flat_map(str::lines);
    running.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

fn is_elsewhere(command: &str) -> bool {
    ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == command)
}

/// A shell in this folder, with our programs on its path, that stops at the first command that fails.
fn shell(folder: &Path, script: &str) -> Command {
    let path = env::var_os("PATH").unwrap();
    let programs = [&setup().shim, &setup().envoy].map(|program| program.parent().unwrap().to_owned());
    let path = env::join_paths(programs.into_iter().chain(env::split_paths(&path))).unwrap();
    let mut command = Command::new("sh");
    command.current_dir(folder).env("PATH", path).args(["-euc", script]);
    command
}

/// A folder of the test's own in which cargo finds this workspace.
fn folder_in_workspace() -> TempDir {
    let target = root().join("target");
    fs::create_dir_all(&target).unwrap();
    TempDir::new_in(target).unwrap()
}

#[test]
fn every_command_in_a_block_is_run_or_has_a_reason() {
    for file in FILES {
        let text = text(file);
        for block in blocks(&text) {
            let lines: Vec<_> = block.into_iter().filter(|line| !is_elsewhere(command(line))).collect();
            match lines.first().map_or("", |line| command(line)) {
                "" => {}
                _ if lines.iter().any(|line| line.starts_with("envoy ")) => quick_start(&lines.join("\n")),
                serve if serve.starts_with("cargo demo -- --serve") => {
                    assert_eq!(lines.len(), 1, "{file}: {lines:?}");
                    let client = blocks(&text).into_iter().find(|block| block[0].starts_with("set -a"));
                    serve_and_use(serve, &client.expect("what to do in another shell").join("\n"));
                }
                // Together with the one before.
                sourced if sourced.starts_with("set -a; . ./s3ep.env") => {}
                keygen if keygen.starts_with("kms-shim keygen keyset") => make_keys(&lines),
                build if build.starts_with("cargo build --release --target wasm32-wasip1") => {
                    assert_eq!(lines.len(), 1, "{file}: {lines:?}");
                    run(&mut shell(root(), build)).unwrap();
                }
                unknown => panic!("{file}: nothing runs {unknown}, and ELSEWHERE does not say why"),
            }
        }
    }
}

/// The filter in an Envoy of its own, with other addresses than those that the README and the file give.
fn quick_start(script: &str) {
    let folder = folder_in_workspace();
    let body = text("README.md");
    fs::write(folder.path().join("README.md"), &body).unwrap();
    let store = Store::embedded(folder.path()).unwrap().endpoint;
    let (_, store_port) = store.authority().rsplit_once(':').unwrap();
    let port = free_address().unwrap().port().to_string();
    let moved = |text: &str| {
        let target = format!("{}/", target_dir().unwrap().display());
        text.replace("9000", store_port).replace("10000", &port).replace("target/", &target)
    };
    fs::create_dir(folder.path().join("envoy")).unwrap();
    fs::write(folder.path().join("envoy/quickstart.yaml"), moved(&text("envoy/quickstart.yaml"))).unwrap();

    let mut shell = shell(folder.path(), &format!("trap 'kill $!' EXIT\n{}", moved(script)));
    shell.env("AWS_ACCESS_KEY_ID", &store.access_key).env("AWS_SECRET_ACCESS_KEY", &store.secret_key);
    let printed = run(shell.env_remove("AWS_SESSION_TOKEN")).unwrap().stdout;
    let dump = printed.strip_prefix(body.as_bytes()).expect("the text again");
    assert!(String::from_utf8_lossy(dump).starts_with("0000000   S   3   E   P"), "{}", String::from_utf8_lossy(dump));
}

/// The demo, as it is served, and what a client does in another shell.
fn serve_and_use(serve: &str, client: &str) {
    let folder = folder_in_workspace();
    let body = text("README.md");
    fs::write(folder.path().join("README.md"), &body).unwrap();
    let log = folder.path().join("demo.log");
    let mut demo = Process::spawn("demo", shell(folder.path(), &format!("exec {serve}")), log).unwrap();
    let env_file = folder.path().join("s3ep.env");
    demo.wait_until_ready(|| env_file.exists().then_some(())).unwrap();
    let variables = read_env_file(&env_file);
    let output = run(&mut shell(folder.path(), client)).unwrap();
    assert!(output.stdout == body.as_bytes(), "{}", String::from_utf8_lossy(&output.stdout));

    let value = |name: &str| variables[name].clone();
    let (access_key, secret_key) = (value("S3EP_STORE_ACCESS_KEY_ID"), value("S3EP_STORE_SECRET_ACCESS_KEY"));
    let store = Endpoint::new(value("S3EP_STORE_URL"), access_key, secret_key);
    let at_rest = S3Client::new(store, &value("S3EP_BUCKET")).get("readme").unwrap().body;
    assert!(at_rest.starts_with(MAGIC), "not encrypted");
    assert!(demo.stop().unwrap().success());
}

/// A keyset is made, gets a key, and that key becomes the one that wraps.
fn make_keys(lines: &[&str]) {
    let folder = TempDir::new().unwrap();
    let mut id = String::new();
    for line in lines {
        check_flags(line);
        let command = without_options(command(line)).replace(" ID ", &format!(" {id} "));
        let printed = String::from_utf8(run(&mut shell(folder.path(), &command)).unwrap().stdout).unwrap();
        if !printed.is_empty() {
            id = printed.trim().to_owned();
        }
    }
    let keyset: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.path().join("keyset.json")).unwrap()).unwrap();
    assert_eq!(keyset["primaryKeyId"].to_string(), id);
    assert_eq!(keyset["key"].as_array().map(Vec::len), Some(2));
}

/// A command without what stands in square brackets.
fn without_options(command: &str) -> String {
    let mut depth = 0;
    let is_outside = |character: &char| {
        depth += i32::from(*character == '[');
        let is_outside = depth == 0;
        depth -= i32::from(*character == ']');
        is_outside
    };
    command.chars().filter(is_outside).collect()
}

/// Fails unless the program knows the subcommand of this line, and what follows it, comment included, has no flag that its help
/// does not name.
fn check_flags(line: &str) {
    let mut words = line.split([' ', '[', ']', ';', ',']).filter(|word| !word.is_empty());
    let program = words.next().unwrap();
    let words: Vec<_> = words.collect();
    let is_subcommand = |word: &&&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
    let subcommands = words.iter().take_while(is_subcommand).take_while(|word| !word.starts_with('-'));
    let script = subcommands.fold(program.to_owned(), |script, word| format!("{script} {word}")) + " --help";
    let help = String::from_utf8(run(&mut shell(root(), &script)).unwrap().stdout).unwrap();
    let known: Vec<_> = help.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-').collect();
    for flag in words.iter().filter(|word| word.starts_with("--")) {
        assert!(known.contains(flag), "{line}: {program} has no {flag}");
    }
}

#[test]
fn commands_in_running_text_are_there() {
    build_s3ep().unwrap();
    let tests = run(Command::new(env::current_exe().unwrap()).arg("--list")).unwrap();
    let tests = String::from_utf8(tests.stdout).unwrap();
    let texts = FILES.map(text);
    let mut checked = 0;
    for span in texts.iter().flat_map(|text| spans(text)) {
        let Some((program, _)) = span.split_once(' ').filter(|(program, _)| PROGRAMS.contains(program)) else {
            continue;
        };
        checked += 1;
        match (program, span.strip_prefix("cargo test -p e2e ")) {
            _ if is_elsewhere(span) => {}
            ("kms-shim" | "s3ep", _) => check_flags(span),
            (_, Some(name)) => assert!(tests.contains(name), "no test is called {name}"),
            _ => panic!("nothing runs {span}, and ELSEWHERE does not say why"),
        }
    }
    assert!(checked > 10, "the READMEs' form has changed");
}

#[test]
fn flags_in_running_text_are_there() {
    build_s3ep().unwrap();
    let commands = [
        "kms-shim",
        "kms-shim serve",
        "kms-shim keygen keyset",
        "s3ep decrypt",
        "s3ep inspect",
        "s3ep verify",
        "s3ep rewrap",
        "s3ep encrypt-bucket",
        "cargo demo -- ",
    ];
    let helps = commands.map(|command| {
        let output = run(&mut shell(root(), &format!("{command} --help"))).unwrap();
        String::from_utf8(output.stdout).unwrap()
    });
    let known =
        helps.iter().flat_map(|help| help.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-'));
    let known: Vec<_> = known.filter(|word| word.starts_with("--")).collect();
    for span in spans(&text("README.md")).into_iter().filter(|span| span.starts_with("--") && !span.ends_with('…')) {
        let flag = span.split([' ', '=']).next().unwrap();
        assert!(known.contains(&flag) || FOREIGN_FLAGS.contains(&flag), "no program of ours has {span}");
    }
}

#[test]
fn what_is_not_run_is_there_all_the_same() {
    let texts = FILES.map(text).join("\n");
    for (command, _) in ELSEWHERE {
        assert!(texts.contains(command), "no README says {command} any more");
    }
    // What FUZZ and its comment name.
    let targets = root().join("filter/core/fuzz");
    for target in ["sigv4", "aws_chunked", "config"] {
        assert!(targets.join("fuzz_targets").join(target).with_extension("rs").exists(), "{target}");
        assert!(targets.join("dictionaries").join(target).exists(), "{target}");
    }
    let aliases = text(".cargo/config.toml");
    for alias in ["demo", "bench-wasm", "bench-e2e"] {
        assert!(aliases.contains(&format!("\n{alias} = ")), "{alias}");
    }
    for script in [".ci/run", "tests/compose.sh", "tests/s3_tests.py"] {
        assert!(root().join(script).exists(), "{script}");
    }
}
