//! What Envoy's access log can show of a stream: `%FILTER_STATE(wasm.s3ep_operation:PLAIN)%`, and so on. Object keys are not among it.

use s3ep_core::account::Account;
use s3ep_core::config::{Config, KeySource};

use crate::host;

/// Shows a stream that is over. `cause`: what it failed of, if it did so here.
pub fn show(account: &Account, config: &Config, cause: Option<&str>) {
    let fields = [
        ("s3ep_operation", account.operation),
        // As the client named it.
        ("s3ep_bucket", account.bucket.as_deref()),
        ("s3ep_mode", Some(mode(config))),
        ("s3ep_kek", account.kek.as_deref()),
        ("s3ep_cause", cause),
    ];
    for (name, value) in fields.into_iter().filter_map(|(name, value)| Some((name, value?))) {
        if let Err(error) = host::show(name, value) {
            log::debug!("s3ep: the access log does not take {name}: {error:?}");
        }
    }
}

fn mode(config: &Config) -> &'static str {
    match &config.keys {
        KeySource::Envelope(_) => "envelope",
        KeySource::Direct(_) => "direct",
    }
}
