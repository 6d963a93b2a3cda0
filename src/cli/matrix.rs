//! `matrix`: saved questions on several engines.

use std::path::Path;

use super::args::MatrixArgs;
use super::exit::Exit;
use super::input;
use super::setup::{or_signal, targets, trial_options};
use super::start::{Failure, say};
use crate::campaign::{Known, Matrix, Outcome};
use crate::case::Case;
use crate::corpus::Corpus;
use crate::report::matrix::render;

pub async fn run(args: MatrixArgs, quiet: bool) -> Result<Exit, Failure> {
    // All of them are read before any engine is started.
    let mut cases = Vec::new();
    for path in &args.paths {
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            cases.extend(filters(path)?);
            continue;
        }
        for file in Case::files(path).map_err(Failure::usage)? {
            let (case, _) = Case::load(&file).map_err(Failure::usage)?;
            cases.push((name(&file), case));
        }
    }
    if cases.is_empty() {
        let paths: Vec<_> = args.paths.iter().map(|path| path.display().to_string()).collect();
        return Err(Failure::usage(format!("there is no case.json in {}", paths.join(", "))));
    }
    match or_signal(asked(&args, &cases, quiet)).await {
        Some(result) => result,
        None => Ok(Exit::Interrupted),
    }
}

async fn asked(args: &MatrixArgs, cases: &[(String, Case)], quiet: bool) -> Result<Exit, Failure> {
    let known = if args.strict { Known::Nothing } else { Known::OfVersion };
    let options = trial_options(&args.target, &args.backends, known, quiet).await?;
    let engines = targets(&args.target, quiet).await.map_err(Failure::environment)?;
    let matrix = Matrix::of(&engines, &options, cases).await.map_err(Failure::environment)?;
    let text = render(&matrix, args.format);
    match &args.out {
        Some(path) => std::fs::write(path, text).map_err(|error| {
            Failure::environment(format!("cannot write {}: {error}", path.display()))
        })?,
        None => say(text.trim_end()),
    }
    verdict(&matrix)
}

/// The exit code of a matrix, and what to say of it.
pub fn verdict(matrix: &Matrix) -> Result<Exit, Failure> {
    let any = |is: fn(&Outcome) -> bool| {
        matrix.rows.iter().flat_map(|row| row.outcomes.iter().flatten()).any(is)
    };
    let lost: Vec<&str> = matrix
        .engines
        .iter()
        .filter(|engine| engine.error.is_some())
        .map(|engine| engine.name.as_str())
        .collect();
    if !lost.is_empty() {
        let lost = lost.join(", ");
        return Err(Failure::environment(format!("not everything was asked of {lost}, see above")));
    }
    if any(|outcome| matches!(outcome, Outcome::Conflict(_))) {
        return Ok(Exit::Conflict);
    }
    if any(|outcome| matches!(outcome, Outcome::Fail(_))) {
        return Ok(Exit::Findings);
    }
    for (i, engine) in matrix.engines.iter().enumerate() {
        let mut outcomes = matrix.rows.iter().filter_map(|row| row.outcomes.get(i)?.as_ref());
        let proven = |outcome: &Outcome| matches!(outcome, Outcome::Pass | Outcome::Known { .. });
        if !outcomes.any(proven) {
            return Err(Failure::new(
                Exit::Vacuous,
                format!("this proves nothing of {}: no question has an answer there", engine.name),
            ));
        }
    }
    Ok(Exit::Clean)
}

/// A folder of a finding or of a corpus says more than `case.json`.
fn name(file: &Path) -> String {
    let folder = file.parent().and_then(|folder| folder.file_name());
    let plain = file.file_name().is_some_and(|name| name == "case.json");
    match folder {
        Some(folder) if plain => folder.to_string_lossy().into_owned(),
        _ => file.display().to_string(),
    }
}

/// The filters of a corpus file, all in one case.
fn filters(path: &Path) -> Result<Option<(String, Case)>, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{} is no usable corpus: {error}", path.display()))
    };
    let corpus = Corpus::from_lines(&input::text(path)?).map_err(|error| wrong(&error))?;
    let case = corpus.to_case().map_err(|error| wrong(&error))?;
    Ok(Some((path.display().to_string(), case)))
}
