//! The whole stack with each KMS: what is bound to it, and what its failure does.

use std::path::Path;
use std::process::Command;
use std::slice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use e2e::at_rest::{AtRest, OUR_METADATA, Refusal, refusal};
use e2e::kms::gcp::Fault;
use e2e::kms::moto::Moto;
use e2e::kms::openbao::OpenBao;
use e2e::kms::{self, Kms};
use e2e::plaintext::random;
use e2e::process::run;
use e2e::python;
use e2e::s3ep;
use e2e::shim::{Shim, ShimOptions};
use e2e::stack::{BUCKET, Mode, Stack};
use e2e::store::StoreKind;
use e2e::workspace::{root, run_dir};
use serde_json::{Value, json};

use crate::stacks::{self, LogsOnPanic, setup};

const OBJECT_KEY: &str = "kms/object";
const LOADERS: usize = 4;

#[test]
fn aws() {
    let folder = run_dir().unwrap();
    check_whole_stack(&mut Moto::start(folder.path()).unwrap());
}

#[test]
fn vault() {
    let folder = run_dir().unwrap();
    let mut bao = OpenBao::start(folder.path()).unwrap();
    let stack = check_whole_stack(&mut bao);
    bao.revoke_tokens().unwrap();
    stack.client.put(OBJECT_KEY, b"wrapped after another login").unwrap();
    bao.deny().unwrap();
    assert_denied(&stack);
}

#[test]
fn gcp() {
    let mut gcp = kms::gcp();
    let stack = check_whole_stack(&mut gcp);
    gcp.set_fault(Fault::Denied);
    assert_denied(&stack);
}

fn check_whole_stack(kms: &mut dyn Kms) -> Stack {
    let own = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| {
        builder.plugin(forgetful).kms(kms).expect("the KMS's environment")
    });
    let stack = own.unwrap();
    let logs = LogsOnPanic(&stack);
    check_context(&stack);
    check_key(&stack, &kms.ids());
    check_without_envoy(&stack, kms);
    check_outage(&stack, kms);
    drop(logs);
    stack
}

fn assert_denied(stack: &Stack) {
    let put = stack.client.object("PUT", "kms/denied").send(b"plaintext").unwrap();
    assert_eq!((put.status, put.error_code().unwrap().as_str()), (403, "AccessDenied"), "{put:?}");
    assert_eq!(stack.direct.object("HEAD", "kms/denied").send(&[]).unwrap().status, 404);
}

/// DEKs are asked for again soon.
fn forgetful(plugin: &mut Value) {
    plugin["dek_cache"] = json!({ "ttl_seconds": 1 });
}

/// What the store moves to another name is refused.
fn check_context(stack: &Stack) {
    let (plaintext, object) = sealed(stack);
    object.write(&stack.direct, "kms/moved").unwrap();
    assert_refused(stack, "kms/moved", &plaintext);
}

/// What the store puts down to another key is refused.
fn check_key(stack: &Stack, [first, second]: &[String; 2]) {
    let (plaintext, object) = sealed(stack);
    assert_eq!(object.ours("kek"), Some(&**first));
    let mut other = object.clone();
    let (_, kek) = other.metadata.iter_mut().find(|(name, _)| *name == format!("{OUR_METADATA}kek")).unwrap();
    kek.clone_from(second);
    other.write(&stack.direct, "kms/other").unwrap();
    assert_refused(stack, "kms/other", &plaintext);
}

/// `s3ep` reads with the KMS alone, and moves an object to its other key, under which Envoy reads it.
fn check_without_envoy(stack: &Stack, kms: &dyn Kms) {
    let (plaintext, _) = sealed(stack);
    let url = format!("s3://{BUCKET}/{OBJECT_KEY}");
    let s3ep =
        |keks: &[String], arguments: &[&str]| s3ep::run(s3ep::with_kms(stack, kms, keks, arguments).unwrap()).unwrap();
    let [first, second] = kms.keks();
    assert!(s3ep(slice::from_ref(&first), &["decrypt", &url]).ok().unwrap().out == plaintext);
    assert!(!s3ep(slice::from_ref(&second), &["decrypt", &url]).is_success);
    let moved = s3ep(slice::from_ref(&first), &["decrypt", &format!("s3://{BUCKET}/kms/moved")]);
    assert!(!moved.is_success && moved.out.is_empty(), "{}", moved.err);

    s3ep(&[second.clone(), first], &["rewrap", &url]).ok().unwrap();
    let [_, second_id] = kms.ids();
    assert_eq!(AtRest::read(&stack.direct, OBJECT_KEY).unwrap().ours("kek"), Some(&*second_id));
    assert!(s3ep(&[second], &["decrypt", &url]).ok().unwrap().out == plaintext);
    assert!(stack.client.get(OBJECT_KEY).unwrap().body == plaintext);
}

fn sealed(stack: &Stack) -> (Vec<u8>, AtRest) {
    let plaintext = random(100_000, 1);
    stack.client.put(OBJECT_KEY, &plaintext).unwrap();
    assert!(stack.client.get(OBJECT_KEY).unwrap().body == plaintext);
    let object = AtRest::read(&stack.direct, OBJECT_KEY).unwrap();
    object.check_sealed(&plaintext).unwrap();
    (plaintext, object)
}

fn assert_refused(stack: &Stack, object_key: &str, plaintext: &[u8]) {
    let answer = stack.client.object("GET", object_key).send(&[]).unwrap();
    let refused = refusal(&answer, plaintext).unwrap();
    assert_eq!(refused, Refusal::Error { status: 502, code: "InternalError".to_owned() }, "{object_key}");
}

/// One answer to a PUT under load, and the object key.
type Put = (String, u16);

