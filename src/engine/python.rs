//! Finding a Python that can make a virtual environment.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::cache::from_env;
use super::command;
use super::error::EngineError;

const OLDEST: (u32, u32) = (3, 10);

/// Syntax that even Python 2 understands, so that an old one can say how old it is. Without its
/// `ensurepip`, which Debian packages apart, `venv` would fail half-way.
const PROBE: &str = "\
import sys
print('version %d.%d' % sys.version_info[:2])
for module in ('venv', 'ensurepip'):
    try:
        __import__(module)
    except ImportError:
        print('missing ' + module)
";

/// A Python fit to install with.
#[derive(Debug)]
pub(super) struct Python {
    pub command: PathBuf,
    pub version: (u32, u32),
}

/// What is run if no other is named.
pub(super) const DEFAULT: &str = "python3";

/// The one named, here or in `MILVUS_DIFFTEST_PYTHON`.
pub(super) fn chosen(named: Option<&Path>) -> Option<PathBuf> {
    named.map(Path::to_owned).or_else(|| from_env("MILVUS_DIFFTEST_PYTHON"))
}

/// Which Python embedded engines would be installed with, and its version; an error if it is unfit.
pub async fn python_version(named: Option<&Path>) -> Result<(PathBuf, (u32, u32)), EngineError> {
    let python = probe(&chosen(named).unwrap_or_else(|| DEFAULT.into())).await?;
    Ok((python.command, python.version))
}

/// Checks that `command` is a Python new enough and whole.
pub(super) async fn probe(command: &Path) -> Result<Python, EngineError> {
    let unfit =
        |reason: String| EngineError::Python { python: command.display().to_string(), reason };
    let mut version = None;
    let mut missing = Vec::new();
    let mut python = Command::new(command);
    // Neither PYTHON* variables nor the user's own packages, without -I, which Python 2 has not.
    python.args(["-E", "-s", "-c", PROBE]);
    let outcome = command::run(python, Stdio::null(), |line| {
        if let Some(text) = line.strip_prefix("version ") {
            version = parse_version(text);
        } else if let Some(module) = line.strip_prefix("missing ") {
            missing.push(module.to_owned());
        }
    })
    .await
    .map_err(|error| unfit(format!("it does not run ({error})")))?;

    match version {
        None if outcome.last_lines.is_empty() => {
            Err(unfit(format!("it does not run ({})", outcome.status)))
        }
        None => Err(unfit(format!("it answered: {}", outcome.last_lines))),
        Some(version) if version < OLDEST => {
            Err(unfit(format!("it is version {}.{}", version.0, version.1)))
        }
        Some(_) if !missing.is_empty() => {
            Err(unfit(format!("it has no module {}", missing.join(", "))))
        }
        Some(version) => Ok(Python { command: command.to_owned(), version }),
    }
}

/// `3.12` as numbers.
pub(super) fn parse_version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn probe_script(body: &str) -> Result<Python, EngineError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("python");
        // Written by another process: this one may be forking at the same time, and a file that any
        // process has open for writing cannot be run.
        let written = std::process::Command::new("sh")
            .args(["-c", r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod +x "$2""#, "sh", body])
            .arg(&path)
            .status();
        assert!(written.expect("sh runs").success());
        probe(&path).await
    }

    #[tokio::test]
    async fn an_unfit_python_is_named_with_the_reason() {
        for (body, reason) in [
            ("echo version 3.9", "it is version 3.9"),
            ("echo version 2.7", "it is version 2.7"),
            ("echo version 3.12; echo missing ensurepip", "it has no module ensurepip"),
            ("echo broken >&2; exit 1", "it answered: broken"),
            ("exit 3", "it does not run (exit status: 3)"),
        ] {
            let message = probe_script(body).await.expect_err("unfit").to_string();
            assert!(message.contains(reason), "{message}");
            assert!(message.contains("MILVUS_DIFFTEST_PYTHON"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_missing_python_is_said_to_be_missing() {
        let error = probe(Path::new("/nowhere/python3")).await.expect_err("missing");
        let message = error.to_string();
        assert!(message.contains("`/nowhere/python3`: it does not run"), "{message}");
    }

    #[tokio::test]
    async fn a_fit_python_tells_its_version() {
        let python = probe_script("echo version 3.12").await.expect("fit");
        assert_eq!(python.version, (3, 12));
    }
}
