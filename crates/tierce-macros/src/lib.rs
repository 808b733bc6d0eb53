//! The macros of [tierce](https://docs.rs/tierce): functions with a cache of their own.
//!
//! Use them through `tierce`, which they name in the code they write.

/// The page about them, so that its example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/macros.md")]
mod page {}

mod argument;
mod borrowed;
mod duration;
mod fit;
mod function;
mod krate;
mod method;
mod nearest;
mod options;
mod output;
mod plain;
mod receiver;
mod returns;
mod template;

use proc_macro::TokenStream;
use quote::quote;

use function::Item;
use options::{Kind, Options};
use output::Output;

/// Keeps what a function returns in a cache of its own, which a store may share.
///
/// For what is loaded from elsewhere: all callers who ask for one key at a time share one call. Keys and values must be
/// serialisable (serde), since a hub with a store keeps them outside of the process too; for values that are not, write
/// [`memo`](macro@memo).
///
/// ```
/// # #[derive(Clone)] struct Db;
/// # impl Db { async fn find(&self, id: u64) -> Result<Product, DbError> { Ok(Product { name: format!("lamp {id}"), category: 7 }) } }
/// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)] struct Product { name: String, category: u64 }
/// # #[derive(Debug)] struct DbError;
/// #[tierce::cached(ttl = "10m", tags = ["products", "category:{result.category}"])]
/// async fn product(#[skip] db: &Db, id: u64) -> tierce::Result<Product, DbError> {
///     Ok(db.find(id).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let db = Db;
/// let lamp = product(&db, 42).await.expect("it is for sale");
/// assert_eq!(product::peek(42), Some(lamp));
/// product::invalidate(42).await?;
/// tierce::hub().invalidate_tag("category:7").await?;
/// # Ok(()) }
/// ```
///
/// # What is written
///
/// The function, and an empty type of its name whose functions change its cache. They take the arguments of the key:
/// `key peek set invalidate mark_stale explain`, and `tags` where some are made of them; all arguments: `refresh`, and `uncached`, which is the function as you
/// wrote it; or none: `stats clear cache`. Those of an async function are async, except for `key`, `peek`, `stats` and
/// `cache`. `product::cache()` is a `tierce::Cache` for everything else.
///
/// # Arguments
///
/// All that are not marked `#[skip]` are the key. They are hashed and compared as they are passed, borrowed or not, and
/// made owned (`str` as `String`, `[T]` as `Vec<T>`, else by `ToOwned`) only when there is something to load: a hit
/// allocates nothing. A skipped one is not looked at for a hit, and cloned for a load if it is a reference, since a load
/// outlives its first caller: `&Db` needs a cheap `Clone`, else take `&Arc<Db>`.
///
/// At most 8 make a key, and none that is a float. The key's type is the one argument's, or a tuple of them, owned;
/// `String` with `key = "…"`: that of `f::cache()`, and of `f::key`.
///
/// # What may be returned
///
/// - `tierce::Result<T, E>`: errors go to all who wait and are not kept. `E` need not be `Clone`. Says also when a load was
///   too slow, or waits for itself. With `Option<T>` inside, `None` is a known absence.
/// - `Result<T, E>` with `E: Clone`: the same; what `E` cannot say panics, unless `E` is made `From<tierce::LoadError<E>>`.
/// - `Option<T>`: `None` is a known absence. Any other type is a value.
///
/// `Result` and `Option` are written out: an alias that hides one is refused when the program is compiled.
///
/// A function that cannot fail panics where it panicked, in every caller who waited for that call.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// #[tierce::cached(negative_ttl = "5s")]
/// async fn nickname(id: u64) -> Option<String> {
///     (id == 7).then(|| "Ada".to_string())
/// }
/// assert_eq!(nickname(1).await, None); // believed for five seconds
///
/// #[tierce::cached(stale_if_error = "1h", hard_timeout = "500ms", max_concurrent_loads = 32)]
/// async fn rate(currency: &str) -> tierce::Result<f64, std::io::Error> {
///     if currency == "EUR" { Ok(1.0) } else { Err(std::io::Error::other("no such currency"))? }
/// }
/// assert!(rate("EUR").await.is_ok());
/// # }
/// ```
///
/// # Options
///
/// Each is the method of its name of `tierce::CacheBuilder`, which says more.
///
/// | option | value | unless said |
/// |---|---|---|
/// | `ttl` | how long a value is fresh | 5 minutes |
/// | `capacity`, or `unbounded` | entries at most | 10,000 |
/// | `tags` | a list of templates, see below | none |
/// | `key` | a template, see below | all arguments, typed |
/// | `name` | the cache's name in its hub | the function's name |
/// | `version` | of the value's shape: raise it when that changes | 1 |
/// | `hub` | an expression of a `Hub`: a static, a call | the current hub |
/// | `crate` | the name that your program has for tierce | `::tierce` |
/// | `negative_ttl` | how long a `None` is believed | 30 s |
/// | `stale_while_revalidate`, `stale_if_error` | how long past its ttl a value is served | not at all |
/// | `soft_timeout`, `hard_timeout` | how long a caller waits | as long as it takes |
/// | `load_deadline` | when a load is given up | 1 minute; never, where the return type cannot tell of it |
/// | `max_concurrent_loads` | loads at once | no limit |
/// | `refresh_early` | `"xfetch"`, or the share of the ttl after which it is time, as `0.8` | not at all |
/// | `jitter` | the share of the ttl that chance takes off, `0.0` to `1.0` | `0.1` |
/// | `idle`, `retry_after` | see there | off, 1 s |
/// | `policy` | `"s3-fifo"` or `"lru"` | `"s3-fifo"` |
///
/// Times are `"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"7d"` or `"1h30m"`, read when the program is compiled, or an expression
/// of a `Duration`.
///
/// # Templates
///
/// Text with arguments in braces, and fields of them: `"user:{user.id}"`. In tags `result` is what was returned, the value
/// inside of `Result` and `Option`; a tag that names it is known only after the load, and kept only if it was not
/// invalidated since the load began. Places are written with `Display`.
///
/// With `key = "…"` the key is a `String`, made anew at each call. Arguments are escaped in it (`:` `{` `}` `%`), and
/// every argument that is not skipped must be named, so that two lists of arguments make one key only where what is named of them is the same.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// #[tierce::cached(key = "greeting:{language}:{name}", tags = ["greetings:{language}"], name = "greeting-by-name")]
/// async fn greeting(language: &str, name: &str) -> String {
///     format!("{name}! ({language})")
/// }
/// greeting("en", "Ada").await;
/// assert_eq!(greeting::key("en", "a:b"), "greeting:en:a%3Ab");
/// # }
/// ```
#[proc_macro_attribute]
pub fn cached(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Kind::Cached, options.into(), function.into()).into()
}

