//! How a client comes to be.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::catalog::Catalog;
use super::collection::{Client, DiffClient};
use super::error::ClientError;
use super::sessions::Sessions;
use crate::backend::Backend;
use crate::engine::EmbeddedOptions;
use crate::milvus::{ConnectOptions, Dialect, Milvus};
use crate::reference::{Choice, Reference, References};
use crate::secret::{Secret, split_credentials};

/// What becomes of an insert of keys that exist. Engines differ: some replace the row, some keep
/// both, so that none of that is left to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDuplicate {
    /// It fails, and nothing is written.
    #[default]
    Refuse,
    /// It is sent as an upsert.
    Replace,
}

/// How long a client waits, and what it does with duplicates.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub deadline: Duration,
    pub settle_within: Duration,
    pub quiet: Duration,
    pub on_duplicate: OnDuplicate,
}

/// Builds a [`DiffClient`]; see [`DiffClient::builder`].
pub struct Builder {
    uri: String,
    token: Option<Secret>,
    backend: String,
    backend_password: Option<Secret>,
    given: Option<Box<dyn Backend>>,
    dialect: Option<String>,
    options: Options,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            uri: "http://localhost:19530".to_owned(),
            token: None,
            backend: "duckdb".to_owned(),
            backend_password: None,
            given: None,
            dialect: None,
            options: Options {
                deadline: Duration::from_secs(30),
                settle_within: Duration::from_secs(10),
                quiet: Duration::from_millis(500),
                on_duplicate: OnDuplicate::Refuse,
            },
        }
    }
}

impl Builder {
    /// Where Milvus is [default: `http://localhost:19530`]. `user:password@` before the host
    /// becomes the token, unless there is one.
    pub fn uri(self, uri: impl Into<String>) -> Builder {
        Builder { uri: uri.into(), ..self }
    }

    /// What to present to Milvus: `user:password`, or an API key.
    pub fn token(self, token: impl Into<String>) -> Builder {
        Builder { token: Some(Secret::new(token)), ..self }
    }

    /// The backend, as on the command line: `duckdb`, `duckdb:PATH`, `clickhouse:embedded`,
    /// `clickhouse:container[:IMAGE]` or `clickhouse:http[s]://USER:PASSWORD@HOST:PORT/DATABASE`
    /// [default: `duckdb`, in memory].
    pub fn backend(self, backend: impl Into<String>) -> Builder {
        Builder { backend: backend.into(), ..self }
    }

    /// The password for a `clickhouse:URL` that has none.
    pub fn backend_password(self, password: impl Into<String>) -> Builder {
        Builder { backend_password: Some(Secret::new(password)), ..self }
    }

    /// A backend of one's own.
    pub fn backend_with(self, backend: Box<dyn Backend>) -> Builder {
        Builder { given: Some(backend), ..self }
    }

    /// The dialect, by its name or as a TOML file [default: by the version that Milvus reports].
    pub fn dialect(self, dialect: impl Into<String>) -> Builder {
        Builder { dialect: Some(dialect.into()), ..self }
    }

    /// How long a call to Milvus may take [default: 30 s].
    pub fn deadline(self, deadline: Duration) -> Builder {
        Builder { options: Options { deadline, ..self.options }, ..self }
    }

    /// For how long a write whose outcome is unknown is looked into before the collection counts
    /// as in doubt [default: 10 s].
    pub fn settle_within(self, settle_within: Duration) -> Builder {
        Builder { options: Options { settle_within, ..self.options }, ..self }
    }

    /// For how long a write must not have arrived before it counts as not written [default: half a
    /// second]. A request that has lain in the network for longer may arrive after that;
    /// [`DiffClient::compare_entities`] finds it.
    pub fn quiet(self, quiet: Duration) -> Builder {
        Builder { options: Options { quiet, ..self.options }, ..self }
    }

    /// What becomes of an insert of keys that exist [default: it is refused].
    pub fn on_duplicate(self, on_duplicate: OnDuplicate) -> Builder {
        Builder { options: Options { on_duplicate, ..self.options }, ..self }
    }

