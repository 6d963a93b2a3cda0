//! The engines that can be embedded, as data.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::packages::Packages;
use super::release::{self, Release};

/// An engine that can be installed and started by its name.
///
/// ```
/// use milvus_difftest::engine::EngineKind;
/// let kind: EngineKind = "milvus-2.3.5".parse().unwrap();
/// assert_eq!(kind, EngineKind::Milvus23);
/// let release: EngineKind = "milvus-lite-2.4.9".parse().unwrap();
/// assert_eq!(release.version(), "milvus_lite-2.4.9");
/// assert_eq!(EngineKind::default().name(), "milvus-lite-3.2.2");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum EngineKind {
    /// Milvus Lite 3.2.2, written in Python.
    #[default]
    MilvusLite3,
    /// Milvus Lite 2.5.1: the server's C++ core with a parser of its own.
    MilvusLite2,
    /// Milvus 2.3.5 standalone, with etcd and the message queue inside.
    Milvus23,
    /// Any other release, by its version and without hashes.
    Release(Release),
}

/// What is peculiar to a kind.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    /// As options take it and as its folder in the cache begins.
    pub name: Cow<'static, str>,
    pub version: Cow<'static, str>,
    pub service: Service,
    pub packages: Packages,
    /// Prepares and starts it: one of `launch/`, where `launcher.py` says what is in it.
    pub script: &'static str,
    /// From its start to its first answer, on a busy machine.
    pub start_timeout: Duration,
    /// What must be free, in bytes, where its data goes into memory.
    pub room: u64,
}

/// How it is known that an engine is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    /// It stores a row and finds it.
    Milvus,
    /// It has told its port, which it does not before.
    ClickHouse,
}

static MILVUS_LITE_3: Spec = Spec {
    name: Cow::Borrowed("milvus-lite-3.2.2"),
    version: Cow::Borrowed("milvus_lite-3.2.2"),
    service: Service::Milvus,
    packages: Packages {
        engine: Cow::Borrowed(include_str!("packages/milvus-lite-3.2.2.txt")),
        pinned: true,
        constraints: include_str!("packages/milvus-lite-3.2.2-constraints.txt"),
        names: &["milvus-lite", "pymilvus"],
        modules: &["milvus_lite", "pymilvus"],
    },
    script: include_str!("launch/milvus_lite_3.py"),
    // A second on an idle machine; the first start after installing also compiles Python.
    start_timeout: Duration::from_secs(60),
    // Containers often have 64 MB, which it would fill.
    room: 1 << 30,
};

static MILVUS_LITE_2: Spec = Spec {
    name: Cow::Borrowed("milvus-lite-2.5.1"),
    version: Cow::Borrowed("milvus_lite-2.5.1"),
    service: Service::Milvus,
    packages: Packages {
        engine: Cow::Borrowed(include_str!("packages/milvus-lite-2.5.1.txt")),
        pinned: true,
        constraints: "",
        names: &["milvus-lite"],
        modules: &["milvus_lite"],
    },
    script: include_str!("launch/milvus_lite_2.py"),
    // A tenth of a second on an idle machine.
    start_timeout: Duration::from_secs(60),
    room: 1 << 30,
};

static MILVUS_2_3: Spec = Spec {
    name: Cow::Borrowed("milvus-2.3.5"),
    version: Cow::Borrowed("v2.3.5-lite"),
    service: Service::Milvus,
    packages: Packages {
        engine: Cow::Borrowed(include_str!("packages/milvus-2.3.5.txt")),
        pinned: true,
        constraints: "",
        names: &["milvus"],
        modules: &["milvus"],
    },
    script: include_str!("launch/milvus_2_3.py"),
    // Four seconds on an idle machine.
    start_timeout: Duration::from_secs(120),
    // Logs of its parts that are made large at once: 270 MB for each engine before any row.
    room: 4 << 30,
};

