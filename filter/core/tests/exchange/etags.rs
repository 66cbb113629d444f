//! ETags: what a client sees is never an MD5, what the store sees is its own, and both mean the same object.

use s3ep_core::exchange::StoreRequest;
use s3ep_core::http::Headers;

use crate::support::{End, MODES, Mode, Object, Request, Split, Stack, StoreResponse, both, plaintext};

const KEY: &str = "/bucket/key";
/// What the store says, and what the client sees of it.
const STORED: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";
const SHOWN: &str = "\"d41d8cd98f00b204e9800998ecf8427e-01\"";

/// `text` with the ETags that a client sees, from one with the store's.
fn as_client(text: &str) -> String {
    text.replace(STORED, SHOWN).replace(&STORED.replace('"', "&quot;"), &SHOWN.replace('"', "&quot;"))
}

#[test]
fn heads_and_listings_agree_whatever_the_object() {
    for (mode, is_mixed) in both([true, false]) {
        let mut stack = Stack::with(mode, serde_json::json!({ "mixed_buckets": is_mixed }));
        let put = stack.put(KEY, &plaintext(1, 70_000));
        stack.store.objects.insert("/bucket/plain".into(), Object::new(&[], b"in clear"));
        let listing = String::from_utf8(stack.get("/bucket?list-type=2").complete().body).unwrap();
        for path in [KEY, "/bucket/plain"] {
            let stored = stack.store.object(path).etag.clone();
            let shown = format!("{}-01\"", stored.strip_suffix('"').unwrap());
            let ranged = Request::get(path).header("range", "bytes=1-2");
            let not_modified = Request::get(path).header("if-none-match", &shown);
            for (request, status) in
                [(Request::get(path), 200), (Request::head(path), 200), (ranged, 206), (not_modified, 304)]
            {
                let response = stack.send(&request).complete();
                assert_eq!((response.status, response.header("etag")), (status, Some(shown.as_str())), "{path}");
            }
            assert!(path != KEY || put.header("etag") == Some(&shown));
            assert!(listing.contains(&format!("<ETag>{}</ETag>", shown.replace('"', "&quot;"))), "{listing}");
        }
        assert_eq!(listing.contains("<Size>70096</Size>"), is_mixed, "{listing}");
    }
}

#[test]
fn other_etags_of_the_store_are_shown_as_they_are() {
    let upper = STORED.to_uppercase();
    let marked = SHOWN.to_uppercase();
    for (told, shown) in [
        (vec!["\"d41d8cd98f00b204e9800998ecf8427e-2\""], Some("\"d41d8cd98f00b204e9800998ecf8427e-2\"")),
        (vec!["W/\"1\""], Some("W/\"1\"")),
        (vec![&upper], Some(marked.as_str())),
        (vec![STORED, "\"1\""], Some("\"d41d8cd98f00b204e9800998ecf8427e-01\", \"1\"")),
        (vec![], None),
    ] {
        for status in [200, 404, 500] {
            let mut stack = Stack::new(Mode::Envelope);
            let headers = told.iter().map(|etag| ("etag".to_owned(), (*etag).to_owned())).collect();
            stack.store.instead.push_back(StoreResponse::new(status, headers, Vec::new()));
            assert_eq!(stack.get(KEY).complete().header("etag"), shown);
        }
    }
}

#[test]
fn conditions_reach_the_store_with_its_own_etags() {
    let names =
        ["if-match", "if-none-match", "if-range", "x-amz-copy-source-if-match", "x-amz-copy-source-if-none-match"];
    for name in names {
        for stored in [STORED, "*", "\"1-01\",  W/\"a\"", "Thu, 01 Jan 2026 00:00:00 GMT", &format!("\"1\",{STORED}")] {
            let mut stack = Stack::new(Mode::Envelope);
            let request = Request::new("DELETE", KEY).header(name, &as_client(stored)).header("x-other", SHOWN);
            stack.send(&request).complete();
            let upstream = stack.store.last();
            assert_eq!((upstream.header(name), upstream.header("x-other")), (Some(stored), Some(SHOWN)));
            stack.send(&Request::new("DELETE", KEY).header(name, stored)).complete();
            assert_eq!(stack.store.last().header(name), Some(stored), "as the store says it");
        }
    }
    let mut stack = Stack::new(Mode::Envelope);
    stack.send(&Request::new("DELETE", KEY).header("if-match", "\"1\"").header("if-match", SHOWN)).complete();
    assert_eq!(stack.store.last().header("if-match"), Some(format!("\"1\", {STORED}").as_str()));
    let latin_1 = Headers::new(vec![("if-match".into(), b"\"\xe9\"".to_vec())]);
    stack.send(&Request { headers: vec![("if-match".into(), b"\"\xe9\"".to_vec())], ..Request::new("DELETE", KEY) });
    assert_eq!(stack.store.last().headers.all("if-match").next(), latin_1.all("if-match").next());
}

