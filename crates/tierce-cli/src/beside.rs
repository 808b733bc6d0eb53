//! A process that Python's tests share a cache with (`python/tests/test_two_languages.py`): what to do comes as lines on
//! stdin, each with a number that stands before its answer on stdout. They are done beside each other.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tierce::{Cache, Hold, Hub, Loaded};
use tokio::sync::{Semaphore, mpsc};

use crate::args::Beside;
use crate::error::Error;
use crate::output::print;

/// What is shared: the dataclass of that name in the test.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Product {
    id: u64,
    name: String,
    price: f64,
    parts: Vec<Part>,
    note: Option<String>,
}

/// … and its parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Part {
    name: String,
    count: i64,
}

struct Process {
    hub: Hub,
    cache: Cache<u64, Product>,
    loads: AtomicU64,
    /// Loads that wait may go on.
    gate: Semaphore,
    holds: Mutex<HashMap<u64, Hold<u64, Product>>>,
}

/// Runs until stdin ends.
pub(crate) async fn run(beside: Beside) -> Result<(), Error> {
    let cache_error = |error: tierce::Error| Error::Cache(error.to_string());
    let hub = Hub::builder().namespace(&beside.namespace).memory_age(Duration::from_millis(100));
    // A busy machine is no reason to go on without the store.
    let hub =
        hub.store_budget(Duration::from_secs(10)).require_store().connect(&beside.store).await.map_err(cache_error)?;
    let cache = hub.cache::<u64, Product>("product").ttl(Duration::from_secs(600)).build();
    let (loads, gate, holds) = (AtomicU64::new(0), Semaphore::new(0), Mutex::default());
    let process = Arc::new(Process { hub, cache, loads, gate, holds });
    let (lines, mut asked) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        // It ends with stdin, and then `lines` with it.
        std::io::stdin().lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
    });
    while let Some(line) = asked.recv().await {
        let process = Arc::clone(&process);
        tokio::spawn(async move {
            let words: Vec<_> = line.split(' ').collect();
            let answer = process.answer(&words).await.unwrap_or_else(|error| format!("error {error}"));
            // Who asks no more needs no answer.
            let _ = print(&format!("{} {answer}\n", words[0]));
        });
    }
    Ok(())
}

impl Process {
    async fn answer(self: &Arc<Self>, words: &[&str]) -> Result<String, tierce::Error> {
        let id = words.get(2).and_then(|word| word.parse().ok()).unwrap_or(0);
        let name = words.get(3).copied().unwrap_or_default();
        let done = "done".to_owned();
        Ok(match words.get(1).copied().unwrap_or_default() {
            "load" => self.load(id, name, false).await,
            "load-at-the-gate" => self.load(id, name, true).await,
            "open" => {
                self.gate.add_permits(1);
                done
            }
            "get" => text(self.cache.get(&id).await.as_ref()),
            "set" => {
                self.cache.entry(&id).tags(tags(id)).set(product(id, name)).await?;
                done
            }
            "invalidate" => {
                self.cache.invalidate(&id).await?;
                done
            }
            "invalidate-tag" => {
                self.hub.invalidate_tag(words.get(2).copied().unwrap_or_default()).await?;
                done
            }
            "hold" => {
                let hold = self.cache.hold(&id).await?;
                self.holds.lock().unwrap_or_else(PoisonError::into_inner).insert(id, hold);
                done
            }
            "end" => {
                let hold = self.holds.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
                if let Some(hold) = hold {
                    hold.invalidate().await?;
                }
                done
            }
            "loads" => self.loads.load(Relaxed).to_string(),
            other => format!("error {other} is nothing to do"),
        })
    }

    /// Loads where nobody has; at the gate only once that is opened.
    async fn load(self: &Arc<Self>, id: u64, name: &str, waits: bool) -> String {
        let (process, loaded) = (Arc::clone(self), product(id, name));
        let load = move |_| async move {
            process.loads.fetch_add(1, Relaxed);
            if waits && let Ok(permit) = process.gate.acquire().await {
                permit.forget();
            }
            Ok::<_, tierce::Error>(Loaded::new(loaded))
        };
        match self.cache.entry(&id).tags(tags(id)).load_with(load).await {
            Ok(lookup) => text(lookup.value()),
            Err(error) => format!("error {error}"),
        }
    }
}

fn text(product: Option<&Product>) -> String {
    serde_json::to_string(&product).expect("a product has no keys that JSON lacks")
}

fn tags(id: u64) -> [String; 2] {
    ["products".to_owned(), format!("product:{id}")]
}

fn product(id: u64, name: &str) -> Product {
    let parts = [("leg", -4), ("plate ä", i64::MAX)].map(|(name, count)| Part { name: name.to_owned(), count });
    Product {
        id,
        name: name.to_owned(),
        price: 0.1,
        parts: parts.to_vec(),
        note: id.is_multiple_of(2).then(|| "even".to_owned()),
    }
}
