//! Entries: what is put into a store comes out as it was, as long as it may.

use std::time::Duration;

use super::run::{Check, Checked, LONG, Run, SHORT, SOME, WITHIN, check, entry, holds, same};
use crate::store::face::{Stored, Tell};
use crate::store::fault::Fault;

pub(super) fn checks<'a>(run: &'a Run<'_>) -> Vec<Check<'a>> {
    vec![
        check("what was set comes back byte for byte", bytes(run)),
        check("several keys are answered in their order, whichever they are", many(run)),
        check("an entry goes when its time is over, and not before", expiry(run)),
        check("keys of 240 bytes are as good as any", longest(run)),
        check("touch replaces the head and the time of an entry that is not marked", touch(run)),
        check("mark_stale marks an entry and keeps its bytes, no longer than asked", mark(run)),
        check("what was invalidated is gone, and nothing else is", invalidate(run)),
        check("invalidate_matching ends what matches, says how many, or refuses", matching(run)),
        check("servers say where they are", servers(run)),
    ]
}

async fn bytes(run: &Run<'_>) -> Checked {
    let key = run.key("bytes");
    run.empty(&key).await?;
    let each = [0xC4, 1, 0].into_iter().chain(0..=255).collect();
    let lines = b"\xC4\x01\x00\r\nEN\r\n$-1\r\n{}".to_vec();
    let mut large = vec![0xA5; 900_000];
    large[2] = 0;
    for value in [vec![0; 3], each, lines, large] {
        run.set(&key, &value).await?;
        let got = run.get(&key).await?;
        let is_same = got.as_ref().is_some_and(|got| got.bytes == value && !got.marked);
        holds(is_same, || format!("{} bytes did not come back as they went", value.len()))?;
    }
    Ok(())
}

async fn many(run: &Run<'_>) -> Checked {
    let [one, two, absent] = ["many 1", "many 2", "many 3"].map(|name| run.key(&name.replace(' ', "-")));
    let (first, second) = (run.put(&one, 1).await?, run.put(&two, 2).await?);
    let keys = [&two, &absent, &one, &one, &two].map(Clone::clone);
    let got = run.store.get_many(&keys, WITHIN).await?;
    let expected = [Some(&second), None, Some(&first), Some(&first), Some(&second)].map(Option::<&Stored>::cloned);
    same("what was got", &got, &expected.to_vec())?;
    same("what was got of no keys", &run.store.get_many(&[], WITHIN).await?, &Vec::new())?;
    let lots: Vec<_> = (0..500).map(|number| if number % 2 == 0 { one.clone() } else { absent.clone() }).collect();
    let got = run.store.get_many(&lots, WITHIN).await?;
    let is_right = got.len() == 500 && got.iter().enumerate().all(|(at, each)| each.is_some() == (at % 2 == 0));
    holds(is_right, || "of 500 keys not each had its own answer".to_string())
}

async fn expiry(run: &Run<'_>) -> Checked {
    let [short, long, never] = ["expiry-short", "expiry-long", "expiry-never"].map(|name| run.key(name));
    run.store.set(&short, &entry(1), SHORT, WITHIN).await?;
    run.set(&long, &entry(2)).await?;
    run.store.set(&never, &entry(3), Duration::MAX, WITHIN).await?;
    run.gone(&short).await?;
    run.holds(&long, 2).await?;
    run.holds(&never, 3).await?;
    // No time at all is over at once, and what was there before is not there again.
    run.store.set(&long, &entry(4), Duration::ZERO, WITHIN).await?;
    run.gone(&long).await?;
    let token = run.win(&long, None).await?;
    run.store.fill(&long, token, &entry(5), SHORT, Tell::Nobody, WITHIN).await?;
    run.gone(&long).await
}

async fn longest(run: &Run<'_>) -> Checked {
    let room = 240 - run.key("").as_str().len();
    let (one, two) = (run.key(&"a".repeat(room)), run.key(&format!("{}b", "a".repeat(room - 1))));
    run.put(&one, 1).await?;
    run.put(&two, 2).await?;
    run.holds(&one, 1).await?;
    run.store.invalidate(std::slice::from_ref(&one), WITHIN).await?;
    let token = run.win(&one, None).await?;
    holds(run.store.extend(&one, token, LONG, WITHIN).await?, || "its lease was not extended".to_string())?;
    run.holds(&two, 2).await?;
    let room = 240 - run.tag("").as_str().len();
    let tags = ["a", "b"].map(|last| run.tag(&format!("{}{last}", "a".repeat(room - 1))));
    let versions = run.store.versions(&tags, WITHIN).await?;
    holds(versions[0] != versions[1], || "two tags of 240 bytes are one".to_string())
}

