//! The filter's side of the ABI: what Envoy calls, and what happens when the filter panics in there.

use std::cell::Cell;
use std::panic;
use std::sync::Once;

use proxy_wasm::types::{Action, LogLevel};
// The filter's crate is used for its symbols alone.
use s3ep_filter as _;

use super::host::{AfterCallback, host};
use super::trap::trap;

unsafe extern "C" {
    fn _initialize();
    pub safe fn proxy_on_memory_allocate(size: usize) -> *mut u8;
    pub safe fn proxy_on_context_create(context: u32, root: u32);
    pub safe fn proxy_on_vm_start(root: u32, configuration_size: usize) -> bool;
    pub safe fn proxy_on_configure(root: u32, configuration_size: usize) -> bool;
    pub safe fn proxy_on_request_headers(context: u32, count: usize, is_end: bool) -> Action;
    pub safe fn proxy_on_request_body(context: u32, size: usize, is_end: bool) -> Action;
    pub safe fn proxy_on_request_trailers(context: u32, count: usize) -> Action;
    pub safe fn proxy_on_response_headers(context: u32, count: usize, is_end: bool) -> Action;
    pub safe fn proxy_on_response_body(context: u32, size: usize, is_end: bool) -> Action;
    pub safe fn proxy_on_response_trailers(context: u32, count: usize) -> Action;
    pub safe fn proxy_on_http_call_response(root: u32, token: u32, headers: usize, body: usize, trailers: usize);
    pub safe fn proxy_on_tick(root: u32);
    pub safe fn proxy_on_log(context: u32);
    pub safe fn proxy_on_done(context: u32) -> bool;
    pub safe fn proxy_on_delete(context: u32);
}

thread_local! {
    static IN_FILTER: Cell<bool> = const { Cell::new(false) };
}

/// Loads the filter into this thread. With its logger the SDK sets, once, a panic hook that only logs: ours takes its place.
pub fn initialize() {
    static FIRST: Once = Once::new();
    FIRST.call_once(|| {
        let default_hook = panic::take_hook();
        proxy_wasm::set_log_level(LogLevel::Info);
        panic::set_hook(Box::new(move |info| {
            if IN_FILTER.get() {
                trap(&info.to_string());
            }
            default_hook(info);
        }));
    });
    // SAFETY: what Envoy calls first in a new VM, and to the SDK a thread is a VM.
    unsafe { _initialize() };
}

/// Calls into the filter on behalf of a context.
pub fn call<R>(context: u32, callback: impl FnOnce() -> R) -> R {
    host(|host| (host.current, host.effective) = (context, context));
    IN_FILTER.set(true);
    let result = callback();
    IN_FILTER.set(false);
    result
}

/// Whether the callback that just returned ended its stream. Envoy then heeds no `Continue`.
pub fn ended_its_stream(context: u32) -> bool {
    host(|host| {
        host.after_callback.iter().any(|action| match action {
            AfterCallback::Close(id) | AfterCallback::Reply(id, _) => *id == context,
            AfterCallback::Continue(..) => false,
        })
    })
}
