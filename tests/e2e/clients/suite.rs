//! Clients as they are, pinned to their newest releases, through Envoy to the full store.
//!
//! Each has a script in this folder that does with it what people do, compares every byte and every size, and says on its
//! standard output what the client did: a line `version …`, and a line `did …` for each of the [`OPERATIONS`]. README.md
//! has what they said as a table, which a test compares.
//!
//! Every test is in envelope mode: of the mode a client sees nothing.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, ensure};
use e2e::process::run;
use e2e::python::{environment, python};
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use e2e::workspace::root;
use e2e::{node, restic};

use super::table;
use crate::stacks::{say, shared};

/// What clients do, in the order of the table's columns. "parts" is a multipart upload, "copy by parts" UploadPartCopy.
pub const OPERATIONS: [&str; 9] = ["put", "get", "range", "parts", "copy", "copy by parts", "list", "sync", "delete"];

/// A client, and where it comes from.
pub struct Client {
    /// Its name in the table.
    pub title: &'static str,
    script: &'static str,
    /// What runs the script, which comes as its last argument. None: it cannot be had on this machine.
    command: fn(&Stack) -> Result<Option<Command>>,
    report: OnceLock<Result<Option<Report>, String>>,
}

/// What a client says that it did.
pub struct Report {
    /// The client's version.
    pub version: String,
    /// Some of the [`OPERATIONS`].
    pub operations: Vec<String>,
}

/// Makes a test of each client, and the table of all.
macro_rules! clients {
    ($($name:ident: $title:literal, $script:literal, $command:ident;)+) => {
        $(#[test]
        fn $name() {
            let client = CLIENTS.iter().find(|client| client.title == $title).unwrap();
            client.report();
        })+

        static CLIENTS: [Client; [$($title),+].len()] = [$(Client {
            title: $title,
            script: $script,
            command: $command,
            report: OnceLock::new(),
        }),+];
    };
}

clients! {
    boto3: "boto3", "use_boto3.py", with_boto3;
    awscli: "AWS CLI 1", "use_awscli.py", with_python;
    crt: "AWS CRT (s3transfer)", "use_crt.py", with_boto3;
    javascript: "AWS SDK for JavaScript", "use_javascript.mjs", with_node;
    pyarrow: "PyArrow (AWS SDK for C++)", "use_pyarrow.py", with_python;
    obstore: "obstore (Rust's object_store)", "use_obstore.py", with_python;
    minio: "minio-py", "use_minio.py", with_python;
    rclone: "rclone", "use_rclone.py", with_python;
    s3cmd: "s3cmd", "use_s3cmd.py", with_python;
    s5cmd: "s5cmd", "use_s5cmd.py", with_python;
    restic: "restic", "use_restic.py", with_restic;
}

/// `S3EP_UPDATE_README=1 cargo test -p e2e clients` writes the table instead.
#[test]
fn readme_has_the_table() {
    let readme = root().join("README.md");
    let text = std::fs::read_to_string(&readme).unwrap();
    let updated = table::updated(&text, &CLIENTS);
    if env::var_os("S3EP_UPDATE_README").is_some() {
        std::fs::write(&readme, updated).unwrap();
    } else {
        let missing: Vec<&str> = updated.lines().filter(|line| !text.contains(line)).collect();
        assert!(text == updated, "README.md lacks {missing:#?} or has more: S3EP_UPDATE_README=1 rewrites it");
    }
}

impl Client {
    /// What the client did, in its one run. None: it cannot be had on this machine. Panics if the client failed.
    pub fn report(&self) -> Option<&Report> {
        let report = self.report.get_or_init(|| self.run().map_err(|error| format!("{}: {error:#}", self.title)));
        report.as_ref().unwrap_or_else(|error| panic!("{error}")).as_ref()
    }

    fn run(&self) -> Result<Option<Report>> {
        let Some(stack) = shared(StoreKind::Full, Mode::Envelope) else { return Ok(None) };
        let Some(mut command) = (self.command)(stack)? else { return Ok(None) };
        // The folder is the client's home, too: no configuration of the user's, and no cache.
        let folder = tempfile::tempdir()?;
        command.arg(scripts().join(self.script)).current_dir(&folder).env("HOME", folder.path());
        // rclone heeds it even where there is no TLS.
        command.env_remove("AWS_CA_BUNDLE");
        let output = run(&mut command).inspect_err(|_| eprintln!("{}", stack.log_tails()))?;
        Report::parse(&String::from_utf8(output.stdout)?).map(Some)
    }
}

impl Report {
    fn parse(lines: &str) -> Result<Self> {
        let said = |word| lines.lines().filter_map(move |line| line.strip_prefix(word)).map(str::to_owned);
        let version = said("version ").next().context("the script names no version")?;
        let operations: Vec<String> = said("did ").collect();
        for operation in &operations {
            ensure!(OPERATIONS.contains(&operation.as_str()), "the table has no column for {operation:?}");
        }
        Ok(Self { version, operations })
    }
}

fn scripts() -> PathBuf {
    root().join("tests/e2e/clients")
}

fn with_boto3(stack: &Stack) -> Result<Option<Command>> {
    Ok(Some(stack.client_command(python()?)))
}

/// The interpreter, and the clients that are programs, on the PATH.
fn with_python(stack: &Stack) -> Result<Option<Command>> {
    let programs = environment("clients", "tests/e2e/clients/requirements.txt")?;
    let mut command = stack.client_command(programs.join("python"));
    command.env("PATH", path_with(&programs)?);
    Ok(Some(command))
}

fn with_restic(stack: &Stack) -> Result<Option<Command>> {
    let Some(folder) = restic::folder()? else { return skipped("restic: there is no Go to build it with") };
    let mut command = stack.client_command(python()?);
    command.env("PATH", path_with(&folder)?);
    Ok(Some(command))
}

fn with_node(stack: &Stack) -> Result<Option<Command>> {
    let Some(modules) = node::modules("javascript", &scripts())? else {
        return skipped("the AWS SDK for JavaScript: there is no Node.js with npm");
    };
    let mut command = stack.client_command("node");
    command.env("NODE_PATH", modules);
    Ok(Some(command))
}

fn skipped(client: &str) -> Result<Option<Command>> {
    say(&format!("SKIPPED {client}"));
    Ok(None)
}

fn path_with(folder: &Path) -> Result<OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths([folder.to_owned()].into_iter().chain(env::split_paths(&path)))?)
}
