//! A file has one idea, and a function fits a screen.

use super::Offence;
use super::text::{Source, after_bracket, is_word, line_of, places_of, skip_spaces};

/// `STYLE.md`, Shape: past 500 lines, tests apart, a file is split or says why.
const FILE_LINES: usize = 500;
/// `STYLE.md`, Shape: a function past 60 lines is refused.
const FUNCTION_LINES: usize = 60;
/// What the head of a longer file says, with the reason after it.
const REASON: &str = "// long: ";

pub(crate) fn check(source: &Source) -> Vec<Offence> {
    if source.is_test() {
        return Vec::new();
    }
    file_length(source).into_iter().chain(function_lengths(source)).collect()
}

fn file_length(source: &Source) -> Option<Offence> {
    let lines = source.code.lines().count() - source.test_lines;
    let too_long = lines > FILE_LINES && !says_why(source);
    too_long.then(|| {
        let rule = format!(
            "{lines} lines without tests, at most {FILE_LINES}; split it or say `{REASON}<reason>` at its head"
        );
        Offence::new(&source.file, 1, rule)
    })
}

/// The head ends where the first item begins.
fn says_why(source: &Source) -> bool {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim().starts_with("#!");
    let code_from = source.code.lines().position(|line| is_code(&line));
    let head = source.comments.lines().take(code_from.unwrap_or(usize::MAX));
    head.filter_map(|line| line.trim().strip_prefix(REASON)).any(|reason| !reason.trim().is_empty())
}

fn function_lengths(source: &Source) -> Vec<Offence> {
    let code = &source.product;
    let mut offences = Vec::new();
    for at in places_of(code, "fn") {
        let name = skip_spaces(code, at + 2);
        let length = code.as_bytes()[name..].iter().take_while(|byte| is_word(**byte)).count();
        let Some(open) = body_of(code, name + length).filter(|_| length > 0) else {
            continue;
        };
        let first = line_of(code, at);
        let lines = line_of(code, after_bracket(code, open) - 1) + 1 - first;
        if lines > FUNCTION_LINES {
            let name = &code[name..name + length];
            let rule = format!("function `{name}` has {lines} lines, at most {FUNCTION_LINES}");
            offences.push(Offence::new(&source.file, first, rule));
        }
    }
    offences
}

/// The brace that opens the body of the function whose signature goes on at `at`.
fn body_of(code: &str, mut at: usize) -> Option<usize> {
    loop {
        match code.as_bytes().get(at)? {
            b'{' => return Some(at),
            b';' => return None,
            b'(' | b'[' => at = after_bracket(code, at),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Source;

    #[track_caller]
    fn check(text: &str, expected: &[(usize, &str)]) {
        let found = super::check(&Source::new("src/a.rs", text));
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, (line, start)) in found.iter().zip(expected) {
            assert_eq!(found.line, *line);
            assert!(found.rule.starts_with(start), "{}", found.rule);
        }
    }

    #[test]
    fn a_long_file_is_refused_unless_its_head_says_why() {
        let lines = |count: usize| "const A: u8 = 0;\n".repeat(count);
        let because = "//! Title.\n// long: one table\n\n#![allow(x)]\n";
        check(&lines(500), &[]);
        check(&lines(501), &[(1, "501 lines")]);
        check(&format!("{because}{}", lines(501)), &[]);
        check(&format!("// long: \n{}", lines(501)), &[(1, "502 lines")]);
        check(&format!("{}// long: too late\n", lines(501)), &[(1, "502 lines")]);
    }

    #[test]
    fn tests_do_not_count_to_the_length_of_a_file() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "fn a() {}\n".repeat(300));
        check(&format!("{}{tests}", "const A: u8 = 0;\n".repeat(499)), &[]);
        check(&format!("{}{tests}", "const A: u8 = 0;\n".repeat(501)), &[(1, "501 lines")]);
    }

    #[test]
    fn a_long_function_is_refused() {
        let function = |lines: usize| {
            let calls = "  b();\n".repeat(lines - 5);
            format!("\nfn f<A>(a: [u8; 2])\nwhere\n  A: B,\n{{\n{calls}}}\n")
        };
        check(&function(60), &[]);
        check(&function(61), &[(2, "function `f` has 61 lines")]);
        check(&format!("trait T {{ fn f();\n{} }}", "const A: u8 = 0;\n".repeat(61)), &[]);
        check(&format!("type F = fn(u8);\n{}", "const A: u8 = 0;\n".repeat(61)), &[]);
    }
}
