//! `engines doctor`: is the machine fit, and what to do if it is not.

use std::fmt::Display;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use super::super::args::PlaceArgs;
use super::super::exit::Exit;
use super::super::start::{Failure, say};
use super::megabytes;
use crate::engine::{cache_folder, docker_version, python_version};

/// What the largest engine takes, installed and while it is installed.
const ROOM: u64 = 2_000_000_000;
/// What four engines keep in memory at most.
const MEMORY: &str = "/dev/shm";
const MEMORY_ROOM: u64 = 1_000_000_000;

/// How something was found.
enum State {
    Fine(String),
    /// What fails without it, and what to do.
    Lacking(String),
}
use State::{Fine, Lacking};

impl State {
    fn is_fine(&self) -> bool {
        matches!(self, Fine(_))
    }

    fn of<T: Display>(result: Result<T, impl Display>) -> State {
        match result {
            Ok(text) => Fine(text.to_string()),
            Err(error) => Lacking(error.to_string()),
        }
    }
}

pub async fn run(args: &PlaceArgs) -> Result<Exit, Failure> {
    let python = python_version(args.python.as_deref()).await;
    let python = State::of(python.map(|(command, (major, minor))| {
        format!("{} is Python {major}.{minor}, with venv", command.display())
    }));
    let docker = State::of(docker_version().await.map(|version| format!("Docker {version}")));
    let cache = cache(args.cache.as_deref());
    let loopback = loopback();
    let fit = (python.is_fine() && cache.is_fine() || docker.is_fine()) && loopback.is_fine();
    for (what, state) in [
        ("Python", python),
        ("cache", cache),
        ("memory", memory()),
        ("Docker", docker),
        ("loopback", loopback),
        ("port 19530", port(19530)),
        ("port 8123", port(8123)),
        ("compiler", compiler()),
    ] {
        let (word, text) = match state {
            Fine(text) => ("ok", text),
            Lacking(text) => ("lacking", text),
        };
        say(format_args!("{word:<8} {what:<11} {text}"));
    }
    if fit {
        return Ok(Exit::Clean);
    }
    Err(Failure::environment(
        "no engine can be started here: it takes Python and a cache folder, or Docker; what to do \
         is above",
    ))
}

fn cache(chosen: Option<&Path>) -> State {
    let folder = match cache_folder(chosen) {
        Ok(folder) => folder,
        Err(error) => return Lacking(error.to_string()),
    };
    let shown = folder.display();
    let writable = std::fs::create_dir_all(&folder).and_then(|()| tempfile::tempfile_in(&folder));
    if let Err(error) = writable {
        return Lacking(format!("{shown} cannot be written ({error}); name another with --cache"));
    }
    match free(&folder) {
        Some(free) if free < ROOM => Lacking(format!(
            "{shown} has {} left, and an engine wants up to {} while it is installed; make room, \
             or name another folder with --cache",
            megabytes(free),
            megabytes(ROOM)
        )),
        free => Fine(format!("{shown}, {} free", megabytes(free.unwrap_or(0)))),
    }
}

/// Engines' data is there if it can be, and on the disk otherwise.
fn memory() -> State {
    match free(Path::new(MEMORY)) {
        Some(free) if free >= MEMORY_ROOM => Fine(format!("{MEMORY}, {} free", megabytes(free))),
        _ => Lacking(format!(
            "{MEMORY} has less than {} free: engines keep their data on the disk, and are slower; \
             of a container, --shm-size sets it",
            megabytes(MEMORY_ROOM)
        )),
    }
}

fn loopback() -> State {
    match TcpListener::bind(("127.0.0.1", 0)) {
        Ok(_) => Fine("127.0.0.1 has free ports".to_owned()),
        Err(error) => {
            Lacking(format!("nothing can listen on 127.0.0.1 ({error}); check the network"))
        }
    }
}

/// A port that only docker/compose.yaml needs to be free.
fn port(port: u16) -> State {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_) => Fine("free".to_owned()),
        Err(_) => Lacking(
            "taken: docker/compose.yaml would fail to start; everything else takes any port"
                .to_owned(),
        ),
    }
}

fn compiler() -> State {
    let version = Command::new("c++").arg("--version").output();
    let first = version.ok().filter(|output| output.status.success()).and_then(|output| {
        String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
    });
    first.map_or_else(
        || {
            Lacking(
                "there is no c++: it is needed to build this program with DuckDB inside, not to \
                 run it (on Debian and Ubuntu: apt install g++)"
                    .to_owned(),
            )
        },
        Fine,
    )
}

fn free(folder: &Path) -> Option<u64> {
    let space = rustix::fs::statvfs(folder).ok()?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}
