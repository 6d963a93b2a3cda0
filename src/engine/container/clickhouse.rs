//! ClickHouse in a container, as a reference.

use std::time::Duration;

use testcontainers::core::IntoContainerPort;
use testcontainers::{ContainerRequest, GenericImage, ImageExt};
use tokio::time::{Instant, sleep};

use super::super::error::EngineError;
use super::super::install::Progress;
use super::{Container, ContainerOptions, daemon};
use crate::secret::Secret;

/// The image that is started if none is named: a release with long support.
pub const CLICKHOUSE_IMAGE: &str = "clickhouse/clickhouse-server:26.8";

/// Of HTTP.
const PORT: u16 = 8123;
const USER: &str = "default";

/// From its start to its first answer, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An image of ClickHouse that is there, of which any number of containers can be started.
#[derive(Debug, Clone)]
pub struct ClickHouseImage {
    name: String,
    start_timeout: Duration,
}

impl ClickHouseImage {
    /// Pulls it unless it is there.
    pub async fn pull(
        options: &ContainerOptions,
        progress: &Progress<'_>,
    ) -> Result<Self, EngineError> {
        let name = options.image.clone().unwrap_or_else(|| CLICKHOUSE_IMAGE.to_owned());
        daemon::pull(&daemon::connect().await?, &name, progress).await?;
        Ok(Self { name, start_timeout: options.start_timeout.unwrap_or(PATIENCE) })
    }

    /// Starts a container of its own, empty, on a free loopback port and with a random password;
    /// returns when it answers a query.
    pub async fn start(&self) -> Result<ClickHouseContainer, EngineError> {
        let docker = daemon::connect().await?;
        let password = Secret::new(format!("{:032x}", rand::random::<u128>()));
        let container = Container::start(docker, request(&self.name, &password), PORT).await?;
        let started = ClickHouseContainer { container, password };
        let deadline = Instant::now() + self.start_timeout;
        let answers = async {
            let client = started.client();
            loop {
                let last = match client.query("SELECT 1").fetch_one::<u8>().await {
                    Ok(_) => return Ok(()),
                    Err(error) => error.to_string(),
                };
                if Instant::now() >= deadline {
                    return Err(last);
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        started.container.ready(answers, self.start_timeout).await?;
        Ok(started)
    }
}

/// A running ClickHouse, removed with its data when this is dropped; [`stop`](Self::stop) also
/// waits for it.
#[derive(Debug)]
pub struct ClickHouseContainer {
    container: Container,
    password: Secret,
}

impl ClickHouseContainer {
    /// Where it listens: `http://host:port`, without credentials.
    pub fn url(&self) -> &str {
        self.container.uri()
    }

    /// Who may use it.
    pub fn user(&self) -> &str {
        USER
    }

    /// With what.
    pub fn password(&self) -> &Secret {
        &self.password
    }

    /// Removes it.
    pub async fn stop(self) {
        self.container.stop().await;
    }

    fn client(&self) -> clickhouse::Client {
        clickhouse::Client::default()
            .with_url(self.url())
            .with_user(USER)
            .with_password(self.password.expose())
    }
}

/// As the image's documentation starts it, <https://hub.docker.com/r/clickhouse/clickhouse-server>,
/// without the larger `ulimit`, which not every Docker may set and so few tables do not need.
fn request(image: &str, password: &Secret) -> ContainerRequest<GenericImage> {
    let (name, tag) = daemon::split(image);
    GenericImage::new(name, tag)
        .with_exposed_port(PORT.tcp())
        .with_env_var("CLICKHOUSE_USER", USER)
        .with_env_var("CLICKHOUSE_PASSWORD", password.expose())
}
