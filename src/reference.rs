//! The reference databases that judge beside the model: which, and how each is opened.
//!
//! ```
//! use milvus_difftest::reference::Choice;
//! let choice: Choice = "clickhouse:http://ann:secret@db.example:8123".parse()?;
//! assert!(!format!("{choice:?}").contains("secret"));
//! assert_eq!("duckdb".parse::<Choice>()?, Choice::DuckDb(None));
//! # Ok::<(), milvus_difftest::reference::ReferenceError>(())
//! ```

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::backend::{Backend, BackendError, ClickHouse, ClickHouseOptions, DuckDb};
use crate::engine::{
    CLICKHOUSE_IMAGE, ClickHouseContainer, ClickHouseImage, ClickHouseInstallation,
    ClickHouseServer, ContainerOptions, EmbeddedOptions, EngineError, Progress, Secret,
    install_clickhouse,
};

/// A reference as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// `model`: no database.
    Model,
    /// `duckdb`, in memory, or `duckdb:PATH`, in a file.
    DuckDb(Option<PathBuf>),
    /// `clickhouse` or `clickhouse:embedded`: installed on first use.
    ClickHouseEmbedded,
    /// `clickhouse:container`, of [`CLICKHOUSE_IMAGE`], or `clickhouse:container:IMAGE`: pulled on
    /// first use.
    ClickHouseContainer(String),
    /// `clickhouse:URL`.
    ClickHouseAt(ClickHouseOptions),
}

/// Why a reference cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// There is none of that name.
    #[error(
        "unknown backend '{0}': expected duckdb, duckdb:PATH, clickhouse:embedded, \
         clickhouse:container, clickhouse:container:IMAGE, \
         clickhouse:http[s]://[USER:PASSWORD@]HOST:PORT/DATABASE or model"
    )]
    Unknown(String),
    /// `model` beside a database, which it always is.
    #[error("the model judges beside every database; name it only to have no database at all")]
    ModelBesideDatabase,
    /// The database cannot be opened.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The embedded server, or the container, cannot be had or started.
    #[error("no ClickHouse to judge with: {0}")]
    Engine(#[from] EngineError),
}

impl FromStr for Choice {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Choice, ReferenceError> {
        let (name, rest) = match text.split_once(':') {
            Some((name, rest)) => (name, Some(rest)),
            None => (text, None),
        };
        match (name, rest) {
            ("model", None) => Ok(Choice::Model),
            ("duckdb", None) => Ok(Choice::DuckDb(None)),
            ("duckdb", Some(path)) if !path.is_empty() => Ok(Choice::DuckDb(Some(path.into()))),
            ("clickhouse", None | Some("embedded")) => Ok(Choice::ClickHouseEmbedded),
            ("clickhouse", Some("container")) => {
                Ok(Choice::ClickHouseContainer(CLICKHOUSE_IMAGE.to_owned()))
            }
            ("clickhouse", Some(rest)) => match rest.strip_prefix("container:") {
                Some(image) if !image.is_empty() && !image.contains(char::is_whitespace) => {
                    Ok(Choice::ClickHouseContainer(image.to_owned()))
                }
                None if rest.contains("://") => {
                    Ok(Choice::ClickHouseAt(ClickHouseOptions::from_url(rest)?))
                }
                _ => Err(unknown(text)),
            },
            _ => Err(unknown(text)),
        }
    }
}

fn unknown(text: &str) -> ReferenceError {
    ReferenceError::Unknown(crate::secret::redact(text).chars().take(80).collect())
}

/// A reference that can be opened, any number of times.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Reference {
    /// DuckDB in memory.
    DuckDbInMemory,
    /// DuckDB in a file. A second one at the same time gets a file of its own, `PATH.2`, for
    /// DuckDB does not share files.
    DuckDbFile(PathBuf),
    /// A ClickHouse that runs.
    ClickHouseAt(ClickHouseOptions),
    /// A ClickHouse of its own for each worker.
    ClickHouseEmbedded(ClickHouseInstallation),
    /// A container with a ClickHouse of its own for each worker.
    ClickHouseContainer(ClickHouseImage),
}

impl Reference {
    /// The references that were chosen, ready to be opened: installs or pulls what is not there.
    /// Nothing chosen is DuckDB in memory, and the model alone is no reference.
    pub async fn prepare(
        choices: &[Choice],
        options: &EmbeddedOptions,
        progress: &Progress<'_>,
    ) -> Result<Vec<Reference>, ReferenceError> {
        match choices {
            [] => return Ok(vec![Reference::DuckDbInMemory]),
            [Choice::Model] => return Ok(Vec::new()),
            choices if choices.contains(&Choice::Model) => {
                return Err(ReferenceError::ModelBesideDatabase);
            }
            _ => {}
        }
        let mut references = Vec::with_capacity(choices.len());
        for choice in choices {
            references.push(match choice {
                Choice::Model => return Err(ReferenceError::ModelBesideDatabase),
                Choice::DuckDb(None) => Reference::DuckDbInMemory,
                Choice::DuckDb(Some(path)) => Reference::DuckDbFile(path.clone()),
                Choice::ClickHouseAt(options) => Reference::ClickHouseAt(options.clone()),
                Choice::ClickHouseContainer(image) => {
                    let image = Some(image.clone());
                    let options = ContainerOptions { image, ..ContainerOptions::default() };
                    Reference::ClickHouseContainer(ClickHouseImage::pull(&options, progress).await?)
                }
                Choice::ClickHouseEmbedded => {
                    Reference::ClickHouseEmbedded(install_clickhouse(options, progress).await?)
                }
            });
        }
        Ok(references)
    }
}

