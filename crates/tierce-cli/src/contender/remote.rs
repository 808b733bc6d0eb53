//! The guide's Redis as a server, by the client that most Rust programs use.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, IntoConnectionInfo, RedisError};

use super::redis::Redis;
use crate::error::Error;

/// The guide's client has no time-out; this one is there for a server that is gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection for all callers, which favours the guide's column: its own client takes one from a pool for each.
pub(crate) struct Remote {
    connection: MultiplexedConnection,
    /// What stands before each key, so that nothing of anybody else's is touched.
    prefix: String,
}

impl From<RedisError> for Error {
    fn from(source: RedisError) -> Self {
        Self::Cache(format!("the guide's client: {source}"))
    }
}

impl Remote {
    /// Whether there is a server that this client reaches at this URL.
    pub(crate) fn reaches(url: &str) -> bool {
        url.into_connection_info().is_ok()
    }

    /// Connects to the server at a URL.
    pub(crate) async fn open(url: &str, prefix: String) -> Result<Self, Error> {
        let info = url.into_connection_info()?.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let config =
            AsyncConnectionConfig::new().set_response_timeout(Some(PATIENCE)).set_connection_timeout(Some(PATIENCE));
        let connection = redis::Client::open(info)?.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { connection, prefix })
    }

    fn name(&self, key: &str) -> String {
        format!("{}:{key}", self.prefix)
    }
}

impl Redis for Remote {
    type Text = String;

    async fn get(&self, key: &str) -> Result<Option<String>, Error> {
        let mut connection = self.connection.clone();
        Ok(redis::cmd("GET").arg(self.name(key)).query_async(&mut connection).await?)
    }

    async fn setex_with_tags(
        &self,
        key: &str,
        ttl: Duration,
        value: String,
        tags: &[String],
        tag_ttl: Duration,
    ) -> Result<(), Error> {
        let mut pipe = redis::pipe();
        // The guide's `redis.pipeline()` is a transaction unless told otherwise.
        pipe.atomic();
        pipe.cmd("SETEX").arg(self.name(key)).arg(ttl.as_secs()).arg(value).ignore();
        for tag in tags {
            let tag = self.name(tag);
            pipe.cmd("SADD").arg(&tag).arg(self.name(key)).ignore();
            pipe.cmd("EXPIRE").arg(&tag).arg(tag_ttl.as_secs()).ignore();
        }
        Ok(pipe.query_async(&mut self.connection.clone()).await?)
    }

    /// With their names as they are on the server, which [`del`](Redis::del) is given without the prefix.
    async fn smembers(&self, tag: &str) -> Result<Vec<String>, Error> {
        let mut connection = self.connection.clone();
        let names: Vec<String> = redis::cmd("SMEMBERS").arg(self.name(tag)).query_async(&mut connection).await?;
        let keys = names.iter().filter_map(|name| name.strip_prefix(&self.prefix)?.strip_prefix(':'));
        Ok(keys.map(str::to_owned).collect())
    }

    async fn del(&self, gone: &[&str]) -> Result<(), Error> {
        let names: Vec<String> = gone.iter().map(|key| self.name(key)).collect();
        Ok(redis::cmd("DEL").arg(names).query_async(&mut self.connection.clone()).await?)
    }

    fn kept(&self) -> Option<(u64, u64)> {
        None
    }
}
