//! A trace: a text file with one key a line.

use std::path::Path;

use crate::error::Error;

/// The hash of each key of a trace, in order.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(super) hashes: Vec<u64>,
}

impl Trace {
    pub(crate) fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Trace { path: path.to_owned(), problem };
        let bytes = std::fs::read(path).map_err(|source| refuse(source.to_string().to_lowercase()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| refuse("it is not text with one key a line (unpack it first)".to_owned()))?;
        Self::parse(&text).map_err(|problem| refuse(problem.to_owned()))
    }

    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        // A byte order mark is not part of the first key; neither LF nor CRLF is part of any.
        let keys = text.trim_start_matches('\u{feff}').lines().map(str::trim).filter(|key| !key.is_empty());
        let hashes: Vec<u64> = keys.map(hash).collect();
        if hashes.is_empty() { Err("it has no keys: write one key a line") } else { Ok(Self { hashes }) }
    }
}

/// FNV-1a with the finish of MurmurHash3: the same on every machine and with every compiler.
fn hash(key: &str) -> u64 {
    let mut hash = key
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_lf_or_crlf_and_blank_lines_are_no_keys() {
        let trace = Trace::parse("\u{feff}1\r\n\r\n2\n1").unwrap();
        assert_eq!(trace.hashes, [hash("1"), hash("2"), hash("1")]);
    }

    #[test]
    fn a_trace_without_keys_is_refused() {
        assert!(Trace::parse(" \n\n").is_err());
        assert!(Trace::parse("").is_err());
    }
}
