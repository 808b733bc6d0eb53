//! How a process under check loads a row: slowly, and now and then it fails.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tierce::{Load, Loaded};

use super::link::Link;
use super::record::{Kind, Outcome, Record};
use super::rows::{KEYS, named_by_result, result_tag_of};
use super::world::Row;

/// The longest load of most keys: several of a Redis server's turns, so that changes come into the middle of it.
const USUAL: Duration = Duration::from_millis(30);
/// … and of the last ones: longer than any bound of what others changed, so that what joins a load from before is seen.
const LONG: Duration = Duration::from_millis(400);
/// How many keys may take so long.
const LONG_KEYS: u32 = 4;
/// Of so many loads of theirs one does.
const LONG_EVERY: u64 = 2;
/// Of so many loads one fails.
const FAIL_EVERY: u64 = 25;

/// How long a load of this key may take.
pub(super) fn longest_load(key: u32) -> Duration {
    if key < KEYS - LONG_KEYS { USUAL } else { LONG }
}

/// A failed load, by its number.
#[derive(Debug)]
pub(super) struct Failure(pub(super) u64);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failure {}", self.0)
    }
}

impl std::error::Error for Failure {}

/// A load under way.
type Loading = Pin<Box<dyn Future<Output = Result<Loaded<Row>, Failure>> + Send>>;

/// Loads a row.
pub(super) fn loader(link: &Arc<Link>, key: u32) -> impl FnOnce(Load<Row>) -> Loading + use<> {
    let link = Arc::clone(link);
    move |_| {
        Box::pin(async move {
            let id = link.number();
            let record = Record { subject: key, id, begin: crate::clock::common_ns(), ..Record::of(Kind::Load) };
            let before_us = fastrand::u64(0..1000);
            tokio::time::sleep(Duration::from_micros(before_us)).await;
            let version = link.ask(Kind::Row, key).await;
            // What is read is some time old when it is brought.
            tokio::time::sleep(pause(key)).await;
            if fastrand::u64(0..FAIL_EVERY) == 0 {
                link.ended(Record { outcome: Outcome::Failed, ..record });
                return Err(Failure(id));
            }
            link.ended(Record { version, ..record });
            Ok(Loaded::new(Row::new(key, version)).tag(named_by_result(result_tag_of(key))))
        })
    }
}

/// Most are quick.
fn pause(key: u32) -> Duration {
    let longest = longest_load(key);
    if longest == LONG && fastrand::u64(0..LONG_EVERY) == 0 {
        return LONG.mul_f64(fastrand::f64());
    }
    if fastrand::bool() { USUAL.mul_f64(fastrand::f64()) } else { Duration::from_micros(fastrand::u64(0..500)) }
}
