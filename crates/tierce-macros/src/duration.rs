//! Durations as people write them.

use std::time::Duration;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Result};

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A literal is read now; any other expression is a `Duration` that the compiler checks.
pub(crate) fn tokens(value: &Expr) -> Result<TokenStream> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            let ms = literal_ms(text)?;
            Ok(quote!(::core::time::Duration::from_millis(#ms)))
        }
        Expr::Lit(other) => Err(Error::new_spanned(other, format!("a duration needs a unit: {EXAMPLES}"))),
        expression => Ok(quote!(#expression)),
    }
}

const EXAMPLES: &str = "write \"250ms\", \"10s\", \"5m\", \"1h\", \"7d\" or \"1h30m\"";

fn literal_ms(text: &LitStr) -> Result<u64> {
    let ms = parse(&text.value()).map_err(|wrong| Error::new(text.span(), wrong))?;
    u64::try_from(ms.as_millis()).map_err(|_| Error::new(text.span(), "this duration is too long"))
}

/// Numbers with units, the largest unit first, each at most once.
fn parse(text: &str) -> std::result::Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: {EXAMPLES}");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    let mut smallest = u64::MAX;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let unit = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
        rest = rest[letters..].trim_start();
        if unit.1 >= smallest {
            return Err(wrong());
        }
        smallest = unit.1;
        let ms = number.checked_mul(unit.1).ok_or_else(wrong)?;
        total = total.checked_add(Duration::from_millis(ms)).ok_or_else(wrong)?;
    }
    if total.is_zero() { Err(format!("{text:?} is no time at all")) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    #[track_caller]
    fn check(text: &str, expected_ms: Option<u128>) {
        assert_eq!(super::parse(text).ok().map(|time| time.as_millis()), expected_ms, "{text:?}");
    }

    #[test]
    fn durations_are_read_with_their_units() {
        check("250ms", Some(250));
        check("10s", Some(10_000));
        check("5m", Some(300_000));
        check("7d", Some(604_800_000));
        check("1h30m", Some(5_400_000));
        check("1h 30m 5ms", Some(5_400_005));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "10", "s", "0s", "30m1h", "1m1m", "1w", "1.5s", "-1s", "99999999999999999999s", "10 seconds"] {
            check(text, None);
        }
    }
}
