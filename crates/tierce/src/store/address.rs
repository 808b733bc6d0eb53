//! Where a store is: URLs as users know them.

use std::fmt;

use super::url::{Options, bracketed, decoded, wrong, wrong_part};
use crate::error::Error;
use crate::runtime::{Endpoint, Tls};

/// Which protocol a store speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Redis, Valkey and what speaks as they do.
    Redis,
    /// Memcached, by its meta commands.
    Memcached,
}

/// A store's URL, taken apart. Its password is in no text that is made of it.
///
/// | URL | |
/// |---|---|
/// | `redis://[user][:password@]host[:6379][/db]` | also `valkey://` |
/// | `rediss://…` | with TLS (feature `tls`); also `valkeys://` |
/// | `redis+unix:///path[?db=0]` | a Unix socket; also `unix://` |
/// | `memcached://host[:11211][,host[:11211]…]` | several servers are one store |
/// | `memcacheds://…` | with TLS |
///
/// Options, each `name=value` behind a `?` and between `&`: `db`, `client_name` (how the server lists the connection), and of
/// TLS `ca`, `cert`, `key` (files of PEM) and `server_name`; see [`Tls`].
///
/// ```
/// let address = tierce::store::Address::parse("redis://:secret@cache.local/2").unwrap();
/// assert_eq!(address.to_string(), "redis://***@cache.local:6379/2");
/// let wrong = tierce::store::Address::parse("redis://cache.local/two").unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "connect: the database \"two\" in the URL of the store is not a number; write redis://cache.local:6379/0"
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    kind: Kind,
    endpoints: Vec<Endpoint>,
    user: Option<String>,
    password: Option<String>,
    database: u32,
    client_name: Option<String>,
}

const REDIS_PORT: u16 = 6379;
const MEMCACHED_PORT: u16 = 11211;
/// As many servers as one Memcached store may have.
const MOST_SERVERS: usize = 1000;

