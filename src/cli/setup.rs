//! What the commands share: finding an engine, and noticing that the user wants to stop.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::{BackendArgs, TargetArgs};
use super::exit::Exit;
use super::start::{Failure, note};
use crate::campaign::{Stop, Target};
use crate::engine::{EmbeddedOptions, EngineError, InstallStep, Progress, Secret, install};
use crate::reference::{Choice, Reference, ReferenceError};

/// The target that the options name; installs the embedded engine if it is not there.
pub async fn target(args: &TargetArgs, quiet: bool) -> Result<Target, EngineError> {
    if let Some(uri) = &args.target {
        let token = args.token.clone().map(Secret::new);
        return Ok(Target::External { uri: uri.clone(), token });
    }
    let options = EmbeddedOptions { kind: args.engine.unwrap_or_default(), ..embedded(args) };
    let begun = Instant::now();
    let installation = with_progress(quiet, async |progress| install(&options, progress).await);
    let installation = installation.await?;
    tracing::info!(elapsed = ?begun.elapsed(), "the embedded engine is installed");
    Ok(Target::Embedded(installation))
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
        if let InstallStep::Fetching { number, total, .. } = &step {
            bar.set_length(*total as u64);
            bar.set_position(*number as u64);
        }
        if bar.is_hidden() && !quiet {
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

async fn signalled() {
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
