//! What a process under check tells of itself, as records of one length: whatever was sent whole is known, also of one
//! that was killed.

/// The length of a record in bytes.
pub(super) const BYTES: usize = 40;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// A process introduces itself: `id` is its number.
    Hello = 1,
    /// A change has begun: `id` names it.
    Begun,
    /// It has ended.
    Changed,
    Read,
    /// A read that loads nothing: it waits for the store alone.
    Get,
    Load,
    /// All that ended before `end` has been told.
    Watermark,
    /// All invalidations that had failed before `end` have reached the store since.
    Told,
    /// The database is asked for a row: `id` names the question.
    Row,
    /// A row is to be changed.
    Commit,
    /// This call did not end.
    Stuck,
    /// Nothing is under way any more.
    Rest,
    /// Requests that the store failed (`version`) and entries that were damaged (`id`).
    Health,
    /// This process did not get to run meanwhile; or where the outcome is `Failed`, its store did not tell it of changes.
    Trouble,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Outcome {
    Ok = 1,
    /// The store did not take it, or the loader failed: `id` names the failure.
    Failed,
    /// The caller left.
    Left,
    /// A lookup that loads nothing found nothing.
    Missed,
    /// An error that is not the loader's.
    Broken,
    /// A value of another key, or of no row.
    Foreign,
}

/// What is ended by a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Scope {
    Key = 1,
    /// A tag that callers name.
    Tag,
    /// A tag that only results name.
    ResultTag,
    All,
    /// Nothing: a refresh, which may load beside another load.
    Refresh,
}

/// How a value was asked for, and what is promised of it: how old it may be of what other processes invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Class {
    /// From memory where it is there, in a process that does not serve it while it is cut off.
    Bypassing = 1,
    /// … in one that does, and says that it is told of changes.
    Coherent,
    /// … and says that it is not.
    CutOff,
    /// … in one that believes each entry for a time.
    Aged,
    /// What the store has at the time of the call, or else a load.
    Strong,
    /// A load that begins after the call.
    Anew,
    /// A plain read when nothing is changed any more, everything was told and every bound is over.
    AtRest,
}

impl Class {
    pub(super) const ALL: [Class; 7] =
        [Class::Bypassing, Class::Coherent, Class::CutOff, Class::Aged, Class::Strong, Class::Anew, Class::AtRest];

    /// In words, and by which invariant it is judged.
    pub(super) fn words(self) -> (&'static str, &'static str) {
        match self {
            Class::Bypassing => ("plain, memory bypassed when cut off", "I3"),
            Class::Coherent => ("plain, served when cut off; told", "I3"),
            Class::CutOff => ("plain, served when cut off; cut off", "I3"),
            Class::Aged => ("plain, memory by age", "I3"),
            Class::Strong => ("strong", "I2"),
            Class::Anew => ("refresh", "I2"),
            Class::AtRest => ("plain, once all is at rest", "I4"),
        }
    }
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) kind: Kind,
    pub(super) outcome: Outcome,
    pub(super) scope: Scope,
    pub(super) class: Class,
    /// Which key, or tag.
    pub(super) subject: u32,
    pub(super) begin: u64,
    pub(super) end: u64,
    pub(super) version: u64,
    pub(super) id: u64,
}

impl Record {
    pub(super) fn of(kind: Kind) -> Self {
        let (outcome, scope, class) = (Outcome::Ok, Scope::Key, Class::Aged);
        Record { kind, outcome, scope, class, subject: 0, begin: 0, end: 0, version: 0, id: 0 }
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend([self.kind as u8, self.outcome as u8, self.scope as u8, self.class as u8]);
        out.extend(self.subject.to_le_bytes());
        for number in [self.begin, self.end, self.version, self.id] {
            out.extend(number.to_le_bytes());
        }
    }

    /// `None` for bytes that are no record.
    pub(super) fn read(bytes: &[u8; BYTES]) -> Option<Self> {
        let number = |at: usize| {
            let mut part = [0; 8];
            part.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(part)
        };
        Some(Record {
            kind: *KINDS.get(usize::from(bytes[0]).checked_sub(1)?)?,
            outcome: *OUTCOMES.get(usize::from(bytes[1]).checked_sub(1)?)?,
            scope: *SCOPES.get(usize::from(bytes[2]).checked_sub(1)?)?,
            class: *Class::ALL.get(usize::from(bytes[3]).checked_sub(1)?)?,
            subject: u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            begin: number(8),
            end: number(16),
            version: number(24),
            id: number(32),
        })
    }
}

