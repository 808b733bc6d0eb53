//! Versions of tags: the same until renewed, and never again.

use std::collections::HashSet;

use super::run::{Check, Checked, Run, WITHIN, check, holds, same};
use crate::store::together::together;

pub(super) fn checks<'a>(run: &'a Run<'_>) -> Vec<Check<'a>> {
    vec![
        check("a tag's version stays until it is renewed, and is no other tag's", stable(run)),
        check("a renewed tag has a version that it never had", renewed(run)),
        check("all who ask at once for a new tag are told the same version", at_once(run)),
    ]
}

async fn stable(run: &Run<'_>) -> Checked {
    let [one, two] = ["stable-1", "stable-2"].map(|name| run.tag(name));
    let first = run.store.versions(&[one.clone(), two.clone()], WITHIN).await?;
    same("how many versions two tags have", &first.len(), &2)?;
    holds(first[0] != first[1], || "two tags have one version".to_string())?;
    let again = run.store.versions(&[two.clone(), one.clone(), two.clone()], WITHIN).await?;
    same("the versions, asked again", &again, &vec![first[1], first[0], first[1]])?;
    same("the versions of no tags", &run.store.versions(&[], WITHIN).await?, &Vec::new())?;
    run.store.renew(&one, WITHIN).await?;
    let then = run.store.versions(&[one, two], WITHIN).await?;
    holds(then[0] != first[0], || "a renewed tag has its old version".to_string())?;
    same("the version of a tag that was not renewed", &then[1], &first[1])
}

async fn renewed(run: &Run<'_>) -> Checked {
    let tag = [run.tag("renewed")];
    let mut all = HashSet::new();
    for _ in 0..100 {
        run.store.renew(&tag[0], WITHIN).await?;
        let version = run.store.versions(&tag, WITHIN).await?[0];
        holds(all.insert(version), || "a version came twice".to_string())?;
    }
    Ok(())
}

async fn at_once(run: &Run<'_>) -> Checked {
    let tags: Vec<_> = (0..20).map(|number| run.tag(&format!("new-{number}"))).collect();
    let asked = together((0..20).map(|_| run.store.versions(&tags, WITHIN))).await;
    let told = asked.into_iter().collect::<Result<HashSet<_>, _>>()?;
    same("how many different answers there were", &told.len(), &1)
}
