//! Docker itself: reaching it, getting images.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use futures::StreamExt;
use testcontainers::GenericImage;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as BollardError;
use testcontainers::bollard::models::CreateImageInfo;
use testcontainers::bollard::query_parameters::{CreateImageOptionsBuilder, RemoveImageOptions};
use testcontainers::core::client::docker_client_instance;
use testcontainers::runners::AsyncRunner;
use tokio::net::UnixStream;

use super::super::error::EngineError;
use super::super::install::{InstallStep, Progress};
use crate::secret::redact;

/// A Docker that answers.
pub(super) async fn connect() -> Result<Docker, EngineError> {
    let missing = |error: &dyn std::fmt::Display| EngineError::Docker {
        address: address(),
        reason: redact(&error.to_string()),
    };
    let docker = docker_client_instance().await.map_err(|error| missing(&error))?;
    docker.ping().await.map_err(|error| missing(&error))?;
    Ok(docker)
}

/// Where Docker is looked for.
pub(super) fn address() -> String {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    redact(if host.is_empty() { "unix:///var/run/docker.sock" } else { &host })
}

/// Whether the daemon's loopback interface is this process's, so that what is bound to it can be
/// reached.
pub(super) async fn is_here() -> bool {
    let address = address();
    match address.strip_prefix("unix://") {
        // What looks like a container may have a daemon of its own.
        Some(socket) => !Path::new("/.dockerenv").exists() || shares_network(socket).await,
        None => false,
    }
}

/// Whether whoever listens at a socket certainly is in the same network as this process: on Linux,
/// in the same namespace.
async fn shares_network(socket: &str) -> bool {
    let Ok(stream) = UnixStream::connect(socket).await else { return false };
    let Ok(Some(peer)) = stream.peer_cred().map(|peer| peer.pid()) else { return false };
    let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).ok();
    network("self").is_some_and(|own| network(&peer.to_string()) == Some(own))
}

/// Docker's name and version.
pub(super) async fn version() -> Result<String, EngineError> {
    let docker = connect().await?;
    let version = docker.version().await.map_err(failed("tell its version"))?;
    Ok(version.version.unwrap_or_default())
}

/// For `map_err` on whatever Docker is asked to do.
pub(super) fn failed(action: &'static str) -> impl FnOnce(BollardError) -> EngineError {
    move |error| EngineError::Container { action, reason: redact(&error.to_string()) }
}

/// The size of an image in bytes; nothing if it is not on this machine.
pub(super) async fn size_of(docker: &Docker, image: &str) -> Result<Option<u64>, EngineError> {
    match docker.inspect_image(image).await {
        Ok(found) => Ok(Some(found.size.and_then(|size| size.try_into().ok()).unwrap_or(0))),
        Err(BollardError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(failed("look for an image")(error)),
    }
}

/// What a label of an image says; nothing if it has none.
pub(super) async fn label_of(
    docker: &Docker,
    image: &str,
    label: &str,
) -> Result<Option<String>, EngineError> {
    let found = docker.inspect_image(image).await.map_err(failed("look at an image"))?;
    let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
    Ok(labels.into_iter().find_map(|(name, value)| (name == label).then_some(value)))
}

/// Removes an image; says whether it was there.
pub(super) async fn remove(docker: &Docker, image: &str) -> Result<bool, EngineError> {
    match docker.remove_image(image, None::<RemoveImageOptions>, None).await {
        Ok(_) => Ok(true),
        Err(BollardError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(error) => Err(failed("remove an image")(error)),
    }
}

/// Pulls an image unless it is there. One that is there is used as it is: a tag is not looked up
/// again.
pub(super) async fn pull(
    docker: &Docker,
    image: &str,
    progress: &Progress<'_>,
) -> Result<(), EngineError> {
    if size_of(docker, image).await?.is_some() {
        return Ok(());
    }
    let mut layers = Layers::new(image);
    progress(layers.step());
    let (name, tag) = split(image);
    let from = if name.contains('@') { name.clone() } else { format!("{name}:{tag}") };
    let options = CreateImageOptionsBuilder::new().from_image(&from).build();
    let mut pulling = docker.create_image(Some(options), None, None);
    let mut refusal = None;
    while let Some(info) = pulling.next().await {
        match info {
            Ok(info) => {
                if layers.take(info) {
                    progress(layers.step());
                }
            }
            Err(error) => refusal = Some(error),
        }
    }
    if refusal.is_none() {
        return Ok(());
    }
    // Once more with what `docker login` has stored, which testcontainers knows to find.
    GenericImage::new(name, tag).pull_image().await.map(drop).map_err(|error| EngineError::Image {
        image: image.to_owned(),
        reason: redact(&error.to_string()),
    })
}

/// A name and a tag, `latest` if there is none. A name with a digest keeps it.
pub(super) fn split(image: &str) -> (String, String) {
    match image.rsplit_once(':') {
        // The port of a registry comes before a slash.
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), tag.to_owned()),
        _ => (image.to_owned(), "latest".to_owned()),
    }
}

