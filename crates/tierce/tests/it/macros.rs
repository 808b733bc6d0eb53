//! Functions with a cache of their own, as a user writes and calls them.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use serde::{Deserialize, Serialize};
use tierce::{Hub, LoadError, cached, memo};

use crate::fixture::{Broken, panic_text};

/// Counts the calls of a function's body.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU64>);

impl Count {
    fn up(&self) -> u64 {
        self.0.fetch_add(1, SeqCst) + 1
    }

    fn get(&self) -> u64 {
        self.0.load(SeqCst)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Product {
    id: u64,
    category: u64,
}

mod recursion {
    use super::{Cell, memo};

    thread_local! {
        pub(super) static CALLS: Cell<u64> = const { Cell::new(0) };
    }

    #[memo(capacity = 256)]
    pub(super) fn fib(n: u64) -> u64 {
        CALLS.with(|calls| calls.set(calls.get() + 1));
        if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
    }

    #[memo]
    pub(super) fn depth(n: u64) -> u64 {
        if n == 0 { 0 } else { depth(n - 1) + 1 }
    }

    #[memo]
    pub(super) fn circle(n: u64) -> u64 {
        circle((n + 1) % 3)
    }

    #[memo]
    pub(super) fn told_circle(n: u64) -> tierce::Result<u64, String> {
        told_circle((n + 1) % 3)
    }
}

#[test]
fn the_guides_fibonacci_calls_each_number_once() {
    Hub::embedded().scope_sync(|| {
        assert_eq!(recursion::fib(90), 2_880_067_194_370_816_120);
        assert_eq!(recursion::CALLS.get(), 91);
        assert_eq!(recursion::fib(90), 2_880_067_194_370_816_120);
        assert_eq!(recursion::fib(89), 1_779_979_416_004_714_189);
        assert_eq!(recursion::CALLS.get(), 91);
    });
}

#[test]
fn a_recursion_a_thousand_deep_fits_the_stack_of_a_thread() {
    // Two megabytes, as std gives to a thread unless told; builds that are not optimised need four times that.
    let bytes = if cfg!(debug_assertions) { 10 << 20 } else { 2 << 20 };
    let thread = std::thread::Builder::new().stack_size(bytes);
    let deep = thread.spawn(|| Hub::embedded().scope_sync(|| recursion::depth(1000))).unwrap();
    assert_eq!(deep.join().unwrap(), 1000);
}

#[test]
fn a_circle_of_calls_is_an_error_and_no_deadlock() {
    let told = Hub::embedded().scope_sync(|| recursion::told_circle(0));
    assert!(matches!(told, Err(LoadError::Cycle)), "{told:?}");
    let payload = std::panic::catch_unwind(|| Hub::embedded().scope_sync(|| recursion::circle(0))).unwrap_err();
    let text = panic_text(&*payload);
    assert!(text.contains("load waits for itself") && text.contains("return `tierce::Result`"), "{text}");
}

mod shapes {
    use super::{Broken, Count, memo};

    #[memo]
    pub(super) fn plain(#[skip] count: &Count, n: u64) -> u64 {
        count.up();
        n * 2
    }

    #[memo(negative_ttl = "1h")]
    pub(super) fn maybe(#[skip] count: &Count, n: u64) -> Option<u64> {
        count.up();
        (n > 0).then_some(n)
    }

    #[memo]
    pub(super) fn shared(#[skip] count: &Count, n: u64) -> tierce::Result<u64, Broken> {
        count.up();
        if n == 0 { Err(Broken("zero"))? } else { Ok(n) }
    }

    #[memo]
    pub(super) fn shared_maybe(#[skip] count: &Count, n: u64) -> tierce::Result<Option<u64>, Broken> {
        count.up();
        if n == 0 { Err(Broken("zero").into()) } else { Ok((n > 1).then_some(n)) }
    }

    #[memo]
    pub(super) fn own(#[skip] count: &Count, n: u64) -> Result<u64, Broken> {
        count.up();
        if n == 0 { Err(Broken("zero")) } else { Ok(n) }
    }

    type Local<T> = Result<T, Broken>;

    #[memo]
    pub(super) fn own_maybe(#[skip] count: &Count, n: u64) -> Result<Option<u64>, Broken> {
        let found: Local<Option<u64>> = if n == 0 { Err(Broken("zero")) } else { Ok((n > 1).then_some(n)) };
        count.up();
        found
    }
}

#[test]
fn values_are_kept_absences_too_and_errors_are_not() {
    Hub::embedded().scope_sync(|| {
        let check = |expected: u64, call: &dyn Fn(&Count)| {
            let count = Count::default();
            call(&count);
            call(&count);
            assert_eq!(count.get(), expected);
        };
        check(1, &|count| assert_eq!(shapes::plain(count, 7), 14));
        check(1, &|count| assert_eq!(shapes::maybe(count, 7), Some(7)));
        check(1, &|count| assert_eq!(shapes::maybe(count, 0), None));
        check(1, &|count| assert_eq!(shapes::shared(count, 7).unwrap(), 7));
        check(2, &|count| assert_eq!(shapes::shared(count, 0).unwrap_err().load(), Some(&Broken("zero"))));
        check(1, &|count| assert_eq!(shapes::shared_maybe(count, 7).unwrap(), Some(7)));
        check(1, &|count| assert_eq!(shapes::shared_maybe(count, 1).unwrap(), None));
        check(2, &|count| assert_eq!(shapes::shared_maybe(count, 0).unwrap_err().load(), Some(&Broken("zero"))));
        check(1, &|count| assert_eq!(shapes::own(count, 7), Ok(7)));
        check(2, &|count| assert_eq!(shapes::own(count, 0), Err(Broken("zero"))));
        check(1, &|count| assert_eq!(shapes::own_maybe(count, 7), Ok(Some(7))));
        check(1, &|count| assert_eq!(shapes::own_maybe(count, 1), Ok(None)));
        check(2, &|count| assert_eq!(shapes::own_maybe(count, 0), Err(Broken("zero"))));
    });
}

/// An error that says what a load may come to.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Broken,
    Load(String),
}

impl From<LoadError<Told>> for Told {
    fn from(error: LoadError<Told>) -> Self {
        error.load().cloned().unwrap_or_else(|| Told::Load(format!("{error:?}")))
    }
}

mod failures {
    use super::{Told, memo};

