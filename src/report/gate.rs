//! The cases of a corpus in words.

use crate::campaign::{Corpus, Expectation, Replayed, Standing};

/// How many cases there are of each standing, in words.
pub fn counts(corpus: &Corpus) -> String {
    let cases = match corpus.cases {
        1 => "1 case".to_owned(),
        cases => format!("{cases} cases"),
    };
    let mut counts = vec![cases];
    for standing in Standing::ALL {
        let count = corpus.of(standing).count();
        if count > 0 || standing == Standing::AsExpected {
            counts.push(format!("{count} {}", standing.word()));
        }
    }
    let left = corpus.cases.saturating_sub(corpus.replayed.len());
    counts.extend((left > 0).then(|| format!("{left} not replayed")));
    counts.join(", ")
}

/// The cases that are not as expected, those that fail first.
pub fn telling(corpus: &Corpus) -> Vec<&Replayed> {
    let rest = |standing: &Standing| *standing != Standing::AsExpected;
    let mut telling: Vec<_> =
        Standing::ALL.into_iter().filter(rest).flat_map(|standing| corpus.of(standing)).collect();
    telling.sort_by_key(|replayed| match replayed.standing {
        Standing::Conflict => 0,
        Standing::Changed => 1,
        _ => 2,
    });
    telling
}

/// What must come of a case.
pub fn expected(replayed: &Replayed) -> String {
    match &replayed.expected {
        Expectation::Right => "to be answered rightly, or as known issues say".to_owned(),
        Expectation::Known(titles) => format!("to fail as known: {}", titles.join("; ")),
        Expectation::Fails(class) => format!("to fail as {class}, as when it was found"),
    }
}

/// What came of a case.
pub fn answer(replayed: &Replayed) -> String {
    let Some(divergence) = &replayed.divergence else {
        return replayed.reason.clone().unwrap_or_else(|| "the right answer".to_owned());
    };
    // Of a crash, without the log.
    let actual = divergence.actual.to_string();
    let actual = actual.lines().next().unwrap_or_default();
    let known = match replayed.known.as_slice() {
        [] => String::new(),
        titles => format!(" (known: {})", titles.join("; ")),
    };
    format!("{}: expected {}, got {actual}{known}", divergence.class, divergence.expected)
}

/// What is to be said of a case.
pub fn sentence(replayed: &Replayed) -> String {
    let title = replayed.title.as_deref().map(|title| format!("{title}: ")).unwrap_or_default();
    let asked = replayed.asked.as_ref().map(|asked| format!("`{asked}`: ")).unwrap_or_default();
    match (replayed.standing, &replayed.expected) {
        (Standing::Fixed, Expectation::Known(titles)) => {
            format!("{title}known issue \"{}\" can be taken off the list", titles.join("\", \""))
        }
        (Standing::Fixed, _) => format!("{title}it passes, and can be moved out of the findings"),
        (Standing::Changed, _) => {
            format!("{title}{asked}{}; expected {}", answer(replayed), expected(replayed))
        }
        _ => format!("{title}{}", answer(replayed)),
    }
}
