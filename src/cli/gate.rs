//! `gate`: saved cases, and then new ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use super::args::{FuzzArgs, GateArgs};
use super::config::with_file;
use super::exit::Exit;
use super::fuzz::run_behind;
use super::start::Failure;
use crate::campaign::{Gate, SavedCase};
use crate::case::{Case, Found};
use crate::verdict::Class;

/// Unless the user says how long, or how many cases; more than `fuzz` has, because the corpus comes
/// first.
const DEFAULT_TIME: Duration = Duration::from_secs(300);

/// Where a corpus is looked for.
const CORPORA: &str = "corpora";

/// The folder of findings that are not mended.
const FINDINGS: &str = "findings";

pub async fn run(args: GateArgs, quiet: bool) -> Result<Exit, Failure> {
    let GateArgs { corpus, deny_fixed, allow_empty, fuzz } = args;
    let fuzz = with_file(fuzz).map_err(Failure::usage)?;
    refuse(fuzz.resume.is_some(), "resume", "its corpus is replayed as a whole; begin it again")?;
    refuse(fuzz.shard.is_some(), "shard", "its corpus is replayed as a whole; `fuzz` takes it")?;
    let time = fuzz.time.or(fuzz.cases.is_none().then_some(DEFAULT_TIME));
    // All of them are read before any engine is started.
    let gate = Gate { cases: saved(&corpus, allow_empty)?, deny_fixed };
    run_behind(Some(gate), FuzzArgs { time, config: None, ..fuzz }, quiet).await
}

fn refuse(given: bool, option: &str, why: &str) -> Result<(), Failure> {
    match given {
        true => Err(Failure::usage(format!("`gate` has no --{option}: {why}"))),
        false => Ok(()),
    }
}

/// The cases of the corpora, each once.
fn saved(corpora: &[PathBuf], allow_empty: bool) -> Result<Vec<SavedCase>, Failure> {
    let default = [PathBuf::from(CORPORA)];
    let corpora = match corpora {
        [] if Path::new(CORPORA).is_dir() => &default,
        corpora => corpora,
    };
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for path in corpora {
        for file in Case::files(path).map_err(Failure::usage)? {
            let place = fs::canonicalize(&file).map_err(|error| {
                Failure::environment(format!("cannot find {}: {error}", file.display()))
            })?;
            if seen.insert(place) {
                files.push(file);
            }
        }
    }
    if files.is_empty() && !allow_empty {
        let nothing = match corpora {
            [] => format!("there is no folder {CORPORA} here, and no --corpus"),
            corpora => {
                let names: Vec<_> = corpora.iter().map(|path| path.display().to_string()).collect();
                format!("there is no case.json in {}", names.join(", "))
            }
        };
        return Err(Failure::usage(format!(
            "{nothing}; name a corpus by --corpus, or do without by --allow-empty"
        )));
    }
    files.into_iter().map(load).collect()
}

fn load(file: PathBuf) -> Result<SavedCase, Failure> {
    let (case, found) = Case::load(&file).map_err(Failure::usage)?;
    let mut folders = file.parent().into_iter().flat_map(Path::components);
    let open = match folders.any(|folder| folder.as_os_str() == FINDINGS) {
        true => Some(class(&file, found.as_ref())?),
        false => None,
    };
    Ok(SavedCase { file, case, found, open })
}

/// The class that a finding has.
fn class(file: &Path, found: Option<&Found>) -> Result<Class, Failure> {
    let wrong = |what: String| {
        Failure::usage(format!(
            "{} is kept below {FINDINGS}/, as a case that is expected to fail, but {what}",
            file.display()
        ))
    };
    let Some(found) = found else {
        return Err(wrong("has no `found` that says on which engine and how".to_owned()));
    };
    Class::deserialize(&Json::from(found.class.as_str()))
        .map_err(|_| wrong(format!("there is no class '{}'", found.class)))
}
