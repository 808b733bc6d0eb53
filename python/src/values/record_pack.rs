//! Instances of classes with fields, as maps from the fields' names.

use std::ptr;

use pyo3_ffi as ffi;

use super::pack::{Packer, Walk};
use super::record::{Field, Make, Record, Typed};
use super::trouble::{Outcome, Step, Trouble, refused};
use super::unpack::borrowed;
use super::wire;
use crate::owned::{Owned, PyObject, Raised, is_exactly, text_of};

/// What a pydantic model knows beside its fields; no name of a field has a `$`. Only written where there is something to say.
pub(super) const UNSET: &str = "$unset";
pub(super) const PRIVATE: &str = "$private";

impl Packer<'_> {
    pub(super) unsafe fn record(&mut self, value: *mut PyObject, record: &Record) -> Outcome<()> {
        if let Make::Model { extra, .. } = record.make {
            return self.model(value, record, extra);
        }
        if matches!(record.make, Make::Tuple) && ffi::PyTuple_Size(value).cast_unsigned() != record.fields.len() {
            return Err(refused("has another number of items than its class has fields"));
        }
        wire::map(self.out, record.fields.len() + usize::from(record.tag.is_some()))?;
        if let Some(tag) = &record.tag {
            self.out.extend_from_slice(&tag.on_wire.packed);
            self.out.extend_from_slice(&tag.packed);
        }
        for (at, field) in record.fields.iter().enumerate() {
            let one = match record.make {
                Make::Tuple => Owned::share(ffi::PyTuple_GetItem(value, at.cast_signed())),
                _ => field.of(value)?,
            };
            self.field(field, &one)?;
        }
        if record.has_dict {
            nothing_beside(&dict_of(value)?, record)?;
        }
        for slot in &record.slots {
            is_empty(slot, value)?;
        }
        Ok(())
    }

    unsafe fn field(&mut self, field: &Field, value: &Owned) -> Outcome<()> {
        self.out.extend_from_slice(&field.on_wire.packed);
        self.part(value, Some(field.form), || Step::Field(field.name.clone()))
    }

    /// The entries of the dict that the annotation knows, in the order of the dict.
    pub(super) unsafe fn typed(&mut self, value: *mut PyObject, typed: &Typed) -> Outcome<()> {
        wire::map(self.out, ffi::PyDict_Size(value).cast_unsigned())?;
        let mut has_required = 0;
        let mut walk = Walk::new(value);
        while let Some((key, one)) = walk.next()? {
            let place = if is_exactly(key.as_ptr(), &raw mut ffi::PyUnicode_Type) {
                borrowed(ffi::PyDict_GetItemWithError(typed.places.as_ptr(), key.as_ptr()))?
            } else {
                None
            };
            let place = place.map(|place| ffi::PyLong_AsSize_t(place));
            let Some(place) = place.filter(|place| *place < typed.fields.len()) else {
                ffi::PyErr_Clear();
                self.place.is_in(Step::AsKey(key));
                return Err(refused(
                    "is none of the keys that the annotation has: what is read back would be without it",
                ));
            };
            let field = &typed.fields[place];
            self.out.extend_from_slice(&field.on_wire.packed);
            self.part(&one, Some(field.form), || Step::Key(key.clone()))?;
            has_required += usize::from(typed.required[place]);
        }
        if has_required == typed.required.iter().filter(|required| **required).count() {
            return Ok(());
        }
        Err(refused("has not all of the keys that the annotation requires"))
    }

    unsafe fn model(&mut self, value: *mut PyObject, record: &Record, extra: Option<usize>) -> Outcome<()> {
        let state = dict_of(value)?;
        let more = part_of_model(value, c"__pydantic_extra__")?;
        let hidden = part_of_model(value, c"__pydantic_private__")?;
        let set = Owned::steal(ffi::PyObject_GetAttrString(value, c"__pydantic_fields_set__".as_ptr()))?;
        if ffi::PyAnySet_Check(set.as_ptr()) == 0 {
            return Err(refused("is a model without a set of its fields that were set"));
        }
        let mut unset = Vec::new();
        for field in &record.fields {
            match ffi::PySet_Contains(set.as_ptr(), field.name.as_ptr()) {
                0 => unset.push(field),
                1 => {}
                _ => return Err(Trouble::Raised),
            }
        }
        let size = |dict: &Option<Owned>| dict.as_ref().map_or(0, |dict| ffi::PyDict_Size(dict.as_ptr()));
        let (extras, privates) = (size(&more), size(&hidden));
        let parts = usize::from(!unset.is_empty()) + usize::from(privates > 0);
        wire::map(self.out, record.fields.len() + extras.cast_unsigned() + parts)?;
        for field in &record.fields {
            let one = borrowed(ffi::PyDict_GetItemWithError(state.as_ptr(), field.name.as_ptr()))?;
            let Some(one) = one else { return Err(field.is_missing()) };
            self.field(field, &Owned::share(one))?;
        }
        nothing_beside(&state, record)?;
        if let (Some(more), true) = (&more, extras > 0) {
            self.extras(more, record, extra)?;
        }
        if !unset.is_empty() {
            wire::text(self.out, UNSET.as_bytes())?;
            wire::array(self.out, unset.len())?;
            unset.iter().for_each(|field| self.out.extend_from_slice(&field.on_wire.packed));
        }
        if let (Some(hidden), true) = (&hidden, privates > 0) {
            wire::text(self.out, PRIVATE.as_bytes())?;
            self.deeper(|it| it.dict(hidden.as_ptr(), None, None))?;
        }
        Ok(())
    }

    unsafe fn extras(&mut self, more: &Owned, record: &Record, extra: Option<usize>) -> Outcome<()> {
        let mut walk = Walk::new(more.as_ptr());
        while let Some((key, one)) = walk.next()? {
            let name =
                if is_exactly(key.as_ptr(), &raw mut ffi::PyUnicode_Type) { text_of(key.as_ptr())? } else { "$" };
            let is_taken =
                name.starts_with('$') || record.fields.iter().any(|field| *field.on_wire.plain == *name.as_bytes());
            let Some(form) = extra.filter(|_| !is_taken) else {
                self.place.is_in(Step::AsKey(key));
                return Err(refused("is an extra of the model that has no place"));
            };
            self.text(key.as_ptr())?;
            self.part(&one, Some(form), || Step::Field(key.clone()))?;
        }
        Ok(())
    }
}

