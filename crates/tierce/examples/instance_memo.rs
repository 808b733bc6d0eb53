//! The guide's `@lru_cache` on a method, without its leak: each instance has values of its own, which go when it goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tierce::Memo;

#[derive(Default)]
struct Shop {
    currency: &'static str,
    queries: AtomicU64,
    prices: Memo<u64, String>,
    stock: Memo<u64, u64>,
}

impl Shop {
    /// A plain method borrows its instance: it runs on the thread of the first who asks; others wait for it.
    #[tierce::memo(field = self.prices, capacity = 1000, ttl = "10m")]
    fn price(&self, id: u64) -> String {
        self.queries.fetch_add(1, Ordering::Relaxed);
        format!("{id} {}", self.currency)
    }

    /// An async load outlives its caller, so it has the instance as an `Arc`.
    #[tierce::memo(field = self.stock, tags = ["stock"])]
    async fn in_stock(self: &Arc<Self>, id: u64) -> Option<u64> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        (id < 100).then_some(3)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let euro = Arc::new(Shop { currency: "EUR", ..Shop::default() });
    let dollar = Shop { currency: "USD", ..Shop::default() };
    for _ in 0..3 {
        assert_eq!((euro.price(7), dollar.price(7)), ("7 EUR".to_string(), "7 USD".to_string()));
        assert_eq!((euro.in_stock(7).await, euro.in_stock(700).await), (Some(3), None));
    }
    assert_eq!(euro.queries.load(Ordering::Relaxed), 3);

    euro.prices.invalidate(&7); // one key of one instance
    assert_eq!((euro.prices.peek(&7), dollar.prices.peek(&7)), (None, Some("7 USD".to_string())));
    tierce::hub().invalidate_tag("stock").await?; // whatever has the tag, of all instances
    assert_eq!(euro.stock.peek(&7), None);

    assert_eq!(Arc::strong_count(&euro), 1); // nothing that is kept keeps its instance
    println!("{:?}", euro.prices.stats());
    Ok(())
}
