//! Listings through the exchange: sizes in plaintext terms, and nothing that is no listing touched.

use crate::support::{End, LENGTHS, Mode, Request, Split, Stack, StoreResponse, both, plaintext};

/// What a client sees, with the sizes that HEAD tells in place of the store's.
#[test]
fn sizes_agree_with_head() {
    let mut splits = Split::samples();
    splits.push(Split::new(&[1], End::WithLastWindow));
    for (mode, split) in both(splits) {
        let mut stack = Stack::new(mode);
        for len in LENGTHS {
            stack.put(&format!("/bucket/{len}"), &plaintext(1, len));
        }
        stack.down = split;
        let response = stack.get("/bucket?list-type=2").complete();
        let listing = String::from_utf8(response.body).unwrap();
        for len in LENGTHS {
            assert!(listing.contains(&format!("<Key>/bucket/{len}</Key>")));
            assert!(listing.contains(&format!("<Size>{len}</Size>")), "{len}: {listing}");
        }
        assert_eq!(listing.matches("<Size>").count(), LENGTHS.len());
    }
}

#[test]
fn a_listing_has_no_length_that_would_be_wrong() {
    let document = b"<ListBucketResult><Contents><Size>65585</Size></Contents></ListBucketResult>";
    let headers = vec![("content-length".to_owned(), document.len().to_string()), ("x-mine".into(), "1".into())];
    let mut stack = Stack::new(Mode::Envelope);
    stack.store.instead.push_back(StoreResponse::new(200, headers, document.to_vec()));
    let response = stack.get("/bucket?versions").complete();
    assert_eq!((response.header("content-length"), response.header("x-mine")), (None, Some("1")));
}

#[test]
fn the_store_is_not_asked_to_compress() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.send(&Request::get("/bucket").header("accept-encoding", "gzip").header("accept", "*/*")).complete();
    let upstream = stack.store.last();
    assert_eq!((upstream.header("accept-encoding"), upstream.header("accept")), (None, Some("*/*")));
}

#[test]
fn what_is_no_listing_is_left_alone() {
    let document = b"<Error><Contents><Size>49</Size></Contents></Error>".to_vec();
    for (path, status) in [("/bucket", 404), ("/bucket", 301), ("/bucket?versioning", 200), ("/", 200)] {
        let mut stack = Stack::new(Mode::Envelope);
        let headers = vec![("content-length".to_owned(), document.len().to_string())];
        stack.store.instead.push_back(StoreResponse::new(status, headers, document.clone()));
        let response = stack.get(path).complete();
        assert_eq!((response.status, &response.body), (status, &document), "{path}");
        assert_eq!(response.header("content-length"), Some("51"));
    }
}
