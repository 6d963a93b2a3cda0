//! One running engine process under its watchdog (`launch/launcher.py`, which says how they keep
//! together).

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::EngineError;
use super::folder;
use super::install::Installed;
use super::kind::Service;
use super::probe::{self, Unusable};
use super::running::Ending;
use crate::secret::{Secret, redact};

const LAUNCHER: &str = include_str!("launch/launcher.py");

/// How much of the engine's log is kept.
const LOG_BYTES: usize = 16 * 1024;

/// How much of it is kept from where a program in Go says that it cannot go on.
const LAST_WORDS: usize = 2 * 1024;

/// So much of what it had said before that is of interest.
const WORDS_BEFORE: usize = 500;

/// How long to look whether the engine lives.
const GLANCE: Duration = Duration::from_millis(20);

/// How long the watchdog may take to kill the engine and delete its folder.
const TERMINATION: Duration = Duration::from_secs(15);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// An engine and its watchdog. Dropping it ends both, a moment later.
#[derive(Debug)]
pub(super) struct Process {
    watchdog: Child,
    /// That it is open tells the watchdog that the harness lives; a byte, that the data folder is
    /// to be kept.
    lifeline: Option<ChildStdin>,
    /// Says the port once; that it ends tells that the engine has.
    report: Option<BufReader<ChildStdout>>,
    folder: PathBuf,
    log: Log,
    uri: String,
    pid: u32,
    token: Option<Secret>,
}

impl Process {
    /// Starts an engine and waits until it answers.
    pub(super) async fn start(installation: &Installed) -> Result<Self, EngineError> {
        // Best effort; a failed sweep must not keep an engine from starting.
        let _ = tokio::task::spawn_blocking(folder::sweep).await;
        Self::spawn(installation)?.ready(installation).await
    }

    /// Ends the engine, and starts it again on the same port with what it has stored.
    pub(super) async fn resume(
        &mut self,
        installation: &Installed,
        ending: Ending,
    ) -> Result<(), EngineError> {
        let gone = || EngineError::Forgetful { uri: self.uri.clone() };
        let mut lifeline = self.lifeline.take().ok_or_else(gone)?;
        // Where that fails the watchdog has ended, and deleted the folder.
        let (say, patience) = match ending {
            Ending::Killed => (b"k", STOP_TIMEOUT),
            Ending::Terminated => (b"t", STOP_TIMEOUT + TERMINATION),
        };
        lifeline.write_all(say).await.map_err(|_| gone())?;
        if timeout(patience, self.watchdog.wait()).await.is_err() || !self.folder.is_dir() {
            return Err(gone());
        }
        let port = self.uri.rsplit(':').next().unwrap_or("0");
        let folder = &self.folder;
        let process =
            Self::spawn_in(folder, port, installation).inspect_err(|_| folder::remove(folder))?;
        *self = process.ready(installation).await?;
        Ok(())
    }

    async fn ready(self, installation: &Installed) -> Result<Self, EngineError> {
        let mut process = self;
        let patience = installation.start_timeout();
        let deadline = Instant::now() + patience;

        let report = match timeout_at(deadline, process.read_report()).await {
            Ok(report) => report,
            Err(_) => return Err(process.timed_out(patience, "it told no port").await),
        };
        let Some((port, pid, token)) = report else {
            let reason = match timeout(STOP_TIMEOUT, process.watchdog.wait()).await {
                Ok(Ok(status)) => describe(status),
                _ => "it told no port".to_owned(),
            };
            return Err(process.failed(&reason).await);
        };
        process.uri = format!("http://127.0.0.1:{port}");
        process.pid = pid;
        process.token = token;
        if installation.spec().service == Service::ClickHouse {
            return Ok(process);
        }

        let left = deadline.saturating_duration_since(Instant::now());
        let early = tokio::select! {
            answer = probe::until_it_works(&process.uri, left) => {
                answer.err().map(|(Unusable::Denied(met) | Unusable::Silent(met))| Err(met))
            }
            status = process.watchdog.wait() => {
                Some(status.map(describe).map_err(|error| error.to_string()))
            }
        };
        match early {
            None => Ok(process),
            Some(Ok(how)) => Err(process.failed(&how).await),
            Some(Err(met)) => Err(process.timed_out(patience, &met).await),
        }
    }

