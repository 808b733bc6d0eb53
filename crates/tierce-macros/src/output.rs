//! The code that a macro writes: the function, and a type of its name with what can be done to its cache.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Ident, Pat, Signature};

use crate::argument::Argument;
use crate::fit::RESULT;
use crate::function::{Function, Item};
use crate::options::{Kind, Options};
use crate::plain::{is_plain, is_written_out};
use crate::returns::Failing;
use crate::template::Template;

/// Everything that the parts of the code are made of.
pub(crate) struct Output<'a> {
    kind: Kind,
    pub(crate) item: &'a Item,
    pub(crate) function: &'a Function,
    pub(crate) options: &'a Options,
    name: &'a Ident,
    /// The arguments of the key.
    pub(crate) keys: Vec<&'a Argument>,
    pub(crate) key_type: TokenStream,
}

/// How what waits is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Face {
    Async,
    Blocking,
}

impl<'a> Output<'a> {
    pub(crate) fn new(kind: Kind, item: &'a Item, function: &'a Function, options: &'a Options) -> Self {
        let keys: Vec<_> = function.arguments.iter().filter(|argument| !argument.skipped).collect();
        let types = keys.iter().map(|argument| argument.owned_type());
        let key_type = match (&options.key, keys.len()) {
            (Some(_), _) => quote!(::std::string::String),
            (None, 1) => quote!(#(#types)*),
            (None, _) => quote!((#(#types),*)),
        };
        Output { kind, item, function, options, name: &item.signature.ident, keys, key_type }
    }

    pub(crate) fn tokens(&self) -> TokenStream {
        let (name, vis) = (self.name, &self.item.visibility);
        let outer = self.outer();
        let (site, load, uncached) = (self.site(), self.load(), self.uncached());
        let (tags, keyed, whole) = (self.tag_functions(), self.keyed(), self.whole());
        let (check, kept, builds) = (self.check(), self.kept(), self.builds());
        let doc = format!("The cache of [`{name}`](fn@{name}).");
        let allow = quote!(#[allow(
            non_camel_case_types, dead_code, unused_qualifications, clippy::too_many_arguments, clippy::needless_pass_by_value,
            clippy::trivially_copy_pass_by_ref, clippy::ptr_arg, clippy::unused_async, clippy::missing_errors_doc,
            clippy::missing_panics_doc, reason = "written by a macro"
        )]);
        quote! {
            #outer
            #[doc = #doc]
            #allow
            #vis struct #name {}
            #allow
            impl #name { #site #load #uncached #tags }
            #allow
            impl #name #kept { #keyed #whole }
            #builds
            #check
        }
    }

    fn face(&self) -> Face {
        if self.item.signature.asyncness.is_some() { Face::Async } else { Face::Blocking }
    }

    /// The function itself, which asks its cache.
    fn outer(&self) -> TokenStream {
        let (name, vis) = (self.name, &self.item.visibility);
        let (attributes, signature) = (self.outer_attributes(), without_mut(&self.item.signature));
        let call = self.call(&quote!(Lookup));
        let doc = format!(
            "\n\nCached by `{}`; [its cache](struct@{name}) has `{name}::invalidate` and the like.",
            self.kind.name()
        );
        quote! {
            #(#attributes)*
            #[doc = #doc]
            #vis #signature { #call }
        }
    }

    fn site(&self) -> TokenStream {
        let (key, value) = (&self.key_type, &self.function.returns.value);
        let (name, cache_name, hub) = (self.name, self.cache_name(), self.hub());
        let new = quote_spanned!(value.span()=> __tierce::__macros::site::<#name>);
        quote! {
            #[inline]
            fn __site() -> &'static __tierce::__macros::Site<#key, #value> {
                static SITE: __tierce::__macros::Site<#key, #value> = #new(#cache_name, #hub);
                &SITE
            }
        }
    }

    /// How its cache is built, where its types can be kept.
    fn builds(&self) -> TokenStream {
        let (name, kept, build) = (self.name, self.kept(), self.build());
        let (key, value) = (&self.key_type, &self.function.returns.value);
        quote! {
            impl __tierce::__macros::Builds for #name #kept {
                type Key = #key;
                type Value = #value;
                fn build(hub: &__tierce::Hub, name: &str) -> __tierce::CacheBuilder<#key, #value> { #build }
            }
        }
    }

