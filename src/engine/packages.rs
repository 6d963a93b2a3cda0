//! What is installed for an engine: itself by its hashes, everything else by its version.

use std::borrow::Cow;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::python;
use super::release::Version;

/// The packages of one engine.
#[derive(Debug, Clone)]
pub(super) struct Packages {
    /// The engine itself, and its client if its server is that client's too: requirements, with
    /// hashes if they are pinned.
    pub engine: Cow<'static, str>,
    /// Whether pip must find exactly these files.
    pub pinned: bool,
    /// What those need, by versions; empty if nothing.
    pub constraints: &'static str,
    /// The packages of `engine`, whose dependencies pip is to add.
    pub names: &'static [&'static str],
    /// The modules in them, by which it is known that they are there.
    pub modules: &'static [&'static str],
}

impl Packages {
    /// Names an installation by all that it is made of, so that new pins never meet old packages.
    pub(super) fn digest(&self, python: Option<&Path>) -> String {
        let mut hash = Sha256::new();
        for part in [&self.engine, self.constraints] {
            hash.update(part);
            hash.update([0]);
        }
        if let Some(python) = python {
            hash.update(python.as_os_str().as_encoded_bytes());
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The same with another version of this package, and therefore without hashes.
    pub(super) fn with(self, package: &str, version: Version) -> Packages {
        let pins = self.engine.lines().filter(|line| line.starts_with(char::is_alphanumeric));
        let requirement = |pin: &str| match name_of(pin) {
            name if name == package => format!("{package}=={version}\n"),
            _ => format!("{}\n", pin.trim_end_matches(['\\', ' '])),
        };
        let engine = pins.map(requirement).collect();
        Packages { engine: Cow::Owned(engine), pinned: false, ..self }
    }

    /// How many packages are pinned for this version of Python.
    pub(super) fn pins(&self, version: (u32, u32)) -> usize {
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
        [&self.engine, self.constraints]
            .into_iter()
            .flat_map(str::lines)
            .filter(|line| line.starts_with(char::is_alphanumeric))
            .filter(|line| line.split_once(';').is_none_or(|(_, marker)| applies(marker)))
            .count()
    }
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
    use crate::engine::EngineKind;

    fn all() -> impl Iterator<Item = Packages> {
        EngineKind::ALL.into_iter().map(|kind| kind.spec().into_owned().packages)
    }

    #[test]
    fn pins_follow_the_markers() {
        let pins = |version| all().map(|packages| packages.pins(version)).collect::<Vec<_>>();
        assert_eq!(pins((3, 10)), [23, 1, 1]);
        assert_eq!(pins((3, 11)), [22, 1, 1]);
        assert_eq!(pins((3, 14)), [22, 1, 1]);
    }

    #[test]
    fn every_pin_is_exact() {
        for packages in all() {
            for line in [&packages.engine, packages.constraints].into_iter().flat_map(str::lines) {
                if line.starts_with(char::is_alphanumeric) {
                    assert!(line.contains("=="), "{line}");
                }
            }
            for name in packages.names {
                assert!(packages.engine.contains(&format!("\n{name}==")), "{name}");
            }
            assert!(packages.engine.contains("--hash=sha256:"));
        }
    }

    #[test]
    fn a_requirement_gives_its_name() {
        assert_eq!(name_of("numpy==2.2.6 (from x)"), "numpy");
        assert_eq!(name_of("python-dotenv<2.0.0,>=1.0.1"), "python-dotenv");
    }

    #[test]
    fn another_python_is_another_installation() {
        for packages in all() {
            assert_ne!(packages.digest(None), packages.digest(Some(Path::new("/opt/python3"))));
            assert_eq!(packages.digest(None).len(), 64);
        }
    }
}
