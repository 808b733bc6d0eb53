//! A network that does what networks do: between the processes under check and their server.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::lane::Lane;
use super::weather::{Way, Weather};
use crate::error::Error;

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
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, number, Arc::clone(&place), seen.clone()));
                number += 1;
            }
        });
        Ok(Proxy { port: own, weather })
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }
}

async fn carry(client: TcpStream, number: u64, place: Arc<(String, u16)>, mut weather: watch::Receiver<Weather>) {
    let begun = weather.wait_for(|weather| !weather.black_hole).await.map(|_calm| ());
    if begun.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect((place.0.as_str(), place.1)).await else { return };
    // That small pieces wait is no weather.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let up = pass(from_client, to_server, Lane::new(Way::Up, number, weather.clone()));
    let down = pass(from_server, to_client, Lane::new(Way::Down, number, weather));
    // Either end's end is that of both.
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut lane: Lane) {
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = tokio::select! {
            length = from.read(&mut bytes) => length.unwrap_or(0),
            () = lane.cut() => return,
        };
        if length == 0 || lane.send(&bytes[..length], &mut to).await.is_err() {
            return;
        }
        // What is written comes at once.
        let _ = to.flush().await;
    }
}
