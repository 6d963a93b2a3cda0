//! The versions of engines that something is looked for among: a range of releases, or a list.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::str::FromStr;

use tokio::process::Command;

use super::cache::{cache_folder, installed, installed_releases};
use super::choice::{EngineChoice, UnknownChoice};
use super::command;
use super::error::EngineError;
use super::install::EmbeddedOptions;
use super::kind::EngineKind;
use super::python;
use super::release::{Release, Version};

/// Versions of engines in an order, from which [`versions`](Self::versions) makes the list.
///
/// ```
/// use milvus_difftest::engine::EngineRange;
/// let range: EngineRange = "milvus-lite-2.4.1..2.5.1".parse().unwrap();
/// assert_eq!(range.to_string(), "milvus-lite-2.4.1..milvus-lite-2.5.1");
/// assert!("milvus-lite-2.5.1,docker:milvusdb/milvus:v2.5.4".parse::<EngineRange>().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineRange {
    /// Every release of a package from one to another, both included.
    Between(Release, Release),
    /// These, in this order.
    List(Vec<EngineChoice>),
}

/// A text that names no range of engines.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum NoRange {
    /// An end of the range is no release.
    #[error(
        "'{0}' is no release that a range can begin or end with; write the range as \
         milvus-lite-2.4.1..milvus-lite-3.2.2. Nobody can ask a registry for the tags of an image \
         through Docker: name containers one by one, as docker:IMAGE:TAG,docker:IMAGE:TAG"
    )]
    End(String),
    /// Both ends are releases, but not in this order.
    #[error("{0} is no range: it goes from the older release of a package to the newer one")]
    Order(String),
    /// A single engine.
    #[error(
        "'{0}' is one version; name a range as milvus-lite-2.4.1..milvus-lite-3.2.2, or two \
         versions or more, separated by commas"
    )]
    Single(String),
    /// An engine of the list.
    #[error(transparent)]
    Engine(#[from] UnknownChoice),
}

impl FromStr for EngineRange {
    type Err = NoRange;

    fn from_str(text: &str) -> Result<EngineRange, NoRange> {
        let end = |name: &str| NoRange::End(name.chars().take(60).collect());
        if let Some((first, last)) = text.split_once("..") {
            let (first, last) = (first.trim(), last.trim());
            let from = Release::named(first).ok_or_else(|| end(first))?;
            let to = match last.parse() {
                Ok(version) => Release::of(from.package(), version),
                Err(_) => Release::named(last),
            };
            let to = to.ok_or_else(|| end(last))?;
            if from.package() != to.package() || from.version() >= to.version() {
                return Err(NoRange::Order(format!("{first}..{last}")));
            }
            return Ok(EngineRange::Between(from, to));
        }
        let engines = text.split(',').map(|name| name.trim().parse());
        let engines: Vec<EngineChoice> = engines.collect::<Result<_, _>>()?;
        match engines.len() {
            1 => Err(NoRange::Single(text.to_owned())),
            _ => Ok(EngineRange::List(engines)),
        }
    }
}

