// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The patterns of lists of who is allowed: `*` stands for any text, `?` for one character.

/// Whether `text` as a whole fits `pattern`.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on if what follows the last star does not fit here.
    let mut retry = None;
    loop {
        match (pattern.next(), text.clone().next()) {
            (Some('*'), _) => {
                retry = Some((pattern.clone(), text.clone()));
                continue;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                text.next();
                continue;
            }
            // No shorter rest of the text can fit either.
            (Some(_), None) => return false,
            (None, None) => return true,
            (Some(_) | None, Some(_)) => {}
        }
        let Some((after_star, mut from)) = retry else { return false };
        from.next();
        (pattern, text) = (after_star.clone(), from.clone());
        retry = Some((after_star, from));
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_and_question_marks_stand_for_text() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "C=GB,CN=a"),
            ("C=GB,*", "C=GB,CN=a"),
            ("*CN=a", "C=GB,CN=b,CN=a"),
            ("C=??,CN=*b*", "C=GB,CN=abc"),
            ("*a*b*", "xaybz"),
            ("a**c", "abc"),
            ("?", "ü"),
            ("[a]\\*", "[a]\\x"),
        ] {
            assert!(fits(pattern, text), "{pattern} and {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("a*", "ba"),
            ("*a", "ab"),
            ("C=??,*", "C=G,CN=a"),
            ("*a*b", "ba"),
            ("[ab]", "a"),
            ("CN=a", "cn=a"),
        ] {
            assert!(!fits(pattern, text), "{pattern} and {text}");
        }
    }
}
