//! A store that answers as it likes: never a panic, and never a response that looks whole and is not the object.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use s3ep_core::http::Headers;

use crate::support::{MODES, Object, Outcome, Request, Split, Stack, StoreResponse, plaintext};

const KEY: &str = "/bucket/key";
const LEN: usize = 66_000;
const NAMES: [&str; 12] = [
    "x-amz-meta-s3ep-alg",
    "x-amz-meta-s3ep-dek",
    "x-amz-meta-s3ep-kek",
    "x-amz-meta-s3ep-len",
    "x-amz-meta-s3ep-mac",
    "x-amz-meta-s3ep-new",
    "content-length",
    "content-range",
    "etag",
    "x-amz-checksum-crc32",
    "content-encoding",
    "transfer-encoding",
];

/// One change to an answer.
#[derive(Debug, Clone)]
enum Change {
    Status(u16),
    Drop(&'static str),
    Add(&'static str, Vec<u8>),
    Flip(usize),
    Cut(usize),
    Append(Vec<u8>),
    Replace(Vec<u8>),
    /// The head is the end, whatever it says.
    EndWithHead,
    /// Another object's head, or body.
    OtherHead,
    OtherBody,
}

fn changes() -> impl Strategy<Value = Change> {
    let numbers =
        select(vec!["0", "1", "66000", "66096", "65584", "-1", "18446744073709551615", "99999999999999999999"]);
    let ranges =
        select(vec!["bytes 0-65583/66096", "bytes 0-0/1", "bytes */66096", "bytes 65584-66095/66096", "items 0-1/2"]);
    let values = prop_oneof![
        numbers.prop_map(|text| text.as_bytes().to_vec()),
        ranges.prop_map(|text| text.as_bytes().to_vec()),
        vec(any::<u8>(), 0..40),
    ];
    prop_oneof![
        2 => select(vec![100_u16, 200, 203, 204, 206, 301, 304, 404, 412, 416, 500, 999]).prop_map(Change::Status),
        2 => select(NAMES.to_vec()).prop_map(Change::Drop),
        2 => (select(NAMES.to_vec()), values).prop_map(|(name, value)| Change::Add(name, value)),
        2 => (0..LEN + 96).prop_map(Change::Flip),
        1 => (0..LEN + 96).prop_map(Change::Cut),
        1 => vec(any::<u8>(), 1..100).prop_map(Change::Append),
        1 => vec(any::<u8>(), 0..200).prop_map(Change::Replace),
        1 => Just(Change::OtherHead),
        1 => Just(Change::OtherBody),
        1 => Just(Change::EndWithHead),
    ]
}

fn altered(honest: &StoreResponse, other: &StoreResponse, changes: &[Change]) -> StoreResponse {
    let mut answer = honest.clone();
    for change in changes {
        let mut fields: Vec<_> = answer.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
        match change {
            Change::Status(status) => answer.status = *status,
            Change::Drop(name) => fields.retain(|(n, _)| n != name),
            Change::Add(name, value) => fields.push(((*name).to_owned(), value.clone())),
            Change::Flip(at) => answer.body.get_mut(*at).into_iter().for_each(|byte| *byte ^= 1),
            Change::Cut(len) => answer.body.truncate(*len),
            Change::Append(bytes) => answer.body.extend_from_slice(bytes),
            Change::Replace(bytes) => answer.body.clone_from(bytes),
            Change::EndWithHead => answer.is_end = true,
            Change::OtherHead => {
                fields = other.headers.iter().map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
            }
            Change::OtherBody => answer.body.clone_from(&other.body),
        }
        answer.headers = Headers::new(fields);
    }
    if answer.is_end {
        answer.body.clear();
    }
    answer
}

/// The honest answers for two objects.
fn answers(stack: &mut Stack) -> [StoreResponse; 2] {
    [(1, KEY), (2, "/bucket/other")].map(|(seed, path)| {
        stack.put(path, &plaintext(seed, LEN));
        let Object { mut headers, body, etag, .. } = stack.store.object(path).clone();
        headers.extend([("etag".to_owned(), etag), ("content-length".to_owned(), body.len().to_string())]);
        StoreResponse::new(200, headers, body)
    })
}

fn is_ours(answer: &StoreResponse) -> bool {
    answer.headers.iter().any(|(name, _)| name.starts_with("x-amz-meta-s3ep-"))
}

/// What `outcome` may be if the store gave `answer` for an object of which `due` was asked for.
fn judge(outcome: &Outcome, answer: &StoreResponse, due: &[u8]) -> Result<(), TestCaseError> {
    match outcome {
        Outcome::Refused(_) => {}
        Outcome::Broken(message, _) => prop_assert!(!is_ours(answer) || due.starts_with(&message.body)),
        Outcome::Misframed(_) => prop_assert!(false, "{}", outcome.summary()),
        Outcome::Complete(message) => {
            let is_object = (200..300).contains(&message.status);
            prop_assert!(!is_object || !is_ours(answer) || message.body == due, "{}", outcome.summary());
            prop_assert!(!message.headers.iter().any(|(name, _)| name.starts_with("x-amz-meta-s3ep-")));
            if !is_ours(answer) || !is_object {
                prop_assert!(answer.is_end || message.body == answer.body, "a foreign body was changed");
            }
        }
    }
    Ok(())
}

/// Answers that end with their head have their own tests.
fn ends_with_its_head(answer: &StoreResponse) -> bool {
    answer.is_end && matches!(answer.status, 200 | 206)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_answer_to_a_get(changes in vec(changes(), 0..4), split in select(Split::samples()), is_direct: bool) {
        let mut stack = Stack::new(MODES[usize::from(is_direct)]);
        let [honest, other] = answers(&mut stack);
        let answer = altered(&honest, &other, &changes);
        prop_assume!(!ends_with_its_head(&answer));
        stack.down = split;
        for is_cold in [false, true] {
            if is_cold {
                stack.forget();
            }
            stack.store.instead.push_back(answer.clone());
            let outcome = stack.get(KEY);
            judge(&outcome, &answer, &plaintext(1, LEN))?;
        }
    }

    #[test]
    fn any_answer_to_a_head(changes in vec(changes(), 0..4), is_direct: bool) {
        let mut stack = Stack::new(MODES[usize::from(is_direct)]);
        let [honest, other] = answers(&mut stack);
        let mut answer = altered(&honest, &other, &changes);
        (answer.body, answer.is_end) = (Vec::new(), true);
        stack.forget();
        stack.store.instead.push_back(answer.clone());
        if let Outcome::Complete(message) = stack.send(&Request::head(KEY)) {
            let is_object = (200..300).contains(&message.status) && is_ours(&answer);
            let length: Vec<_> = message.headers.all("content-length").collect();
            prop_assert!(!is_object || length == [LEN.to_string().as_bytes()], "{message:?}");
        }
    }

    #[test]
    fn any_answers_to_a_range(
        looked in vec(changes(), 0..3),
        changes in vec(changes(), 0..3),
        split in select(Split::samples()),
        is_warm: bool,
    ) {
        let mut stack = Stack::new(MODES[0]);
        let [honest, other] = answers(&mut stack);
        let body = honest.body[..65_584].to_vec();
        let mut part = StoreResponse { status: 206, body, ..honest.clone() };
        let range = format!("bytes 0-65583/{}", honest.body.len());
        let changed = [Change::Drop("content-length"), Change::Add("content-range", range.into_bytes())];
        part = altered(&part, &other, &changed);
        let ranged = Request::get(KEY).header("range", "bytes=10-19");
        match is_warm {
            true => prop_assert_eq!(stack.send(&ranged).complete().status, 206),
            false => stack.store.instead.push_back(altered(&honest, &other, &looked)),
        }
        let answer = altered(&part, &other, &changes);
        prop_assume!(!ends_with_its_head(&answer));
        stack.down = split;
        stack.store.instead.push_back(answer.clone());
        let outcome = stack.send(&ranged);
        // Where the look never led to a GET, the second answer is still there.
        if stack.store.instead.is_empty() {
            let plain = plaintext(1, LEN);
            let is_whole = matches!(&outcome, Outcome::Complete(message) | Outcome::Broken(message, _) if message.status == 200);
            judge(&outcome, &answer, if is_whole { &plain } else { &plain[10..20] })?;
        }
    }

    #[test]
    fn any_bytes_at_all(
        status in 100_u16..600,
        headers in vec((select(NAMES.to_vec()), vec(any::<u8>(), 0..40)), 0..8),
        body in vec(any::<u8>(), 0..300),
        split in select(Split::samples()),
        path in select(vec!["/bucket/key", "/bucket", "/bucket/key?acl", "/bucket/key?partNumber=1"]),
        is_ranged: bool,
    ) {
        let mut stack = Stack::new(MODES[0]);
        stack.down = split;
        let headers: Headers = headers.into_iter().collect();
        let answer = StoreResponse { status, headers, is_end: body.is_empty(), body };
        stack.store.instead.extend([answer.clone(), answer.clone(), answer.clone()]);
        let request = Request::get(path);
        let outcome = stack.send(&if is_ranged { request.header("range", "bytes=0-9") } else { request });
        if let (Outcome::Complete(message), "/bucket/key") = (&outcome, path) {
            prop_assert!(!(200..300).contains(&message.status) || !is_ours(&answer), "{}", outcome.summary());
        }
    }
}
