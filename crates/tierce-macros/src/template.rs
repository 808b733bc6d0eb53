//! Templates of keys and tags: text with arguments, and fields of them, in braces.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, Ident, LitStr, Result};

pub(crate) struct Template {
    pub(crate) literal: LitStr,
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Place(Place),
}

/// An argument or a field of it.
struct Place {
    root: Ident,
    fields: TokenStream,
}

impl Template {
    pub(crate) fn parse(literal: &LitStr) -> Result<Self> {
        let wrong = |why: String| Error::new(literal.span(), why);
        let text = literal.value();
        let mut parts = Vec::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            if !rest[at..].starts_with('{') {
                return Err(wrong("a `}` without a `{`".to_string()));
            }
            let Some(end) = rest[at..].find('}') else { return Err(wrong("a `{` without a `}`".to_string())) };
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_string()));
            }
            parts.push(Part::Place(Place::parse(&rest[at + 1..at + end], literal.span())?));
            rest = &rest[at + end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_string()));
        }
        if parts.is_empty() {
            return Err(wrong("an empty template names nothing".to_string()));
        }
        Ok(Template { literal: literal.clone(), parts })
    }

    /// What it names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Ident> {
        self.parts.iter().filter_map(|part| match part {
            Part::Place(place) => Some(&place.root),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn uses(&self, name: &str) -> bool {
        self.names().any(|root| root == name)
    }

    /// Refuses a key in which two lists of arguments could make one text: between two places stands a colon, which is
    /// escaped in arguments.
    pub(crate) fn separates(&self) -> Result<()> {
        let mut between: Option<(&Ident, String)> = None;
        for part in &self.parts {
            match (part, &mut between) {
                (Part::Text(text), Some((_, seen))) => seen.push_str(text),
                (Part::Text(_), None) => {}
                (Part::Place(place), before) => {
                    if let Some((first, seen)) = before
                        && !seen.contains(':')
                    {
                        let second = &place.root;
                        let why = format!(
                            "put a `:` between {{{first}}} and {{{second}}}: without one two lists of arguments could \
                             make one key"
                        );
                        return Err(Error::new(self.literal.span(), why));
                    }
                    *before = Some((&place.root, String::new()));
                }
            }
        }
        Ok(())
    }

    /// The text, as an expression of a `String` or a literal; each place inside this wrapper.
    pub(crate) fn text(&self, wrapper: Option<&TokenStream>) -> TokenStream {
        let span = self.literal.span();
        if self.names().next().is_none() {
            let literal = &self.literal;
            return quote!(#literal);
        }
        let mut format = String::new();
        let mut places = Vec::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => format.push_str(text),
                Part::Place(Place { root, fields }) => {
                    format.push_str("{}");
                    places.push(match wrapper {
                        Some(wrapper) => quote_spanned!(span=> #wrapper(&#root #fields)),
                        None => quote_spanned!(span=> #root #fields),
                    });
                }
            }
        }
        let format = LitStr::new(&format, span);
        quote_spanned!(span=> ::std::format!(#format, #(#places),*))
    }
}

impl Place {
    fn parse(text: &str, span: Span) -> Result<Self> {
        let wrong =
            |_| Error::new(span, format!("{{{text}}}: an argument or a field of one stands in braces, as {{user.id}}"));
        let mut steps = text.trim().split('.');
        let ident = |name: &str| {
            // `{type}` names `r#type`: the template is no Rust.
            let parsed = syn::parse_str::<Ident>(name).or_else(|_| syn::parse_str(&format!("r#{name}")));
            parsed.map(|mut ident| {
                ident.set_span(span);
                ident
            })
        };
        let root = ident(steps.next().unwrap_or_default()).map_err(wrong)?;
        let mut fields = TokenStream::new();
        for step in steps {
            let field = if step.bytes().all(|b| b.is_ascii_digit()) && !step.is_empty() {
                let mut number = proc_macro2::Literal::u32_unsuffixed(step.parse().unwrap_or(u32::MAX));
                number.set_span(span);
                quote!(#number)
            } else {
                let field = ident(step).map_err(wrong)?;
                quote!(#field)
            };
            fields.extend(quote_spanned!(span=> .#field));
        }
        Ok(Place { root, fields })
    }
}
