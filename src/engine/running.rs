//! One face for every engine, whoever runs it.

use std::time::Duration;

use super::container::{Container, MilvusImage};
use super::embedded::Process;
use super::error::EngineError;
use super::install::Installation;
use super::probe::{self, Unusable};
use super::simulated::{SimulatedMilvus, SimulatedOptions};
use crate::secret::{Secret, split_credentials};

/// How an engine ends that is to go on with what it had stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// As by a loss of power: it is given no time.
    Killed,
    /// It is asked to, and given 15 seconds.
    Terminated,
}

/// A running Milvus. One that was started here ends, with its data, when this is dropped or the
/// harness dies; [`stop`](Self::stop) also waits for it.
#[derive(Debug)]
pub struct Engine(Kind);

#[derive(Debug)]
enum Kind {
    Embedded { installation: Installation, process: Box<Process> },
    Container { image: MilvusImage, container: Box<Container> },
    External(External),
    Simulated { options: SimulatedOptions, server: SimulatedMilvus, uri: String },
}

#[derive(Debug)]
struct External {
    uri: String,
    token: Option<Secret>,
    patience: Duration,
}

impl Engine {
    pub(super) async fn embedded(installation: Installation) -> Result<Self, EngineError> {
        let process = Box::new(Process::start(installation.packages()).await?);
        Ok(Self(Kind::Embedded { installation, process }))
    }

    pub(super) async fn container(image: MilvusImage) -> Result<Self, EngineError> {
        let container = Box::new(image.run().await?);
        Ok(Self(Kind::Container { image, container }))
    }

    /// An engine that somebody else runs, once it answers. It is given `patience` for that, now and
    /// at every [`restart`](Self::restart).
    ///
    /// An address without a scheme is taken as `http://`; `user:password@` in it becomes the token,
    /// unless there is one.
    pub async fn external(
        uri: impl Into<String>,
        token: Option<Secret>,
        patience: Duration,
    ) -> Result<Self, EngineError> {
        let uri = uri.into();
        let uri = if uri.contains("://") { uri } else { format!("http://{uri}") };
        let (uri, in_uri) = split_credentials(&uri);
        let engine = External { uri, token: token.or(in_uri), patience };
        engine.reach().await?;
        Ok(Self(Kind::External(engine)))
    }

    /// A simulated engine in this process.
    pub fn simulated(options: SimulatedOptions) -> Result<Self, EngineError> {
        let server = start_simulated(&options)?;
        let uri = server.uri();
        Ok(Self(Kind::Simulated { options, server, uri }))
    }

    /// Where it listens: `http://host:port`, without credentials.
    pub fn uri(&self) -> &str {
        match &self.0 {
            Kind::Simulated { uri, .. } => uri,
            Kind::Embedded { process, .. } => process.uri(),
            Kind::Container { container, .. } => container.uri(),
            Kind::External(engine) => &engine.uri,
        }
    }

    /// What to present to it.
    pub fn token(&self) -> Option<&Secret> {
        match &self.0 {
            Kind::Embedded { .. } | Kind::Container { .. } | Kind::Simulated { .. } => None,
            Kind::External(engine) => engine.token.as_ref(),
        }
    }

    /// Whether it was started here, so that it can be replaced by a fresh one.
    pub fn was_started_here(&self) -> bool {
        !matches!(self.0, Kind::External(_))
    }

    /// The engine's own process, if it has one that was started here.
    pub fn pid(&self) -> Option<u32> {
        match &self.0 {
            Kind::Embedded { process, .. } => Some(process.pid()),
            Kind::Container { .. } | Kind::External(_) | Kind::Simulated { .. } => None,
        }
    }

    /// The engine's container, if it runs in one that was started here.
    pub fn container_id(&self) -> Option<&str> {
        match &self.0 {
            Kind::Container { container, .. } => Some(container.id()),
            _ => None,
        }
    }

    /// The version of an embedded engine, or as its image tells it, in the form in which servers
    /// report theirs. Of any other nobody but itself can tell.
    pub fn version(&self) -> Option<&str> {
        match &self.0 {
            Kind::Embedded { installation, .. } => Some(installation.version()),
            Kind::Container { image, .. } => image.version(),
            Kind::External(_) | Kind::Simulated { .. } => None,
        }
    }

