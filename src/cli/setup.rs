//! What the commands share: finding an engine, and noticing that the user wants to stop.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{BackendArgs, TargetArgs};
use super::exit::Exit;
use super::start::{Failure, note};
use crate::campaign::{Known, Stop, Target, Trial, TrialOptions, WorkbenchOptions};
use crate::case::{Case, Found};
use crate::engine::{
    ContainerOptions, EmbeddedOptions, EngineChoice, EngineError, InstallStep, MilvusImage,
    Progress, Secret, install,
};
use crate::reference::{Choice, Reference, ReferenceError};
use crate::secret::redact_address;

/// The targets that the options name, each with its name; installs engines, or pulls their images,
/// if they are not there. Without a name it is the default.
pub async fn targets(args: &TargetArgs, quiet: bool) -> Result<Vec<(String, Target)>, EngineError> {
    let token = args.token.clone().map(Secret::new);
    let mut targets = Vec::new();
    let default = [EngineChoice::default()];
    let none = args.engine.is_empty() && args.target.is_empty();
    for choice in if none { &default[..] } else { &args.engine } {
        let target = prepare(choice, args.cache.clone(), args.python.clone(), quiet).await?;
        targets.push((choice.to_string(), target));
    }
    for uri in &args.target {
        let target = Target::External { uri: uri.clone(), token: token.clone() };
        targets.push((redact_address(uri), target));
    }
    Ok(targets)
}

/// Fails for a command that asks one engine, if several are named.
pub fn only_one(args: &TargetArgs) -> Result<(), Failure> {
    match args.engine.len() + args.target.len() {
        0 | 1 => Ok(()),
        _ => {
            Err(Failure::usage("this command asks one engine; `matrix` asks several side by side"))
        }
    }
}

/// The case of a finding's folder, or of a case file, for a command that takes one.
pub fn one_case(path: &Path) -> Result<(PathBuf, Case, Option<Found>), Failure> {
    let files = Case::files(path).map_err(Failure::usage)?;
    let [file] = files.as_slice() else {
        return Err(Failure::usage(format!(
            "there are {} files named case.json in {}; this command takes one finding",
            files.len(),
            path.display()
        )));
    };
    let (case, found) = Case::load(file).map_err(Failure::usage)?;
    Ok((file.clone(), case, found))
}

/// One engine for saved cases, running, with the references that the options name.
pub async fn trial(
    engine: &TargetArgs,
    backends: &BackendArgs,
    known: Known,
    quiet: bool,
) -> Result<Trial, Failure> {
    let options = trial_options(engine, backends, known, quiet).await?;
    let targets = targets(engine, quiet).await.map_err(Failure::environment)?;
    let Some((_, target)) = targets.first() else {
        return Err(Failure::usage("no engine is named"));
    };
    Trial::start(target, &options, 0).await.map_err(Failure::environment)
}

/// How saved cases are tried, with the references that the options name.
pub async fn trial_options(
    engine: &TargetArgs,
    backends: &BackendArgs,
    known: Known,
    quiet: bool,
) -> Result<TrialOptions, Failure> {
    let references = references(backends, &embedded(engine), quiet).await?;
    let mut deadlines = WorkbenchOptions::default();
    if let Some(timeout) = engine.query_timeout {
        deadlines.query_deadline = timeout;
    }
    Ok(TrialOptions { references, deadlines, known })
}

/// Installs an engine, or pulls its image, if it is not there.
pub async fn prepare(
    choice: &EngineChoice,
    cache_dir: Option<PathBuf>,
    python: Option<PathBuf>,
    quiet: bool,
) -> Result<Target, EngineError> {
    let begun = Instant::now();
    let prepared = with_progress(quiet, async |progress| match choice {
        EngineChoice::Embedded(kind) => {
            let options =
                EmbeddedOptions { kind: *kind, cache_dir, python, ..EmbeddedOptions::default() };
            install(&options, progress).await.map(Target::Embedded)
        }
        EngineChoice::Container(image) => {
            let options =
                ContainerOptions { image: Some(image.clone()), ..ContainerOptions::default() };
            MilvusImage::pull(&options, progress).await.map(Target::Container)
        }
    });
    let prepared = prepared.await;
    tracing::info!(elapsed = ?begun.elapsed(), engine = %choice, "the engine is there");
    prepared
}

/// The references that the options name; installs what is not there.
pub async fn references(
    args: &BackendArgs,
    embedded: &EmbeddedOptions,
    quiet: bool,
) -> Result<Vec<Reference>, Failure> {
    let mut choices = Vec::new();
    for text in &args.backend {
        let mut choice: Choice = text.parse().map_err(Failure::usage)?;
        if let Choice::ClickHouseAt(options) = &mut choice
            && options.password.is_none()
        {
            options.password = args.backend_password.clone().map(Secret::new);
        }
        choices.push(choice);
    }
    let prepared = with_progress(quiet, async |progress| {
        Reference::prepare(&choices, embedded, progress).await
    });
    prepared.await.map_err(|error| match error {
        ReferenceError::ModelBesideDatabase => Failure::usage(error),
        error => Failure::environment(error),
    })
}

/// Where embedded engines go and with what they are installed.
pub fn embedded(args: &TargetArgs) -> EmbeddedOptions {
    EmbeddedOptions {
        cache_dir: args.cache.clone(),
        python: args.python.clone(),
        ..EmbeddedOptions::default()
    }
}

/// Shows the steps of an installation while there are any.
async fn with_progress<T>(quiet: bool, work: impl AsyncFnOnce(&Progress<'_>) -> T) -> T {
    let bar = ProgressBar::new(0);
    if quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} [{bar:30}] {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let progress = |step: InstallStep| {
        let place = match &step {
            InstallStep::Fetching { number, total, .. } => Some((*number as u64, *total as u64)),
            InstallStep::Pulling { done, total, .. } => Some((*done, *total)),
            _ => None,
        };
        if let Some((place, length)) = place {
            bar.set_length(length);
            bar.set_position(place);
        }
        // In a log, the first word on an image is enough.
        let more = matches!(step, InstallStep::Pulling { done: 1.., .. });
        if bar.is_hidden() && !quiet && !more {
            note(&step);
        }
        bar.set_message(step.to_string());
    };
    let done = work(&progress).await;
    bar.finish_and_clear();
    done
}

/// Turns the first Ctrl-C or SIGTERM into an orderly end, and the second into an immediate one.
pub fn on_signal(stop: Stop) {
    tokio::spawn(async move {
        signalled().await;
        stop.stop();
        note("stopping; once more to stop at once");
        signalled().await;
        std::process::exit(Exit::Interrupted as i32);
    });
}

pub async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        result = tokio::signal::ctrl_c() => {
            if result.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Runs something that cannot be stopped in an orderly way, until it is done or a signal comes.
pub async fn or_signal<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        result = work => Some(result),
        () = signalled() => None,
    }
}
