//! What istiod says to new objects, when the API server asks it.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::istiod::Istiod;

impl Istiod {
    /// Fails if it does not take an object.
    pub fn validate(&self, object: &Value) -> Result<()> {
        let answer = self.review("validate", object)?;
        ensure!(answer["allowed"] == true, "{} {}: {answer}", object["kind"], object["metadata"]["name"]);
        Ok(())
    }

    /// What it makes of a pod that is to have a proxy.
    pub fn inject(&self, pod: &Value) -> Result<Value> {
        let answer = self.review("inject", pod)?;
        let patch = answer["patch"].as_str().with_context(|| format!("no patch: {answer}"))?;
        let patch: Vec<Value> = serde_json::from_slice(&STANDARD.decode(patch)?)?;
        let mut pod = pod.clone();
        for operation in &patch {
            apply(&mut pod, operation).with_context(|| operation.to_string())?;
        }
        Ok(pod)
    }

    fn review(&self, webhook: &str, object: &Value) -> Result<Value> {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let review = json!({
            "apiVersion": "admission.k8s.io/v1",
            "kind": "AdmissionReview",
            "request": {
                "uid": "1",
                "kind": { "group": group, "version": version, "kind": object["kind"] },
                "namespace": object["metadata"]["namespace"],
                "operation": "CREATE",
                "object": object,
            },
        });
        let request = ureq::post(format!("http://{}/{webhook}", self.webhooks));
        let mut answer = request.header("content-type", "application/json").send(review.to_string())?;
        let answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        Ok(answer["response"].clone())
    }
}

/// One operation of a JSON Patch (RFC 6902), as far as istiod uses them.
fn apply(document: &mut Value, operation: &Value) -> Result<()> {
    let path = operation["path"].as_str().context("no path")?;
    let (parent, name) = path.rsplit_once('/').context("the whole document")?;
    let name = name.replace("~1", "/").replace("~0", "~");
    let value = operation["value"].clone();
    match (operation["op"].as_str(), document.pointer_mut(parent).context("no such place")?) {
        (Some("add" | "replace"), Value::Object(fields)) => drop(fields.insert(name, value)),
        (Some("remove"), Value::Object(fields)) => drop(fields.remove(&name).context("no such field")?),
        (Some("add"), Value::Array(members)) => members.insert(name.parse()?, value),
        (Some("replace"), Value::Array(members)) => members[name.parse::<usize>()?] = value,
        (Some("remove"), Value::Array(members)) => drop(members.remove(name.parse()?)),
        (operation, _) => anyhow::bail!("{operation:?}"),
    }
    Ok(())
}
