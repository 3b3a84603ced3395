//! The threads that serve connections beside the one on which the server was started.
//!
//! What a connection needs wakes each other all the time: its driver, the task that takes its
//! exchanges, those that answer them. On one thread a wake-up is a push to a queue; between two it is
//! a system call, and on an idle core an interrupt. So each thread has a runtime of its own, and a
//! connection stays where it began.
//!
//! A thread ends when the server is gone and the last task of its endpoint has ended.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};

use crate::tasks::Tasks;

/// The threads of a server. Dropping it lets them end.
pub(super) struct Threads {
    /// The runtime that the server was started in comes first.
    places: Vec<Place>,
}

struct Place {
    /// `None` where the acceptor itself runs.
    runtime: Option<Handle>,
    /// Connections there.
    taken: Arc<AtomicUsize>,
    /// Its drop lets the thread end.
    _stop: Option<oneshot::Sender<()>>,
}

impl Threads {
    /// Starts `count` threads, which outlive `tasks`.
    ///
    /// # Errors
    /// When the system has no more.
    pub(super) fn start(count: usize, tasks: &Tasks) -> io::Result<Self> {
        let mut places = vec![Place { runtime: None, taken: Arc::default(), _stop: None }];
        for _ in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let (stop, stopped) = oneshot::channel::<()>();
            let tasks = tasks.clone();
            std::thread::Builder::new().name(NAME.into()).spawn(move || {
                runtime.block_on(async {
                    // It comes by being dropped.
                    let _gone = stopped.await;
                    tasks.ended().await;
                });
            })?;
            let (runtime, _stop) = (Some(handle), Some(stop));
            places.push(Place { runtime, taken: Arc::default(), _stop });
        }
        Ok(Self { places })
    }

    /// Runs `connection` where the fewest are: of equals, where the socket is read.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        set: &mut JoinSet<T>,
        connection: impl Future<Output = T> + Send + 'static,
    ) {
        let taken = |place: &&Place| place.taken.load(Ordering::Relaxed);
        let place = self.places.iter().min_by_key(taken).expect("there is always one");
        let seat = Seat::take(&place.taken);
        let connection = async move {
            let _seat = seat;
            connection.await
        };
        match &place.runtime {
            Some(runtime) => set.spawn_on(connection, runtime),
            None => set.spawn(connection),
        };
    }
}

/// A connection, while it is there.
struct Seat(Arc<AtomicUsize>);

impl Seat {
    fn take(taken: &Arc<AtomicUsize>) -> Self {
        taken.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(taken))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

const NAME: &str = "jackfield-serve";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use tokio::sync::Semaphore;

    #[tokio::test]
    async fn connections_are_spread_over_the_threads_and_the_first_stays_at_home() {
        let threads = Threads::start(2, &Tasks::default()).expect("there are threads");
        let (mut set, gate) = (JoinSet::new(), Arc::new(Semaphore::new(0)));
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..6 {
            let (gate, tell) = (Arc::clone(&gate), tell.clone());
            threads.spawn(&mut set, async move {
                tell.send(std::thread::current().id()).expect("somebody listens");
                let _permit = gate.acquire().await.expect("it is open");
            });
        }
        let mut counts = HashMap::new();
        for _ in 0..6 {
            *counts.entry(told.recv().await.expect("each says where")).or_insert(0) += 1;
        }
        assert_eq!(counts.remove(&std::thread::current().id()), Some(2));
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [2, 2]);
        gate.add_permits(6);
        set.join_all().await;
        assert!(threads.places.iter().all(|place| place.taken.load(Ordering::Relaxed) == 0));
    }
}
