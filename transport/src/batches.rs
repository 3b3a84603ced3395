//! quinn's drivers on the runtime of a program that calls, so that they send in batches.
//!
//! A task that writes wakes the driver of its connection, and tokio runs what was woken last before
//! all else: each request would leave in a datagram of its own, although others are about to be
//! written, and a system call for each is the largest cost of a call. So when many exchanges are
//! open, a driver that was woken lets the tasks go first that are ready. With few it would lose more
//! by that than it gains: the runtime looks at its sockets before it comes back to who gave way.

use std::{
    future::{Future, poll_fn},
    io,
    net::UdpSocket,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Instant,
};

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};

/// quinn's tokio runtime for the connections of one dialer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batches {
    /// Exchanges that are open.
    open: Arc<AtomicUsize>,
}

impl Batches {
    /// One more exchange is open.
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(crate) fn ended(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn are_worth_it(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= MANY
    }

    /// Runs `driver`; when many exchanges are open and it was woken, after all that is ready.
    async fn run(self, mut driver: Pin<Box<dyn Future<Output = ()> + Send>>) {
        while poll_fn(|context| Poll::Ready(driver.as_mut().poll(context))).await.is_pending() {
            woken().await;
            if self.are_worth_it() {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Runtime for Batches {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, driver: Pin<Box<dyn Future<Output = ()> + Send>>) {
        TokioRuntime.spawn(Box::pin(self.clone().run(driver)));
    }

    fn wrap_udp_socket(&self, socket: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        TokioRuntime.wrap_udp_socket(socket)
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}

/// Waits until this task is woken by what it looked at before.
async fn woken() {
    let mut is_first = true;
    poll_fn(|_| match std::mem::take(&mut is_first) {
        true => Poll::Pending,
        false => Poll::Ready(()),
    })
    .await;
}

/// From how many open exchanges on batches are worth it: with 64 they save a third of the processor
/// time of a call on both sides, with 32 they cost nothing, with 8 calls take half as long again.
const MANY: usize = 32;

#[cfg(test)]
mod tests {
    use std::{
        sync::Mutex,
        task::{Context, Waker},
    };

    use tokio::task::JoinSet;

    use super::*;

    /// A driver that counts how often it runs.
    #[derive(Clone, Default)]
    struct Driver {
        runs: Arc<AtomicUsize>,
        waker: Arc<Mutex<Option<Waker>>>,
    }

    impl Driver {
        fn poll(&self, context: &Context<'_>) -> Poll<()> {
            self.runs.fetch_add(1, Ordering::Relaxed);
            *self.waker.lock().unwrap() = Some(context.waker().clone());
            Poll::Pending
        }

        fn wake(&self) {
            if let Some(waker) = self.waker.lock().unwrap().take() {
                waker.wake();
            }
        }
    }

    /// How often a driver runs while sixteen tasks that are ready wake it, with so many exchanges open.
    async fn runs(open: usize) -> usize {
        let (batches, driver) = (Batches::default(), Driver::default());
        (0..open).for_each(|_| batches.opened());
        let mut running = JoinSet::new();
        let polled = driver.clone();
        let polled = Box::pin(poll_fn(move |context| polled.poll(context)));
        running.spawn(async move {
            let mut tasks = JoinSet::new();
            tasks.spawn(batches.run(polled));
            while driver.runs.load(Ordering::Relaxed) == 0 {
                tokio::task::yield_now().await;
            }
            let ended = Arc::new(AtomicUsize::new(0));
            for _ in 0..16 {
                let (driver, ended) = (driver.clone(), ended.clone());
                tasks.spawn(async move {
                    driver.wake();
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
            // Not by joining them, because each would wake this task as well.
            while ended.load(Ordering::Relaxed) < 16 {
                tokio::task::yield_now().await;
            }
            driver.runs.load(Ordering::Relaxed)
        });
        running.join_next().await.unwrap().unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn with_many_exchanges_a_driver_runs_once_for_all_that_is_ready() {
        assert!(runs(0).await > 8, "no longer needed: tokio itself lets others go first");
        let batched = runs(MANY).await;
        assert!(batched <= 2, "{batched} runs");
    }
}
