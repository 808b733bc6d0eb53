//! The places of those who wait for answers.

use std::task::{Poll, Waker};

use crate::store::fault::Fault;

/// The answers to one request.
#[derive(Debug, PartialEq)]
pub(crate) enum Answers<F> {
    /// Its one.
    One(F),
    /// All of them, in order.
    All(Vec<F>),
}

enum Stage<F> {
    Free {
        next: u32,
    },
    Waiting {
        waker: Waker,
        got: Vec<F>,
    },
    Ended(Result<Answers<F>, Fault>),
    /// The caller has gone.
    Left,
}

struct Slot<F> {
    stage: Stage<F>,
    /// How many answers are missing.
    missing: u32,
    /// Whether the line still names it.
    lined: bool,
    /// Whether its caller still names it.
    held: bool,
    until_ms: u64,
}

/// All places of a connection, which are used again.
pub(crate) struct Slots<F> {
    slots: Vec<Slot<F>>,
    free: u32,
    used: usize,
    left_in_queue: usize,
}

const NONE: u32 = u32::MAX;

impl<F> Slots<F> {
    pub(crate) fn new() -> Self {
        Slots { slots: Vec::new(), free: NONE, used: 0, left_in_queue: 0 }
    }

    /// How many are in use.
    pub(crate) fn len(&self) -> usize {
        self.used
    }

    pub(crate) fn take(&mut self, answers: u32, until_ms: u64, waker: Waker) -> u32 {
        // One answer alone is never in a list.
        let several = if answers > 1 { answers as usize } else { 0 };
        let stage = Stage::Waiting { waker, got: Vec::with_capacity(several) };
        let slot = Slot { stage, missing: answers.max(1), lined: true, held: true, until_ms };
        self.used += 1;
        if self.free == NONE {
            self.slots.push(slot);
            return u32::try_from(self.slots.len() - 1).expect("requests are limited to fewer");
        }
        let place = self.free;
        let old = std::mem::replace(self.at(place), slot);
        let Stage::Free { next } = old.stage else { unreachable!("the list of free slots names free ones") };
        self.free = next;
        place
    }

    /// Whether the caller still waits, and is to be woken by another waker than this.
    pub(crate) fn has_moved(&self, place: u32, waker: &Waker) -> bool {
        matches!(&self.slots[place as usize].stage, Stage::Waiting { waker: known, .. } if !known.will_wake(waker))
    }

    /// Whom to wake from now on; gives the old one, to be dropped without a lock.
    pub(crate) fn move_to(&mut self, place: u32, waker: Waker) -> Waker {
        match &mut self.at(place).stage {
            Stage::Waiting { waker: known, .. } => std::mem::replace(known, waker),
            _ => waker,
        }
    }

    pub(crate) fn poll(&mut self, place: u32) -> Poll<Result<Answers<F>, Fault>> {
        let slot = self.at(place);
        if let Stage::Waiting { .. } = &slot.stage {
            return Poll::Pending;
        }
        let stage = std::mem::replace(&mut slot.stage, Stage::Left);
        slot.held = false;
        self.free_if_unnamed(place);
        match stage {
            Stage::Ended(ended) => Poll::Ready(ended),
            _ => Poll::Ready(Err(Fault::Timeout)),
        }
    }

    /// The caller leaves; gives what is to be dropped without a lock.
    pub(crate) fn leave(&mut self, place: u32) -> Option<impl Sized + use<F>> {
        let slot = self.at(place);
        slot.held = false;
        let was_waiting = matches!(slot.stage, Stage::Waiting { .. });
        let stage = std::mem::replace(&mut slot.stage, Stage::Left);
        // Where it is in the line is not known here; one too many costs a look at the queue.
        self.left_in_queue += usize::from(was_waiting);
        self.free_if_unnamed(place);
        Some(stage)
    }

    /// An answer for the first of the line; says whether that was its last.
    pub(crate) fn answer(&mut self, place: u32, frame: F, wakers: &mut Vec<Waker>) -> bool {
        let slot = self.at(place);
        slot.missing -= 1;
        let is_last = slot.missing == 0;
        if let Stage::Waiting { got, .. } = &mut slot.stage {
            if !is_last {
                got.push(frame);
            } else {
                let answers = if got.is_empty() {
                    Answers::One(frame)
                } else {
                    let mut all = std::mem::take(got);
                    all.push(frame);
                    Answers::All(all)
                };
                let old = std::mem::replace(&mut slot.stage, Stage::Ended(Ok(answers)));
                if let Stage::Waiting { waker, .. } = old {
                    wakers.push(waker);
                }
            }
        }
        if is_last {
            self.unline(place);
        }
        is_last
    }

    /// The request has failed.
    pub(crate) fn fail(&mut self, place: u32, fault: &Fault, wakers: &mut Vec<Waker>) {
        let slot = self.at(place);
        if matches!(slot.stage, Stage::Waiting { .. }) {
            let old = std::mem::replace(&mut slot.stage, Stage::Ended(Err(fault.clone())));
            if let Stage::Waiting { waker, .. } = old {
                wakers.push(waker);
            }
        }
    }

    /// The line names it no more.
    pub(crate) fn unline(&mut self, place: u32) {
        self.at(place).lined = false;
        self.free_if_unnamed(place);
    }

    /// Whether somebody still waits for its answer.
    pub(crate) fn is_awaited(&self, place: u32) -> bool {
        matches!(self.slots[place as usize].stage, Stage::Waiting { .. })
    }

    /// Fails those whose time is over; gives the earliest time of the others.
    pub(crate) fn expire(&mut self, now_ms: u64, wakers: &mut Vec<Waker>) -> u64 {
        let mut earliest = u64::MAX;
        for slot in &mut self.slots {
            if !matches!(slot.stage, Stage::Waiting { .. }) {
                continue;
            }
            if slot.until_ms > now_ms {
                earliest = earliest.min(slot.until_ms);
                continue;
            }
            let old = std::mem::replace(&mut slot.stage, Stage::Ended(Err(Fault::Timeout)));
            self.left_in_queue += 1;
            if let Stage::Waiting { waker, .. } = old {
                wakers.push(waker);
            }
        }
        earliest
    }

    /// At most how many of the queue nobody waits for any more.
    pub(crate) fn left_in_queue(&self) -> usize {
        self.left_in_queue
    }

    pub(crate) fn none_left_in_queue(&mut self) {
        self.left_in_queue = 0;
    }

    fn free_if_unnamed(&mut self, place: u32) {
        let free = self.free;
        let slot = self.at(place);
        if !slot.lined && !slot.held {
            slot.stage = Stage::Free { next: free };
            self.free = place;
            self.used -= 1;
        }
    }

    fn at(&mut self, place: u32) -> &mut Slot<F> {
        &mut self.slots[place as usize]
    }
}
