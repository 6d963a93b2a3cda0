//! A place in a text, shown to a reader: the line, and a caret under the part that is meant.

use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// Columns shown on either side of the part.
const AROUND: usize = 60;
/// Carets, at most.
const LONGEST: usize = 80;

/// The line of `text` in which `span` begins, and below it carets under the span. Bytes that are no
/// place in the text mean its end.
pub(super) fn underline(text: &str, span: Range<usize>) -> String {
    let start = floor(text, span.start);
    let end = floor(text, span.end.max(start));
    let from = text[..start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let to = text[start..].find(['\n', '\r']).map_or(text.len(), |at| start + at);
    let (before, cut_before) = last_columns(&text[from..start], AROUND);
    let part = &text[start..end.min(to)];
    let (after, cut_after) = first_columns(&text[start..to], part.len(), AROUND);
    let (dots_before, dots_after) = (mark(cut_before), mark(cut_after));
    let blanks = " ".repeat(width(&before) + dots_before.chars().count());
    let carets = "^".repeat(width(&shown(part)).clamp(1, LONGEST));
    format!("{dots_before}{before}{after}{dots_after}\n{blanks}{carets}")
}

fn mark(cut: bool) -> &'static str {
    if cut { "…" } else { "" }
}

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Without characters that would move the cursor or colour a terminal.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { ' ' } else { c }).map(visible).collect()
}

fn visible(c: char) -> char {
    if c.width().is_none() { '\u{fffd}' } else { c }
}

fn width(text: &str) -> usize {
    text.chars().filter_map(|c| c.width()).sum()
}

fn last_columns(text: &str, columns: usize) -> (String, bool) {
    let count = text.chars().count();
    let skipped = count.saturating_sub(columns);
    (shown(&text.chars().skip(skipped).collect::<String>()), skipped > 0)
}

/// The part itself, shortened to [`LONGEST`], and so many columns after it.
fn first_columns(text: &str, part: usize, columns: usize) -> (String, bool) {
    let part = text.get(..part).unwrap_or(text).chars().count();
    let taken = part.min(LONGEST) + columns;
    let cut = text.chars().nth(taken).is_some();
    (shown(&text.chars().take(taken).collect::<String>()), cut)
}

#[cfg(test)]
mod tests {
    use super::underline;

    #[test]
    fn carets_stand_under_the_part() {
        assert_eq!(underline("a = 1", 2..3), "a = 1\n  ^");
        assert_eq!(underline("a >", 3..3), "a >\n   ^");
        assert_eq!(underline("", 0..0), "\n^");
        // Wide characters take two columns; combining ones none.
        assert_eq!(underline("s == '日本' x", 14..15), "s == '日本' x\n            ^");
        assert_eq!(underline("'e\u{301}' x", 6..7), "'e\u{301}' x\n    ^");
        assert_eq!(underline("'日本'", 0..8), "'日本'\n^^^^^^");
        // One line of several; a tab is one column, and nothing reaches the terminal.
        assert_eq!(underline("a and\n\tb c\nd", 9..10), " b c\n   ^");
        assert_eq!(underline("\u{1b}[31m x", 6..7), "\u{fffd}[31m x\n      ^");
        // Beyond the text, or within a character.
        assert_eq!(underline("é", 1..9), "é\n^");
        assert_eq!(underline("a", 7..9), "a\n ^");
    }

    #[test]
    fn long_lines_are_cut_around_the_part() {
        let text = format!("{}?{}", "x".repeat(1000), "y".repeat(1000));
        let shown = underline(&text, 1000..1001);
        let (line, carets) = shown.split_once('\n').unwrap();
        assert_eq!(line, format!("…{}?{}…", "x".repeat(60), "y".repeat(60)));
        assert_eq!(carets, format!("{}^", " ".repeat(61)));
    }
}
