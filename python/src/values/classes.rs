//! The classes of the standard library that have forms of their own: instants, durations, `Decimal`, `UUID`.
//!
//! They are looked up when the first value or byte asks for one of them, so that whoever has none imports none.

use std::ptr;
use std::sync::OnceLock;

use pyo3_ffi as ffi;

use super::trouble::{Outcome, Trouble, refused};
use crate::owned::{Owned, PyObject, Raised, Result, attribute, is_exactly, text_of, tuple_of};

/// The C API of `datetime` is no part of the limited one: its objects are asked by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    DateTime,
    Date,
    Time,
    TimeDelta,
    Decimal,
    Uuid,
}

impl Known {
    pub(crate) const ALL: [Known; 6] =
        [Known::DateTime, Known::Date, Known::Time, Known::TimeDelta, Known::Decimal, Known::Uuid];

    /// The name by which a plan speaks of it.
    pub(crate) fn named(name: &str) -> Option<Known> {
        let names = ["datetime", "date", "time", "timedelta", "Decimal", "UUID"];
        names.iter().position(|one| *one == name).map(|at| Known::ALL[at])
    }
}

pub(crate) struct Classes {
    of: [Owned; 6],
    /// `datetime.timezone.utc`
    utc: Owned,
    /// `fromisoformat` of the first three.
    from_iso: [Owned; 3],
    /// The face's: a text of what has a zone or a fold, and back.
    zoned_text: Owned,
    from_zoned: Owned,
    safe_unknown: Owned,
    words: Words,
}

/// Names that are asked for.
struct Words {
    isoformat: Owned,
    tzinfo: Owned,
    fold: Owned,
    int: Owned,
    is_safe: Owned,
    days: Owned,
    seconds: Owned,
    microseconds: Owned,
    to_bytes: Owned,
    from_bytes: Owned,
    big: Owned,
    /// `("signed",)`
    signed: Owned,
    sixteen: Owned,
}

// SAFETY: the objects live as long as the process, and are touched by threads alone that hold the interpreter's lock.
unsafe impl Send for Classes {}
// SAFETY: as above.
unsafe impl Sync for Classes {}

static CLASSES: OnceLock<Classes> = OnceLock::new();

pub(crate) unsafe fn classes() -> Result<&'static Classes> {
    if let Some(classes) = CLASSES.get() {
        return Ok(classes);
    }
    let found = look_up()?;
    Ok(CLASSES.get_or_init(|| found))
}

unsafe fn look_up() -> Result<Classes> {
    let module = |name: &std::ffi::CStr| Owned::steal(ffi::PyImport_ImportModule(name.as_ptr()));
    // The C module: tests that hold the time (freezegun) put others into `datetime` itself.
    let (datetime, decimal, uuid, face) =
        (module(c"_datetime")?, module(c"decimal")?, module(c"uuid")?, module(c"tierce.zones")?);
    let of = |module: &Owned, name| attribute(module.as_ptr(), name);
    let (moment, date, time) = (of(&datetime, c"datetime")?, of(&datetime, c"date")?, of(&datetime, c"time")?);
    let from_iso = [of(&moment, c"fromisoformat")?, of(&date, c"fromisoformat")?, of(&time, c"fromisoformat")?];
    let word = |text| crate::owned::text(text);
    let signed = word("signed")?;
    Ok(Classes {
        utc: of(&of(&datetime, c"timezone")?, c"utc")?,
        from_iso,
        of: [moment, date, time, of(&datetime, c"timedelta")?, of(&decimal, c"Decimal")?, of(&uuid, c"UUID")?],
        zoned_text: of(&face, c"text_of")?,
        from_zoned: of(&face, c"from_text")?,
        safe_unknown: of(&of(&uuid, c"SafeUUID")?, c"unknown")?,
        words: Words {
            isoformat: word("isoformat")?,
            tzinfo: word("tzinfo")?,
            fold: word("fold")?,
            int: word("int")?,
            is_safe: word("is_safe")?,
            days: word("days")?,
            seconds: word("seconds")?,
            microseconds: word("microseconds")?,
            to_bytes: word("to_bytes")?,
            from_bytes: word("from_bytes")?,
            big: word("big")?,
            signed: tuple_of(&[signed.as_ptr()])?,
            sixteen: crate::owned::integer(16)?,
        },
    })
}

