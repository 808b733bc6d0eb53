//! SHA-1 (RFC 3174), by which Redis names scripts. Nothing here is a secret; it is computed when the crate is compiled.

/// The hash of a text, in hexadecimal digits.
pub(crate) const fn hex(text: &[u8]) -> [u8; 40] {
    let mut state = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    // The text, a one bit, zeros, and the text's length in bits: whole blocks of 64 bytes.
    let blocks = (text.len() + 9).div_ceil(64);
    let mut block = 0;
    while block < blocks {
        let mut words = [0_u32; 80];
        let mut at = 0;
        while at < 64 {
            words[at / 4] = words[at / 4] << 8 | padded(text, block * 64 + at, blocks * 64) as u32;
            at += 1;
        }
        state = step(state, words);
        block += 1;
    }
    let mut digits = [0; 40];
    let mut at = 0;
    while at < 40 {
        let nibble = (state[at / 8] >> (28 - at % 8 * 4) & 15) as usize;
        digits[at] = b"0123456789abcdef"[nibble];
        at += 1;
    }
    digits
}

const fn padded(text: &[u8], at: usize, end: usize) -> u8 {
    if at < text.len() {
        text[at]
    } else if at == text.len() {
        0x80
    } else if at + 8 >= end {
        (text.len() as u64 * 8).to_be_bytes()[at + 8 - end]
    } else {
        0
    }
}

const fn step(state: [u32; 5], mut words: [u32; 80]) -> [u32; 5] {
    let [mut a, mut b, mut c, mut d, mut e] = state;
    let mut at = 0;
    while at < 80 {
        if at >= 16 {
            words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
        }
        let (mixed, constant) = match at / 20 {
            0 => (b & c | !b & d, 0x5A82_7999_u32),
            1 => (b ^ c ^ d, 0x6ED9_EBA1),
            2 => (b & c | b & d | c & d, 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6),
        };
        let sum = a.rotate_left(5).wrapping_add(mixed).wrapping_add(e).wrapping_add(words[at]).wrapping_add(constant);
        (a, b, c, d, e) = (sum, a, b.rotate_left(30), c, d);
        at += 1;
    }
    [
        state[0].wrapping_add(a),
        state[1].wrapping_add(b),
        state[2].wrapping_add(c),
        state[3].wrapping_add(d),
        state[4].wrapping_add(e),
    ]
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(std::str::from_utf8(&super::hex(text.as_bytes())).unwrap(), expected);
    }

    #[test]
    fn the_hashes_are_those_of_the_standard() {
        check("", "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        check("abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
        check("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
        check(&"a".repeat(1_000_000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }
}
