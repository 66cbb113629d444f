//! TLS between Envoy and kms-shim, where each has a certificate of a private CA, as envoy/envoy.yaml has it in comments.

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
            let [cert, key] = Identity::new(&Ca::generate(), "envoy").write_as(folder, "stranger");
            context["tls_certificates"] =
                json!([{ "certificate_chain": { "filename": cert }, "private_key": { "filename": key } }]);
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
        let [cert, key] = Identity::new(&shim_ca, "kms-shim").write_as(&folder, "shim");
        let [envoy_cert, envoy_key] = Identity::new(&envoy_ca, "envoy").write_as(&folder, "envoy");
        let envoy_ca = envoy_ca.write_as(&folder, "envoy-ca");
        let files: [(&str, &Path); 3] = [
            ("/etc/s3ep/envoy.pem", &envoy_cert),
            ("/etc/s3ep/envoy-key.pem", &envoy_key),
            ("/etc/s3ep/kms-shim-ca.pem", &shim_ca.write_as(&folder, "shim-ca")),
        ];
        let flags = [("--tls-cert", cert), ("--tls-key", key), ("--tls-client-ca", envoy_ca)];
        let flags = flags.into_iter().flat_map(|(flag, file)| [flag.into(), file.into_os_string()]);
        builder.tls(&files).unwrap().shim_arguments(flags).cluster("kms_shim", |cluster| {
            change(&mut cluster["transport_socket"]["typed_config"]["common_tls_context"], &folder);
        })
    });
    own.unwrap()
}
