//! Instances of classes with fields, made again.

use std::ptr;

use pyo3_ffi as ffi;

use super::classes::{call, new_object, set};
use super::record::{Default, Field, Make, Record, Typed, place_of};
use super::record_pack::{PRIVATE, UNSET};
use super::told::Index;
use super::trouble::{Outcome, Step, refused};
use super::unpack::{Unpacker, borrowed, put};
use super::wire::Head;
use crate::owned::{Owned, is_exactly, none, text_of};

/// What bytes say of an instance beside its fields.
struct Beside {
    has_tag: bool,
    extra: Option<Owned>,
    unset: Option<Owned>,
    hidden: Option<Owned>,
}

impl Unpacker<'_> {
    pub(super) unsafe fn record(&mut self, count: usize, record: &Record) -> Outcome<Owned> {
        let first = self.found.len();
        self.found.resize(first + record.fields.len(), None);
        let mut beside = Beside { has_tag: false, extra: None, unset: None, hidden: None };
        let mut next = 0;
        for _ in 0..count {
            let place = match record.fields.get(next) {
                Some(field) if self.reader.step_over(&field.on_wire.packed) => Some(next),
                _ => self.name(record, next, &mut beside)?,
            };
            if let Some(place) = place {
                let field = &record.fields[place];
                let one = self.part(Some(field.form), || Step::Field(field.name.clone()))?;
                self.found[first + place] = Some(one);
                next = place + 1;
            }
        }
        if record.tag.is_some() && !beside.has_tag {
            return Err(refused("has no tag"));
        }
        for (at, field) in record.fields.iter().enumerate() {
            if self.found[first + at].is_none() {
                let default = field.default.value(field)?;
                self.found[first + at] = Some(default);
            }
        }
        let made = match &record.make {
            Make::Object => self.object(record, first)?,
            Make::Tuple => self.named_tuple(record, first)?,
            Make::Call { names, again } => self.called(record, first, names, *again)?,
            Make::Model { extra, privates, names } => {
                let parts = self.model(record, first, beside, extra.is_some(), privates.as_ref())?;
                let made = new_object(record.class.as_ptr())?;
                for (name, part) in names.iter().zip(&parts) {
                    set(&made, name, part)?;
                }
                made
            }
        };
        for (name, value) in &record.constants {
            set(&made, name, value)?;
        }
        Ok(made)
    }

    /// A name that is not the next field's. Gives the place of its field, or reads what stands under it.
    unsafe fn name(&mut self, record: &Record, next: usize, beside: &mut Beside) -> Outcome<Option<usize>> {
        let name = match self.reader.head()? {
            Head::Text(name) => name,
            // Serde takes a number for a field's place; we write none.
            _ => return Err(refused("has a key that is no text")),
        };
        if let Some(tag) = &record.tag
            && *name == *tag.on_wire.plain
        {
            if !self.reader.step_over(&tag.packed) {
                return Err(refused("has another tag"));
            }
            beside.has_tag = true;
            return Ok(None);
        }
        if let Some(place) = place_of(&record.fields, name, next) {
            return Ok(Some(place));
        }
        if let Make::Model { extra, .. } = &record.make {
            self.beside(name, *extra, beside)?;
        } else {
            self.reader.skip()?;
        }
        Ok(None)
    }

    unsafe fn beside(&mut self, name: &[u8], extra: Option<Index>, beside: &mut Beside) -> Outcome<()> {
        if name == UNSET.as_bytes() {
            let Head::Array(count) = self.reader.head()? else { return Err(refused("has a $unset that is no array")) };
            beside.unset = Some(self.list(count, None)?);
        } else if name == PRIVATE.as_bytes() {
            let Head::Map(count) = self.reader.head()? else { return Err(refused("has a $private that is no map")) };
            beside.hidden = Some(self.deeper(|it| it.dict(count, None, None))?);
        } else if let Some(form) = extra {
            let key = self.text(name)?;
            let one = self.part(Some(form), || Step::Field(key.clone()))?;
            if beside.extra.is_none() {
                beside.extra = Some(Owned::steal(ffi::PyDict_New())?);
            }
            if let Some(all) = &beside.extra {
                put(all, &key, &one)?;
            }
        } else {
            self.reader.skip()?;
        }
        Ok(())
    }

    /// The fields with what was found for each.
    fn fields<'r>(&mut self, record: &'r Record, first: usize) -> impl Iterator<Item = (&'r Field, Owned)> {
        let found: Vec<_> = self.found.drain(first..).collect();
        record.fields.iter().zip(found).filter_map(|(field, one)| Some((field, one?)))
    }

    unsafe fn object(&mut self, record: &Record, first: usize) -> Outcome<Owned> {
        let made = new_object(record.class.as_ptr())?;
        for (at, field) in record.fields.iter().enumerate() {
            if let Some(one) = &self.found[first + at] {
                set(&made, &field.name, one)?;
            }
        }
        self.found.truncate(first);
        Ok(made)
    }

    unsafe fn named_tuple(&mut self, record: &Record, first: usize) -> Outcome<Owned> {
        let values = Owned::steal(ffi::PyTuple_New(record.fields.len().cast_signed()))?;
        for (at, one) in self.found.drain(first..).flatten().enumerate() {
            ffi::PyTuple_SetItem(values.as_ptr(), at.cast_signed(), one.into_ptr());
        }
        // As `tuple.__new__(class, values)`.
        let new = ffi::PyType_GetSlot(&raw mut ffi::PyTuple_Type, ffi::Py_tp_new);
        let new = std::mem::transmute::<*mut std::ffi::c_void, ffi::newfunc>(new);
        let arguments = crate::owned::tuple_of(&[values.as_ptr()])?;
        Ok(Owned::steal(new(record.class.as_ptr().cast(), arguments.as_ptr(), ptr::null_mut()))?)
    }

    unsafe fn called(&mut self, record: &Record, first: usize, names: &Owned, again: bool) -> Outcome<Owned> {
        let values: Vec<_> = self.fields(record, first).collect();
        let pointers: Vec<_> = values.iter().map(|(_, one)| one.as_ptr()).collect();
        let class = record.class.as_ptr();
        let made = Owned::steal(ffi::PyObject_Vectorcall(class, pointers.as_ptr(), 0, names.as_ptr()))?;
        if !is_exactly(made.as_ptr(), class.cast()) {
            return Err(refused("was made with another type"));
        }
        if again {
            for (field, one) in &values {
                set(&made, &field.name, one)?;
            }
        }
        Ok(made)
    }

    /// What a model has: its fields, the names of those that were set, its extras, its private attributes.
    unsafe fn model(
        &mut self,
        record: &Record,
        first: usize,
        beside: Beside,
        may_have_more: bool,
        privates: Option<&Owned>,
    ) -> Outcome<[Owned; 4]> {
        let state = Owned::steal(ffi::PyDict_New())?;
        let set_fields = Owned::steal(ffi::PySet_New(ptr::null_mut()))?;
        for (field, one) in self.fields(record, first) {
            put(&state, &field.name, &one)?;
            if ffi::PySet_Add(set_fields.as_ptr(), field.name.as_ptr()) < 0 {
                return Err(super::trouble::Trouble::Raised);
            }
        }
        if let Some(unset) = &beside.unset {
            for at in 0..ffi::PyList_Size(unset.as_ptr()) {
                if ffi::PySet_Discard(set_fields.as_ptr(), ffi::PyList_GetItem(unset.as_ptr(), at)) < 0 {
                    return Err(super::trouble::Trouble::Raised);
                }
            }
        }
        if let Some(all) = &beside.extra {
            let mut walk = super::pack::Walk::new(all.as_ptr());
            while let Some((key, _)) = walk.next()? {
                ffi::PySet_Add(set_fields.as_ptr(), key.as_ptr());
            }
        }
        let extra = match beside.extra {
            None if may_have_more => Owned::steal(ffi::PyDict_New())?,
            other => other.unwrap_or_else(|| none()),
        };
        let hidden = beside.hidden.unwrap_or_else(|| none());
        let hidden = match privates {
            Some(made_whole) => call(made_whole, &[hidden.as_ptr()])?,
            None => none(),
        };
        Ok([state, set_fields, extra, hidden])
    }

    pub(super) unsafe fn typed(&mut self, count: usize, typed: &Typed) -> Outcome<Owned> {
        let dict = Owned::steal(ffi::PyDict_New())?;
        let mut next = 0;
        for _ in 0..count {
            let place = match typed.fields.get(next) {
                Some(field) if self.reader.step_over(&field.on_wire.packed) => Some(next),
                _ => match self.reader.head()? {
                    Head::Text(name) => place_of(&typed.fields, name, next),
                    _ => return Err(refused("has a key that is no text")),
                },
            };
            let Some(place) = place else {
                self.reader.skip()?;
                continue;
            };
            let field = &typed.fields[place];
            let one = self.part(Some(field.form), || Step::Key(field.name.clone()))?;
            put(&dict, &field.name, &one)?;
            next = place + 1;
        }
        for (field, required) in typed.fields.iter().zip(&typed.required) {
            if *required && borrowed(ffi::PyDict_GetItemWithError(dict.as_ptr(), field.name.as_ptr()))?.is_none() {
                return Err(field.is_absent());
            }
        }
        Ok(dict)
    }
}

impl Default {
    unsafe fn value(&self, field: &Field) -> Outcome<Owned> {
        match self {
            Default::None => Err(field.is_absent()),
            Default::Value(value) => Ok(value.clone()),
            Default::Made(factory) => Ok(call(factory, &[])?),
        }
    }
}

impl Field {
    #[cold]
    unsafe fn is_absent(&self) -> super::trouble::Trouble {
        refused(format!("has nothing for {}, which has no default", text_of(self.name.as_ptr()).unwrap_or("a field")))
    }
}
