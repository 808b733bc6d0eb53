//! What stands in the brackets of a macro.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Member, Path, Result, Token};

use crate::duration;
use crate::nearest::nearest;
use crate::template::Template;

/// Which macro it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Shared through a store where the hub has one.
    Cached,
    /// In this process only.
    Memo,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Cached => "cached",
            Kind::Memo => "memo",
        }
    }
}

#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) hub: Option<Expr>,
    /// Where a method's instance keeps its values.
    pub(crate) field: Option<Expr>,
    /// The name that the program has for tierce.
    pub(crate) krate: Option<Path>,
    pub(crate) key: Option<Template>,
    pub(crate) tags: Vec<Template>,
    /// Calls of the builder's methods, in the order in which they were written.
    pub(crate) settings: Vec<TokenStream>,
    /// All that was said, as written.
    said: Vec<Ident>,
}

/// What an option's value is.
#[derive(Clone, Copy)]
enum Takes {
    Duration,
    /// A number, or whatever is one.
    Number,
    /// Passed to the builder as written, from 0 to 1.
    Share,
    Policy,
    Early,
    Name,
    Hub,
    Field,
    Crate,
    Key,
    Tags,
    Nothing,
}

const OPTIONS: [(&str, Takes); 22] = [
    ("ttl", Takes::Duration),
    ("capacity", Takes::Number),
    ("unbounded", Takes::Nothing),
    ("tags", Takes::Tags),
    ("key", Takes::Key),
    ("name", Takes::Name),
    ("version", Takes::Number),
    ("hub", Takes::Hub),
    ("field", Takes::Field),
    ("crate", Takes::Crate),
    ("policy", Takes::Policy),
    ("negative_ttl", Takes::Duration),
    ("jitter", Takes::Share),
    ("idle", Takes::Duration),
    ("stale_while_revalidate", Takes::Duration),
    ("stale_if_error", Takes::Duration),
    ("retry_after", Takes::Duration),
    ("refresh_early", Takes::Early),
    ("soft_timeout", Takes::Duration),
    ("hard_timeout", Takes::Duration),
    ("load_deadline", Takes::Duration),
    ("max_concurrent_loads", Takes::Number),
];

/// What `tierce` takes as a tag, in bytes; what arguments make longer it shortens.
const LONGEST_TAG: usize = 200;

