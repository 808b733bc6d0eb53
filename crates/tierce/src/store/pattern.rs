//! Patterns of names: `*` is any text, `?` one character, and a `\` before either, or before another `\`, makes it itself.

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Any text, also none.
    Any,
    /// One character.
    One,
    /// This character.
    Itself(u8),
}

/// A pattern of names, taken apart.
pub(crate) struct Pattern(Vec<Part>);

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        let mut parts = Vec::with_capacity(text.len());
        let mut bytes = text.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let part = match byte {
                b'*' => Part::Any,
                b'?' => Part::One,
                b'\\' => Part::Itself(bytes.next_if(|next| matches!(next, b'*' | b'?' | b'\\')).unwrap_or(b'\\')),
                other => Part::Itself(other),
            };
            // Two of them are as one, and cost each other's steps again.
            if part != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(part);
            }
        }
        Pattern(parts)
    }

    /// The same pattern as Redis writes it, whose globs know more.
    pub(crate) fn glob(&self) -> String {
        let mut glob = String::new();
        for part in &self.0 {
            match part {
                Part::Any => glob.push('*'),
                Part::One => glob.push('?'),
                Part::Itself(byte) => glob.push_str(&Self::escaped(char::from(*byte).encode_utf8(&mut [0; 4]))),
            }
        }
        glob
    }

    /// A text as it is written in a glob of Redis's that means just this.
    pub(crate) fn escaped(text: &str) -> String {
        let mut glob = String::with_capacity(text.len());
        for each in text.chars() {
            if "*?[]^-\\".contains(each) {
                glob.push('\\');
            }
            glob.push(each);
        }
        glob
    }

    /// Whether the whole name is as the pattern says. At most name × pattern steps: only the last `*` is ever taken back.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let (parts, name) = (self.0.as_slice(), name.as_bytes());
        let (mut part, mut at) = (0, 0);
        // The last `*`, and where what it stands for ends so far.
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match parts.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part += 1;
                    continue;
                }
                Some(Part::Itself(byte)) if *byte == name[at] => {}
                Some(Part::One) => {}
                _ => {
                    let Some((star_part, end)) = star.as_mut() else { return false };
                    *end += 1;
                    (part, at) = (*star_part + 1, *end);
                    continue;
                }
            }
            part += 1;
            at += 1;
        }
        parts[part..].iter().all(|part| *part == Part::Any)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[track_caller]
    fn check(pattern: &str, matched: &[&str], others: &[&str]) {
        let pattern_of = Pattern::new(pattern);
        for name in matched {
            assert!(pattern_of.matches(name), "{pattern} is not found to match {name}");
        }
        for name in others {
            assert!(!pattern_of.matches(name), "{pattern} is found to match {name}");
        }
    }

    #[test]
    fn stars_are_any_text_and_question_marks_one_character() {
        check("", &[""], &["a"]);
        check("*", &["", "a", "*"], &[]);
        check("a?c", &["abc", "a?c"], &["ac", "abbc", "abcd"]);
        check("a*c", &["ac", "abc", "acbc"], &["a", "acb"]);
        check("*a*b**c", &["abc", "xaxbxc", "aabbcc"], &["acb", "ab"]);
        check("user:?:*}", &["user:1:name}"], &["user:12:name}", "user:1:name"]);
    }

    #[test]
    fn what_is_behind_a_backslash_is_itself() {
        check(r"\*", &["*"], &["", "a", r"\*"]);
        check(r"a\?", &["a?"], &["ab"]);
        check(r"\\*", &[r"\", r"\a"], &["a", "*"]);
        check(r"a\b\", &[r"a\b\"], &["ab"]);
        check("[a-b]^", &["[a-b]^"], &["a", "b"]);
    }
}
