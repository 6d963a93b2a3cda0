//! Installing the engine's packages, once per user, into a cache folder.

use std::borrow::Cow;
use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::cache::cache_folder;
use super::command;
use super::error::EngineError;
use super::kind::{EngineKind, Spec};
use super::packages;
use super::python::{self, Python};
use super::running::Engine;

/// How often a second process looks whether the first has finished installing.
const LOCK_POLL: Duration = Duration::from_millis(200);

/// Which engine is embedded, where and with what it is installed, and how long it may take to start.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedOptions {
    /// The engine.
    pub kind: EngineKind,
    /// The folder to keep engines in; without one `MILVUS_DIFFTEST_CACHE`, else
    /// `$XDG_CACHE_HOME/milvus-difftest`.
    pub cache_dir: Option<PathBuf>,
    /// The Python to install with; without one `MILVUS_DIFFTEST_PYTHON`, else `python3`.
    pub python: Option<PathBuf>,
    /// How long an engine may take from its start to its first answer; without it, what is enough
    /// for this one on a busy machine.
    pub start_timeout: Option<Duration>,
}

/// What an installation is doing; displays as a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum InstallStep {
    /// Another process is installing the same engine.
    Waiting,
    /// Making the virtual environment.
    Environment,
    /// Fetching a package.
    Fetching {
        /// Its name.
        package: String,
        /// Which one it is, counted from 1.
        number: usize,
        /// How many there are.
        total: usize,
    },
    /// Unpacking what was fetched; the longest step.
    Unpacking {
        /// How many packages.
        total: usize,
    },
    /// Fetching an image.
    Pulling {
        /// Its name.
        image: String,
        /// How much is there, in megabytes.
        done: u64,
        /// How much there is to fetch, as far as it is known yet, in megabytes.
        total: u64,
    },
    /// Making the engine ready to start, and checking that it can be loaded.
    Preparing,
}

impl fmt::Display for InstallStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another process that installs the engine"),
            Self::Environment => f.write_str("making a Python environment for the engine"),
            Self::Fetching { package, number, total } => {
                write!(f, "fetching package {number} of {total}, {package}")
            }
            Self::Unpacking { total } => write!(f, "unpacking {total} packages"),
            Self::Pulling { image, total: 0, .. } => write!(f, "pulling the image {image}"),
            Self::Pulling { image, done, total } => {
                write!(f, "pulling the image {image}, {done} of {total} MB")
            }
            Self::Preparing => f.write_str("preparing the engine and checking that it loads"),
        }
    }
}

/// Called with each step of an installation as it begins; never, if the engine is there already.
pub type Progress<'a> = dyn Fn(InstallStep) + Send + Sync + 'a;

/// An installed engine, of which any number can be started.
#[derive(Debug, Clone)]
pub struct Installation {
    kind: EngineKind,
    packages: Installed,
}

/// Packages in their folder.
#[derive(Debug, Clone)]
pub(super) struct Installed {
    spec: Cow<'static, Spec>,
    folder: PathBuf,
    start_timeout: Duration,
}

/// Makes sure that the engine is installed. Fast when it is; safe to call from several
/// processes at once; leaves nothing half-made behind when it fails or is dropped.
pub async fn install(
    options: &EmbeddedOptions,
    progress: &Progress<'_>,
) -> Result<Installation, EngineError> {
    let packages = install_packages(options, options.kind.spec(), progress).await?;
    Ok(Installation { kind: options.kind, packages })
}

pub(super) async fn install_packages(
    options: &EmbeddedOptions,
    spec: Cow<'static, Spec>,
    progress: &Progress<'_>,
) -> Result<Installed, EngineError> {
    let python = python::chosen(options.python.as_deref());
    let cache = cache_folder(options.cache_dir.as_deref())?;
    let digest = spec.packages.digest(python.as_deref());
    let installation = Installed {
        folder: cache.join(format!("{}-{}", spec.name, &digest[..12])),
        start_timeout: options.start_timeout.unwrap_or(spec.start_timeout),
        spec,
    };
    if installation.is_complete(&digest).await {
        return Ok(installation);
    }

    fs::create_dir_all(&cache).map_err(EngineError::io("make the folder", &cache))?;
    let lock = lock(&installation.beside("lock"), progress).await?;
    // Whoever held the lock may have done the work.
    if !installation.is_complete(&digest).await {
        let python = python::probe(&python.unwrap_or_else(|| python::DEFAULT.into())).await?;
        installation.build(&python, &lock, &digest, progress).await?;
    }
    Ok(installation)
}

impl Installation {
    /// Starts an engine of its own: fresh process, empty data folder, free loopback port.
    pub async fn start(&self) -> Result<Engine, EngineError> {
        Engine::embedded(self.clone()).await
    }

    /// Which engine it is.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// Its version in the form in which servers report theirs.
    pub(super) fn version(&self) -> &str {
        &self.packages.spec.version
    }