async fn touch(run: &Run<'_>) -> Checked {
    let [key, sibling, absent] = ["touch", "touch-sibling", "touch-absent"].map(|name| run.key(name));
    let ask = async |key, head, time| run.store.touch(key, head, time, WITHIN).await;
    holds(!ask(&absent, b"\xC4\x02\x00", LONG).await?, || "a touch found what is not here".to_string())?;
    run.empty(&absent).await?;
    run.store.set(&key, &entry(1), SOME, WITHIN).await?;
    run.store.set(&sibling, &entry(2), SOME, WITHIN).await?;
    holds(ask(&key, b"\xC4\x02\x00", LONG).await?, || "a touch did not find the entry".to_string())?;
    run.gone(&sibling).await?;
    let mut expected = entry(1);
    expected[1] = 2;
    same("the touched entry", &run.get(&key).await?, &Some(Stored::new(expected, false)))?;
    holds(ask(&key, b"\xC4\x03\x00", SHORT).await?, || "a second touch did not find the entry".to_string())?;
    run.gone(&key).await?;
    run.put(&key, 3).await?;
    run.store.mark_stale(&key, LONG, WITHIN).await?;
    holds(!ask(&key, b"\xC4\x02\x00", LONG).await?, || "a marked entry was touched".to_string())?;
    same("the marked entry", &run.get(&key).await?, &Some(Stored::new(entry(3), true)))
}

async fn mark(run: &Run<'_>) -> Checked {
    let [key, absent] = ["mark", "mark-absent"].map(|name| run.key(name));
    run.store.mark_stale(&absent, LONG, WITHIN).await?;
    run.empty(&absent).await?;
    run.put(&key, 1).await?;
    for _ in 0..2 {
        run.store.mark_stale(&key, LONG, WITHIN).await?;
        same("the marked entry", &run.get(&key).await?, &Some(Stored::new(entry(1), true)))?;
    }
    let many = run.store.get_many(std::slice::from_ref(&key), WITHIN).await?;
    same("the marked entry of several", &many, &vec![Some(Stored::new(entry(1), true))])?;
    run.put(&key, 2).await?;
    run.holds(&key, 2).await?;
    run.store.mark_stale(&key, SHORT, WITHIN).await?;
    run.gone(&key).await?;
    run.put(&key, 3).await?;
    run.store.mark_stale(&key, Duration::ZERO, WITHIN).await?;
    run.gone(&key).await
}

async fn invalidate(run: &Run<'_>) -> Checked {
    let [one, two, other, absent] = ["end-1", "end-2", "end-other", "end-absent"].map(|name| run.key(name));
    for (key, number) in [(&one, 1), (&two, 2), (&other, 3)] {
        run.put(key, number).await?;
    }
    run.store.invalidate(&[], WITHIN).await?;
    run.store.invalidate(&[one.clone(), absent, two.clone(), one.clone()], WITHIN).await?;
    run.empty(&one).await?;
    run.empty(&two).await?;
    run.holds(&other, 3).await?;
    let lots: Vec<_> = (0..1500).map(|number| run.key(&format!("end-{number}"))).collect();
    run.store.set(&lots[1499], &entry(4), LONG, WITHIN).await?;
    run.store.invalidate(&lots, WITHIN).await?;
    run.empty(&lots[1499]).await
}

async fn matching(run: &Run<'_>) -> Checked {
    let names = ["m[a-b]^1*", "m[a-b]^2?", "m[a-b]^33", "ma1", "n[a-b]^1*"];
    let keys = names.map(|name| run.key(&format!("match*:{name}")));
    let beside = run.key("matches:m[a-b]^44");
    for (key, number) in keys.iter().chain([&beside]).zip(0..) {
        run.put(key, number).await?;
    }
    let begin = format!("{}match*:", run.begin());
    let end = async |pattern| run.store.invalidate_matching(&begin, pattern, WITHIN).await;
    let ended = match end("m[a-b]^??}").await {
        // A store that cannot says what else to do.
        Err(Fault::Refused(sentence)) => {
            return holds(sentence.contains("tag"), || format!("it refuses, and names no tags: {sentence}"));
        }
        ended => ended?,
    };
    same("what was ended", &ended, &3)?;
    for key in &keys[..3] {
        run.empty(key).await?;
    }
    run.holds(&keys[3], 3).await?;
    run.holds(&keys[4], 4).await?;
    run.holds(&beside, 5).await?;
    let ended = end(r"n\[a-b]^1\*}").await?;
    same("what a backslash ended that stands before no star", &ended, &0)?;
    same("what a star ended that is itself", &end(r"n[a-b]^1\*}").await?, &1)?;
    let token = run.win(&keys[0], None).await?;
    same("what was left", &end("m*").await?, &1)?;
    run.empty(&keys[3]).await?;
    // A lease goes too, also where there is no entry beside it, or is refused with its fill.
    let filled = run.store.fill(&keys[0], token, &entry(6), LONG, Tell::Nobody, WITHIN).await?;
    holds(!filled, || "a fill was taken after its key was ended by a pattern".to_string())
}

async fn servers(run: &Run<'_>) -> Checked {
    let servers = run.store.servers(WITHIN).await?;
    let is_said = !servers.is_empty() && servers.iter().all(|each| !each.address.is_empty() && !each.facts.is_empty());
    holds(is_said, || format!("it says {servers:?}"))
}