impl Classes {
    pub(crate) fn class(&self, known: Known) -> *mut PyObject {
        self.of[known as usize].as_ptr()
    }

    /// Which of them an object is exactly an instance of.
    pub(crate) unsafe fn of(&self, value: *mut PyObject) -> Option<Known> {
        let class: *mut PyObject = ffi::Py_TYPE(value).cast();
        Known::ALL.into_iter().find(|known| ptr::eq(self.class(*known), class))
    }

    /// The text of an instant, a date or a time: ISO 8601, with what it has of a zone behind it (RFC 9557).
    pub(crate) unsafe fn iso_text(&self, known: Known, value: *mut PyObject) -> Result<Owned> {
        if known != Known::Date {
            let zone = get(value, &self.words.tzinfo)?;
            let fold = get(value, &self.words.fold)?;
            let is_plain = ptr::eq(zone.as_ptr(), ffi::Py_None()) || ptr::eq(zone.as_ptr(), self.utc.as_ptr());
            if !is_plain || ffi::PyLong_AsLong(fold.as_ptr()) != 0 {
                return call(&self.zoned_text, &[value]);
            }
        }
        let arguments = [value];
        let word = self.words.isoformat.as_ptr();
        Owned::steal(ffi::PyObject_VectorcallMethod(word, arguments.as_ptr(), 1, ptr::null_mut()))
    }

    pub(crate) unsafe fn of_iso_text(&self, known: Known, text: *mut PyObject) -> Result<Owned> {
        if text_of(text)?.ends_with(']') {
            return call(&self.from_zoned, &[self.class(known), text]);
        }
        let found = call(&self.from_iso[known as usize], &[text])?;
        if is_exactly(found.as_ptr(), self.class(known).cast()) { Ok(found) } else { Err(other_type()) }
    }

    /// Whole microseconds: at most 8.64e19, which is more than 64 bits.
    pub(crate) unsafe fn microseconds(&self, value: *mut PyObject) -> Result<i128> {
        let mut parts = [0_i64; 3];
        let words = [&self.words.days, &self.words.seconds, &self.words.microseconds];
        for (part, word) in parts.iter_mut().zip(words) {
            *part = ffi::PyLong_AsLongLong(get(value, word)?.as_ptr());
        }
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        let [days, seconds, microseconds] = parts.map(i128::from);
        Ok((days * 86_400 + seconds) * 1_000_000 + microseconds)
    }

    pub(crate) unsafe fn timedelta(&self, microseconds: i128) -> Outcome<Owned> {
        const DAY_US: i128 = 86_400_000_000;
        let (days, rest) = (microseconds.div_euclid(DAY_US), microseconds.rem_euclid(DAY_US));
        let days = i64::try_from(days).map_err(|_| refused("is longer than any timedelta"))?;
        let number = |value: i64| Owned::steal(ffi::PyLong_FromLongLong(value));
        // Within a day, which an `i64` holds.
        let (days, rest) = (number(days)?, number(rest as i64)?);
        let zero = number(0)?;
        Ok(call(&self.of[Known::TimeDelta as usize], &[days.as_ptr(), zero.as_ptr(), rest.as_ptr()])?)
    }

