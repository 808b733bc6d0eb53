//! What tells one call from another: a call's arguments as they are looked up, and as an entry keeps them.
//!
//! **Problem.** A key has to compare as Python compares, and must cost less than the tuple that `functools` makes of each call.
//!
//! **Idea.** One argument that is an exact `int` of 64 bits is kept as that number: such a key holds no object at all. One
//! exact `str` (or longer `int`) is kept bare. All else is a list of parts, hashed part by part and compared likewise. The
//! three kinds never equal each other, as in `functools`, where a bare `1` and the tuple `(1.0,)` differ.
//!
//! **Foreign code.** `hash` runs for each part before anything is looked up. `==` may do anything, this cache's clearing
//! included, so that a table compares by identity and among plain types alone (`owned::is_plain`), and says "undecided" for
//! the rest; `probe.rs` has the rest.

use std::ptr;

use pyo3_ffi as ffi;

use crate::owned::{Owned, PyObject, Raised, Result, is_exactly, is_plain};
use crate::parts::Parts;

/// A key as an entry keeps it: two words.
#[derive(Clone)]
pub(crate) enum Key {
    Int(i64),
    /// An exact `str`, or an exact `int` of more than 64 bits.
    Bare(Owned),
    Parts(Parts),
}

/// A key as it is looked up: borrowed from whoever calls.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) hash: u64,
    shape: Shape<'a>,
}

#[derive(Clone, Copy)]
enum Shape<'a> {
    Int(i64),
    Bare(*mut PyObject),
    Parts(Call<'a>),
}

/// The arguments of a call: values, then names, of which a tuple may hold some more.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) values: &'a [*mut PyObject],
    /// The names of the last values: a tuple, or null.
    pub(crate) names: *mut PyObject,
    /// How many names there are, in the tuple or at the end of `values`.
    pub(crate) named: u32,
}

/// How keys of one table are made and compared.
#[derive(Clone, Copy)]
pub(crate) struct Rule {
    /// Drawn for each table, so that nobody prepares keys that collide.
    pub(crate) seed: u64,
    /// `1`, `1.0` and `True` are three keys, not one.
    pub(crate) typed: bool,
}

/// What is known of two keys without running Python code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Same,
    Different,
    Undecided,
}

/// Odd, with as many ones as zeros, from the fraction of the golden ratio.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// Both halves of a 128-bit product: each bit of the input reaches each of the output.
#[inline]
fn mix(value: u64) -> u64 {
    let product = u128::from(value) * u128::from(MIX);
    (product as u64) ^ ((product >> 64) as u64)
}

impl Rule {
    #[inline]
    pub(crate) fn int(self, value: i64) -> View<'static> {
        View { hash: mix(value.cast_unsigned() ^ self.seed), shape: Shape::Int(value) }
    }

    /// The key of one argument that is exactly an `int` or a `str`, or None.
    #[inline]
    pub(crate) unsafe fn single(self, argument: *mut PyObject) -> Option<View<'static>> {
        if is_exactly(argument, &raw mut ffi::PyLong_Type) {
            let mut beyond = 0;
            let value = ffi::PyLong_AsLongLongAndOverflow(argument, &raw mut beyond);
            if beyond == 0 {
                return Some(self.int(value));
            }
        } else if !is_exactly(argument, &raw mut ffi::PyUnicode_Type) {
            return None;
        }
        // Of these two types no hash raises.
        let hash = ffi::PyObject_Hash(argument) as u64;
        Some(View { hash: mix(hash ^ self.seed.rotate_left(32)), shape: Shape::Bare(argument) })
    }

    /// The key of a call. Runs `hash` of each part once, in their order.
    #[inline]
    pub(crate) unsafe fn call<'a>(self, call: Call<'a>) -> Result<View<'a>> {
        if let [argument] = call.values
            && call.named == 0
            && let Some(view) = self.single(*argument)
        {
            return Ok(view);
        }
        self.parts(call)
    }

    unsafe fn parts<'a>(self, call: Call<'a>) -> Result<View<'a>> {
        let mut hash = self.seed ^ (u64::from(call.named) << 32) ^ call.len() as u64;
        for at in 0..call.len() {
            let part = call.part(at);
            let of_part = ffi::PyObject_Hash(part);
            if of_part == -1 {
                return Err(Raised);
            }
            hash = mix(hash ^ of_part as u64).rotate_left(23);
            if self.typed {
                hash ^= ffi::Py_TYPE(part) as u64 >> 4;
            }
        }
        Ok(View { hash: mix(hash), shape: Shape::Parts(call) })
    }

    /// Whether an entry's key is the one that is looked up, as far as that is known without running Python code. The
    /// hashes are equal already.
    #[inline]
    pub(crate) unsafe fn compare(self, key: &Key, view: &View) -> Verdict {
        match (key, view.shape) {
            (Key::Int(mine), Shape::Int(other)) => decided(*mine == other),
            (Key::Bare(mine), Shape::Bare(other)) => decided(equal_bare(mine.as_ptr(), other)),
            (Key::Parts(mine), Shape::Parts(other)) => self.compare_parts(mine, other),
            _ => Verdict::Different,
        }
    }

    unsafe fn compare_parts(self, mine: &Parts, other: Call) -> Verdict {
        let items = mine.items();
        if items.len() != other.len() || mine.named() != other.named {
            return Verdict::Different;
        }
        let mut verdict = Verdict::Same;
        for (at, part) in items.iter().enumerate() {
            let given = other.part(at);
            if ptr::eq(*part, given) {
                continue;
            }
            if self.typed && !ptr::eq(ffi::Py_TYPE(*part), ffi::Py_TYPE(given)) {
                return Verdict::Different;
            }
            if !is_plain(*part) || !is_plain(given) {
                // A plain part further on may still tell them apart, but then Python would have compared this one first.
                return Verdict::Undecided;
            }
            if ffi::PyObject_RichCompareBool(*part, given, ffi::Py_EQ) != 1 {
                verdict = Verdict::Different;
                break;
            }
        }
        verdict
    }
}

