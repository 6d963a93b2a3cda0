//! `text_match` and `phrase_match`, as far as the documentation defines their answer: the standard
//! analyzer splits ASCII text at blanks and folds its case.

use super::ast::Literal;
use super::operator::Function;

/// Longer words are dropped by analyzers, each at a length of its own.
const LONGEST: usize = 32;

/// Whether the text matches; `None` where that depends on the analyzer.
pub(super) fn matches(function: Function, text: &str, arguments: &[Literal]) -> Option<bool> {
    let (query, number) = match arguments {
        [Literal::Text(query)] => (query, None),
        [Literal::Text(query), Literal::Int(number)] => (query, Some(*number)),
        _ => return None,
    };
    let (text, query) = (words(text)?, words(query)?);
    match function {
        Function::TextMatch => {
            let mut wanted = query.clone();
            wanted.sort();
            wanted.dedup();
            let found = wanted.iter().filter(|word| text.contains(word)).count() as i64;
            match number {
                // The query's words are an `or`.
                None => Some(found > 0),
                Some(least) if (1..=wanted.len() as i64).contains(&least) => Some(found >= least),
                Some(_) => None,
            }
        }
        Function::PhraseMatch if number.unwrap_or(0) == 0 => {
            if query.is_empty() {
                None
            } else {
                Some(text.windows(query.len()).any(|w| w == query))
            }
        }
        _ => None,
    }
}

fn words(text: &str) -> Option<Vec<String>> {
    let words = text.split([' ', '\t', '\n']).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let plain = word.len() <= LONGEST && word.bytes().all(|b| b.is_ascii_alphanumeric());
            plain.then(|| word.to_ascii_lowercase())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_matched_and_phrases_in_order() {
        let text = |function, query: &str, number: Option<i64>| {
            let mut arguments = vec![Literal::Text(query.to_owned())];
            arguments.extend(number.map(Literal::Int));
            matches(function, "The quick brown fox", &arguments)
        };
        assert_eq!(text(Function::TextMatch, "fox hen", None), Some(true));
        assert_eq!(text(Function::TextMatch, "fox hen", Some(2)), Some(false));
        assert_eq!(text(Function::TextMatch, "", None), Some(false));
        assert_eq!(text(Function::TextMatch, "it's", None), None);
        assert_eq!(text(Function::PhraseMatch, "QUICK brown", None), Some(true));
        assert_eq!(text(Function::PhraseMatch, "brown quick", Some(0)), Some(false));
        assert_eq!(text(Function::PhraseMatch, "brown quick", Some(2)), None);
    }
}
