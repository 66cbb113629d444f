//! `s3ep decrypt` from files: every vector of direct mode reads as an independent writer meant it, or is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

#[derive(Deserialize)]
struct Object {
    name: String,
    key: KeyOf,
    metadata: Vec<(String, String)>,
    body: Vec<Piece>,
    expect: String,
    released: Released,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum KeyOf {
    Direct { master_keys: BTreeMap<String, String>, bucket: String, object_key: String },
    Other {},
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Piece {
    Hex { hex: String },
    File { file: String, start: usize, end: usize },
}

#[derive(Deserialize)]
struct Released {
    length: usize,
    sha256: String,
}

fn vectors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../filter/core/tests/vectors")
}

impl Piece {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Hex { hex } => hex::decode(hex).unwrap(),
            Self::File { file, start, end } => fs::read(vectors().join(file)).unwrap()[*start..*end].to_vec(),
        }
    }
}

/// An object in files, and its keys.
struct InFiles {
    folder: TempDir,
    arguments: Vec<String>,
}

impl InFiles {
    /// None: it is not of direct mode.
    fn write(object: &Object) -> Option<Self> {
        let KeyOf::Direct { master_keys, bucket, object_key } = &object.key else { return None };
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let metadata: String = object.metadata.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let body: Vec<u8> = object.body.iter().flat_map(Piece::bytes).collect();
        let mut arguments = vec![format!("s3://{bucket}/{object_key}")];
        arguments.extend([
            "--file".into(),
            file("body", &body),
            "--metadata".into(),
            file("metadata", metadata.as_bytes()),
        ]);
        for (name, key) in master_keys {
            let key = STANDARD.encode(hex::decode(key).unwrap());
            arguments.extend(["--master-key".into(), format!("{name}={}", file(name, key.as_bytes()))]);
        }
        Some(Self { folder, arguments })
    }

    fn decrypt(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_s3ep"));
        command.env_clear().arg("decrypt").args(&self.arguments).args(more).output().unwrap()
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }
}

fn objects() -> Vec<Object> {
    serde_json::from_slice(&fs::read(vectors().join("objects.json")).unwrap()).unwrap()
}

fn is_released(bytes: &[u8], released: &Released) -> bool {
    (bytes.len(), hex::encode(Sha256::digest(bytes))) == (released.length, released.sha256.clone())
}

#[test]
fn vectors_read_as_they_were_meant() {
    let mut seen = 0;
    for object in objects() {
        let Some(files) = InFiles::write(&object) else { continue };
        seen += 1;
        let output = files.decrypt(&[]);
        let case = format!("{}: {}", object.name, String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.success(), object.expect == "ok", "{case}");
        assert!(is_released(&output.stdout, &object.released), "{case}");
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn a_file_appears_whole_or_not_at_all() {
    for object in objects() {
        let Some(files) = InFiles::write(&object) else { continue };
        let is_ok = object.expect == "ok";
        let out = files.out();
        fs::write(&out, "before").unwrap();
        assert_eq!(files.decrypt(&["-o", out.to_str().unwrap()]).status.success(), is_ok, "{}", object.name);
        let written = fs::read(&out).unwrap();
        assert!(if is_ok { is_released(&written, &object.released) } else { written == b"before" }, "{}", object.name);
        assert_eq!(left_over(files.folder.path()), 0, "{}", object.name);
    }
}

/// Temporary files.
fn left_over(folder: &Path) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().unwrap().starts_with('.')).count()
}

#[test]
fn what_is_missing_is_named() {
    let cases: [(&[&str], &str); 5] = [
        (&["s3://b/k"], "--master-key"),
        (&["s3://b"], "object"),
        (&["s3://b/k", "--file", "f"], "--metadata"),
        (&["s3://b/k", "--master-key", "k"], "NAME=FILE"),
        (&["s3://b/k", "--master-key", "k=/nowhere"], "/nowhere"),
    ];
    for (arguments, named) in cases {
        let mut command = Command::new(env!("CARGO_BIN_EXE_s3ep"));
        let output = command.env_clear().arg("decrypt").args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(named), "{arguments:?}: {said}");
    }
}
