//! What becomes of a stream, and calls on its behalf.

use proxy_wasm::types::{Status, StreamType};

use super::{bytes, hostcall, status_of};
use crate::fake_envoy::headers::Headers;
use crate::fake_envoy::host::{AfterCallback, Direction, Host, HttpCall, LocalReply};

/// Defers an action on the stream until the callback has returned.
fn defer(name: &str, action: impl FnOnce(&mut Host, u32) -> AfterCallback) -> Status {
    status_of(hostcall(name, |host| {
        let id = host.effective;
        let Some(stream) = host.stream() else {
            host.violate(format!("{name} outside a stream"));
            return Err(Status::BadArgument);
        };
        if stream.replied || stream.closed || stream.deleted {
            host.violate(format!("{name} after a local reply, a reset or the end of the stream"));
            return Ok(());
        }
        let action = action(host, id);
        host.after_callback.push_back(action);
        Ok(())
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_continue_stream(kind: StreamType) -> Status {
    defer("proxy_continue_stream", |host, id| {
        let direction = if kind == StreamType::HttpRequest { Direction::Request } else { Direction::Response };
        if host.in_headers == Some(direction) {
            host.violate("proxy_continue_stream within the headers callback that is to be continued");
        }
        // As in Envoy: from here on the headers are out of reach.
        if let Some(stream) = host.stream() {
            stream.half(direction).open_headers = false;
        }
        AfterCallback::Continue(id, direction)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_close_stream(_kind: StreamType) -> Status {
    defer("proxy_close_stream", |host, id| {
        host.stream().unwrap().closed = true;
        AfterCallback::Close(id)
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_send_local_response(
    status: u32,
    _details: *const u8,
    _details_size: usize,
    body: *const u8,
    body_size: usize,
    headers: *const u8,
    headers_size: usize,
    _grpc_status: i32,
) -> Status {
    let (body, headers) = unsafe { (bytes(body, body_size).to_vec(), bytes(headers, headers_size)) };
    let reply = LocalReply { status, headers: Headers::from_abi(headers), body };
    defer("proxy_send_local_response", |host, id| {
        if host.stream().unwrap().response.peer.headers.is_some() {
            host.violate("proxy_send_local_response after the response's headers went out: no more than a reset");
        }
        host.stream().unwrap().replied = true;
        AfterCallback::Reply(id, reply)
    })
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_effective_context(context_id: u32) -> Status {
    status_of(hostcall("proxy_set_effective_context", |host| {
        let is_alive = host.streams.get(&context_id).is_some_and(|stream| !stream.deleted);
        if !is_alive && context_id != host.root {
            return Err(Status::BadArgument);
        }
        host.effective = context_id;
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_http_call(
    cluster: *const u8,
    cluster_size: usize,
    headers: *const u8,
    headers_size: usize,
    body: *const u8,
    body_size: usize,
    _trailers: *const u8,
    _trailers_size: usize,
    timeout_ms: u32,
    token: *mut u32,
) -> Status {
    let (cluster, headers) = unsafe { (bytes(cluster, cluster_size), bytes(headers, headers_size)) };
    let cluster = String::from_utf8_lossy(cluster).into_owned();
    let mut headers = Headers::from_abi(headers);
    let body = unsafe { bytes(body, body_size) }.to_vec();
    let new_token = hostcall("proxy_http_call", |host| {
        let is_complete = [":method", ":path", ":authority"].iter().all(|name| headers.get(name).is_some());
        if !is_complete || !host.clusters.contains(&cluster) {
            return Err(Status::BadArgument);
        }
        if host.stream().is_some_and(|stream| stream.replied || stream.closed) {
            host.violate("proxy_http_call after a local reply or a reset");
        }
        if !body.is_empty() {
            headers.set("content-length", body.len().to_string());
        }
        host.last_token += 1;
        host.calls.push_back(HttpCall { token: host.last_token, cluster, headers, body, timeout_ms });
        Ok(host.last_token)
    });
    match new_token {
        Ok(new_token) => unsafe {
            *token = new_token;
            Status::Ok
        },
        Err(status) => status,
    }
}