#[inline]
fn decided(same: bool) -> Verdict {
    if same { Verdict::Same } else { Verdict::Different }
}

/// `==` of two bare keys, each exactly a `str` or an `int`, which cannot raise.
#[inline]
unsafe fn equal_bare(mine: *mut PyObject, other: *mut PyObject) -> bool {
    if ptr::eq(mine, other) {
        return true;
    }
    if !is_exactly(mine, &raw mut ffi::PyUnicode_Type) || !is_exactly(other, &raw mut ffi::PyUnicode_Type) {
        return ffi::PyObject_RichCompareBool(mine, other, ffi::Py_EQ) == 1;
    }
    // Straight to what `==` ends in: a third less for keys that are equal and not the same object.
    let said = ffi::PyUnicode_RichCompare(mine, other, ffi::Py_EQ);
    let equal = ptr::eq(said, ffi::Py_True());
    ffi::Py_XDECREF(said);
    equal
}

impl Key {
    /// `==` as Python has it, part by part. The caller owns the key, and both live through whatever that runs.
    pub(crate) unsafe fn equals(&self, view: &View) -> Result<bool> {
        let (Key::Parts(mine), Shape::Parts(other)) = (self, view.shape) else {
            return Ok(false);
        };
        for (at, part) in mine.items().iter().enumerate() {
            match ffi::PyObject_RichCompareBool(*part, other.part(at), ffi::Py_EQ) {
                1 => {}
                0 => return Ok(false),
                _ => return Err(Raised),
            }
        }
        Ok(true)
    }

    /// The same for keys of any kind.
    pub(crate) unsafe fn same(&self, view: &View) -> Result<bool> {
        match (self, view.shape) {
            (Key::Int(mine), Shape::Int(other)) => Ok(*mine == other),
            (Key::Bare(mine), Shape::Bare(other)) => Ok(equal_bare(mine.as_ptr(), other)),
            (Key::Parts(mine), Shape::Parts(other)) => {
                let alike = mine.items().len() == other.len() && mine.named() == other.named;
                Ok(alike && self.equals(view)?)
            }
            _ => Ok(false),
        }
    }

    /// This key as one that is looked up.
    pub(crate) fn view(&self, hash: u64) -> View<'_> {
        let shape = match self {
            Key::Int(value) => Shape::Int(*value),
            Key::Bare(object) => Shape::Bare(object.as_ptr()),
            Key::Parts(parts) => {
                Shape::Parts(Call { values: parts.items(), names: ptr::null_mut(), named: parts.named() })
            }
        };
        View { hash, shape }
    }

    /// The objects that it refers to.
    #[inline]
    pub(crate) fn objects(&self) -> &[*mut PyObject] {
        match self {
            // Neither a number nor a `str` or an `int` refers to anything.
            Key::Int(_) | Key::Bare(_) => &[],
            Key::Parts(parts) => parts.items(),
        }
    }
}

impl View<'_> {
    /// A key that an entry may keep.
    pub(crate) unsafe fn to_key(self) -> Key {
        match self.shape {
            Shape::Int(value) => Key::Int(value),
            Shape::Bare(object) => Key::Bare(Owned::share(object)),
            Shape::Parts(call) => Key::Parts(Parts::new(call.values, call.names, call.named)),
        }
    }
}

impl Call<'_> {
    #[inline]
    fn len(&self) -> usize {
        if self.names.is_null() { self.values.len() } else { self.values.len() + self.named as usize }
    }

    #[inline]
    unsafe fn part(&self, at: usize) -> *mut PyObject {
        match self.values.get(at) {
            Some(value) => *value,
            None => ffi::PyTuple_GetItem(self.names, (at - self.values.len()) as ffi::Py_ssize_t),
        }
    }
}
