//! One direction of one connection, through the weather.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;

use super::weather::{HELD_OF, Way, Weather};
use crate::clock;

/// What Redis answers to a beat.
const ANSWER: &[u8] = b"+PONG\r\n";
/// How late that comes with late beats, short of the usual bound of 150 ms after which it is waited for no longer; and what
/// was sent after it.
const LATE: Duration = Duration::from_millis(125);
const LATER: Duration = Duration::from_millis(220);

/// The connection ends, whatever of this was sent.
pub(super) struct Ended;

/// One direction of a connection.
pub(super) struct Lane {
    way: Way,
    number: u64,
    weather: watch::Receiver<Weather>,
    /// The cuts that were before it.
    begun: Weather,
}

impl Lane {
    pub(super) fn new(way: Way, number: u64, weather: watch::Receiver<Weather>) -> Self {
        let begun = *weather.borrow();
        Lane { way, number, weather, begun }
    }

    /// Returns when the connection is cut.
    pub(super) async fn cut(&mut self) {
        let (mut weather, cuts) = (self.weather.clone(), self.begun.cuts);
        // Without a network there is nothing to carry either.
        let _ = weather.wait_for(|now| now.cuts != cuts).await;
    }

    /// Sends a piece as the weather allows.
    pub(super) async fn send(&mut self, piece: &[u8], to: &mut OwnedWriteHalf) -> Result<(), Ended> {
        let now = self.wait().await?;
        if now.half_cuts != self.begun.half_cuts {
            // The connection ends whether this was sent or not.
            let _ = to.write_all(&piece[..piece.len() / 2]).await;
            return Err(Ended);
        }
        if now.cuts != self.begun.cuts {
            return Err(Ended);
        }
        let answer = piece.windows(ANSWER.len()).position(|part| part == ANSWER);
        let Some(at) = answer.filter(|_| self.way == Way::Down && now.late_beats == Some(self.number % HELD_OF)) else {
            return to.write_all(piece).await.map_err(|_| Ended);
        };
        let (first, rest) = piece.split_at(at + ANSWER.len());
        tokio::time::sleep(LATE).await;
        to.write_all(first).await.map_err(|_| Ended)?;
        tokio::time::sleep(LATER).await;
        to.write_all(rest).await.map_err(|_| Ended)
    }

    /// Waits until the next piece may come; how the weather is then.
    async fn wait(&mut self) -> Result<Weather, Ended> {
        let own = (self.way, self.number % HELD_OF);
        let comes = |now: &Weather| !now.black_hole && now.held != Some(own);
        let now = *self.weather.wait_for(comes).await.map_err(|_| Ended)?;
        if now.delay > Duration::ZERO {
            tokio::time::sleep(now.delay).await;
        }
        if now.clump > Duration::ZERO {
            let clump = u64::try_from(now.clump.as_nanos()).unwrap_or(u64::MAX).max(1);
            tokio::time::sleep(Duration::from_nanos(clump - clock::common_ns() % clump)).await;
        }
        Ok(*self.weather.borrow())
    }
}