/// The reference, not an engine under test, and so no kind.
pub(super) static CLICKHOUSE: Spec = Spec {
    name: Cow::Borrowed("clickhouse-chdb-26.9.0"),
    version: Cow::Borrowed("26.9.2.1"),
    service: Service::ClickHouse,
    packages: Packages {
        engine: Cow::Borrowed(include_str!("packages/chdb-26.9.0.txt")),
        pinned: true,
        constraints: "",
        names: &["chdb-core"],
        modules: &["chdb"],
    },
    script: include_str!("launch/clickhouse_chdb.py"),
    // Two seconds on an idle machine.
    start_timeout: Duration::from_secs(60),
    room: 1 << 30,
};

impl EngineKind {
    /// Those that are pinned by hashes, the default first.
    pub const ALL: [EngineKind; 3] =
        [EngineKind::MilvusLite3, EngineKind::MilvusLite2, EngineKind::Milvus23];

    /// Its name, as options take it and as its folder in the cache begins.
    pub fn name(self) -> Cow<'static, str> {
        self.spec().into_owned().name
    }

    /// Its version in the form in which servers report theirs; this one may not report any.
    pub fn version(self) -> Cow<'static, str> {
        self.spec().into_owned().version
    }

    /// The kind whose servers report this version; nothing if it cannot be installed.
    ///
    /// ```
    /// use milvus_difftest::engine::EngineKind;
    /// assert_eq!(EngineKind::of_version("v2.3.5-lite"), Some(EngineKind::Milvus23));
    /// assert_eq!(EngineKind::of_version("v2.6.4"), None);
    /// ```
    pub fn of_version(version: &str) -> Option<EngineKind> {
        Release::reporting(version).map(Release::kind)
    }

    /// Which release of which package it is.
    pub fn release(self) -> Option<Release> {
        match self {
            EngineKind::Release(release) => Some(release),
            pinned => Release::pinned(pinned),
        }
    }

    /// The pinned kind that is installed and started in the same way: itself, if it is pinned.
    pub fn like(self) -> EngineKind {
        match self {
            EngineKind::Release(release) => release.like(),
            pinned => pinned,
        }
    }

    /// What `pip install` takes for pymilvus to start it, as words of a shell.
    pub fn requirement(self) -> String {
        self.release().map(Release::requirement).unwrap_or_default()
    }

    pub(super) fn spec(self) -> Cow<'static, Spec> {
        Cow::Borrowed(match self {
            EngineKind::MilvusLite3 => &MILVUS_LITE_3,
            EngineKind::MilvusLite2 => &MILVUS_LITE_2,
            EngineKind::Milvus23 => &MILVUS_2_3,
            EngineKind::Release(release) => return Cow::Owned(release.spec()),
        })
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<EngineKind, UnknownEngine> {
        let kind = Release::named(name).map(Release::kind);
        kind.ok_or_else(|| UnknownEngine(name.chars().take(40).collect()))
    }
}

/// A name that no engine has; the message lists those that exist.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown engine '{0}': expected one of {names}", names = names())]
pub struct UnknownEngine(String);

/// The names that embedded engines have, for a message.
pub(super) fn names() -> String {
    let pinned = EngineKind::ALL.map(EngineKind::name).join(", ");
    format!("{pinned}, or another release ({})", release::examples())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_round_trip_through_their_names() {
        for kind in EngineKind::ALL {
            assert_eq!(kind.name().parse::<EngineKind>().unwrap(), kind);
            let version = kind.version();
            let number = version.trim_matches(|c: char| c.is_alphabetic() || "_-".contains(c));
            assert!(kind.name().ends_with(number));
            assert_eq!(EngineKind::of_version(&version), Some(kind));
        }
        let release: EngineKind = "milvus-lite-2.4.9".parse().unwrap();
        assert_eq!(release.name(), "milvus-lite-2.4.9");
        assert_eq!(release.like(), EngineKind::MilvusLite2);
        assert_eq!(EngineKind::of_version("milvus_lite-2.4.9"), Some(release));
        assert_eq!(release.requirement(), "milvus-lite==2.4.9 'setuptools<81'");
        let error = "milvus-9".parse::<EngineKind>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown engine 'milvus-9': expected one of milvus-lite-3.2.2, milvus-lite-2.5.1, \
             milvus-2.3.5, or another release (milvus-2.3.0 or later below 2.4.0, \
             milvus-lite-2.4.0 or later below 3.0.0, milvus-lite-3.0.0 or later below 4.0.0)"
        );
    }
}
