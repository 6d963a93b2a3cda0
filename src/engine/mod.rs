//! Getting a running engine: embedded (packages in a cache), in a container or external (a
//! URL).
//!
//! [`install`] fetches an engine of some [`EngineKind`] once per user and [`Installation::start`]
//! runs it: on a port and in a data folder of its own, ready to answer when it is handed out. Neither the process
//! nor the folder outlives the harness, whatever that dies of. A [`MilvusImage`] starts containers
//! in the same way, through Docker. [`Engine::external`] gives an engine that somebody else runs the
//! same face.
//!
//! ```no_run
//! use milvus_difftest::engine::{EmbeddedOptions, EngineError, install};
//!
//! # async fn example() -> Result<(), EngineError> {
//! let installation = install(&EmbeddedOptions::default(), &|step| eprintln!("{step}")).await?;
//! let engine = installation.start().await?;
//! println!("listening at {}", engine.uri());
//! engine.stop().await;
//! # Ok(())
//! # }
//! ```

mod cache;
mod choice;
mod clickhouse;
mod command;
mod container;
mod embedded;
mod error;
mod folder;
mod install;
mod kind;
mod packages;
mod probe;
mod python;
mod range;
mod release;
mod running;
pub mod simulated;

pub use crate::secret::Secret;
pub use cache::{InstalledEngine, cache_folder, installed, installed_releases, uninstall};
pub use choice::{EngineChoice, UnknownChoice};
pub use clickhouse::{ClickHouseInstallation, ClickHouseServer, install_clickhouse};
pub use container::{
    CLICKHOUSE_IMAGE, ClickHouseContainer, ClickHouseImage, ContainerOptions, MILVUS_IMAGE,
    MilvusImage, docker_version, image_size, reap_containers, remove_image,
};
pub use error::EngineError;
pub use install::{EmbeddedOptions, InstallStep, Installation, Progress, install};
pub use kind::{EngineKind, UnknownEngine};
pub use python::python_version;
pub use range::{EngineRange, NoRange};
pub use release::{NoVersion, Release, Version};
pub use running::{Ending, Engine};
