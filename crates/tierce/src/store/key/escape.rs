//! Any text in letters, digits and `_ . - %`, which neither a server nor a key's own marks mistake for theirs.

use std::fmt;

const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

/// Whether a byte stands for itself.
pub(super) fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

/// Appends a text: `%` and two upper-case hex digits for each byte of UTF-8 that does not stand for itself.
pub(super) fn write(text: &str, out: &mut String) {
    out.reserve(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(char::from(byte));
        } else {
            out.extend(['%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// The text that was escaped; none where nothing is escaped to this.
pub(super) fn read(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => bytes.push(hex(rest.next()?)? << 4 | hex(rest.next()?)?),
            plain if is_plain(plain) => bytes.push(plain),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    HEX.iter().position(|known| *known == char::from(digit)).and_then(|value| u8::try_from(value).ok())
}

/// Escapes what is formatted into it.
pub(super) struct Escaping<'a>(pub(super) &'a mut String);

impl fmt::Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write(text, self.0);
        Ok(())
    }
}