impl Address {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid): which part is wrong, and how a right one is written.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = url.trim().split_once("://") else {
            return Err(wrong("has no scheme", "redis://127.0.0.1:6379 or memcached://127.0.0.1:11211"));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => Self::of_redis(rest, false),
            "rediss" | "valkeys" => Self::of_redis(rest, true),
            "redis+unix" | "valkey+unix" | "unix" => Self::of_socket(rest),
            "memcached" | "memcache" => Self::of_memcached(rest, false),
            "memcacheds" => Self::of_memcached(rest, true),
            other => Err(wrong(
                &format!("begins with {other:?}, which is none that tierce knows"),
                "redis://, rediss://, redis+unix://, valkey:// or memcached://",
            )),
        }
    }

    fn of_redis(rest: &str, tls: bool) -> Result<Self, Error> {
        let (rest, options) = Options::read(rest, tls)?;
        let (user, password, rest) = secrets(rest)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let endpoint = server(host, REDIS_PORT, "redis://127.0.0.1:6379")?;
        let example = match &endpoint {
            Endpoint::Tcp(host, port) => format!("redis://{}:{port}/0", bracketed(host)),
            _ => String::new(),
        };
        let database = match (path.trim_end_matches('/'), options.database) {
            ("", database) => database.unwrap_or(0),
            (number, _) => number.parse().map_err(|_| {
                wrong_part(&format!("the database {number:?} in the URL of the store is not a number"), &example)
            })?,
        };
        let endpoints = vec![if tls { encrypted(endpoint, &options.tls) } else { endpoint }];
        Ok(Address { kind: Kind::Redis, endpoints, user, password, database, client_name: options.client_name })
    }

    fn of_socket(rest: &str) -> Result<Self, Error> {
        let (rest, options) = Options::read(rest, false)?;
        let (user, password, path) = secrets(rest)?;
        if !path.starts_with('/') {
            return Err(wrong("names a socket without its whole path", "redis+unix:///run/redis/redis.sock"));
        }
        let endpoints = vec![Endpoint::Unix(decoded(path)?.into())];
        let database = options.database.unwrap_or(0);
        Ok(Address { kind: Kind::Redis, endpoints, user, password, database, client_name: options.client_name })
    }

    fn of_memcached(rest: &str, tls: bool) -> Result<Self, Error> {
        const RIGHT: &str = "memcached://cache-1:11211,cache-2:11211";
        let (rest, options) = Options::read(rest, tls)?;
        if options.database.is_some() || options.client_name.is_some() {
            return Err(wrong("has an option of Redis's, which Memcached has no use for", RIGHT));
        }
        let hosts = rest.trim_end_matches('/');
        if hosts.contains('@') {
            return Err(wrong("has a password, which Memcached's text protocol has no place for", RIGHT));
        }
        if hosts.contains('/') {
            return Err(wrong("has a path, which Memcached has no use for", RIGHT));
        }
        let mut endpoints = Vec::new();
        for host in hosts.split(',') {
            let endpoint = server(host.trim(), MEMCACHED_PORT, RIGHT)?;
            let endpoint = if tls { encrypted(endpoint, &options.tls) } else { endpoint };
            if endpoints.contains(&endpoint) {
                return Err(wrong(&format!("names the server {host:?} twice"), RIGHT));
            }
            endpoints.push(endpoint);
        }
        if endpoints.len() > MOST_SERVERS {
            return Err(wrong(&format!("names more than {MOST_SERVERS} servers"), RIGHT));
        }
        let (user, password, client_name) = (None, None, None);
        Ok(Address { kind: Kind::Memcached, endpoints, user, password, database: 0, client_name })
    }

    /// Which protocol it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where it listens: one place, or each server of a Memcached store.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// Whether the connection is encrypted.
    pub fn tls(&self) -> bool {
        self.endpoints.iter().any(|endpoint| matches!(endpoint, Endpoint::Tls(..)))
    }

    /// The same place, whose certificate is known so; what the URL said of that is void.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::Kind::Invalid): nothing is encrypted there.
    pub fn with_tls(mut self, tls: &Tls) -> Result<Self, Error> {
        if !self.tls() {
            return Err(wrong("asks for no TLS, yet it was said what it is to be like", "rediss:// or memcacheds://"));
        }
        self.endpoints = self.endpoints.into_iter().map(|endpoint| encrypted(endpoint, tls)).collect();
        Ok(self)
    }

    /// How the server is to list the connection.
    pub(crate) fn client_name(&self) -> &str {
        self.client_name.as_deref().unwrap_or("tierce")
    }

    /// The number of the database; 0 unless said.
    pub fn database(&self) -> u32 {
        self.database
    }

    /// The user, `default` where only a password was given, and the password.
    pub(crate) fn login(&self) -> Option<(&str, &str)> {
        let password = self.password.as_deref()?;
        Some((self.user.as_deref().unwrap_or("default"), password))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = if self.password.is_some() || self.user.is_some() { "***@" } else { "" };
        if let [Endpoint::Unix(path)] = self.endpoints.as_slice() {
            return write!(f, "redis+unix://{secret}{}?db={}", path.display(), self.database);
        }
        f.write_str(match (self.kind, self.tls()) {
            (Kind::Redis, false) => "redis://",
            (Kind::Redis, true) => "rediss://",
            (Kind::Memcached, false) => "memcached://",
            (Kind::Memcached, true) => "memcacheds://",
        })?;
        f.write_str(secret)?;
        for (at, endpoint) in self.endpoints.iter().enumerate() {
            write!(f, "{}{}", if at > 0 { "," } else { "" }, endpoint.place())?;
        }
        if self.kind == Kind::Redis { write!(f, "/{}", self.database) } else { Ok(()) }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

fn encrypted(endpoint: Endpoint, tls: &Tls) -> Endpoint {
    match endpoint {
        Endpoint::Tcp(host, port) | Endpoint::Tls(host, port, _) => Endpoint::Tls(host, port, tls.clone()),
        Endpoint::Unix(path) => Endpoint::Unix(path),
    }
}

/// A host and a port.
fn server(text: &str, usual: u16, right: &str) -> Result<Endpoint, Error> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) =
                rest.split_once(']').ok_or_else(|| wrong("has a [ without its ]", "redis://[::1]:6379"))?;
            (host, port.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((_, port)) if port.contains(':') => {
                return Err(wrong("has an IPv6 address without brackets", "redis://[::1]:6379"));
            }
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    if host.is_empty() {
        return Err(wrong("names no host", right));
    }
    let sound = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
    if !host.chars().all(sound) {
        return Err(wrong(&format!("has the host {host:?}, which no host can be called"), right));
    }
    let port = match port.filter(|port| !port.is_empty()) {
        None => usual,
        Some(port) => port.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
            wrong_part(&format!("the port {port:?} in the URL of the store is not a number from 1 to 65535"), right)
        })?,
    };
    Ok(Endpoint::Tcp(host.to_string(), port))
}

/// User and password before the last `@`, percent-decoded.
fn secrets(rest: &str) -> Result<(Option<String>, Option<String>, &str), Error> {
    let Some((secrets, rest)) = rest.rsplit_once('@') else { return Ok((None, None, rest)) };
    let (user, password) = secrets.split_once(':').map_or((secrets, None), |(user, password)| (user, Some(password)));
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    let password = password.map(decoded).transpose()?;
    if user.is_some() && password.is_none() {
        return Err(wrong(
            "has a user without a password",
            "redis://user:password@host:6379, or redis://:password@host:6379",
        ));
    }
    Ok((user, password, rest))
}

