//! The one task that changes the core: plans, lets the store keep it, applies, tells watchers.
//!
//! What waits while the store works goes to it together next time. Readers lock the core for
//! moments and never wait for the store. The task ends when its shutdown is asked for, and closes
//! the store; what it had not acknowledged by then may or may not have happened.

mod batch;
mod mailbox;
mod view;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::core::{Core, Holder, Plan, Refused};
use crate::store::Store;
use batch::Batch;
use mailbox::{Letter, Reply};

pub(crate) use mailbox::{Ask, Done, Mailbox};
pub(crate) use view::View;

/// The task's state.
#[derive(Debug)]
pub(crate) struct Writer<S> {
    view: Arc<View>,
    store: S,
    inbox: mpsc::UnboundedReceiver<Letter>,
    /// Letters that could not be in the last batch; they come before those in the inbox.
    waiting: VecDeque<Letter>,
    /// Lost connections that the store did not take.
    lost: Vec<Arc<Holder>>,
    /// After a failure of the store.
    not_before: Option<Instant>,
    /// The store's last answer was a failure.
    failing: bool,
    authoritative: bool,
}

impl<S: Store> Writer<S> {
    pub(crate) fn new(view: Arc<View>, store: S) -> (Self, Mailbox) {
        let (mailbox, inbox) = mailbox::mailbox();
        let authoritative = view.read(Core::is_authoritative);
        let writer = Self {
            view,
            store,
            inbox,
            waiting: VecDeque::new(),
            lost: Vec::new(),
            not_before: None,
            failing: false,
            authoritative,
        };
        (writer, mailbox)
    }

    /// Works until `stop`, or until nobody can send any more; then closes the store.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let wake = self.next_wake();
            tokio::select! {
                letter = next_letter(&mut self.waiting, &mut self.inbox) => match letter {
                    Some(letter) => self.serve(letter).await,
                    None => break,
                },
                () = sleep_until(wake) => self.tick().await,
                () = stop.cancelled() => break,
            }
        }
        self.store.close().await;
    }

    fn next_wake(&self) -> Instant {
        let due = self.view.instant(self.view.lock().next_tick());
        self.not_before.map_or(due, |not_before| due.max(not_before))
    }

    /// Serves a letter and those that wait behind it, as far as they go together.
    async fn serve(&mut self, first: Letter) {
        let mut batch = Batch::default();
        let mut put_off = VecDeque::new();
        let mut next = Some(first);
        while let Some(letter) = next {
            batch.count();
            if batch.is_busy(letter.holder()) {
                put_off.push_back(letter);
            } else {
                self.read(letter, &mut batch);
            }
            if batch.is_full() {
                break;
            }
            next = self.waiting.pop_front().or_else(|| self.inbox.try_recv().ok());
        }
        put_off.append(&mut self.waiting);
        self.waiting = put_off;
        self.commit(batch).await;
    }

    fn read(&mut self, letter: Letter, batch: &mut Batch) {
        match letter {
            Letter::Ask { holder, ask, reply } => self.obey(&holder, ask, reply, batch),
            Letter::Lost(holder) => {
                batch.touch(&holder);
                batch.lose(self.view.lock().plan_lost(holder.lease), holder);
            }
        }
    }

    fn obey(&mut self, holder: &Holder, ask: Ask, reply: Reply, batch: &mut Batch) {
        let now = self.view.now();
        let mut core = self.view.lock();
        let planned = match ask {
            // Nothing of this host is planned, and nothing that lasts is changed: done at once.
            Ask::Heartbeat(ids) => {
                return reply.send(core.heartbeat(now, holder, ids).map(Done::Alive));
            }
            Ask::Register(instances) => core
                .plan_register(now, holder, instances, &batch.plan)
                .map(|plan| (plan, Done::Registered)),
            Ask::Deregister(ids) => core
                .plan_deregister(now, holder, ids)
                .map(|(plan, count)| (plan, Done::Deregistered(count))),
        };
        match planned {
            Ok((plan, done)) => {
                batch.touch(holder);
                batch.answer_later(plan, reply, done);
            }
            Err(refused) => reply.send(Err(refused)),
        }
    }

    async fn commit(&mut self, mut batch: Batch) {
        let outcome = self.keep_and_apply(std::mem::take(&mut batch.plan)).await;
        // Those that were not kept are tried again at a later tick.
        self.lost.extend(batch.end(&outcome));
    }

    async fn tick(&mut self) {
        self.not_before = None;
        self.waiting.extend(self.lost.drain(..).map(Letter::Lost));
        let now = self.view.now();
        let plan = self.view.lock().plan_tick(now);
        // Expired instances come due again; that it failed was said, and the next try is put off.
        let _later = self.keep_and_apply(plan).await;
        let authoritative = self.view.read(Core::is_authoritative);
        if authoritative != self.authoritative {
            self.authoritative = authoritative;
            self.view.changed();
        }
    }

    async fn keep_and_apply(&mut self, plan: Plan) -> Result<(), Refused> {
        let change = self.view.lock().change(&plan);
        let revision = change.as_ref().map(|change| change.revision);
        if let Some(change) = change {
            let kept = self.store.keep(change).await.map_err(Refused::from);
            self.note(&kept);
            kept?;
        }
        self.view.lock().apply(plan);
        if let Some(revision) = revision {
            tracing::debug!(revision, "changed");
            self.view.changed();
        }
        Ok(())
    }

    /// Says it when the store begins to fail, and when it works again; not for every request.
    fn note(&mut self, kept: &Result<(), Refused>) {
        match kept {
            Err(refused) if !self.failing => {
                tracing::error!(%refused, "changes are refused; lists and watches go on");
            }
            Ok(()) if self.failing => tracing::info!("the store keeps changes again"),
            _ => {}
        }
        self.failing = kept.is_err();
        if self.failing {
            // Never put off again: failing requests must not keep the next tick away.
            self.not_before.get_or_insert_with(|| Instant::now() + STORE_RETRY);
        }
    }
}

/// Those that waited longest come first.
async fn next_letter(
    waiting: &mut VecDeque<Letter>,
    inbox: &mut mpsc::UnboundedReceiver<Letter>,
) -> Option<Letter> {
    match waiting.pop_front() {
        Some(letter) => Some(letter),
        None => inbox.recv().await,
    }
}

/// A store that failed is not asked again by the registry itself before this, lest a full disk
/// turn into a busy loop. Peers' requests still reach it.
const STORE_RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
