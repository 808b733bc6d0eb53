//! MessagePack as bytes: what a head says, read within bounds, and heads written. No object of Python's is touched.
//!
//! **Bounds.** Bytes may be anybody's. A length is believed only if so many bytes are left; a count of items only if all
//! counts together are not more than the bytes, since each item has one at least. So who claims too much is refused before
//! his items are read, and nothing is ever allocated for a claim.
//!
//! Format: <https://github.com/msgpack/msgpack/blob/master/spec.md>

/// What comes next. The items of an array, the pairs of a map and what an extension holds follow it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Head<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    /// Beyond an `i64`.
    Large(u64),
    Float(f64),
    /// Said to be UTF-8, and not looked at.
    Text(&'a [u8]),
    Bytes(&'a [u8]),
    Array(usize),
    Map(usize),
    /// Its type, and how many bytes it has.
    Extension(i8, usize),
}

/// Which of these comes next, as the index into a union's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Kind {
    Nil,
    Bool,
    Int,
    Float,
    Text,
    Bytes,
    Array,
    Map,
    Extension,
}

impl Kind {
    pub(crate) const COUNT: usize = 9;

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Nil => "nil",
            Kind::Bool => "a bool",
            Kind::Int => "an integer",
            Kind::Float => "a float",
            Kind::Text => "a text",
            Kind::Bytes => "bytes",
            Kind::Array => "an array",
            Kind::Map => "a map",
            Kind::Extension => "an extension",
        }
    }
}

/// Why bytes are no MessagePack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// They end too early, or claim more than there is.
    Short,
    /// A byte that begins nothing (`0xC1`).
    Unknown,
}

pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// How many items containers may still claim.
    room: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0, room: bytes.len() }
    }

    pub(crate) fn position(&self) -> usize {
        self.at
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], Damage> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() {
            return Err(Damage::Short);
        }
        self.at += length;
        Ok(&rest[..length])
    }

    /// The text that comes next, if one does; nothing else is taken.
    #[inline]
    pub(crate) fn text_if_any(&mut self) -> Result<Option<&'a [u8]>, Damage> {
        match self.bytes.get(self.at) {
            Some(0xA0..=0xBF | 0xD9..=0xDB) => {}
            _ => return Ok(None),
        }
        match self.head()? {
            Head::Text(text) => Ok(Some(text)),
            _ => Ok(None),
        }
    }

    /// Steps over exactly these bytes, if they come next.
    #[inline]
    pub(crate) fn step_over(&mut self, expected: &[u8]) -> bool {
        let is_next = self.bytes[self.at..].starts_with(expected);
        if is_next {
            self.at += expected.len();
        }
        is_next
    }

    #[inline]
    fn number<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("so many were taken"))
    }

    fn length(&mut self, bytes: u32) -> Result<usize, Damage> {
        Ok(match bytes {
            1 => usize::from(self.number::<1>()?[0]),
            2 => usize::from(u16::from_be_bytes(self.number()?)),
            _ => u32::from_be_bytes(self.number()?) as usize,
        })
    }

    fn claim(&mut self, items: usize) -> Result<(), Damage> {
        self.room = self.room.checked_sub(items).ok_or(Damage::Short)?;
        Ok(())
    }

    fn array(&mut self, count: usize) -> Result<Head<'a>, Damage> {
        self.claim(count)?;
        Ok(Head::Array(count))
    }

    fn map(&mut self, count: usize) -> Result<Head<'a>, Damage> {
        self.claim(count.checked_mul(2).ok_or(Damage::Short)?)?;
        Ok(Head::Map(count))
    }

    fn extension(&mut self, length: usize) -> Result<Head<'a>, Damage> {
        let kind = i8::from_be_bytes(self.number()?);
        if length > self.bytes.len() - self.at {
            return Err(Damage::Short);
        }
        Ok(Head::Extension(kind, length))
    }

    /// What comes next, which is not taken.
    #[inline]
    pub(crate) fn kind(&self) -> Result<Kind, Damage> {
        self.kind_at(self.at)
    }

    /// What begins there.
    pub(crate) fn kind_at(&self, at: usize) -> Result<Kind, Damage> {
        let byte = *self.bytes.get(at).ok_or(Damage::Short)?;
        Ok(match byte {
            0x00..=0x7F | 0xE0..=0xFF | 0xCC..=0xD3 => Kind::Int,
            0x80..=0x8F | 0xDE | 0xDF => Kind::Map,
            0x90..=0x9F | 0xDC | 0xDD => Kind::Array,
            0xA0..=0xBF | 0xD9..=0xDB => Kind::Text,
            0xC0 => Kind::Nil,
            0xC1 => return Err(Damage::Unknown),
            0xC2 | 0xC3 => Kind::Bool,
            0xC4..=0xC6 => Kind::Bytes,
            0xC7..=0xC9 | 0xD4..=0xD8 => Kind::Extension,
            0xCA | 0xCB => Kind::Float,
        })
    }

    #[inline]
    pub(crate) fn head(&mut self) -> Result<Head<'a>, Damage> {
        let byte = *self.bytes.get(self.at).ok_or(Damage::Short)?;
        self.at += 1;
        Ok(match byte {
            0x00..=0x7F => Head::Int(i64::from(byte)),
            0x80..=0x8F => self.map(usize::from(byte & 0x0F))?,
            0x90..=0x9F => self.array(usize::from(byte & 0x0F))?,
            0xA0..=0xBF => Head::Text(self.take(usize::from(byte & 0x1F))?),
            0xE0..=0xFF => Head::Int(i64::from(byte.cast_signed())),
            _ => self.long_head(byte)?,
        })
    }

    fn long_head(&mut self, byte: u8) -> Result<Head<'a>, Damage> {
        Ok(match byte {
            0xC0 => Head::Nil,
            0xC2 => Head::Bool(false),
            0xC3 => Head::Bool(true),
            // Three lengths each, of 1, 2 and 4 bytes.
            0xC4..=0xC6 => {
                let length = self.length(1 << (byte - 0xC4))?;
                Head::Bytes(self.take(length)?)
            }
            0xC7..=0xC9 => {
                let length = self.length(1 << (byte - 0xC7))?;
                self.extension(length)?
            }
            0xD9..=0xDB => {
                let length = self.length(1 << (byte - 0xD9))?;
                Head::Text(self.take(length)?)
            }
            0xCA => Head::Float(f64::from(f32::from_be_bytes(self.number()?))),
            0xCB => Head::Float(f64::from_be_bytes(self.number()?)),
            0xCC => Head::Int(i64::from(self.number::<1>()?[0])),
            0xCD => Head::Int(i64::from(u16::from_be_bytes(self.number()?))),
            0xCE => Head::Int(i64::from(u32::from_be_bytes(self.number()?))),
            0xCF => {
                let number = u64::from_be_bytes(self.number()?);
                i64::try_from(number).map_or(Head::Large(number), Head::Int)
            }
            0xD0 => Head::Int(i64::from(i8::from_be_bytes(self.number()?))),
            0xD1 => Head::Int(i64::from(i16::from_be_bytes(self.number()?))),
            0xD2 => Head::Int(i64::from(i32::from_be_bytes(self.number()?))),
            0xD3 => Head::Int(i64::from_be_bytes(self.number()?)),
            0xD4..=0xD8 => self.extension(1 << (byte - 0xD4))?,
            0xDC | 0xDD => {
                let count = self.length(2 << (byte - 0xDC))?;
                self.array(count)?
            }
            0xDE | 0xDF => {
                let count = self.length(2 << (byte - 0xDE))?;
                self.map(count)?
            }
            _ => return Err(Damage::Unknown),
        })
    }

    /// Steps over a value, however deep it is, without recursion.
    pub(crate) fn skip(&mut self) -> Result<(), Damage> {
        let mut pending = 1_usize;
        while pending > 0 {
            pending -= 1;
            match self.head()? {
                // What is claimed altogether is at most the bytes.
                Head::Array(count) => pending += count,
                Head::Map(count) => pending += 2 * count,
                Head::Extension(_, length) => {
                    self.take(length)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Something is longer than MessagePack has numbers for: 4 GiB, or so many items.
pub(crate) struct TooLong;

fn of_length(length: usize) -> Result<u32, TooLong> {
    u32::try_from(length).map_err(|_| TooLong)
}

pub(crate) fn nil(out: &mut Vec<u8>) {
    out.push(0xC0);
}

pub(crate) fn boolean(out: &mut Vec<u8>, value: bool) {
    out.push(0xC2 + u8::from(value));
}

#[inline]
pub(crate) fn integer(out: &mut Vec<u8>, value: i64) {
    if let Ok(value) = u64::try_from(value) {
        return unsigned(out, value);
    }
    if value >= -32 {
        out.push((value as i8).cast_unsigned());
    } else if let Ok(value) = i8::try_from(value) {
        out.extend([0xD0, value.cast_unsigned()]);
    } else if let Ok(value) = i16::try_from(value) {
        with_number(out, 0xD1, value.to_be_bytes());
    } else if let Ok(value) = i32::try_from(value) {
        with_number(out, 0xD2, value.to_be_bytes());
    } else {
        with_number(out, 0xD3, value.to_be_bytes());
    }
}

pub(crate) fn unsigned(out: &mut Vec<u8>, value: u64) {
    if value < 0x80 {
        out.push(value as u8);
    } else if let Ok(value) = u8::try_from(value) {
        out.extend([0xCC, value]);
    } else if let Ok(value) = u16::try_from(value) {
        with_number(out, 0xCD, value.to_be_bytes());
    } else if let Ok(value) = u32::try_from(value) {
        with_number(out, 0xCE, value.to_be_bytes());
    } else {
        with_number(out, 0xCF, value.to_be_bytes());
    }
}

pub(crate) fn float(out: &mut Vec<u8>, value: f64) {
    with_number(out, 0xCB, value.to_be_bytes());
}

pub(crate) fn text(out: &mut Vec<u8>, value: &[u8]) -> Result<(), TooLong> {
    let length = of_length(value.len())?;
    match length {
        0..=31 => out.push(0xA0 | length as u8),
        _ => of_three(out, 0xD9, length),
    }
    out.extend_from_slice(value);
    Ok(())
}

pub(crate) fn bytes(out: &mut Vec<u8>, value: &[u8]) -> Result<(), TooLong> {
    of_three(out, 0xC4, of_length(value.len())?);
    out.extend_from_slice(value);
    Ok(())
}

pub(crate) fn array(out: &mut Vec<u8>, count: usize) -> Result<(), TooLong> {
    let count = of_length(count)?;
    match count {
        0..=15 => out.push(0x90 | count as u8),
        _ => of_two(out, 0xDC, count),
    }
    Ok(())
}

pub(crate) fn map(out: &mut Vec<u8>, count: usize) -> Result<(), TooLong> {
    let count = of_length(count)?;
    match count {
        0..=15 => out.push(0x80 | count as u8),
        _ => of_two(out, 0xDE, count),
    }
    Ok(())
}

/// An extension whose bytes are all there.
pub(crate) fn extension(out: &mut Vec<u8>, kind: i8, value: &[u8]) -> Result<(), TooLong> {
    let length = of_length(value.len())?;
    match length {
        1 | 2 | 4 | 8 | 16 => out.push(0xD4 + length.trailing_zeros() as u8),
        _ => of_three(out, 0xC7, length),
    }
    out.push(kind.cast_unsigned());
    out.extend_from_slice(value);
    Ok(())
}

/// Bytes of an extension's head while its length is unknown.
const OPEN_BYTES: usize = 6;

/// Begins an extension of which what it holds is written next; says where, for [`close`].
pub(crate) fn open(out: &mut Vec<u8>) -> usize {
    let at = out.len();
    out.extend([0; OPEN_BYTES]);
    at
}

/// Ends it: writes its head, as short as it can be, and moves what it holds up to that.
pub(crate) fn close(out: &mut Vec<u8>, at: usize, kind: i8) -> Result<(), TooLong> {
    let length = out.len() - at - OPEN_BYTES;
    let mut head = Vec::with_capacity(OPEN_BYTES);
    match of_length(length)? {
        length @ (1 | 2 | 4 | 8 | 16) => head.push(0xD4 + length.trailing_zeros() as u8),
        length => of_three(&mut head, 0xC7, length),
    }
    head.push(kind.cast_unsigned());
    out.copy_within(at + OPEN_BYTES.., at + head.len());
    out.truncate(at + head.len() + length);
    out[at..at + head.len()].copy_from_slice(&head);
    Ok(())
}

#[inline]
fn with_number<const N: usize>(out: &mut Vec<u8>, marker: u8, number: [u8; N]) {
    out.push(marker);
    out.extend_from_slice(&number);
}

/// A length of 1, 2 or 4 bytes behind the first of three markers.
fn of_three(out: &mut Vec<u8>, marker: u8, length: u32) {
    match u8::try_from(length) {
        Ok(length) => out.extend([marker, length]),
        Err(_) => of_two(out, marker + 1, length),
    }
}

fn of_two(out: &mut Vec<u8>, marker: u8, length: u32) {
    match u16::try_from(length) {
        Ok(length) => with_number(out, marker, length.to_be_bytes()),
        Err(_) => with_number(out, marker + 1, length.to_be_bytes()),
    }
}
