//! One call to kms-shim for all streams that want the same DEK at the same time: an object that many start to read while
//! nobody knows its DEK is unwrapped once.
//!
//! The first stream asks and leads; the others join. They go on in the plugin's own callback a millisecond after the answer,
//! because in the leader's the SDK would bring it the answers to their further calls. A leader whose client leaves takes
//! its answer with it: then another one has to ask.

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem::take;
use std::rc::Rc;
use std::time::Duration;

use s3ep_core::error::KmsError;
use s3ep_core::exchange::Call;
use s3ep_core::format::metadata::WrappedDek;
use s3ep_core::keys::{Dek, ObjectName};

use crate::handle::Handle;
use crate::host;

/// How soon the plugin's callback comes: the shortest that the ABI can ask for.
const SOON: Duration = Duration::from_millis(1);

/// A DEK, as those who want it name it.
pub type Wanted = (WrappedDek, ObjectName);

/// What came of an unwrap. None: the one who asked has gone.
pub type Outcome = Option<Result<Dek, KmsError>>;

/// The unwraps under way in this VM.
#[derive(Default)]
pub struct Unwraps {
    /// For each, who waits beside its leader.
    joined: HashMap<Wanted, Vec<Handle>>,
    /// Whom the plugin's next callback is for.
    ready: Vec<(Handle, Outcome)>,
}

impl Unwraps {
    /// The DEK that a call asks to be unwrapped.
    pub fn wanted(call: &Call) -> Option<Wanted> {
        match call {
            Call::Unwrap(wrapped, name) => Some((wrapped.clone(), name.clone())),
            Call::Wrap(..) | Call::Store(_) => None,
        }
    }

    /// Waits with the others, if somebody has asked for this DEK already.
    pub fn join(&mut self, wanted: &Wanted, stream: &Handle) -> bool {
        self.joined.get_mut(wanted).map(|joined| joined.push(stream.clone())).is_some()
    }

    /// Those who wait no longer, with what came of it.
    pub fn take_ready(&mut self) -> Vec<(Handle, Outcome)> {
        take(&mut self.ready)
    }

    fn end(&mut self, wanted: &Wanted, outcome: &Outcome) {
        let joined = self.joined.remove(wanted).unwrap_or_default();
        self.ready.extend(joined.into_iter().map(|stream| (stream, outcome.clone())));
        if !self.ready.is_empty() && host::set_tick(SOON).is_err() {
            log::error!("s3ep: Envoy has no timer for the streams that wait for a DEK");
        }
    }
}

/// Held by the stream that asks for a DEK. Whoever joined it hears what came of it, at the latest when this is dropped.
pub struct Lead {
    unwraps: Rc<RefCell<Unwraps>>,
    wanted: Wanted,
    outcome: Outcome,
}

impl Lead {
    /// Takes the lead.
    pub fn new(unwraps: &Rc<RefCell<Unwraps>>, wanted: Wanted) -> Self {
        unwraps.borrow_mut().joined.insert(wanted.clone(), Vec::new());
        Self { unwraps: Rc::clone(unwraps), wanted, outcome: None }
    }

    /// Tells the others.
    pub fn end(mut self, outcome: Result<Dek, KmsError>) {
        self.outcome = Some(outcome);
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.unwraps.borrow_mut().end(&self.wanted, &self.outcome);
    }
}
