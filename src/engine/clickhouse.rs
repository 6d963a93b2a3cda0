//! An embedded ClickHouse: the reference, installed and supervised as the engines under test are.

use std::borrow::Cow;

use super::embedded::Process;
use super::error::EngineError;
use super::install::{EmbeddedOptions, Installed, Progress, install_packages};
use super::kind::CLICKHOUSE;
use crate::secret::Secret;

/// An installed ClickHouse, of which any number can be started.
#[derive(Debug, Clone)]
pub struct ClickHouseInstallation(Installed);

/// Makes sure that the pinned ClickHouse is installed, as [`install`](super::install()) does for
/// engines. Of the options their kind does not matter.
pub async fn install_clickhouse(
    options: &EmbeddedOptions,
    progress: &Progress<'_>,
) -> Result<ClickHouseInstallation, EngineError> {
    install_packages(options, Cow::Borrowed(&CLICKHOUSE), progress)
        .await
        .map(ClickHouseInstallation)
}

impl ClickHouseInstallation {
    /// Starts a server of its own: fresh process, empty data folder, free loopback port, and a
    /// password that nobody else knows.
    pub async fn start(&self) -> Result<ClickHouseServer, EngineError> {
        let process = Process::start(&self.0).await?;
        match process.token().cloned() {
            Some(password) => Ok(ClickHouseServer { process, password }),
            None => Err(EngineError::StartFailed { reason: "it made no password".to_owned() }),
        }
    }
}

/// A running ClickHouse. It ends, with its data, when this is dropped or the harness dies.
#[derive(Debug)]
pub struct ClickHouseServer {
    process: Process,
    password: Secret,
}

impl ClickHouseServer {
    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        self.process.uri()
    }

    /// The only user.
    pub fn user(&self) -> &'static str {
        "default"
    }

    /// The user's password.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// The server's own process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How it ended, with the end of its log, if it did.
    pub async fn has_exited(&mut self) -> Option<String> {
        self.process.has_exited().await
    }

    /// Ends it and deletes its data; returns when that is done.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}