    /// The Python of its environment. That of Milvus Lite 3 has `pymilvus`, to run reproduction
    /// scripts with.
    pub fn python(&self) -> PathBuf {
        self.packages.python()
    }

    pub(super) fn packages(&self) -> &Installed {
        &self.packages
    }
}

impl Installed {
    pub(super) fn python(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    pub(super) fn start_timeout(&self) -> Duration {
        self.start_timeout
    }

    /// A path like that of the folder, with an extension. (Its name has points that begin none.)
    fn beside(&self, extension: &str) -> PathBuf {
        let mut path = self.folder.clone().into_os_string();
        path.push(".");
        path.push(extension);
        path.into()
    }

    fn marker(&self) -> PathBuf {
        self.folder.join("installed")
    }

    /// Whether the marker is right and the packages are found: the Python that the environment
    /// points to may have been upgraded or removed since.
    async fn is_complete(&self, digest: &str) -> bool {
        if !fs::read_to_string(self.marker()).is_ok_and(|marker| marker == digest) {
            return false;
        }
        let find = "import sys; from importlib.util import find_spec; \
                    sys.exit(not all(map(find_spec, sys.argv[1:])))";
        let mut python = Command::new(self.python());
        python.args(["-I", "-c", find]).args(self.spec.packages.modules);
        command::run(python, Stdio::null(), |_| ())
            .await
            .is_ok_and(|outcome| outcome.status.success())
    }

    /// Installs into the final place and writes the marker last. Building elsewhere and renaming
    /// would be no safer, since nothing looks into a folder that lacks its marker, and the scripts
    /// of a virtual environment hold the path it was made at.
    async fn build(
        &self,
        python: &Python,
        lock: &File,
        digest: &str,
        progress: &Progress<'_>,
    ) -> Result<(), EngineError> {
        let unfinished = Unfinished(&self.folder);
        unfinished.clear()?;
        fs::create_dir_all(&self.folder)
            .map_err(EngineError::io("make the folder", &self.folder))?;
        let packages = &self.spec.packages;
        for (name, text) in
            [("engine.txt", &*packages.engine), ("constraints.txt", packages.constraints)]
        {
            let path = self.folder.join(name);
            fs::write(&path, text).map_err(EngineError::io("write", &path))?;
        }

        progress(InstallStep::Environment);
        let mut venv = Command::new(&python.command);
        venv.args(["-I", "-m", "venv"]).arg(self.folder.join("venv"));
        self.run(venv, lock, &STEP_VENV, |_| ()).await?;

        let total = packages.pins(python.version);
        let mut number = 0;
        let mut on_line = |line: &str| {
            if let Some(requirement) = line.strip_prefix("Collecting ") {
                number += 1;
                progress(InstallStep::Fetching {
                    package: packages::name_of(requirement).to_owned(),
                    number: number.min(total),
                    total,
                });
            } else if line.starts_with("Installing collected packages")
                && number > packages.names.len()
            {
                progress(InstallStep::Unpacking { total: number });
            }
        };
        let mut pip = self.pip();
        pip.args(["--no-deps", "-r", "engine.txt"]);
        if packages.pinned {
            pip.arg("--require-hashes");
        }
        let mut refused = Refused::default();
        let read = |line: &str| {
            refused.read(line);
            on_line(line);
        };
        let fetched = self.run(pip, lock, &STEP_PACKAGES, read).await;
        if !packages.pinned {
            refused.of(&self.spec.name)?;
        }
        fetched?;
        if !packages.constraints.is_empty() {
            let mut pip = self.pip();
            pip.args(["-c", "constraints.txt"]).args(packages.names);
            self.run(pip, lock, &STEP_PACKAGES, &mut on_line).await?;
        }

        progress(InstallStep::Preparing);
        let mut prepare = Command::new(self.python());
        prepare.args(["-I", "-c"]).arg(format!("{}\nprepare()", self.spec.script));
        self.run(prepare, lock, &STEP_PREPARE, |_| ()).await?;

        let marker = self.marker();
        fs::write(&marker, digest).map_err(EngineError::io("write", &marker))?;
        unfinished.keep();
        Ok(())
    }

    /// `pip install`, with the user's own configuration of indexes, proxies and certificates.
    fn pip(&self) -> Command {
        let mut pip = Command::new(self.python());
        // Unbuffered, so that its lines can be shown as they come. Byte code is left to be compiled
        // on first use: most modules never are used.
        pip.args(["-I", "-u", "-m", "pip", "install", "--no-input", "--no-compile"])
            .args(["--disable-pip-version-check", "--progress-bar=off"])
            .arg("--only-binary=:all:")
            // A user who has set `--user` means the system's Python, not this one.
            .env("PIP_USER", "0")
            .current_dir(&self.folder);
        pip
    }

    /// Runs one step. The process inherits the lock as its standard input, so that should this one
    /// be killed, no other starts over while it still writes.
    async fn run(
        &self,
        command: Command,
        lock: &File,
        step: &Step,
        on_line: impl FnMut(&str),
    ) -> Result<(), EngineError> {
        let stdin = lock.try_clone().map_err(EngineError::io("hold the lock of", &self.folder))?;
        tracing::debug!(folder = %self.folder.display(), "{}", step.name);
        let outcome = command::run(command, stdin.into(), on_line)
            .await
            .map_err(EngineError::io("run a program in", &self.folder))?;
        if outcome.status.success() {
            return Ok(());
        }
        Err(EngineError::Install {
            step: step.name,
            status: outcome.status.to_string(),
            output: outcome.last_lines,
            help: step.help,
        })
    }
}

/// What pip says of a release that is not to be had.
#[derive(Debug, Default)]
struct Refused {
    /// Those that are.
    there: Option<String>,
    /// Why this one is not to be used.
    yanked: Option<String>,
}

impl Refused {
    /// Takes a line of pip's output into account.
    fn read(&mut self, line: &str) {
        if line.contains("Could not find a version that satisfies the requirement") {
            let there = line.split_once("(from versions: ").map_or("", |(_, there)| there);
            self.there = Some(there.trim_end_matches(')').to_owned());
        }
        // Two lines: that it is, and the reason.
        if line.contains("is a yanked version") {
            self.yanked = Some(String::new());
        } else if let Some(reason) = line.strip_prefix("Reason for being yanked: ")
            && let Some(yanked) = &mut self.yanked
        {
            reason.clone_into(yanked);
        }
    }

