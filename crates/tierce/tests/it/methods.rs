//! Methods whose values are in a field of their instance.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use tierce::{Hub, LoadError, Memo, memo};

use crate::fixture::{Broken, panic_text};

#[derive(Default)]
struct Shop {
    factor: u64,
    calls: AtomicU64,
    prices: Memo<u64, u64>,
    names: Memo<(u64, String), String>,
    found: Memo<u64, u64>,
    sums: Memo<u64, u64>,
    circles: Memo<u64, u64>,
    slow: Memo<u64, u64>,
    tagged: Memo<u64, (u64, u64)>,
    shared: Memo<u64, u64>,
    texts: Memo<String, usize>,
}

impl Shop {
    fn of(factor: u64) -> Self {
        Shop { factor, ..Shop::default() }
    }

    fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    #[memo(field = self.prices)]
    fn price(&self, id: u64) -> u64 {
        self.calls.fetch_add(1, SeqCst);
        id * self.factor
    }

    #[memo(field = self.prices)]
    fn weight(&self, id: u64) -> u64 {
        id
    }

    #[memo(field = self.names)]
    fn name(&self, id: u64, language: &str) -> String {
        self.calls.fetch_add(1, SeqCst);
        format!("{language}:{id}")
    }

    #[memo(field = self.found)]
    fn find(&self, id: u64) -> tierce::Result<Option<u64>, Broken> {
        self.calls.fetch_add(1, SeqCst);
        if id == 0 {
            Err(Broken("zero"))?
        }
        Ok((id > 1).then_some(id))
    }

    #[memo(field = self.sums)]
    fn sum(&self, n: u64) -> u64 {
        self.calls.fetch_add(1, SeqCst);
        if n < 2 { n } else { self.sum(n - 1) + self.sum(n - 2) }
    }

    #[memo(field = self.circles)]
    fn circle(&self, n: u64) -> tierce::Result<u64, String> {
        self.circle((n + 1) % 3)
    }

    #[memo(field = self.slow)]
    fn met(&self, id: u64, #[skip] both: &Barrier, #[skip] text: &str) -> u64 {
        self.calls.fetch_add(1, SeqCst);
        assert_ne!(id, 13, "of {}", text);
        both.wait();
        id
    }

    #[memo(field = self.tagged, tags = ["all", "id:{id}", "half:{result.1}"])]
    fn halved(&self, id: u64) -> (u64, u64) {
        self.calls.fetch_add(1, SeqCst);
        (id, id / 2)
    }

    #[memo(field = self.shared, tags = ["shop", "of:{id}:{result}"])]
    async fn later(self: &Arc<Self>, id: u64) -> u64 {
        self.calls.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        if id == 0 { 0 } else { self.later(id - 1).await + self.factor }
    }

    #[memo(field = self.texts, key = "{text}", stale_while_revalidate = "1h")]
    fn length(self: Arc<Self>, text: &str) -> usize {
        self.calls.fetch_add(1, SeqCst);
        text.len()
    }
}

#[test]
fn each_instance_keeps_its_own_values() {
    let (one, other) = (Shop::of(2), Shop::of(3));
    assert_eq!((one.price(7), one.price(7), other.price(7)), (14, 14, 21));
    assert_eq!((one.calls(), other.calls()), (1, 1));
    one.prices.invalidate(&7);
    assert_eq!((one.prices.peek(&7), other.prices.peek(&7)), (None, Some(21)));
    assert_eq!((one.price(7), one.calls(), one.price_uncached(7)), (14, 2, 14));
    one.prices.clear();
    assert_eq!((one.prices.peek(&7), one.prices.stats().loads), (None, 2));
    assert_eq!(
        (one.name(1, "en"), one.name(1, "en"), one.name(1, "de")),
        ("en:1".into(), "en:1".into(), "de:1".into())
    );
    assert_eq!(one.names.peek(&(1, "de".to_string())), Some("de:1".to_string()));
}

