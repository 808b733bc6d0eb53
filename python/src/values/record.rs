//! Classes with fields: how an instance is taken apart and made again.
//!
//! **Made again** without `__init__`, `__post_init__`, converters or validators: those have run when the value was made, and
//! what came of them is in the fields. Run again they could change it. Where the class leaves no way around them
//! (`msgspec.Struct`) it is called.
//!
//! **Nothing is left behind.** What an instance has beside its fields would be missing in the hit: an entry in its
//! `__dict__`, or a slot that is set. It is looked for, and refused.

use pyo3_ffi as ffi;

use super::told::{Index, Told, wrong};
use super::wire;
use crate::owned::{Owned, PyObject, Result};

pub(crate) struct Record {
    pub(crate) class: Owned,
    pub(crate) make: Make,
    /// Whether an instance has a `__dict__`.
    pub(crate) has_dict: bool,
    pub(crate) fields: Box<[Field]>,
    /// What tells it from others: packed before the fields, and looked at before it is made.
    pub(crate) tag: Option<Tag>,
    /// Names that may stand in a `__dict__` beside the fields: what is computed from them.
    pub(crate) derived: Owned,
    /// Slots that are no fields.
    pub(crate) slots: Box<[Owned]>,
    /// Attributes that an instance has beside its fields, always of one value.
    pub(crate) constants: Box<[(Owned, Owned)]>,
}

pub(crate) enum Make {
    /// As `object.__new__`, then the attributes are set past a `__setattr__`.
    Object,
    /// As `tuple.__new__`.
    Tuple,
    /// Called with the names of the fields; the attributes are set once more if a `__post_init__` could have changed them.
    Call { names: Owned, again: bool },
    /// A pydantic model. What else it may have has this form, if it may; what makes its private attributes whole, if it has any.
    /// `names` are those of its four slots.
    Model { extra: Option<Index>, privates: Option<Owned>, names: [Owned; 4] },
}

pub(crate) struct Field {
    pub(crate) name: Owned,
    pub(crate) on_wire: Name,
    pub(crate) form: Index,
    pub(crate) default: Default,
}

/// What a field is called in the bytes.
pub(crate) struct Name {
    /// With its head.
    pub(crate) packed: Box<[u8]>,
    pub(crate) plain: Box<[u8]>,
}

/// What a field that is missing gets.
pub(crate) enum Default {
    None,
    Value(Owned),
    /// Called.
    Made(Owned),
}

pub(crate) struct Tag {
    pub(crate) on_wire: Name,
    /// The bytes of its value.
    pub(crate) packed: Box<[u8]>,
}

/// A `TypedDict`.
pub(crate) struct Typed {
    pub(crate) fields: Box<[Field]>,
    pub(crate) required: Box<[bool]>,
    /// From a field's name to its place.
    pub(crate) places: Owned,
}

impl Record {
    /// Reads `("record", text, class, make, fields, tag, has dict, derived, slots, constants, extra, privates)`.
    pub(crate) unsafe fn read(told: Told, forms: usize) -> Result<Record> {
        let class = told.class(2)?;
        let make = match told.text(3)? {
            "object" => Make::Object,
            "tuple" => Make::Tuple,
            "call" => Make::Call { names: names(told.tuple(4)?)?, again: false },
            "call and set" => Make::Call { names: names(told.tuple(4)?)?, again: true },
            "model" => {
                let privates = told.own(11)?;
                let privates = (!std::ptr::eq(privates.as_ptr(), ffi::Py_None())).then_some(privates);
                Make::Model { extra: told.index_if_any(10, forms)?, privates, names: names_of_model()? }
            }
            _ => return Err(wrong()),
        };
        if !make.is_fit_for(class.as_ptr().cast()) {
            return Err(wrong());
        }
        let fields = told.each(4, |all, at| Field::read(all.tuple(at)?, forms))?;
        let tag = told.tuple(5)?;
        let tag = if tag.len() == 0 { None } else { Some(Tag::read(tag)?) };
        let derived = told.own(7)?;
        if ffi::PyAnySet_Check(derived.as_ptr()) == 0 {
            return Err(wrong());
        }
        let slots = told.each(8, |all, at| all.own(at))?;
        let constants = told.each(9, |all, at| {
            let one = all.tuple(at)?;
            Ok((one.name(0)?, one.own(1)?))
        })?;
        Ok(Record { class, make, has_dict: told.flag(6)?, fields, tag, derived, slots, constants })
    }

