//! The word that somebody meant.

/// The known word that is nearest to a mistyped one, if any is near.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the word wrong is a typo; more is another word.
    let most = word.len().div_ceil(3);
    let near = known.into_iter().map(|known| (distance(word, known), known)).filter(|(far, _)| *far <= most);
    near.min_by_key(|(far, _)| *far).map(|(_, known)| known)
}

/// Letters to change, add or drop (Levenshtein), a row of the table at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_mistyped_word_finds_the_one_that_was_meant() {
        let known = ["ttl", "tags", "capacity", "name"];
        assert_eq!(super::nearest("capcity", known), Some("capacity"));
        assert_eq!(super::nearest("tll", known), Some("ttl"));
        assert_eq!(super::nearest("wibble", known), None);
    }
}
