// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Templates: `@name@` stands for a value, and a line that begins with `?word ` is there only if the word holds.

/// What a template is filled with.
#[derive(Default)]
pub(crate) struct Values {
    values: Vec<(&'static str, String)>,
    holds: Vec<&'static str>,
}

impl Values {
    /// `@name@` stands for `value`.
    pub(crate) fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.values.push((name, value.into()));
        self
    }

    /// Whether lines that ask for `word` are there.
    pub(crate) fn when(mut self, word: &'static str, holds: bool) -> Self {
        if holds {
            self.holds.push(word);
        }
        self
    }

    /// The filled template.
    pub(crate) fn fill(&self, template: &str) -> String {
        let mut text = String::new();
        for line in template.lines() {
            let wanted = line.strip_prefix('?').and_then(|rest| rest.split_once(' '));
            let line = match wanted {
                Some((word, rest)) if self.holds.contains(&word) => rest,
                Some(_) => continue,
                None => line,
            };
            text.push_str(line);
            text.push('\n');
        }
        // Values may contain others.
        self.values
            .iter()
            .fold(text, |text, (name, value)| text.replace(&format!("@{name}@"), value))
    }
}

/// Whether `part` can be the name of a placeholder.
#[cfg(test)]
pub(crate) fn is_name(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_depend_on_words_and_names_stand_for_values() {
        let values =
            Values::default().set("name", "virtqemud").when("ip", false).when("modular", true);
        let text = values.fill("[@name@]\n?ip tcp\n?modular   @name@.service\n");
        assert_eq!(text, "[virtqemud]\n  virtqemud.service\n");
    }
}