const KINDS: [Kind; 14] = [
    Kind::Hello,
    Kind::Begun,
    Kind::Changed,
    Kind::Read,
    Kind::Get,
    Kind::Load,
    Kind::Watermark,
    Kind::Told,
    Kind::Row,
    Kind::Commit,
    Kind::Stuck,
    Kind::Rest,
    Kind::Health,
    Kind::Trouble,
];
const OUTCOMES: [Outcome; 6] =
    [Outcome::Ok, Outcome::Failed, Outcome::Left, Outcome::Missed, Outcome::Broken, Outcome::Foreign];
const SCOPES: [Scope; 5] = [Scope::Key, Scope::Tag, Scope::ResultTag, Scope::All, Scope::Refresh];

/// What a process is told: the answer to a question of the database, or what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The row's version, for this question.
    Answer(u64, u64),
    /// End what is under way, and say when nothing is.
    Stop,
    /// Read every key once, and say when that is done.
    ReadAll,
    /// Set the wall clock off by so many seconds.
    StepClock(i64),
}

/// The length of an order in bytes.
pub(super) const ORDER_BYTES: usize = 17;

impl Order {
    pub(super) fn bytes(self) -> [u8; ORDER_BYTES] {
        let (kind, one, two) = match self {
            Order::Answer(id, version) => (0, id, version),
            Order::Stop => (1, 0, 0),
            Order::ReadAll => (2, 0, 0),
            Order::StepClock(off_s) => (3, off_s.cast_unsigned(), 0),
        };
        let mut bytes = [kind; ORDER_BYTES];
        bytes[1..9].copy_from_slice(&u64::to_le_bytes(one));
        bytes[9..].copy_from_slice(&u64::to_le_bytes(two));
        bytes
    }

    pub(super) fn read(bytes: &[u8; ORDER_BYTES]) -> Self {
        let (mut one, mut two) = ([0; 8], [0; 8]);
        one.copy_from_slice(&bytes[1..9]);
        two.copy_from_slice(&bytes[9..]);
        match bytes[0] {
            0 => Order::Answer(u64::from_le_bytes(one), u64::from_le_bytes(two)),
            1 => Order::Stop,
            3 => Order::StepClock(u64::from_le_bytes(one).cast_signed()),
            _ => Order::ReadAll,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for kind in KINDS {
            let every = OUTCOMES.into_iter().cycle().zip(SCOPES.into_iter().cycle()).zip(Class::ALL);
            for ((outcome, scope), class) in every {
                let record = Record {
                    outcome,
                    scope,
                    class,
                    subject: 7,
                    begin: 1,
                    end: 2,
                    version: 3,
                    id: 4,
                    ..Record::of(kind)
                };
                let mut bytes = Vec::new();
                record.write(&mut bytes);
                assert_eq!(Record::read(bytes.first_chunk().expect("it is as long")), Some(record));
            }
        }
        assert_eq!(Record::read(&[0; BYTES]), None);
        for order in [Order::Answer(7, 8), Order::Stop, Order::ReadAll, Order::StepClock(-7)] {
            assert_eq!(Order::read(&order.bytes()), order);
        }
    }

    /// `CutOff` as Python writes it: `CUT_OFF`.
    fn shouted(name: &str) -> String {
        let letter = |letter: char| [letter.is_uppercase().then_some('_'), Some(letter.to_ascii_uppercase())];
        name.chars().flat_map(letter).flatten().collect::<String>().trim_start_matches('_').to_owned()
    }

    #[test]
    fn python_has_the_same_numbers() {
        let kinds = KINDS.map(|kind| (format!("{kind:?}"), kind as u8)).to_vec();
        let outcomes = OUTCOMES.map(|outcome| (format!("{outcome:?}"), outcome as u8)).to_vec();
        let scopes = SCOPES.map(|scope| (format!("{scope:?}"), scope as u8)).to_vec();
        let classes = Class::ALL.map(|class| (format!("{class:?}"), class as u8)).to_vec();
        let orders = [Order::Answer(0, 0), Order::Stop, Order::ReadAll, Order::StepClock(0)];
        let name = |order: Order| format!("{order:?}").split('(').next().map_or_else(String::new, str::to_owned);
        let orders = orders.map(|order| (name(order), order.bytes()[0])).to_vec();
        let all = [("Kind", kinds), ("Outcome", outcomes), ("Scope", scopes), ("Class", classes), ("Order", orders)];
        let text = |(class, names): (&str, Vec<(String, u8)>)| {
            let names = names.iter().map(|(name, number)| format!("    {} = {number}\n", shouted(name)));
            format!("class {class}:\n{}", names.collect::<String>())
        };
        for class in all.map(text) {
            assert!(include_str!("python/record.py").contains(&class), "record.py lacks\n{class}");
        }
    }
}
