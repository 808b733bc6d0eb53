//! Tags as guides show them: a set of the members of each tag beside the entries, on redis-rs.

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::client::Broken;
use crate::layered::{Product, TTL, load};

/// Members that are deleted by one command.
const AT_ONCE: usize = 1000;

/// The cache.
pub(crate) struct TagSets {
    connection: MultiplexedConnection,
}

fn key(id: u64) -> String {
    format!("sets:product:{id}")
}

fn set(tag: &str) -> String {
    format!("sets:tag:{tag}")
}

impl TagSets {
    /// Connects to the Redis at this place.
    pub(crate) async fn connect(place: &str) -> Result<Self, Broken> {
        let client = redis::Client::open(format!("redis://{place}"))?;
        Ok(Self { connection: client.get_multiplexed_async_connection().await? })
    }

    /// Stores products, and notes them as members of a tag, in one pipeline.
    pub(crate) async fn stock(&mut self, ids: &[u64], tag: &str) -> Result<(), Broken> {
        let mut pipe = redis::pipe();
        for id in ids {
            let bytes = postcard::to_allocvec(&load(*id))?;
            pipe.set_ex(key(*id), bytes, TTL.as_secs()).ignore();
            pipe.sadd(set(tag), key(*id)).ignore();
        }
        Ok(pipe.query_async(&mut self.connection).await?)
    }

    /// Deletes the members of a tag, and the set of them.
    pub(crate) async fn end(&mut self, tag: &str) -> Result<(), Broken> {
        let members: Vec<String> = self.connection.smembers(set(tag)).await?;
        for members in members.chunks(AT_ONCE) {
            let _: usize = self.connection.unlink(members).await?;
        }
        Ok(self.connection.unlink(set(tag)).await?)
    }

    /// Whether a product is there.
    pub(crate) async fn has(&mut self, id: u64) -> Result<bool, Broken> {
        let bytes: Option<Vec<u8>> = self.connection.get(key(id)).await?;
        let product = bytes.map(|bytes| postcard::from_bytes::<Product>(&bytes)).transpose()?;
        Ok(product.is_some_and(|product| product.id == id))
    }
}
