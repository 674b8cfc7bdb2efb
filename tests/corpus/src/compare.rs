// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How results are compared: texts line by line, command lines word by word, refusals by their being refused.

use crate::Verdict;

/// The texts must be the same but for a final newline; the difference is the lines that only one side has.
pub fn text(expected: &str, actual: &str) -> Verdict {
    let (expected, actual) = (expected.trim_end_matches('\n'), actual.trim_end_matches('\n'));
    if expected == actual { Ok(()) } else { Err(difference(expected, actual)) }
}

/// The input must have been refused.
pub fn refused<T, E>(result: &Result<T, E>) -> Verdict {
    result.as_ref().map_or(Ok(()), |_| Err("accepted".to_owned()))
}

/// The command lines must have the same words.
pub fn command_line(expected: &str, actual: &[String]) -> Verdict {
    let expected = words(expected);
    if expected == actual {
        return Ok(());
    }
    Err(difference(&options(&expected), &options(actual)))
}

/// Splits as a POSIX shell does.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_with(String::new);
                word.extend(chars.by_ref().take_while(|c| *c != '\''));
            }
            '"' => {
                let word = word.get_or_insert_with(String::new);
                while let Some(c) = chars.next() {
                    match c {
                        '"' => break,
                        '\\' => word.extend(chars.next()),
                        other => word.push(other),
                    }
                }
            }
            '\\' => match chars.next() {
                Some('\n') | None => {}
                Some(other) => word.get_or_insert_with(String::new).push(other),
            },
            c if c.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_with(String::new).push(other),
        }
    }
    words.extend(word);
    words
}

/// One option a line, for people.
fn options(words: &[String]) -> String {
    let mut out = String::new();
    let mut program_seen = false;
    for word in words {
        if !out.is_empty() {
            let starts = word.starts_with('-') || !program_seen;
            out.push(if starts { '\n' } else { ' ' });
        }
        program_seen |= !word.contains('=');
        out.push_str(word);
    }
    out
}

/// The lines that only one side has, in order.
fn difference(expected: &str, actual: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (expected.lines().collect(), actual.lines().collect());
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            i += 1;
            j += 1;
            continue;
        }
        // The nearest line at which both sides go on alike.
        let ahead = (1..40).find_map(|sum| {
            (0..=sum).find_map(|di| {
                let dj = sum - di;
                let same = i + di < a.len() && j + dj < b.len() && a[i + di] == b[j + dj];
                same.then_some((di, dj))
            })
        });
        let (di, dj) = ahead.unwrap_or((a.len() - i, b.len() - j));
        for (mark, lines) in [('-', &a[i..i + di]), ('+', &b[j..j + dj])] {
            for line in lines {
                out.push_str(&format!("{mark} {}\n", line.trim()));
            }
        }
        i += di;
        j += dj;
    }
    if out.is_empty() { "the texts differ in line ends".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(
            words("A=1 \\\n/bin/q \\\n-x 'a b'\"c\\\"d\" e\\ f"),
            ["A=1", "/bin/q", "-x", "a bc\"d", "e f"]
        );
    }

    #[test]
    fn a_difference_names_the_lines_of_each_side() {
        assert_eq!(text("a\nb\nc\n", "a\nb\nc"), Ok(()));
        assert_eq!(text("a\nb\nc", "a\nx\nc"), Err("- b\n+ x\n".to_owned()));
        assert_eq!(text("a\nc", "a\nb\nc"), Err("+ b\n".to_owned()));
    }
}
