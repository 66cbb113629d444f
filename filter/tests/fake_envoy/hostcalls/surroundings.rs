//! Logs, time and metrics; and what this filter has no business with.

use proxy_wasm::types::{LogLevel, MetricType, Status};

use super::{bytes, hostcall, status_of};
use crate::fake_envoy::host::{LogLine, host};

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_log(level: LogLevel, data: *const u8, size: usize) -> Status {
    let message = String::from_utf8_lossy(unsafe { bytes(data, size) }).into_owned();
    // The test harness shows it beside the failure of a test.
    eprintln!("{level:?}: {message}");
    status_of(hostcall("proxy_log", |host| {
        host.logs.push(LogLine { level, message });
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_log_level(level: *mut LogLevel) -> Status {
    unsafe { *level = LogLevel::Trace };
    Status::Ok
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_get_current_time_nanoseconds(time: *mut u64) -> Status {
    match hostcall("proxy_get_current_time_nanoseconds", |host| Ok(host.clock_ns)) {
        Ok(now) => unsafe {
            *time = now;
            Status::Ok
        },
        Err(status) => status,
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_define_metric(_kind: MetricType, name: *const u8, size: usize, id: *mut u32) -> Status {
    let name = String::from_utf8_lossy(unsafe { bytes(name, size) }).into_owned();
    let new_id = hostcall("proxy_define_metric", |host| {
        host.metric_names.push(name);
        Ok(u32::try_from(host.metric_names.len() - 1).unwrap())
    });
    match new_id {
        Ok(new_id) => unsafe {
            *id = new_id;
            Status::Ok
        },
        Err(status) => status,
    }
}

fn update_metric(name: &str, id: u32, update: impl FnOnce(&mut i64)) -> Status {
    status_of(hostcall(name, |host| {
        let name = host.metric_names.get(id as usize).cloned().ok_or(Status::NotFound)?;
        update(host.metrics.entry(name).or_default());
        Ok(())
    }))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_increment_metric(id: u32, offset: i64) -> Status {
    update_metric("proxy_increment_metric", id, |value| *value += offset)
}

#[unsafe(no_mangle)]
extern "C" fn proxy_record_metric(id: u32, new: u64) -> Status {
    update_metric("proxy_record_metric", id, |value| *value = i64::try_from(new).unwrap_or(i64::MAX))
}

#[unsafe(no_mangle)]
extern "C" fn proxy_set_tick_period_milliseconds(period: u32) -> Status {
    status_of(hostcall("proxy_set_tick_period_milliseconds", |host| {
        host.tick_period = period;
        Ok(())
    }))
}

#[unsafe(no_mangle)]
unsafe extern "C" fn proxy_set_property(path: *const u8, path_size: usize, data: *const u8, size: usize) -> Status {
    let name = String::from_utf8_lossy(unsafe { bytes(path, path_size) }).into_owned();
    let value = String::from_utf8_lossy(unsafe { bytes(data, size) }).into_owned();
    status_of(hostcall("proxy_set_property", |host| {
        host.properties.insert(name, value);
        Ok(())
    }))
}

/// The SDK names hostcalls that this filter has no business with; linking needs them all the same.
macro_rules! not_for_this_filter {
    ($($name:ident($($argument:ty),*);)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $argument),*) -> Status {
                host(|host| host.violate(concat!(stringify!($name), " called, which the fake does not offer")));
                Status::InternalFailure
            }
        )*
    };
}

not_for_this_filter! {
    proxy_get_property(*const u8, usize, *mut *mut u8, *mut usize);
    proxy_get_shared_data(*const u8, usize, *mut *mut u8, *mut usize, *mut u32);
    proxy_set_shared_data(*const u8, usize, *const u8, usize, u32);
    proxy_register_shared_queue(*const u8, usize, *mut u32);
    proxy_resolve_shared_queue(*const u8, usize, *const u8, usize, *mut u32);
    proxy_dequeue_shared_queue(u32, *mut *mut u8, *mut usize);
    proxy_enqueue_shared_queue(u32, *const u8, usize);
    proxy_grpc_call(
        *const u8, usize, *const u8, usize, *const u8, usize, *const u8, usize, *const u8, usize, u32, *mut u32
    );
    proxy_grpc_stream(*const u8, usize, *const u8, usize, *const u8, usize, *const u8, usize, *mut u32);
    proxy_grpc_send(u32, *const u8, usize, bool);
    proxy_grpc_cancel(u32);
    proxy_grpc_close(u32);
    proxy_get_status(*mut u32, *mut *mut u8, *mut usize);
    proxy_call_foreign_function(*const u8, usize, *const u8, usize, *mut *mut u8, *mut usize);
    proxy_get_metric(u32, *mut u64);
    proxy_done();
}
