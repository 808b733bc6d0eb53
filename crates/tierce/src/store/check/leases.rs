//! Leases: one loads, and what he brings is stored only if nothing happened to the key since.

use std::time::Duration;

use super::run::{Check, Checked, LONG, Run, SHORT, SOME, WITHIN, check, entry, holds, pause, same};
use crate::clock::Clock;
use crate::store::face::{Key, Lease, Stored, Tell, Token};
use crate::store::together::together;

pub(super) fn checks<'a>(run: &'a Run<'_>) -> Vec<Check<'a>> {
    let mut checks = vec![check("another entry than the asker has seen is found", found(run))];
    for kind in [Kind::Absent, Kind::Stale] {
        checks.extend([
            check(format!("one of many askers wins the lease of {kind:?}"), one_wins(run, kind)),
            check(format!("who has the lease of {kind:?} fills once"), fills(run, kind)),
            check(format!("whatever changed {kind:?} ended its lease"), overtaken(run, kind)),
            check(format!("a lease of {kind:?} that is given back is won again"), given_back(run, kind)),
            check(format!("a lease of {kind:?} ends with its time, unless extended"), ends(run, kind)),
            check(format!("nobody wins a lease of {kind:?} that is held"), held(run, kind)),
        ]);
    }
    checks
}

/// What a lease is asked for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A key without an entry.
    Absent,
    /// A key whose entry is to be replaced.
    Stale,
}

impl Kind {
    /// A key of this kind, and what was seen of it.
    async fn key(self, run: &Run<'_>, name: &str) -> Checked<(Key, Option<Stored>)> {
        let key = run.key(&format!("{name}-{self:?}"));
        let seen = match self {
            Kind::Absent => None,
            Kind::Stale => Some(run.put(&key, 1).await?),
        };
        Ok((key, seen))
    }
}

async fn fill(run: &Run<'_>, key: &Key, token: Token, number: u8) -> Checked<bool> {
    Ok(run.store.fill(key, token, &entry(number), LONG, Tell::Nobody, WITHIN).await?)
}

/// A fill that must be refused, and change nothing.
async fn refused(run: &Run<'_>, key: &Key, token: Token, after: &str) -> Checked {
    let before = run.get(key).await?;
    holds(!fill(run, key, token, 99).await?, || format!("a fill was taken after {after}"))?;
    same(&format!("the entry after a refused fill, after {after},"), &run.get(key).await?, &before)
}

async fn one_wins(run: &Run<'_>, kind: Kind) -> Checked {
    let (key, seen) = kind.key(run, "one").await?;
    let asked = together((0..50).map(|_| run.lease(&key, seen.as_ref()))).await;
    let (mut won, mut lost) = (0, 0);
    for lease in asked {
        match lease? {
            Lease::Won(_) => won += 1,
            Lease::Lost => lost += 1,
            other => return Err(format!("one of 50 askers got {other:?}").into()),
        }
    }
    same("(won, lost)", &(won, lost), &(1, 49))?;
    same("what the store has meanwhile", &run.get(&key).await?, &seen)
}

async fn fills(run: &Run<'_>, kind: Kind) -> Checked {
    for (name, tell) in [("fill-quiet", Tell::Nobody), ("fill-loud", Tell::Everybody)] {
        let (key, seen) = kind.key(run, name).await?;
        let token = run.win(&key, seen.as_ref()).await?;
        let stood = run.store.fill(&key, token, &entry(2), LONG, tell, WITHIN).await?;
        holds(stood, || "a fill under a lease that stands was refused".to_string())?;
        run.holds(&key, 2).await?;
        refused(run, &key, token, "a first fill").await?;
        let here = run.get(&key).await?;
        run.win(&key, here.as_ref()).await?;
    }
    Ok(())
}