    pub(super) fn uri(&self) -> &str {
        &self.uri
    }

    /// Of the engine itself, not of its watchdog.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    pub(super) fn log_tail(&self) -> String {
        self.log.tail()
    }

    /// How it ended, with the end of its log, if it did.
    pub(super) async fn has_exited(&mut self) -> Option<String> {
        // The engine's end of this pipe closes before its sockets do, so whoever has seen a
        // connection break finds it closed; the watchdog ends later, when it has cleaned up.
        let lives = match &mut self.report {
            Some(report) => timeout(GLANCE, report.read_u8()).await.is_err(),
            None => false,
        };
        let how = match self.watchdog.try_wait() {
            Ok(None) if lives => return None,
            Ok(None) => match timeout(STOP_TIMEOUT, self.watchdog.wait()).await {
                Ok(Ok(status)) => describe(status),
                _ => "the engine ended, but its watchdog hangs".to_owned(),
            },
            Ok(Some(status)) => describe(status),
            Err(error) => format!("the engine's state cannot be told ({error})"),
        };
        self.log.settle().await;
        Some(format!("{how}{}", self.log.introduced()))
    }

    /// Whether it has ended, and not by SIGKILL.
    pub(super) fn ended_by_itself(&mut self) -> bool {
        let status = self.watchdog.try_wait().ok().flatten();
        status.and_then(|status| status.code()).is_some_and(|code| code != KILLED)
    }

    /// Ends the engine and deletes its folder; nothing to do if that is done already.
    pub(super) async fn stop(&mut self) {
        drop(self.lifeline.take());
        if timeout(STOP_TIMEOUT, self.watchdog.wait()).await.is_err() {
            tracing::warn!(pid = self.pid, "the engine's watchdog hangs, killing it");
            if let Err(error) = self.watchdog.kill().await {
                tracing::warn!("cannot kill the engine's watchdog: {error}");
            }
        }
        // The watchdog has done it, unless it was killed.
        folder::remove(&self.folder);
    }

    fn spawn(installation: &Installed) -> Result<Self, EngineError> {
        let folder = folder::create(installation.spec().room)?;
        Self::spawn_in(&folder, "0", installation).inspect_err(|_| folder::remove(&folder))
    }

    fn spawn_in(folder: &Path, port: &str, installation: &Installed) -> Result<Self, EngineError> {
        let launcher = folder.join("launcher.py");
        let engine = folder.join("engine.py");
        for (path, text) in [(&launcher, LAUNCHER), (&engine, installation.spec().script)] {
            fs::write(path, text).map_err(EngineError::io("write", path))?;
        }
        let python = installation.python();
        let mut watchdog = Command::new(&python)
            // Neither PYTHON* variables, the current folder nor, for the watchdog, any package.
            .args(["-I", "-S"])
            .args([launcher.as_os_str(), OsStr::new("watch"), folder.as_os_str(), OsStr::new(port)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of reach of the terminal's Ctrl-C, which is for the harness to act on.
            .process_group(0)
            .spawn()
            .map_err(EngineError::io("run", &python))?;
        Ok(Self {
            lifeline: watchdog.stdin.take(),
            report: watchdog.stdout.take().map(BufReader::new),
            log: Log::follow(watchdog.stderr.take()),
            watchdog,
            folder: folder.to_owned(),
            uri: String::new(),
            pid: 0,
            token: None,
        })
    }

    /// The port and the process id, once they are known, and the token that it wants to see;
    /// nothing if it ended before.
    async fn read_report(&mut self) -> Option<(u16, u32, Option<Secret>)> {
        let mut line = String::new();
        self.report.as_mut()?.read_line(&mut line).await.ok()?;
        let mut words = line.split_whitespace();
        let (port, pid) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((port, pid, words.next().map(Secret::new)))
    }

    async fn failed(mut self, reason: &str) -> EngineError {
        self.stop().await;
        self.log.settle().await;
        EngineError::StartFailed { reason: format!("{reason}{}", self.log.introduced()) }
    }

    async fn timed_out(mut self, waited: Duration, met: &str) -> EngineError {
        self.stop().await;
        self.log.settle().await;
        let log = format!("; the last attempt: {}{}", redact(met), self.log.introduced());
        EngineError::StartTimeout { waited, log }
    }
}

/// The status of what was ended by SIGKILL.
pub(super) const KILLED: i32 = 128 + 9;

/// The watchdog ends as its engine ended, with 128 + N for signal N.
fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => ended_with(code),
        None => format!("the engine's watchdog was ended ({status})"),
    }
}

