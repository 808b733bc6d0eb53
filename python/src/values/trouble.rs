//! What is wrong with a value or with bytes, where in it, and how it is told.

use std::fmt::Write;

use pyo3_ffi as ffi;

use super::wire::{Damage, TooLong};
use crate::owned::{Owned, PyObject, Raised, attribute, is_exactly};
use crate::raised::{raised, restore};

/// Why a value is not packed, or bytes are not unpacked.
pub(crate) enum Trouble {
    /// Python has an exception set.
    Raised,
    /// A sentence that goes on after the place: `is of the type set, …`.
    #[allow(clippy::box_collection, reason = "one word, so that what every step returns fits into registers")]
    Refused(Box<String>),
}

pub(crate) type Outcome<T> = Result<T, Trouble>;

impl From<Raised> for Trouble {
    fn from(_: Raised) -> Self {
        Trouble::Raised
    }
}

impl From<TooLong> for Trouble {
    fn from(_: TooLong) -> Self {
        refused("is longer than 4 GiB, or has more than 4294967295 items")
    }
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Self {
        match damage {
            Damage::Short => refused("goes beyond the end of the bytes"),
            Damage::Unknown => refused("begins with a byte that MessagePack has no meaning for"),
        }
    }
}

#[cold]
pub(crate) fn refused(sentence: impl Into<String>) -> Trouble {
    Trouble::Refused(Box::new(sentence.into()))
}

/// One step from a value into it.
pub(crate) enum Step {
    Field(Owned),
    Key(Owned),
    Index(usize),
    /// A member of a set, which has no place.
    Member,
    /// The key itself, and not what stands under it.
    AsKey(Owned),
}

/// Where in a value something is wrong: written from the inside out, while the calls that led there return.
#[derive(Default)]
pub(crate) struct Place(Vec<Step>);

impl Place {
    /// Called for something that failed, in something else.
    #[cold]
    pub(crate) fn is_in(&mut self, step: Step) {
        self.0.push(step);
    }

    /// `result["items"][3].owner`
    unsafe fn text(&self) -> String {
        let mut text = "result".to_owned();
        let mut is_key = false;
        for step in self.0.iter().rev() {
            let _ = match step {
                Step::Field(name) => write!(text, ".{}", plainly(name.as_ptr())),
                Step::Key(key) => write!(text, "[{}]", plainly_quoted(key.as_ptr())),
                Step::Index(at) => write!(text, "[{at}]"),
                Step::Member => write!(text, "[a member]"),
                Step::AsKey(key) => {
                    is_key = true;
                    write!(text, "[{}]", plainly_quoted(key.as_ptr()))
                }
            };
        }
        if is_key { format!("the key of {text}") } else { text }
    }
}

/// At most so many characters of a text that stands in a message.
const LONGEST: usize = 60;

/// A text, cut where it is long; of another type its name, since its `repr` may run anything.
unsafe fn plainly(object: *mut PyObject) -> String {
    if is_exactly(object, &raw mut ffi::PyUnicode_Type)
        && let Ok(text) = crate::owned::text_of(object)
    {
        return if text.chars().count() <= LONGEST {
            text.to_owned()
        } else {
            text.chars().take(LONGEST).chain(['…']).collect()
        };
    }
    ffi::PyErr_Clear();
    let mut beyond = 0;
    if is_exactly(object, &raw mut ffi::PyLong_Type) {
        let number = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut beyond);
        if beyond == 0 {
            return number.to_string();
        }
    }
    format!("a {}", type_name(object))
}

unsafe fn plainly_quoted(object: *mut PyObject) -> String {
    let text = plainly(object);
    if is_exactly(object, &raw mut ffi::PyUnicode_Type) { format!("{text:?}") } else { text }
}

/// What the type of an object is called, with its module unless that is `builtins`.
pub(crate) unsafe fn type_name(object: *mut PyObject) -> String {
    name_of_type(ffi::Py_TYPE(object))
}

pub(crate) unsafe fn name_of_type(kind: *mut ffi::PyTypeObject) -> String {
    // Of a type itself: `__module__` in its own `__dict__`, past a metaclass that says something else.
    let name = Owned::steal(ffi::PyType_GetQualName(kind));
    let name = name.ok().and_then(|name| crate::owned::text_of(name.as_ptr()).ok().map(str::to_owned));
    let get = attribute((&raw mut ffi::PyType_Type).cast(), c"__getattribute__").ok();
    let module = get.and_then(|get| {
        let word = Owned::steal(ffi::PyUnicode_FromString(c"__module__".as_ptr())).ok()?;
        let arguments = [kind.cast::<PyObject>(), word.as_ptr()];
        Owned::steal(ffi::PyObject_Vectorcall(get.as_ptr(), arguments.as_ptr(), 2, std::ptr::null_mut())).ok()
    });
    let module = module
        .filter(|module| is_exactly(module.as_ptr(), &raw mut ffi::PyUnicode_Type))
        .and_then(|module| crate::owned::text_of(module.as_ptr()).ok().map(str::to_owned));
    ffi::PyErr_Clear();
    let name = name.unwrap_or_else(|| "object".to_owned());
    match module {
        Some(module) if module != "builtins" => format!("{module}.{name}"),
        _ => name,
    }
}

/// Which of the two went wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Packing,
    Unpacking,
}

/// Sets the exception that says what is wrong; of what a caller's own code raised while a value was unpacked it is the cause.
#[cold]
pub(crate) unsafe fn raise(way: Way, function: &Owned, place: &Place, trouble: Trouble) -> Raised {
    let (sentence, cause) = match trouble {
        Trouble::Refused(sentence) => (*sentence, None),
        Trouble::Raised if way == Way::Unpacking && is_of_the_value() => {
            let cause = raised();
            let what = cause.as_ref().map_or_else(String::new, |cause| type_name(cause.as_ptr()));
            (format!("could not be made again: {what}"), cause)
        }
        Trouble::Raised => return Raised,
    };
    let function = plainly(function.as_ptr());
    let place = place.text();
    let (class, message) = match way {
        Way::Packing => (c"PackError", format!("{function}: {place} {sentence}")),
        Way::Unpacking => (c"UnpackError", format!("{function}: what is stored does not fit: {place} {sentence}")),
    };
    if let Ok(error) = made(class, &message) {
        if let Some(cause) = cause {
            ffi::PyException_SetCause(error.as_ptr(), cause.into_ptr());
        }
        restore(Some(error));
    }
    Raised
}

/// Whether the exception that is set speaks of the value, and not of the process: no interrupt, no want of memory or stack.
unsafe fn is_of_the_value() -> bool {
    ffi::PyErr_ExceptionMatches(ffi::PyExc_Exception) != 0
        && ffi::PyErr_ExceptionMatches(ffi::PyExc_MemoryError) == 0
        && ffi::PyErr_ExceptionMatches(ffi::PyExc_RecursionError) == 0
}

unsafe fn made(class: &'static std::ffi::CStr, message: &str) -> Result<Owned, Raised> {
    let errors = Owned::steal(ffi::PyImport_ImportModule(c"tierce.errors".as_ptr()))?;
    let class = attribute(errors.as_ptr(), class)?;
    let message = crate::owned::text(message)?;
    let arguments = [message.as_ptr()];
    Owned::steal(ffi::PyObject_Vectorcall(class.as_ptr(), arguments.as_ptr(), 1, std::ptr::null_mut()))
}
