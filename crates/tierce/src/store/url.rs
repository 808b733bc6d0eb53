//! Parts of a store's URL: options, escapes, and what is said of a wrong one.

use crate::error::{self, Error};
use crate::runtime::Tls;

/// What stands behind the `?`.
#[derive(Default)]
pub(super) struct Options {
    pub(super) database: Option<u32>,
    pub(super) tls: Tls,
    pub(super) client_name: Option<String>,
}

impl Options {
    /// Takes the options off a URL. One that is not known would be one that does nothing, and is refused.
    pub(super) fn read(rest: &str, is_encrypted: bool) -> Result<(&str, Options), Error> {
        let mut options = Options::default();
        let Some((rest, query)) = split(rest) else { return Ok((rest, options)) };
        let (mut certificate, mut key) = (None, None);
        for part in query.split('&').filter(|part| !part.is_empty()) {
            // What stands there may be a secret that was meant for another place: no value is said again.
            let Some((name, value)) = part.split_once('=') else {
                return Err(wrong("has an option that is not a name and a value", "?db=0 or ?ca=/path/ca.pem"));
            };
            let value = decoded(value)?;
            if matches!(name, "ca" | "cert" | "key" | "server_name") && !is_encrypted {
                let what = format!("has the option {name:?}, which is of TLS alone");
                return Err(wrong(&what, "rediss://, or memcacheds://"));
            }
            match name {
                "db" => options.database = Some(number(&value)?),
                "client_name" => options.client_name = Some(named(value)?),
                "ca" => options.tls.ca_file = Some(value.into()),
                "server_name" => options.tls.server_name = Some(value),
                "cert" => certificate = Some(value.into()),
                "key" => key = Some(value.into()),
                _ => {
                    let what = format!("has the option {name:?}, which is none");
                    return Err(wrong(&what, "db=, client_name=, ca=, cert=, key= or server_name="));
                }
            }
        }
        options.tls.identity_files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return Err(wrong(
                    "has one of cert and key without the other",
                    "?cert=/path/app.pem&key=/path/app.key",
                ));
            }
        };
        Ok((rest, options))
    }
}

/// The names that options have.
const NAMES: [&str; 6] = ["db", "client_name", "ca", "cert", "key", "server_name"];

/// What stands before the options, and these. A password may have a question mark, and an option's value an `@`: the options
/// begin at the first `?` behind which are nothing but options, or else behind the last `@`, since a host has no `?`.
fn split(rest: &str) -> Option<(&str, &str)> {
    let is_option = |part: &str| part.split_once('=').is_some_and(|(name, _)| NAMES.contains(&name));
    let are_options = |query: &str| query.split('&').all(is_option);
    let mut marks = rest.match_indices('?').map(|(at, _)| at);
    let secrets = rest.rfind('@').map_or(0, |at| at + 1);
    let at = marks.find(|at| are_options(&rest[at + 1..])).or_else(|| Some(secrets + rest[secrets..].find('?')?))?;
    Some((&rest[..at], &rest[at + 1..]))
}

fn number(text: &str) -> Result<u32, Error> {
    let what = || format!("the database {text:?} in the URL of the store is not a number");
    text.parse().map_err(|_| wrong_part(&what(), "redis+unix:///run/redis/redis.sock?db=0"))
}

/// A name by which the server lists a connection (`CLIENT SETNAME`): it refuses blanks and what is not printed.
fn named(text: String) -> Result<String, Error> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(&format!("has the client_name {text:?}, which no client can have"), "client_name=shop-1"));
    }
    Ok(text)
}

pub(super) fn decoded(text: &str) -> Result<String, Error> {
    let bad =
        || wrong("has a % that is not followed by two hexadecimal digits of UTF-8 text", "%25 for a %, %40 for an @");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(bad)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| bad())?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

pub(super) fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_string() }
}

pub(super) fn wrong(what: &str, right: &str) -> Error {
    wrong_part(&format!("the URL of the store {what}"), right)
}

pub(super) fn wrong_part(what: &str, right: &str) -> Error {
    Error::new(error::Kind::Invalid, "connect", format!("{what}; write {right}"))
}