    /// How it ended, with the end of its log, if it did. Of an external engine nobody can know.
    pub async fn has_exited(&mut self) -> Option<String> {
        match &mut self.0 {
            Kind::Embedded { process, .. } => process.has_exited().await,
            Kind::Container { container, .. } => container.has_exited().await,
            Kind::External(_) => None,
            Kind::Simulated { server, .. } => {
                (!server.is_running()).then(|| "the simulated engine crashed".to_owned())
            }
        }
    }

    /// Whether it is known to have ended by its own doing: not by SIGKILL, which comes from outside
    /// (from a person, or from a system that is short of memory), and not unknown, as of an external
    /// engine. To be asked after [`has_exited`](Self::has_exited).
    pub async fn ended_by_itself(&mut self) -> bool {
        match &mut self.0 {
            Kind::Embedded { process, .. } => process.ended_by_itself(),
            Kind::Container { container, .. } => container.ended_by_itself().await,
            Kind::External(_) => false,
            Kind::Simulated { .. } => true,
        }
    }

    /// Replaces the engine, dead or alive, by a fresh one with no data, most likely on another
    /// port. An external engine is waited for until it answers.
    pub async fn restart(&mut self) -> Result<(), EngineError> {
        match &mut self.0 {
            Kind::Embedded { installation, process } => {
                process.stop().await;
                **process = Process::start(installation.packages()).await?;
                Ok(())
            }
            Kind::Container { image, container } => {
                **container = image.run().await?;
                Ok(())
            }
            Kind::External(engine) => engine.reach().await,
            Kind::Simulated { options, server, uri } => {
                *server = start_simulated(options)?;
                *uri = server.uri();
                Ok(())
            }
        }
    }

    /// Ends the engine and starts it again with what it had stored: an embedded one on the same
    /// port, one in a container most likely on another. An engine that has died by itself has left
    /// nothing.
    ///
    /// # Errors
    /// [`EngineError::Forgetful`] if nothing is stored, as by an engine that was not started here.
    pub async fn resume(&mut self, ending: Ending) -> Result<(), EngineError> {
        match &mut self.0 {
            Kind::Container { image, container } => image.resume(container, ending).await,
            Kind::Embedded { installation, process } => {
                process.resume(installation.packages(), ending).await
            }
            Kind::Simulated { server, .. } => {
                server.restart();
                Ok(())
            }
            _ => Err(EngineError::Forgetful { uri: self.uri().to_owned() }),
        }
    }

    /// Ends the engine and deletes its data; leaves an external engine alone.
    pub async fn stop(self) {
        match self.0 {
            Kind::Embedded { mut process, .. } => process.stop().await,
            Kind::Container { container, .. } => container.stop().await,
            Kind::External(_) | Kind::Simulated { .. } => {}
        }
    }

    /// The end of what the engine has logged; empty for an external one.
    pub async fn log_tail(&self) -> String {
        match &self.0 {
            Kind::Embedded { process, .. } => process.log_tail(),
            Kind::Container { container, .. } => container.log_tail().await,
            Kind::External(_) | Kind::Simulated { .. } => String::new(),
        }
    }
}

fn start_simulated(options: &SimulatedOptions) -> Result<SimulatedMilvus, EngineError> {
    SimulatedMilvus::start(options.clone()).map_err(EngineError::Simulated)
}

impl External {
    async fn reach(&self) -> Result<(), EngineError> {
        let answer = probe::until_it_answers(&self.uri, self.token.as_ref(), self.patience).await;
        answer.map_err(|unusable| match unusable {
            Unusable::Denied(reason) => EngineError::Denied { uri: self.uri.clone(), reason },
            Unusable::Silent(reason) => {
                EngineError::Unreachable { uri: self.uri.clone(), waited: self.patience, reason }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unreachable_engine_is_named_without_its_credentials() {
        let patience = Duration::from_millis(200);
        let error = Engine::external("http://root:hunter2@127.0.0.1:1", None, patience)
            .await
            .expect_err("nothing there");
        let message = error.to_string();
        assert!(
            message.contains("no Milvus answers at http://127.0.0.1:1 within 200ms"),
            "{message}"
        );
        assert!(!message.contains("hunter2"), "{message}");
    }
}
