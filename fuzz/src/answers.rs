//! Answers of servers that are none.
//!
//! Whatever a server sends, taking answers out of it may not panic, nor may it depend on where the
//! stream was cut: a network cuts anywhere.

use crate::bytes::Bytes;
use tierce::__fuzz::{Dialect, answers};

/// One run: the first bytes say which server it is and how its stream is cut, the rest is the stream.
///
/// # Panics
///
/// When the answers depend on the cuts.
pub fn run(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let (Some(choice), Some(one), Some(other)) = (bytes.byte(), bytes.byte(), bytes.byte()) else {
        return;
    };
    let dialect = if choice % 2 == 0 { Dialect::Redis } else { Dialect::Memcached };
    let whole = answers(dialect, bytes.0, &[]);
    for pieces in [&[1][..], &[one], &[one, other]] {
        assert_eq!(answers(dialect, bytes.0, pieces), whole, "{dialect:?} in pieces of {pieces:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    const SAID: [&[u8]; 12] = [
        b"$5\r\nhello\r\n",
        b"*2\r\n$1\r\na\r\n_\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nm{a\r\n",
        b"%1\r\n+a\r\n:7\r\n",
        b"-ERR no\r\n",
        b"|1\r\n+a\r\n#t\r\n,1.5\r\n",
        b"$?\r\n;4\r\nhell\r\n;0\r\n",
        b"VA 2 c7 t30\r\nhi\r\n",
        b"EN\r\n",
        b"HD c9 W\r\n",
        b"STAT pid 7\r\nEND\r\n",
        b"SERVER_ERROR out of memory\r\n",
    ];

    /// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    #[test]
    fn answers_that_are_damaged_at_random_are_the_same_however_they_are_cut() {
        for seed in 0..4000_u64 {
            let mut state = seed;
            let mut draw = |bound: usize| usize::try_from(next(&mut state)).unwrap_or(0) % bound;
            let mut bytes = vec![u8::try_from(seed % 2).unwrap_or(0), u8::try_from(draw(9)).unwrap_or(0), 3];
            for _ in 0..1 + draw(4) {
                bytes.extend(SAID[draw(SAID.len())]);
            }
            for _ in 0..draw(3) {
                let at = 3 + draw(bytes.len() - 3);
                bytes[at] ^= 1 << draw(8);
            }
            run(&bytes);
        }
    }
}