impl Parse for Options {
    fn parse(input: ParseStream) -> Result<Self> {
        let mut options = Options::default();
        while !input.is_empty() {
            options.take(input)?;
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    /// Where an option was said.
    pub(crate) fn said(&self, name: &str) -> Option<Span> {
        self.said.iter().find(|said| *said == name).map(Ident::span)
    }

    fn take(&mut self, input: ParseStream) -> Result<()> {
        if input.peek(LitStr) {
            return Err(input.error("options have names: write `ttl = \"10m\"`"));
        }
        // `crate` is one, and a word of the language.
        let option = input.call(Ident::parse_any)?;
        let Some((_, takes)) = OPTIONS.iter().find(|(name, _)| option == name) else { return Err(unknown(&option)) };
        if self.said(&option.to_string()).is_some() {
            return Err(Error::new_spanned(&option, format!("`{option}` is said twice")));
        }
        self.said.push(option.clone());
        if matches!(takes, Takes::Nothing) {
            self.settings.push(quote!(.#option()));
            return Ok(());
        }
        if !input.peek(Token![=]) {
            return Err(Error::new_spanned(&option, format!("`{option}` needs a value: {}", example(&option, *takes))));
        }
        input.parse::<Token![=]>()?;
        self.value(&option, *takes, input)
    }

    fn value(&mut self, option: &Ident, takes: Takes, input: ParseStream) -> Result<()> {
        match takes {
            Takes::Duration => {
                let time = duration::tokens(&input.parse()?)?;
                self.settings.push(quote!(.#option(#time)));
            }
            Takes::Number | Takes::Share => {
                let number: Expr = input.parse()?;
                check_number(option, takes, &number)?;
                self.settings.push(quote!(.#option(#number)));
            }
            Takes::Policy => {
                let policy = policy(&text(option, takes, input)?)?;
                self.settings.push(quote!(.#option(#policy)));
            }
            Takes::Early => {
                let early = early(&input.parse()?)?;
                self.settings.push(quote!(.#option(#early)));
            }
            Takes::Name => self.name = Some(name(&text(option, takes, input)?)?),
            Takes::Hub => self.hub = Some(input.parse()?),
            Takes::Field => self.field = Some(field(input.parse()?)?),
            Takes::Crate => self.krate = Some(input.call(Path::parse_mod_style)?),
            Takes::Key => {
                let template = Template::parse(&text(option, takes, input)?)?;
                template.separates()?;
                self.key = Some(template);
            }
            Takes::Tags => self.tags = tags(option, input)?,
            Takes::Nothing => unreachable!("it has no value"),
        }
        Ok(())
    }
}

/// A field of the instance, or one of a field of it.
fn field(value: Expr) -> Result<Expr> {
    let mut inner = &value;
    let mut is_field = false;
    loop {
        match inner {
            Expr::Field(place) if matches!(place.member, Member::Named(_) | Member::Unnamed(_)) => {
                (inner, is_field) = (&place.base, true);
            }
            Expr::Path(path) if is_field && path.path.is_ident("self") => return Ok(value),
            _ => {
                let why =
                    "a field of the instance stands here, of type `tierce::Memo<K, V>`: write `field = self.memo`";
                return Err(Error::new_spanned(&value, why));
            }
        }
    }
}

fn unknown(option: &Ident) -> Error {
    let known = || OPTIONS.iter().map(|(name, _)| *name);
    let list: Vec<_> = known().map(|name| format!("`{name}`")).collect();
    // What people who come from other crates write first.
    let meant = match option.to_string().as_str() {
        "time" | "expire" | "expiry" | "timeout" => Some("ttl"),
        "size" | "max_size" | "max_capacity" => Some("capacity"),
        "swr" => Some("stale_while_revalidate"),
        "convert" => Some("key"),
        word => nearest(word, known()),
    };
    let meant = meant.map(|word| format!(", did you mean `{word}`?")).unwrap_or_default();
    Error::new_spanned(option, format!("unknown option `{option}`{meant}\nknown: {}", list.join(", ")))
}

fn example(option: &Ident, takes: Takes) -> String {
    let value = match takes {
        Takes::Duration => "\"10m\"",
        Takes::Number => "1000",
        Takes::Share => "0.1",
        Takes::Policy => "\"lru\"",
        Takes::Early => "\"xfetch\"",
        Takes::Name => "\"product\"",
        Takes::Hub => "HUB",
        Takes::Field => "self.memo",
        Takes::Crate => "::tierce",
        Takes::Key => "\"product:{id}\"",
        Takes::Tags => "[\"products\", \"category:{result.category}\"]",
        Takes::Nothing => return format!("write `{option}`"),
    };
    format!("write `{option} = {value}`")
}

fn text(option: &Ident, takes: Takes, input: ParseStream) -> Result<LitStr> {
    input
        .parse()
        .map_err(|error| Error::new(error.span(), format!("text in quotes stands here: {}", example(option, takes))))
}

/// What a literal cannot be; the compiler checks other expressions.
fn check_number(option: &Ident, takes: Takes, number: &Expr) -> Result<()> {
    let Expr::Lit(ExprLit { lit, .. }) = number else { return Ok(()) };
    let fits = match (takes, lit) {
        (Takes::Number, Lit::Int(number)) => {
            let zero = option == "max_concurrent_loads" && number.base10_digits() == "0";
            if zero {
                return Err(Error::new_spanned(number, "no load could ever run"));
            }
            true
        }
        (Takes::Share, Lit::Float(share)) => (0.0..=1.0).contains(&share.base10_parse::<f64>()?),
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let what = if matches!(takes, Takes::Share) { "a share from 0.0 to 1.0" } else { "a whole number" };
    Err(Error::new_spanned(number, format!("{what} stands here: {}", example(option, takes))))
}

fn policy(name: &LitStr) -> Result<TokenStream> {
    match name.value().as_str() {
        "s3-fifo" => Ok(quote!(__tierce::Policy::S3Fifo)),
        "lru" => Ok(quote!(__tierce::Policy::Lru)),
        _ => Err(Error::new(name.span(), "the policies are \"s3-fifo\" and \"lru\"")),
    }
}

fn early(value: &Expr) -> Result<TokenStream> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) if text.value() == "xfetch" => {
            Ok(quote!(__tierce::Early::XFetch { beta: 1.0 }))
        }
        Expr::Lit(ExprLit { lit: Lit::Float(share), .. }) if (0.0..=1.0).contains(&share.base10_parse::<f64>()?) => {
            Ok(quote!(__tierce::Early::Fraction(#share)))
        }
        Expr::Lit(other) => Err(Error::new_spanned(
            other,
            "say when: \"xfetch\" (by chance, the dearer the load the earlier), or after which share of the ttl, as 0.8",
        )),
        expression => Ok(quote!(#expression)),
    }
}

/// What `CacheBuilder` asks of a name, told here already.
fn name(name: &LitStr) -> Result<LitStr> {
    let text = name.value();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if plain && (1..=64).contains(&text.len()) {
        return Ok(name.clone());
    }
    Err(Error::new(name.span(), "a cache's name is 1 to 64 of A-Z a-z 0-9 _ . -"))
}

fn tags(option: &Ident, input: ParseStream) -> Result<Vec<Template>> {
    let list;
    if !input.peek(syn::token::Bracket) {
        return Err(input.error(format!("a list stands here: {}", example(option, Takes::Tags))));
    }
    syn::bracketed!(list in input);
    let mut tags = Vec::new();
    while !list.is_empty() {
        let literal = text(option, Takes::Tags, &list)?;
        let tag = Template::parse(&literal)?;
        if tag.names().next().is_none() && literal.value().len() > LONGEST_TAG {
            let why = format!("a tag is at most {LONGEST_TAG} bytes long");
            return Err(Error::new(literal.span(), why));
        }
        tags.push(tag);
        if !list.is_empty() {
            list.parse::<Token![,]>()?;
        }
    }
    Ok(tags)
}
