//! Patterns.

use super::semantics::{Semantics, Switch};

/// What patterns consist of.
pub(super) enum Part {
    /// Any run of characters.
    Run,
    /// Any character.
    One,
    Exactly(char),
}

/// Whole-string, case-sensitive LIKE: `%` is any run, `_` one character.
pub(super) fn matches(text: &str, pattern: &str, semantics: Semantics) -> bool {
    if pattern.is_empty() && semantics.has(Switch::LikeEmptyMatchesAll) {
        return true;
    }
    if semantics.has(Switch::LikeTrailingWildcardsArePrefix) {
        let stem = pattern.trim_end_matches(['%', '_']);
        let wild = |text: &str| text.contains(['%', '_']);
        if stem.is_empty() {
            return text == pattern;
        }
        if stem.len() < pattern.len() && !wild(stem) {
            return text.starts_with(stem);
        }
    }
    if semantics.has(Switch::LikeAffixKeepsBackslashes) {
        let tail = pattern.trim_start_matches('%');
        let stem = tail.trim_end_matches('%');
        let (open, close) = (tail.len() < pattern.len(), stem.len() < tail.len());
        let plain = !stem.contains(['%', '_']) && (!close || !stem.ends_with('\\'));
        match (open, close) {
            (true, true) if plain => return text.contains(stem),
            (true, false) if plain => return text.ends_with(stem),
            (false, true) if plain => return text.starts_with(stem),
            _ => {}
        }
    }
    if semantics.has(Switch::LikeUnderscoreIsByte) {
        // A byte as a character: then one is the other.
        let bytes = |text: &str| text.bytes().map(char::from).collect::<String>();
        let semantics = semantics.without(Switch::LikeUnderscoreIsByte);
        return matches(&bytes(text), &bytes(pattern), semantics);
    }
    let mut parts = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '%' => Part::Run,
            '_' if !semantics.has(Switch::LikeUnderscoreIsLiteral) => Part::One,
            '\\' if !semantics.has(Switch::LikeBackslashIsLiteral) => match chars.next() {
                Some(escaped) => Part::Exactly(escaped),
                None => return false,
            },
            c => Part::Exactly(c),
        });
    }
    // reachable[i]: the parts so far match the first i characters.
    let text: Vec<char> = text.chars().collect();
    let mut reachable = vec![false; text.len() + 1];
    reachable[0] = true;
    for part in parts {
        if let Part::Run = part {
            let first = reachable.iter().position(|r| *r).unwrap_or(reachable.len());
            reachable[first..].fill(true);
        } else {
            for i in (1..reachable.len()).rev() {
                let fits = match part {
                    Part::Exactly(c) => text[i - 1] == c,
                    _ => true,
                };
                reachable[i] = reachable[i - 1] && fits;
            }
            reachable[0] = false;
        }
    }
    reachable[text.len()]
}