    /// An error if the engine of this name was refused.
    fn of(self, name: &str) -> Result<(), EngineError> {
        let engine = name.to_owned();
        match self {
            Refused { yanked: Some(reason), .. } => Err(EngineError::Yanked { engine, reason }),
            Refused { there: Some(there), .. } => Err(EngineError::NoRelease { engine, there }),
            _ => Ok(()),
        }
    }
}

struct Step {
    name: &'static str,
    help: &'static str,
}

const STEP_VENV: Step = Step {
    name: "making a Python environment",
    help: "try `python3 -m venv` by hand in an empty folder",
};
const STEP_PACKAGES: Step = Step {
    name: "installing the packages with pip",
    help: "pip needs a package index that it can reach and about 500 MB, and an engine that is \
           published for this system; its index, proxy and certificates are configured as for any \
           use of pip (`python3 -m pip config list`)",
};
const STEP_PREPARE: Step = Step {
    name: "loading the engine once",
    help: "the packages are installed but do not run here; try another Python with \
           MILVUS_DIFFTEST_PYTHON, and look for space left in the cache folder",
};

/// A folder that goes unless it is kept.
struct Unfinished<'a>(&'a Path);

impl Unfinished<'_> {
    fn clear(&self) -> Result<(), EngineError> {
        match fs::remove_dir_all(self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(EngineError::io("remove", self.0)(error))
            }
            _ => Ok(()),
        }
    }

    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.clear() {
            tracing::warn!("{error}");
        }
    }
}

/// Waits for the lock on `path`; it is held as long as the file is open, here or in a child.
async fn lock(path: &Path, progress: &Progress<'_>) -> Result<File, EngineError> {
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(path)
        .map_err(EngineError::io("open", path))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {
                if !told {
                    progress(InstallStep::Waiting);
                    told = true;
                }
                // Not a blocking lock on a thread: that could not be interrupted.
                tokio::time::sleep(LOCK_POLL).await;
            }
            Err(TryLockError::Error(source)) => return Err(EngineError::io("lock", path)(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_read_as_sentences() {
        let step = InstallStep::Fetching { package: "numpy".into(), number: 3, total: 22 };
        assert_eq!(step.to_string(), "fetching package 3 of 22, numpy");
    }

    #[test]
    fn a_release_that_is_not_there_or_withdrawn_is_told_by_pips_words() {
        let said = |lines: &[&str]| {
            let mut refused = Refused::default();
            lines.iter().for_each(|line| refused.read(line));
            refused.of("milvus-lite-2.4.0").map_err(|error| error.to_string())
        };
        assert_eq!(said(&["Collecting milvus-lite==2.4.0", "Successfully installed"]), Ok(()));
        let missing = said(&[
            "ERROR: Could not find a version that satisfies the requirement milvus-lite==2.4.0 \
             (from versions: 2.4.1, 2.4.2)",
            "ERROR: No matching distribution found for milvus-lite==2.4.0",
        ]);
        assert_eq!(
            missing.expect_err("it is missing"),
            "there is no milvus-lite-2.4.0 for this system and this Python in the package index: it \
             has 2.4.1, 2.4.2; name one of these, or see `python3 -m pip config list` for the index"
        );
        let yanked = said(&[
            "WARNING: The candidate selected for download or install is a yanked version: \
             'milvus-lite' candidate (version 2.4.0 at https://index/)",
            "Reason for being yanked: it loses rows",
        ]);
        assert_eq!(
            yanked.expect_err("it is yanked"),
            "milvus-lite-2.4.0 was withdrawn by its publisher (it loses rows); name another release"
        );
    }
}