/// An exit status, which is 128 + N for signal N.
pub(super) fn ended_with(code: i32) -> String {
    match code {
        129..=192 => {
            let signal = code - 128;
            let name = match signal {
                4 => " (SIGILL)",
                6 => " (SIGABRT)",
                8 => " (SIGFPE)",
                9 => " (SIGKILL)",
                11 => " (SIGSEGV)",
                15 => " (SIGTERM)",
                _ => "",
            };
            format!("the engine was ended by signal {signal}{name}")
        }
        code => format!("the engine exited with status {code}"),
    }
}

/// The end of what the engine writes, read as it comes: an unread pipe would stop it when full,
/// and a file would grow with every logged query of a long campaign.
#[derive(Debug)]
struct Log {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    fn follow(stderr: Option<ChildStderr>) -> Self {
        let kept = Arc::default();
        let reader = stderr.map(|stderr| tokio::spawn(keep_tail(stderr, Arc::clone(&kept))));
        Self { kept, reader }
    }

    /// Waits for the last words of an engine that has ended.
    async fn settle(&mut self) {
        if let Some(reader) = self.reader.take() {
            let _ = timeout(Duration::from_secs(1), reader).await;
        }
    }

    fn tail(&self) -> String {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = kept.iter().copied().collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    }

    /// The tail, ready to be put behind a sentence; empty if there is none.
    fn introduced(&self) -> String {
        match self.tail() {
            tail if tail.is_empty() => String::new(),
            tail => format!("; the end of its log:\n{tail}"),
        }
    }
}

async fn keep_tail(from: impl AsyncRead + Unpin, kept: Arc<Mutex<VecDeque<u8>>>) {
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    let mut still_kept = usize::MAX;
    while let Ok(1..) = from.read_until(b'\n', &mut line).await {
        let fatal = line.starts_with(b"fatal error: ") || line.starts_with(b"panic: ");
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        // A program in Go says what was wrong, then where each of its thousand goroutines is.
        if fatal && still_kept > LAST_WORDS {
            still_kept = LAST_WORDS;
            let before = kept.len().saturating_sub(WORDS_BEFORE);
            kept.drain(..before);
        }
        let (begin, _) = line.split_at(line.len().min(still_kept));
        kept.extend(begin);
        if still_kept <= LAST_WORDS {
            still_kept -= begin.len();
        }
        let excess = kept.len().saturating_sub(LOG_BYTES);
        kept.drain(..excess);
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn an_end_is_described_by_its_cause() {
        for (raw, text) in [
            (1 << 8, "the engine exited with status 1"),
            (139 << 8, "the engine was ended by signal 11 (SIGSEGV)"),
            (9, "the engine's watchdog was ended (signal: 9 (SIGKILL))"),
        ] {
            assert_eq!(describe(ExitStatus::from_raw(raw)), text);
        }
    }

    #[tokio::test]
    async fn the_cause_of_a_fatal_error_is_not_buried_under_what_follows() {
        let text = format!(
            "running\nfatal error: unexpected signal\n[signal SIGFPE]\n{}",
            "goroutine 7\n".repeat(LOG_BYTES)
        );
        let log = Log { kept: Arc::default(), reader: None };
        keep_tail(text.as_bytes(), Arc::clone(&log.kept)).await;
        assert!(log.tail().starts_with("running\nfatal error: unexpected signal\n[signal SIGFPE]"));
        assert!(log.tail().len() < LAST_WORDS + 10);
    }

    #[tokio::test]
    async fn only_the_end_of_a_log_is_kept() {
        let text = format!("{}the end\n", "x".repeat(3 * LOG_BYTES));
        let mut log = Log { kept: Arc::default(), reader: None };
        keep_tail(text.as_bytes(), Arc::clone(&log.kept)).await;
        log.settle().await;
        assert_eq!(log.tail().len(), LOG_BYTES - 1);
        assert!(log.introduced().ends_with("the end"));
    }
}