/// A pattern of the documentation's rules, read once to be matched often.
pub(super) enum Pattern {
    /// Text without wildcards.
    Exactly(String),
    /// Runs between texts: the first stands at the beginning, the last at the end, and those
    /// between them follow one after the other.
    Runs { first: String, between: Vec<String>, last: String },
    /// With wildcards for one character.
    Wild(Vec<Part>),
    /// Malformed: nothing is like it.
    Nothing,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Pattern {
        let mut texts = Vec::new();
        let mut text = String::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                '%' => texts.push(std::mem::take(&mut text)),
                '_' => return Pattern::wild(pattern),
                '\\' => match chars.next() {
                    Some(escaped) => text.push(escaped),
                    None => return Pattern::Nothing,
                },
                c => text.push(c),
            }
        }
        let mut texts = texts.into_iter();
        match texts.next() {
            None => Pattern::Exactly(text),
            Some(first) => {
                let between = texts.filter(|text| !text.is_empty()).collect();
                Pattern::Runs { first, between, last: text }
            }
        }
    }

    fn wild(pattern: &str) -> Pattern {
        let mut parts = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '%' => Part::Run,
                '_' => Part::One,
                '\\' => match chars.next() {
                    Some(escaped) => Part::Exactly(escaped),
                    None => return Pattern::Nothing,
                },
                c => Part::Exactly(c),
            });
        }
        Pattern::Wild(parts)
    }

    /// As [`matches`] by the canon.
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Exactly(exactly) => text == exactly,
            Pattern::Runs { first, between, last } => {
                // No character begins within another, so that bytes do.
                let (text, first, last) = (text.as_bytes(), first.as_bytes(), last.as_bytes());
                let Some(end) = text.len().checked_sub(last.len()) else { return false };
                if end < first.len() || !begins(text, first) || !begins(&text[end..], last) {
                    return false;
                }
                let mut rest = &text[first.len()..end];
                // The earliest place leaves most to what follows.
                between.iter().all(|part| match find(rest, part.as_bytes()) {
                    Some(at) => {
                        rest = &rest[at + part.len()..];
                        true
                    }
                    None => false,
                })
            }
            Pattern::Wild(parts) => wild(text, parts),
            Pattern::Nothing => false,
        }
    }
}

/// Goes through text and pattern together. Where they part, the last run takes one character more:
/// no earlier one needs to, as it could leave no more to what follows.
fn wild(text: &str, parts: &[Part]) -> bool {
    let (mut text, mut parts) = (text.chars(), parts);
    let mut run = None;
    loop {
        let before = text.clone();
        match (parts.split_first(), text.next()) {
            (Some((Part::Run, rest)), _) => {
                (text, parts) = (before.clone(), rest);
                run = Some((before, rest));
                continue;
            }
            (None, None) => return true,
            (Some((Part::One, rest)), Some(_)) => {
                parts = rest;
                continue;
            }
            (Some((Part::Exactly(wanted), rest)), Some(c)) if *wanted == c => {
                parts = rest;
                continue;
            }
            _ => {}
        }
        // Also at the end of the text: without a run to lengthen, there is no match.
        let Some((from, rest)) = &mut run else { return false };
        if from.next().is_none() {
            return false;
        }
        (text, parts) = (from.clone(), *rest);
    }
}

/// Where a part begins that is not empty. Texts are short: preparing a cleverer search for each
/// would take longer than this one.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let last = text.len().checked_sub(part.len())?;
    (0..=last).find(|at| begins(&text[*at..], part))
}

/// Whether a text begins with a part, byte by byte: most differ in the first, for which a call of
/// `memcmp` takes ten times as long.
fn begins(text: &[u8], part: &[u8]) -> bool {
    text.len() >= part.len() && text.iter().zip(part).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_follows_the_documentation() {
        let like = |text, pattern| {
            let found = matches(text, pattern, Semantics::canonical());
            assert_eq!(Pattern::new(pattern).matches(text), found, "{text} like {pattern}");
            found
        };
        assert!(like("abc", "a%") && like("abc", "%c") && like("abc", "%b%") && like("abc", "a_c"));
        assert!(like("", "%") && like("", "") && !like("a", "") && !like("abc", "ab"));
        assert!(like("a%c", "a\\%c") && !like("abc", "a\\%c") && like("日本", "_本"));
        assert!(like("a\\b", "a\\\\b") && like("aXbXc", "a%X%c") && !like("ABC", "abc"));
        assert!(like("aba", "ab%a") && !like("aba", "aba%a") && like("xaybz", "%a%%b%"));
        assert!(like("abcab", "%_b") && like("aab", "_%b") && !like("b", "_%b") && like("", "%%"));
        assert!(like("日本語", "_本%") && like("a_b", "%\\_b") && !like("axb_", "_%\\_b"));
        assert!(!like("a", "a\\") && !like("a", "_\\") && !like("xbya", "%a%b%"));
    }
}