async fn overtaken(run: &Run<'_>, kind: Kind) -> Checked {
    let (key, seen) = kind.key(run, "invalidated").await?;
    let token = run.win(&key, seen.as_ref()).await?;
    run.store.invalidate(std::slice::from_ref(&key), WITHIN).await?;
    refused(run, &key, token, "an invalidation").await?;
    run.empty(&key).await?;
    let second = run.win(&key, None).await?;
    refused(run, &key, token, "another lease was won").await?;
    holds(fill(run, &key, second, 3).await?, || "a refused fill ended the lease of another".to_string())?;
    let here = run.get(&key).await?;
    run.win(&key, here.as_ref()).await?;

    let (key, seen) = kind.key(run, "set").await?;
    let token = run.win(&key, seen.as_ref()).await?;
    run.set(&key, &entry(4)).await?;
    refused(run, &key, token, "a set").await?;
    run.holds(&key, 4).await?;
    let here = run.get(&key).await?;
    run.win(&key, here.as_ref()).await?;

    let (key, seen) = kind.key(run, "marked").await?;
    let token = run.win(&key, seen.as_ref()).await?;
    run.store.mark_stale(&key, LONG, WITHIN).await?;
    refused(run, &key, token, "mark_stale").await?;
    let here = run.get(&key).await?;
    let second = run.win(&key, here.as_ref()).await?;
    holds(fill(run, &key, second, 5).await?, || "the fill of a marked entry was refused".to_string())?;
    run.holds(&key, 5).await?;

    let (key, seen) = kind.key(run, "taken").await?;
    let token = run.win(&key, seen.as_ref()).await?;
    run.store.hold(&key, LONG, WITHIN).await?;
    refused(run, &key, token, "a hold").await
}

async fn given_back(run: &Run<'_>, kind: Kind) -> Checked {
    let (key, seen) = kind.key(run, "back").await?;
    let first = run.win(&key, seen.as_ref()).await?;
    run.store.give_back(&key, first, WITHIN).await?;
    same("the entry of a lease that was given back", &run.get(&key).await?, &seen)?;
    let second = run.win(&key, seen.as_ref()).await?;
    refused(run, &key, first, "it was given back").await?;
    run.store.give_back(&key, first, WITHIN).await?;
    let third = run.lease(&key, seen.as_ref()).await?;
    same("a lease that another has, after an old one was given back,", &third, &Lease::Lost)?;
    holds(fill(run, &key, second, 2).await?, || "an old lease that was given back ended the next".to_string())?;
    run.store.give_back(&key, second, WITHIN).await?;
    run.holds(&key, 2).await
}

async fn ends(run: &Run<'_>, kind: Kind) -> Checked {
    // A lease of no time is over as soon as a store can do, and no fault.
    let (none, none_seen) = kind.key(run, "no-time").await?;
    run.win_for(&none, none_seen.as_ref(), Duration::ZERO).await?;
    until_won(run, &none, none_seen.as_ref()).await?;
    run.store.hold(&none, Duration::ZERO, WITHIN).await?;

    let (key, seen) = kind.key(run, "ends").await?;
    let (long, long_seen) = kind.key(run, "extended").await?;
    let extended = run.win_for(&long, long_seen.as_ref(), SOME).await?;
    let is_extended = run.store.extend(&long, extended, LONG, WITHIN).await?;
    holds(is_extended, || "a lease that stands was not extended".to_string())?;
    let first = run.win_for(&key, seen.as_ref(), SOME).await?;
    let second = until_won(run, &key, seen.as_ref()).await?;
    refused(run, &key, first, "its time was over").await?;
    let is_extended = run.store.extend(&key, first, LONG, WITHIN).await?;
    holds(!is_extended, || "a lease whose time was over was extended".to_string())?;
    holds(fill(run, &key, second, 2).await?, || "the next lease did not stand".to_string())?;
    let lease = run.lease(&long, long_seen.as_ref()).await?;
    same("a lease that was extended by another", &lease, &Lease::Lost)?;
    holds(fill(run, &long, extended, 3).await?, || "an extended lease did not stand".to_string())?;
    run.holds(&long, 3).await
}

