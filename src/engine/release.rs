//! The releases of engines that are not pinned, and where they differ, as data.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use super::kind::{EngineKind, Spec};

/// The version of a release, as `2.4.9` or `2.2.13.post1`; `3.0` is `3.0.0`. Pre-releases have none.
///
/// ```
/// use milvus_difftest::engine::Version;
/// let [old, new] = ["2.4.9", "2.4.12"].map(|text| text.parse::<Version>().unwrap());
/// assert!(old < new);
/// assert_eq!("3.0".parse::<Version>().unwrap().to_string(), "3.0.0");
/// assert!("2.4.0rc1".parse::<Version>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    numbers: [u16; 3],
    post: Option<u16>,
}

impl Version {
    const fn new(major: u16, minor: u16) -> Version {
        Version { numbers: [major, minor, 0], post: None }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        self.post.map_or(Ok(()), |post| write!(f, ".post{post}"))
    }
}

/// A text that is no version of a release.
#[derive(Debug, Clone, thiserror::Error)]
#[error("'{0}' is no version of a release; write it as 2.4.9")]
pub struct NoVersion(String);

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Version, NoVersion> {
        let (numbers, post) = match text.split_once(".post") {
            Some((numbers, post)) => (numbers, Some(post)),
            None => (text, None),
        };
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten()
        };
        let parts: Option<Vec<u16>> = numbers.split('.').map(number).collect();
        let numbers = match parts.as_deref() {
            Some(&[major, minor]) => Some([major, minor, 0]),
            Some(&[major, minor, patch]) => Some([major, minor, patch]),
            _ => None,
        };
        let version = match (numbers, post.map(number)) {
            (Some(numbers), None) => Some(Version { numbers, post: None }),
            (Some(numbers), Some(Some(post))) => Some(Version { numbers, post: Some(post) }),
            _ => None,
        };
        version.ok_or_else(|| NoVersion(text.chars().take(40).collect()))
    }
}

/// Releases of one package that are installed and started alike: as the pinned one among them.
#[derive(Debug)]
struct Line {
    /// The package's name in the index, with which the engine's name begins.
    package: &'static str,
    /// The first of them.
    from: Version,
    /// The first that is not one of them.
    below: Version,
    /// The pinned one.
    pinned: EngineKind,
    /// What their servers put before and behind their versions.
    reported: [&'static str; 2],
    /// What pymilvus needs beside the package, to start it in a Python that has anything.
    beside: &'static str,
}

/// Milvus 2.2 panics without a configuration that names everything, and `milvus` 2.1 is no program
/// but a library; neither is started by what starts Milvus 2.3.
static LINES: [Line; 3] = [
    Line {
        package: "milvus-lite",
        from: Version::new(3, 0),
        below: Version::new(4, 0),
        pinned: EngineKind::MilvusLite3,
        reported: ["milvus_lite-", ""],
        beside: "",
    },
    Line {
        package: "milvus-lite",
        from: Version::new(2, 4),
        below: Version::new(3, 0),
        pinned: EngineKind::MilvusLite2,
        reported: ["milvus_lite-", ""],
        // Its Python imports a module that newer versions of setuptools lack.
        beside: " 'setuptools<81'",
    },
    Line {
        package: "milvus",
        from: Version::new(2, 3),
        below: Version::new(2, 4),
        pinned: EngineKind::Milvus23,
        reported: ["v", "-lite"],
        beside: "",
    },
];

/// A release of a package that is not pinned: installed from the package index by its version
/// alone, and started as the pinned release of its line.
///
/// ```
/// use milvus_difftest::engine::EngineKind;
/// let kind: EngineKind = "milvus-lite-2.4.9".parse().unwrap();
/// assert_eq!(kind.release().unwrap().package(), "milvus-lite");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Release {
    line: &'static Line,
    version: Version,
}

impl PartialEq for Release {
    fn eq(&self, other: &Release) -> bool {
        (self.line.package, self.version) == (other.line.package, other.version)
    }
}

impl Eq for Release {}

impl std::hash::Hash for Release {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.line.package, self.version).hash(state);
    }
}

impl Release {
    /// The release of this version, pinned or not; nothing if no line has it.
    pub(super) fn of(package: &str, version: Version) -> Option<Release> {
        let is_in =
            |line: &&Line| line.package == package && (line.from..line.below).contains(&version);
        LINES.iter().find(is_in).map(|line| Release { line, version })
    }

