//! What the name of a type says by itself: a macro sees no more of it.

use syn::Type;

/// Whether a type is one of the language's own, so that its name hides nothing.
pub(crate) fn is_written_out(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => is_plain(ty) || path.path.segments.last().is_some_and(|last| last.ident == "Vec"),
        Type::Tuple(_) | Type::Array(_) | Type::Reference(_) => true,
        _ => false,
    }
}

/// Whether a type is known to be fit for a key and a value.
pub(crate) fn is_plain(ty: &Type) -> bool {
    const PLAIN: [&str; 16] = [
        "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
        "String", "str",
    ];
    matches!(ty, Type::Path(path) if path.path.get_ident().is_some_and(|one| PLAIN.iter().any(|plain| one == plain)))
}
