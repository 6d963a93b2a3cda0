//! The engines that can be embedded, as data.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::packages::Packages;

/// An engine that can be installed and started by its name.
///
/// ```
/// use milvus_difftest::engine::EngineKind;
/// let kind: EngineKind = "milvus-2.3.5".parse().unwrap();
/// assert_eq!(kind, EngineKind::Milvus23);
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
}

/// What is peculiar to a kind.
#[derive(Debug)]
pub(super) struct Spec {
    /// As options take it and as its folder in the cache begins.
    pub name: &'static str,
    version: &'static str,
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
    name: "milvus-lite-3.2.2",
    version: "milvus_lite-3.2.2",
    service: Service::Milvus,
    packages: Packages {
        hashed: include_str!("packages/milvus-lite-3.2.2.txt"),
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
    name: "milvus-lite-2.5.1",
    version: "milvus_lite-2.5.1",
    service: Service::Milvus,
    packages: Packages {
        hashed: include_str!("packages/milvus-lite-2.5.1.txt"),
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
    name: "milvus-2.3.5",
    version: "v2.3.5-lite",
    service: Service::Milvus,
    packages: Packages {
        hashed: include_str!("packages/milvus-2.3.5.txt"),
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
    name: "clickhouse-chdb-26.9.0",
    version: "26.9.2.1",
    service: Service::ClickHouse,
    packages: Packages {
        hashed: include_str!("packages/chdb-26.9.0.txt"),
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
    /// Every kind, the default first.
    pub const ALL: [EngineKind; 3] =
        [EngineKind::MilvusLite3, EngineKind::MilvusLite2, EngineKind::Milvus23];

    /// Its name, as options take it and as its folder in the cache begins.
    pub fn name(self) -> &'static str {
        self.spec().name
    }

    /// Its version in the form in which servers report theirs; this one may not report any.
    pub fn version(self) -> &'static str {
        self.spec().version
    }

    pub(super) fn spec(self) -> &'static Spec {
        match self {
            EngineKind::MilvusLite3 => &MILVUS_LITE_3,
            EngineKind::MilvusLite2 => &MILVUS_LITE_2,
            EngineKind::Milvus23 => &MILVUS_2_3,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EngineKind {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<EngineKind, UnknownEngine> {
        let kind = EngineKind::ALL.into_iter().find(|kind| kind.name() == name);
        kind.ok_or_else(|| UnknownEngine(name.chars().take(40).collect()))
    }
}

/// A name that no engine has; the message lists those that exist.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown engine '{0}': expected one of {names}", names = EngineKind::ALL.map(EngineKind::name).join(", "))]
pub struct UnknownEngine(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_round_trip_through_their_names() {
        for kind in EngineKind::ALL {
            assert_eq!(kind.name().parse::<EngineKind>().unwrap(), kind);
            assert!(kind.name().ends_with(
                kind.version().trim_matches(|c: char| c.is_alphabetic() || "_-".contains(c))
            ));
        }
        let error = "milvus-9".parse::<EngineKind>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown engine 'milvus-9': expected one of milvus-lite-3.2.2, milvus-lite-2.5.1, \
             milvus-2.3.5"
        );
    }
}