impl fmt::Display for EngineRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineRange::Between(from, to) => write!(f, "{}..{}", from.kind(), to.kind()),
            EngineRange::List(engines) => {
                let names: Vec<String> = engines.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl EngineRange {
    /// The versions in their order. Those within a range are asked of the package index, by the pip
    /// of the named Python or of an installed engine; pre-releases are left out. The ends of a range
    /// are in the list, whether the index has them or not.
    pub async fn versions(
        &self,
        options: &EmbeddedOptions,
    ) -> Result<Vec<EngineChoice>, EngineError> {
        let (from, to) = match self {
            EngineRange::List(engines) => return Ok(engines.clone()),
            EngineRange::Between(from, to) => (from, to),
        };
        let mut versions = released(from.package(), options).await?;
        versions.retain(|version| (from.version()..=to.version()).contains(version));
        versions.extend([from.version(), to.version()]);
        let releases = versions.into_iter().filter_map(|v| Release::of(from.package(), v));
        Ok(releases.map(|release| EngineChoice::Embedded(release.kind())).collect())
    }
}

/// The releases of a package that the index has for this system.
async fn released(
    package: &'static str,
    options: &EmbeddedOptions,
) -> Result<BTreeSet<Version>, EngineError> {
    let mut failure = None;
    for python in pythons(options)? {
        let mut versions = None;
        let mut pip = Command::new(&python);
        pip.args(["-I", "-m", "pip", "index", "versions", package, "--only-binary=:all:"])
            .args(["--no-input", "--disable-pip-version-check"]);
        let listed = command::run(pip, Stdio::null(), |line| {
            versions = versions.take().or_else(|| available(line));
        });
        let reason = match listed.await {
            Ok(outcome) => match versions {
                Some(versions) => return Ok(versions),
                None => outcome.last_lines,
            },
            Err(error) => error.to_string(),
        };
        let reason = format!("{}: {}", python.display(), reason.trim());
        failure.get_or_insert(EngineError::Index { package, reason });
    }
    let nothing = || EngineError::Index { package, reason: "there is no Python".to_owned() };
    Err(failure.unwrap_or_else(nothing))
}

/// What may have a pip: the Python that is named, the environment of an engine, or any Python.
fn pythons(options: &EmbeddedOptions) -> Result<Vec<PathBuf>, EngineError> {
    let cache = cache_folder(options.cache_dir.as_deref())?;
    let mut pythons: Vec<PathBuf> = python::chosen(options.python.as_deref()).into_iter().collect();
    for kind in EngineKind::ALL.into_iter().chain(installed_releases(&cache)?) {
        if let Some(engine) = installed(&cache, kind)?.first() {
            pythons.push(engine.folder.join("venv/bin/python"));
            break;
        }
    }
    pythons.push(python::DEFAULT.into());
    Ok(pythons)
}

/// The versions in a line of `pip index versions`, if it is the one that has them. What is no
/// version of a release is none that can be installed here.
fn available(line: &str) -> Option<BTreeSet<Version>> {
    let (_, versions) = line.split_once("Available versions:")?;
    Some(versions.split(',').filter_map(|version| version.trim().parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_read() {
        for text in [
            "milvus-lite-2.4.1..milvus-lite-3.2.2",
            "milvus-2.3.0..milvus-2.3.5",
            "milvus-lite-2.5.1,docker:milvusdb/milvus:v2.5.4",
            "docker:a:v2.4.0,docker:a:v2.5.0,docker:a:v2.6.0",
        ] {
            assert_eq!(text.parse::<EngineRange>().unwrap().to_string(), text);
        }
        let short: EngineRange = "milvus-lite-2.4.1..3.0".parse().unwrap();
        assert_eq!(short.to_string(), "milvus-lite-2.4.1..milvus-lite-3.0.0");
    }

    #[test]
    fn what_is_no_range_says_what_to_write() {
        for (text, complaint) in [
            ("docker:a:v2.4..docker:a:v2.5", "'docker:a:v2.4' is no release"),
            ("milvus-lite-2.4.1..9.0", "'9.0' is no release"),
            ("milvus-lite-2.4.1..", "'' is no release"),
            ("milvus-lite-2.5.1..2.4.1", "it goes from the older release"),
            ("milvus-lite-2.5.1..2.5.1", "it goes from the older release"),
            ("milvus-2.3.0..milvus-lite-2.5.1", "it goes from the older release"),
            ("milvus-lite-2.5.1", "is one version"),
            ("milvus-lite-2.5.1,milvus-9", "unknown engine 'milvus-9'"),
        ] {
            let error = text.parse::<EngineRange>().unwrap_err().to_string();
            assert!(error.contains(complaint), "{text}: {error}");
        }
    }

    #[test]
    fn the_versions_are_read_from_pips_words() {
        let line = "Available versions: 3.0, 2.5.1, 2.5.0rc2, 2.4.12, 2.4.9.dev3, 2.4.9";
        let versions = available(line).expect("versions");
        let names: Vec<String> = versions.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["2.4.9", "2.4.12", "2.5.1", "3.0.0"]);
        assert_eq!(available("milvus-lite (3.2.2)"), None);
    }
}