    /// The release of that name, as `milvus-lite-2.4.9`, pinned or not.
    pub(super) fn named(name: &str) -> Option<Release> {
        let (package, version) = name.rsplit_once('-')?;
        Release::of(package, version.parse().ok()?)
    }

    /// The release that a pinned engine is.
    pub(super) fn pinned(kind: EngineKind) -> Option<Release> {
        Release::named(&kind.name())
    }

    /// The release whose server reports this, pinned or not.
    pub(super) fn reporting(text: &str) -> Option<Release> {
        LINES.iter().find_map(|line| {
            let [before, behind] = line.reported;
            let version = text.strip_prefix(before)?.strip_suffix(behind)?;
            Release::of(line.package, version.parse().ok()?)
        })
    }

    /// As an engine.
    pub(super) fn kind(self) -> EngineKind {
        let pinned = EngineKind::ALL.into_iter().find(|kind| kind.name() == self.name());
        pinned.unwrap_or(EngineKind::Release(self))
    }

    /// The package's name in the index.
    pub fn package(self) -> &'static str {
        self.line.package
    }

    /// Its version.
    pub fn version(self) -> Version {
        self.version
    }

    /// As options take it.
    pub(super) fn name(self) -> String {
        format!("{}-{}", self.line.package, self.version)
    }

    /// In the form in which servers report theirs.
    pub(super) fn reported(self) -> String {
        let [before, behind] = self.line.reported;
        format!("{before}{}{behind}", self.version)
    }

    /// What to install for pymilvus to start it, as words of a shell.
    pub(super) fn requirement(self) -> String {
        format!("{}=={}{}", self.line.package, self.version, self.line.beside)
    }

    /// The pinned release of its line.
    pub(super) fn like(self) -> EngineKind {
        self.line.pinned
    }

    pub(super) fn spec(self) -> Spec {
        let like = self.line.pinned.spec().into_owned();
        Spec {
            name: Cow::Owned(self.name()),
            version: Cow::Owned(self.reported()),
            packages: like.packages.with(self.line.package, self.version),
            ..like
        }
    }
}

/// What releases can be named, for a message.
pub(super) fn examples() -> String {
    let mut all: Vec<String> = LINES
        .iter()
        .map(|line| format!("{}-{} or later below {}", line.package, line.from, line.below))
        .collect();
    all.sort();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_and_round_trip() {
        let order = ["2.2.13", "2.2.13.post1", "2.2.14", "2.4.9", "2.4.12", "3.0.0"];
        let versions = order.map(|text| text.parse::<Version>().unwrap());
        assert!(versions.is_sorted());
        assert_eq!(versions.map(|version| version.to_string()), order);
        for text in
            ["", "2", "2.4.", "2.4.0rc1", "2.4.0.dev1", "1!2.3", "2.4.1.1", "2.4.+1", "2.4.99999"]
        {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_pinned_engine_is_a_release_of_its_line() {
        for kind in EngineKind::ALL {
            let release = Release::pinned(kind).expect("a line has it");
            assert_eq!(release.like(), kind);
            assert_eq!(release.kind(), kind);
            assert_eq!(release.reported(), kind.version());
            assert_eq!(Release::reporting(&kind.version()), Some(release));
        }
    }

    #[test]
    fn a_release_is_installed_by_its_version_and_otherwise_as_the_pinned_one() {
        let spec = Release::named("milvus-lite-3.1.1").expect("a release").spec();
        assert_eq!(spec.version, "milvus_lite-3.1.1");
        assert_eq!(spec.packages.engine, "milvus-lite==3.1.1\npymilvus==3.0.2\n");
        let pinned = EngineKind::MilvusLite3.spec();
        assert_eq!(spec.packages.constraints, pinned.packages.constraints);
        assert_eq!(spec.script, pinned.script);
        assert!(pinned.packages.pinned && !spec.packages.pinned);
        let old = Release::named("milvus-2.3.0").expect("a release");
        assert_eq!(old.spec().packages.engine, "milvus==2.3.0\n");
        assert_eq!(Release::named("milvus-2.1.0"), None);
        assert_eq!(Release::named("milvus-lite-4.0.0"), None);
    }
}
