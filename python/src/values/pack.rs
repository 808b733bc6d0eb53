//! Objects to bytes.
//!
//! Whatever is asked of a value may run its own code, which may change what holds it: each item is held by a reference of our own
//! while it is packed, and a container is asked for its size again.

use std::ptr;

use pyo3_ffi as ffi;

use super::MOST_NESTED;
use super::classes::{self, Known, classes};
use super::form::{Form, Many, Shape};
use super::told::Index;
use super::trouble::{Outcome, Place, Step, Trouble, refused, type_name};
use super::wire;
use crate::owned::{Owned, PyObject, Raised, is_exactly, text_of};

pub(crate) struct Packer<'a> {
    pub(crate) forms: &'a [Form],
    pub(crate) out: &'a mut Vec<u8>,
    pub(crate) place: Place,
    pub(crate) nested: u32,
}

impl Packer<'_> {
    /// Appends a value in this form. Whoever calls keeps the value.
    pub(crate) unsafe fn pack(&mut self, value: *mut PyObject, index: Index) -> Outcome<()> {
        let form = &self.forms[index];
        match &form.shape {
            Shape::Bare => return self.bare(value),
            Shape::Text if is(value, &raw mut ffi::PyUnicode_Type) => return self.text(value),
            Shape::Int if is(value, &raw mut ffi::PyLong_Type) => return self.integer(value, true),
            Shape::ShortInt if is(value, &raw mut ffi::PyLong_Type) => return self.integer(value, false),
            Shape::Float | Shape::ExactFloat if is(value, &raw mut ffi::PyFloat_Type) => {
                wire::float(self.out, ffi::PyFloat_AsDouble(value));
            }
            // What Python calls a float may be an int. It stays one, so that the hit has the type of the miss.
            Shape::Float if is(value, &raw mut ffi::PyLong_Type) => return self.integer(value, false),
            Shape::Nil if ptr::eq(value, ffi::Py_None()) => wire::nil(self.out),
            Shape::Bool if is(value, &raw mut ffi::PyBool_Type) => {
                wire::boolean(self.out, ptr::eq(value, ffi::Py_True()));
            }
            Shape::Bytes if is(value, &raw mut ffi::PyBytes_Type) => return self.bytes(value),
            Shape::ByteArray if is(value, &raw mut ffi::PyByteArray_Type) => return self.byte_array(value),
            Shape::Record(record) if is(value, record.class.as_ptr().cast()) => {
                return self.deeper(|it| it.record(value, record));
            }
            Shape::Typed(typed) if is(value, &raw mut ffi::PyDict_Type) => {
                return self.deeper(|it| it.typed(value, typed));
            }
            Shape::Dict(of_key, of_value) if is(value, &raw mut ffi::PyDict_Type) => {
                return self.deeper(|it| it.dict(value, Some(*of_key), Some(*of_value)));
            }
            Shape::Many(many, item) if is(value, many.class()) => {
                return self.deeper(|it| it.many(value, many, *item));
            }
            Shape::Tuple(items) if is(value, &raw mut ffi::PyTuple_Type) => {
                return self.deeper(|it| it.fixed_tuple(value, items));
            }
            Shape::Union(union) => match union.of(value) {
                Some(index) => return self.pack(value, index),
                None => return Err(self.other(value, form)),
            },
            Shape::Known(known) if is(value, classes()?.class(*known).cast()) => return self.known(value, *known),
            Shape::Complex if is(value, &raw mut ffi::PyComplex_Type) => {
                wire::array(self.out, 2)?;
                wire::float(self.out, ffi::PyComplex_RealAsDouble(value));
                wire::float(self.out, ffi::PyComplex_ImagAsDouble(value));
            }
            Shape::Enum(class, members) if is(value, class.as_ptr().cast()) => return self.member(value, members),
            Shape::Flag(class, mask) if is(value, class.as_ptr().cast()) => return self.flag(value, *mask),
            Shape::Literal(all) => {
                for one in all {
                    if is_same(value, one.value.as_ptr())? {
                        return self.bare(one.plain.as_ptr());
                    }
                }
                return Err(self.other(value, form));
            }
            _ => return Err(self.other(value, form)),
        }
        Ok(())
    }

    /// Runs what packs a container, unless it is too deep in others.
    pub(crate) unsafe fn deeper<T>(&mut self, run: impl FnOnce(&mut Self) -> Outcome<T>) -> Outcome<T> {
        if self.nested == MOST_NESTED {
            return Err(refused(format!("is more than {MOST_NESTED} levels deep, or contains itself")));
        }
        // What we call may come back to us: the interpreter's own limit counts these levels as well.
        if ffi::Py_EnterRecursiveCall(c" while packing a value".as_ptr()) != 0 {
            return Err(Trouble::Raised);
        }
        self.nested += 1;
        let done = run(self);
        self.nested -= 1;
        ffi::Py_LeaveRecursiveCall();
        done
    }

    /// Packs a part of a value; without a form it is bare.
    #[inline]
    pub(crate) unsafe fn part(
        &mut self,
        value: &Owned,
        index: Option<Index>,
        step: impl FnOnce() -> Step,
    ) -> Outcome<()> {
        let done = match index {
            Some(index) => self.pack(value.as_ptr(), index),
            None => self.bare(value.as_ptr()),
        };
        if done.is_err() {
            self.place.is_in(step());
        }
        done
    }

    #[cold]
    unsafe fn other(&self, value: *mut PyObject, form: &Form) -> Trouble {
        let text = text_of(form.text.as_ptr()).unwrap_or("something else");
        if matches!(form.shape, Shape::Literal(_)) {
            return refused(format!("is none of the values of {text}, but of the type {}", type_name(value)));
        }
        refused(format!(
            "is of the type {}, and the annotation says {text}: what is read back would be of another type. Return what \
             is annotated, or annotate what is returned",
            type_name(value)
        ))
    }

    pub(crate) unsafe fn text(&mut self, value: *mut PyObject) -> Outcome<()> {
        match text_of(value) {
            Ok(text) => Ok(wire::text(self.out, text.as_bytes())?),
            Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_UnicodeError) != 0 => {
                Err(classes::instead("has half of a surrogate pair, which has no UTF-8"))
            }
            Err(Raised) => Err(Trouble::Raised),
        }
    }

    /// An exact `int`: of 64 bits, or of 128 as bytes.
    unsafe fn integer(&mut self, value: *mut PyObject, may_be_long: bool) -> Outcome<()> {
        if self.short_integer(value)? {
            return Ok(());
        }
        if !may_be_long {
            return Err(refused("is an int of more than 64 bits, which has no place beside bytes or as a float"));
        }
        match classes()?.big_endian(value, 16) {
            Ok(bytes) => Ok(wire::bytes(self.out, classes::bytes_of(&bytes).unwrap_or_default())?),
            Err(Raised) => {
                Err(classes::instead("is an int of more than 128 bits: annotate it as Any, or give its text"))
            }
        }
    }

    /// Appends an exact `int` of 64 bits; says whether it was one.
    pub(crate) unsafe fn short_integer(&mut self, value: *mut PyObject) -> Outcome<bool> {
        let mut beyond = 0;
        let number = ffi::PyLong_AsLongLongAndOverflow(value, &raw mut beyond);
        if beyond == 0 {
            wire::integer(self.out, number);
            return Ok(true);
        }
        if beyond > 0 {
            let number = ffi::PyLong_AsUnsignedLongLong(value);
            if number != u64::MAX || ffi::PyErr_Occurred().is_null() {
                wire::unsigned(self.out, number);
                return Ok(true);
            }
            ffi::PyErr_Clear();
        }
        Ok(false)
    }

    pub(crate) unsafe fn bytes(&mut self, value: *mut PyObject) -> Outcome<()> {
        let (start, size) = (ffi::PyBytes_AsString(value), ffi::PyBytes_Size(value).cast_unsigned());
        Ok(wire::bytes(self.out, std::slice::from_raw_parts(start.cast(), size))?)
    }

    unsafe fn byte_array(&mut self, value: *mut PyObject) -> Outcome<()> {
        Ok(wire::bytes(self.out, byte_array_of(value))?)
    }

    unsafe fn known(&mut self, value: *mut PyObject, known: Known) -> Outcome<()> {
        match known {
            Known::TimeDelta => {
                let microseconds = i64::try_from(classes()?.microseconds(value)?);
                let number = microseconds.map_err(|_| refused("is a timedelta of more than 292,000 years"))?;
                wire::integer(self.out, number);
                Ok(())
            }
            Known::Uuid => Ok(wire::bytes(self.out, &classes()?.uuid_bytes(value)?)?),
            _ => {
                let text = self.known_text(value, known)?;
                self.text(text.as_ptr())
            }
        }
    }

    /// The text of a `Decimal`, or of an instant; the face refuses what has none.
    pub(crate) unsafe fn known_text(&mut self, value: *mut PyObject, known: Known) -> Outcome<Owned> {
        let text = match known {
            Known::Decimal => Owned::steal(ffi::PyObject_Str(value))?,
            _ => classes()?.iso_text(known, value)?,
        };
        // The face says what is wrong with a zone, instead of raising what the place would be missing from.
        if is_exactly(text.as_ptr(), &raw mut ffi::PyTuple_Type) {
            let sentence = ffi::PyTuple_GetItem(text.as_ptr(), 0);
            return Err(refused(text_of(sentence)?));
        }
        Ok(text)
    }

    unsafe fn member(&mut self, value: *mut PyObject, members: &Owned) -> Outcome<()> {
        let name = Owned::steal(ffi::PyObject_GetAttrString(value, c"_name_".as_ptr()))?;
        let known = ffi::PyDict_GetItemWithError(members.as_ptr(), name.as_ptr());
        if !ptr::eq(known, value) {
            return if ffi::PyErr_Occurred().is_null() {
                Err(refused(format!("is no member of {} by its name", type_name(value))))
            } else {
                Err(Trouble::Raised)
            };
        }
        self.text(name.as_ptr())
    }

    unsafe fn flag(&mut self, value: *mut PyObject, mask: u64) -> Outcome<()> {
        let number = Owned::steal(ffi::PyObject_GetAttrString(value, c"_value_".as_ptr()))?;
        if is(number.as_ptr(), &raw mut ffi::PyLong_Type) {
            let number = ffi::PyLong_AsUnsignedLongLong(number.as_ptr());
            let is_known = number & !mask == 0 && ffi::PyErr_Occurred().is_null();
            ffi::PyErr_Clear();
            if is_known {
                wire::unsigned(self.out, number);
                return Ok(());
            }
        }
        Err(refused("is a flag with bits that no member has"))
    }

    unsafe fn many(&mut self, value: *mut PyObject, many: &Many, item: Index) -> Outcome<()> {
        match many {
            Many::List => self.list(value, Some(item)),
            Many::Tuple => self.tuple(value, |_| Some(item)),
            Many::Set | Many::FrozenSet => self.iterated(value, Some(item), ffi::PySet_Size(value), false),
            Many::Deque(_) => {
                let bound = Owned::steal(ffi::PyObject_GetAttrString(value, c"maxlen".as_ptr()))?;
                if !ptr::eq(bound.as_ptr(), ffi::Py_None()) {
                    return Err(refused("is a deque with a maxlen, which would be lost: return a list"));
                }
                self.iterated(value, Some(item), ffi::PyObject_Size(value), true)
            }
        }
    }

    pub(crate) unsafe fn list(&mut self, value: *mut PyObject, item: Option<Index>) -> Outcome<()> {
        let count = ffi::PyList_Size(value);
        wire::array(self.out, count.cast_unsigned())?;
        for at in 0..count {
            if ffi::PyList_Size(value) != count {
                return Err(changed());
            }
            let one = Owned::share(ffi::PyList_GetItem(value, at));
            self.part(&one, item, || Step::Index(at.cast_unsigned()))?;
        }
        if ffi::PyList_Size(value) == count { Ok(()) } else { Err(changed()) }
    }

    pub(crate) unsafe fn tuple(&mut self, value: *mut PyObject, form: impl Fn(usize) -> Option<Index>) -> Outcome<()> {
        let count = ffi::PyTuple_Size(value).cast_unsigned();
        wire::array(self.out, count)?;
        for at in 0..count {
            let one = Owned::share(ffi::PyTuple_GetItem(value, at.cast_signed()));
            self.part(&one, form(at), || Step::Index(at))?;
        }
        Ok(())
    }

    unsafe fn fixed_tuple(&mut self, value: *mut PyObject, items: &[Index]) -> Outcome<()> {
        let count = ffi::PyTuple_Size(value).cast_unsigned();
        if count != items.len() {
            return Err(refused(format!("has {count} items, and the annotation says {}", items.len())));
        }
        self.tuple(value, |at| Some(items[at]))
    }

    /// What has an iterator that notices changes.
    pub(crate) unsafe fn iterated(
        &mut self,
        value: *mut PyObject,
        item: Option<Index>,
        count: ffi::Py_ssize_t,
        has_places: bool,
    ) -> Outcome<()> {
        let count = usize::try_from(count).map_err(|_| Trouble::Raised)?;
        wire::array(self.out, count)?;
        let iterator = Owned::steal(ffi::PyObject_GetIter(value))?;
        let mut at = 0;
        while let Ok(one) = Owned::steal(ffi::PyIter_Next(iterator.as_ptr())) {
            self.part(&one, item, || if has_places { Step::Index(at) } else { Step::Member })?;
            at += 1;
        }
        if !ffi::PyErr_Occurred().is_null() {
            return Err(Trouble::Raised);
        }
        if at == count { Ok(()) } else { Err(changed()) }
    }

    pub(crate) unsafe fn dict(
        &mut self,
        value: *mut PyObject,
        of_key: Option<Index>,
        of_value: Option<Index>,
    ) -> Outcome<()> {
        wire::map(self.out, ffi::PyDict_Size(value).cast_unsigned())?;
        let mut walk = Walk::new(value);
        while let Some((key, one)) = walk.next()? {
            self.part(&key, of_key, || Step::AsKey(key.clone()))?;
            self.part(&one, of_value, || Step::Key(key.clone()))?;
        }
        Ok(())
    }
}

