//! Whose containers are whose, and the removal of those whose owner is gone.
//!
//! What holds: a container is removed when its [`Lease`] is dropped, so at the end of a run, after
//! the first Ctrl-C or SIGTERM, and in a panic. What a process leaves behind that has no chance to
//! do that (SIGKILL, a second Ctrl-C) is removed when the next container is started on the same
//! machine, by [`reap`].

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as BollardError;
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use testcontainers::core::client::docker_client_instance;

const LEASE: &str = "milvus-difftest.lease";
const OWNER: &str = "milvus-difftest.owner";

/// The right to one container: it is removed, with its anonymous volumes, when this is dropped,
/// even if it has not quite been created yet.
#[derive(Debug)]
pub(super) struct Lease {
    id: String,
    removed: bool,
}

impl Lease {
    pub(super) fn new() -> Self {
        Self { id: format!("{:032x}", rand::random::<u128>()), removed: false }
    }

    /// What is to be written on the container.
    pub(super) fn labels(&self) -> [(&'static str, String); 2] {
        [(LEASE, self.id.clone()), (OWNER, Owner::this_process().to_string())]
    }

    /// Removes the container now.
    pub(super) async fn end(mut self, docker: &Docker) {
        self.removed = report(remove_leased(docker, &self.id).await);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        let id = std::mem::take(&mut self.id);
        // On a thread with a runtime of its own: this may be dropped within a runtime, where
        // nothing may block on another, or outside of any.
        let removal = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(async {
                    if let Ok(docker) = docker_client_instance().await {
                        report(remove_leased(&docker, &id).await);
                    }
                }),
                Err(error) => tracing::warn!("cannot remove a container: {error}"),
            }
        });
        // It panics nowhere; if it did, this must not.
        let _ = removal.join();
    }
}

fn report(removal: Result<(), BollardError>) -> bool {
    removal.inspect_err(|error| tracing::warn!("cannot remove a container: {error}")).is_ok()
}

async fn remove_leased(docker: &Docker, lease: &str) -> Result<(), BollardError> {
    for (id, _) in labelled(docker, &format!("{LEASE}={lease}")).await? {
        remove(docker, &id).await?;
    }
    Ok(())
}

/// Removes the containers whose owners have ended on this machine; says how many.
pub(super) async fn reap(docker: &Docker) -> Result<usize, BollardError> {
    let mut reaped = 0;
    for (id, owner) in labelled(docker, OWNER).await? {
        if Owner::parse(&owner).is_some_and(|owner| owner.is_gone()) {
            tracing::info!(id, owner, "removing a container that a dead process left");
            remove(docker, &id).await?;
            reaped += 1;
        }
    }
    Ok(reaped)
}

/// The ids of the containers with a label, and who owns them.
async fn labelled(docker: &Docker, label: &str) -> Result<Vec<(String, String)>, BollardError> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let found = docker.list_containers(Some(options)).await?;
    let described = found.into_iter().filter_map(|container| {
        let owner = container.labels.unwrap_or_default().remove(OWNER).unwrap_or_default();
        Some((container.id?, owner))
    });
    Ok(described.collect())
}

async fn remove(docker: &Docker, id: &str) -> Result<(), BollardError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(id, Some(options)).await {
        // Somebody else removes it, or has.
        Err(BollardError::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        result => result,
    }
}

/// A process, so that no other is ever taken for it: not one that got its number later, not one of
/// another machine, or container, that uses the same Docker.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    /// Where process numbers mean the same.
    place: String,
    /// Since when the machine runs; another value means that nothing of then is left.
    boot: String,
    pid: u32,
    /// In the clock ticks of its machine.
    started: String,
}

impl Owner {
    fn this_process() -> Self {
        let pid = std::process::id();
        Self { place: place(), boot: boot(), pid, started: started(pid).unwrap_or_default() }
    }

    fn is_gone(&self) -> bool {
        if self.place != place() {
            return false;
        }
        self.boot != boot() || !is_alive(self.pid, &self.started)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(4, ' ').map(str::to_owned);
        let (place, boot, pid) = (parts.next()?, parts.next()?, parts.next()?.parse().ok()?);
        Some(Self { place, boot, pid, started: parts.next()? })
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.place, self.boot, self.pid, self.started)
    }
}

/// The machine's name and, on Linux, the space of process numbers.
fn place() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().replace(' ', "_");
    let space = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{name}/{}", space.display())
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if id.is_empty() { "-".to_owned() } else { id.trim().to_owned() }
}

/// Whether the process that was started then still runs. Where starts cannot be told, whether any
/// has its number: better to leave a container than to take a living one's.
fn is_alive(pid: u32, since: &str) -> bool {
    if Path::new("/proc/self/stat").exists() {
        return started(pid).is_some_and(|started| started == since);
    }
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Field 22 of `/proc/PID/stat` (proc_pid_stat(5)); nothing if there is no such process, or only
/// its remains.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, whatever that holds.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X") {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_known_by_more_than_its_number() {
        let this = Owner::this_process();
        assert_eq!(Owner::parse(&this.to_string()), Some(this.clone()));
        assert!(!this.started.is_empty());
        assert!(!this.is_gone());
        assert!(Owner { started: "1".to_owned(), ..this.clone() }.is_gone());
        assert!(Owner { boot: "yesterday".to_owned(), ..this.clone() }.is_gone());
        assert!(Owner { pid: u32::MAX, ..this.clone() }.is_gone());
        assert!(!Owner { place: "elsewhere".to_owned(), pid: u32::MAX, ..this }.is_gone());
        assert_eq!(Owner::parse("what is this"), None);
    }

    #[test]
    fn the_remains_of_a_process_are_no_process() {
        let mut child = std::process::Command::new("true").spawn().expect("it runs");
        let id = child.id();
        let state = || started(id);
        let ended = (0..500).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            state().is_none()
        });
        assert!(ended, "nobody has waited for it, so it is still listed");
        child.wait().expect("it is there to be waited for");
    }
}
