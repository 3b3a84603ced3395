//! The parts of a process that are observed.

use std::sync::{Arc, PoisonError, RwLock};

/// A part of a process: a host, a registry, a gateway.
pub trait Subject: Send + Sync + 'static {
    /// Reports its numbers to the recorder of the `metrics` facade. Called a few times in a minute,
    /// on a thread where it may take milliseconds. A part that reports as it works has nothing to do.
    fn sample(&self) {}

    /// Whether work should be sent to it.
    ///
    /// # Errors
    /// Why not, for people.
    fn ready(&self) -> Result<(), String>;
}

/// All of them. Clones are the same ones.
#[derive(Clone, Default)]
pub(crate) struct Subjects(Arc<RwLock<Vec<Arc<dyn Subject>>>>);

impl Subjects {
    pub(crate) fn add(&self, subject: Arc<dyn Subject>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(subject);
    }

    pub(crate) fn sample(&self) {
        for subject in self.all() {
            subject.sample();
        }
    }

    /// Whether all are ready. None is there before a process has started its parts.
    pub(crate) fn ready(&self) -> Result<(), String> {
        let all = self.all();
        if all.is_empty() {
            return Err("it is starting".into());
        }
        all.iter().try_for_each(|subject| subject.ready())
    }

    fn all(&self) -> Vec<Arc<dyn Subject>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
