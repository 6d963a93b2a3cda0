//! Engines in containers, through Docker.
//!
//! A Milvus is started as its documentation starts a standalone server for one machine, with etcd
//! and storage inside. The images of `docker/` take the same start.

mod clickhouse;
mod daemon;
mod lease;

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{ContainerInspectResponse, ContainerState, PortBinding};
use testcontainers::bollard::query_parameters::{
    InspectContainerOptions, LogsOptionsBuilder, RestartContainerOptionsBuilder,
};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};
use tokio::time::{Instant, sleep, timeout};

pub use self::clickhouse::{CLICKHOUSE_IMAGE, ClickHouseContainer, ClickHouseImage};

use self::lease::Lease;
use super::embedded::{KILLED, ended_with};
use super::error::EngineError;
use super::install::Progress;
use super::probe::{self, Unusable};
use super::running::{Ending, Engine};
use crate::secret::redact;

/// The image that is started if none is named: what Milvus 2.6's documentation names,
/// <https://milvus.io/docs/v2.6.x/install_standalone-docker.md>.
pub const MILVUS_IMAGE: &str = "milvusdb/milvus:v2.6.16";

/// The label of an image whose engine does not tell its version.
const VERSION: &str = "milvus-difftest.version";

const MILVUS_PORT: u16 = 19530;

/// From a Milvus's start to its first answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// How much of a log is kept, in lines and in bytes.
const LOG_LINES: &str = "200";
const LOG_BYTES: usize = 16 * 1024;

/// How long Docker may take to notice that a container has ended whose connections are closed.
const NOTICE: Duration = Duration::from_secs(1);

/// Where ports are bound, and reached.
const LOOPBACK: &str = "127.0.0.1";

const POLL: Duration = Duration::from_millis(100);

/// Which image, and how long it may take to start.
#[derive(Debug, Clone, Default)]
pub struct ContainerOptions {
    /// The image; without one [`MILVUS_IMAGE`] or [`CLICKHOUSE_IMAGE`].
    pub image: Option<String>,
    /// How long from its start to its first answer; without it, what is enough on a busy machine.
    pub start_timeout: Option<Duration>,
}

/// An image of Milvus that is there, of which any number of containers can be started.
#[derive(Debug, Clone)]
pub struct MilvusImage {
    name: String,
    version: Option<String>,
    start_timeout: Duration,
}

impl MilvusImage {
    /// Pulls it unless it is there.
    pub async fn pull(
        options: &ContainerOptions,
        progress: &Progress<'_>,
    ) -> Result<Self, EngineError> {
        let name = options.image.clone().unwrap_or_else(|| MILVUS_IMAGE.to_owned());
        let docker = daemon::connect().await?;
        daemon::pull(&docker, &name, progress).await?;
        let version = daemon::label_of(&docker, &name, VERSION).await?;
        Ok(Self { name, version, start_timeout: options.start_timeout.unwrap_or(PATIENCE) })
    }

    /// Starts a container of its own, empty, on a free loopback port.
    pub async fn start(&self) -> Result<Engine, EngineError> {
        Engine::container(self.clone()).await
    }

    /// Its name with its tag.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the engine in it, if the image tells.
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    pub(super) async fn run(&self) -> Result<Container, EngineError> {
        let docker = daemon::connect().await?;
        let container = Container::start(docker, milvus(&self.name), MILVUS_PORT).await?;
        self.until_it_works(&container).await?;
        Ok(container)
    }

    /// Ends the container and starts it again with what it had stored.
    pub(super) async fn resume(
        &self,
        container: &mut Container,
        ending: Ending,
    ) -> Result<(), EngineError> {
        container.resume(ending).await?;
        self.until_it_works(container).await
    }

    async fn until_it_works(&self, container: &Container) -> Result<(), EngineError> {
        let works = async {
            let answer = probe::until_it_works(container.uri(), self.start_timeout).await;
            answer.map_err(|(Unusable::Denied(reason) | Unusable::Silent(reason))| reason)
        };
        container.ready(works, self.start_timeout).await
    }
}

/// What Docker has: its version, or why it cannot be used.
pub async fn docker_version() -> Result<String, EngineError> {
    daemon::version().await
}

/// The size of an image on this machine in bytes; nothing if it is not here.
pub async fn image_size(image: &str) -> Result<Option<u64>, EngineError> {
    daemon::size_of(&daemon::connect().await?, image).await
}

/// Removes an image from this machine; says whether it was there.
pub async fn remove_image(image: &str) -> Result<bool, EngineError> {
    daemon::remove(&daemon::connect().await?, image).await
}

/// Removes containers that were started by processes of this machine that have ended; says how
/// many. It is done at each start of a container, too.
pub async fn reap_containers() -> Result<usize, EngineError> {
    let docker = daemon::connect().await?;
    lease::reap(&docker).await.map_err(daemon::failed("remove a container"))
}

