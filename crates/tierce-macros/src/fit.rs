//! Whether options and function fit each other.

use syn::{Error, Ident, Result};

use crate::function::Function;
use crate::options::{Kind, Options};
use crate::receiver::Has;
use crate::returns::Failing;
use crate::template::Template;

/// The word by which a tag names what the function returned.
pub(crate) const RESULT: &str = "result";

/// The largest tuple that is looked up borrowed.
const MOST_ARGUMENTS: usize = 8;

pub(crate) fn check(kind: Kind, name: &Ident, options: &Options, function: &Function) -> Result<()> {
    instance(kind, options, function)?;
    bounds(options)?;
    failures(options, function)?;
    if kind == Kind::Memo
        && let Some(span) = options.said("version")
    {
        return Err(Error::new(span, "a memo never leaves its process, so its values have one version: drop this"));
    }
    if kind == Kind::Cached && options.name.is_none() && !name.to_string().is_ascii() {
        return Err(Error::new_spanned(name, "a cache's name is of A-Z a-z 0-9 _ . -: write `name = \"…\"`"));
    }
    match &options.key {
        Some(key) => template_key(key, function)?,
        None => typed_key(function)?,
    }
    options.tags.iter().try_for_each(|tag| tag_names(tag, function))
}

/// A method has its values in a field; nothing else has.
fn instance(kind: Kind, options: &Options, function: &Function) -> Result<()> {
    let (receiver, field) = (function.receiver.as_ref(), options.said("field"));
    let (receiver, field) = match (receiver, field) {
        (None, None) => return Ok(()),
        (None, Some(span)) => {
            return Err(Error::new(span, "`field` is for methods, and this function has no `self`: drop this"));
        }
        (Some(receiver), None) => {
            let why = "a method's values are its instance's: give it a field `memo: tierce::Memo<K, V>`, and write \
                       `#[tierce::memo(field = self.memo)]`";
            return Err(Error::new(receiver.span, why));
        }
        (Some(receiver), Some(field)) => (receiver, field),
    };
    if kind == Kind::Cached {
        let why = "an instance's values never leave the process: write `#[tierce::memo(field = …)]`";
        return Err(Error::new(field, why));
    }
    // A load that may run without its caller.
    let alone = ["stale_while_revalidate", "refresh_early", "soft_timeout", "max_concurrent_loads"];
    match alone.iter().find_map(|name| Some((name, options.said(name)?))) {
        Some((name, span)) if receiver.has == Has::Borrowed => {
            let why =
                format!("`{name}` lets a load outlive its caller, whose `&self` it borrows: take `self: &Arc<Self>`");
            Err(Error::new(span, why))
        }
        _ => Ok(()),
    }
}

fn bounds(options: &Options) -> Result<()> {
    match options.said("unbounded") {
        Some(span) if options.said("capacity").is_some() => {
            Err(Error::new(span, "say one of `capacity` and `unbounded`"))
        }
        _ => Ok(()),
    }
}

/// What may turn a caller away needs a return type that can say so.
fn failures(options: &Options, function: &Function) -> Result<()> {
    if function.returns.failing == Failing::Never {
        for name in ["hard_timeout", "max_concurrent_loads", "load_deadline", "stale_if_error"] {
            if let Some(span) = options.said(name) {
                let why = format!(
                    "`{name}` is about loads that fail, and this function cannot: return `tierce::Result<T, E>`"
                );
                return Err(Error::new(span, why));
            }
        }
    }
    if !function.returns.absence
        && let Some(span) = options.said("negative_ttl")
    {
        return Err(Error::new(span, "`negative_ttl` is for functions that return an `Option`"));
    }
    Ok(())
}

fn typed_key(function: &Function) -> Result<()> {
    let mut arguments = function.arguments.iter().filter(|argument| !argument.skipped);
    arguments.clone().try_for_each(|argument| argument.check_key())?;
    if let Some(ninth) = arguments.nth(MOST_ARGUMENTS) {
        let why = format!(
            "at most {MOST_ARGUMENTS} arguments make a key: write `#[skip]` where one is no part of it, put some into a \
             struct, or say `key = \"…\"`"
        );
        return Err(Error::new_spanned(&ninth.name, why));
    }
    Ok(())
}

fn template_key(key: &Template, function: &Function) -> Result<()> {
    for root in key.names() {
        known(key, root, function)?;
    }
    let forgotten = |argument: &&crate::argument::Argument| !argument.skipped && !key.uses(&argument.name.to_string());
    match function.arguments.iter().find(forgotten) {
        None => Ok(()),
        Some(argument) => {
            let name = &argument.name;
            let why =
                format!("`{name}` is not in the key: name it there as `{{{name}}}`, or write `#[skip]` before it");
            Err(Error::new_spanned(name, why))
        }
    }
}

fn tag_names(tag: &Template, function: &Function) -> Result<()> {
    for root in tag.names().filter(|root| *root != RESULT) {
        known(tag, root, function)?;
    }
    let namesake = function.arguments.iter().find(|argument| argument.name == RESULT);
    match namesake.filter(|_| tag.uses(RESULT)) {
        Some(argument) => {
            Err(Error::new_spanned(&argument.name, "in tags `result` is what the function returns: rename this"))
        }
        None => Ok(()),
    }
}

fn known(template: &Template, root: &Ident, function: &Function) -> Result<()> {
    let span = template.literal.span();
    match function.arguments.iter().find(|argument| argument.name == *root) {
        Some(argument) if argument.skipped => {
            Err(Error::new(span, format!("`{root}` is skipped: keys and tags are made of the arguments that are not")))
        }
        Some(_) => Ok(()),
        None => {
            let names: Vec<_> = function.arguments.iter().map(|argument| format!("`{}`", argument.name)).collect();
            let known = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            Err(Error::new(span, format!("there is no argument `{root}`; there is {known}")))
        }
    }
}