/// How far the layers of an image are.
struct Layers<'a> {
    image: &'a str,
    /// What is there of each layer, and all of it, in bytes.
    bytes: HashMap<String, (u64, u64)>,
    shown: (u64, u64),
}

impl<'a> Layers<'a> {
    fn new(image: &'a str) -> Self {
        Self { image, bytes: HashMap::new(), shown: (0, 0) }
    }

    /// Whether that changes what a person sees.
    fn take(&mut self, info: CreateImageInfo) -> bool {
        let (Some(id), Some(status)) = (info.id, info.status.as_deref()) else { return false };
        let layer = self.bytes.entry(id).or_default();
        match (status, info.progress_detail) {
            ("Downloading", Some(detail)) => {
                let number = |value: Option<i64>| value.and_then(|value| value.try_into().ok());
                let total = number(detail.total).unwrap_or(layer.1);
                *layer = (number(detail.current).unwrap_or(layer.0), total);
            }
            ("Download complete" | "Pull complete" | "Already exists", _) => layer.0 = layer.1,
            _ => return false,
        }
        let sum = self.bytes.values().fold((0, 0), |sum, layer| (sum.0 + layer.0, sum.1 + layer.1));
        let megabytes = (sum.0 >> 20, sum.1 >> 20);
        std::mem::replace(&mut self.shown, megabytes) != megabytes
    }

    fn step(&self) -> InstallStep {
        let (done, total) = self.shown;
        InstallStep::Pulling { image: self.image.to_owned(), done, total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_split_into_name_and_tag() {
        for (image, name, tag) in [
            ("milvusdb/milvus:v2.6.16", "milvusdb/milvus", "v2.6.16"),
            ("milvusdb/milvus", "milvusdb/milvus", "latest"),
            ("registry:5000/milvus", "registry:5000/milvus", "latest"),
            ("registry:5000/milvus:x", "registry:5000/milvus", "x"),
            ("milvus@sha256:abc", "milvus@sha256", "abc"),
        ] {
            assert_eq!(split(image), (name.to_owned(), tag.to_owned()));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn who_listens_in_this_process_is_in_its_network() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("socket");
        let path = socket.to_str().expect("it is text");
        assert!(!shares_network(path).await);
        let _listener = tokio::net::UnixListener::bind(&socket).expect("it listens");
        assert!(shares_network(path).await);
    }

    #[test]
    fn a_pull_is_summed_over_its_layers() {
        let mut layers = Layers::new("milvus");
        let mut take = |json: &str| layers.take(serde_json::from_str(json).expect("JSON"));
        assert!(!take(r#"{"status": "Pulling from milvus"}"#));
        assert!(take(
            r#"{"id": "a", "status": "Downloading",
                "progressDetail": {"current": 1048576, "total": 4194304}}"#
        ));
        assert!(take(
            r#"{"id": "b", "status": "Downloading",
                "progressDetail": {"current": 0, "total": 2097152}}"#
        ));
        assert!(!take(r#"{"id": "b", "status": "Verifying Checksum"}"#));
        assert!(take(r#"{"id": "a", "status": "Download complete"}"#));
        assert_eq!(layers.step().to_string(), "pulling the image milvus, 4 of 6 MB");
    }
}
