// SPDX-License-Identifier: Apache-2.0 OR MIT
//! "Did you mean": which of the known names a misspelt one is.

pub(crate) fn with_nearest(text: String, name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("{text}; did you mean '{near}'?"),
        None => text,
    }
}

/// The known name that is at most two edits away, and more alike than not.
pub(crate) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let near = known.iter().map(|&k| (distance(name, k), k)).min()?;
    (near.0 <= 2 && 2 * near.0 < name.len()).then_some(near.1)
}

/// Levenshtein's distance, for names of ordinary length.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 64 || a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let best = (row[j] + 1).min(row[j + 1] + 1).min(diagonal + usize::from(x != y));
            diagonal = std::mem::replace(&mut row[j + 1], best);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_name_is_near_if_most_of_it_is_right() {
        let known = ["os", "disk", "devices"];
        assert_eq!(nearest("dsk", &known), Some("disk"));
        assert_eq!(nearest("device", &known), Some("devices"));
        assert_eq!(nearest("foo", &known), None);
        assert_eq!(nearest("", &known), None);
    }
}
