//! The hostcalls that the filter imports, over this thread's [`Host`], with Envoy's rules and return values
//! (`source/extensions/common/wasm/context.cc` in Envoy, `src/exports.cc` in proxy-wasm-cpp-host).
//!
//! They run on the filter's stack, where a panic would count as the filter's: what no filter may do is noted as a
//! violation, and the driver panics once the callback has returned.

mod messages;
mod streams;
mod surroundings;

use proxy_wasm::types::Status;

use super::abi::proxy_on_memory_allocate;
use super::host::{Host, host};

/// Reads what the filter points at.
///
/// # Safety
/// `data` points at `size` bytes, or is null.
unsafe fn bytes<'a>(data: *const u8, size: usize) -> &'a [u8] {
    if data.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(data, size) } }
}

/// Hands bytes over in memory that the filter allocates, and will free. No bytes are a null pointer.
///
/// # Safety
/// Both out-pointers are writable.
unsafe fn give(bytes: &[u8], data: *mut *mut u8, size: *mut usize) -> Status {
    unsafe {
        *size = bytes.len();
        *data = if bytes.is_empty() { std::ptr::null_mut() } else { proxy_on_memory_allocate(bytes.len()) };
        if !bytes.is_empty() {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), *data, bytes.len());
        }
    }
    Status::Ok
}

/// Runs a hostcall and counts it, unless a test wants it to fail.
fn hostcall<R>(name: &str, run: impl FnOnce(&mut Host) -> Result<R, Status>) -> Result<R, Status> {
    host(|host| match host.enter(name) {
        Some(status) => Err(status),
        None => run(host),
    })
}

fn status_of(result: Result<(), Status>) -> Status {
    result.err().unwrap_or(Status::Ok)
}
