//! The function that gets a cache.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, FnArg, GenericParam, Result, Safety, Signature, Visibility};

use crate::argument::Argument;
use crate::receiver::Receiver;
use crate::returns::Returns;

/// A function as it was written; its body is not looked into.
pub(crate) struct Item {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    pub(crate) body: TokenStream,
}

/// What is known of it.
pub(crate) struct Function {
    /// Of a method: how it has its instance.
    pub(crate) receiver: Option<Receiver>,
    pub(crate) arguments: Vec<Argument>,
    pub(crate) returns: Returns,
}

impl Parse for Item {
    fn parse(input: ParseStream) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        let signature = input.parse()?;
        let body: Group = input.parse()?;
        Ok(Item { attributes, visibility, signature, body: TokenTree::from(body).into() })
    }
}

impl Item {
    /// Looks at the function, and takes the words away that are the macro's.
    pub(crate) fn take_apart(&mut self) -> Result<Function> {
        let signature = &mut self.signature;
        let mut wrong: Option<Error> = None;
        let mut note = |error: Error| match &mut wrong {
            Some(errors) => errors.combine(error),
            none => *none = Some(error),
        };
        let mut arguments = Vec::new();
        // All of them, also after a mistake: a `#[skip]` that stays would be a second one.
        let mut receiver = None;
        for argument in &mut signature.inputs {
            match argument {
                FnArg::Receiver(own) => match Receiver::of(own, signature.asyncness.is_some()) {
                    Ok(own) => receiver = Some(own),
                    Err(error) => note(error),
                },
                FnArg::Typed(typed) => match Argument::take(typed) {
                    Ok(argument) => arguments.push(argument),
                    Err(error) => note(error),
                },
            }
        }
        if let Err(error) = plain(signature) {
            note(error);
        }
        match (Returns::of(signature, receiver.is_some()), wrong) {
            (Ok(returns), None) => Ok(Function { receiver, arguments, returns }),
            (Ok(_), Some(error)) | (Err(error), None) => Err(error),
            (Err(last), Some(mut error)) => {
                error.combine(last);
                Err(error)
            }
        }
    }
}

fn plain(signature: &Signature) -> Result<()> {
    if let Some(token) = &signature.constness {
        return Err(Error::new_spanned(token, "a `const fn` cannot look into a cache"));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        let why = "a cached function is called at the cache's own times: put the `unsafe` block into the body";
        return Err(Error::new_spanned(token, why));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new_spanned(abi, "a function with a cache has Rust's own calling convention"));
    }
    if let Some(variadic) = &signature.variadic {
        return Err(Error::new_spanned(variadic, "a key has a fixed number of arguments"));
    }
    let generic = signature.generics.params.iter().find(|param| !matches!(param, GenericParam::Lifetime(_)));
    if let Some(param) = generic {
        let why = "one cache has keys and values of one type: write the type out, or use a `tierce::Cache` in the body";
        return Err(Error::new_spanned(param, why));
    }
    Ok(())
}
