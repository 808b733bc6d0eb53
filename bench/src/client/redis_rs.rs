//! redis-rs: its multiplexed connection as it comes (Nagle's algorithm on), with `TCP_NODELAY`, and over a stream that
//! gathers what is written.

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, IntoConnectionInfo};
use tokio::net::TcpStream;

use super::coalesced::Coalesced;
use super::{Broken, Client, MANY, keys, worth, worth_of};

/// When redis-rs's bytes leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flush {
    /// As the kernel likes.
    Default,
    /// At once.
    Nodelay,
    /// At once, those of all ready tasks together.
    Coalesced,
}

/// redis-rs; `FLUSH` is a [`Flush`].
pub(crate) struct RedisRs<const FLUSH: u8> {
    connection: MultiplexedConnection,
    keys: Vec<String>,
}

async fn connect(place: &str, flush: Flush) -> Result<MultiplexedConnection, Broken> {
    let info = format!("redis://{place}/?protocol=resp3").into_connection_info()?;
    if flush == Flush::Coalesced {
        let stream = TcpStream::connect(place).await?;
        stream.set_nodelay(true)?;
        let config = AsyncConnectionConfig::new();
        let stream = Coalesced::new(stream);
        let opened = MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
        tokio::spawn(opened.1);
        return Ok(opened.0);
    }
    let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(flush == Flush::Nodelay));
    Ok(redis::Client::open(info)?.get_multiplexed_async_connection().await?)
}

impl<const FLUSH: u8> Client for RedisRs<FLUSH> {
    async fn connect(place: String) -> Result<Self, Broken> {
        let flush = match FLUSH {
            0 => Flush::Default,
            1 => Flush::Nodelay,
            _ => Flush::Coalesced,
        };
        Ok(Self { connection: connect(&place, flush).await?, keys: keys() })
    }

    async fn get(&self, _: usize, key: usize) -> Result<usize, Broken> {
        let mut connection = self.connection.clone();
        let value: Option<Vec<u8>> = redis::cmd("GET").arg(&self.keys[key]).query_async(&mut connection).await?;
        Ok(value.map_or(0, |value| worth(&value, key)))
    }

    async fn get_many(&self, first: usize) -> Result<usize, Broken> {
        let mut connection = self.connection.clone();
        let keys = &self.keys[first..first + MANY];
        let values: Vec<Option<Vec<u8>>> = redis::cmd("MGET").arg(keys).query_async(&mut connection).await?;
        Ok(worth_of(values.iter().map(Option::as_deref), first))
    }
}
