//! The engines' data folders, and those that nobody came back for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::error::EngineError;
use crate::clock;

const PREFIX: &str = "milvus-difftest-engine-";

/// A folder is born unlocked: the watchdog locks it a moment later. So young ones are left alone.
const GRACE: Duration = Duration::from_secs(60);

/// Linux's file system in memory.
const MEMORY: &str = "/dev/shm";

/// Where data folders go: in memory where so many bytes are free, for Milvus Lite waits for the
/// disk at every collection that it creates or drops (measured: 60 ms for both, against 6 ms in
/// memory). Whoever sets TMPDIR knows better.
fn parent(enough: u64) -> PathBuf {
    let room = || {
        let space = rustix::fs::statvfs(MEMORY).ok()?;
        (space.f_bavail.saturating_mul(space.f_frsize) >= enough).then_some(())?;
        // Writable, too: it need not be this user's.
        tempfile::tempfile_in(MEMORY).ok()
    };
    if std::env::var_os("TMPDIR").is_none() && room().is_some() {
        return PathBuf::from(MEMORY);
    }
    let parent = std::env::temp_dir();
    // The engine runs with another current folder.
    std::path::absolute(&parent).unwrap_or(parent)
}

/// Makes an empty data folder, readable by this user alone; in memory if `room` bytes are free
/// there.
pub(super) fn create(room: u64) -> Result<PathBuf, EngineError> {
    let parent = parent(room);
    tempfile::Builder::new()
        .prefix(PREFIX)
        .tempdir_in(&parent)
        // Its watchdog deletes it, which outlives this process.
        .map(tempfile::TempDir::keep)
        .map_err(EngineError::io("make a data folder in", &parent))
}

/// Deletes the data folders that no watchdog holds, left behind when a watchdog was killed too or
/// the machine went down.
pub(super) fn sweep() {
    let parents = [PathBuf::from(MEMORY), std::env::temp_dir()];
    let entries = parents.iter().filter_map(|parent| fs::read_dir(parent).ok());
    for entry in entries.flatten().flatten() {
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if ours && is_abandoned(&entry.path()) {
            remove(&entry.path());
        }
    }
}

/// Deletes a data folder; one that is gone already is as good.
pub(super) fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && folder.exists()
    {
        tracing::warn!(folder = %folder.display(), "cannot delete the data folder: {error}");
    }
}

fn is_abandoned(folder: &Path) -> bool {
    // Another user's folder cannot be opened.
    let Ok(handle) = File::open(folder) else {
        return false;
    };
    // By the clock that file systems go by. Should it jump, a folder looks older or younger than it
    // is; one that is in use is locked all the same.
    let now = UNIX_EPOCH + clock::wall_clock();
    let old = handle
        .metadata()
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age > GRACE));
    old && handle.try_lock().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aged_folder() -> (PathBuf, File) {
        let folder = create(1 << 30).expect("a data folder");
        fs::write(folder.join("segment"), "rows").expect("a file in it");
        let handle = File::open(&folder).expect("the folder opens");
        let long_ago = UNIX_EPOCH + clock::wall_clock() - 2 * GRACE;
        handle.set_modified(long_ago).expect("its time is set");
        (folder, handle)
    }

    #[test]
    fn only_old_unlocked_folders_are_swept() {
        let (abandoned, handle) = aged_folder();
        drop(handle);
        let (held, handle) = aged_folder();
        handle.try_lock().expect("nobody else locks it");
        let young = create(1 << 30).expect("a data folder");

        sweep();

        assert!(!abandoned.exists());
        assert!(held.exists());
        assert!(young.exists());
        remove(&held);
        remove(&young);
        assert!(!held.exists() && !young.exists());
    }
}
