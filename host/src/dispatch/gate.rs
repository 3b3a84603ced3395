//! Bounds how many guests run at once, and how many calls wait for their turn.
//!
//! First come, first served. A permit goes back when it is dropped, however its call ended.

use std::sync::atomic::{AtomicU32, Ordering};

use jackfield_wire::Load;
use tokio::sync::{Semaphore, SemaphorePermit};

/// The way in.
pub(super) struct Gate {
    permits: Semaphore,
    concurrency: u32,
    queue: u32,
    queued: AtomicU32,
}

/// Neither a place nor a place in the queue is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this host is full: {concurrency} calls run and {queue} wait, which are its limits; try again \
     later or on another host"
)]
pub(super) struct Full {
    concurrency: u32,
    queue: u32,
}

impl Gate {
    pub(super) fn new(concurrency: u32, queue: u32) -> Self {
        let permits = usize::try_from(concurrency).unwrap_or(Semaphore::MAX_PERMITS);
        Self { permits: Semaphore::new(permits), concurrency, queue, queued: AtomicU32::new(0) }
    }

    pub(super) fn load(&self) -> Load {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(u32::MAX);
        Load {
            in_flight: self.concurrency.saturating_sub(free),
            queued: self.queued.load(Ordering::Relaxed),
        }
    }

    /// Waits for a place. Cancel safe: a wait that is dropped gives its place in the queue up.
    pub(super) async fn enter(&self) -> Result<SemaphorePermit<'_>, Full> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let full = Full { concurrency: self.concurrency, queue: self.queue };
        let _place = Place::take(&self.queued, self.queue).ok_or(full)?;
        self.permits.acquire().await.map_err(|_| full)
    }
}

/// A place in the queue.
struct Place<'a>(&'a AtomicU32);

impl<'a> Place<'a> {
    fn take(queued: &'a AtomicU32, limit: u32) -> Option<Self> {
        let next = |now: u32| (now < limit).then(|| now + 1);
        queued.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(Self(queued))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::yield_now;

    #[tokio::test]
    async fn the_queue_is_bounded_and_drops_give_places_back() {
        let gate = Gate::new(1, 1);
        let permit = gate.enter().await.unwrap();
        let mut waiting = Box::pin(gate.enter());
        tokio::select! {
            biased;
            _ = &mut waiting => panic!("there is no second place"),
            () = yield_now() => {}
        }
        assert_eq!(gate.load(), Load { in_flight: 1, queued: 1 });
        assert_eq!(gate.enter().await.unwrap_err(), Full { concurrency: 1, queue: 1 });
        drop(waiting);
        assert_eq!(gate.load(), Load { in_flight: 1, queued: 0 });
        drop(permit);
        assert_eq!(gate.load(), Load::default());
        drop(gate.enter().await.unwrap());
    }

    #[tokio::test]
    async fn who_waits_gets_the_place_that_becomes_free() {
        let gate = Gate::new(1, 8);
        let permit = gate.enter().await.unwrap();
        let (second, ()) = tokio::join!(gate.enter(), async {
            yield_now().await;
            drop(permit);
        });
        assert_eq!(gate.load().in_flight, 1);
        drop(second.unwrap());
    }
}
