//! One argument: a part of the key or not, borrowed or not.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Ident, Pat, PatType, Result, Type};

use crate::borrowed::{self, Refused};

pub(crate) struct Argument {
    pub(crate) name: Ident,
    /// The type as written, without what a reference adds.
    pub(crate) ty: Type,
    is_reference: bool,
    pub(crate) skipped: bool,
}

impl Argument {
    /// Reads an argument, and takes its `#[skip]` away.
    pub(crate) fn take(typed: &mut PatType) -> Result<Self> {
        let skipped = take_skip(typed);
        let name = name(&typed.pat)?;
        let (ty, is_reference) = match &*typed.ty {
            Type::Reference(reference) => {
                if let Some(mutability) = &reference.mutability {
                    return Err(Error::new_spanned(mutability, "a load outlives its caller: take the value, or `&T`"));
                }
                // What is borrowed for good is as good as owned.
                if reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static") {
                    ((*typed.ty).clone(), false)
                } else {
                    ((*reference.elem).clone(), true)
                }
            }
            ty => (ty.clone(), false),
        };
        let argument = Argument { name, ty, is_reference, skipped };
        argument.check()?;
        Ok(argument)
    }

    fn check(&self) -> Result<()> {
        let refused = match &self.ty {
            Type::TraitObject(object) if self.is_reference => {
                return Err(Error::new(
                    object.span(),
                    "a load outlives its caller and needs a clone of this: take `&Arc<dyn Trait>`, with `#[skip]`",
                ));
            }
            ty => borrowed::first_in(ty),
        };
        let why = match refused {
            None => return Ok(()),
            Some(Refused::Borrow(_)) => {
                "a load outlives its caller, and what is borrowed inside of a type cannot be made owned: take an owned \
                 type, as `Option<String>` for `Option<&str>`"
            }
            Some(Refused::Impl(_)) => {
                "a cache must know the types of its key: write the type out, or use a `tierce::Cache` in the body"
            }
            Some(Refused::SelfType(_)) => borrowed::NO_SELF,
        };
        Err(Error::new(refused.map_or_else(|| self.name.span(), |refused| refused.span()), why))
    }

    /// Refuses what cannot be compared, as a part of a typed key.
    pub(crate) fn check_key(&self) -> Result<()> {
        let written = self.ty.to_token_stream().to_string();
        if written == "f32" || written == "f64" {
            let why = "a float is no key, since it need not equal itself: write `key = \"…\"`, or take its bits";
            return Err(Error::new_spanned(&self.ty, why));
        }
        Ok(())
    }

    /// Its type, owned.
    pub(crate) fn owned_type(&self) -> TokenStream {
        let ty = &self.ty;
        match ty {
            _ if !self.is_reference => quote!(#ty),
            Type::Slice(slice) => {
                let item = &slice.elem;
                quote!(::std::vec::Vec<#item>)
            }
            Type::Path(path) if path.path.is_ident("str") => quote!(::std::string::String),
            _ => quote_spanned!(ty.span()=> <#ty as ::std::borrow::ToOwned>::Owned),
        }
    }

    /// As an argument of the functions of the cache.
    pub(crate) fn parameter(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        if self.is_reference { quote!(#name: &#ty) } else { quote!(#name: #ty) }
    }

    /// As an argument that is borrowed however it was written.
    pub(crate) fn borrowed_parameter(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        quote!(#name: &#ty)
    }

    /// A reference to it.
    pub(crate) fn borrow(&self) -> TokenStream {
        let name = &self.name;
        if self.is_reference { quote!(#name) } else { quote!(&#name) }
    }

    /// What makes a load's own of it.
    pub(crate) fn own(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        let unsized_text = matches!(ty, Type::Slice(_)) || matches!(ty, Type::Path(path) if path.path.is_ident("str"));
        match (self.skipped, self.is_reference) {
            (true, false) => quote!(#name),
            (true, true) if !unsized_text => quote_spanned!(ty.span()=> __tierce::__macros::keep::<#ty>(#name)),
            (_, true) => quote!(__tierce::__macros::own::<#ty>(#name)),
            (false, false) => quote!(::core::clone::Clone::clone(&#name)),
        }
    }

    /// Makes a load's own of what was passed.
    pub(crate) fn own_passed(&self) -> TokenStream {
        let (name, own) = (&self.name, self.own());
        if self.is_reference { quote!(let #name = #own;) } else { TokenStream::new() }
    }

    /// What is passed on: the key is still needed after it.
    pub(crate) fn pass(&self) -> TokenStream {
        let name = &self.name;
        if self.is_reference || self.skipped { quote!(#name) } else { quote!(::core::clone::Clone::clone(&#name)) }
    }

    /// What a load's own is given to the function as.
    pub(crate) fn lend(&self) -> TokenStream {
        let name = &self.name;
        if self.is_reference { quote!(&#name) } else { quote!(#name) }
    }
}

fn take_skip(typed: &mut PatType) -> bool {
    let before = typed.attrs.len();
    typed.attrs.retain(|attribute| !attribute.path().is_ident("skip"));
    typed.attrs.len() < before
}

fn name(pattern: &Pat) -> Result<Ident> {
    match pattern {
        Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => Ok(pattern.ident.clone()),
        Pat::Wild(wild) => Err(Error::new_spanned(wild, "name this argument: it is a part of the key")),
        other => Err(Error::new_spanned(other, "name this argument, and take it apart in the body")),
    }
}
