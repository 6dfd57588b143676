//! The decoder accepts any bytes, split in any way: it never panics, and the split doesn't change the result.
//! The first byte of the input determines how the rest is split.

#![no_main]

use arkor::sse::{Decoder, Frame};
use libfuzzer_sys::fuzz_target;

/// Small, so that the fuzzer reaches it.
const LIMIT: usize = 512;

/// The frames of the stream, and whether it went over the limit.
fn decode<'a>(reads: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame<'static>>, bool) {
    let mut decoder = Decoder::with_limit(LIMIT);
    let mut frames = Vec::new();
    for read in reads {
        if decoder
            .push(read, |frame| frames.push(frame.into_owned()))
            .is_err()
        {
            return (frames, true);
        }
    }
    (frames, false)
}

fuzz_target!(|input: &[u8]| {
    let Some((cut, stream)) = input.split_first() else {
        return;
    };
    let whole = decode(std::iter::once(stream));
    let cut = decode(stream.chunks(usize::from(*cut).max(1)));
    assert_eq!(whole, cut);
    for frame in &whole.0 {
        assert!(!frame.event.is_empty());
        assert!(frame.data.len() <= LIMIT * 3, "U+FFFD is three bytes");
        assert!(frame.has_data || frame.data.is_empty());
    }
});
