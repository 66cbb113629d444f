//! A stream as others know it: something that may have gone.

use std::cell::RefCell;
use std::rc::Weak;

use crate::host;
use crate::stream::Stream;

/// Refers to a stream from outside of its own callbacks.
#[derive(Clone)]
pub struct Handle {
    context_id: u32,
    stream: Weak<RefCell<Stream>>,
}

impl Handle {
    /// The stream of this context.
    pub fn new(context_id: u32, stream: Weak<RefCell<Stream>>) -> Self {
        Self { context_id, stream }
    }

    /// Runs this on behalf of the stream, if it is still there, in a callback of the plugin's.
    pub fn run(&self, run: impl FnOnce(&mut Stream)) {
        let Some(stream) = self.stream.upgrade() else { return };
        match (host::act_for(self.context_id), stream.try_borrow_mut()) {
            (Ok(()), Ok(mut stream)) => run(&mut stream),
            _ => log::error!("s3ep: Envoy does not let a stream go on"),
        }
    }
}
