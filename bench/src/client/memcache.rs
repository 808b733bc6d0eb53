//! memcache: its client over meta commands (`exp`), which has a pool of connections.

use memcache::exp::AsyncMemcache;

use super::{Broken, Client, MANY, POOL, keys, worth, worth_of};

/// memcache.
pub(crate) struct Memcache {
    client: AsyncMemcache,
    keys: Vec<String>,
}

impl Client for Memcache {
    async fn connect(place: String) -> Result<Self, Broken> {
        let builder = AsyncMemcache::builder().max_idle(POOL).max_connections(POOL);
        Ok(Self { client: builder.connect_async([place]).await?, keys: keys() })
    }

    async fn get(&self, _: usize, key: usize) -> Result<usize, Broken> {
        let value: Option<Vec<u8>> = self.client.get(&self.keys[key]).await?;
        Ok(value.map_or(0, |value| worth(&value, key)))
    }

    async fn get_many(&self, first: usize) -> Result<usize, Broken> {
        let keys = self.keys[first..first + MANY].iter().map(String::as_str);
        let values = self.client.get_many::<Vec<u8>, _>(keys).await?;
        let value = |key: usize| values.get(self.keys[key].as_str()).map(Vec::as_slice);
        Ok(worth_of((first..first + MANY).map(value), first))
    }
}
