//! `_tierce.Codec`: the forms of one function's values.

use std::ffi::{c_int, c_void};

use pyo3_ffi as ffi;

use super::classes::{bytes_of, call};
use super::form::Form;
use super::pack::Packer;
use super::told::{Index, Told};
use super::trouble::{Place, Way, raise, refused};
use super::unpack::Unpacker;
use super::wire::Reader;
use crate::owned::{Owned, PyObject, Result, answer, integer, is_exactly, type_error};
use crate::types::{self, Kind, keep, of_one, plain, slot};

/// It holds no buffer and no state but its forms, which nobody changes: any thread may use it while another does.
#[repr(C)]
pub(crate) struct Codec {
    base: ffi::PyObject,
    /// None once the collector of cycles has cleared it: nobody uses it any more then.
    state: Option<Box<State>>,
}

enum State {
    Forms {
        /// The function, as messages name it.
        name: Owned,
        forms: Box<[Form]>,
        /// That of the whole value.
        root: Index,
    },
    /// Functions of the face's, which say themselves what is wrong.
    Called { pack: Owned, unpack: Owned },
}

static TYPE: Kind = Kind::new();

pub(crate) unsafe fn make_type() -> Result<Owned> {
    let methods = vec![
        of_one(c"pack", pack, c"pack($self, value, /)\n--\n\nThe value as bytes."),
        of_one(c"unpack", unpack, c"unpack($self, bytes, /)\n--\n\nThe value that all of these bytes are."),
        plain(c"number", number, c"number($self, /)\n--\n\nWhat an envelope says of the bytes: 1 MessagePack, 4 raw."),
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
    with(State::Forms { name, forms, root })
}

/// `_called_codec((pack, unpack, name))`: a codec that calls functions of the face's.
pub(crate) unsafe extern "C" fn of_functions(_: *mut PyObject, told: *mut PyObject) -> *mut PyObject {
    answer(made_of_functions(told))
}

unsafe fn made_of_functions(told: *mut PyObject) -> Result<Owned> {
    let told = Told::new(told)?;
    with(State::Called { pack: told.own(0)?, unpack: told.own(1)? })
}

unsafe fn with(state: State) -> Result<Owned> {
    let made = types::allocate(TYPE.get())?;
    (&raw mut (*made.as_ptr().cast::<Codec>()).state).write(Some(Box::new(state)));
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

    fn state(&self) -> Result<&State> {
        // SAFETY: the interpreter's lock is held.
        self.state.as_deref().ok_or_else(|| unsafe { type_error(c"the codec was collected") })
    }

    /// What an envelope says of the bytes (`docs/wire.md`): MessagePack, or raw.
    pub(crate) fn number(&self) -> Result<u8> {
        Ok(match self.state()? {
            State::Forms { .. } => 1,
            State::Called { .. } => 4,
        })
    }

    /// Appends the bytes of a value; raises `PackError` for one that would not come back as it is. What is appended if it fails
    /// is taken off again.
    pub(crate) unsafe fn pack(&self, value: *mut PyObject, out: &mut Vec<u8>) -> Result<()> {
        let (name, forms, root) = match self.state()? {
            State::Forms { name, forms, root } => (name, forms, *root),
            State::Called { pack, .. } => {
                let packed = call(pack, &[value])?;
                out.extend_from_slice(bytes_of(&packed).ok_or_else(|| type_error(c"a codec packs to bytes"))?);
                return Ok(());
            }
        };
        let before = out.len();
        let mut packer = Packer { forms, out, place: Place::default(), nested: 0 };
        let done = packer.pack(value, root);
        let place = packer.place;
        done.map_err(|trouble| {
            out.truncate(before);
            raise(Way::Packing, name, &place, trouble)
        })
    }

    /// The value that all of these bytes are; raises `UnpackError` for others. Nobody changes the bytes meanwhile.
    pub(crate) unsafe fn unpack(&self, bytes: &[u8]) -> Result<Owned> {
        let (name, forms, root) = match self.state()? {
            State::Forms { name, forms, root } => (name, forms, *root),
            State::Called { unpack, .. } => {
                let size = bytes.len().cast_signed();
                let bytes = Owned::steal(ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), size))?;
                return call(unpack, &[bytes.as_ptr()]);
            }
        };
        let reader = Reader::new(bytes);
        let mut unpacker = Unpacker { forms, reader, place: Place::default(), nested: 0, found: Vec::new() };
        let found = match unpacker.unpack(root) {
            Ok(_) if !unpacker.reader.is_at_end() => Err(refused("has more bytes behind it")),
            other => other,
        };
        let Unpacker { place, found: left, .. } = unpacker;
        drop(left);
        found.map_err(|trouble| raise(Way::Unpacking, name, &place, trouble))
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

unsafe extern "C" fn number(it: *mut PyObject, _: *mut PyObject) -> *mut PyObject {
    answer(Codec::of(it).and_then(Codec::number).and_then(|number| integer(number.into())))
}

unsafe extern "C" fn traverse(it: *mut PyObject, visit: ffi::visitproc, data: *mut c_void) -> c_int {
    let mut said = visit(ffi::Py_TYPE(it).cast(), data);
    if let Some(state) = &(*it.cast::<Codec>()).state {
        let mut show = |object: *mut PyObject| {
            if said == 0 {
                said = visit(object, data);
            }
        };
        match &**state {
            State::Forms { name, forms, .. } => {
                show(name.as_ptr());
                forms.iter().for_each(|form| form.objects(&mut show));
            }
            State::Called { pack, unpack } => [pack, unpack].into_iter().for_each(|one| show(one.as_ptr())),
        }
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
