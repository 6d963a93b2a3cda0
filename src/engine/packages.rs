//! What is installed: the engine by its hashes, everything else by its version.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::python;

/// The engine and its client.
pub(super) const ENGINE: &str = include_str!("packages/engine.txt");

/// What they need.
pub(super) const CONSTRAINTS: &str = include_str!("packages/constraints.txt");

/// The packages of `engine.txt`, whose dependencies pip is to add.
pub(super) const NAMES: [&str; 2] = ["milvus-lite", "pymilvus"];

/// Names an installation by all that it is made of, so that new pins never meet old packages.
pub(super) fn digest(python: Option<&Path>) -> String {
    let mut hash = Sha256::new();
    for part in [ENGINE, CONSTRAINTS] {
        hash.update(part);
        hash.update([0]);
    }
    if let Some(python) = python {
        hash.update(python.as_os_str().as_encoded_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How many packages the two files pin for this version of Python.
pub(super) fn pins(version: (u32, u32)) -> usize {
    let applies = |marker: &str| {
        let marker = marker.trim().trim_start_matches("python_version").trim();
        let bound = |text: &str| python::parse_version(text.trim().trim_matches('"'));
        if let Some(end) = marker.strip_prefix('<') {
            bound(end).is_none_or(|end| version < end)
        } else if let Some(start) = marker.strip_prefix(">=") {
            bound(start).is_none_or(|start| version >= start)
        } else {
            true
        }
    };
    [ENGINE, CONSTRAINTS]
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| line.starts_with(char::is_alphanumeric))
        .filter(|line| line.split_once(';').is_none_or(|(_, marker)| applies(marker)))
        .count()
}

/// The name at the start of a requirement: `numpy` of `numpy==2.2.6 (from milvus-lite)`.
pub(super) fn name_of(requirement: &str) -> &str {
    requirement
        .split(|c: char| !(c.is_alphanumeric() || "-_.".contains(c)))
        .next()
        .unwrap_or(requirement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_follow_the_markers() {
        assert_eq!(pins((3, 10)), 23);
        assert_eq!(pins((3, 11)), 22);
        assert_eq!(pins((3, 14)), 22);
    }

    #[test]
    fn every_pin_is_exact() {
        for line in [ENGINE, CONSTRAINTS].into_iter().flat_map(str::lines) {
            if line.starts_with(char::is_alphanumeric) {
                assert!(line.contains("=="), "{line}");
            }
        }
    }

    #[test]
    fn a_requirement_gives_its_name() {
        assert_eq!(name_of("numpy==2.2.6 (from x)"), "numpy");
        assert_eq!(name_of("python-dotenv<2.0.0,>=1.0.1"), "python-dotenv");
    }

    #[test]
    fn another_python_is_another_installation() {
        assert_ne!(digest(None), digest(Some(Path::new("/opt/python3"))));
        assert_eq!(digest(None).len(), 64);
    }
}
