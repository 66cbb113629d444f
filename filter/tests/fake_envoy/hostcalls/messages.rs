//! Header maps and bodies.

use proxy_wasm::types::{BufferType, MapType, Status};

use super::{bytes, give, hostcall, status_of};
use crate::fake_envoy::headers::Headers;
use crate::fake_envoy::host::Host;

/// Envoy forgets the request's headers once they went on, but for the access log.
fn readable(host: &mut Host, map: MapType) -> Option<&mut Headers> {
    let in_log = host.in_log;
    match map {
        MapType::HttpCallResponseHeaders => host.call_answer.as_mut().map(|answer| &mut answer.headers),
        MapType::HttpCallResponseTrailers => host.call_answer.as_mut().map(|answer| &mut answer.trailers),
        MapType::HttpRequestTrailers => host.stream()?.request.trailers.as_mut(),
        MapType::HttpResponseTrailers => host.stream()?.response.trailers.as_mut(),
        MapType::HttpRequestHeaders => {
            let half = &mut host.stream()?.request;
            (half.open_headers || in_log).then_some(&mut half.headers)
        }
        MapType::HttpResponseHeaders => {
            let half = &mut host.stream()?.response;
            half.has_headers.then_some(&mut half.headers)
        }
        _ => None,
    }
}

fn change(name: &str, map: MapType, edit: impl FnOnce(&mut Headers)) -> Status {
    status_of(hostcall(name, |host| {
        let is_open = match (map, host.stream()) {
            (MapType::HttpRequestHeaders, Some(stream)) => stream.request.open_headers,
            (MapType::HttpResponseHeaders, Some(stream)) => stream.response.open_headers,
            (MapType::HttpRequestTrailers, Some(stream)) => stream.request.trailers.is_some(),
            (MapType::HttpResponseTrailers, Some(stream)) => stream.response.trailers.is_some(),
            _ => false,
        };
        if !is_open || host.in_log {
            host.violate(format!("{name} on {map:?}, which have gone out or have not come"));
            return Err(Status::BadArgument);
        }
        readable(host, map).map(edit).ok_or(Status::BadArgument)
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> Status {
    let name = "proxy_get_header_map_pairs";
    match hostcall(name, |host| Ok(readable(host, map).map(|headers| headers.to_abi()).unwrap_or_default())) {
        Ok(pairs) => unsafe { give(&pairs, data, size) },
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_header_map_value(
    map: MapType,
    key: *const u8,
    key_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    let key = String::from_utf8_lossy(unsafe { bytes(key, key_size) }).to_ascii_lowercase();
    let value = hostcall("proxy_get_header_map_value", |host| {
        let absent = if host.in_log { Status::NotFound } else { Status::BadArgument };
        let headers = readable(host, map).ok_or(absent)?;
        headers.get(&key).map(<[u8]>::to_vec).ok_or(Status::NotFound)
    });
    match value {
        Ok(value) => unsafe { give(&value, data, size) },
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_header_map_pairs(map: MapType, data: *const u8, size: usize) -> Status {
    let new = Headers::from_abi(unsafe { bytes(data, size) });
    change("proxy_set_header_map_pairs", map, |headers| *headers = new)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_replace_header_map_value(
    map: MapType,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
) -> Status {
    let (key, value) = unsafe { (bytes(key, key_size), bytes(value, value_size)) };
    change("proxy_replace_header_map_value", map, |headers| headers.set(&String::from_utf8_lossy(key), value))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_add_header_map_value(
    map: MapType,
    key: *const u8,
    key_size: usize,
    value: *const u8,
    value_size: usize,
) -> Status {
    let (key, value) = unsafe { (bytes(key, key_size), bytes(value, value_size)) };
    change("proxy_add_header_map_value", map, |headers| headers.add(&String::from_utf8_lossy(key), value))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_remove_header_map_value(map: MapType, key: *const u8, key_size: usize) -> Status {
    let key = unsafe { bytes(key, key_size) };
    change("proxy_remove_header_map_value", map, |headers| headers.remove(&String::from_utf8_lossy(key)))
}

fn window(host: &mut Host, buffer: BufferType) -> Option<&mut Vec<u8>> {
    match buffer {
        BufferType::HttpRequestBody => host.stream()?.request.window.as_mut(),
        BufferType::HttpResponseBody => host.stream()?.response.window.as_mut(),
        BufferType::PluginConfiguration => host.configuration.as_mut(),
        BufferType::HttpCallResponseBody => {
            host.call_answer.as_mut().filter(|answer| answer.headers.len() > 0).map(|answer| &mut answer.body)
        }
        _ => None,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_buffer_bytes(
    buffer: BufferType,
    start: usize,
    max_size: usize,
    data: *mut *mut u8,
    size: *mut usize,
) -> Status {
    let slice = hostcall("proxy_get_buffer_bytes", |host| {
        let window = window(host, buffer).ok_or(Status::NotFound)?;
        let end = start.checked_add(max_size).ok_or(Status::BadArgument)?;
        Ok(window[start.min(window.len())..end.min(window.len())].to_vec())
    });
    match slice {
        Ok(slice) => unsafe { give(&slice, data, size) },
        Err(status) => status,
    }
}

/// Envoy's `Buffer::copyFrom` can prepend, append, and replace the whole.
#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_buffer_bytes(
    buffer: BufferType,
    start: usize,
    size: usize,
    data: *const u8,
    data_size: usize,
) -> Status {
    let new = unsafe { bytes(data, data_size) };
    status_of(hostcall("proxy_set_buffer_bytes", |host| {
        if !matches!(buffer, BufferType::HttpRequestBody | BufferType::HttpResponseBody) {
            return Err(Status::BadArgument);
        }
        let Some(window) = window(host, buffer) else {
            host.violate(format!("{buffer:?} set outside its body callback: the bytes would be lost"));
            return Err(Status::NotFound);
        };
        match (start, size) {
            (0, 0) => drop(window.splice(..0, new.iter().copied())),
            (0, size) if size >= window.len() => *window = new.to_vec(),
            (start, _) if start >= window.len() && start > 0 => window.extend(new),
            _ => return Err(Status::BadArgument),
        }
        Ok(())
    }))
}
