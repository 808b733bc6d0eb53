//! Fuzzing without libFuzzer: what decoders accept, damaged at random, over and over.
//!
//! Coverage does not guide it; the seeds do, which have every kind of answer, envelope and compression. It needs nothing
//! but a compiler, so that `./check` can afford it everywhere.

use std::time::{Duration, Instant};

use tierce::__fuzz::{Envelope, seal};
use tierce::store::Codec;

use crate::{answers, envelope};

/// What is fuzzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// Answers of Redis.
    Resp,
    /// Answers of Memcached.
    Meta,
    /// Entries, whatever is in them.
    Envelope,
    /// Entries whose payload is compressed, damaged behind their head and given a right checksum again.
    Decompression,
}

/// All of them, by name.
pub const DECODERS: [(&str, Decoder); 4] = [
    ("resp", Decoder::Resp),
    ("meta", Decoder::Meta),
    ("envelope", Decoder::Envelope),
    ("decompression", Decoder::Decompression),
];

const RESP: [&[u8]; 14] = [
    b"$5\r\nhello\r\n",
    b"*2\r\n$1\r\na\r\n_\r\n",
    b">2\r\n$10\r\ninvalidate\r\n*1\r\n$3\r\nm{a\r\n",
    b"%1\r\n+a\r\n:7\r\n",
    b"-ERR no\r\n",
    b"|1\r\n+a\r\n#t\r\n,1.5\r\n",
    b"$?\r\n;4\r\nhell\r\n;0\r\n",
    b"*-1\r\n",
    b"$-1\r\n",
    b"~2\r\n:1\r\n(12345678901234567890\r\n",
    b"=15\r\ntxt:Some string\r\n",
    b"!21\r\nSYNTAX invalid syntax\r\n",
    b"*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    b"%7\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n+id\r\n:5\r\n+mode\r\n+x\r\n+role\r\n+m\r\n+v\r\n+7\r\n+modules\r\n*0\r\n",
];

const META: [&[u8]; 10] = [
    b"VA 2 c7 t30\r\nhi\r\n",
    b"EN\r\n",
    b"HD c9 W\r\n",
    b"STAT pid 7\r\nSTAT version 1.6.18\r\nEND\r\n",
    b"SERVER_ERROR out of memory\r\n",
    b"NS\r\nEX\r\nNF\r\n",
    b"MN\r\n",
    b"VA 0 W c18446744073709551615\r\n\r\n",
    b"VA 5 X Z s5 f1 t-1\r\nhello\r\n",
    b"ERROR\r\nCLIENT_ERROR bad data chunk\r\n",
];

/// Runs a decoder for so long, and a thousand times at least, from this seed on; how often it ran.
///
/// # Panics
///
/// When a run breaks what its target says.
#[allow(clippy::disallowed_methods, reason = "how long is what is asked for; no cache's age")]
pub fn run_for(decoder: Decoder, time: Duration, seed: u64) -> u64 {
    let (mut random, mut runs, began) = (Random(seed), 0, Instant::now());
    let seeds = seeds(decoder);
    let mut bytes = Vec::new();
    loop {
        for _ in 0..1000 {
            make(decoder, &seeds, &mut random, &mut bytes);
            match decoder {
                Decoder::Resp | Decoder::Meta => answers::run(&bytes),
                Decoder::Envelope | Decoder::Decompression => envelope::run(&bytes),
            }
        }
        runs += 1000;
        if began.elapsed() >= time {
            return runs;
        }
    }
}

fn seeds(decoder: Decoder) -> Vec<Vec<u8>> {
    match decoder {
        Decoder::Resp => RESP.iter().map(|seed| seed.to_vec()).collect(),
        Decoder::Meta => META.iter().map(|seed| seed.to_vec()).collect(),
        Decoder::Envelope => (0..24).map(|number| entry(number, 0, 40)).collect(),
        Decoder::Decompression => (0..24).map(|number| entry(number, 1 + (number % 2) as u8, 6000)).collect(),
    }
}

fn entry(number: u64, packing: u8, most: u64) -> Vec<u8> {
    let mut random = Random(number);
    let letters = 1 + number % 4;
    let length = random.below(most) + most / 4;
    let payload = (0..length).map(|_| b'a' + u8::try_from(random.below(letters)).unwrap_or(0)).collect();
    let codec =
        [Codec::Raw, Codec::MessagePack, Codec::Json, Codec::Postcard][usize::try_from(number % 4).unwrap_or(0)];
    let tags = (0..number % 3).map(|tag| (format!("tag{tag}"), u128::from(number))).collect();
    let whole = Envelope { numbers: (number, 1, 2, 3, 4), codec, is_negative: false, tags, payload };
    seal(&whole, "key", packing).unwrap_or_default()
}

/// The first bytes of a target's input say what is done with the rest.
fn make(decoder: Decoder, seeds: &[Vec<u8>], random: &mut Random, bytes: &mut Vec<u8>) {
    bytes.clear();
    match decoder {
        Decoder::Resp => bytes.extend([0, random.byte() % 16, random.byte() % 16]),
        Decoder::Meta => bytes.extend([1, random.byte() % 16, random.byte() % 16]),
        // A right checksum mostly; the length of the key.
        Decoder::Envelope => bytes.extend([random.byte(), 3]),
        Decoder::Decompression => bytes.extend([1, 3]),
    }
    let head = bytes.len();
    for _ in 0..if head == 3 { 1 + random.below(4) } else { 1 } {
        bytes.extend_from_slice(&seeds[random.index(seeds.len())]);
    }
    let from = if decoder == Decoder::Decompression { bytes.len().min(head + 64) } else { head };
    for _ in 0..random.below(6) {
        damage(bytes, from, random);
    }
}

fn damage(bytes: &mut Vec<u8>, from: usize, random: &mut Random) {
    if bytes.len() <= from {
        return bytes.push(random.byte());
    }
    let at = from + random.index(bytes.len() - from);
    match random.below(7) {
        0 => bytes[at] ^= 1 << random.below(8),
        1 => bytes[at] = random.byte(),
        2 => bytes[at] = [0, 0xFF, b'\r', b'\n', b'-', b'9'][random.index(6)],
        3 => bytes.truncate(at),
        4 => bytes.insert(at, random.byte()),
        5 => drop(bytes.remove(at)),
        _ => {
            let piece = bytes[at..bytes.len().min(at + 1 + random.index(16))].to_vec();
            bytes.extend(piece);
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decoder_runs_and_its_seeds_are_sound() {
        for (name, decoder) in DECODERS {
            assert!(seeds(decoder).iter().all(|seed| !seed.is_empty()), "{name}");
            assert!(run_for(decoder, Duration::from_millis(1), 7) > 0, "{name}");
        }
    }
}
