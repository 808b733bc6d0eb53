//! fred: one client, with `TCP_NODELAY`.

use fred::bytes::Bytes;
use fred::prelude::{Builder, ClientLike, Config, KeysInterface, TcpConfig};

use super::{Broken, Client, MANY, keys, worth, worth_of};

/// fred.
pub(crate) struct Fred {
    client: fred::prelude::Client,
    keys: Vec<String>,
}

impl Client for Fred {
    async fn connect(place: String) -> Result<Self, Broken> {
        let mut builder = Builder::from_config(Config::from_url(&format!("redis://{place}"))?);
        builder.with_connection_config(|config| {
            config.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
        });
        let client = builder.build()?;
        client.init().await?;
        Ok(Self { client, keys: keys() })
    }

    async fn get(&self, _: usize, key: usize) -> Result<usize, Broken> {
        let value: Option<Bytes> = self.client.get(self.keys[key].as_str()).await?;
        Ok(value.map_or(0, |value| worth(&value, key)))
    }

    async fn get_many(&self, first: usize) -> Result<usize, Broken> {
        let keys: Vec<&str> = self.keys[first..first + MANY].iter().map(String::as_str).collect();
        let values: Vec<Option<Bytes>> = self.client.mget(keys).await?;
        Ok(worth_of(values.iter().map(Option::as_deref), first))
    }
}