    /// Options from the environment: `MILVUS_DIFFTEST_TARGET`, `MILVUS_DIFFTEST_TOKEN`,
    /// `MILVUS_DIFFTEST_BACKEND`, `MILVUS_DIFFTEST_BACKEND_PASSWORD` and `MILVUS_DIFFTEST_DIALECT`,
    /// where they are set.
    pub fn env(self) -> Builder {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut builder = self;
        if let Some(uri) = set("MILVUS_DIFFTEST_TARGET") {
            builder = builder.uri(uri);
        }
        if let Some(token) = set("MILVUS_DIFFTEST_TOKEN") {
            builder = builder.token(token);
        }
        if let Some(backend) = set("MILVUS_DIFFTEST_BACKEND") {
            builder = builder.backend(backend);
        }
        if let Some(password) = set("MILVUS_DIFFTEST_BACKEND_PASSWORD") {
            builder = builder.backend_password(password);
        }
        if let Some(dialect) = set("MILVUS_DIFFTEST_DIALECT") {
            builder = builder.dialect(dialect);
        }
        builder
    }

    /// Options from a TOML file, as `target = "http://localhost:19530"` and `backend =
    /// "duckdb:reference.duckdb"`; also `token`, `dialect`, and `deadline`, `settle_within` and
    /// `quiet` as `"30s"`.
    ///
    /// # Errors
    /// If it cannot be read, or says something else.
    pub fn config(self, path: &Path) -> Result<Builder, ClientError> {
        let wrong = |reason: String| {
            ClientError::Options(format!("cannot use {}: {reason}", path.display()))
        };
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let read: BTreeMap<String, String> =
            toml::from_str(&text).map_err(|error| wrong(error.message().to_owned()))?;
        let mut builder = self;
        for (name, value) in read {
            let time = || {
                humantime::parse_duration(&value)
                    .map_err(|_| wrong(format!("{name} is no time, such as \"30s\": {value}")))
            };
            builder = match name.as_str() {
                "target" => builder.uri(value),
                "token" => builder.token(value),
                "backend" => builder.backend(value),
                "dialect" => builder.dialect(value),
                "deadline" => builder.deadline(time()?),
                "settle_within" => builder.settle_within(time()?),
                "quiet" => builder.quiet(time()?),
                _ => {
                    return Err(wrong(format!(
                        "there is no option '{name}'; there are target, token, backend, dialect, \
                         deadline, settle_within and quiet"
                    )));
                }
            };
        }
        Ok(builder)
    }

    /// Connects to both sides, and settles what an earlier client left in doubt. What cannot be
    /// settled now stays in doubt; see [`DiffClient::in_doubt`].
    ///
    /// # Errors
    /// If either side cannot be reached or used.
    pub async fn connect(self) -> Result<DiffClient, ClientError> {
        let uri = match self.uri.contains("://") {
            true => self.uri,
            false => format!("http://{}", self.uri),
        };
        let (uri, in_uri) = split_credentials(&uri);
        let token = self.token.or(in_uri).map(|token| token.expose().to_owned());
        let milvus =
            Milvus::connect(&ConnectOptions { uri, token, deadline: self.options.deadline })
                .await?;
        let dialect = match &self.dialect {
            Some(name) => Dialect::load(name)?,
            None => Dialect::for_version(reported(&milvus))?,
        };
        let (backend, references) = match self.given {
            Some(backend) => (backend, None),
            None => {
                let mut choices: [Choice; 1] = [self.backend.parse()?];
                if let [Choice::ClickHouseAt(options)] = &mut choices
                    && options.password.is_none()
                {
                    options.password = self.backend_password;
                }
                let options = EmbeddedOptions::default();
                let prepared = Reference::prepare(&choices, &options, &|step| {
                    tracing::info!(%step, "preparing the backend");
                })
                .await?;
                let mut references = References::open(&prepared, 0).await?;
                let backend = references.backends.pop().ok_or_else(|| {
                    ClientError::Options("the model is no backend: it keeps no rows".to_owned())
                })?;
                (backend, Some(references))
            }
        };
        let sessions = Arc::new(Sessions::new(backend));
        let catalog = Catalog::open(sessions.clone()).await?;
        let client = DiffClient(Arc::new(Client {
            milvus,
            dialect,
            sessions,
            catalog,
            options: self.options,
            collections: Mutex::default(),
            references: Mutex::new(references),
        }));
        client.0.recover().await?;
        Ok(client)
    }
}

/// The version as Milvus reports it; of those that report none there is only one kind.
pub(super) fn reported(milvus: &Milvus) -> &str {
    match milvus.version() {
        "" => "milvus_lite-2",
        version => version,
    }
}
