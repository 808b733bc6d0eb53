//! The paths a text of code names: the leaves of its `use` trees, and paths in between.

use super::text::{is_word, places_of, skip_spaces};

/// One path, as written: `crate::memory::Shard` or `super::Entry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    pub(crate) at: usize,
    pub(crate) segments: Vec<String>,
}

/// One leaf of a `use` tree: the path it brings and the name by which it is then known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) mention: Mention,
    /// `*` for a glob.
    pub(crate) name: String,
    /// With a `pub` of any reach before it.
    pub(crate) public: bool,
}

/// Every leaf of every `use`, and the code with those items blanked.
pub(crate) fn imports(code: &str) -> (Vec<Import>, String) {
    let mut found = Vec::new();
    let mut rest = code.as_bytes().to_vec();
    for at in places_of(code, "use") {
        let tree = skip_spaces(code, at + 3);
        // `impl Trait + use<'a>` is a bound and brings nothing.
        if tree == at + 3 || code[tree..].starts_with('<') {
            continue;
        }
        let before = code[..at].rfind([';', '{', '}', ']']).map_or(0, |end| end + 1);
        let from = found.len();
        let end = leaves(code, tree, &[], &mut found);
        for import in &mut found[from..] {
            import.public = code[before..at].trim_start().starts_with("pub");
        }
        for byte in rest[before..end].iter_mut().filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }
    let rest = String::from_utf8(rest).expect("code between brackets and names is whole characters");
    (found, rest)
}

/// Reads the tree at `at` and returns the place after it.
fn leaves(code: &str, at: usize, prefix: &[String], found: &mut Vec<Import>) -> usize {
    let mut segments = prefix.to_vec();
    let start = skip_spaces(code, at);
    let mut at = start;
    loop {
        at = skip_spaces(code, at);
        match code.as_bytes().get(at) {
            Some(b'{') => return list(code, at + 1, &segments, found),
            Some(b'*') => {
                segments.push("*".to_owned());
                found.push(leaf(start, segments, None));
                return at + 1;
            }
            _ => {}
        }
        let name = word_at(code, at);
        segments.push(name.to_owned());
        at = skip_spaces(code, at + name.len());
        if code[at..].starts_with("::") {
            at += 2;
            continue;
        }
        let alias = (word_at(code, at) == "as").then(|| {
            at = skip_spaces(code, at + 2);
            let alias = word_at(code, at);
            at += alias.len();
            alias
        });
        found.push(leaf(start, segments, alias));
        return at;
    }
}

fn list(code: &str, mut at: usize, prefix: &[String], found: &mut Vec<Import>) -> usize {
    loop {
        at = skip_spaces(code, at);
        match code.as_bytes().get(at) {
            Some(b'}') => return at + 1,
            Some(b',') => at += 1,
            Some(byte) if is_word(*byte) || matches!(byte, b'{' | b'*' | b':') => at = leaves(code, at, prefix, found),
            _ => return at,
        }
    }
}

fn leaf(at: usize, mut segments: Vec<String>, alias: Option<&str>) -> Import {
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    let name = alias.or(segments.last().map(String::as_str)).unwrap_or_default().to_owned();
    Import { mention: Mention { at, segments }, name, public: false }
}

fn word_at(code: &str, at: usize) -> &str {
    let length = code.as_bytes()[at..].iter().take_while(|byte| is_word(**byte)).count();
    &code[at..at + length]
}

/// Every path of two segments or more that stands outside `use` items.
pub(crate) fn mentions(code: &str) -> Vec<Mention> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !is_word(bytes[at]) {
            at += 1;
            continue;
        }
        let start = at;
        let mut segments = vec![word_at(code, at).to_owned()];
        at += segments[0].len();
        while code[at..].starts_with("::") && bytes.get(at + 2).is_some_and(|byte| is_word(*byte)) {
            let name = word_at(code, at + 2);
            segments.push(name.to_owned());
            at += 2 + name.len();
        }
        // `pub(in crate::cache)` says who may look, and names nothing.
        let is_reach = code[..start].ends_with("(in ");
        if segments.len() > 1 && !is_reach && !code[..start].ends_with("::") {
            found.push(Mention { at: start, segments });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{imports, mentions};

    #[track_caller]
    fn check_imports(code: &str, expected: &[&str]) {
        let (found, _) = imports(code);
        let found: Vec<_> = found
            .iter()
            .map(|import| {
                let reach = if import.public { "pub " } else { "" };
                format!("{reach}{} = {}", import.name, import.mention.segments.join("::"))
            })
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn every_leaf_of_a_tree_is_an_import() {
        check_imports("use a::B;", &["B = a::B"]);
        check_imports(
            "pub(crate) use a::{self, b::{C as D, *}, E,};",
            &["pub a = a", "pub D = a::b::C", "pub * = a::b::*", "pub E = a::E"],
        );
        check_imports("fn f() { use super :: g\n; }", &["g = super::g"]);
        check_imports("use {a, crate::b};", &["a = a", "b = crate::b"]);
        check_imports("fn f() -> impl A + use<'a> {} fn reuse() {}", &[]);
    }

    #[test]
    fn paths_outside_imports_are_mentions() {
        let (_, rest) = imports("use x::y; let a = crate::b::C::new(<D as super::E>::f, g.h); pub(in crate::i) j");
        let found: Vec<_> = mentions(&rest).iter().map(|mention| mention.segments.join("::")).collect();
        assert_eq!(found, ["crate::b::C::new", "super::E"]);
    }
}
