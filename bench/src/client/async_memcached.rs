//! async-memcached: a connection serves one request at a time, so there are several, each for its share of the tasks.

use async_memcached::AsciiProtocol;
use tokio::sync::Mutex;

use super::{Broken, Client, MANY, POOL, keys, worth, worth_of};

/// async-memcached, with its text commands: they cost it less than its meta commands.
pub(crate) struct AsyncMemcached {
    pool: Vec<Mutex<async_memcached::Client>>,
    keys: Vec<String>,
}

impl Client for AsyncMemcached {
    async fn connect(place: String) -> Result<Self, Broken> {
        let mut pool = Vec::new();
        for _ in 0..POOL {
            pool.push(Mutex::new(async_memcached::Client::new(format!("tcp://{place}")).await?));
        }
        Ok(Self { pool, keys: keys() })
    }

    async fn get(&self, task: usize, key: usize) -> Result<usize, Broken> {
        let mut client = self.pool[task % POOL].lock().await;
        let value = client.get(&self.keys[key]).await?;
        Ok(value.and_then(|value| value.data).map_or(0, |data| worth(&data, key)))
    }

    async fn get_many(&self, first: usize) -> Result<usize, Broken> {
        let mut client = self.pool[0].lock().await;
        let values = client.get_multi(&self.keys[first..first + MANY]).await?;
        // Misses are left out; there are none.
        Ok(worth_of(values.iter().map(|value| value.data.as_deref()), first))
    }
}
