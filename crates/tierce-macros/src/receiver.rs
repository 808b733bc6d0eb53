//! How a method has its instance, while a load of it runs.

use proc_macro2::Span;
use syn::{Error, ReceiverKind, Result, Type};

/// The `self` of a method.
pub(crate) struct Receiver {
    pub(crate) span: Span,
    pub(crate) has: Has,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Has {
    /// `&self`: the load runs on the stack of its caller.
    Borrowed,
    /// `self: &Arc<Self>` or `self: Arc<Self>`: the load has a clone of its own.
    Shared,
}

const SHARED: &str = "write `self: &Arc<Self>`";

impl Receiver {
    pub(crate) fn of(receiver: &syn::Receiver, is_async: bool) -> Result<Self> {
        let (span, wrong) = (receiver.self_token.span, |why: String| Err(Error::new_spanned(receiver, why)));
        let has = match &receiver.kind {
            ReceiverKind::Reference(_, _, None) if is_async => {
                return wrong(format!(
                    "an async load outlives its caller, and so its borrow of the instance: {SHARED}"
                ));
            }
            ReceiverKind::Reference(_, _, None) => Has::Borrowed,
            ReceiverKind::Reference(_, _, Some(_)) => {
                return wrong("what is kept must not depend on what a call changes: take `&self`".to_string());
            }
            ReceiverKind::Typed(_, ty) if is_arc(ty) => Has::Shared,
            _ => return wrong(format!("a load needs its instance beside others: take `&self`, or {SHARED}")),
        };
        Ok(Receiver { span, has })
    }
}

fn is_arc(ty: &Type) -> bool {
    match ty {
        Type::Reference(reference) if reference.mutability.is_none() => is_arc(&reference.elem),
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Arc"),
        _ => false,
    }
}