/// `docker run` of Milvus's `standalone_embed.sh`, with the ports and the volume left out.
fn milvus(image: &str) -> ContainerRequest<GenericImage> {
    const ETCD: &str = "\
listen-client-urls: http://0.0.0.0:2379
advertise-client-urls: http://0.0.0.0:2379
quota-backend-bytes: 4294967296
auto-compaction-mode: revision
auto-compaction-retention: '1000'
";
    let (name, tag) = daemon::split(image);
    GenericImage::new(name, tag)
        .with_exposed_port(MILVUS_PORT.tcp())
        .with_cmd(["milvus", "run", "standalone"])
        .with_env_var("ETCD_USE_EMBED", "true")
        .with_env_var("ETCD_DATA_DIR", "/var/lib/milvus/etcd")
        .with_env_var("ETCD_CONFIG_PATH", "/milvus/configs/embedEtcd.yaml")
        .with_env_var("COMMON_STORAGETYPE", "local")
        .with_env_var("DEPLOY_MODE", "STANDALONE")
        .with_security_opt("seccomp=unconfined")
        .with_copy_to("/milvus/configs/embedEtcd.yaml", ETCD.as_bytes().to_vec())
}

/// A container that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Container {
    docker: Docker,
    lease: Lease,
    id: String,
    /// Of what is in it.
    port: u16,
    host: String,
    uri: String,
}

