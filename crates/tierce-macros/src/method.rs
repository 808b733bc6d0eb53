//! The code of a method whose values are in a field of its instance: the method, and beside it the body as it was written.
//!
//! Nothing else can stand there: a type cannot be written inside of an `impl`, so what is done to the cache is the field's.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use crate::argument::Argument;
use crate::fit::RESULT;
use crate::output::{Output, list, without_mut};
use crate::receiver::Has;

pub(crate) fn tokens(output: &Output, has: Has) -> TokenStream {
    let (item, returns) = (output.item, &output.function.returns);
    let (vis, body, signature) = (&item.visibility, &item.body, without_mut(&item.signature));
    let (outer, inner) = (output.outer_attributes(), output.inner_attributes());
    let mut plain = item.signature.clone();
    plain.ident = uncached(output);
    let field = output.options.field.as_ref().expect("a method without one was refused");
    let (key_type, value) = (&output.key_type, &returns.value);
    let memo = quote_spanned!(field.span()=> let __memo: &__tierce::Memo<#key_type, #value> = &#field;);
    let facts = output.facts();
    let check = (!facts.is_empty()).then(|| quote!(const #facts));
    let (name, hub, settings) = (output.cache_name(), output.hub(), output.settings(quote!(__builder)));
    let (key, shape, tags) = (output.key(), output.shape(), argument_tags(output));
    let past = match (has, &signature.asyncness) {
        (Has::Borrowed, _) => quote!(past_lent),
        (Has::Shared, None) => quote!(past_blocking),
        (Has::Shared, Some(_)) => quote!(past),
    };
    let passed: Vec<_> = output.function.arguments.iter().map(Argument::pass).collect();
    let load_name = format_ident!("__{}_load", item.signature.ident);
    let (load, load_function) = match has {
        Has::Borrowed => (lent(output, &passed), TokenStream::new()),
        Has::Shared => (quote!(self.#load_name(#(#passed),*)), owned(output, &load_name)),
    };
    let wait = signature.asyncness.map(|_| quote!(.await));
    let doc = format!("\n\nKept by `memo` in `{}`.", quote!(#field).to_string().replace(' ', ""));
    quote! {
        #(#outer)*
        #[doc = #doc]
        #vis #signature {
            static __METHOD: __tierce::__macros::Method = __tierce::__macros::Method::new(#name, #hub);
            #check
            #memo
            let __key = #key;
            match __tierce::__macros::here_in(__memo, &__METHOD, |__builder| #settings, __key, #shape) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__miss) => {
                    __tierce::__macros::#past(__miss, __key, #tags, ::std::boxed::Box::new(|| { #load }))#wait
                }
            }
        }
        #load_function
        /// The method itself: it neither looks for what is kept nor keeps what it returns.
        #(#inner)*
        #[allow(dead_code, reason = "written by a macro")]
        #vis #plain #body
    }
}

fn uncached(output: &Output) -> Ident {
    let name = &output.item.signature.ident;
    format_ident!("{name}_uncached", span = name.span())
}

/// A call on the caller's stack: borrowed arguments are passed on.
fn lent(output: &Output, passed: &[TokenStream]) -> TokenStream {
    let uncached = uncached(output);
    let value = &output.function.returns.value;
    let tagger = match result_tags(output) {
        None => quote!(::core::option::Option::None),
        Some((result, tags)) => quote!({
            let __tagger: __tierce::__macros::Tagger<#value> =
                ::core::option::Option::Some(::std::boxed::Box::new(|#result: &#value| #tags));
            __tagger
        }),
    };
    quote!((self.#uncached(#(#passed),*), #tagger))
}

/// What begins a load that has a clone of the instance's `Arc`. A function that is not async, so that an async method may
/// call itself.
fn owned(output: &Output, load_name: &Ident) -> TokenStream {
    let (uncached, signature) = (uncached(output), without_mut(&output.item.signature));
    let (inputs, generics) = (&signature.inputs, &signature.generics);
    let where_clause = &generics.where_clause;
    let own = output.function.arguments.iter().map(Argument::own_passed);
    let lend = output.function.arguments.iter().map(|argument| argument.lend());
    let call = quote!(__instance.#uncached(#(#lend),*));
    let call = match &output.item.signature.asyncness {
        Some(_) => quote!(#call.await),
        None => quote!(__tierce::__macros::aside(move || #call)),
    };
    let (value, whole) = (&output.function.returns.value, &output.function.returns.whole);
    let (before, tagger) = match result_tags(output) {
        None => (TokenStream::new(), quote!(::core::option::Option::None)),
        Some((result, tags)) => {
            let kept: Vec<_> = output.keys.iter().map(|key| format_ident!("__{}", key.name)).collect();
            let own = output.keys.iter().map(|key| key.own());
            let names = output.keys.iter().map(|key| &key.name);
            let tagger = quote!(move |#result: &#value| {
                #[allow(unused_variables, reason = "written by a macro")]
                let (#(#names,)*) = (#(&#kept,)*);
                #tags
            });
            (quote!(#(let #kept = #own;)*), quote!(::core::option::Option::Some(::std::boxed::Box::new(#tagger))))
        }
    };
    quote! {
        fn #load_name #generics (#inputs) -> __tierce::__macros::Begun<#whole, #value> #where_clause {
            #before
            let __instance = ::std::sync::Arc::clone(&self);
            #(#own)*
            (::std::boxed::Box::pin(async move { #call }), #tagger)
        }
    }
}

fn argument_tags(output: &Output) -> TokenStream {
    let (_, of_arguments) = output.tags();
    if of_arguments.is_empty() { quote!(__tierce::__macros::Tags::new()) } else { list(&of_arguments) }
}

/// The name of the result in templates, and the tags that name it.
fn result_tags(output: &Output) -> Option<(Ident, TokenStream)> {
    let (of_result, _) = output.tags();
    let first = of_result.first()?;
    Some((Ident::new(RESULT, first.literal.span()), list(&of_result)))
}
