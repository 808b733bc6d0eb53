//! The guide's `update_product`, with two writers who race: the cache never keeps the older value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tierce::Hub;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let prices = Hub::embedded().local_cache::<u64, u64>("price").build();
    // The database's row: who adds, commits.
    let row = Arc::new(AtomicU64::new(100));

    let writer = |rounds| {
        let (prices, row) = (prices.clone(), Arc::clone(&row));
        tokio::spawn(async move {
            for _ in 0..rounds {
                let update = || async {
                    let new = row.fetch_add(1, SeqCst) + 1;
                    tokio::task::yield_now().await; // here the other writer may overtake this one
                    Ok::<_, std::io::Error>(new)
                };
                let written = prices.set_through(&7, update).await.expect("the row can be written");
                let read = read(&prices, &row).await;
                assert!(read >= written, "wrote {written}, then read {read}");
            }
        })
    };
    let (first, second) = (writer(1000), writer(1000));
    first.await?;
    second.await?;

    assert_eq!(read(&prices, &row).await, 2100);
    println!("2000 writes by two writers; the cache says {} as the row does", read(&prices, &row).await);
    Ok(())
}

async fn read(prices: &tierce::Cache<u64, u64>, row: &Arc<AtomicU64>) -> u64 {
    let row = Arc::clone(row);
    let load = || async move { Ok::<_, std::io::Error>(row.load(SeqCst)) };
    prices.get_or_load(&7, load).await.expect("the row can be read")
}
