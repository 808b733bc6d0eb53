//! A transaction over two rows: readers see the old values until the commit has been told, and nothing rolled back.

use tierce::testing::Source;
use tierce::{Cache, Hub};

async fn balance(accounts: &Cache<u64, i64>, bank: &Source<u64, i64>, id: u64) -> i64 {
    accounts.get_or_load(&id, || bank.load(&id)).await.expect("the account exists")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let bank = Source::from([(1, 100), (2, 0)]);
    let accounts = Hub::embedded().local_cache::<u64, i64>("account").build();
    assert_eq!((balance(&accounts, &bank, 1).await, balance(&accounts, &bank, 2).await), (100, 0));

    // Held from before the change can be seen until it has been told.
    let (from, to) = (accounts.hold(&1).await?, accounts.hold(&2).await?);
    bank.set(1, 70);
    bank.set(2, 30);
    assert_eq!(balance(&accounts, &bank, 1).await, 100); // as before the commit
    from.set(70).await?; // the new value is known
    to.invalidate().await?; // or it is not
    assert_eq!((balance(&accounts, &bank, 1).await, balance(&accounts, &bank, 2).await), (70, 30));

    // A transaction that is rolled back: what a reader loaded meanwhile is not kept.
    accounts.invalidate(&1).await?;
    let hold = accounts.hold(&1).await?;
    bank.set(1, -999);
    assert_eq!(balance(&accounts, &bank, 1).await, -999); // this reader saw what was not committed
    bank.set(1, 70);
    hold.unchanged();
    assert_eq!(balance(&accounts, &bank, 1).await, 70);

    // One that fails in the middle: dropped by `?`, nobody knows what was written, so the entry goes.
    let failed: Result<(), &str> = async {
        let _hold = accounts.hold(&1).await.map_err(|_| "no hold")?;
        bank.set(1, 65);
        Err("the connection is lost")
    }
    .await;
    assert!(failed.is_err());
    assert_eq!(balance(&accounts, &bank, 1).await, 65);
    println!("{}", accounts.explain(&1).await);
    Ok(())
}
