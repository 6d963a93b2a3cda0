//! Why there is no engine.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// Why an engine could not be installed, started or reached. Says what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// There is no home folder to keep the engine's packages in.
    #[error(
        "no cache folder: {reason}; set MILVUS_DIFFTEST_CACHE to a folder to keep the engine in"
    )]
    NoCacheFolder {
        /// What the system said.
        reason: String,
    },

    /// An installation cannot be removed yet.
    #[error("{} is just being installed; wait until that is done", .folder.display())]
    Busy {
        /// Where it is.
        folder: PathBuf,
    },

    /// The Python to install with is missing, too old or incomplete.
    #[error(
        "cannot install the engine with the Python `{python}`: {reason}; it takes a Python of 3.10 \
         to 3.14 with its `venv` and `ensurepip` modules (on Debian and Ubuntu: apt install \
         python3-venv); name another one in MILVUS_DIFFTEST_PYTHON"
    )]
    Python {
        /// The command that was tried.
        python: String,
        /// What is wrong with it.
        reason: String,
    },

    /// A step of the installation failed.
    #[error(
        "cannot install the engine: {step} failed ({status}); its last lines:\n{output}\nhelp: {help}"
    )]
    Install {
        /// The step, as a noun phrase.
        step: &'static str,
        /// How its process ended.
        status: String,
        /// The end of its output, without credentials.
        output: String,
        /// What to do next.
        help: &'static str,
    },

    /// The package index has no such release for this system.
    #[error(
        "there is no {engine} for this system and this Python in the package index: it has {there}; \
         name one of these, or see `python3 -m pip config list` for the index"
    )]
    NoRelease {
        /// Its name.
        engine: String,
        /// The versions that it has.
        there: String,
    },

    /// A release was withdrawn.
    #[error("{engine} was withdrawn by its publisher ({reason}); name another release")]
    Yanked {
        /// Its name.
        engine: String,
        /// The publisher's reason, if there is one.
        reason: String,
    },

    /// The package index does not say which releases there are.
    #[error(
        "cannot ask the package index for the releases of {package} ({reason}); this takes a Python \
         with pip, as `milvus-difftest engines install milvus-lite-2.5.1` makes one; or name the \
         versions one by one, separated by commas"
    )]
    Index {
        /// The package.
        package: &'static str,
        /// What pip said, without credentials.
        reason: String,
    },

    /// The engine ended, or told no port, before it answered.
    #[error("the engine ended while it started: {reason}")]
    StartFailed {
        /// How it ended, with the end of its log.
        reason: String,
    },

    /// The engine did not answer in time.
    #[error(
        "the engine did not answer within {}; start it with a longer time limit if the machine is \
         busy{log}", humantime::format_duration(*.waited)
    )]
    StartTimeout {
        /// The time limit.
        waited: Duration,
        /// What the last attempt met, and the end of its log, introduced.
        log: String,
    },

    /// An external engine does not answer.
    #[error(
        "no Milvus answers at {uri} within {}: {reason}; check that it runs, that the address and \
         port are right", humantime::format_duration(*.waited)
    )]
    Unreachable {
        /// The address, without credentials.
        uri: String,
        /// How long it was given.
        waited: Duration,
        /// What the last attempt met.
        reason: String,
    },

    /// An external engine refuses the credentials, or their absence.
    #[error("the Milvus at {uri} refuses the credentials: {reason}; check the token")]
    Denied {
        /// The address, without credentials.
        uri: String,
        /// The server's words.
        reason: String,
    },

    /// No Docker answers.
    #[error(
        "no Docker answers at {address}: {reason}; start its daemon, name another in DOCKER_HOST, \
         or use what needs none, as --engine milvus-lite-3.2.2 and --backend clickhouse:embedded"
    )]
    Docker {
        /// Where it was looked for.
        address: String,
        /// What was met.
        reason: String,
    },

    /// An image cannot be had.
    #[error(
        "cannot get the image {image}: {reason}; check its name and the way to its registry \
         (`docker pull {image}`), and whether that wants a `docker login`"
    )]
    Image {
        /// Its name.
        image: String,
        /// Docker's words.
        reason: String,
    },

    /// Docker refused something.
    #[error("Docker cannot {action}: {reason}; see what `docker info` says")]
    Container {
        /// What was attempted, as a verb.
        action: &'static str,
        /// Docker's words.
        reason: String,
    },

    /// The engine cannot be started again with its data.
    #[error(
        "cannot start {uri} again with its data: that takes an engine that was started here and \
         has not ended by itself"
    )]
    Forgetful {
        /// Its address.
        uri: String,
    },

    /// A simulated engine could not listen.
    #[error("cannot start the simulated engine on a loopback port: {0}")]
    Simulated(io::Error),

    /// The operating system refused something.
    #[error("cannot {action} {}: {source}; check its permissions and the space left there", .path.display())]
    Io {
        /// What was attempted, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl EngineError {
    /// Whether it is about this one version, so that another may do better.
    pub fn is_of_version(&self) -> bool {
        !matches!(
            self,
            Self::NoCacheFolder { .. }
                | Self::Busy { .. }
                | Self::Python { .. }
                | Self::Index { .. }
                | Self::Docker { .. }
                | Self::Simulated(_)
                | Self::Io { .. }
        )
    }

    /// For `map_err` on whatever is done to a path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
