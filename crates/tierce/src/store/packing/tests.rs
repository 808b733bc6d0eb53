use proptest::prelude::*;

use super::{Compression, HARMLESS_BYTES, Packed, is_plausible, pack, unpack};

const ALL: [(Compression, usize); 3] =
    [(Compression::Lz4, 1 << 10), (Compression::Zstd(1), 4 << 10), (Compression::Zstd(-5), 4 << 10)];

/// Text that packs well and not at once to nothing.
fn words(length: usize) -> Vec<u8> {
    let words = (0_u32..).flat_map(|i| format!("word {} ", i.wrapping_mul(0x9E37_79B9) >> 20).into_bytes());
    words.take(length).collect()
}

#[test]
fn small_payloads_stay_as_they_are() {
    assert_eq!(pack(&words(1 << 20), Compression::None), None);
    for (packing, from_bytes) in ALL {
        assert_eq!(pack(&words(from_bytes - 1), packing), None, "{packing:?}");
        let (packed, bytes) = pack(&words(from_bytes), packing).unwrap();
        assert!(bytes.len() < from_bytes, "{packing:?}");
        assert_eq!(unpack(packed, &bytes, from_bytes), Some(words(from_bytes)), "{packing:?}");
    }
}

#[test]
fn what_does_not_become_smaller_stays_as_it_is() {
    // A generator of Knuth's, of which nothing repeats.
    let next =
        |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    let noise: Vec<u8> = std::iter::successors(Some(1), next).map(|state| (state >> 56) as u8).take(8 << 10).collect();
    for (packing, _) in ALL {
        assert_eq!(pack(&noise, packing), None, "{packing:?}");
    }
}

#[test]
fn what_is_packed_is_never_refused_by_its_own_reader() {
    for (packing, _) in ALL {
        for length in [HARMLESS_BYTES, HARMLESS_BYTES + 1, 1 << 22] {
            let zeros = vec![0; length];
            let Some((packed, bytes)) = pack(&zeros, packing) else {
                assert!(length > HARMLESS_BYTES, "{packing:?} of {length}");
                continue;
            };
            assert!(is_plausible(bytes.len(), length), "{packing:?} of {length}");
            assert_eq!(unpack(packed, &bytes, length), Some(zeros), "{packing:?} of {length}");
        }
    }
}

#[test]
fn every_level_is_one_that_works() {
    // So quick that it saves nothing.
    assert_eq!(pack(&words(8 << 10), Compression::Zstd(i32::MIN)), None);
    for level in [-5, 0, 1, 3, 1, 19, i32::MAX, 1] {
        let (packed, bytes) = pack(&words(8 << 10), Compression::Zstd(level)).unwrap();
        assert_eq!(unpack(packed, &bytes, 8 << 10), Some(words(8 << 10)), "{level}");
    }
}

#[test]
fn no_feature_is_missing_in_this_build() {
    assert_eq!(ALL.map(|(packing, _)| packing.missing_feature()), [None; 3]);
    assert_eq!(Compression::None.missing_feature(), None);
}

proptest! {
    #[test]
    fn bytes_of_anybody_unpack_to_their_length_or_to_nothing(bytes: Vec<u8>, raw_bytes in 0..9000_usize) {
        for packed in [Packed::Not, Packed::Lz4, Packed::Zstd] {
            let payload = unpack(packed, &bytes, raw_bytes);
            prop_assert!(payload.is_none_or(|payload| payload.len() == raw_bytes && payload.capacity() <= raw_bytes.max(8)));
        }
    }

    #[test]
    fn a_damaged_block_unpacks_to_its_length_or_to_nothing(at in any::<prop::sample::Index>(), bit in 0..8_u8, length in 4096..9000_usize) {
        for (packing, _) in ALL {
            let (packed, mut bytes) = pack(&words(length), packing).unwrap();
            *at.get_mut(&mut bytes) ^= 1 << bit;
            prop_assert!(unpack(packed, &bytes, length).is_none_or(|payload| payload.len() == length));
        }
    }
}