impl Many {
    fn class(&self) -> *mut ffi::PyTypeObject {
        match self {
            Many::List => &raw mut ffi::PyList_Type,
            Many::Tuple => &raw mut ffi::PyTuple_Type,
            Many::Set => &raw mut ffi::PySet_Type,
            Many::FrozenSet => &raw mut ffi::PyFrozenSet_Type,
            Many::Deque(class) => class.as_ptr().cast(),
        }
    }
}

/// The entries of a dict, one after the other, each with references of our own; one that changes meanwhile is an error.
pub(crate) struct Walk {
    dict: *mut PyObject,
    at: ffi::Py_ssize_t,
    count: ffi::Py_ssize_t,
    seen: ffi::Py_ssize_t,
}

impl Walk {
    pub(crate) unsafe fn new(dict: *mut PyObject) -> Walk {
        Walk { dict, at: 0, count: ffi::PyDict_Size(dict), seen: 0 }
    }

    #[inline]
    pub(crate) unsafe fn next(&mut self) -> Outcome<Option<(Owned, Owned)>> {
        let (mut key, mut value) = (ptr::null_mut(), ptr::null_mut());
        let found = ffi::PyDict_Next(self.dict, &raw mut self.at, &raw mut key, &raw mut value) != 0;
        // As many as were announced, no more and no fewer.
        if found != (self.seen < self.count) {
            return Err(changed());
        }
        self.seen += 1;
        Ok(found.then(|| (Owned::share(key), Owned::share(value))))
    }
}

#[cold]
pub(crate) fn changed() -> Trouble {
    refused("changed while it was packed")
}

#[inline]
unsafe fn is(value: *mut PyObject, class: *mut ffi::PyTypeObject) -> bool {
    is_exactly(value, class)
}

/// Whether two values of one plain type are equal, or are one object.
pub(crate) unsafe fn is_same(one: *mut PyObject, other: *mut PyObject) -> Outcome<bool> {
    if ptr::eq(one, other) {
        return Ok(true);
    }
    if !ptr::eq(ffi::Py_TYPE(one), ffi::Py_TYPE(other)) || !crate::owned::is_plain(one) {
        return Ok(false);
    }
    match ffi::PyObject_RichCompareBool(one, other, ffi::Py_EQ) {
        -1 => Err(Trouble::Raised),
        said => Ok(said == 1),
    }
}

/// The bytes of an exact `bytearray`, until code of Python's runs.
pub(crate) unsafe fn byte_array_of<'a>(value: *mut PyObject) -> &'a [u8] {
    let (start, size) = (ffi::PyByteArray_AsString(value), ffi::PyByteArray_Size(value).cast_unsigned());
    std::slice::from_raw_parts(start.cast(), size)
}
