//! Text that stays itself inside Markdown.

/// A code span. Tables may hold it: their bars are escaped.
pub(in crate::report) fn code(text: &str) -> String {
    let fence = "`".repeat(longest_run(text) + 1);
    // A span must not begin or end with a backtick of its own; one space each is stripped.
    let pad =
        if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    let text = text.replace(['\n', '\r'], " ").replace('|', "\\|");
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// A fenced block.
pub(in crate::report) fn block(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    format!("{fence}{language}\n{}\n{fence}\n", text.trim_end_matches('\n'))
}

/// A table. Cells are Markdown already.
pub(in crate::report) fn table(header: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(header.len()));
    [line(header), rule].into_iter().chain(rows.iter().map(|row| line(row))).collect()
}

/// The beginning of a long text.
pub(in crate::report) fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_and_bars_survive() {
        assert_eq!(code("a == 1"), "`a == 1`");
        assert_eq!(code("a`"), "`` a` ``");
        assert_eq!(code("a|b"), "`a\\|b`");
        assert_eq!(block("", "```"), "````\n```\n````\n");
    }
}
