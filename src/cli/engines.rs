//! `engines`: what is there, and keeping it.

mod doctor;
mod running;

use std::io::{BufRead, BufReader, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::NOTHING;

use super::args::{EnginesArgs, EnginesCommand, EnginesStartArgs, EnginesStopArgs, PlaceArgs};
use super::exit::Exit;
use super::setup::{or_signal, prepare, signalled};
use super::start::{Failure, note, say};
use crate::engine::{
    CLICKHOUSE_IMAGE, EngineChoice, EngineKind, MILVUS_IMAGE, cache_folder, docker_version,
    image_size, installed, installed_releases, reap_containers, remove_image, uninstall,
};

/// How often to look whether a started engine lives, and how long it may take to answer.
const GLANCE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(30);

pub async fn run(command: EnginesCommand, quiet: bool) -> Result<Exit, Failure> {
    match command {
        EnginesCommand::List(args) => list(&args).await,
        EnginesCommand::Install(args) => match or_signal(install(&args, quiet)).await {
            Some(result) => result,
            None => Ok(Exit::Interrupted),
        },
        EnginesCommand::Start(args) if args.background => start_in_background(&args, quiet).await,
        EnginesCommand::Start(args) => start(&args, quiet).await,
        EnginesCommand::Stop(args) => stop(&args).await,
        EnginesCommand::Remove(args) => remove(&args).await,
        EnginesCommand::Doctor(args) => doctor::run(&args).await,
    }
}

async fn list(args: &PlaceArgs) -> Result<Exit, Failure> {
    let cache = cache_folder(args.cache.as_deref()).map_err(Failure::environment)?;
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["engine", "version", "state", "size", "where"]);
    let releases = installed_releases(&cache).map_err(Failure::environment)?;
    for kind in EngineKind::ALL.into_iter().chain(releases) {
        let (name, version) = (kind.name(), kind.version());
        let installations = installed(&cache, kind).map_err(Failure::environment)?;
        if installations.is_empty() {
            table.add_row([&*name, &*version, "not installed", "", ""]);
        }
        for there in installations {
            let (size, place) = (megabytes(there.size), there.folder.display().to_string());
            table.add_row([&*name, &*version, "installed", &size, &place]);
        }
    }
    let docker = docker_version().await;
    for (name, image) in [("docker", MILVUS_IMAGE), ("clickhouse:container", CLICKHOUSE_IMAGE)] {
        let tag = image.rsplit(':').next().unwrap_or_default();
        let (state, size) = match &docker {
            Err(_) => ("no Docker", String::new()),
            Ok(_) => match image_size(image).await.map_err(Failure::environment)? {
                Some(size) => ("pulled", megabytes(size)),
                None => ("not pulled", String::new()),
            },
        };
        table.add_row([name, tag, state, &size, image]);
    }
    say(table);
    say(format_args!("\ncache: {}", cache.display()));
    for engine in running::all(&cache).map_err(Failure::environment)? {
        say(format_args!("running: {} at {}, process {}", engine.name, engine.uri, engine.pid));
    }
    Ok(Exit::Clean)
}

async fn install(args: &EnginesArgs, quiet: bool) -> Result<Exit, Failure> {
    let place = &args.place;
    for engine in &args.engines {
        let prepared = prepare(engine, place.cache.clone(), place.python.clone(), quiet).await;
        prepared.map_err(Failure::environment)?;
        say(format_args!("installed {engine}"));
    }
    Ok(Exit::Clean)
}

async fn start(args: &EnginesStartArgs, quiet: bool) -> Result<Exit, Failure> {
    let choice = args.engine.clone().unwrap_or_default();
    let place = &args.place;
    let cache = cache_folder(place.cache.as_deref()).map_err(Failure::environment)?;
    let started = or_signal(async {
        let target = prepare(&choice, place.cache.clone(), place.python.clone(), quiet).await?;
        target.start(PATIENCE).await
    });
    let Some(engine) = started.await else { return Ok(Exit::Interrupted) };
    let mut engine = engine.map_err(Failure::environment)?;
    let entry = running::Entry::write(&cache, &choice.to_string(), engine.uri());
    let entry = entry.map_err(Failure::environment)?;
    say(engine.uri());
    let ended = async {
        loop {
            tokio::time::sleep(GLANCE).await;
            if let Some(how) = engine.has_exited().await {
                return how;
            }
        }
    };
    let how = tokio::select! {
        how = ended => Some(how),
        () = signalled() => None,
    };
    engine.stop().await;
    // Last: who waits for the entry to go may rely on it.
    drop(entry);
    how.map_or(Ok(Exit::Clean), |how| Err(Failure::environment(how)))
}