#[test]
fn an_instance_that_goes_takes_its_values_along_and_a_clone_of_its_field_has_none() {
    #[derive(Default)]
    struct Box1(Memo<u64, Arc<u64>>);
    impl Box1 {
        #[memo(field = self.0)]
        fn boxed(&self, n: u64) -> Arc<u64> {
            Arc::new(n)
        }
    }
    let shop = Box1::default();
    let value = shop.boxed(1);
    assert!(shop.0.clone().peek(&1).is_none());
    assert_eq!(Arc::strong_count(&value), 2);
    drop(shop);
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn absences_are_kept_and_errors_are_not() {
    let shop = Shop::of(1);
    assert_eq!((shop.find(2).unwrap(), shop.find(2).unwrap(), shop.calls()), (Some(2), Some(2), 1));
    assert_eq!((shop.find(1).unwrap(), shop.find(1).unwrap(), shop.calls()), (None, None, 2));
    assert_eq!(shop.find(0).unwrap_err().load(), Some(&Broken("zero")));
    assert_eq!((shop.find(0).unwrap_err().load(), shop.calls()), (Some(&Broken("zero")), 4));
}

#[test]
fn a_method_may_call_itself_and_a_circle_is_told() {
    let shop = Shop::of(1);
    assert_eq!((shop.sum(90), shop.calls()), (2_880_067_194_370_816_120, 91));
    assert!(matches!(shop.circle(0), Err(LoadError::Cycle)));
}

#[test]
fn threads_share_one_call_of_a_method_that_borrows() {
    let shop = Shop::of(1);
    let both = Barrier::new(2);
    let text = "a borrow".to_string();
    let answers: Vec<u64> = std::thread::scope(|threads| {
        let calls: Vec<_> = (0..8).map(|_| threads.spawn(|| shop.met(7, &both, &text))).collect();
        both.wait();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    assert_eq!((answers, shop.calls()), (vec![7; 8], 1));
    let call = std::panic::AssertUnwindSafe(|| shop.met(13, &both, &text));
    assert!(panic_text(&*std::panic::catch_unwind(call).unwrap_err()).contains("of a borrow"));
}

#[test]
fn tags_end_what_instances_keep_in_the_hub_of_their_first_call() {
    let hub = Hub::embedded();
    let shop = Shop::of(1);
    for (call, tag) in ["all", "id:8", "half:4"].into_iter().enumerate() {
        assert_eq!(hub.scope_sync(|| shop.halved(8)), (8, 4));
        assert_eq!(shop.calls(), call as u64 + 1);
        tierce::block_on(hub.invalidate_tag(tag)).unwrap();
        assert_eq!(shop.tagged.peek(&8), None, "{tag}");
    }
}

#[tokio::test]
async fn an_async_method_of_an_arc_shares_its_loads_and_may_call_itself() {
    let shop = Arc::new(Shop::of(2));
    assert_eq!(tokio::join!(shop.later(3), shop.later(3)), (6, 6));
    assert_eq!((shop.calls(), shop.later(2).await, shop.calls()), (4, 4, 4));
    tierce::hub().invalidate_tag("of:3:6").await.unwrap();
    assert_eq!((shop.shared.peek(&3), shop.shared.peek(&2)), (None, Some(4)));
    assert_eq!((Arc::clone(&shop).length("abc"), Arc::clone(&shop).length("abc"), shop.calls()), (3, 3, 5));
    assert_eq!(shop.texts.peek("abc"), Some(3));
    assert_eq!(Arc::strong_count(&shop), 1);
}

#[test]
fn a_field_keeps_the_values_of_one_method_alone() {
    let shop = Shop::of(2);
    assert_eq!(shop.price(7), 14);
    let other = std::panic::AssertUnwindSafe(|| shop.weight(7));
    let text = panic_text(&*std::panic::catch_unwind(other).unwrap_err());
    assert!(text.contains("::price`") && text.contains("give") && text.contains("a field of its own"), "{text}");
}

#[test]
fn an_impl_may_be_generic() {
    #[derive(Default)]
    struct Of<T: Clone + Send + Sync + 'static> {
        value: T,
        kept: Memo<u8, Vec<T>>,
    }
    impl<T: Clone + Send + Sync + 'static> Of<T> {
        #[memo(field = self.kept)]
        fn times(&self, n: u8) -> Vec<T> {
            vec![self.value.clone(); n.into()]
        }
    }
    assert_eq!(Of { value: "a", ..Of::default() }.times(2), ["a", "a"]);
    assert_eq!(Of { value: 1, ..Of::default() }.times(1), [1]);
}
