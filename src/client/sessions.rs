//! Sessions on the backend, each used by one task at a time and off the threads that must not wait.

use std::panic::resume_unwind;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::backend::{Answer, Backend, BackendError, Staged};

/// The sessions of one client.
pub(super) struct Sessions {
    first: Mutex<Box<dyn Backend>>,
    free: Mutex<Vec<Box<dyn Backend>>>,
    name: String,
    location: Option<String>,
}

impl Sessions {
    pub(super) fn new(backend: Box<dyn Backend>) -> Sessions {
        Sessions {
            name: backend.name(),
            location: backend.location(),
            first: Mutex::new(backend),
            free: Mutex::default(),
        }
    }

    /// The database and its version.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Where it is; `None` if it goes with this process.
    pub(super) fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    fn free(&self) -> MutexGuard<'_, Vec<Box<dyn Backend>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs something on a session that nobody else uses meanwhile.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut dyn Backend) -> Answer<'a, T> + Send + 'static,
    ) -> Result<T, BackendError> {
        let free = self.free().pop();
        let mut session = match free {
            Some(session) => session,
            None => self.first.lock().unwrap_or_else(PoisonError::into_inner).session()?,
        };
        let (session, done) = blocking(move |handle| {
            let done = handle.block_on(work(&mut *session));
            (session, done)
        })
        .await;
        self.free().push(session);
        done
    }

    /// Makes a staged change visible.
    pub(super) async fn commit(&self, staged: Box<dyn Staged>) -> Result<(), BackendError> {
        blocking(move |handle| handle.block_on(staged.commit())).await
    }

    /// Forgets a staged change.
    pub(super) async fn withdraw(&self, staged: Box<dyn Staged>) -> Result<(), BackendError> {
        blocking(move |handle| handle.block_on(staged.withdraw())).await
    }
}

/// Runs what may block, as DuckDB does, which lives in this process.
async fn blocking<T: Send + 'static>(work: impl FnOnce(Handle) -> T + Send + 'static) -> T {
    let handle = Handle::current();
    match spawn_blocking(move || work(handle)).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime is being shut down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