/// Starts this program once more, in the foreground of nobody.
async fn start_in_background(args: &EnginesStartArgs, quiet: bool) -> Result<Exit, Failure> {
    let choice = args.engine.clone().unwrap_or_default();
    let place = &args.place;
    // Here, where its progress can be seen.
    let prepared = prepare(&choice, place.cache.clone(), place.python.clone(), quiet);
    let Some(prepared) = or_signal(prepared).await else { return Ok(Exit::Interrupted) };
    prepared.map_err(Failure::environment)?;
    let (uri, pid) = tokio::task::spawn_blocking({
        let place = place.clone();
        move || spawn(&choice, &place)
    })
    .await
    .map_err(Failure::environment)?
    .map_err(Failure::environment)?;
    say(&uri);
    if !quiet {
        note(format_args!("process {pid} runs it; `milvus-difftest engines stop {uri}` ends it"));
    }
    Ok(Exit::Clean)
}

fn spawn(choice: &EngineChoice, place: &PlaceArgs) -> Result<(String, u32), String> {
    let failed = |error: std::io::Error| format!("cannot start this program once more: {error}");
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.args(["engines", "start", &choice.to_string()]);
    for (option, path) in [("--cache", &place.cache), ("--python", &place.python)] {
        if let Some(path) = path {
            command.arg(option).arg(path);
        }
    }
    // A file, not a pipe: whoever reads this program's errors to their end shall not have to wait
    // for the engine's.
    let mut errors = tempfile::tempfile().map_err(failed)?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors.try_clone().map_err(failed)?)
        .process_group(0)
        .spawn()
        .map_err(failed)?;
    let mut uri = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut uri).map_err(failed)?;
    }
    if !uri.is_empty() {
        return Ok((uri.trim().to_owned(), child.id()));
    }
    child.wait().map_err(failed)?;
    let mut text = String::new();
    errors.rewind().and_then(|()| errors.read_to_string(&mut text)).map_err(failed)?;
    Err(text.trim().trim_start_matches("error: ").to_owned())
}

async fn stop(args: &EnginesStopArgs) -> Result<Exit, Failure> {
    let cache = cache_folder(args.cache.as_deref()).map_err(Failure::environment)?;
    let engines = running::all(&cache).map_err(Failure::environment)?;
    let is_meant =
        |engine: &running::Running, which: &String| *which == engine.name || *which == engine.uri;
    if let Some(unknown) =
        args.which.iter().find(|which| !engines.iter().any(|engine| is_meant(engine, which)))
    {
        return Err(Failure::usage(format!(
            "no engine '{unknown}' was started by `engines start`; `engines list` shows those that \
             were"
        )));
    }
    for engine in engines {
        if args.which.is_empty() || args.which.iter().any(|which| is_meant(&engine, which)) {
            running::stop(&engine).await.map_err(Failure::environment)?;
            say(format_args!("stopped {} at {}", engine.name, engine.uri));
        }
    }
    // Without Docker there is nothing to look for.
    if args.which.is_empty() && docker_version().await.is_ok() {
        let reaped = reap_containers().await.map_err(Failure::environment)?;
        if reaped > 0 {
            say(format_args!("removed {reaped} containers that dead runs had left"));
        }
    }
    Ok(Exit::Clean)
}

async fn remove(args: &EnginesArgs) -> Result<Exit, Failure> {
    let cache = cache_folder(args.place.cache.as_deref()).map_err(Failure::environment)?;
    let engines = running::all(&cache).map_err(Failure::environment)?;
    for choice in &args.engines {
        if let Some(engine) = engines.iter().find(|engine| engine.name == choice.to_string()) {
            return Err(Failure::usage(format!(
                "{choice} runs at {}; `engines stop {choice}` first",
                engine.uri
            )));
        }
        let removed = match choice {
            EngineChoice::Embedded(kind) => {
                let folders = uninstall(&cache, *kind).map_err(Failure::environment)?;
                folders.iter().map(|folder: &std::path::PathBuf| show(folder)).collect()
            }
            EngineChoice::Container(image) => {
                let there = remove_image(image).await.map_err(Failure::environment)?;
                if there { vec![image.clone()] } else { Vec::new() }
            }
        };
        if removed.is_empty() {
            say(format_args!("{choice} was not installed"));
        }
        removed.iter().for_each(|what| say(format_args!("removed {what}")));
    }
    Ok(Exit::Clean)
}

fn show(path: &Path) -> String {
    path.display().to_string()
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
