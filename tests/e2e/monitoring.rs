//! Alert rules and dashboard: they ask for metrics that there are, with words that there are, through the listener that
//! Prometheus may use.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::at_rest::AtRest;
use e2e::envoy_binary::on_path;
use e2e::plaintext::random;
use e2e::process::run;
use e2e::python::environment;
use e2e::stack::{Mode, Stack};
use e2e::store::StoreKind;
use e2e::workspace::{root, run_dir};
use serde_json::{Value, json};

use crate::stacks;

const FOLDER: &str = "envoy/monitoring";

fn read(file: &str) -> String {
    fs::read_to_string(root().join(FOLDER).join(file)).unwrap()
}

/// Every `expr` of the alert rules and the dashboard.
fn expressions() -> Vec<String> {
    let alerts: Value = serde_saphyr::from_str(&read("alerts.yml")).unwrap();
    let dashboard: Value = serde_json::from_str(&read("grafana/dashboards/s3ep.json")).unwrap();
    let (mut found, mut left) = (Vec::new(), vec![&alerts, &dashboard]);
    while let Some(value) = left.pop() {
        found.extend(value.get("expr").and_then(Value::as_str).map(str::to_owned));
        left.extend(value.as_array().into_iter().flatten());
        left.extend(value.as_object().into_iter().flat_map(|members| members.values()));
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

/// The words of an expression that name metrics.
fn metrics(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    let is_label = |word: &str| ["s3ep_operation", "s3ep_cause", "s3ep_call", "s3ep_outcome"].contains(&word);
    let is_metric = |word: &&str| {
        ["s3ep_", "kms_shim_", "envoy_server_", "envoy_http_down", "envoy_wasm_"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
            && !is_label(word)
    };
    words.filter(is_metric).map(str::to_owned).collect()
}

fn scraped(stack: &Stack, path: &str) -> String {
    let url = format!("{}{path}", stack.envoy.metrics_url);
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}

/// Uses all that is counted only once it happens.
fn use_everything(stack: &Stack) {
    stack.client.put("monitoring", &random(100_000, 1)).unwrap();
    stack.client.get("monitoring").unwrap();
    let mut object = AtRest::read(&stack.direct, "monitoring").unwrap();
    object.body[40] ^= 1;
    object.write(&stack.direct, "monitoring").unwrap();
    drop(stack.client.get("monitoring"));
}

#[test]
fn all_metrics_that_are_asked_for_are_there() {
    let stack = stacks::own(StoreKind::Embedded, Mode::Envelope, |builder| builder).unwrap();
    use_everything(&stack);
    let names = expressions().iter().flat_map(|expression| metrics(expression)).collect::<BTreeSet<_>>();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let missing = |names: &BTreeSet<String>| {
        let shown = scraped(&stack, "/stats/prometheus") + &scraped(&stack, "/kms-shim/metrics");
        let is_shown = |name: &str| shown.lines().any(|line| line.split(['{', ' ']).next() == Some(name));
        // What this kms-shim has not counted yet, because its KEK is no KMS and it has refused nobody, it does not show.
        let is_known = |name: &str| name.starts_with("kms_shim_") && readme.contains(&format!("`{name}`"));
        names.iter().filter(|name| !is_shown(name) && !is_known(name)).cloned().collect::<Vec<_>>()
    };
    // Workers' counts are merged now and then.
    let settled = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        missing(&names).is_empty()
    });
    assert!(settled, "{:?}", missing(&names));
}

#[test]
fn the_words_that_are_asked_for_stand_in_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for expression in expressions() {
        for words in expression.split("s3ep_cause=").skip(1).filter_map(|rest| rest.split('"').nth(1)) {
            for word in words.split('|') {
                assert!(readme.contains(&format!("`{word}`")), "{word} in {expression}");
            }
        }
    }
}

#[test]
fn the_admin_interface_stays_shut() {
    let stack = stacks::shared(StoreKind::Embedded, Mode::Envelope).unwrap();
    for path in ["/", "/config_dump", "/quitquitquit", "/stats/prometheus/", "/stats", "/v1/wrap"] {
        let answer = ureq::get(format!("{}{path}", stack.envoy.metrics_url)).call();
        assert!(matches!(answer, Err(ureq::Error::StatusCode(404))), "{path}: {answer:?}");
    }
    let posted = ureq::post(format!("{}/stats/prometheus", stack.envoy.metrics_url)).send_empty();
    assert!(matches!(posted, Err(ureq::Error::StatusCode(404))), "{posted:?}");
}

#[test]
fn grafana_knows_all_that_the_dashboard_is_made_of() {
    let python = environment("monitoring", "tests/e2e/monitoring/requirements.txt").unwrap().join("python");
    let check =
        |file: &Path| run(Command::new(&python).arg(root().join("tests/e2e/monitoring/dashboard.py")).arg(file));
    let dashboard = root().join(FOLDER).join("grafana/dashboards/s3ep.json");
    check(&dashboard).unwrap();

    let mut mistyped: Value = serde_json::from_slice(&fs::read(&dashboard).unwrap()).unwrap();
    mistyped["panels"][0]["fieldConfig"]["defaults"]["untis"] = json!("short");
    let folder = run_dir().unwrap();
    let file = folder.path().join("mistyped.json");
    fs::write(&file, mistyped.to_string()).unwrap();
    let error = check(&file).unwrap_err();
    assert!(format!("{error:#}").contains("panels[0].fieldConfig.defaults.untis"), "{error:#}");
}

#[test]
fn prometheus_takes_the_rules() {
    let Some(promtool) = on_path("promtool") else {
        return stacks::say("SKIPPED prometheus_takes_the_rules: it needs promtool, and there is none on the PATH");
    };
    run(Command::new(&promtool).args(["check", "rules"]).arg(root().join(FOLDER).join("alerts.yml"))).unwrap();
    run(Command::new(&promtool).args(["check", "config"]).arg(root().join(FOLDER).join("prometheus.yml"))).unwrap();
}