#[cfg(test)]
mod tests {
    use super::{Address, Endpoint, Tls};

    #[track_caller]
    fn check(url: &str, told: &str) {
        let address = Address::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(address.to_string(), told);
        assert!(!format!("{address:?}").contains("secret"));
    }

    #[track_caller]
    fn refused(url: &str, said: &str) {
        let text = Address::parse(url).unwrap_err().to_string();
        assert!(text.contains(said), "{url}: {text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn urls_are_read_as_users_know_them() {
        check("redis://127.0.0.1", "redis://127.0.0.1:6379/0");
        check("redis://cache:7000/3", "redis://cache:7000/3");
        check("redis://cache/?db=4", "redis://cache:6379/4");
        check("VALKEY://[::1]:7000", "redis://[::1]:7000/0");
        check("rediss://user:secret@cache", "rediss://***@cache:6379/0");
        check("redis://:secret%40@h@cache/1", "redis://***@cache:6379/1");
        check("redis+unix:///run/redis.sock?db=2", "redis+unix:///run/redis.sock?db=2");
        check("unix://:secret@/run/redis.sock", "redis+unix://***@/run/redis.sock?db=0");
        check("memcached://a,b:1", "memcached://a:11211,b:1");
        check("memcacheds://a,[::1]:1?ca=/ca", "memcacheds://a:11211,[::1]:1");
        check("rediss://:secret@cache/1?ca=/a%20b&cert=/c&key=/k&server_name=n", "rediss://***@cache:6379/1");
    }

    #[test]
    fn passwords_are_decoded_and_users_have_a_name() {
        let login = |url| Address::parse(url).unwrap().login().map(|(user, word)| format!("{user}/{word}"));
        assert_eq!(login("redis://:a%3Ab%2F?@h").as_deref(), Some("default/a:b/?"));
        assert_eq!(login("redis://u:p@h").as_deref(), Some("u/p"));
        assert_eq!(login("redis://h"), None);
        assert_eq!(login("redis://u:p?q=@h?db=1").as_deref(), Some("u/p?q="));
        assert_eq!(login("rediss://h?ca=/x@y"), None);
        assert_eq!(login("rediss://u:p@h?ca=/x@y&server_name=a@b").as_deref(), Some("u/p"));
    }

    #[test]
    fn files_of_tls_and_the_name_of_the_client_are_options() {
        let address = Address::parse("rediss://h?ca=/a%20b&cert=/c&key=/k&server_name=n&client_name=shop").unwrap();
        let tls = Tls::default().ca("/a b").identity("/c", "/k").server_name("n");
        assert_eq!(address.endpoints(), [Endpoint::Tls("h".into(), 6379, tls)]);
        assert_eq!(address.client_name(), "shop");
        let address = Address::parse("rediss://h?ca=/x@y").unwrap();
        assert_eq!(address.endpoints(), [Endpoint::Tls("h".into(), 6379, Tls::default().ca("/x@y"))]);
        let other = Tls::default().ca("/other");
        let expected = [Endpoint::Tls("h".into(), 6379, other.clone())];
        assert_eq!(address.with_tls(&other).unwrap().endpoints(), expected);
        assert!(Address::parse("redis://h").unwrap().with_tls(&other).unwrap_err().to_string().contains("no TLS"));
    }

    #[test]
    fn a_wrong_url_says_which_part_and_shows_a_right_one() {
        refused("127.0.0.1:6379", "has no scheme; write redis://127.0.0.1:6379");
        refused("http://a", "\"http\"");
        refused("redis://", "names no host");
        refused("redis://:secret@", "names no host");
        refused("redis://a b", "\"a b\"");
        refused("redis://a:port", "the port \"port\"");
        refused("redis://a:0", "the port \"0\"");
        refused("redis://a/x", "the database \"x\"");
        refused("redis://::1", "without brackets");
        refused("redis://[::1", "without its ]");
        refused("redis://secret@a", "a user without a password");
        refused("redis://:secret%zz@a", "two hexadecimal digits");
        refused("redis://a?timeout=5", "the option \"timeout\"");
        refused("redis://a?password=secret", "the option \"password\"");
        refused("redis://a?secret", "a name and a value");
        refused("redis://a?ca=/ca", "\"ca\", which is of TLS alone; write rediss://");
        refused("rediss://a?cert=/c", "without the other");
        refused("redis://a?client_name=a%20b", "which no client can have");
        refused("redis+unix://run/x", "whole path");
        refused("memcached://:secret@a", "a password");
        refused("memcached://a/1", "a path");
        refused("memcached://a?db=1", "an option of Redis's");
        refused("memcached://a,a", "twice");
        refused("memcached://a,,b", "names no host");
    }
}
