//! What a type must not have in it, if a cache is to keep it.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;

/// The first thing in a type that a cache cannot keep.
pub(crate) enum Refused {
    /// A reference, or a lifetime, that is not `'static`.
    Borrow(Span),
    Impl(Span),
    SelfType(Span),
}

pub(crate) const NO_SELF: &str = "a cached function stands outside of any `impl`, since its cache is a type beside it: move it out and name the type";

impl Refused {
    pub(crate) fn span(&self) -> Span {
        match self {
            Refused::Borrow(span) | Refused::Impl(span) | Refused::SelfType(span) => *span,
        }
    }
}

pub(crate) fn first_in(ty: &impl ToTokens) -> Option<Refused> {
    scan(ty.to_token_stream())
}

fn scan(tokens: TokenStream) -> Option<Refused> {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '\'' => {
                let is_static = matches!(tokens.next(), Some(TokenTree::Ident(name)) if name == "static");
                if !is_static {
                    return Some(Refused::Borrow(punct.span()));
                }
            }
            // `&'static` is looked at with its lifetime.
            TokenTree::Punct(punct)
                if punct.as_char() == '&'
                    && !matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == '\'') =>
            {
                return Some(Refused::Borrow(punct.span()));
            }
            TokenTree::Ident(word) if word == "impl" => return Some(Refused::Impl(word.span())),
            TokenTree::Ident(word) if word == "Self" => return Some(Refused::SelfType(word.span())),
            TokenTree::Group(group) => {
                if let Some(found) = scan(group.stream()) {
                    return Some(found);
                }
            }
            _ => {}
        }
    }
    None
}