/// While the KMS is stopped, requests that need it are 503 and store nothing; before and after, all is well.
fn check_outage(stack: &Stack, kms: &mut dyn Kms) {
    let ended = &AtomicBool::new(false);
    let (puts, is_used): (Vec<Put>, bool) = thread::scope(|scope| {
        let load = |loader| scope.spawn(move || load(stack, loader, ended));
        let loaders: Vec<_> = (0..LOADERS).map(load).collect();
        thread::sleep(Duration::from_secs(1));
        kms.stop().unwrap();
        thread::sleep(Duration::from_secs(7));
        kms.resume().unwrap();
        let is_used = is_used_again(stack);
        ended.store(true, Ordering::Relaxed);
        (loaders.into_iter().flat_map(|loader| loader.join().unwrap()).collect(), is_used)
    });
    assert!(is_used, "the KMS is back, and not used");
    for status in [200, 503] {
        assert!(puts.iter().any(|(_, answered)| *answered == status), "no {status} in {puts:?}");
    }
    for (object_key, status) in &puts {
        let stored = stack.direct.object("HEAD", object_key).send(&[]).unwrap().status;
        assert_eq!(stored, if *status == 200 { 200 } else { 404 }, "{object_key}");
    }
    let (object_key, _) = puts.iter().rfind(|(_, status)| *status == 200).unwrap();
    assert_eq!(stack.client.get(object_key).unwrap().body, object_key.as_bytes());
}

/// PUTs and reads until it is ended. Whatever is not 200 is a 503 of S3's.
fn load(stack: &Stack, loader: usize, ended: &AtomicBool) -> Vec<Put> {
    let mut puts = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        let object_key = format!("kms/load/{loader}/{}", puts.len());
        let put = stack.client.object("PUT", &object_key).send(object_key.as_bytes()).unwrap();
        let get = stack.client.object("GET", OBJECT_KEY).send(&[]).unwrap();
        for answer in [&put, &get] {
            assert!(answer.status == 200 || answer.error_code().unwrap() == "ServiceUnavailable", "{answer:?}");
        }
        puts.push((object_key, put.status));
        thread::sleep(Duration::from_millis(20));
    }
    puts
}

fn is_used_again(stack: &Stack) -> bool {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if stack.client.object("PUT", "kms/again").send(b"plaintext").unwrap().status == 200 {
            return true;
        }
        thread::sleep(Duration::from_millis(100));
    }
    false
}

/// One call reads the keyset at start; 10,000 PUTs of 1 KiB through Envoy make none, nor do reads.
#[test]
fn a_keyset_that_a_kms_encrypts_asks_it_at_start_alone() {
    const PUTS: usize = 10_000;
    const CLIENTS: usize = 8;
    let folder = run_dir().unwrap();
    let mut moto = Moto::start(folder.path()).unwrap();
    let own = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| {
        builder.plugin(forgetful).keyset_encrypted_by(&moto).expect("the KMS's environment")
    });
    let stack = own.unwrap();
    let _logs = LogsOnPanic(&stack);
    let at_start = moto.calls();
    assert!(at_start > 0, "the keyset was read without its KMS");
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let stack = &stack;
            scope.spawn(move || {
                for number in 0..PUTS / CLIENTS {
                    stack.client.put(&format!("kms/{client}/{number}"), &random(1024, number as u64)).unwrap();
                }
            });
        }
    });
    let asked = stack.envoy.stat("cluster.kms_shim.upstream_rq_total").unwrap();
    assert!(asked >= PUTS as u64, "{asked} wraps for {PUTS} PUTs");
    assert_eq!(moto.calls(), at_start);
    moto.stop().unwrap();
    check_context(&stack);
}

#[test]
fn tink_opens_keysets_that_aws_kms_encrypts_and_makes_such_as_open_here() {
    let folder = run_dir().unwrap();
    let moto = Moto::start(folder.path()).unwrap();
    let [kek, _] = moto.keks();
    let environment = moto.environment(folder.path()).unwrap();
    let options = ShimOptions { environment: environment.clone(), keyset_kek: Some(kek.clone()), ..Default::default() };
    let shim = Shim::start(&setup().shim, folder.path(), &options).unwrap();
    let python = python::environment("tink", "tests/e2e/kms_servers/tink.txt").unwrap().join("python");
    let tink = |command: &str, keyset: &Path, arguments: &[&str]| -> String {
        let mut tink = Command::new(&python);
        tink.arg("-B").arg(root().join("tests/e2e/kms_servers/tink_keyset.py")).arg(command).arg(keyset).arg(&kek);
        let output = run(tink.args(arguments).envs(environment.iter().map(|(name, value)| (name, value)))).unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };

    let dek = STANDARD.encode([7; 32]);
    let request = json!({ "plaintext": dek, "context": { "bucket": "photos", "key": "2024/ü.jpg" } });
    let call = ureq::post(format!("http://{}/v1/wrap", shim.address));
    let mut answer = call.header("authorization", format!("Bearer {}", shim.token)).send(request.to_string()).unwrap();
    let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
    let wrapped = answer["wrapped"].as_str().unwrap();
    assert_eq!(tink("unwrap", &shim.keyset, &["photos", "2024/ü.jpg", wrapped]), dek);

    let theirs = folder.path().join("theirs.json");
    tink("make", &theirs, &[]);
    let mut keygen = Command::new(&setup().shim);
    keygen.args(["keygen", "add-key", "--keyset-kek-uri", &kek, "--keyset"]).arg(&theirs);
    run(keygen.envs(environment.iter().map(|(name, value)| (name, value)))).unwrap();
    assert_eq!(tink("size", &theirs, &[]), "2");
}
