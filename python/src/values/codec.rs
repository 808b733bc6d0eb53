//! `_tierce.Codec`: the forms of one function's values.

use std::ffi::{c_int, c_void};

use pyo3_ffi as ffi;

use super::form::{Form, Index};
use super::pack::Packer;
use super::told::Told;
use super::trouble::{Place, Way, raise, refused};
use super::unpack::Unpacker;
use super::wire::Reader;
use crate::owned::{Owned, PyObject, Result, answer, is_exactly, type_error};
use crate::types::{self, Kind, keep, of_one, slot};

/// It holds no buffer and no state but its forms, which nobody changes: any thread may use it while another does.
#[repr(C)]
pub(crate) struct Codec {
    base: ffi::PyObject,
    /// None once the collector of cycles has cleared it: nobody uses it any more then.
    state: Option<Box<State>>,
}

struct State {
    /// The function, as messages name it.
    name: Owned,
    forms: Box<[Form]>,
    /// That of the whole value.
    root: Index,
}

static TYPE: Kind = Kind::new();

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let methods = vec![
        of_one(c"pack", pack, c"pack($self, value, /)\n--\n\nThe value as bytes."),
        of_one(c"unpack", unpack, c"unpack($self, bytes, /)\n--\n\nThe value that all of these bytes are."),
        // SAFETY: a table of methods ends with zeros.
        std::mem::zeroed(),
    ];
    let doc = c"Values of one annotation to bytes and back; tierce.values.codec_of makes it.";
    let slots = vec![
        slot(ffi::Py_tp_doc, doc.as_ptr() as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_methods, keep(methods)),
    ];
    TYPE.make(c"tierce._tierce.Codec", size_of::<Codec>(), slots)
}

/// `_codec((plan, name, root))`: a codec of a plan, for the face.
pub(crate) unsafe extern "C" fn of_plan(_: *mut PyObject, told: *mut PyObject) -> *mut PyObject {
    answer(made(told))
}

unsafe fn made(told: *mut PyObject) -> Result<Owned> {
    let told = Told::new(told)?;
    let (plan, name) = (told.tuple(0)?, told.name(1)?);
    let count = plan.len();
    let forms = told.each(0, |all, at| Form::read(all.tuple(at)?, count))?;
    let root = told.index(2, count)?;
    let made = types::allocate(TYPE.get())?;
    let it = made.as_ptr().cast::<Codec>();
    (&raw mut (*it).state).write(Some(Box::new(State { name, forms, root })));
    Ok(made)
}

impl Codec {
    /// The codec that an object is. Whoever calls keeps the object.
    pub(crate) unsafe fn of<'a>(object: *mut PyObject) -> Result<&'a Codec> {
        if is_exactly(object, TYPE.get()) {
            return Ok(&*object.cast::<Codec>());
        }
        Err(type_error(c"a codec is needed: what tierce.values.codec_of gives"))
    }

    /// Whether an object is one.
    pub(crate) unsafe fn is(object: *mut PyObject) -> bool {
        is_exactly(object, TYPE.get())
    }

    fn state(&self) -> Result<&State> {
        // SAFETY: the interpreter's lock is held.
        self.state.as_deref().ok_or_else(|| unsafe { type_error(c"the codec was collected") })
    }

    /// Appends the bytes of a value; raises `PackError` for one that would not come back as it is. What is appended if it fails
    /// is taken off again.
    pub(crate) unsafe fn pack(&self, value: *mut PyObject, out: &mut Vec<u8>) -> Result<()> {
        let state = self.state()?;
        let before = out.len();
        let mut packer = Packer { forms: &state.forms, out, place: Place::default(), nested: 0 };
        match packer.pack(value, state.root) {
            Ok(()) => Ok(()),
            Err(trouble) => {
                let place = packer.place;
                out.truncate(before);
                Err(raise(Way::Packing, &state.name, &place, trouble))
            }
        }
    }

    /// The value that all of these bytes are; raises `UnpackError` for others. Nobody changes the bytes meanwhile.
    pub(crate) unsafe fn unpack(&self, bytes: &[u8]) -> Result<Owned> {
        let state = self.state()?;
        let reader = Reader::new(bytes);
        let mut unpacker =
            Unpacker { forms: &state.forms, reader, place: Place::default(), nested: 0, found: Vec::new() };
        let found = match unpacker.unpack(state.root) {
            Ok(_) if !unpacker.reader.is_at_end() => Err(refused("has more bytes behind it")),
            other => other,
        };
        let Unpacker { place, found: left, .. } = unpacker;
        drop(left);
        found.map_err(|trouble| raise(Way::Unpacking, &state.name, &place, trouble))
    }
}

unsafe extern "C" fn pack(it: *mut PyObject, value: *mut PyObject) -> *mut PyObject {
    answer(packed(it, value))
}

unsafe fn packed(it: *mut PyObject, value: *mut PyObject) -> Result<Owned> {
    let mut out = Vec::with_capacity(256);
    Codec::of(it)?.pack(value, &mut out)?;
    Owned::steal(ffi::PyBytes_FromStringAndSize(out.as_ptr().cast(), out.len().cast_signed()))
}

unsafe extern "C" fn unpack(it: *mut PyObject, bytes: *mut PyObject) -> *mut PyObject {
    answer(unpacked(it, bytes))
}

unsafe fn unpacked(it: *mut PyObject, bytes: *mut PyObject) -> Result<Owned> {
    if !is_exactly(bytes, &raw mut ffi::PyBytes_Type) {
        return Err(type_error(c"bytes are needed: what pack gives"));
    }
    let (start, size) = (ffi::PyBytes_AsString(bytes), ffi::PyBytes_Size(bytes).cast_unsigned());
    Codec::of(it)?.unpack(std::slice::from_raw_parts(start.cast(), size))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let mut said = visit(ffi::Py_TYPE(it).cast(), data);
    if let Some(state) = &(*it.cast::<Codec>()).state {
        let mut show = |object: *mut PyObject| {
            if said == 0 {
                said = visit(object, data);
            }
        };
        show(state.name.as_ptr());
        state.forms.iter().for_each(|form| form.objects(&mut show));
    }
    said
}

unsafe extern "C" fn clear(it: *mut PyObject) -> c_int {
    let gone = (*it.cast::<Codec>()).state.take();
    drop(gone);
    0
}

unsafe extern "C" fn dealloc(it: *mut PyObject) {
    ffi::PyObject_GC_UnTrack(it.cast());
    clear(it);
    types::free(it);
}
