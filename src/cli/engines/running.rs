//! The engines that `engines start` runs: a file for each, locked as long as its process lives.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const POLL: Duration = Duration::from_millis(50);

/// How long stopping an engine may take.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// An engine that runs.
#[derive(Debug)]
pub struct Running {
    pub name: String,
    pub uri: String,
    /// Of the program that runs it.
    pub pid: u32,
    path: PathBuf,
}

/// The file of an engine that this process runs; it goes when this does.
#[derive(Debug)]
pub struct Entry {
    path: PathBuf,
    /// Locked; the lock outlives the file, so that who waits for it waits long enough.
    _file: File,
}

impl Entry {
    pub fn write(cache: &Path, name: &str, uri: &str) -> Result<Entry, String> {
        let folder = folder(cache);
        let failed = |error: io::Error| format!("cannot write to {}: {error}", folder.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.join(std::process::id().to_string());
        let mut file = File::create(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        file.write_all(format!("{uri}\n{name}\n").as_bytes()).map_err(failed)?;
        Ok(Entry { path, _file: file })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!("cannot remove {}: {error}", self.path.display());
        }
    }
}

/// All that run, oldest first; forgets those whose process has died.
pub fn all(cache: &Path) -> Result<Vec<Running>, String> {
    let folder = folder(cache);
    let failed = |error: io::Error| format!("cannot read {}: {error}", folder.display());
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut running = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let Some(pid) = path.file_name().and_then(|name| name.to_str()?.parse().ok()) else {
            continue;
        };
        if !is_held(&path).map_err(failed)? {
            // Its process was killed. Or it removes the file itself just now.
            let _ = fs::remove_file(&path);
            continue;
        }
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if let Some((uri, name)) = text.trim().split_once('\n') {
            running.push(Running { name: name.to_owned(), uri: uri.to_owned(), pid, path });
        }
    }
    running.sort_by_key(|running| running.pid);
    Ok(running)
}

/// Ends an engine and waits until nothing of it is left.
pub async fn stop(running: &Running) -> Result<(), String> {
    let failed = |error: io::Error| format!("cannot stop process {}: {error}", running.pid);
    // It holds the lock, so the number is still its own.
    let pid = i32::try_from(running.pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| format!("{} is no process", running.pid))?;
    kill_process(pid, Signal::TERM).map_err(|error| failed(error.into()))?;
    let deadline = Instant::now() + STOP_TIMEOUT;
    while is_held(&running.path).map_err(failed)? {
        if Instant::now() >= deadline {
            return Err(format!(
                "process {} has not stopped its engine within {}",
                running.pid,
                humantime::format_duration(STOP_TIMEOUT)
            ));
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Whether a process holds the lock of the file; no, if there is none.
fn is_held(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn folder(cache: &Path) -> PathBuf {
    cache.join("running")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_living_engines_are_listed() {
        let cache = tempfile::tempdir().expect("a folder");
        assert!(all(cache.path()).expect("nothing is there").is_empty());
        let entry =
            Entry::write(cache.path(), "docker:a b", "http://127.0.0.1:1").expect("written");
        let dead = folder(cache.path()).join("1");
        fs::write(&dead, "http://127.0.0.1:2\nmilvus-2.3.5\n").expect("written");
        let running = all(cache.path()).expect("it can be read");
        let told: Vec<_> = running.iter().map(|r| (r.name.as_str(), r.uri.as_str())).collect();
        assert_eq!(told, [("docker:a b", "http://127.0.0.1:1")]);
        assert!(!dead.exists());
        drop(entry);
        assert!(all(cache.path()).expect("it can be read").is_empty());
    }
}
