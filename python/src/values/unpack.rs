//! Bytes to objects.
//!
//! Nothing is made before what it is made of: an object that is given up halfway would run its `__del__` on what it has not.

use std::ptr;

use pyo3_ffi as ffi;

use super::MOST_NESTED;
use super::classes::{self, Known, classes};
use super::form::{Form, Many, Shape};
use super::keys;
use super::pack::is_same;
use super::told::Index;
use super::trouble::{Outcome, Place, Step, Trouble, refused};
use super::wire::{Head, Kind, Reader};
use crate::owned::{Owned, PyObject, boolean, is_exactly, none, text_of};

pub(crate) struct Unpacker<'a> {
    pub(crate) forms: &'a [Form],
    pub(crate) reader: Reader<'a>,
    pub(crate) place: Place,
    pub(crate) nested: u32,
    /// What was found of the containers around the next value, and is in none of them yet.
    pub(crate) found: Vec<Option<Owned>>,
}

impl<'a> Unpacker<'a> {
    /// The next value, in this form.
    pub(crate) unsafe fn unpack(&mut self, index: Index) -> Outcome<Owned> {
        let form = &self.forms[index];
        match &form.shape {
            Shape::Bare => return self.bare(),
            Shape::Union(union) => {
                let kind = self.reader.kind()?;
                return match union.of_kinds[kind as usize] {
                    Some(index) => self.unpack(index),
                    None => Err(self.other(kind, form)),
                };
            }
            Shape::Literal(_) => return self.literal(form),
            _ => {}
        }
        let at = self.reader.position();
        match (&form.shape, self.reader.head()?) {
            (Shape::Text, Head::Text(bytes)) => self.text(bytes),
            (Shape::Int | Shape::ShortInt | Shape::Float, Head::Int(number)) => {
                Ok(Owned::steal(ffi::PyLong_FromLongLong(number))?)
            }
            (Shape::Int | Shape::ShortInt | Shape::Float, Head::Large(number)) => Ok(crate::owned::integer(number)?),
            (Shape::Int, Head::Bytes(bytes)) if bytes.len() == 16 => Ok(classes()?.integer(bytes, true)?),
            (Shape::Float | Shape::ExactFloat, Head::Float(number)) => {
                Ok(Owned::steal(ffi::PyFloat_FromDouble(number))?)
            }
            (Shape::Nil, Head::Nil) => Ok(none()),
            (Shape::Bool, Head::Bool(value)) => Ok(boolean(value)),
            (Shape::Bytes, Head::Bytes(bytes)) => self.bytes(bytes),
            (Shape::ByteArray, Head::Bytes(bytes)) => {
                let (start, size) = (bytes.as_ptr().cast(), bytes.len().cast_signed());
                Ok(Owned::steal(ffi::PyByteArray_FromStringAndSize(start, size))?)
            }
            (Shape::Record(record), Head::Map(count)) => self.deeper(|it| it.record(count, record)),
            (Shape::Typed(typed), Head::Map(count)) => self.deeper(|it| it.typed(count, typed)),
            (Shape::Dict(of_key, of_value), Head::Map(count)) => {
                self.deeper(|it| it.dict(count, Some(*of_key), Some(*of_value)))
            }
            (Shape::Many(many, item), Head::Array(count)) => self.deeper(|it| it.many(count, many, *item)),
            (Shape::Tuple(items), Head::Array(count)) if count == items.len() => {
                self.deeper(|it| it.tuple(count, |at| Some(items[at])))
            }
            (Shape::Tuple(items), Head::Array(count)) => {
                Err(refused(format!("has {count} items, and the annotation says {}", items.len())))
            }
            (Shape::Known(known), head) => match self.known(*known, head)? {
                Some(found) => Ok(found),
                None => Err(self.other(self.reader.kind_at(at)?, form)),
            },
            (Shape::Complex, Head::Array(2)) => {
                let (real, imaginary) = (self.float()?, self.float()?);
                Ok(Owned::steal(ffi::PyComplex_FromDoubles(real, imaginary))?)
            }
            (Shape::Enum(_, members), Head::Text(bytes)) => self.member(members, bytes, form),
            (Shape::Flag(class, mask), Head::Int(number)) => self.flag(class, *mask, number.cast_unsigned()),
            (Shape::Flag(class, mask), Head::Large(number)) => self.flag(class, *mask, number),
            _ => Err(self.other(self.reader.kind_at(at)?, form)),
        }
    }

