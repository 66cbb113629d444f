//! The plugin: what all streams of a VM share.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use s3ep_core::caches::Caches;
use s3ep_core::config::{Auth, Config};
use zeroize::Zeroizing;

use crate::handle::Handle;
use crate::host;
use crate::metrics::Metrics;
use crate::stream::StreamContext;
use crate::unwraps::Unwraps;

/// The root context.
#[derive(Default)]
pub struct Plugin {
    shared: Option<Rc<Shared>>,
}

/// What every stream needs.
pub struct Shared {
    /// The configuration, fixed once it is loaded.
    pub config: Config,
    /// What this VM remembers.
    pub caches: RefCell<Caches>,
    /// What it is asking kms-shim to unwrap.
    pub unwraps: Rc<RefCell<Unwraps>>,
    /// Whom the answers to calls are for that streams made in the plugin's callbacks.
    pub calls: RefCell<HashMap<u32, Handle>>,
    /// What it counts.
    pub metrics: Metrics,
}

impl Plugin {
    fn load(len: usize) -> Result<Shared, String> {
        let json = host::plugin_configuration(len).map_err(|error| format!("it could not be read: {error:?}"))?;
        let json = Zeroizing::new(json);
        let config = Config::parse(&json, &|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
        let caches = RefCell::new(Caches::new(&config));
        Ok(Shared { config, caches, unwraps: Rc::default(), calls: RefCell::default(), metrics: Metrics::default() })
    }
}

impl Context for Plugin {
    fn on_http_call_response(&mut self, token: u32, _: usize, body_len: usize, _: usize) {
        let Some(shared) = &self.shared else { return };
        let caller = shared.calls.borrow_mut().remove(&token);
        if let Some(caller) = caller {
            caller.run(|stream| stream.call_answered_by_plugin(token, body_len));
        }
    }
}

impl RootContext for Plugin {
    /// `false` makes Envoy refuse the listener.
    fn on_configure(&mut self, len: usize) -> bool {
        match Self::load(len) {
            Ok(shared) => {
                log::info!("s3ep: AES-256-GCM: {}", s3ep_gcm::IMPLEMENTATION);
                if matches!(shared.config.auth, Auth::None) {
                    log::warn!("s3ep: auth is none: this proxy signs for whoever reaches it");
                }
                self.shared = Some(Rc::new(shared));
                true
            }
            Err(problem) => {
                log::error!("s3ep: configuration refused: {problem}");
                false
            }
        }
    }

    /// Lets those go on who wait for a DEK that another stream has asked for.
    fn on_tick(&mut self) {
        if let Err(error) = host::set_tick(Duration::ZERO) {
            log::error!("s3ep: Envoy's timer does not stop: {error:?}");
        }
        let Some(shared) = &self.shared else { return };
        let ready = shared.unwraps.borrow_mut().take_ready();
        for (stream, outcome) in ready {
            stream.run(|stream| stream.unwrapped_by_another(outcome));
        }
    }

    fn create_http_context(&self, context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(StreamContext::new(context_id, self.shared.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
