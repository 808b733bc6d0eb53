//! The macros of [tierce](https://docs.rs/tierce): functions with a cache of their own.
//!
//! Use them through `tierce`, which they name in the code they write.

mod argument;
mod borrowed;
mod duration;
mod fit;
mod function;
mod nearest;
mod options;
mod output;
mod returns;
mod template;

use proc_macro::TokenStream;
use quote::quote;

use function::Item;
use options::{Kind, Options};
use output::Output;

/// A function whose values are kept.
#[proc_macro_attribute]
pub fn cached(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Kind::Cached, options.into(), function.into()).into()
}

/// A function that remembers.
#[proc_macro_attribute]
pub fn memo(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Kind::Memo, options.into(), function.into()).into()
}

fn expand(
    kind: Kind,
    options: proc_macro2::TokenStream,
    function: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut item: Item = match syn::parse2(function.clone()) {
        Ok(item) => item,
        Err(_) => {
            let why = format!("`#[tierce::{}]` stands before a function with a body", kind.name());
            let error = syn::Error::new_spanned(&function, why).to_compile_error();
            return quote!(#error #function);
        }
    };
    // Both looked at before either is refused: so `#[skip]` is gone whatever is wrong.
    let taken = item.take_apart();
    let written = syn::parse2::<Options>(options).and_then(|options| {
        let function = taken?;
        fit::check(kind, &item.signature.ident, &options, &function)?;
        Ok(Output::new(kind, &item, &function, &options).tokens())
    });
    written.unwrap_or_else(|error| {
        let Item { attributes, visibility, signature, body } = &item;
        let error = error.to_compile_error();
        quote!(#error #(#attributes)* #visibility #signature #body)
    })
}
