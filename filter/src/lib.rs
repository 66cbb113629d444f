//! S3EP's filter: the glue between Envoy's proxy-wasm callbacks and [`s3ep_core`].
//!
//! It carries events into an [`Exchange`](s3ep_core::exchange::Exchange) and carries out what that answers. It decides
//! one thing only, in one place ([`stream`]): whether a failure can still be told in an error reply or must break the transfer.

mod access_log;
mod callout;
mod handle;
mod host;
mod metrics;
mod plugin;
mod stream;
mod trace;
mod unwraps;

#[allow(missing_docs, reason = "the macro makes a public `_initialize`")]
mod initialize {
    proxy_wasm::main! {{
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(crate::plugin::Plugin::default()));
    }}
}
