//! How much the service takes on, and what it says to the rest.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::num::NonZeroU32;
use std::time::Duration;

use kms_shim::admission::{Limits, Rate};
use kms_shim::listen::Listen;
use support::{Answer, Counting, NO_LIMITS, connect, get, keyset, post, request, send, start_with, wrap_request};
use tokio::time::Instant;

fn number(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap()
}

async fn wrap(address: &Listen) -> Answer {
    post(address, "/v1/wrap", &wrap_request(&[7; 32])).await
}

#[tokio::test(start_paused = true)]
async fn more_than_the_rate_is_told_when_to_come_again() {
    let rate = Rate { per_second: number(2), burst: number(3) };
    let service = start_with("127.0.0.1:0", keyset(), Limits { rate: Some(rate), ..NO_LIMITS }, None).await;
    for _ in 0..10 {
        let unauthorized = request("POST", "/v1/wrap", Some("wrong"), wrap_request(&[7; 32]).to_string());
        assert_eq!(send(&service.address, unauthorized).await.status, 401, "uses up nothing");
    }
    for _ in 0..3 {
        assert_eq!(wrap(&service.address).await.status, 200);
    }
    let refused = wrap(&service.address).await;
    assert_eq!(refused.failure(), (429, "unavailable"));
    assert_eq!(refused.headers["retry-after"], "1");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(&service.address, path).await.status, 200, "{path}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(wrap(&service.address).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn more_than_the_number_at_a_time_is_refused_at_once() {
    let kek = Counting::slow(Duration::from_secs(2));
    let service = start_with("127.0.0.1:0", kek.boxed(), Limits { requests: number(2), ..NO_LIMITS }, None).await;
    let address = service.address.clone();
    let under_way: Vec<_> = (0..2)
        .map(|_| {
            tokio::spawn({
                let address = address.clone();
                async move { wrap(&address).await.status }
            })
        })
        .collect();
    while kek.asked() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = wrap(&address).await;
    assert_eq!(refused.failure(), (503, "unavailable"));
    assert_eq!(refused.headers["retry-after"], "1");
    assert!(get(&address, "/metrics").await.text.contains("\nkms_shim_requests_in_flight 2\n"));
    for request in under_way {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(wrap(&address).await.status, 200);
    assert!(get(&address, "/metrics").await.text.contains("\nkms_shim_requests_in_flight 0\n"));
}

#[tokio::test(start_paused = true)]
async fn more_than_the_number_of_connections_wait_until_the_idle_are_cut() {
    let limits = Limits { connections: number(2), ..NO_LIMITS };
    let service = start_with("127.0.0.1:0", keyset(), limits, None).await;
    let first = connect(&service.address).await;
    let _second = connect(&service.address).await;
    let start = Instant::now();
    assert_eq!(get(&service.address, "/healthz").await.status, 200);
    assert!(start.elapsed() >= Duration::from_secs(1), "it was served beside the others");

    // They have been cut.
    drop(first);
    let _third = connect(&service.address).await;
    let start = Instant::now();
    assert_eq!(get(&service.address, "/healthz").await.status, 200);
    assert!(start.elapsed() < Duration::from_secs(1), "it waited although there was room");
}