/// Asks until the lease is won.
async fn until_won(run: &Run<'_>, key: &Key, seen: Option<&Stored>) -> Checked<Token> {
    let end = Clock::system().precise() + WITHIN;
    loop {
        match run.lease(key, seen).await? {
            Lease::Won(token) => return Ok(token),
            Lease::Lost | Lease::Held => pause(end, "a lease whose time is over is not won by the next").await?,
            Lease::Found(stored) => return Err(format!("it was found that there is {stored:?}").into()),
        }
    }
}

async fn held(run: &Run<'_>, kind: Kind) -> Checked {
    let (key, seen) = kind.key(run, "held").await?;
    let first = run.store.hold(&key, LONG, WITHIN).await?;
    same("a lease of a held key", &run.lease(&key, seen.as_ref()).await?, &Lease::Held)?;
    let second = run.store.hold(&key, LONG, WITHIN).await?;
    refused(run, &key, first, "another hold").await?;
    run.store.give_back(&key, first, WITHIN).await?;
    same("a lease of a key that another holds", &run.lease(&key, seen.as_ref()).await?, &Lease::Held)?;
    holds(run.store.extend(&key, second, LONG, WITHIN).await?, || "a hold was not extended".to_string())?;
    holds(fill(run, &key, second, 2).await?, || "what was written under a hold was refused".to_string())?;
    run.holds(&key, 2).await?;
    let here = run.get(&key).await?;
    let token = run.win(&key, here.as_ref()).await?;
    run.store.give_back(&key, token, WITHIN).await?;

    let (key, _) = kind.key(run, "held-back").await?;
    let hold = run.store.hold(&key, LONG, WITHIN).await?;
    run.store.give_back(&key, hold, WITHIN).await?;
    let lease = run.lease(&key, None).await?;
    holds(!matches!(lease, Lease::Held | Lease::Lost), || format!("after a hold was given back it is {lease:?}"))?;

    let (key, _) = kind.key(run, "held-ended").await?;
    for ended in ["set", "invalidate"] {
        let hold = run.store.hold(&key, LONG, WITHIN).await?;
        match ended {
            "set" => run.set(&key, &entry(3)).await?,
            _ => run.store.invalidate(std::slice::from_ref(&key), WITHIN).await?,
        }
        refused(run, &key, hold, ended).await?;
        let here = run.get(&key).await?;
        let token = run.win(&key, here.as_ref()).await?;
        run.store.give_back(&key, token, WITHIN).await?;
    }

    let (key, seen) = kind.key(run, "held-short").await?;
    run.store.hold(&key, SHORT, WITHIN).await?;
    let seen = run.get(&key).await?.and(seen);
    until_won(run, &key, seen.as_ref()).await?;
    Ok(())
}

async fn found(run: &Run<'_>) -> Checked {
    let key = run.key("found");
    let first = run.put(&key, 1).await?;
    same("what a miss finds", &run.lease(&key, None).await?, &Lease::Found(first.clone()))?;
    let second = run.put(&key, 2).await?;
    let lease = run.lease(&key, Some(&first)).await?;
    same("what is found instead of the first", &lease, &Lease::Found(second.clone()))?;
    run.store.mark_stale(&key, LONG, WITHIN).await?;
    let marked = Stored::new(second.bytes.clone(), true);
    let lease = run.lease(&key, Some(&second)).await?;
    same("what is found instead of what is not marked", &lease, &Lease::Found(marked.clone()))?;
    let token = run.win(&key, Some(&marked)).await?;
    holds(fill(run, &key, token, 3).await?, || "a lease that was won after all did not stand".to_string())?;
    run.store.invalidate(std::slice::from_ref(&key), WITHIN).await?;
    run.win(&key, Some(&marked)).await?;
    Ok(())
}
