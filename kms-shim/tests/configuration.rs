//! What flags, environment and file come to, as `--print-config` shows it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Shim, TOKEN, finish, folder, program};

/// What the program says on standard output, or, if it fails, on standard error.
fn printed(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Result<String, String> {
    let mut command = program();
    command.current_dir(folder).args(["serve", "--print-config"]).args(arguments);
    command.env("S3EP_KMS_SHIM_TOKEN", TOKEN).envs(environment.iter().copied());
    let output = finish(command);
    let said = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(said(output.stdout)) } else { Err(said(output.stderr)) }
}

fn parsed(yaml: &str) -> Value {
    serde_saphyr::from_str(yaml).unwrap()
}

/// Member (a dot leads into `gcp` or `vault`), default, and values for file, environment and flag.
const SETTINGS: &[(&str, &str, [&str; 3])] = &[
    ("listen", r#""127.0.0.1:8181""#, ["127.0.0.1:1", "127.0.0.1:2", "unix:s"]),
    ("tls_cert", "null", ["a", "b", "c"]),
    ("tls_key", "null", ["a", "b", "c"]),
    ("tls_client_ca", "null", ["a", "b", "c"]),
    ("allow_remote_plaintext", "false", ["true", "false", "true"]),
    ("address_file", "null", ["a", "b", "c"]),
    ("operations_listen", "null", ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]),
    ("max_connections", "1024", ["1", "2", "3"]),
    ("max_concurrent_requests", "512", ["1", "2", "3"]),
    ("rate_limit", "null", ["1", "2", "3"]),
    ("rate_burst", "null", ["1", "2", "3"]),
    (
        "kek_uri",
        "[]",
        [
            "hcvault://a/transit/keys/k",
            "hcvault://b/transit/keys/k",
            "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k",
        ],
    ),
    ("keyset", r#""keyset.json""#, ["keyset.json", "token", "keyset.json"]),
    ("keyset_name", r#""default""#, ["a", "b", "c"]),
    (
        "keyset_kek_uri",
        "null",
        ["hcvault://a/transit/keys/k", "hcvault://b/transit/keys/k", "aws-kms://arn:aws:kms:eu-west-1:1:key/1"],
    ),
    ("gcp.endpoint", "null", ["https://a", "https://b", "http://127.0.0.1:1"]),
    ("vault.namespace", "null", ["a", "b", "c"]),
    ("vault.ca_file", "null", ["a", "b", "c"]),
    ("vault.token_file", "null", ["a", "b", "c"]),
    ("vault.role_id", "null", ["a", "b", "c"]),
    ("vault.kubernetes_role", "null", ["a", "b", "c"]),
    ("log_level", r#""info""#, ["warn", "debug", "error"]),
    ("log_format", r#""text""#, ["json", "text", "json"]),
];

/// What a setting needs beside it.
fn companions(member: &str) -> &'static str {
    match member {
        "tls_cert" | "tls_key" | "tls_client_ca" => "tls_cert: cert\ntls_key: key\n",
        "rate_burst" => "rate_limit: 1\n",
        _ => "",
    }
}

fn in_file(member: &str, value: &str) -> String {
    match member.split_once('.') {
        Some((object, member)) => format!("{object}: {{ {member}: {value} }}\n"),
        None => format!("{member}: {value}\n"),
    }
}

fn config_with(member: &str, value: Option<&str>) -> String {
    let own = value.map(|value| in_file(member, value)).unwrap_or_default();
    let keyset = "keyset: keyset.json\n";
    [keyset, companions(member)]
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| value.is_none() || !line.starts_with(&format!("{member}:")))
        .fold(own, |config, line| format!("{config}{line}\n"))
}

#[test]
fn every_setting_comes_from_flag_before_environment_before_file_before_default() {
    let folder = folder();
    for (member, default, values @ [file, environment, flag]) in SETTINGS {
        let pointer = format!("/{}", member.replace('.', "/"));
        let variable = format!("S3EP_KMS_SHIM_{}", member.replace('.', "_").to_uppercase());
        let option = format!("--{}={flag}", member.replace(['.', '_'], "-"));
        let mut defaults = parsed(default);
        if companions(member).contains(&format!("{member}:")) {
            defaults = json!(member.strip_prefix("tls_"));
        } else if *member == "rate_burst" {
            defaults = json!(1);
        }
        let mut expected = vec![defaults];
        for value in values {
            let value = serde_saphyr::from_str::<Value>(value).unwrap();
            expected.push(if *member == "kek_uri" { json!([value]) } else { value });
        }
        for (sources, expected) in expected.iter().enumerate() {
            std::fs::write(folder.path().join("config"), config_with(member, (sources > 0).then_some(*file))).unwrap();
            let arguments: &[&str] = if sources > 2 { &[&option] } else { &[] };
            let mut environment = vec![("S3EP_KMS_SHIM_CONFIG", "config"), (&*variable, *environment)];
            environment.truncate(if sources > 1 { 2 } else { 1 });
            let text = printed(folder.path(), arguments, &environment);
            let text = text.unwrap_or_else(|error| panic!("{member} from {sources} sources: {error}"));
            assert_eq!(parsed(&text).pointer(&pointer), Some(expected), "{member} from {sources} sources: {text}");
            assert_eq!(printed_again(folder.path(), &text), text, "{member} from {sources} sources");
        }
    }
}

/// What is printed is a file that comes to the same.
fn printed_again(folder: &Path, text: &str) -> String {
    std::fs::write(folder.join("printed"), text).unwrap();
    printed(folder, &["--config", "printed"], &[]).unwrap()
}

#[test]
fn every_setting_is_printed_and_tested() {
    let folder = folder();
    let text = printed(folder.path(), &["--keyset", "keyset.json"], &[]).unwrap();
    let Value::Object(members) = parsed(&text) else { panic!("{text}") };
    // Where tokens come from has a test of its own, in program.rs.
    let others = ["token_file", "gcp", "vault"];
    for member in members.keys().filter(|member| !others.contains(&member.as_str())) {
        assert!(SETTINGS.iter().any(|(name, ..)| name == member), "{member}");
    }
    assert_eq!(members.len(), SETTINGS.iter().filter(|(name, ..)| !name.contains('.')).count() + others.len());
}

#[test]
fn secrets_are_not_printed() {
    let folder = folder();
    std::fs::write(folder.path().join("secret"), "a-secret-in-a-file").unwrap();
    let arguments = ["--keyset", "keyset.json", "--vault-role-id", "role"];
    let secrets = [("S3EP_KMS_SHIM_VAULT_TOKEN", "a-secret-token"), ("S3EP_KMS_SHIM_VAULT_SECRET_ID", "a-secret-id")];
    let text = printed(folder.path(), &arguments, &secrets).unwrap();
    for name in ["S3EP_KMS_SHIM_TOKEN", "S3EP_KMS_SHIM_VAULT_TOKEN", "S3EP_KMS_SHIM_VAULT_SECRET_ID"] {
        assert!(text.contains(&format!("# {name}: ***\n")), "{text}");
    }
    let keyset = std::fs::read_to_string(folder.path().join("keyset.json")).unwrap();
    let key = parsed(&keyset)["key"][0]["keyData"]["value"].as_str().unwrap().to_owned();
    assert!(!text.contains(TOKEN) && !text.contains("a-secret") && !text.contains(&key), "{text}");

    let arguments = ["--keyset", "keyset.json", "--token-file", "secret", "--vault-secret-id-file", "secret"];
    let text = printed(folder.path(), &arguments, &[]).unwrap();
    assert!(!text.contains("***") && !text.contains("a-secret"), "{text}");
    assert_eq!(parsed(&text)["token_file"], "secret");
}

#[test]
fn what_cannot_be_served_is_not_printed() {
    let folder = folder();
    let cases: &[(&str, &str)] = &[
        ("", "no KEK"),
        ("keyset: keyset.json\nlisten: 0.0.0.0:1\n", "not a loopback address"),
        ("keyset: keyset.json\nlisten: 127.0.0.1:0\nlisten: 127.0.0.1:1\n", "duplicate"),
        ("keyset: keyset.json\nListen: 127.0.0.1:0\n", "unknown field `Listen`"),
        ("keyset: keyset.json\nlog-level: info\n", "unknown field `log-level`"),
        ("keyset: keyset.json\nvault: { token: abc }\n", "unknown field `token`"),
        (r#"{"keyset": "keyset.json", "keysets": []}"#, "unknown field `keysets`"),
        ("keyset: keyset.json\nlog_level: loud\n", "unknown variant `loud`"),
        ("keyset: keyset.json\nmax_connections: 0\n", "expected a nonzero"),
    ];
    for (file, reason) in cases {
        std::fs::write(folder.path().join("config"), file).unwrap();
        let said = printed(folder.path(), &["--config", "config"], &[]).unwrap_err();
        assert!(said.contains(reason), "{file}: {said}");
    }
}

#[test]
fn names_of_s3_encryption_proxy_are_understood_or_refused_with_ours() {
    let folder = folder();
    let config = |text: &str| {
        std::fs::write(folder.path().join("config"), format!("keyset: keyset.json\n{text}\n")).unwrap();
        printed(folder.path(), &["--config", "config"], &[])
    };
    let text = config("bind_address: 127.0.0.1:0\nencryption_type: tink\nlog_level: warn").unwrap();
    assert_eq!((&parsed(&text)["listen"], &parsed(&text)["log_level"]), (&json!("127.0.0.1:0"), &json!("warn")));
    assert!(!text.contains("bind_address") && !text.contains("encryption_type"), "{text}");
    let shim = Shim::start(folder.path(), &["--config", "config"]);
    let (status, log) = shim.stop();
    assert!(status.success());
    assert!(log.contains("bind_address is called listen here"), "{log}");
    assert!(log.contains("encryption_type need not be said here"), "{log}");

    for (text, reason) in [
        ("bind_address: 127.0.0.1:0\nlisten: 127.0.0.1:1", "give one of them"),
        ("bind_address: ':8080'", "an address to listen on is IP:port"),
        ("encryption_type: aes256-gcm", "keys.direct.master_keys"),
        ("encryption_type: none", "encryption_type is tink"),
        ("aes_key: c2VjcmV0LXNlY3JldA==", "keys.direct.master_keys"),
        ("credentials_path: /c.json", "vault.token_file"),
    ] {
        let said = config(text).unwrap_err();
        assert!(said.contains(reason) && !said.contains("c2VjcmV0"), "{text}: {said}");
    }
}
