//! A store in one SQLite file.
//!
//! A thread of its own has the file, so that nothing waits for a disk on an async thread; it ends,
//! and closes the file, when the store is closed or dropped. What a file that was restored from an
//! old copy has lost is lost: put it there under another name than one that watchers knew.

mod file;
mod repair;
mod rows;
mod schema;

use std::path::Path;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::{NotKept, Store, StoreError};
use crate::core::{Change, Stored};
use file::File;

pub use repair::Repaired;
pub(crate) use repair::repair;

/// The async end of the thread.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    jobs: mpsc::Sender<Job>,
    /// Never answered: ends with the thread.
    closed: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct Job {
    change: Change,
    answer: oneshot::Sender<Result<(), NotKept>>,
}

impl SqliteStore {
    /// Opens a file, or makes it, with `epoch` as the name of its life.
    ///
    /// # Cost
    /// Reads and checks all of the file, on this thread.
    pub(crate) fn open(path: &Path, epoch: u64) -> Result<(Self, Stored), StoreError> {
        let (file, stored) = File::open(path, epoch)?;
        let (jobs, inbox) = mpsc::channel();
        let (open, closed) = oneshot::channel();
        std::thread::Builder::new()
            .name("registry-store".into())
            .spawn(move || {
                work(file, &inbox);
                drop(open);
            })
            .map_err(|error| {
                let what = format!("no thread for it: {error}");
                StoreError::Unusable { path: path.to_owned(), what }
            })?;
        Ok((Self { jobs, closed }, stored))
    }
}

impl Store for SqliteStore {
    async fn keep(&mut self, change: Change) -> Result<(), NotKept> {
        let gone = || NotKept::Failed("its thread has ended: restart the registry".into());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { change, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    async fn close(self) {
        drop(self.jobs);
        // It never sends: the error is the end that is waited for.
        let _ended = self.closed.await;
    }
}

fn work(mut file: File, jobs: &mpsc::Receiver<Job>) {
    for Job { change, answer } in jobs {
        let outcome = file.keep(&change);
        // A registry that is going down does not wait; what was kept is kept.
        let _gone = answer.send(outcome);
    }
}

#[cfg(test)]
mod tests;
