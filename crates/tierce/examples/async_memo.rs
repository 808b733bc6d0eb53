//! The guide's `alru_cache`: an async function that remembers, with an end to it, and one load for all who wait.

use std::time::Duration;

use tierce::LoadError;

#[derive(Debug)]
struct NoSuchUser;

/// A query of the database.
#[tierce::memo(capacity = 128, ttl = "5m")]
async fn fetch_user(id: u64) -> tierce::Result<String, NoSuchUser> {
    tokio::time::sleep(Duration::from_millis(20)).await;
    if id > 99 {
        return Err(NoSuchUser.into());
    }
    Ok(format!("user {id}"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A thousand tasks, one query.
    let tasks: Vec<_> = (0..1000).map(|_| tokio::spawn(fetch_user(7))).collect();
    for task in tasks {
        assert_eq!(task.await?.map_err(|_| "no user")?, "user 7");
    }
    assert_eq!(fetch_user::stats().loads, 1);

    // Errors are the callers', and are not remembered.
    for _ in 0..2 {
        assert!(matches!(fetch_user(100).await, Err(LoadError::Load(_))));
    }
    assert_eq!(fetch_user::stats().loads, 3);

    // The row has changed: what was loaded before is not served again.
    fetch_user::invalidate(7).await?;
    assert_eq!(fetch_user::peek(7), None);
    println!("{:?}", fetch_user::stats());
    Ok(())
}
