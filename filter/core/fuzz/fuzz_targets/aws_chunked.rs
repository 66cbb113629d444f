//! An aws-chunked body means the same however it is cut, and never holds more than it promises.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3ep_core::sigv4::aws_chunked::{AwsChunkedError, Decoder, Framing, Unverified};

type Decoded = (Vec<u8>, Vec<(String, String)>);

fn decode<'a>(mut decoder: Decoder, windows: impl Iterator<Item = &'a [u8]>) -> Result<Decoded, AwsChunkedError> {
    let mut plain = Vec::new();
    for window in windows {
        decoder.push(window, &mut plain)?;
    }
    decoder.finish()?;
    Ok((plain, decoder.trailers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
}

fuzz_target!(|data: &[u8]| {
    let [form, plain_len, window, body @ ..] = data else { return };
    let framing = match form % 3 {
        0 => Framing::UnsignedTrailer,
        1 => Framing::Signed,
        _ => Framing::SignedTrailer,
    };
    let decoder = || Decoder::new(framing, u64::from(*plain_len), Box::new(Unverified));
    let whole = decode(decoder(), [body].into_iter());
    assert_eq!(decode(decoder(), body.chunks(usize::from(*window).max(1))), whole);
    if let Ok((plain, _)) = whole {
        assert_eq!(plain.len(), usize::from(*plain_len));
    }
});