/// The range is asked for under the filter's own condition, with the store's ETag.
#[test]
fn what_the_filter_takes_out_of_a_request_does_not_come_back() {
    for mode in MODES {
        let mut stack = Stack::new(mode);
        let shown = stack.put(KEY, &plaintext(1, 70_000)).header("etag").unwrap().to_owned();
        let stored = stack.store.object(KEY).etag.clone();
        for _ in ["cold", "warm"] {
            let request = Request::get(KEY).header("range", "bytes=0-9");
            let request = request.header("if-range", &shown).header("if-match", &shown);
            assert_eq!(stack.send(&request).complete().status, 206);
            let upstream = stack.store.last();
            assert_eq!((upstream.header("if-range"), upstream.header("if-match")), (None, Some(stored.as_str())));
        }
    }
}

#[test]
fn a_copy_names_etags_to_its_source_and_shows_them() {
    let document = format!("<CopyObjectResult><ETag>{STORED}</ETag></CopyObjectResult>");
    for (mode, split) in both(Split::samples()) {
        let mut stack = Stack::new(mode);
        stack.down = split;
        let shown = stack.put(KEY, b"body").header("etag").unwrap().to_owned();
        let stored = stack.store.object(KEY).etag.clone();
        let head = stack.store.called(&StoreRequest::head(KEY.into(), Vec::new()));
        let length = ("content-length".to_owned(), document.len().to_string());
        stack.store.instead.extend([head, StoreResponse::new(200, vec![length], document.clone().into_bytes())]);
        let copy = Request::put("/bucket/copy", b"").header("x-amz-copy-source", KEY).header("accept-encoding", "br");
        let copy = copy.header("x-amz-copy-source-if-match", &shown).header("x-amz-copy-source-if-none-match", SHOWN);
        let response = stack.send(&copy).complete();
        assert_eq!((response.body, response.headers.has("content-length")), (as_client(&document).into(), false));
        let [.., look, put] = stack.store.requests.as_slice() else { panic!("no look") };
        assert_eq!((look.header("if-match"), look.header("if-none-match")), (Some(stored.as_str()), Some(STORED)));
        let conditions = ["if-match", "if-none-match"].map(|name| put.header(&format!("x-amz-copy-source-{name}")));
        assert_eq!((conditions, put.header("accept-encoding")), ([Some(stored.as_str()), None], None));
    }
}

/// CompleteMultipartUpload of an upload that was begun.
fn completion(stack: &mut Stack, document: &str) -> Request {
    let begun = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>";
    stack.store.instead.push_back(StoreResponse::new(200, Vec::new(), begun.into()));
    let begun = String::from_utf8(stack.send(&Request::new("POST", "/bucket/key?uploads")).complete().body).unwrap();
    let upload_id = begun.split(['<', '>']).nth(4).unwrap();
    Request { method: "POST".into(), ..Request::put(&format!("{KEY}?uploadId={upload_id}"), document.as_bytes()) }
}

