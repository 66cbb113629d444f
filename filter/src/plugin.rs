//! The plugin: what all streams of a VM share.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use s3ep_core::caches::Caches;
use s3ep_core::config::{Auth, Config};
use zeroize::Zeroizing;

use crate::host;
use crate::stream::Stream;

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
}

impl Plugin {
    fn load(len: usize) -> Result<Shared, String> {
        let json = host::plugin_configuration(len).map_err(|error| format!("it could not be read: {error:?}"))?;
        let json = Zeroizing::new(json);
        let config = Config::parse(&json, &|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
        let caches = RefCell::new(Caches::new(&config));
        Ok(Shared { config, caches })
    }
}

impl Context for Plugin {}

impl RootContext for Plugin {
    /// `false` makes Envoy refuse the listener.
    fn on_configure(&mut self, len: usize) -> bool {
        match Self::load(len) {
            Ok(shared) => {
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

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(self.shared.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
