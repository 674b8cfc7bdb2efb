// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Manual pages from a little Markdown: headings, paragraphs, lists of terms (`- term: text`), indented examples,
//! `**bold**` and `*italic*`.

/// The page `name`(`section`).
pub(crate) fn page(name: &str, section: u8, markdown: &str) -> String {
    let title = name.to_uppercase();
    let mut text = format!(".TH {title} {section} \"\" \"Virtus\" \"Virtualization Support\"\n");
    for block in markdown.split("\n\n").map(|block| block.trim_matches('\n')) {
        if let Some(heading) = block.strip_prefix("# ") {
            text.push_str(&format!(".SH {heading}\n"));
        } else if block.starts_with("    ") {
            text.push_str(".PP\n.RS 4\n.nf\n");
            for line in block.lines() {
                text.push_str(&format!("{}\n", plain(line.trim_start())));
            }
            text.push_str(".fi\n.RE\n");
        } else if block.starts_with("- ") {
            for line in block.lines().map(|line| line.trim_start_matches("- ")) {
                let (term, about) = line.split_once(": ").unwrap_or((line, ""));
                text.push_str(&format!(".TP\n{}\n{}\n", inline(term), inline(about)));
            }
        } else if !block.is_empty() {
            text.push_str(&format!(".PP\n{}\n", inline(block)));
        }
    }
    text
}

/// `text` as it is: what means something to troff is taken from it.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    let lines = text.lines().map(|line| match line.starts_with(['.', '\'']) {
        true => format!("\\&{line}"),
        false => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `text` with its marks as fonts.
fn inline(text: &str) -> String {
    let mut result = plain(text);
    for (mark, font) in [("**", "\\fB"), ("`", "\\fB"), ("*", "\\fI")] {
        let mut open = false;
        let mut parts = result.split(mark);
        let mut fonts = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            open = !open;
            fonts.push_str(if open { font } else { "\\fR" });
            fonts.push_str(part);
        }
        result = fonts;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_block_has_its_request() {
        let text =
            page("x", 8, "# NAME\n\nx - **a** *b*\n\n    y --z\n\n- **-h**: .Help\n\n\n.end\n");
        let wanted = ".TH X 8 \"\" \"Virtus\" \"Virtualization Support\"\n.SH NAME\n.PP\nx \\- \\fBa\\fR \\fIb\\fR\n\
                      .PP\n.RS 4\n.nf\ny \\-\\-z\n.fi\n.RE\n.TP\n\\fB\\-h\\fR\n\\&.Help\n.PP\n\\&.end\n";
        assert_eq!(text, wanted);
    }
}