    pub(crate) fn objects(&self, show: &mut impl FnMut(*mut PyObject)) {
        show(self.class.as_ptr());
        show(self.derived.as_ptr());
        self.fields.iter().for_each(|field| field.objects(show));
        self.slots.iter().for_each(|slot| show(slot.as_ptr()));
        self.constants.iter().flat_map(|(name, value)| [name, value]).for_each(|one| show(one.as_ptr()));
        match &self.make {
            Make::Call { names: object, .. } | Make::Model { privates: Some(object), .. } => show(object.as_ptr()),
            _ => {}
        }
    }
}

impl Make {
    /// Whether instances of the class can be made in this way without harm to the interpreter.
    unsafe fn is_fit_for(&self, class: *mut ffi::PyTypeObject) -> bool {
        let base = match self {
            Make::Object | Make::Model { .. } => &raw mut ffi::PyBaseObject_Type,
            Make::Tuple => return ffi::PyType_IsSubtype(class, &raw mut ffi::PyTuple_Type) != 0,
            Make::Call { .. } => return true,
        };
        // Whatever else inherits another `__new__`: that of the C type that it is laid out as, or one in Python.
        let new = |class| ffi::PyType_GetSlot(class, ffi::Py_tp_new);
        std::ptr::eq(new(class), new(base))
    }
}

/// What a pydantic model has, as its `__slots__` and its `__setstate__` name it.
unsafe fn names_of_model() -> Result<[Owned; 4]> {
    let name = |name: &std::ffi::CStr| Owned::steal(ffi::PyUnicode_InternFromString(name.as_ptr()));
    Ok([
        name(c"__dict__")?,
        name(c"__pydantic_fields_set__")?,
        name(c"__pydantic_extra__")?,
        name(c"__pydantic_private__")?,
    ])
}

unsafe fn names(fields: Told) -> Result<Owned> {
    let names = (0..fields.len()).map(|at| fields.tuple(at)?.name(0)).collect::<Result<Vec<_>>>()?;
    let names: Vec<_> = names.iter().map(Owned::as_ptr).collect();
    crate::owned::tuple_of(&names)
}

impl Field {
    /// Reads `(name, packed name, form, kind of default, default)`.
    unsafe fn read(told: Told, forms: usize) -> Result<Field> {
        let default = match told.number(3)? {
            0 => Default::None,
            1 => Default::Value(told.own(4)?),
            _ => Default::Made(told.own(4)?),
        };
        let on_wire = Name::new(told.text(1)?)?;
        Ok(Field { name: told.name(0)?, on_wire, form: told.index(2, forms)?, default })
    }

    fn objects(&self, show: &mut impl FnMut(*mut PyObject)) {
        show(self.name.as_ptr());
        match &self.default {
            Default::None => {}
            Default::Value(object) | Default::Made(object) => show(object.as_ptr()),
        }
    }
}

impl Tag {
    /// Reads `(name, value)`, a text or a number.
    unsafe fn read(told: Told) -> Result<Tag> {
        let on_wire = Name::new(told.text(0)?)?;
        let packed = if ffi::PyLong_Check(told.object(1)?) != 0 {
            let mut out = Vec::new();
            wire::integer(&mut out, told.number(1)?);
            out.into()
        } else {
            Name::new(told.text(1)?)?.packed
        };
        Ok(Tag { on_wire, packed })
    }
}

impl Name {
    unsafe fn new(text: &str) -> Result<Name> {
        let mut out = Vec::new();
        wire::text(&mut out, text.as_bytes()).map_err(|_| wrong())?;
        Ok(Name { packed: out.into(), plain: text.as_bytes().into() })
    }
}

impl Typed {
    /// Reads `("typed dict", text, fields, required, places)`.
    pub(crate) unsafe fn read(told: Told, forms: usize) -> Result<Typed> {
        let fields = told.each(2, |all, at| Field::read(all.tuple(at)?, forms))?;
        let required = told.each(3, |all, at| all.flag(at))?;
        if required.len() != fields.len() {
            return Err(wrong());
        }
        Ok(Typed { fields, required, places: told.dict(4)? })
    }

    pub(crate) fn objects(&self, show: &mut impl FnMut(*mut PyObject)) {
        self.fields.iter().for_each(|field| field.objects(show));
        show(self.places.as_ptr());
    }
}

/// The place of the field of this name: mostly the next one.
pub(crate) fn place_of(fields: &[Field], name: &[u8], next: usize) -> Option<usize> {
    let is = |field: &Field| *field.on_wire.plain == *name;
    match fields.get(next) {
        Some(field) if is(field) => Some(next),
        _ => fields.iter().position(is),
    }
}