impl Container {
    /// Creates and starts a container; does not wait for what is in it.
    async fn start(
        docker: Docker,
        request: ContainerRequest<GenericImage>,
        port: u16,
    ) -> Result<Self, EngineError> {
        // Best effort; a failed sweep must not keep an engine from starting.
        if let Err(error) = lease::reap(&docker).await {
            tracing::warn!("cannot look for containers that were left behind: {error}");
        }
        let lease = Lease::new();
        let here = daemon::is_here().await;
        let bind = if here { LOOPBACK } else { "0.0.0.0" };
        let request = request.with_labels(lease.labels()).with_host_config_modifier(move |host| {
            let binding = PortBinding { host_ip: Some(bind.to_owned()), host_port: None };
            let bindings = HashMap::from([(format!("{port}/tcp"), Some(vec![binding]))]);
            host.port_bindings = Some(bindings);
            host.publish_all_ports = Some(false);
        });
        let started = request.start().await;
        let started = started.map_err(|error| EngineError::Container {
            action: "start a container",
            reason: redact(&error.to_string()),
        })?;
        let (id, host) = (started.id().to_owned(), started.get_host().await);
        // It would remove the container when dropped, and panic where no runtime runs. The lease
        // does that better.
        std::mem::forget(started);
        let host = match host {
            Ok(host) if !here && host.to_string() != "localhost" => host.to_string(),
            // Not a name, which may also stand for an address of IPv6, where nobody listens.
            _ => LOOPBACK.to_owned(),
        };
        let mut this = Self { docker, lease, id, port, host, uri: String::new() };
        this.find_port().await?;
        Ok(this)
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Ends it and starts it again, with its files, on another port.
    async fn resume(&mut self, ending: Ending) -> Result<(), EngineError> {
        let seconds = match ending {
            Ending::Killed => 0,
            Ending::Terminated => 15,
        };
        let options = RestartContainerOptionsBuilder::new().t(seconds).build();
        let restarted = self.docker.restart_container(&self.id, Some(options)).await;
        restarted.map_err(daemon::failed("restart a container"))?;
        self.find_port().await
    }

    /// Waits for `answer`, which has a time limit of its own; not beyond the end of the container.
    async fn ready(
        &self,
        answer: impl Future<Output = Result<(), String>>,
        patience: Duration,
    ) -> Result<(), EngineError> {
        let ended = async {
            loop {
                if let Some(how) = self.ended().await {
                    return how;
                }
                sleep(POLL).await;
            }
        };
        tokio::select! {
            answer = timeout(patience, answer) => match answer {
                Ok(Ok(())) => Ok(()),
                late => {
                    let reason = match late {
                        Ok(Err(reason)) => format!("; the last attempt: {}", redact(&reason)),
                        _ => String::new(),
                    };
                    let log = format!("{reason}{}", self.keep_log().await);
                    Err(EngineError::StartTimeout { waited: patience, log })
                }
            },
            how = ended => {
                let reason = format!("{how}{}", self.keep_log().await);
                Err(EngineError::StartFailed { reason })
            }
        }
    }

    /// How it ended, with the end of its log, if it did.
    pub(super) async fn has_exited(&self) -> Option<String> {
        // A connection breaks a moment before Docker knows why.
        let deadline = Instant::now() + NOTICE;
        let how = loop {
            match self.ended().await {
                Some(how) => break how,
                None if Instant::now() >= deadline => return None,
                None => sleep(POLL / 5).await,
            }
        };
        let log = self.log_tail().await;
        Some(if log.is_empty() { how } else { format!("{how}; the end of its log:\n{log}") })
    }

    /// Whether it has ended, and not by SIGKILL.
    pub(super) async fn ended_by_itself(&self) -> bool {
        let state = self.inspect().await.ok().and_then(|found| found.state).unwrap_or_default();
        let code = state.exit_code.filter(|_| state.running == Some(false));
        state.oom_killed != Some(true) && code.is_some_and(|code| code != i64::from(KILLED))
    }

    /// The end of what it has written.
    pub(super) async fn log_tail(&self) -> String {
        let log = self.log(LOG_LINES).await;
        let mut start = log.len().saturating_sub(LOG_BYTES);
        while !log.is_char_boundary(start) {
            start += 1;
        }
        log[start..].trim().to_owned()
    }

    pub(super) async fn stop(self) {
        self.lease.end(&self.docker).await;
    }

    async fn find_port(&mut self) -> Result<(), EngineError> {
        let found = self.inspect().await?;
        let ports = found.network_settings.and_then(|settings| settings.ports).unwrap_or_default();
        let bound = ports.get(&format!("{}/tcp", self.port)).cloned().flatten();
        let port = bound.into_iter().flatten().find_map(|binding| binding.host_port);
        match port {
            Some(port) => {
                self.uri = format!("http://{}:{port}", self.host);
                Ok(())
            }
            // It ended too early to have one.
            None => Err(match self.ended().await {
                Some(how) => {
                    EngineError::StartFailed { reason: format!("{how}{}", self.keep_log().await) }
                }
                None => EngineError::Container {
                    action: "find the port of a container",
                    reason: format!("port {} is not published", self.port),
                },
            }),
        }
    }

    async fn inspect(&self) -> Result<ContainerInspectResponse, EngineError> {
        let found = self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await;
        found.map_err(daemon::failed("look at a container"))
    }

    async fn ended(&self) -> Option<String> {
        match self.inspect().await {
            Ok(found) => how_it_ended(&found.state.unwrap_or_default()),
            Err(error) => Some(format!("the engine's state cannot be told ({error})")),
        }
    }

    /// Writes the whole log to a file, for whoever looks into a failed start; says where, with the
    /// end of it.
    async fn keep_log(&self) -> String {
        let log = self.log("all").await;
        if log.trim().is_empty() {
            return String::new();
        }
        let tail = self.log_tail().await;
        match write_log(&log) {
            Ok(path) => format!("; its log is in {}, and ends:\n{tail}", path.display()),
            Err(error) => format!("; its log cannot be kept ({error}), and ends:\n{tail}"),
        }
    }

    async fn log(&self, lines: &str) -> String {
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(lines).build();
        let mut stream = self.docker.logs(&self.id, Some(options));
        let mut log = String::new();
        while let Some(Ok(part)) = stream.next().await {
            log.push_str(&part.to_string());
        }
        log
    }
}

fn write_log(text: &str) -> std::io::Result<PathBuf> {
    let mut file =
        tempfile::Builder::new().prefix("milvus-difftest-log-").suffix(".txt").tempfile()?;
    file.write_all(text.as_bytes())?;
    file.keep().map(|(_, path)| path).map_err(|error| error.error)
}

fn how_it_ended(state: &ContainerState) -> Option<String> {
    if state.running == Some(true) {
        return None;
    }
    if state.oom_killed == Some(true) {
        return Some("the engine was killed because its memory was used up".to_owned());
    }
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok());
    let error = state.error.as_deref().filter(|error| !error.is_empty());
    Some(match (code, error) {
        (_, Some(error)) => format!("the engine did not start: {}", redact(error)),
        (Some(code), None) => ended_with(code),
        (None, None) => "the engine ended".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_container_is_told_by_its_state() {
        let ended = |running, oom_killed, exit_code, error: &str| {
            how_it_ended(&ContainerState {
                running: Some(running),
                oom_killed: Some(oom_killed),
                exit_code: Some(exit_code),
                error: Some(error.to_owned()),
                ..ContainerState::default()
            })
        };
        assert_eq!(ended(true, false, 0, ""), None);
        let signal = "the engine was ended by signal 9 (SIGKILL)";
        assert_eq!(ended(false, false, 137, "").as_deref(), Some(signal));
        assert_eq!(ended(false, false, 1, "").as_deref(), Some("the engine exited with status 1"));
        assert!(ended(false, true, 137, "").is_some_and(|how| how.contains("memory")));
        assert!(ended(false, false, 127, "no milvus").is_some_and(|how| how.contains("no milvus")));
    }
}
