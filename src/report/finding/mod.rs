//! What is kept on disk for one finding: a folder that a Milvus maintainer can use as it stands.
//!
//! | file | for |
//! |---|---|
//! | `README.md` | reading, and pasting into an issue |
//! | `repro.py` | reproducing with pymilvus alone |
//! | `repro.rs` | reproducing with this crate, references included |
//! | `case.json` | `milvus-difftest replay` |

mod history;
mod literal;
pub(super) mod markdown;
mod omitted;
mod python;
mod readme;
mod rules;
mod rust;
#[cfg(test)]
mod tests;
mod title;
mod trace;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::Builder;

pub(super) use self::literal::string as python_string;
pub(super) use self::python::script as python_script;
pub(super) use self::python::write_function;
pub(super) use self::readme::replay;
pub use self::title::{Piece, pieces, plain, title};
pub(super) use self::trace::{Trace, trace};
use crate::case::Found;
use crate::finding::Finding;

/// Writes the folder of a finding into `dir`, which is made if need be, and returns it.
///
/// The name follows from the finding's shape. A folder that is there already is brought up to date;
/// a reader sees each file either as it was or as it becomes.
pub fn write(dir: &Path, finding: &Finding) -> Result<PathBuf, ReportError> {
    write_as(dir, finding, &found(finding))
}

/// As [`write()`], for a case that was kept before: what people said of it stays.
pub fn write_again(dir: &Path, finding: &Finding, before: &Found) -> Result<PathBuf, ReportError> {
    let Found { title, link, versions, .. } = before.clone();
    write_as(dir, finding, &Found { title, link, versions, ..found(finding) })
}

fn write_as(dir: &Path, finding: &Finding, found: &Found) -> Result<PathBuf, ReportError> {
    let folder = dir.join(folder_name(finding));
    fs::create_dir_all(&folder).map_err(ReportError::at(&folder))?;
    let files = [
        ("case.json", finding.case.to_json(Some(found))),
        ("repro.py", python::script(finding)),
        ("repro.rs", rust::test(finding)),
        ("README.md", readme::readme(finding)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        replace(&folder, name, &text).map_err(ReportError::at(&path))?;
    }
    Ok(folder)
}

/// A finding that cannot be written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write {}: {source}; check that the folder may be written to and that the disk has \
     room, or report into another folder", path.display()
)]
pub struct ReportError {
    path: PathBuf,
    source: io::Error,
}

impl ReportError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> ReportError {
        let path = path.to_owned();
        move |source| ReportError { path, source }
    }
}

fn found(finding: &Finding) -> Found {
    Found {
        engine: finding.engine.clone(),
        class: finding.divergence.class.to_string(),
        title: None,
        link: None,
        versions: Vec::new(),
        seed: finding.seed,
        case: finding.number,
    }
}

/// Renaming replaces a file in one step; writing does not. Several processes may write the same
/// finding.
fn replace(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    // Else it could be read by its owner alone.
    let readable = fs::Permissions::from_mode(0o666);
    let mut part = Builder::new().permissions(readable).tempfile_in(folder)?;
    part.write_all(text.as_bytes())?;
    part.persist(folder.join(name))?;
    Ok(())
}

/// `missing-rows-float-cmp-number-1a2b3c4d`: readable in a listing, and one for each shape.
fn folder_name(finding: &Finding) -> String {
    const READABLE: usize = 48;
    let class = finding.divergence.class.to_string();
    let shape = finding.shape.strip_prefix(&class).unwrap_or(&finding.shape);
    let words = shape.split_whitespace().map(|word| match word {
        "==" => "eq",
        "!=" => "ne",
        "<" => "lt",
        "+" => "plus",
        "-" => "minus",
        "*" => "times",
        "/" => "div",
        "%" => "percent",
        "_" => "underscore",
        word => word,
    });
    let mut name = String::new();
    for c in class.chars() {
        let boundary = c.is_ascii_uppercase() && !name.is_empty();
        name.extend(boundary.then_some('-').into_iter().chain([c.to_ascii_lowercase()]));
    }
    for word in words.flat_map(|word| word.split(|c: char| !c.is_ascii_alphanumeric())) {
        if !word.is_empty() && name.len() + word.len() < READABLE {
            name.push('-');
            name.push_str(&word.to_ascii_lowercase());
        }
    }
    let hash = Sha256::digest(finding.shape.as_bytes());
    name.push('-');
    name.extend(hash.iter().take(4).map(|byte| format!("{byte:02x}")));
    name
}
