//! rustis: its multiplexed client, as it comes (`TCP_NODELAY` is its default).

use rustis::commands::StringCommands;
use rustis::resp::BulkString;

use super::{Broken, Client, MANY, keys, worth, worth_of};

/// rustis.
pub(crate) struct Rustis {
    client: rustis::client::Client,
    keys: Vec<String>,
}

impl Client for Rustis {
    async fn connect(place: String) -> Result<Self, Broken> {
        let client = rustis::client::Client::connect(format!("redis://{place}")).await?;
        Ok(Self { client, keys: keys() })
    }

    async fn get(&self, _: usize, key: usize) -> Result<usize, Broken> {
        let value: Option<BulkString> = self.client.get(self.keys[key].as_str()).await?;
        Ok(value.map_or(0, |value| worth(value.as_bytes(), key)))
    }

    async fn get_many(&self, first: usize) -> Result<usize, Broken> {
        let values: Vec<Option<BulkString>> = self.client.mget(&self.keys[first..first + MANY]).await?;
        Ok(worth_of(values.iter().map(|value| value.as_ref().map(BulkString::as_bytes)), first))
    }
}
