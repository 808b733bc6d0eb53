//! Envelopes of anybody.
//!
//! Nothing that is read from a store may panic or take more room than allowed, whoever wrote it.
//! What is read is a whole entry: written again, whatever its compression, it reads as the same.
//! Random bytes seldom have a right checksum, so that a run gives them one unless its first byte
//! says otherwise.

use crate::bytes::Bytes;
use tierce::__fuzz::{decode, mend, open, seal};

/// What a reader allows, in bytes: above the smallest that is compressed.
const MOST_BYTES: usize = 1 << 17;

/// One run: the first bytes choose what is done with the rest.
///
/// # Panics
///
/// When an envelope breaks what is said above.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let (Some(choice), Some(key_bytes)) = (bytes.byte(), bytes.byte()) else {
        return;
    };
    let mut envelope = bytes.0.to_vec();
    let key = key_of(&mut envelope, key_bytes);
    if choice % 4 != 0 {
        mend(&mut envelope);
    }
    let Ok(read) = open(&envelope, &key, MOST_BYTES) else {
        return;
    };
    assert!(read.payload.len() <= MOST_BYTES, "{} bytes", read.payload.len());
    decode(read.codec, &read.payload);
    for packing in 0..3 {
        let written = seal(&read, &key, packing).expect("what was read fits");
        assert_eq!(open(&written, &key, MOST_BYTES).as_ref(), Ok(&read), "packing {packing}");
        if packing == 0 && envelope[26] == 0 {
            // There is one way alone to write an entry that is not compressed, but for its state.
            assert_eq!(written[16..], envelope[16..], "written otherwise");
        }
    }
}

/// The key that the envelope is asked for: its own where it has one of so many bytes, which it is given.
fn key_of(envelope: &mut [u8], key_bytes: u8) -> String {
    let length = usize::from(key_bytes);
    let own = envelope.get(64..64 + length).map(|own| String::from_utf8_lossy(own).into_owned());
    if let Some(field) = envelope.get_mut(28..30) {
        field.copy_from_slice(&u16::from(key_bytes).to_le_bytes());
    }
    own.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tierce::__fuzz::{Envelope, seal};
    use tierce::store::Codec;

    /// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn envelopes_that_are_damaged_at_random_panic_nowhere() {
        for seed in 0..3000_u64 {
            let mut state = seed;
            let payload = vec![b'x'; usize::try_from(next(&mut state) % 6000).unwrap_or(0)];
            let tags = vec![("t".to_string(), 7); usize::try_from(next(&mut state) % 3).unwrap_or(0)];
            let codec = if seed % 2 == 0 { Codec::Raw } else { Codec::MessagePack };
            let numbers = (next(&mut state), 1, 2, 3, 4);
            let whole = Envelope { numbers, codec, is_negative: false, tags, payload };
            let mut bytes = vec![u8::try_from(seed % 4).unwrap_or(0), 3];
            bytes.extend(seal(&whole, "key", u8::try_from(seed % 3).unwrap_or(0)).unwrap());
            for _ in 0..seed % 4 {
                let at = 2 + usize::try_from(next(&mut state)).unwrap_or(0) % (bytes.len() - 2);
                bytes[at] ^= 1 << (next(&mut state) % 8);
            }
            super::run(&bytes);
        }
    }

    #[test]
    fn random_bytes_panic_nowhere() {
        for seed in 0..3000 {
            let mut state = seed;
            let bytes: Vec<u8> = (0..16).flat_map(|_| next(&mut state).to_le_bytes()).collect();
            super::run(&bytes);
        }
    }
}