#[test]
fn an_upload_is_completed_with_the_stores_etags() {
    let result = |etag: &str| {
        let root = "CompleteMultipartUploadResult";
        format!("<?xml version=\"1.0\"?>\n  \n<{root}><ETag>{etag}</ETag></{root}>")
    };
    let part =
        |(number, etag): (u32, &String)| format!("<Part><ETag>{etag}</ETag><PartNumber>{number}</PartNumber></Part>");
    let etags = [SHOWN, &SHOWN.replace('"', "&quot;"), SHOWN.trim_matches('"'), "\"1\""].map(str::to_owned);
    let parts: String = (1..).zip(&etags).map(part).collect();
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    for (mode, split) in both(Split::samples()) {
        let mut stack = Stack::new(mode);
        let request = completion(&mut stack, &document).header("if-none-match", "*").header("accept-encoding", "br");
        (stack.up, stack.down) = (split.clone(), split);
        stack.store.instead.push_back(StoreResponse::new(200, Vec::new(), result(STORED).into()));
        let response = stack.send(&request).complete();
        assert_eq!(String::from_utf8(response.body).unwrap(), result(SHOWN));
        let upstream = stack.store.last();
        assert_eq!((upstream.body.len(), upstream.header("accept-encoding")), (document.len(), None));
        let sent = String::from_utf8(upstream.body.clone()).unwrap();
        assert_eq!((sent.matches(STORED.trim_matches('"')).count(), sent.matches("-01<").count()), (3, 0), "{sent}");
        assert!(!sent.contains(SHOWN.trim_matches('"')), "{sent}");
    }
}

/// What is held back of an ETag cannot follow once trailers came.
#[test]
fn an_answer_that_ends_within_an_etag_is_not_taken_for_a_whole_one() {
    let mut stack = Stack::new(Mode::Envelope);
    stack.put(KEY, b"body");
    let complete = completion(
        &mut stack,
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>1</ETag></Part></CompleteMultipartUpload>",
    );
    let copy = Request::put("/bucket/copy", b"").header("x-amz-copy-source", KEY);
    stack.down = Split::new(&[7], End::Trailers);
    for (request, root) in
        [(complete, "CompleteMultipartUploadResult"), (copy, "CopyObjectResult"), (Request::get("/bucket"), "Contents")]
    {
        if root == "CopyObjectResult" {
            let head = stack.store.called(&StoreRequest::head(KEY.into(), Vec::new()));
            stack.store.instead.push_back(head);
        }
        let document = format!("<{root}><ETag>\"d41d8");
        stack.store.instead.push_back(StoreResponse::new(200, Vec::new(), document.into()));
        assert_eq!(stack.send(&request).failed(), format!("<{root}><ETag>").as_bytes());
    }
}

fn delete_objects(document: &str) -> Request {
    Request { method: "POST".into(), ..Request::put("/bucket?delete", document.as_bytes()) }
}

#[test]
fn objects_are_deleted_under_the_stores_etags() {
    let document = |etag: &str| {
        format!(
            "<Delete><Object><Key>{SHOWN}</Key><ETag>{etag}</ETag></Object><Object><Key>k</Key></Object></Delete>\n"
        )
    };
    for (mode, split) in both(Split::samples()) {
        for quote in ["\"", "&quot;", ""] {
            let [shown, stored] = [SHOWN, STORED].map(|etag| document(&etag.replace('"', quote)));
            let mut stack = Stack::new(mode);
            stack.up = split.clone();
            stack.send(&delete_objects(&shown)).complete();
            assert_eq!(stack.store.last().body, format!("{stored}   ").into_bytes());
            stack.send(&delete_objects(&stored)).complete();
            assert_eq!(stack.store.last().body, stored.into_bytes());
        }
    }
}

/// The head with the checksum is with the store before the document is here.
#[test]
fn a_document_whose_checksum_the_store_knows_is_not_changed() {
    let document = |etag: &str| format!("<Delete><Object><Key>k</Key><ETag>{etag}</ETag></Object></Delete>");
    for name in ["content-md5", "x-amz-checksum-crc32", "x-amz-checksum-sha256"] {
        let mut stack = Stack::new(Mode::Envelope);
        for kept in ["\"d41d8cd98f00b204e9800998ecf8427e-2\"", STORED, "*"] {
            stack.send(&delete_objects(&document(kept)).header(name, "AAAA")).complete();
            assert_eq!(stack.store.last().body, document(kept).into_bytes());
        }
        assert_eq!(
            stack.send(&delete_objects(&document(SHOWN)).header(name, "AAAA")).refused(),
            (501, "NotImplemented")
        );
        assert!(!stack.store.last().is_whole);
    }
}
