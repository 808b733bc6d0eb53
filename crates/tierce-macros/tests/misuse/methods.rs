//! Methods, and where their values are.

use std::sync::Arc;
use tierce::Memo;

struct Shop {
    prices: Memo<u64, u64>,
}

impl Shop {
    #[tierce::memo]
    fn without_a_field(&self, n: u64) -> u64 {
        n
    }

    #[tierce::memo(field = prices)]
    fn no_field(&self, n: u64) -> u64 {
        n
    }

    #[tierce::memo(field = self.prices)]
    fn no_method(n: u64) -> u64 {
        n
    }

    #[tierce::memo(field = self.prices)]
    async fn borrowed_for_long(&self, n: u64) -> u64 {
        n
    }

    #[tierce::memo(field = self.prices)]
    fn changing(&mut self, n: u64) -> u64 {
        n
    }

    #[tierce::memo(field = self.prices)]
    fn taking(self, n: u64) -> u64 {
        n
    }

    #[tierce::cached(field = self.prices)]
    fn shared(&self, n: u64) -> u64 {
        n
    }

    #[tierce::memo(field = self.prices, stale_while_revalidate = "1m")]
    fn behind(&self, n: u64) -> u64 {
        n
    }

    #[tierce::memo(field = self.prices, field = self.prices)]
    fn twice(self: &Arc<Self>, n: u64) -> u64 {
        n
    }
}

fn main() {}