    #[memo]
    pub(super) fn told(n: u64) -> Result<u64, Told> {
        match n {
            0 => Err(Told::Broken),
            1 => told(1),
            _ => panic!("of {n}"),
        }
    }

    #[memo]
    pub(super) async fn panics(n: u64) -> u64 {
        tokio::task::yield_now().await;
        panic!("of {n}")
    }
}

#[test]
fn an_error_that_is_made_of_a_loads_says_what_else_went_wrong() {
    Hub::embedded().scope_sync(|| {
        assert_eq!(failures::told(0), Err(Told::Broken));
        assert_eq!(failures::told(1), Err(Told::Load("Cycle".to_string())));
        assert_eq!(failures::told(2), Err(Told::Load(r#"Panicked("of 2")"#.to_string())));
    });
}

#[tokio::test]
async fn a_panic_is_a_panic_in_every_caller_who_waited() {
    let hub = Hub::embedded();
    let callers = (0..3).map(|_| {
        let hub = hub.clone();
        tokio::spawn(async move { hub.scope(failures::panics(4)).await })
    });
    for caller in callers.collect::<Vec<_>>() {
        assert_eq!(panic_text(&*caller.await.unwrap_err().into_panic()), "of 4");
    }
    assert_eq!(hub.stats()[0].1.loads, 1);
}

mod keys {
    use super::{Count, Path, memo};

    #[memo]
    pub(super) fn of_all_kinds(
        #[skip] count: &Count,
        a: u64,
        b: &str,
        c: &[u8],
        d: &Path,
        e: String,
        f: &(u8, u8),
    ) -> usize {
        count.up();
        a as usize + b.len() + c.len() + d.as_os_str().len() + e.len() + usize::from(f.0)
    }

    #[memo]
    pub(super) fn of_one_text(#[skip] count: &Count, name: &str) -> usize {
        count.up();
        name.len()
    }

    #[memo]
    pub(super) fn of_nothing(#[skip] count: Count) -> u64 {
        count.up()
    }

    #[memo(key = "place:{country}:{city}")]
    pub(super) fn by_template(#[skip] count: &Count, country: &str, city: &str) -> String {
        count.up();
        format!("{city}, {country}")
    }

    #[memo]
    pub(super) fn changing_its_argument(mut n: u64) -> u64 {
        n += 1;
        n
    }
}

#[test]
fn each_list_of_arguments_has_its_own_value_and_skipped_ones_make_none() {
    Hub::embedded().scope_sync(|| {
        let count = &Count::default();
        let call = |b: &str, e: &str| keys::of_all_kinds(count, 1, b, b"xy", Path::new("p"), e.into(), &(1, 2));
        assert_eq!((call("b", "e"), call("b", "e"), count.get()), (7, 7, 1));
        assert_eq!((call("be", ""), call("", "be"), count.get()), (7, 7, 3));
        assert_eq!(keys::of_all_kinds::key(1, "b", b"x", Path::new("p"), "e".into(), &(1, 2)).1, "b");

        let count = &Count::default();
        assert_eq!(
            (keys::of_one_text(count, "ab"), keys::of_one_text(&Count::default(), "ab"), count.get()),
            (2, 2, 1)
        );
        assert_eq!(keys::of_one_text::key("ab"), "ab");

        assert_eq!((keys::of_nothing(count.clone()), keys::of_nothing(count.clone())), (2, 2));
        assert_eq!((keys::changing_its_argument(1), keys::changing_its_argument(1)), (2, 2));
    });
}

#[test]
fn a_template_key_is_text_in_which_arguments_are_escaped() {
    Hub::embedded().scope_sync(|| {
        let count = &Count::default();
        assert_eq!(keys::by_template::key("fr", "Aix"), "place:fr:Aix");
        assert_eq!(keys::by_template::key("a:b", "{c}%"), "place:a%3Ab:%7Bc%7D%25");
        assert_eq!(keys::by_template(count, "a:b", "c"), "c, a:b");
        assert_eq!(keys::by_template(count, "a", "b:c"), "b:c, a");
        assert_eq!(keys::by_template(count, "a", "b:c"), "b:c, a");
        assert_eq!(count.get(), 2);
    });
}

mod shop {
    use super::{Broken, Count, Product, cached};

    #[cached(ttl = "10m", tags = ["products", "category:{result.category}", "product:{id}"], version = 2)]
    pub(super) async fn product(#[skip] count: &Count, id: u64) -> tierce::Result<Product, Broken> {
        let call = count.up();
        tokio::task::yield_now().await;
        if id == 0 { Err(Broken("no such product"))? } else { Ok(Product { id, category: id % 10 + call - call }) }
    }

    #[cached(tags = ["{name}:{result.0}"])]
    pub(super) async fn mixed(#[skip] count: &Count, name: String) -> Option<(u64, u64)> {
        (!name.is_empty()).then(|| (name.len() as u64, count.up()))
    }
}

#[tokio::test]
async fn callers_of_an_async_function_share_one_load_and_its_error() {
    Hub::embedded()
        .scope(async {
            let count = Count::default();
            let (a, b) = tokio::join!(shop::product(&count, 42), shop::product(&count, 42));
            assert_eq!(
                (a.unwrap(), b.unwrap(), count.get()),
                (Product { id: 42, category: 2 }, Product { id: 42, category: 2 }, 1)
            );
            let (a, b) = tokio::join!(shop::product(&count, 0), shop::product(&count, 0));
            assert_eq!(
                (a.unwrap_err().load(), b.unwrap_err().load()),
                (Some(&Broken("no such product")), Some(&Broken("no such product")))
            );
            assert_eq!(count.get(), 2);
        })
        .await;
}

#[tokio::test]
async fn the_type_of_the_functions_name_changes_what_is_kept() {
    let hub = Hub::embedded();
    let inside = async {
        let count = &Count::default();
        let product = async || shop::product(count, 42).await.unwrap();
        let lamp = product().await;
        assert_eq!(shop::product::peek(42), Some(lamp.clone()));
        shop::product::invalidate(42).await.unwrap();
        assert_eq!(shop::product::peek(42), None);
        product().await;
        shop::product::mark_stale(42).await.unwrap();
        product().await;
        assert_eq!(count.get(), 3);
        shop::product::refresh(count, 42).await.unwrap();
        assert_eq!(count.get(), 4);
        shop::product::clear().await.unwrap();
        assert_eq!(shop::product::peek(42), None);
        shop::product::uncached(count, 42).await.unwrap();
        assert_eq!((shop::product::peek(42), count.get()), (None, 5));
        shop::product::set(42, Product { id: 42, category: 9 }).await.unwrap();
        assert_eq!((product().await.category, count.get()), (9, 5));
        assert_eq!(shop::product::key(42), 42);
        assert!(shop::product::explain(42).await.to_string().contains("product:42"));
        assert_eq!(shop::product::stats().loads, 4);
        assert_eq!(shop::product::cache().name(), "product");
    };
    hub.scope(inside).await;
}

#[tokio::test]
async fn tags_of_arguments_and_of_the_result_end_what_has_them() {
    let hub = Hub::embedded();
    let inside = async {
        let count = &Count::default();
        for tag in ["products", "category:2", "product:42"] {
            shop::product(count, 42).await.unwrap();
            hub.invalidate_tag(tag).await.unwrap();
            assert_eq!(shop::product::peek(42), None, "{tag}");
            shop::product::set(42, Product { id: 42, category: 2 }).await.unwrap();
            hub.invalidate_tag(tag).await.unwrap();
            assert_eq!(shop::product::peek(42), None, "{tag}, set");
        }
        shop::product(count, 42).await.unwrap();
        hub.invalidate_tag("category:3").await.unwrap();
        assert!(shop::product::peek(42).is_some());

        assert_eq!(shop::mixed(count, "lamp".into()).await.unwrap().0, 4);
        hub.invalidate_tag("lamp:4").await.unwrap();
        assert_eq!(shop::mixed::peek("lamp".into()), None);
        assert_eq!(shop::mixed(count, String::new()).await, None);
    };
    hub.scope(inside).await;
}

mod names {
    use super::memo;

    use tierce as renamed;

    #[memo(crate = renamed, key = "{r#type}:{loop}", tags = ["type:{type}"])]
    pub(super) fn of_words(r#type: &str, r#loop: u64) -> String {
        format!("{type}{loop}", r#type = r#type, r#loop = r#loop)
    }

    #[memo(tags = ["{name}", "result:{result}"])]
    pub(super) fn tagged(name: &str) -> String {
        name.to_string()
    }
}

#[test]
fn words_of_the_language_may_name_arguments() {
    Hub::embedded().scope_sync(|| {
        assert_eq!((names::of_words("a", 1), names::of_words::key("a", 1)), ("a1".into(), "a:1".into()));
        tierce::block_on(tierce::hub().invalidate_tag("type:a")).unwrap();
        assert_eq!(names::of_words::peek("a", 1), None);
    });
}

#[test]
fn a_tag_that_arguments_make_too_long_is_shortened_and_still_ends_its_own_entries_alone() {
    Hub::embedded().scope_sync(|| {
        let (one, other) = ("ä".repeat(1000), "ä".repeat(1001));
        assert_eq!((names::tagged(&one), names::tagged(&other)), (one.clone(), other.clone()));
        let tags = names::tagged::tags(&one);
        assert_eq!(tags.len(), 1);
        assert!(tags[0].len() <= 200 && tags[0].starts_with('ä'), "{}", tags[0]);
        tierce::block_on(tierce::hub().invalidate_tag(&tags[0])).unwrap();
        assert_eq!((names::tagged::peek(&one), names::tagged::peek(&other)), (None, Some(other)));
        assert_eq!((names::tagged(""), names::tagged::tags("").len()), (String::new(), 0));
    });
}

mod waits {
    use super::{Told, memo};

    #[memo]
    pub(super) async fn recursive(n: u64) -> u64 {
        tokio::task::yield_now().await;
        if n < 2 { n } else { recursive(n - 1).await + recursive(n - 2).await }
    }

    #[memo]
    pub(super) async fn hangs(n: u64) -> Result<u64, Told> {
        std::future::pending::<()>().await;
        Ok(n)
    }
}

#[tokio::test]
async fn an_async_function_may_call_itself() {
    assert_eq!(Hub::embedded().scope(waits::recursive(90)).await, 2_880_067_194_370_816_120);
}

#[tokio::test(start_paused = true)]
async fn a_load_that_hangs_is_told_to_an_error_that_is_made_of_a_loads() {
    let most = std::time::Duration::from_secs(61);
    let told = tokio::time::timeout(most, Hub::embedded().scope(waits::hangs(1))).await;
    assert_eq!(told.unwrap(), Err(Told::Load("Timeout".to_string())));
}