/// Remembers what a function returned, in this process.
///
/// For what is computed, and for values that only this process can hold: `Clone + Send + Sync` is all that is asked. Works on
/// plain functions and async ones. All else is as [`cached`](macro@cached) says; here nothing expires unless a `ttl` is
/// said, and the cache is named after the function's path.
///
/// ```
/// #[tierce::memo(capacity = 256)]
/// fn fib(n: u64) -> u64 {
///     if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
/// }
/// assert_eq!(fib(90), 2_880_067_194_370_816_120);
/// assert_eq!(fib::peek(89), Some(1_779_979_416_004_714_189));
/// ```
///
/// # Plain functions
///
/// Threads that ask for one key share one call, which runs on the thread of the first; the others block. Recursion
/// works, and a function that waits for its own answer is told so: `LoadError::Cycle`, or a panic where it cannot be
/// returned. Each level of recursion takes about 2 KB of stack in release builds, 8 KB in debug ones. A refresh
/// behind a stale value runs on a thread of the crate's own, where the caller's thread-locals and its tokio handle are not.
/// The functions of its type are plain too. Do not call one that waits for something from async code: it blocks.
///
/// ```
/// #[tierce::memo(ttl = "1m", stale_while_revalidate = "1h", policy = "lru", idle = "10m")]
/// fn settings(path: &str) -> tierce::Result<String, std::io::Error> {
///     Ok(std::fs::read_to_string(path)?)
/// }
/// assert!(settings("Cargo.toml").is_ok());
/// assert!(settings("nowhere").is_err()); // asked again the next time
/// settings::invalidate("Cargo.toml").expect("an embedded hub has nothing that could fail");
/// ```
///
/// # Options
///
/// Each is the method of its name of `tierce::CacheBuilder`, which says more.
///
/// | option | value | unless said |
/// |---|---|---|
/// | `ttl` | how long a value is fresh | for good |
/// | `capacity`, or `unbounded` | entries at most | 10,000 |
/// | `tags` | a list of templates, see below | none |
/// | `key` | a template, see below | all arguments, typed |
/// | `name` | the cache's name in its hub | the function's path |
/// | `hub` | an expression of a `Hub`: a static, a call | the current hub |
/// | `field` | of a method: where its instance keeps the values, as `self.memo` | needed there |
/// | `crate` | the name that your program has for tierce | `::tierce` |
/// | `negative_ttl` | how long a `None` is believed | 30 s |
/// | `stale_while_revalidate`, `stale_if_error` | how long past its ttl a value is served | not at all |
/// | `soft_timeout`, `hard_timeout` | how long a caller waits | as long as it takes |
/// | `load_deadline` | when a load is given up | 1 minute; never, where the return type cannot tell of it |
/// | `max_concurrent_loads` | loads at once | no limit |
/// | `refresh_early` | `"xfetch"`, or the share of the ttl after which it is time, as `0.8` | not at all |
/// | `jitter` | the share of the ttl that chance takes off, `0.0` to `1.0` | `0.1` |
/// | `idle`, `retry_after` | see there | off, 1 s |
/// | `policy` | `"s3-fifo"` or `"lru"` | `"s3-fifo"` |
///
/// Times are `"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"7d"` or `"1h30m"`, read when the program is compiled, or an expression
/// of a `Duration`.
///
/// # Templates
///
/// Of tags and of `key`, as [`cached`](macro@cached#templates) says.
///
/// ```
/// #[tierce::memo(key = "{language}:{word}", tags = ["language:{language}", "length:{result}"])]
/// fn length(language: &str, word: &str) -> usize {
///     word.len()
/// }
/// length("en", "lamp");
/// assert_eq!(length::key("en", "lamp"), "en:lamp");
/// tierce::block_on(tierce::hub().invalidate_tag("length:4")).expect("an embedded hub has nothing that could fail");
/// assert_eq!(length::peek("en", "lamp"), None);
/// ```
///
/// # Methods
///
/// A method's values are in a field of its instance, a `tierce::Memo<K, V>`; on it is what is done to them. A plain method
/// takes `&self`; an async one `self: &Arc<Self>`, since its load outlives its caller. `docs/macros.md` says more.
///
/// ```
/// #[derive(Default)]
/// struct Shop {
///     prices: tierce::Memo<u64, f64>,
/// }
/// impl Shop {
///     #[tierce::memo(field = self.prices)]
///     fn price(&self, id: u64) -> f64 {
///         id as f64 / 2.0
///     }
/// }
/// let shop = Shop::default();
/// assert_eq!(shop.price(7), 3.5);
/// shop.prices.invalidate(&7);
/// ```
#[proc_macro_attribute]
pub fn memo(options: TokenStream, function: TokenStream) -> TokenStream {
    expand(Kind::Memo, options.into(), function.into()).into()
}

fn expand(
    kind: Kind,
    options: proc_macro2::TokenStream,
    function: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut item: Item = match syn::parse2(function.clone()) {
        Ok(item) => item,
        Err(_) => {
            let why = format!("`#[tierce::{}]` stands before a function with a body", kind.name());
            let error = syn::Error::new_spanned(&function, why).to_compile_error();
            return quote!(#error #function);
        }
    };
    // Both looked at before either is refused: so `#[skip]` is gone whatever is wrong.
    let taken = item.take_apart();
    let written = syn::parse2::<Options>(options).and_then(|options| {
        let function = taken?;
        fit::check(kind, &item.signature.ident, &options, &function)?;
        let output = Output::new(kind, &item, &function, &options);
        let written = match &function.receiver {
            Some(receiver) => method::tokens(&output, receiver.has),
            None => output.tokens(),
        };
        Ok(krate::name(written, options.krate.as_ref()))
    });
    written.unwrap_or_else(|error| {
        let Item { attributes, visibility, signature, body } = &item;
        let error = error.to_compile_error();
        quote!(#error #(#attributes)* #visibility #signature #body)
    })
}