    /// Runs what unpacks a container, unless it is too deep in others.
    pub(crate) unsafe fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.nested == MOST_NESTED {
            return Err(refused(format!("is more than {MOST_NESTED} levels deep")));
        }
        if ffi::Py_EnterRecursiveCall(c" while unpacking a value".as_ptr()) != 0 {
            return Err(Trouble::Raised);
        }
        self.nested += 1;
        let done = run(self);
        self.nested -= 1;
        ffi::Py_LeaveRecursiveCall();
        done
    }

    /// Unpacks a part of a value; without a form it is bare.
    #[inline]
    pub(crate) unsafe fn part(&mut self, index: Option<Index>, step: impl FnOnce() -> Step) -> Outcome<Owned> {
        let done = match index {
            Some(index) => self.unpack(index),
            None => self.bare(),
        };
        if done.is_err() {
            self.place.is_in(step());
        }
        done
    }

    #[cold]
    pub(crate) unsafe fn other(&self, kind: Kind, form: &Form) -> Trouble {
        let text = text_of(form.text.as_ptr()).unwrap_or("something else");
        refused(format!("is {}, and the annotation says {text}", kind.name()))
    }

    #[inline]
    pub(crate) unsafe fn text(&self, bytes: &[u8]) -> Outcome<Owned> {
        // Checks the UTF-8.
        Ok(Owned::steal(ffi::PyUnicode_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed()))?)
    }

    pub(crate) unsafe fn bytes(&self, bytes: &[u8]) -> Outcome<Owned> {
        Ok(Owned::steal(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed()))?)
    }

    unsafe fn float(&mut self) -> Outcome<f64> {
        match self.reader.head()? {
            Head::Float(number) => Ok(number),
            _ => Err(refused("is a complex number with a part that is no float")),
        }
    }

    unsafe fn literal(&mut self, form: &Form) -> Outcome<Owned> {
        let Shape::Literal(all) = &form.shape else { return Err(refused("is no literal")) };
        let kind = self.reader.kind()?;
        if matches!(kind, Kind::Array | Kind::Map | Kind::Extension) {
            return Err(self.other(kind, form));
        }
        let found = self.bare()?;
        for one in all {
            if is_same(found.as_ptr(), one.plain.as_ptr())? {
                return Ok(one.value.clone());
            }
        }
        let text = text_of(form.text.as_ptr()).unwrap_or("the annotation");
        Err(refused(format!("is none of the values of {text}")))
    }

    /// None where the head is another type's.
    unsafe fn known(&mut self, known: Known, head: Head<'a>) -> Outcome<Option<Owned>> {
        let found = match (known, head) {
            (Known::Uuid, Head::Bytes(bytes)) => {
                let bytes = bytes.try_into().map_err(|_| refused("is a UUID of another length"))?;
                classes()?.uuid(bytes)?
            }
            (Known::TimeDelta, Head::Int(number)) => classes()?.timedelta(number.into())?,
            (Known::DateTime | Known::Date | Known::Time | Known::Decimal, Head::Text(bytes)) => {
                let text = self.text(bytes)?;
                self.known_of_text(known, &text)?
            }
            _ => return Ok(None),
        };
        Ok(Some(found))
    }

    pub(crate) unsafe fn known_of_text(&mut self, known: Known, text: &Owned) -> Outcome<Owned> {
        Ok(match known {
            Known::Decimal => classes()?.decimal(text.as_ptr())?,
            _ => classes()?.of_iso_text(known, text.as_ptr())?,
        })
    }

    unsafe fn member(&mut self, members: &Owned, bytes: &[u8], form: &Form) -> Outcome<Owned> {
        let name = self.text(bytes)?;
        let found = ffi::PyDict_GetItemWithError(members.as_ptr(), name.as_ptr());
        if !found.is_null() {
            return Ok(Owned::share(found));
        }
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Trouble::Raised);
        }
        let text = text_of(form.text.as_ptr()).unwrap_or("the enum");
        Err(refused(format!("is no member of {text}")))
    }

    unsafe fn flag(&mut self, class: &Owned, mask: u64, number: u64) -> Outcome<Owned> {
        if number & !mask != 0 {
            return Err(refused("is a flag with bits that no member has"));
        }
        let number = crate::owned::integer(number)?;
        let found = classes::call(class, &[number.as_ptr()])?;
        if is_exactly(found.as_ptr(), class.as_ptr().cast()) { Ok(found) } else { Err(refused("is no flag")) }
    }

    unsafe fn many(&mut self, count: usize, many: &Many, item: Index) -> Outcome<Owned> {
        match many {
            Many::List => self.list(count, Some(item)),
            Many::Tuple => self.tuple(count, |_| Some(item)),
            Many::Set => self.set(count, Some(item), false),
            Many::FrozenSet => self.set(count, Some(item), true),
            Many::Deque(class) => {
                let list = self.list(count, Some(item))?;
                Ok(classes::call(class, &[list.as_ptr()])?)
            }
        }
    }

    pub(crate) unsafe fn list(&mut self, count: usize, item: Option<Index>) -> Outcome<Owned> {
        let first = self.items(count, |_| item)?;
        let list = Owned::steal(ffi::PyList_New(count.cast_signed()))?;
        for (at, one) in self.found.drain(first..).flatten().enumerate() {
            ffi::PyList_SetItem(list.as_ptr(), at.cast_signed(), one.into_ptr());
        }
        Ok(list)
    }

    pub(crate) unsafe fn tuple(&mut self, count: usize, form: impl Fn(usize) -> Option<Index>) -> Outcome<Owned> {
        let first = self.items(count, form)?;
        let tuple = Owned::steal(ffi::PyTuple_New(count.cast_signed()))?;
        for (at, one) in self.found.drain(first..).flatten().enumerate() {
            ffi::PyTuple_SetItem(tuple.as_ptr(), at.cast_signed(), one.into_ptr());
        }
        Ok(tuple)
    }

    /// Finds so many items, before the container is made: code of Python's that runs meanwhile could see one with holes. Says
    /// where they begin.
    unsafe fn items(&mut self, count: usize, form: impl Fn(usize) -> Option<Index>) -> Outcome<usize> {
        let first = self.found.len();
        for at in 0..count {
            let one = self.part(form(at), || Step::Index(at))?;
            self.found.push(Some(one));
        }
        Ok(first)
    }

    pub(crate) unsafe fn set(&mut self, count: usize, item: Option<Index>, is_frozen: bool) -> Outcome<Owned> {
        let new = if is_frozen { ffi::PyFrozenSet_New } else { ffi::PySet_New };
        let set = Owned::steal(new(ptr::null_mut()))?;
        for _ in 0..count {
            let one = self.part(item, || Step::Member)?;
            if ffi::PySet_Add(set.as_ptr(), one.as_ptr()) < 0 {
                return Err(Trouble::Raised);
            }
        }
        Ok(set)
    }

    unsafe fn key(&mut self, index: Option<Index>) -> Outcome<Owned> {
        let may_be_text = index.is_none_or(|index| matches!(self.forms[index].shape, Shape::Text));
        if may_be_text && let Some(bytes) = self.reader.text_if_any()? {
            return Ok(keys::key(bytes)?);
        }
        self.part(index, || Step::Member)
    }

    pub(crate) unsafe fn dict(
        &mut self,
        count: usize,
        of_key: Option<Index>,
        of_value: Option<Index>,
    ) -> Outcome<Owned> {
        let dict = Owned::steal(ffi::PyDict_New())?;
        for _ in 0..count {
            let key = self.key(of_key)?;
            let one = self.part(of_value, || Step::Key(key.clone()))?;
            put(&dict, &key, &one)?;
        }
        Ok(dict)
    }
}

#[inline]
pub(crate) unsafe fn put(dict: &Owned, key: &Owned, value: &Owned) -> Outcome<()> {
    let failed = ffi::PyDict_SetItem(dict.as_ptr(), key.as_ptr(), value.as_ptr()) < 0;
    if failed { Err(Trouble::Raised) } else { Ok(()) }
}

/// An object that somebody else keeps, or the exception that is set.
pub(crate) unsafe fn borrowed(object: *mut PyObject) -> Outcome<Option<*mut PyObject>> {
    if !object.is_null() {
        return Ok(Some(object));
    }
    if ffi::PyErr_Occurred().is_null() { Ok(None) } else { Err(Trouble::Raised) }
}
