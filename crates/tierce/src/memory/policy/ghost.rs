//! Which keys were evicted lately: a set-associative table of fingerprints, four bytes an entry.
//!
//! A lookup touches one 16-byte bucket, so a miss pays one cache line and no table ever rehashes. Time is the number
//! of evictions remembered; a fingerprint is known until `span` newer ones came. A false match (about one in 16,000)
//! only gives one entry a better place than it earned. A key is kept as 16 bits of fingerprint and 16 bits of time,
//! so time runs in steps of `span / 2^14`.

const WAYS: usize = 4;

pub(super) struct Ghost {
    buckets: Vec<[Trace; WAYS]>,
    now: u64,
    span: u64,
    /// log2 of how many evictions one step of time is.
    step: u32,
}

#[derive(Clone, Copy, Default)]
struct Trace {
    print: u16,
    time: u16,
}

impl Ghost {
    /// Remembers the last `span` evictions; grows its table with `room_for`.
    pub(super) fn new(span: u64) -> Self {
        let mut ghost = Ghost { buckets: Vec::new(), now: 0, span, step: 0 };
        ghost.resize(span);
        ghost
    }

    pub(super) fn resize(&mut self, span: u64) {
        self.span = span.max(1);
        // Ages of up to twice the span must be told apart in 15 bits.
        self.step = (64 - (self.span >> 13).leading_zeros()).min(40);
    }

    /// Makes the table large enough for `entries` traces. What was remembered is forgotten when it grows.
    pub(super) fn room_for(&mut self, entries: u64) {
        let buckets = (entries.min(self.span) / 3).max(2).next_power_of_two();
        let buckets = usize::try_from(buckets).unwrap_or(usize::MAX >> 8);
        if buckets > self.buckets.len() {
            let unused = Trace { print: 0, time: self.ticks().wrapping_sub(u16::MAX / 2) };
            self.buckets = vec![[unused; WAYS]; buckets];
        }
    }

    /// Remembers an evicted key.
    #[inline]
    pub(super) fn add(&mut self, hash: u32) {
        let (bucket, print) = self.place(hash);
        self.now += 1;
        let now = self.ticks();
        let Some(traces) = self.buckets.get_mut(bucket) else { return };
        let mut oldest = 0;
        for way in 1..WAYS {
            if now.wrapping_sub(traces[way].time) > now.wrapping_sub(traces[oldest].time) {
                oldest = way;
            }
        }
        traces[oldest] = Trace { print, time: now };
    }

    /// Whether the key was evicted lately; it is forgotten by being asked for.
    #[inline]
    pub(super) fn take(&mut self, hash: u32) -> bool {
        let (bucket, print) = self.place(hash);
        let now = self.ticks();
        let span = (self.span >> self.step) as u16;
        let Some(traces) = self.buckets.get_mut(bucket) else { return false };
        for trace in traces {
            if trace.print == print && now.wrapping_sub(trace.time) <= span {
                trace.time = now.wrapping_sub(u16::MAX / 2);
                return true;
            }
        }
        false
    }

    #[inline]
    fn ticks(&self) -> u16 {
        (self.now >> self.step) as u16
    }

    #[inline]
    fn place(&self, hash: u32) -> (usize, u16) {
        // The multiplication spreads what the table's own use of the hash left in order.
        let mixed = hash.wrapping_mul(0x9E37_79B1);
        let bucket = (mixed >> 7) as usize & self.buckets.len().wrapping_sub(1);
        (bucket, (hash >> 16) as u16 ^ mixed as u16)
    }
}
