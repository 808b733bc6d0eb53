//! Which hub functions with a cache of their own use.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock};

use tierce::{Hub, cached, memo};

use crate::fixture::panic_text;

static CALLS: AtomicU64 = AtomicU64::new(0);

#[memo(name = "counted")]
fn counted(which: &'static str) -> u64 {
    let _ = which;
    CALLS.fetch_add(1, SeqCst)
}

#[cached]
async fn outer(n: u64) -> u64 {
    tokio::task::yield_now().await;
    inner(n).await + 1
}

#[cached]
async fn inner(n: u64) -> u64 {
    n * 2
}

#[test]
fn a_scope_has_caches_of_its_own_which_its_hub_keeps() {
    let (one, other) = (Hub::embedded(), Hub::embedded());
    let first = one.scope_sync(|| counted("scopes"));
    assert_ne!(other.scope_sync(|| counted("scopes")), first);
    assert_eq!(one.scope_sync(|| counted("scopes")), first);
    assert!(!one.scope_sync(|| other.scope_sync(|| counted("scopes")) == first));
    assert_ne!(counted("scopes"), first);
    assert_eq!(one.stats().len(), 1);
}

#[test]
fn a_hub_that_is_dropped_takes_the_caches_of_its_functions_with_it() {
    #[memo]
    fn held(n: u64) -> Arc<u64> {
        Arc::new(n)
    }
    let hub = Hub::embedded();
    let value = hub.scope_sync(|| held(1));
    assert_eq!(Arc::strong_count(&value), 2);
    drop(hub);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn a_scope_goes_with_its_future_to_other_threads_and_into_the_loads_it_begins() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let (hub, beside) = (Hub::embedded(), Hub::embedded());
    let inside = hub.clone();
    let task = async move { inside.scope(outer(1)).await };
    let other = async { beside.scope(async { tierce::hub().stats().len() }).await };
    let (answer, seen) = runtime.block_on(async { tokio::join!(tokio::spawn(task), other) });
    assert_eq!((answer.unwrap(), seen), (3, 0));
    let names: Vec<_> = hub.stats().into_iter().map(|(name, stats)| (name, stats.loads)).collect();
    assert_eq!(names, [("inner".to_string(), 1), ("outer".to_string(), 1)]);
    assert!(beside.stats().is_empty());
}

#[test]
fn two_functions_of_one_name_never_share_a_cache() {
    mod another {
        #[tierce::cached(name = "inner")]
        pub(super) async fn impostor(n: u64) -> u64 {
            n
        }
    }
    let hub = Hub::embedded();
    hub.scope_sync(|| assert_eq!(tierce::block_on(inner(4)), 8));
    let clash = std::panic::AssertUnwindSafe(|| hub.scope_sync(|| tierce::block_on(another::impostor(4))));
    let text = panic_text(&*std::panic::catch_unwind(clash).unwrap_err());
    assert!(text.contains("\"inner\"") && text.contains("name = \"…\""), "{text}");
    let taken = hub.cache::<u64, u64>("inner").try_build().unwrap_err();
    assert_eq!(taken.kind(), tierce::Kind::Conflict);
    assert_eq!(hub.scope_sync(|| inner::cache().peek(&4)), Some(8));
}

#[test]
fn a_function_that_names_its_hub_stays_there() {
    static OWN: LazyLock<Hub> = LazyLock::new(Hub::embedded);

    fn chosen() -> Hub {
        OWN.clone()
    }

    #[memo(hub = OWN, name = "named")]
    fn named(n: u64) -> u64 {
        n
    }

    #[memo(hub = chosen(), name = "given")]
    fn given(n: u64) -> u64 {
        n
    }

    let scope = Hub::embedded();
    assert_eq!(scope.scope_sync(|| named(1) + given(1)), 2);
    assert!(scope.stats().is_empty());
    let names: Vec<_> = OWN.stats().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["given", "named"]);
}

#[test]
fn a_load_that_began_outside_of_scopes_stays_there_whoever_polls_it() {
    #[memo]
    async fn below(n: u64) -> u64 {
        n
    }

    #[memo]
    async fn slow(n: u64) -> u64 {
        tokio::task::yield_now().await;
        below(n).await
    }

    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        tokio::select! {
            biased;
            _ = slow(1) => unreachable!("its load has not been polled"),
            () = async {} => {}
        }
    });
    let scope = Hub::embedded();
    scope.scope_sync(|| {
        runtime.block_on(async {
            while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        });
    });
    assert_eq!((slow::peek(1), below::peek(1)), (Some(1), Some(1)));
    assert!(scope.stats().is_empty());
}