    pub(crate) unsafe fn uuid_bytes(&self, value: *mut PyObject) -> Outcome<[u8; 16]> {
        let number = get(value, &self.words.int)?;
        let arguments = [number.as_ptr(), self.words.sixteen.as_ptr(), self.words.big.as_ptr()];
        let word = self.words.to_bytes.as_ptr();
        let bytes = Owned::steal(ffi::PyObject_VectorcallMethod(word, arguments.as_ptr(), 3, ptr::null_mut()))?;
        bytes_of(&bytes).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| refused("is a UUID without a number"))
    }

    /// A `UUID` made past its `__init__`, which is Python and takes a microsecond.
    pub(crate) unsafe fn uuid(&self, bytes: [u8; 16]) -> Result<Owned> {
        let number = self.integer(&bytes, false)?;
        let made = new_object(self.class(Known::Uuid))?;
        set(&made, &self.words.int, &number)?;
        set(&made, &self.words.is_safe, &self.safe_unknown)?;
        Ok(made)
    }

    pub(crate) unsafe fn decimal(&self, text: *mut PyObject) -> Result<Owned> {
        call(&self.of[Known::Decimal as usize], &[text])
    }

    /// An exact `int` as so many bytes, in two's complement; raises `OverflowError` where it has no room.
    pub(crate) unsafe fn big_endian(&self, number: *mut PyObject, length: u64) -> Result<Owned> {
        let length = crate::owned::integer(length)?;
        let arguments = [number, length.as_ptr(), self.words.big.as_ptr(), ffi::Py_True()];
        let (word, names) = (self.words.to_bytes.as_ptr(), self.words.signed.as_ptr());
        Owned::steal(ffi::PyObject_VectorcallMethod(word, arguments.as_ptr(), 3, names))
    }

    pub(crate) unsafe fn integer(&self, bytes: &[u8], is_signed: bool) -> Result<Owned> {
        let bytes = Owned::steal(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed()))?;
        let signed = if is_signed { ffi::Py_True() } else { ffi::Py_False() };
        let int = (&raw mut ffi::PyLong_Type).cast();
        let arguments = [int, bytes.as_ptr(), self.words.big.as_ptr(), signed];
        let (word, names) = (self.words.from_bytes.as_ptr(), self.words.signed.as_ptr());
        Owned::steal(ffi::PyObject_VectorcallMethod(word, arguments.as_ptr(), 3, names))
    }
}

/// The bytes of an exact `bytes`.
pub(crate) unsafe fn bytes_of(object: &Owned) -> Option<&[u8]> {
    if !is_exactly(object.as_ptr(), &raw mut ffi::PyBytes_Type) {
        return None;
    }
    let (start, size) = (ffi::PyBytes_AsString(object.as_ptr()), ffi::PyBytes_Size(object.as_ptr()));
    Some(std::slice::from_raw_parts(start.cast::<u8>(), size.cast_unsigned()))
}

/// As `object.__new__(class)`, of a class that inherits it.
pub(crate) unsafe fn new_object(class: *mut PyObject) -> Result<Owned> {
    let new = ffi::PyType_GetSlot(&raw mut ffi::PyBaseObject_Type, ffi::Py_tp_new);
    let new = std::mem::transmute::<*mut std::ffi::c_void, ffi::newfunc>(new);
    let none = Owned::steal(ffi::PyTuple_New(0))?;
    Owned::steal(new(class.cast(), none.as_ptr(), ptr::null_mut()))
}

/// As `object.__setattr__`.
#[inline]
pub(crate) unsafe fn set(object: &Owned, name: &Owned, value: &Owned) -> Result<()> {
    let failed = ffi::PyObject_GenericSetAttr(object.as_ptr(), name.as_ptr(), value.as_ptr()) < 0;
    if failed { Err(Raised) } else { Ok(()) }
}

#[inline]
pub(crate) unsafe fn get(object: *mut PyObject, name: &Owned) -> Result<Owned> {
    Owned::steal(ffi::PyObject_GetAttr(object, name.as_ptr()))
}

#[inline]
pub(crate) unsafe fn call(function: &Owned, arguments: &[*mut PyObject]) -> Result<Owned> {
    let count = arguments.len();
    Owned::steal(ffi::PyObject_Vectorcall(function.as_ptr(), arguments.as_ptr(), count, ptr::null_mut()))
}

unsafe fn other_type() -> Raised {
    crate::owned::type_error(c"a text of another type")
}

/// A refusal, for what raised `OverflowError` or the like.
pub(crate) unsafe fn instead(sentence: &str) -> Trouble {
    ffi::PyErr_Clear();
    refused(sentence)
}
