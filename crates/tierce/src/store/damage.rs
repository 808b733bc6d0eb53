//! Why bytes from a store are no envelope of ours.

use std::fmt;

/// Why bytes from a store are not used: counted by its word, and read as a miss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub(crate) enum Damage {
    /// They do not begin as an envelope does: somebody else's.
    Foreign,
    /// An envelope in a format that this program does not read.
    Version,
    /// There are fewer bytes than it says, or more.
    Truncated,
    /// They are not the ones that were written.
    Checksum,
    /// What they say of themselves contradicts itself, or uses what is reserved.
    Malformed,
    /// The envelope of another key, under this one's name.
    OtherKey,
    /// A codec that this program does not know.
    Codec,
    /// A compression that this program does not know or was built without, or a payload that does not unpack.
    Compression,
    /// The value is larger than may be read.
    TooLarge,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Damage::Foreign => "foreign",
            Damage::Version => "version",
            Damage::Truncated => "truncated",
            Damage::Checksum => "checksum",
            Damage::Malformed => "malformed",
            Damage::OtherKey => "other_key",
            Damage::Codec => "codec",
            Damage::Compression => "compression",
            Damage::TooLarge => "too_large",
        })
    }
}

impl std::error::Error for Damage {}
