//! The folder that embedded engines are installed in, and what is there.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

use super::error::EngineError;
use super::kind::EngineKind;

/// An installation of an embedded engine.
#[derive(Debug, Clone)]
pub struct InstalledEngine {
    /// Where it is.
    pub folder: PathBuf,
    /// How large its files are, in bytes.
    pub size: u64,
}

/// The folder to keep engines in: the chosen one, else `MILVUS_DIFFTEST_CACHE`, else
/// `$XDG_CACHE_HOME/milvus-difftest`. It need not exist.
pub fn cache_folder(chosen: Option<&Path>) -> Result<PathBuf, EngineError> {
    let no_folder = |reason: String| EngineError::NoCacheFolder { reason };
    let chosen = chosen.map(Path::to_owned).or_else(|| from_env("MILVUS_DIFFTEST_CACHE"));
    let folder = match chosen {
        Some(folder) => folder,
        None => etcetera::choose_base_strategy()
            .map_err(|error| no_folder(error.to_string()))?
            .cache_dir()
            .join("milvus-difftest"),
    };
    // The engine runs with another current folder.
    std::path::absolute(folder).map_err(|error| no_folder(error.to_string()))
}

/// The installations of an engine in a cache folder that are complete: with this version's pins
/// and, if it was upgraded, with those of others.
pub fn installed(cache: &Path, kind: EngineKind) -> Result<Vec<InstalledEngine>, EngineError> {
    let folders = folders_of(cache, kind)?;
    let complete = folders.into_iter().filter(|folder| folder.join("installed").exists());
    Ok(complete.map(|folder| InstalledEngine { size: size_of(&folder), folder }).collect())
}

/// The releases beside the pinned ones of which a cache folder has complete installations.
pub fn installed_releases(cache: &Path) -> Result<Vec<EngineKind>, EngineError> {
    let mut kinds: Vec<EngineKind> = Vec::new();
    for folder in folders(cache)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let kind = name.rsplit_once('-').and_then(|(name, _)| name.parse().ok());
        if let Some(kind @ EngineKind::Release(_)) = kind
            && !kinds.contains(&kind)
            && folder.join("installed").exists()
        {
            kinds.push(kind);
        }
    }
    kinds.sort_by_key(|kind| kind.release().map(|it| (it.package(), it.version())));
    Ok(kinds)
}

/// Deletes all installations of an engine; says what it deleted. One that is just being made is
/// an error.
pub fn uninstall(cache: &Path, kind: EngineKind) -> Result<Vec<PathBuf>, EngineError> {
    let folders = folders_of(cache, kind)?;
    for folder in &folders {
        let mut lock = folder.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        // Held until the folder is gone, so that nobody installs into it meanwhile.
        let file = File::options().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(EngineError::io("open", &lock))?;
        if file.try_lock().is_err() {
            return Err(EngineError::Busy { folder: folder.clone() });
        }
        // First, so that nobody takes what is left for an installation.
        for path in [folder.join("installed"), folder.clone(), lock] {
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            match removed {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(EngineError::io("remove", &path)(error));
                }
                _ => {}
            }
        }
    }
    Ok(folders)
}

pub(super) fn from_env(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn folders_of(cache: &Path, kind: EngineKind) -> Result<Vec<PathBuf>, EngineError> {
    let of_kind = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let digest = name.strip_prefix(&*kind.name()).and_then(|rest| rest.strip_prefix('-'));
        digest.is_some_and(|digest| digest.len() == 12 && is_hexadecimal(digest)) && path.is_dir()
    };
    Ok(folders(cache)?.into_iter().filter(of_kind).collect())
}

/// What the folder has, sorted.
fn folders(cache: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let entries = match fs::read_dir(cache) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(EngineError::io("read", cache))?,
    };
    let mut folders: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    folders.sort();
    Ok(folders)
}

fn is_hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What cannot be read counts nothing; links are not followed.
fn size_of(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_of(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installations_of_the_engine_are_removed() {
        let cache = tempfile::tempdir().expect("a folder");
        let make = |name: &str| {
            let folder = cache.path().join(name);
            fs::create_dir_all(folder.join("venv")).expect("a folder in it");
            fs::write(folder.join("venv/x"), "12345").expect("a file in it");
            folder
        };
        let complete = make("milvus-2.3.5-0123456789ab");
        fs::write(complete.join("installed"), "0123456789abc").expect("a marker");
        let half = make("milvus-2.3.5-ba9876543210");
        let others = ["milvus-2.3.5-mine", "milvus-lite-2.5.1-0123456789ab", "target"].map(make);

        let found = installed(cache.path(), EngineKind::Milvus23).expect("it can be read");
        assert_eq!(
            found.iter().map(|i| (&i.folder, i.size)).collect::<Vec<_>>(),
            [(&complete, 18)]
        );
        let release = make("milvus-lite-2.4.9-0123456789ab");
        fs::write(release.join("installed"), "").expect("a marker");
        let _unfinished = make("milvus-lite-2.4.12-0123456789ab");
        let releases = installed_releases(cache.path()).expect("it can be read");
        assert_eq!(releases, ["milvus-lite-2.4.9".parse::<EngineKind>().expect("a release")]);
        let removed = uninstall(cache.path(), EngineKind::Milvus23).expect("they are removed");
        assert_eq!(removed, [complete, half]);
        assert!(removed.iter().all(|folder| !folder.exists()));
        assert!(others.iter().all(|folder| folder.exists()));
        assert!(
            installed(&cache.path().join("none"), EngineKind::Milvus23)
                .is_ok_and(|all| all.is_empty())
        );
    }

    #[test]
    fn an_installation_in_the_making_is_left_alone() {
        let cache = tempfile::tempdir().expect("a folder");
        let folder = cache.path().join("milvus-2.3.5-0123456789ab");
        fs::create_dir(&folder).expect("a folder");
        let lock = File::create(cache.path().join("milvus-2.3.5-0123456789ab.lock"));
        lock.as_ref().expect("a lock").try_lock().expect("nobody else locks it");
        let refused = uninstall(cache.path(), EngineKind::Milvus23).expect_err("it is busy");
        assert!(refused.to_string().contains("is just being installed"), "{refused}");
        assert!(folder.exists());
    }
}
