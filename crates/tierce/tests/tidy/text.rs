//! A source file with its code, its comments and its tests told apart.
//!
//! `code` and `comments` are as long as the text, line for line and byte for byte: what does
//! not belong is blanked with spaces. So a place found in one is a place in the others.

use std::ops::Range;

pub(crate) struct Source {
    /// From the root of the repository, with `/`.
    pub(crate) file: String,
    /// Comments, the insides of strings and characters blanked.
    pub(crate) code: String,
    /// Everything but comments blanked.
    pub(crate) comments: String,
    /// `code` with every item under `#[cfg(test)]` blanked too.
    pub(crate) product: String,
    /// Lines that belong to items under `#[cfg(test)]`.
    pub(crate) test_lines: usize,
}

impl Source {
    pub(crate) fn new(file: &str, text: &str) -> Self {
        let (code, comments) = split(text);
        let tests = test_items(&code);
        let test_lines = tests.iter().map(|item| lines_of(&code, item)).sum();
        let mut product = code.clone().into_bytes();
        for item in tests {
            blank(&mut product[item]);
        }
        Self { file: file.to_owned(), product: text_of(product), code, comments, test_lines }
    }

    /// Whether the whole file is tests: `tests.rs`, or anything in a folder `tests`.
    pub(crate) fn is_test(&self) -> bool {
        self.file.ends_with("/tests.rs") || self.file.contains("/tests/")
    }

    /// The line of a place, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        line_of(&self.code, at)
    }
}

pub(crate) fn line_of(text: &str, at: usize) -> usize {
    1 + text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count()
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where `word` stands with no letter, digit or `_` on either side of it.
pub(crate) fn places_of<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    let alone = move |at: &usize| {
        let joined = |side: Option<&u8>, inner: Option<&u8>| {
            inner.is_some_and(|byte| is_word(*byte)) && side.is_some_and(|byte| is_word(*byte))
        };
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let after = bytes.get(at + word.len());
        !joined(before, word.as_bytes().first()) && !joined(after, word.as_bytes().last())
    };
    text.match_indices(word).map(|(at, _)| at).filter(alone)
}

pub(crate) fn skip_spaces(code: &str, mut at: usize) -> usize {
    while code.as_bytes().get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// The place after the bracket that closes the one at `open`; the end of a text cut short.
pub(crate) fn after_bracket(code: &str, open: usize) -> usize {
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The first place past spaces and outer attributes.
pub(crate) fn skip_attributes(code: &str, at: usize) -> usize {
    let mut at = skip_spaces(code, at);
    while code[at..].starts_with("#[") {
        at = skip_spaces(code, after_bracket(code, at + 1));
    }
    at
}

/// The place after the item that starts at `at`: after its `;`, or after its braces.
pub(crate) fn after_item(code: &str, mut at: usize) -> usize {
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b';' => return at + 1,
            b'{' => return after_bracket(code, at),
            b'(' | b'[' => at = after_bracket(code, at),
            _ => at += 1,
        }
    }
    at
}

/// Items under `#[cfg(test)]`, or under a `cfg` that asks for `test` among other things.
fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (at, opening) in code.match_indices("#[cfg(") {
        if items.last().is_some_and(|item| item.contains(&at)) {
            continue;
        }
        let condition = &code[at..after_bracket(code, at + opening.len() - 1)];
        let asks = places_of(condition, "test").next().is_some();
        if asks && !condition.contains("not(test") && !condition.contains("any(") {
            items.push(at..after_item(code, skip_attributes(code, at)));
        }
    }
    items
}

fn lines_of(code: &str, item: &Range<usize>) -> usize {
    1 + code.as_bytes()[item.clone()].iter().filter(|byte| **byte == b'\n').count()
}

fn blank(bytes: &mut [u8]) {
    for byte in bytes.iter_mut().filter(|byte| **byte != b'\n') {
        *byte = b' ';
    }
}

fn text_of(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("whole characters are blanked, never a part of one")
}

