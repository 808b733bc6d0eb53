//! A network that does what networks do: between the processes under check and their server.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::error::Error;

/// What becomes of what is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weather {
    /// Nothing comes through until this is over.
    pub(super) black_hole: bool,
    /// Each piece comes so much later.
    pub(super) delay: Duration,
    /// At each change every connection is cut.
    pub(super) cuts: u64,
    /// At each change the next piece of every connection is cut in half, and the connection with it.
    pub(super) half_cuts: u64,
}

/// The network.
pub(super) struct Proxy {
    pub(super) port: u16,
    weather: watch::Sender<Weather>,
}

impl Proxy {
    /// Begins to listen, on a free port of this machine, for connections to this place.
    pub(super) async fn open(host: String, port: u16) -> Result<Self, Error> {
        let system = |source| Error::System { doing: "listen on 127.0.0.1", source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(system)?;
        let own = listener.local_addr().map_err(system)?.port();
        let (weather, seen) = watch::channel(Weather::default());
        let place: Arc<(String, u16)> = Arc::new((host, port));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, Arc::clone(&place), seen.clone()));
            }
        });
        Ok(Proxy { port: own, weather })
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }
}

async fn carry(client: TcpStream, place: Arc<(String, u16)>, mut weather: watch::Receiver<Weather>) {
    if calm(&mut weather).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect((place.0.as_str(), place.1)).await else { return };
    // That small pieces wait is no weather.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (up, down) = (pass(from_client, to_server, weather.clone()), pass(from_server, to_client, weather));
    // Either end's end is that of both.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// Waits until a black hole is over.
async fn calm(weather: &mut watch::Receiver<Weather>) -> Result<(), watch::error::RecvError> {
    weather.wait_for(|weather| !weather.black_hole).await.map(drop)
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let begun = *weather.borrow_and_update();
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = tokio::select! {
            length = from.read(&mut bytes) => length.unwrap_or(0),
            cut = weather.wait_for(|now| now.cuts != begun.cuts) => {
                drop(cut);
                return;
            }
        };
        if length == 0 || calm(&mut weather).await.is_err() {
            return;
        }
        let now = *weather.borrow();
        if now.delay > Duration::ZERO {
            tokio::time::sleep(now.delay).await;
        }
        if now.half_cuts != begun.half_cuts {
            // The connection ends whether this was sent or not.
            let _ = to.write_all(&bytes[..length / 2]).await;
            return;
        }
        if now.cuts != begun.cuts || to.write_all(&bytes[..length]).await.is_err() {
            return;
        }
    }
}
