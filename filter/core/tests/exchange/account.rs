//! What exchanges are accounted for.

use s3ep_core::account::{Account, DekLookups, Volume};

use crate::support::{Mode, Request, Stack, plaintext};

const LEN: usize = 150_000;

fn volume(bytes: u64, segments: u64, bodies: u64) -> Volume {
    Volume { bytes, segments, bodies }
}

#[test]
fn volumes_and_lookups_of_deks_are_counted() {
    for (mode, misses) in [(Mode::Envelope, 1), (Mode::Direct, 0)] {
        let mut stack = Stack::new(mode);
        stack.put("/bucket/a%20key", &plaintext(1, LEN));
        let put = std::mem::take(&mut stack.account);
        assert_eq!((put.operation, put.bucket.as_deref()), (Some("PutObject"), Some("bucket")));
        assert!(put.kek.is_some(), "{mode:?}");
        assert_eq!((put.sealed, put.opened), (volume(LEN as u64, 3, 1), Volume::default()));
        assert_eq!(put.deks, DekLookups::default());

        stack.forget();
        stack.get("/bucket/a%20key").complete();
        stack.get("/bucket/a%20key").complete();
        let got = std::mem::take(&mut stack.account);
        assert_eq!((got.operation, got.kek), (Some("GetObject"), put.kek));
        assert_eq!((got.sealed, got.opened), (Volume::default(), volume(2 * LEN as u64, 6, 2)));
        assert_eq!(got.deks, DekLookups { hits: 1, derived: 1 - misses, misses });

        let range = Request::get("/bucket/a%20key").header("range", "bytes=70000-70009");
        stack.send(&range).complete();
        assert_eq!(stack.account.opened, volume(65_536, 1, 1), "a whole segment");
    }
}

#[test]
fn what_is_authentic_before_a_failure_is_counted_and_the_body_is_not() {
    let mut stack = Stack::new(Mode::Direct);
    stack.put("/bucket/k", &plaintext(1, LEN));
    stack.account = Account::default();
    stack.store.object("/bucket/k").body[65_584 + 40] ^= 1;
    stack.get("/bucket/k").failed();
    assert_eq!(stack.account.opened, volume(65_536, 1, 0));
}

#[test]
fn a_request_that_is_refused_has_an_operation_if_it_is_known() {
    let mut stack = Stack::new(Mode::Direct);
    stack.send(&Request::put("/bucket/k?append", b"x")).failed();
    assert_eq!((stack.account.operation, stack.account.bucket.as_deref()), (None, Some("bucket")));
    stack.send(&Request::get("/bucket/k").header("range", "bytes=0-1")).complete();
    assert_eq!(stack.account.operation, Some("GetObject"));
}
