//! TLS between Envoy and kms-shim, where each has a certificate of a private CA, as envoy.yaml's comment has it.

use std::fs;
use std::path::Path;

use e2e::pki::{Ca, Identity};
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use serde_json::{Value, json};

use crate::stacks::{self, LogsOnPanic};

/// Changes Envoy's `common_tls_context`, given the folder of the certificates.
type Change = fn(&mut Value, &Path);

#[test]
fn a_dek_crosses_between_two_who_know_each_other() {
    let stack = stack_over_tls(|_, _| {});
    let _logs = LogsOnPanic(&stack);
    stack.client.put("kms/tls", b"plaintext").unwrap();
    assert_eq!(stack.client.get("kms/tls").unwrap().body, b"plaintext");
    assert!(stack.envoy.stat("cluster.kms_shim.ssl.handshake").unwrap() >= 1);
}

#[test]
fn no_dek_crosses_when_one_does_not_know_the_other() {
    let cases: [(&str, Change); 4] = [
        ("Envoy without a certificate", |context, _| drop(context.as_object_mut().unwrap().remove("tls_certificates"))),
        ("Envoy with a certificate of another CA", |context, folder| {
            identity(&Ca::generate(), "envoy", folder, "stranger");
            context["tls_certificates"] = certificates(folder, "stranger");
        }),
        ("kms-shim with a certificate of another CA", |context, folder| {
            context["validation_context"]["trusted_ca"]["filename"] = json!(folder.join("envoy-ca.pem"));
        }),
        ("kms-shim with a certificate for another name", |context, _| {
            context["validation_context"]["match_typed_subject_alt_names"][0]["matcher"]["exact"] = json!("other");
        }),
    ];
    for (case, change) in cases {
        let stack = stack_over_tls(change);
        let _logs = LogsOnPanic(&stack);
        let put = stack.client.object("PUT", "kms/tls").send(b"plaintext").unwrap();
        let put = put.expect(503).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(put.error_code().unwrap(), "ServiceUnavailable", "{case}");
        assert_eq!(stack.direct.object("HEAD", "kms/tls").send(&[]).unwrap().status, 404, "{case}: stored");
    }
}

fn stack_over_tls(change: Change) -> Stack {
    let own = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| {
        let folder = builder.folder();
        let (shim_ca, envoy_ca) = (Ca::generate(), Ca::generate());
        fs::write(folder.join("shim-ca.pem"), shim_ca.pem()).unwrap();
        fs::write(folder.join("envoy-ca.pem"), envoy_ca.pem()).unwrap();
        identity(&shim_ca, "kms-shim", &folder, "shim");
        identity(&envoy_ca, "envoy", &folder, "envoy");
        let mut context = json!({
            "tls_certificates": certificates(&folder, "envoy"),
            "validation_context": {
                "trusted_ca": { "filename": folder.join("shim-ca.pem") },
                "match_typed_subject_alt_names": [{ "san_type": "DNS", "matcher": { "exact": "kms-shim" } }],
            },
        });
        change(&mut context, &folder);
        let files = [("--tls-cert", "shim.pem"), ("--tls-key", "shim-key.pem"), ("--tls-client-ca", "envoy-ca.pem")];
        let flags = files.into_iter().flat_map(|(flag, file)| [flag.into(), folder.join(file).into_os_string()]);
        builder.shim_arguments(flags).cluster("kms_shim", |cluster| cluster["transport_socket"] = tls(&context))
    });
    own.unwrap()
}

fn tls(common_tls_context: &Value) -> Value {
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "kms-shim",
            "common_tls_context": common_tls_context,
        },
    })
}

/// Makes `who.pem` and `who-key.pem`.
fn identity(ca: &Ca, name: &str, folder: &Path, who: &str) {
    let identity = Identity::new(ca, name);
    fs::write(folder.join(format!("{who}.pem")), identity.certificate).unwrap();
    fs::write(folder.join(format!("{who}-key.pem")), identity.key).unwrap();
}

fn certificates(folder: &Path, who: &str) -> Value {
    json!([{
        "certificate_chain": { "filename": folder.join(format!("{who}.pem")) },
        "private_key": { "filename": folder.join(format!("{who}-key.pem")) },
    }])
}