/// Opened references, with the servers behind them. Those end when this is dropped.
pub struct References {
    pub(crate) backends: Vec<Box<dyn Backend>>,
    servers: Vec<ClickHouseServer>,
    containers: Vec<ClickHouseContainer>,
}

impl References {
    /// Opens references for a worker, of which the first is number 0.
    pub async fn open(
        references: &[Reference],
        worker: usize,
    ) -> Result<References, ReferenceError> {
        let mut opened =
            References { backends: Vec::new(), servers: Vec::new(), containers: Vec::new() };
        for reference in references {
            let backend: Box<dyn Backend> = match reference {
                Reference::DuckDbInMemory => Box::new(DuckDb::in_memory()?),
                Reference::DuckDbFile(path) => Box::new(DuckDb::open(&numbered(path, worker))?),
                Reference::ClickHouseAt(options) => {
                    Box::new(ClickHouse::connect(options.clone()).await?)
                }
                Reference::ClickHouseEmbedded(installation) => {
                    let server = installation.start().await?;
                    let options = own(server.url(), server.user(), server.password());
                    opened.servers.push(server);
                    Box::new(ClickHouse::connect(options).await?)
                }
                Reference::ClickHouseContainer(image) => {
                    let container = image.start().await?;
                    let options = own(container.url(), container.user(), container.password());
                    opened.containers.push(container);
                    Box::new(ClickHouse::connect(options).await?)
                }
            };
            opened.backends.push(backend);
        }
        Ok(opened)
    }

    /// The databases and their versions: `DuckDB v2.0.0, ClickHouse 26.9.2.1`; empty if the
    /// model judges alone.
    pub fn names(&self) -> String {
        let names: Vec<String> = self.backends.iter().map(|backend| backend.name()).collect();
        names.join(", ")
    }

    /// Ends the servers that were started here, and returns when they are gone.
    pub async fn close(self) {
        drop(self.backends);
        for server in self.servers {
            server.stop().await;
        }
        for container in self.containers {
            container.stop().await;
        }
    }
}

/// How to reach a ClickHouse that was started here.
fn own(url: &str, user: &str, password: &Secret) -> ClickHouseOptions {
    ClickHouseOptions {
        user: Some(user.to_owned()),
        password: Some(password.clone()),
        // It would cost more than it saves on the way from here to here.
        compression: false,
        ..ClickHouseOptions::new(url)
    }
}

fn numbered(path: &Path, worker: usize) -> PathBuf {
    if worker == 0 {
        return path.to_owned();
    }
    let mut path = path.to_owned().into_os_string();
    path.push(format!(".{}", worker + 1));
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let read = |text: &str| text.parse::<Choice>().unwrap();
        assert_eq!(read("model"), Choice::Model);
        assert_eq!(read("duckdb:/tmp/a:b"), Choice::DuckDb(Some("/tmp/a:b".into())));
        assert_eq!(read("clickhouse"), Choice::ClickHouseEmbedded);
        let container = |image: &str| Choice::ClickHouseContainer(image.to_owned());
        assert_eq!(read("clickhouse:container"), container(CLICKHOUSE_IMAGE));
        let named = "registry:5000/clickhouse:26.8";
        assert_eq!(read(&format!("clickhouse:container:{named}")), container(named));
        let Choice::ClickHouseAt(options) = read("clickhouse:http://h:1/d") else { panic!() };
        assert_eq!(options.database.as_deref(), Some("d"));
        for text in [
            "",
            "duckdb:",
            "clickhouse:",
            "clickhouse:local",
            "clickhouse:containers",
            "clickhouse:container:",
            "clickhouse:container:a b",
            "postgres",
        ] {
            let error = text.parse::<Choice>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("unknown backend '{text}'")), "{error}");
        }
        let error = "clickhouse:ftp://u:hunter2@h".parse::<Choice>().unwrap_err().to_string();
        assert!(error.contains("neither with http://") && !error.contains("hunter2"), "{error}");
    }

    #[tokio::test]
    async fn no_choice_is_duckdb_and_the_model_is_no_database() {
        let prepare = async |choices: &[Choice]| {
            Reference::prepare(choices, &EmbeddedOptions::default(), &|_| ()).await
        };
        assert!(matches!(prepare(&[]).await.unwrap()[..], [Reference::DuckDbInMemory]));
        assert!(prepare(&[Choice::Model]).await.unwrap().is_empty());
        let both = prepare(&[Choice::Model, Choice::DuckDb(None)]).await;
        assert!(matches!(both, Err(ReferenceError::ModelBesideDatabase)));
    }
}
