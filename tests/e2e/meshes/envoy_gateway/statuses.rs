//! What Envoy Gateway says of the manifests. Without Kubernetes it logs what would be the resources' status.

use std::collections::BTreeMap;

use serde_json::Value;

use super::standalone::{Standalone, wait_until};

/// The resources of the manifests that have a status. Without Kubernetes, an EnvoyProxy has lost its kind.
const RESOURCES: [&str; 9] = [
    "Backend s3ep/s3",
    "BackendTLSPolicy s3ep/s3",
    "BackendTrafficPolicy s3ep/s3ep",
    "ClientTrafficPolicy s3ep/s3ep",
    "EnvoyExtensionPolicy s3ep/s3ep",
    "EnvoyPatchPolicy s3ep/s3ep",
    "Gateway s3ep/s3ep",
    "HTTPRoute s3ep/s3ep",
    "Unknown s3ep/s3ep",
];

/// Every condition is met, and nothing went wrong.
pub fn check(gateway: &Standalone) {
    for (resource, status) in statuses(gateway) {
        let mut conditions = Vec::new();
        collect(&status, &mut conditions);
        let is_met = |condition: &Value| condition["status"] == "True" || has_no_address(&resource, condition);
        assert!(conditions.iter().any(|condition| condition["type"] == "Accepted"), "{resource}: {status}");
        assert!(conditions.iter().all(|condition| is_met(condition)), "{resource}: {status}");
    }
    let log = gateway.log();
    let errors: Vec<_> =
        entries(&log).filter(|entry| entry["level"] == "error" && !is_of_the_provider(entry)).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert!(!log.contains("rejected"), "Envoy has rejected something");
}

/// There is no Service that would give the Gateway one.
fn has_no_address(resource: &str, condition: &Value) -> bool {
    resource == "Gateway s3ep/s3ep" && condition["type"] == "Programmed" && condition["reason"] == "AddressNotAssigned"
}

/// The provider of files cannot show a GatewayClass's second status.
fn is_of_the_provider(entry: &Value) -> bool {
    entry["msg"] == "failed to log status" && entry["key"] == "/envoy-gateway"
}

/// The last status of every resource.
fn statuses(gateway: &Standalone) -> BTreeMap<String, Value> {
    wait_until("a status for every resource", || {
        let statuses: BTreeMap<_, _> = entries(&gateway.log()).filter_map(|entry| status(&entry)).collect();
        RESOURCES.iter().all(|resource| statuses.contains_key(*resource)).then_some(statuses)
    })
}

fn entries(log: &str) -> impl Iterator<Item = Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn status(entry: &Value) -> Option<(String, Value)> {
    let (kind, status) = entry["msg"].as_str()?.strip_prefix("Got new status for ")?.split_once('\n')?;
    Some((format!("{kind} {}", entry["key"].as_str()?), serde_saphyr::from_str(status).unwrap()))
}

/// All conditions, at whatever depth.
fn collect<'a>(status: &'a Value, conditions: &mut Vec<&'a Value>) {
    match status {
        Value::Object(fields) => {
            conditions.extend(fields.get("conditions").and_then(Value::as_array).into_iter().flatten());
            fields.values().for_each(|value| collect(value, conditions));
        }
        Value::Array(members) => members.iter().for_each(|member| collect(member, conditions)),
        _ => {}
    }
}
