//! What a return type says, as far as its tokens do.

use syn::{Error, GenericArgument, PathArguments, Result, ReturnType, Signature, Type};

use crate::borrowed;

pub(crate) struct Returns {
    /// The type as written.
    pub(crate) whole: Type,
    /// What is kept.
    pub(crate) value: Type,
    /// Whether `None` is a known absence.
    pub(crate) absence: bool,
    pub(crate) failing: Failing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failing {
    /// A `Result`, of whatever error.
    Result,
    /// It cannot say that there is nothing.
    Never,
}

impl Returns {
    pub(crate) fn of(signature: &Signature, is_method: bool) -> Result<Self> {
        let ReturnType::Type(_, whole) = &signature.output else {
            let name = &signature.ident;
            return Err(Error::new_spanned(name, "this function returns nothing that a cache could keep"));
        };
        let refused = borrowed::first_in(whole);
        if let Some(refused) =
            refused.filter(|refused| !(is_method && matches!(refused, borrowed::Refused::SelfType(_))))
        {
            let what = match refused {
                borrowed::Refused::Borrow(_) => {
                    "a cache keeps what is owned: return `String` for `&str`, `Vec<T>` for `&[T]`"
                }
                borrowed::Refused::Impl(_) => "a cache must know the type it keeps: write it out instead of `impl`",
                borrowed::Refused::SelfType(_) => borrowed::NO_SELF,
            };
            return Err(Error::new(refused.span(), what));
        }
        let (content, failing) = match inside(whole, "Result") {
            Some(content) => (content, Failing::Result),
            None => (&**whole, Failing::Never),
        };
        let (value, absence) = inside(content, "Option").map_or((content, false), |value| (value, true));
        Ok(Returns { whole: (**whole).clone(), value: value.clone(), absence, failing })
    }
}

/// The first type in the brackets of a path that ends in this name.
fn inside<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let path = match ty {
        Type::Paren(inner) => return inside(&inner.elem, name),
        Type::Group(inner) => return inside(&inner.elem, name),
        Type::Path(path) if path.qself.is_none() => &path.path,
        _ => return None,
    };
    let last = path.segments.last().filter(|last| last.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}