    /// The bounds of a key and a value, where a type's own name does not say that it has them. The compiler then tells of
    /// what is missing once, at the type, and not wherever the type is used.
    fn kept(&self) -> TokenStream {
        let value = &self.function.returns.value;
        let mut bounds = TokenStream::new();
        let arguments = self.keys.iter().filter(|_| self.options.key.is_none());
        for argument in arguments.filter(|argument| !is_plain(&argument.ty)) {
            let (span, owned) = (argument.ty.span(), argument.owned_type());
            let stored = (self.kind == Kind::Cached).then(|| quote_spanned!(span=> + __tierce::__macros::Serialize));
            bounds.extend(quote_spanned!(span=> #owned: __tierce::Key #stored,));
        }
        if !is_plain(value) {
            let stored = (self.kind == Kind::Cached).then(
                || quote_spanned!(value.span()=> + __tierce::__macros::Serialize + __tierce::__macros::DeserializeOwned),
            );
            bounds.extend(quote_spanned!(value.span()=> #value: __tierce::Value #stored,));
        }
        if bounds.is_empty() { bounds } else { quote!(where #bounds) }
    }

    /// What the cache is called.
    pub(crate) fn cache_name(&self) -> TokenStream {
        let own_name = self.name.to_string();
        let own_name = own_name.trim_start_matches("r#");
        match (&self.options.name, self.kind) {
            (Some(said), _) => quote!(#said),
            (None, Kind::Cached) => quote!(#own_name),
            (None, Kind::Memo) => quote!(::core::concat!(::core::module_path!(), "::", #own_name)),
        }
    }

    /// The hub, where one is named.
    pub(crate) fn hub(&self) -> TokenStream {
        match &self.options.hub {
            None => quote!(::core::option::Option::None),
            Some(hub) => quote_spanned!(hub.span()=> ::core::option::Option::Some(|| {
                let hub: &__tierce::Hub = &#hub;
                ::core::clone::Clone::clone(hub)
            })),
        }
    }

    /// How the cache is built in a hub.
    fn build(&self) -> TokenStream {
        let (key, value) = (&self.key_type, &self.function.returns.value);
        self.settings(match self.kind {
            Kind::Cached => quote!(hub.cache::<#key, #value>(name)),
            Kind::Memo => quote!(hub.local_cache::<#key, #value>(name)),
        })
    }

    /// What is said of the cache, to its builder.
    pub(crate) fn settings(&self, mut builder: TokenStream) -> TokenStream {
        let (returns, settings) = (&self.function.returns, &self.options.settings);
        let forever = quote!(::core::time::Duration::MAX);
        if self.kind == Kind::Memo && self.options.said("ttl").is_none() {
            builder = quote!(#builder.ttl(#forever));
        }
        if self.options.said("load_deadline").is_none() {
            // Who cannot be told that a load is too slow waits for it, as a caller of the function itself does.
            let (whole, failing) = (&returns.whole, self.failing());
            builder = match returns.failing {
                Failing::Never => quote!(#builder.load_deadline(#forever)),
                Failing::Result => quote!(__tierce::__macros::deadline::<#whole, _, _, _>(#builder, #failing)),
            };
        }
        quote!(#builder #(#settings)*)
    }

    /// A lookup or a refresh: what stands in the function itself, so that an async one is one future and not two.
    fn call(&self, what: &TokenStream) -> TokenStream {
        let name = self.name;
        let (key, shape, tags) = (self.key(), self.shape(), self.argument_tags());
        let here = quote_spanned!(self.function.returns.value.span()=> __tierce::__macros::here);
        let passed = self.function.arguments.iter().map(Argument::pass);
        let (past, wait) = match self.face() {
            Face::Async => (quote!(past), quote!(.await)),
            Face::Blocking => (quote!(past_blocking), TokenStream::new()),
        };
        quote! {
            let __key = #key;
            match #here(#name::__site(), __key, __tierce::__macros::Ask::#what, #shape) {
                ::core::result::Result::Ok(__value) => __value,
                ::core::result::Result::Err(__miss) => __tierce::__macros::#past(
                    __miss, __key, #tags, ::std::boxed::Box::new(|| #name::__load(#(#passed),*))
                )#wait,
            }
        }
    }

    /// What begins a load. Its future is named by its box, in a function that is not async: so an async function may call
    /// itself.
    fn load(&self) -> TokenStream {
        let name = self.name;
        let generics = &self.item.signature.generics;
        let (inputs, where_clause) = (plain_inputs(&self.item.signature.inputs), &generics.where_clause);
        let own = self.function.arguments.iter().map(Argument::own_passed);
        let lend = self.function.arguments.iter().map(Argument::lend);
        let call = quote!(#name::uncached(#(#lend),*));
        let call = match self.face() {
            Face::Async => quote!(#call.await),
            Face::Blocking => quote!(__tierce::__macros::aside(move || #call)),
        };
        let (tagger, before) = self.tagger();
        let (value, whole) = (&self.function.returns.value, &self.function.returns.whole);
        quote! {
            fn __load #generics (#inputs) -> __tierce::__macros::Begun<#whole, #value> #where_clause {
                #before
                #(#own)*
                (::std::boxed::Box::pin(async move { #call }), #tagger)
            }
        }
    }

    /// The function as it was written, under another name.
    fn uncached(&self) -> TokenStream {
        let vis = &self.item.visibility;
        let attributes = self.inner_attributes();
        let mut signature = self.item.signature.clone();
        signature.ident = Ident::new("uncached", self.name.span());
        let body = &self.item.body;
        quote! {
            /// The function itself: it neither looks into the cache nor keeps what it returns.
            #(#attributes)*
            #vis #signature #body
        }
    }

    /// The attributes of what is called: all but expectations, which the body meets.
    pub(crate) fn outer_attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.item.attributes.iter().filter(|attribute| !attribute.path().is_ident("expect"))
    }

    /// The attributes of what was written: those for lints.
    pub(crate) fn inner_attributes(&self) -> impl Iterator<Item = &Attribute> {
        let lints = ["allow", "expect", "warn", "deny", "forbid"];
        self.item.attributes.iter().filter(move |a| lints.iter().any(|lint| a.path().is_ident(lint)))
    }

    /// How the function's return type is taken apart.
    pub(crate) fn shape(&self) -> TokenStream {
        let content = if self.function.returns.absence { quote!(Maybe) } else { quote!(Sure) };
        let failing = self.failing();
        quote!((__tierce::__macros::#content, #failing))
    }

    fn failing(&self) -> TokenStream {
        let returns = &self.function.returns;
        let whole = &returns.whole;
        match returns.failing {
            Failing::Never => quote!(__tierce::__macros::Never),
            Failing::Result => quote_spanned!(whole.span()=> {
                #[allow(unused_imports, reason = "the first that fits is taken")]
                use __tierce::__macros::{ByClone as _, ByFrom as _, ByLoadError as _, ByNobody as _};
                (&&&&__tierce::__macros::Probe::<#whole>::NEW).failing()
            }),
        }
    }

    /// Refuses names that hide a `Result` or an `Option`, and errors that cannot be shared: only the types tell.
    fn check(&self) -> TokenStream {
        let facts = self.facts();
        if facts.is_empty() {
            facts
        } else {
            quote_spanned!(self.function.returns.whole.span()=> const _: () = #facts;)
        }
    }

    /// The same, as a block.
    pub(crate) fn facts(&self) -> TokenStream {
        let returns = &self.function.returns;
        let (value, whole) = (&returns.value, &returns.whole);
        let mut facts = TokenStream::new();
        let mut refuse_unless =
            |fact: TokenStream, why: &str| facts.extend(quote_spanned!(whole.span()=> ::core::assert!(#fact, #why);));
        if !returns.absence && !is_written_out(value) {
            refuse_unless(
                quote!(!__Probe::<#value>::IS_RESULT && !__Probe::<#value>::IS_OPTION),
                "this name stands for a `Result` or an `Option`, which a cached function must write out",
            );
        }
        if returns.failing == Failing::Result {
            refuse_unless(
                quote!(__Probe::<#whole>::SHARES),
                "this error cannot be cloned for every caller who waits for one load: return `tierce::Result<T, E>`, \
                 which shares it",
            );
        }
        if facts.is_empty() {
            return facts;
        }
        quote_spanned! {whole.span()=>
            {
                #[allow(unused_imports, reason = "where the type says it itself")]
                use __tierce::__macros::{NotAResult as _, Probe as __Probe};
                #facts
            }
        }
    }

    /// An expression of a reference to the borrowed key.
    pub(crate) fn key(&self) -> TokenStream {
        if let Some(key) = &self.options.key {
            let text = key.text(Some(&quote!(__tierce::__macros::Escaped)));
            return quote!(&::std::string::String::from(#text));
        }
        let borrowed: Vec<_> = self.keys.iter().map(|argument| argument.borrow()).collect();
        match &*borrowed {
            [] => quote!(&()),
            [one] => quote!(#one),
            _ => quote!(&__tierce::__macros::Args((#(#borrowed),*))),
        }
    }

    /// The tags that name the result, and those that do not.
    pub(crate) fn tags(&self) -> (Vec<&Template>, Vec<&Template>) {
        self.options.tags.iter().partition(|tag| tag.uses(RESULT))
    }

    fn argument_tags(&self) -> TokenStream {
        let name = self.name;
        let passed = self.keys.iter().map(|argument| argument.pass());
        if self.tags().1.is_empty() {
            return quote!(__tierce::__macros::Tags::new());
        }
        quote!(#name::tags(#(#passed),*))
    }

    /// What names the tags of a result, and what is to be done for it before the arguments are made the load's own.
    fn tagger(&self) -> (TokenStream, TokenStream) {
        let (name, value) = (self.name, &self.function.returns.value);
        if self.tags().0.is_empty() {
            return (quote!(::core::option::Option::None), TokenStream::new());
        }
        let kept: Vec<_> = self.keys.iter().map(|argument| format_ident!("__{}", argument.name)).collect();
        let own = self.keys.iter().map(|argument| argument.own());
        let before = quote!(#(let #kept = #own;)*);
        let tagger = quote!(move |__result: &#value| #name::__result_tags(#(&#kept,)* __result));
        (quote!(::core::option::Option::Some(::std::boxed::Box::new(#tagger))), before)
    }

    /// What makes tags of arguments, and of results.
    fn tag_functions(&self) -> TokenStream {
        let (of_result, of_arguments) = self.tags();
        let value = &self.function.returns.value;
        let parameters: Vec<_> = self.keys.iter().map(|argument| argument.borrowed_parameter()).collect();
        let mut functions = TokenStream::new();
        let unused = quote!(#[allow(unused_variables, reason = "written by a macro")]);
        if !of_arguments.is_empty() {
            let list = list(&of_arguments);
            let vis = &self.item.visibility;
            let written = self.keys.iter().map(|argument| argument.parameter());
            functions.extend(quote! {
                /// The tags that these arguments give, as they are kept.
                #unused #vis fn tags(#(#written),*) -> ::std::vec::Vec<::std::sync::Arc<str>> { #list }
            });
        }
        if !of_result.is_empty() {
            let list = list(&of_result);
            let result = Ident::new(RESULT, of_result[0].literal.span());
            functions.extend(quote! {
                #unused fn __result_tags(#(#parameters,)* #result: &#value) -> __tierce::__macros::Tags { #list }
            });
        }
        functions
    }

    /// What is done to one key.
    fn keyed(&self) -> TokenStream {
        let (vis, name, key_type, value) =
            (&self.item.visibility, self.name, &self.key_type, &self.function.returns.value);
        let key = self.key();
        let parameters: Vec<_> = self.keys.iter().map(|argument| argument.parameter()).collect();
        let (asyncness, done) =
            (self.item.signature.asyncness.as_ref(), quote!(::core::result::Result<(), __tierce::Error>));
        let wait = |what: TokenStream| match self.face() {
            Face::Async => quote!(#what.await),
            Face::Blocking => quote!(__tierce::block_on(#what)),
        };
        let invalidate = wait(quote!(#name::cache().invalidate(#key)));
        let mark_stale = wait(quote!(#name::cache().mark_stale(#key)));
        let explain = wait(quote!(#name::cache().explain(#key)));
        let borrowed: Vec<_> = self.keys.iter().map(|argument| argument.borrow()).collect();
        let (of_result, of_arguments) = self.tags();
        let tags = [
            (!of_arguments.is_empty()).then(|| self.argument_tags()),
            (!of_result.is_empty()).then(|| quote!(#name::__result_tags(#(#borrowed,)* &__value))),
        ];
        let tags: Vec<_> = tags.into_iter().flatten().map(|tags| quote!(.tags(#tags))).collect();
        let set = wait(quote!(#name::cache().entry(#key)#(#tags)*.set(__value)));
        quote! {
            /// The key of these arguments.
            #[inline]
            #vis fn key(#(#parameters),*) -> #key_type { __tierce::ToKey::<#key_type>::to_key(#key) }
            /// The value if it is here and fresh; not counted.
            #[inline]
            #vis fn peek(#(#parameters),*) -> ::core::option::Option<#value> { #name::cache().peek(#key) }
            /// Puts a value in that the caller knows to be current.
            #[inline]
            #vis #asyncness fn set(#(#parameters,)* __value: #value) -> #done { #set }
            /// Ends what is kept for these arguments: no call that begins later gets what was loaded before.
            #[inline]
            #vis #asyncness fn invalidate(#(#parameters),*) -> #done { #invalidate }
            /// Ends its freshness: it may still be served where stale values may, while it is loaded anew.
            #[inline]
            #vis #asyncness fn mark_stale(#(#parameters),*) -> #done { #mark_stale }
            /// All that is known of it: where it is, how old, under which tags, or why it is missing.
            #[inline]
            #vis #asyncness fn explain(#(#parameters),*) -> __tierce::Explanation { #explain }
        }
    }

    /// What is done to the cache as a whole, and a load whatever is here.
    fn whole(&self) -> TokenStream {
        let (vis, name, key, value) = (&self.item.visibility, self.name, &self.key_type, &self.function.returns.value);
        let signature = &self.item.signature;
        let (asyncness, generics, output) = (&signature.asyncness, &signature.generics, &signature.output);
        let (inputs, where_clause) = (plain_inputs(&signature.inputs), &generics.where_clause);
        let refresh = self.call(&quote!(Refresh));
        let clear = match self.face() {
            Face::Async => quote!(#name::cache().purge().await),
            Face::Blocking => quote!(__tierce::block_on(#name::cache().purge())),
        };
        quote! {
            /// Calls the function now, whatever is here, and keeps what it returns.
            #[inline]
            #vis #asyncness fn refresh #generics (#inputs) #output #where_clause { #refresh }
            /// Ends all that is kept.
            #[inline]
            #vis #asyncness fn clear() -> ::core::result::Result<(), __tierce::Error> { #clear }
            /// What was counted since the cache was built.
            #[inline]
            #vis fn stats() -> __tierce::Stats { #name::cache().stats() }
            /// The cache itself, in the hub that is current here.
            #[inline]
            #vis fn cache() -> __tierce::Cache<#key, #value> { #name::__site().cache() }
        }
    }
}

/// What templates give, as a list of tags.
pub(crate) fn list(tags: &[&Template]) -> TokenStream {
    let tags = tags.iter().map(|tag| tag.text(None));
    quote!(__tierce::__macros::tags(::std::vec![#(::std::string::String::from(#tags)),*]))
}

/// A signature without `mut` before its arguments, which is the body's.
pub(crate) fn without_mut(signature: &Signature) -> Signature {
    let mut signature = signature.clone();
    for argument in &mut signature.inputs {
        if let FnArg::Typed(typed) = argument
            && let Pat::Ident(pattern) = &mut *typed.pat
        {
            pattern.mutability = None;
        }
    }
    signature
}

/// The arguments, without that `mut`.
fn plain_inputs<'a>(inputs: impl IntoIterator<Item = &'a FnArg>) -> TokenStream {
    let typed = inputs.into_iter().filter_map(|argument| match argument {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let plain = typed.map(|typed| {
        let mut typed = typed.clone();
        if let Pat::Ident(pattern) = &mut *typed.pat {
            pattern.mutability = None;
        }
        quote!(#typed)
    });
    quote!(#(#plain),*)
}
