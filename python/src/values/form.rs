//! What the annotation says of one place of a value.

use pyo3_ffi as ffi;

use super::classes::{Known, classes};
use super::record::{Record, Typed};
use super::told::{Index, Told, wrong};
use super::wire::Kind;
use crate::owned::{Owned, PyObject, Result};

pub(crate) struct Form {
    /// The annotation, as messages name it.
    pub(crate) text: Owned,
    pub(crate) shape: Shape,
}

pub(crate) enum Shape {
    Bare,
    Nil,
    Bool,
    Int,
    /// An `int` beside bytes in a union: of 64 bits, since more would be bytes as well.
    ShortInt,
    /// An `int` in its place stays one.
    Float,
    /// A `float` beside whole numbers of another meaning in a union.
    ExactFloat,
    Text,
    Bytes,
    ByteArray,
    Complex,
    Known(Known),
    Many(Many, Index),
    Tuple(Box<[Index]>),
    Dict(Index, Index),
    Record(Box<Record>),
    Typed(Box<Typed>),
    /// The class, and its members by name.
    Enum(Owned, Owned),
    /// The class, and all bits of its members: a number with others would be kept by the class for ever.
    Flag(Owned, u64),
    Literal(Box<[Literal]>),
    Union(Box<Union>),
}

/// Containers of many items of one form.
pub(crate) enum Many {
    List,
    Tuple,
    Set,
    FrozenSet,
    /// The class.
    Deque(Owned),
}

pub(crate) struct Literal {
    pub(crate) value: Owned,
    /// What is packed for it: itself, or an enum member's name.
    pub(crate) plain: Owned,
}

pub(crate) struct Union {
    /// Which form a value of exactly this type has.
    pub(crate) of_types: Box<[(Owned, Index)]>,
    pub(crate) of_kinds: [Option<Index>; Kind::COUNT],
}

impl Form {
    /// Reads `(what, text, …)`.
    pub(crate) unsafe fn read(told: Told, forms: usize) -> Result<Form> {
        let text = told.name(1)?;
        let shape = match told.text(0)? {
            "bare" => Shape::Bare,
            "None" => Shape::Nil,
            "bool" => Shape::Bool,
            "int" => Shape::Int,
            "short int" => Shape::ShortInt,
            "float" => Shape::Float,
            "exact float" => Shape::ExactFloat,
            "str" => Shape::Text,
            "bytes" => Shape::Bytes,
            "bytearray" => Shape::ByteArray,
            "complex" => Shape::Complex,
            "list" => Shape::Many(Many::List, told.index(2, forms)?),
            "tuple of" => Shape::Many(Many::Tuple, told.index(2, forms)?),
            "set" => Shape::Many(Many::Set, told.index(2, forms)?),
            "frozenset" => Shape::Many(Many::FrozenSet, told.index(2, forms)?),
            "deque" => Shape::Many(Many::Deque(told.class(3)?), told.index(2, forms)?),
            "tuple" => Shape::Tuple(told.each(2, |items, at| items.index(at, forms))?),
            "dict" => Shape::Dict(told.index(2, forms)?, told.index(3, forms)?),
            "record" => Shape::Record(Box::new(Record::read(told, forms)?)),
            "typed dict" => Shape::Typed(Box::new(Typed::read(told, forms)?)),
            "enum" => Shape::Enum(told.class(2)?, told.dict(3)?),
            "flag" => Shape::Flag(told.class(2)?, told.number(3)?.cast_unsigned()),
            "literal" => Shape::Literal(told.each(2, |all, at| {
                let one = all.tuple(at)?;
                Ok(Literal { value: one.own(0)?, plain: one.own(1)? })
            })?),
            "union" => Shape::Union(Box::new(Union::read(told, forms)?)),
            other => {
                let known = Known::named(other).ok_or_else(|| wrong())?;
                // Now, and not in the middle of the first hit.
                classes()?;
                Shape::Known(known)
            }
        };
        Ok(Form { text, shape })
    }

    /// Shows each object that it refers to.
    pub(crate) fn objects(&self, show: &mut impl FnMut(*mut PyObject)) {
        show(self.text.as_ptr());
        match &self.shape {
            Shape::Record(record) => record.objects(show),
            Shape::Typed(typed) => typed.objects(show),
            Shape::Enum(class, members) => [class, members].into_iter().for_each(|one| show(one.as_ptr())),
            Shape::Many(Many::Deque(class), _) | Shape::Flag(class, _) => show(class.as_ptr()),
            Shape::Literal(all) => {
                all.iter().flat_map(|one| [&one.value, &one.plain]).for_each(|one| show(one.as_ptr()));
            }
            Shape::Union(union) => union.of_types.iter().for_each(|(class, _)| show(class.as_ptr())),
            _ => {}
        }
    }
}

impl Union {
    unsafe fn read(told: Told, forms: usize) -> Result<Union> {
        let of_types = told.each(2, |all, at| {
            let one = all.tuple(at)?;
            Ok((one.class(0)?, one.index(1, forms)?))
        })?;
        let kinds = told.each(3, |all, at| all.index_if_any(at, forms))?;
        let of_kinds = kinds.as_ref().try_into().map_err(|_| wrong())?;
        Ok(Union { of_types, of_kinds })
    }

    pub(crate) unsafe fn of(&self, value: *mut PyObject) -> Option<Index> {
        let kind: *mut PyObject = ffi::Py_TYPE(value).cast();
        self.of_types.iter().find(|(class, _)| std::ptr::eq(class.as_ptr(), kind)).map(|(_, index)| *index)
    }
}
