//! Under which name the program has this crate.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::quote_spanned;
use syn::Path;

/// What the code that is written names the crate by, until [`name`] puts its path there.
const PLACEHOLDER: &str = "__tierce";

/// Puts the crate's path, `::tierce` unless said, wherever the written code names it.
pub(crate) fn name(written: TokenStream, said: Option<&Path>) -> TokenStream {
    let mut named = TokenStream::new();
    for token in written {
        match token {
            TokenTree::Ident(word) if word == PLACEHOLDER => {
                let span = word.span();
                named.extend(match said {
                    Some(path) => quote_spanned!(span=> #path),
                    None => quote_spanned!(span=> ::tierce),
                });
            }
            TokenTree::Group(group) => {
                let mut inside = Group::new(group.delimiter(), name(group.stream(), said));
                inside.set_span(group.span());
                named.extend([TokenTree::Group(inside)]);
            }
            other => named.extend([other]),
        }
    }
    named
}
