//! Nothing secret in what the filter logs, or in what clients and the store get to see.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod fake_envoy;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fake_envoy::{CallAnswer, Exchange, FakeKms, Headers, Request, Stack};
use proxy_wasm::types::LogLevel;
use serde_json::json;

const PLAINTEXT: &[u8] = b"a plaintext that is nobody else's business";

/// Things go right, and wrong in many ways.
fn scenario(stack: &mut Stack) -> Vec<Exchange> {
    let mut exchanges = vec![stack.put("/bucket/key", PLAINTEXT), stack.get("/bucket/key")];
    exchanges.push(stack.send(&Request::put("/bucket/key", PLAINTEXT).without("content-length")));
    exchanges.push(stack.send(&Request::put("/bucket/key?uploadId=u", PLAINTEXT)));
    exchanges.push(stack.send(&Request::put("/bucket/%", PLAINTEXT)));
    let garbled = format!(r#"{{"wrapped": "{}""#, STANDARD.encode([1; 32]));
    for answer in [CallAnswer::reset(), CallAnswer::new(200, garbled), CallAnswer::new(403, FakeKms::TOKEN)] {
        stack.kms.instead.push_back(answer);
        exchanges.push(stack.put("/bucket/other", PLAINTEXT));
        stack.kms.instead.clear();
    }
    let honest = stack.store.objects.clone();
    stack.store.object("/bucket/key").body[40] ^= 1;
    exchanges.push(stack.get("/bucket/key"));
    stack.store.object("/bucket/key").headers.set("x-amz-meta-s3ep-mac", "AAAA");
    exchanges.push(stack.get("/bucket/key"));
    stack.store.objects = honest;
    exchanges
}

fn secrets(stack: &Stack) -> Vec<Vec<u8>> {
    let mut secrets =
        vec![FakeKms::TOKEN.into(), Stack::MASTER_KEY.into(), STANDARD.decode(Stack::MASTER_KEY).unwrap()];
    for dek in &stack.kms.deks {
        let hex: String = dek.iter().map(|byte| format!("{byte:02x}")).collect();
        let debug = format!("{}, {}, {}", dek[0], dek[1], dek[2]);
        secrets.extend([dek.clone(), STANDARD.encode(dek).into(), hex.into(), debug.into()]);
    }
    secrets
}

fn assert_without(secrets: &[Vec<u8>], shown: &[u8], what: &str) {
    for secret in secrets {
        assert!(!shown.windows(secret.len()).any(|window| window == secret), "{what}: {secret:?}");
    }
}

fn headers_of(headers: &Option<Headers>) -> Vec<u8> {
    headers.as_ref().map(Headers::to_abi).unwrap_or_default()
}

#[test]
fn no_secret_gets_out() {
    for configuration in Stack::both_modes() {
        let mut stack = Stack::start(&configuration);
        proxy_wasm::set_log_level(LogLevel::Trace);
        let exchanges = scenario(&mut stack);
        let (secrets, plaintext) = (secrets(&stack), vec![PLAINTEXT.to_vec()]);
        let logs = stack.envoy.logs();
        assert!(logs.len() > 3, "the failures were logged");
        for line in logs {
            assert_without(&secrets, line.message.as_bytes(), "a log line");
            assert_without(&plaintext, line.message.as_bytes(), "a log line");
        }
        for exchange in exchanges {
            let (client, upstream) = (&exchange.client, &exchange.upstream);
            for shown in [&client.body, &upstream.body, &headers_of(&client.headers), &headers_of(&upstream.headers)] {
                assert_without(&secrets, shown, "a message");
            }
            assert_without(&plaintext, &upstream.body, "the store's side");
            assert!(client.status() == 200 || !client.body.windows(PLAINTEXT.len()).any(|window| window == PLAINTEXT));
        }
        for request in &stack.store.requests {
            assert_without(&secrets, &headers_of(&request.headers), "a request to the store");
        }
    }
}

#[test]
fn a_refused_configuration_shows_no_secret() {
    for token in [format!("{}\n", FakeKms::TOKEN), format!("{} ü", FakeKms::TOKEN)] {
        let mut configuration = Stack::envelope_configuration();
        configuration["keys"]["envelope"]["token"] = json!(token);
        let logs = fake_envoy::FakeEnvoy::start(&configuration.to_string(), &[]).unwrap_err().0;
        assert!(logs.iter().all(|line| !line.message.contains(FakeKms::TOKEN)), "{logs:?}");
    }
}
