//! What the commands share: finding an engine, and noticing that the user wants to stop.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::TargetArgs;
use super::exit::Exit;
use super::start::note;
use crate::campaign::{Stop, Target};
use crate::engine::{EmbeddedOptions, EngineError, InstallStep, Secret, install};

/// The target that the options name; installs the embedded engine if it is not there.
pub async fn target(args: &TargetArgs, quiet: bool) -> Result<Target, EngineError> {
    if let Some(uri) = &args.target {
        let token = args.token.clone().map(Secret::new);
        return Ok(Target::External { uri: uri.clone(), token });
    }
    let options = EmbeddedOptions {
        kind: args.engine.unwrap_or_default(),
        cache_dir: args.cache.clone(),
        python: args.python.clone(),
        ..EmbeddedOptions::default()
    };
    let begun = Instant::now();
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
    let installation = install(&options, &progress).await;
    bar.finish_and_clear();
    let installation = installation?;
    tracing::info!(elapsed = ?begun.elapsed(), "the embedded engine is installed");
    Ok(Target::Embedded(installation))
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
