//! The program as one starts it: configuration, start and end, keys, and what it logs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kms_shim::listen::Listen;
use serde_json::Value;
use support::pki::{Ca, Identity};
use support::{Shim, TOKEN, finish, folder, get, post, program, request, send, unwrap_request, wrap_request};

const DEK: [u8; 32] = *b"thirty-two bytes of a secret DEK";

/// A Vault that moved, named both ways.
const TWO_OF_ONE_ID: &str = "hcvault://old/transit/keys/k,hcvault://new/transit/keys/k";

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = program();
    command.current_dir(folder).args(arguments);
    finish(command)
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn serves_until_a_signal_and_leaves_nothing_behind() {
    for (listen, signal) in
        [("127.0.0.1:0", "-TERM"), ("127.0.0.1:0", "-INT"), ("unix:shim.sock", "-TERM"), ("unix:shim.sock", "-INT")]
    {
        let folder = folder();
        let before = std::fs::read_dir(&folder).unwrap().count();
        let shim = Shim::start(folder.path(), &["--listen", listen]);
        let address = match &shim.address {
            Listen::Unix(path) => Listen::Unix(folder.path().join(path)),
            tcp => tcp.clone(),
        };
        if let Listen::Unix(path) = &address {
            assert_eq!(mode(path), 0o600);
            assert!(path.metadata().unwrap().file_type().is_socket());
        }
        assert_eq!(get(&address, "/readyz").await.status, 200);
        shim.signal("-HUP");
        assert_eq!(get(&address, "/readyz").await.status, 200);
        shim.signal(signal);
        let (status, log) = shim.wait();
        assert!(status.success(), "{listen} {signal}: {status} {log}");
        assert!(log.contains("listening address="), "{log}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), before, "{listen} {signal}");
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let folder = folder();
    let socket = folder.path().join("shim.sock");
    drop(UnixListener::bind(&socket).unwrap());
    assert!(socket.exists(), "a socket outlives its listener");
    let _shim = Shim::start(folder.path(), &["--listen", "unix:shim.sock"]);
    assert_eq!(get(&Listen::Unix(socket), "/healthz").await.status, 200);
}

#[test]
fn a_start_that_is_not_safe_or_not_possible_fails_and_says_why() {
    let folder = folder();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("empty", "\n");
    file("two-words", "two words");
    file("token.yaml", &format!("{TOKEN}\n"));
    file("unknown.yaml", "listen: 127.0.0.1:0\ntoken: abc\n");
    file("type.yaml", "allow_remote_plaintext: sometimes\n");
    file("listen.json", r#"{"listen": "0.0.0.0:0"}"#);
    Identity::new(&Ca::generate(), "127.0.0.1").write(folder.path());
    let key = std::fs::read_to_string(folder.path().join("key.pem")).unwrap();
    file("torn.pem", &key[..key.len() / 2]);
    file("other-key.pem", &Identity::new(&Ca::generate(), "127.0.0.1").key);
    file("encrypted.json", r#"{"encryptedKeyset": "AAAA", "keysetInfo": {"primaryKeyId": 1, "keyInfo": []}}"#);
    let _in_use = UnixListener::bind(folder.path().join("in-use.sock")).unwrap();

    let keyset = ["--keyset", "keyset.json"];
    let token = ["--token-file", "token"];
    let both = ["--keyset", "keyset.json", "--token-file", "token"];
    let cases: &[(&[&str], &[&str], &str)] = &[
        (&keyset, &[], "no bearer token"),
        (&keyset, &["--token-file", "empty"], "empty: the bearer token is empty"),
        (&keyset, &["--token-file", "two-words"], "visible ASCII"),
        (&keyset, &["--token-file", "missing"], "missing: No such file"),
        (&token, &[], "no KEK"),
        (&token, &["--kek-uri", "https://vault"], "a key URI is"),
        (&token, &["--kek-uri", "tink-keyset:other"], "there is no keyset other"),
        (&both, &["--kek-uri", "tink-keyset:other"], "there is no keyset other"),
        (&token, &["--keyset-kek-uri", "hcvault://v/transit/keys/k"], "is for a --keyset"),
        (&token, &["--kek-uri", "hcvault://v/transit/keys/k"], "Vault takes one of"),
        (
            &token,
            &["--kek-uri", "hcvault://v/transit/keys/k", "--vault-token-file", "t", "--vault-role-id", "r"],
            "Vault takes one of",
        ),
        (&token, &["--kek-uri", "hcvault://v/transit/keys/k", "--vault-role-id", "r"], "Vault takes one of"),
        (
            &token,
            &["--kek-uri", "hcvault://v/transit/keys/k", "--vault-token-file", "t", "--vault-ca-file", "token"],
            "token: no certificate",
        ),
        (
            &token,
            &["--kek-uri", TWO_OF_ONE_ID, "--vault-token-file", "t"],
            "two KEKs have the id hcvault:transit/keys/k",
        ),
        (
            &token,
            &["--keyset", "keyset.json", "--keyset-kek-uri", "hcvault://v/transit/keys/k", "--vault-token-file", "t"],
            "keyset.json: not a Tink JSON keyset encrypted",
        ),
        (&token, &["--keyset", "encrypted.json"], "encrypted.json: not a Tink JSON keyset in clear"),
        (&token, &["--keyset", "missing"], "missing: No such file"),
        (&token, &["--keyset", "token"], "token: not a Tink JSON keyset"),
        (&both, &["--keyset-name", "a b"], "letters, digits"),
        (&both, &["--keyset-name", ""], "letters, digits"),
        (&both, &["--listen", "localhost"], "IP:port or unix:/path"),
        (&both, &["--listen", "0.0.0.0:0"], "0.0.0.0:0 is not a loopback address"),
        (&both, &["--listen", "[::]:0"], "[::]:0 is not a loopback address"),
        (&both, &["--listen", "0.0.0.0:0", "--allow-remote-plaintext=false"], "not a loopback address"),
        (&both, &["--config", "listen.json"], "not a loopback address"),
        (&both, &["--tls-cert", "cert.pem"], "TLS takes --tls-cert and --tls-key"),
        (&both, &["--tls-key", "key.pem"], "TLS takes --tls-cert and --tls-key"),
        (&both, &["--tls-client-ca", "ca.pem"], "--tls-client-ca only with them"),
        (&both, &["--listen", "unix:s", "--tls-cert", "cert.pem", "--tls-key", "key.pem"], "TLS is for TCP"),
        (&both, &["--tls-cert", "missing", "--tls-key", "key.pem"], "missing: No such file"),
        (&both, &["--tls-cert", "empty", "--tls-key", "key.pem"], "empty: no certificate in PEM"),
        (&both, &["--tls-cert", "cert.pem", "--tls-key", "cert.pem"], "cert.pem: no private key in PEM"),
        (&both, &["--tls-cert", "cert.pem", "--tls-key", "other-key.pem"], "cert.pem: "),
        (&both, &["--tls-cert", "cert.pem", "--tls-key", "torn.pem"], "torn.pem: malformed PEM"),
        (
            &both,
            &["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-client-ca", "empty"],
            "empty: no certificate",
        ),
        (&both, &["--listen", "unix:in-use.sock"], "process listening on it"),
        (&both, &["--listen", "unix:token"], "is no socket"),
        (&both, &["--listen", "unix:missing/shim.sock"], "No such file"),
        (&both, &["--listen", "127.0.0.1:0", "--address-file", "missing/address"], "missing/address: "),
        (&both, &["--config", "missing"], "missing: No such file"),
        (&both, &["--config", "unknown.yaml"], "unknown field"),
        (&both, &["--config", "type.yaml"], "type.yaml: "),
        (&both, &["--config", "token.yaml"], "token.yaml: "),
        (&both, &["--token", TOKEN], "unexpected argument"),
        (&both, &["--log-level", "loud"], "invalid value"),
        (&both, &["--max-concurrent-requests", "0"], "invalid value"),
        (&both, &["--rate-limit", "0"], "invalid value"),
        (&both, &["--rate-burst", "5"], "--rate-burst is for a --rate-limit"),
        (&both, &["--listen", "127.0.0.1:0", "--operations-listen", "unix:token"], "is no socket"),
    ];
    for (first, second, reason) in cases {
        let output = run(folder.path(), &[&["serve"], *first, *second].concat());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{second:?}");
        assert!(said.contains(reason), "{second:?}: {said}");
        let quotes_the_command_line = second.contains(&"--token");
        assert!(quotes_the_command_line || !said.contains(TOKEN), "{second:?}: {said}");
    }
    for (value, reason) in [("", "the bearer token is empty"), ("a b", "visible ASCII")] {
        let mut command = program();
        command.current_dir(&folder).args(keyset).env("S3EP_KMS_SHIM_TOKEN", value);
        let said = String::from_utf8(finish(command).stderr).unwrap();
        assert!(said.contains(reason), "{value:?}: {said}");
    }
}

#[tokio::test]
async fn flags_come_before_environment_before_file_before_defaults() {
    let cases: &[(&[&str], &[&str], &str, &str)] = &[
        (&[], &[], "", "default"),
        (&[], &[], "keyset_name: file", "file"),
        (&[], &[], r#""keyset_name": "json""#, "json"),
        (&[], &["environment"], "keyset_name: file", "environment"),
        (&["--keyset-name", "flag"], &["environment"], "keyset_name: file", "flag"),
        (&["--keyset-name", "flag"], &[], "keyset_name: file", "flag"),
    ];
    for (flags, environment, file, name) in cases {
        let folder = folder();
        let json = file.starts_with('"');
        let common = if json {
            r#""listen": "127.0.0.1:0", "keyset": "keyset.json""#
        } else {
            "listen: 127.0.0.1:0\nkeyset: keyset.json"
        };
        let config = if json { format!("{{{common}, {file}}}") } else { format!("{common}\n{file}\n") };
        std::fs::write(folder.path().join("config"), config).unwrap();
        let mut command = program();
        command.args(*flags).env("S3EP_KMS_SHIM_CONFIG", "config").env("S3EP_KMS_SHIM_TOKEN", TOKEN);
        command.envs(environment.iter().map(|value| ("S3EP_KMS_SHIM_KEYSET_NAME", value)));
        let shim = Shim::spawn(command, folder.path());
        let wrapped = post(&shim.address, "/v1/wrap", &wrap_request(&DEK)).await;
        assert_eq!(wrapped.json["kek"], format!("tink-keyset:{name}"), "{flags:?} {environment:?} {file:?}");
    }
}

#[tokio::test]
async fn the_token_too_comes_from_flag_before_environment_before_file() {
    let cases: &[(bool, bool, bool, &str)] = &[
        (true, true, true, "from-flag"),
        (false, true, true, "from-environment"),
        (false, false, true, "from-file"),
        (false, true, false, "from-environment"),
        (true, true, false, "from-flag"),
    ];
    for (flag, environment, file, token) in cases {
        let folder = folder();
        std::fs::write(folder.path().join("flag"), "from-flag").unwrap();
        std::fs::write(folder.path().join("file"), "from-file").unwrap();
        let config = if *file { "listen: 127.0.0.1:0\ntoken_file: file\n" } else { "listen: 127.0.0.1:0\n" };
        std::fs::write(folder.path().join("config"), config).unwrap();
        let mut command = program();
        command.args(["serve", "--config", "config", "--keyset", "keyset.json"]);
        if *flag {
            command.args(["--token-file", "flag"]);
        }
        if *environment {
            command.env("S3EP_KMS_SHIM_TOKEN", "from-environment");
        }
        let shim = Shim::spawn(command, folder.path());
        for candidate in ["from-flag", "from-environment", "from-file"] {
            let answer =
                send(&shim.address, request("POST", "/v1/wrap", Some(candidate), wrap_request(&DEK).to_string())).await;
            let expected = if candidate == *token { 200 } else { 401 };
            assert_eq!(answer.status, expected, "{candidate} of {flag} {environment} {file}");
        }
    }
}

#[tokio::test]
async fn another_machine_is_let_in_only_when_that_is_written_out() {
    for (flags, environment) in [(vec!["--allow-remote-plaintext"], None), (vec![], Some("true"))] {
        let folder = folder();
        let mut command = program();
        command
            .args(["serve", "--listen", "0.0.0.0:0", "--keyset", "keyset.json", "--token-file", "token"])
            .args(flags);
        command.envs(environment.map(|value| ("S3EP_KMS_SHIM_ALLOW_REMOTE_PLAINTEXT", value)));
        let shim = Shim::spawn(command, folder.path());
        let (status, log) = shim.stop();
        assert!(status.success() && log.contains("DEKs cross it in clear"), "{log}");
    }
}

#[tokio::test]
async fn new_keys_are_private_never_overwritten_and_good() {
    let folder = tempfile::tempdir().unwrap();
    for (what, name) in [("keyset", "keyset.json"), ("master-key", "master")] {
        let path = folder.path().join(name);
        let made = run(folder.path(), &["keygen", what, "--out", name]);
        assert!(made.status.success() && made.stdout.is_empty() && made.stderr.is_empty(), "{made:?}");
        assert_eq!(mode(&path), 0o600, "{what}");

        let first = std::fs::read(&path).unwrap();
        let again = run(folder.path(), &["keygen", what, "--out", name]);
        assert!(!again.status.success(), "{what}");
        assert!(String::from_utf8(again.stderr).unwrap().contains("File exists"), "{what}");
        assert_eq!(std::fs::read(&path).unwrap(), first, "{what}");

        let printed = run(folder.path(), &["keygen", what]).stdout;
        assert_ne!(printed, first, "{what}: every key is new");
        assert_eq!(printed.last(), Some(&b'\n'), "{what}");
    }
    let master = std::fs::read_to_string(folder.path().join("master")).unwrap();
    assert_eq!(STANDARD.decode(master.trim_end()).unwrap().len(), 32);

    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let shim = Shim::start(folder.path(), &["--listen", "127.0.0.1:0"]);
    assert_eq!(get(&shim.address, "/readyz").await.status, 200);
}

/// The id of the key that wraps now, from Tink's prefix, once the shim unwraps what it wrapped.
async fn wrapping_key(shim: &Shim) -> u32 {
    let wrapped = post(&shim.address, "/v1/wrap", &wrap_request(&DEK)).await;
    let unwrapped = post(&shim.address, "/v1/unwrap", &unwrap_request(&wrapped.json)).await;
    assert_eq!(unwrapped.json["plaintext"], wrap_request(&DEK)["plaintext"]);
    let wrapped = STANDARD.decode(wrapped.json["wrapped"].as_str().unwrap()).unwrap();
    assert_eq!(wrapped[0], 1);
    u32::from_be_bytes(wrapped[1..5].try_into().unwrap())
}

async fn wait_for_wrapping_key(shim: &Shim, key_id: u32) {
    let is_there = async || {
        while wrapping_key(shim).await != key_id {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), is_there()).await.expect("the new primary is not used");
}

#[tokio::test]
async fn a_keyset_rotates_under_a_running_service() {
    let folder = folder();
    let keygen = |arguments: &[&str]| -> u32 {
        let output = run(folder.path(), &[&["keygen"], arguments, &["--keyset", "keyset.json"]].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    let file = folder.path().join("keyset.json");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let shim = Shim::start(folder.path(), &["--listen", "127.0.0.1:0"]);
    let old = wrapping_key(&shim).await;
    let wrapped_by_old = post(&shim.address, "/v1/wrap", &wrap_request(&DEK)).await.json;

    let new = keygen(&["add-key"]);
    assert_ne!(new, old);
    assert_eq!(mode(&file), 0o640, "the file's mode stays");
    shim.signal("-HUP");
    assert_eq!(wrapping_key(&shim).await, old, "a key that was added does not wrap yet");
    assert_eq!(keygen(&["promote", &new.to_string()]), new);
    shim.signal("-HUP");
    wait_for_wrapping_key(&shim, new).await;
    let unwrapped = post(&shim.address, "/v1/unwrap", &unwrap_request(&wrapped_by_old)).await;
    assert_eq!(unwrapped.json["plaintext"], wrap_request(&DEK)["plaintext"], "the old key unwraps");

    // Without a signal, the file is looked at every few seconds.
    keygen(&["promote", &old.to_string()]);
    wait_for_wrapping_key(&shim, old).await;

    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    shim.signal("-HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(wrapping_key(&shim).await, old, "half a keyset changes nothing");
    let (status, log) = shim.stop();
    assert!(status.success(), "{log}");
    assert!(log.contains("the keyset stays as it was error=keyset.json: not a Tink JSON keyset"), "{log}");
}

#[test]
fn only_an_enabled_key_is_promoted() {
    let folder = folder();
    let before = std::fs::read(folder.path().join("keyset.json")).unwrap();
    let output = run(folder.path(), &["keygen", "promote", "7", "--keyset", "keyset.json"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("no enabled key 7"), "{said}");
    assert_eq!(std::fs::read(folder.path().join("keyset.json")).unwrap(), before);
}

#[tokio::test]
async fn no_secret_gets_into_the_log() {
    for (format, level) in [("text", "trace"), ("json", "trace"), ("text", "warn"), ("json", "warn")] {
        let folder = folder();
        let shim =
            Shim::start(folder.path(), &["--listen", "127.0.0.1:0", "--log-level", level, "--log-format", format]);
        let address = shim.address.clone();
        let wrapped = post(&address, "/v1/wrap", &wrap_request(&DEK)).await.json;
        let unwrap = unwrap_request(&wrapped);
        assert_eq!(post(&address, "/v1/unwrap", &unwrap).await.status, 200);
        let mut forged = unwrap.clone();
        forged["context"]["key"] = "forged\nline".into();
        let mut request_with_id = request("POST", "/v1/unwrap", Some(TOKEN), forged.to_string());
        request_with_id.headers_mut().insert("x-request-id", "id-of-the-forged".parse().unwrap());
        assert_eq!(send(&address, request_with_id).await.status, 422);
        assert_eq!(post(&address, "/v1/unwrap", &wrap_request(&DEK)).await.status, 400);
        let wrong =
            send(&address, request("POST", "/v1/wrap", Some("wrong-token"), wrap_request(&DEK).to_string())).await;
        assert_eq!(wrong.status, 401);
        let query = format!("/v1/wrap?token={TOKEN}");
        assert_eq!(send(&address, request("POST", &query, None, "")).await.status, 401);

        let (status, log) = shim.stop();
        assert!(status.success());
        let keyset: Value = serde_json::from_slice(&std::fs::read(folder.path().join("keyset.json")).unwrap()).unwrap();
        let kek = keyset["key"][0]["keyData"]["value"].as_str().unwrap();
        let dek = STANDARD.encode(DEK);
        let as_list = format!("{DEK:?}");
        let wrapped = wrapped["wrapped"].as_str().unwrap();
        for secret in [TOKEN, "wrong-token", "thirty-two bytes", &dek, &as_list[1..30], kek, wrapped] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
        let debugs = level == "trace";
        let field =
            |status: u16| if format == "json" { format!("\"status\":{status}") } else { format!("status={status}") };
        for (status, times) in [(200, if debugs { 2 } else { 0 }), (400, 1), (401, 2), (422, 1)] {
            assert_eq!(log.matches(&field(status)).count(), times, "{status} in {log}");
        }
        // By its field: a time stamp may hold these digits, too.
        let failed = log.lines().find(|line| line.contains(&field(422))).unwrap();
        assert!(failed.contains("id-of-the-forged"), "{failed}");
        // Whose object it was is for debugging only, and forges no line.
        assert_eq!(log.contains("forged\\nline") || log.contains("forged\\\\nline"), debugs, "{log}");
        assert_eq!(log.contains("photos"), debugs, "{log}");
        assert!(!log.contains("forged\nline"), "{log}");
        if format == "json" {
            assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
        }
    }
}
