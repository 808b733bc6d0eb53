//! Seats: those who wait for one flight, and the wakers to reach them by.

use std::task::Waker;

/// Those who wait. Callers may come and go for as long as a load hangs, so who comes takes the seat of one who left.
#[derive(Default)]
pub(super) struct Seats {
    waiters: Vec<Option<Waker>>,
    /// The seats of those who left.
    free: Vec<usize>,
    closed: bool,
}

/// One caller's place among those who wait.
pub(crate) struct Seat(usize);

impl Seats {
    /// A seat. Who found the flight before it ended may come afterwards: a waker is of no use to them any more.
    pub(super) fn take(&mut self, waker: Option<Waker>) -> Seat {
        if self.closed {
            return Seat(usize::MAX);
        }
        if let Some(free) = self.free.pop() {
            self.waiters[free] = waker;
            return Seat(free);
        }
        self.waiters.push(waker);
        Seat(self.waiters.len() - 1)
    }

    /// Puts this waker on a seat, and the one that was there in its place.
    pub(super) fn swap(&mut self, seat: &Seat, waker: &mut Option<Waker>) {
        if let Some(place) = self.waiters.get_mut(seat.0) {
            std::mem::swap(place, waker);
        }
    }

    /// Frees a seat; its waker, for the caller to drop when no lock is held.
    pub(super) fn leave(&mut self, seat: &Seat) -> Option<Waker> {
        let place = self.waiters.get_mut(seat.0)?;
        let waker = place.take();
        self.free.push(seat.0);
        waker
    }

    /// Those who wait, who keep their seats.
    pub(super) fn stir(&mut self) -> Sleepers {
        Sleepers(self.waiters.iter_mut().map(Option::take).collect())
    }

    /// Those who wait, at the end: nobody has a seat from here on.
    pub(super) fn close(&mut self) -> Sleepers {
        self.closed = true;
        self.free = Vec::new();
        Sleepers(std::mem::take(&mut self.waiters))
    }
}

/// Those who are to be woken, without any lock.
#[must_use = "they wait"]
pub(crate) struct Sleepers(Vec<Option<Waker>>);

impl Sleepers {
    pub(super) fn nobody() -> Self {
        Sleepers(Vec::new())
    }

    pub(crate) fn are_none(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn wake(self) {
        for waker in self.0.into_iter().flatten() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_takes_the_seat_of_one_who_left() {
        let mut seats = Seats::default();
        let first = seats.take(None);
        let second = seats.take(None);
        assert!(seats.leave(&first).is_none());
        assert_eq!(seats.take(None).0, first.0);
        assert_eq!(seats.take(None).0, second.0 + 1);
    }

    #[test]
    fn who_comes_after_the_end_needs_no_seat_though_others_left_theirs() {
        let mut seats = Seats::default();
        let (first, second) = (seats.take(None), seats.take(None));
        assert!(seats.leave(&first).is_none());
        assert!(!seats.close().are_none());
        let late = seats.take(Some(Waker::noop().clone()));
        for seat in [late, second] {
            assert!(seats.leave(&seat).is_none());
        }
        assert!(seats.close().are_none());
    }
}