impl Field {
    #[inline]
    unsafe fn of(&self, value: *mut PyObject) -> Outcome<Owned> {
        match Owned::steal(ffi::PyObject_GetAttr(value, self.name.as_ptr())) {
            Ok(found) => Ok(found),
            Err(Raised) if ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) != 0 => {
                ffi::PyErr_Clear();
                Err(self.is_missing())
            }
            Err(Raised) => Err(Trouble::Raised),
        }
    }

    #[cold]
    unsafe fn is_missing(&self) -> Trouble {
        refused(format!("has no value for its field {}", text_of(self.name.as_ptr()).unwrap_or("?")))
    }
}

/// A part of a pydantic model's state: an exact dict, or None.
unsafe fn part_of_model(value: *mut PyObject, name: &std::ffi::CStr) -> Outcome<Option<Owned>> {
    let found = Owned::steal(ffi::PyObject_GetAttrString(value, name.as_ptr()))?;
    if ptr::eq(found.as_ptr(), ffi::Py_None()) {
        return Ok(None);
    }
    if is_exactly(found.as_ptr(), &raw mut ffi::PyDict_Type) { Ok(Some(found)) } else { Err(no_dict()) }
}

#[cold]
fn no_dict() -> Trouble {
    refused("has a state that is no dict")
}

unsafe fn dict_of(value: *mut PyObject) -> Outcome<Owned> {
    // Past a property of that name.
    let dict = Owned::steal(ffi::PyObject_GenericGetDict(value, ptr::null_mut()))?;
    if is_exactly(dict.as_ptr(), &raw mut ffi::PyDict_Type) { Ok(dict) } else { Err(no_dict()) }
}

/// Refuses what an instance has beside its fields.
unsafe fn nothing_beside(state: &Owned, record: &Record) -> Outcome<()> {
    let size = ffi::PyDict_Size(state.as_ptr()).cast_unsigned();
    if size == 0 {
        return Ok(());
    }
    if size <= record.fields.len() {
        // Each field has a value. Those in slots do not stand here, and leave room for others.
        let mut all_here = true;
        for field in &record.fields {
            all_here &= borrowed(ffi::PyDict_GetItemWithError(state.as_ptr(), field.name.as_ptr()))?.is_some();
        }
        if all_here {
            return Ok(());
        }
    }
    let mut walk = Walk::new(state.as_ptr());
    while let Some((key, _)) = walk.next()? {
        let is_field = record.fields.iter().any(|field| ptr::eq(field.name.as_ptr(), key.as_ptr()))
            || is_field_by_text(&key, record);
        if !is_field && ffi::PySet_Contains(record.derived.as_ptr(), key.as_ptr()) != 1 {
            let name = text_of(key.as_ptr()).unwrap_or("something");
            ffi::PyErr_Clear();
            return Err(refused(format!(
                "has an attribute {name:?} that is no field: what is read back would be without it. Make it a field, or a \
                 functools.cached_property"
            )));
        }
    }
    Ok(())
}

unsafe fn is_field_by_text(key: &Owned, record: &Record) -> bool {
    let is_text = is_exactly(key.as_ptr(), &raw mut ffi::PyUnicode_Type);
    let text = if is_text { text_of(key.as_ptr()).ok() } else { None };
    text.is_some_and(|text| {
        record.fields.iter().any(|field| text_of(field.name.as_ptr()).is_ok_and(|name| name == text))
    })
}

/// Refuses a slot that is set and no field: asked of its descriptor, past a `__getattr__`.
unsafe fn is_empty(slot: &Owned, value: *mut PyObject) -> Outcome<()> {
    let class: *mut PyObject = ffi::Py_TYPE(value).cast();
    let found = crate::owned::ask(c"__get__", &[slot.as_ptr(), value, class]);
    if found.is_err() {
        if ffi::PyErr_ExceptionMatches(ffi::PyExc_AttributeError) == 0 {
            return Err(Trouble::Raised);
        }
        ffi::PyErr_Clear();
        return Ok(());
    }
    Err(refused("has a slot that is no field and is set: what is read back would be without it"))
}