/// The code and the comments of a text.
fn split(text: &str) -> (String, String) {
    let mut code = text.as_bytes().to_vec();
    let mut comments = code.clone();
    let mut at = 0;
    let mut code_from = 0;
    while at < text.len() {
        let Some((end, kind)) = not_code(text, at) else {
            at += 1;
            continue;
        };
        match kind {
            Kind::Comment => {
                blank(&mut code[at..end]);
                blank(&mut comments[code_from..at]);
                code_from = end;
            }
            // The quotes stay, so that an argument remains an argument.
            Kind::Literal => blank(&mut code[at + 1..(end - 1).max(at + 1)]),
        }
        at = end;
    }
    blank(&mut comments[code_from..]);
    (text_of(code), text_of(comments))
}

enum Kind {
    Comment,
    Literal,
}

/// The end of the comment or literal that starts at `at`, if one does.
fn not_code(text: &str, at: usize) -> Option<(usize, Kind)> {
    let rest = &text.as_bytes()[at..];
    let in_word = at > 0 && is_word(text.as_bytes()[at - 1]);
    match rest {
        [b'/', b'/', ..] => Some((at + line_length(rest), Kind::Comment)),
        [b'/', b'*', ..] => Some((at + block_length(rest), Kind::Comment)),
        [b'"', ..] => Some((at + quoted_length(rest, b'"'), Kind::Literal)),
        [b'r', b'"' | b'#', ..] if !in_word => Some((at + raw_length(rest)?, Kind::Literal)),
        [b'b' | b'c', b'r', b'"' | b'#', ..] if !in_word => Some((at + 1 + raw_length(&rest[1..])?, Kind::Literal)),
        [b'\'', b'\\', ..] => Some((at + quoted_length(rest, b'\''), Kind::Literal)),
        [b'\'', ..] => {
            // A character closes right after one character; a lifetime never closes.
            let inner = text[at + 1..].chars().next()?;
            let close = at + 1 + inner.len_utf8();
            (text.as_bytes().get(close) == Some(&b'\'')).then_some((close + 1, Kind::Literal))
        }
        _ => None,
    }
}

fn line_length(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

fn block_length(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != quote {
        at += if rest[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The length of `r"…"` or `r#"…"#`; none for a raw name such as `r#type`.
fn raw_length(rest: &[u8]) -> Option<usize> {
    let hashes = rest[1..].iter().take_while(|byte| **byte == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = [b'"'].into_iter().chain(std::iter::repeat_n(b'#', hashes)).collect();
    let from = 2 + hashes;
    let end = rest[from..].windows(close.len()).position(|window| window == close)?;
    Some(from + end + close.len())
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[track_caller]
    fn check_code(text: &str, code: &str) {
        let source = Source::new("a.rs", text);
        assert_eq!(source.code.split_whitespace().collect::<Vec<_>>().join(" "), code);
        assert_eq!(source.code.len(), text.len());
        assert_eq!(source.comments.len(), text.len());
    }

    #[test]
    fn strings_and_comments_are_no_code() {
        check_code("let a = \"// x\"; // y", "let a = \" \";");
        check_code("a /* b /* c */ d */ e", "a e");
        check_code("let a = r#\"quote \" inside\"#; b", "let a = r #; b");
        check_code("let a = '\"'; b('\\'', 'é'); c", "let a = ' '; b(' ', ' '); c");
        check_code("fn a<'b>(c: &'b str) {}", "fn a<'b>(c: &'b str) {}");
        check_code("let r#type = b\"x\\\"y\"; z", "let r#type = b\" \"; z");
        check_code("é // é\nü", "é ü");
    }

    #[test]
    fn comments_are_kept_apart() {
        let source = Source::new("a.rs", "a // one\nb /* two */ \"// three\"\n");
        assert_eq!(source.comments.split_whitespace().collect::<Vec<_>>(), ["//", "one", "/*", "two", "*/"]);
    }

    #[test]
    fn items_under_cfg_test_are_no_product() {
        let text = "a();\n#[cfg(test)]\n#[path = \"x\"]\nmod tests {\n  b();\n}\n#[cfg(test)]\nuse c;\nd();\n";
        let source = Source::new("a.rs", text);
        assert_eq!(source.product.split_whitespace().collect::<Vec<_>>(), ["a();", "d();"]);
        assert_eq!(source.test_lines, 7);
        assert!(Source::new("a.rs", "#[cfg(not(test))]\nmod a {}").product.contains("mod"));
    }
}
