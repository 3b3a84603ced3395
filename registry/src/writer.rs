//! The one task that changes the core: plans, lets the store keep it, applies, tells watchers.
//!
//! What waits while the store works goes to it together next time. Readers lock the core for
//! moments and never wait for the store. The task ends when its shutdown is asked for, and closes
//! the store; what it had not acknowledged by then may or may not have happened.
//!
//! Where several front ends share a store, what the others did is applied before anything is planned;
//! a plan that comes too late for the store is made again.

mod batch;
mod desk;
mod mailbox;
mod view;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::core::{Change, Core, Holder, Plan, Probe, Refused};
use crate::store::{News, NotKept, Store};
use batch::Batch;
use desk::Desk;
use mailbox::{Letter, Pending, Reply};

pub(crate) use mailbox::{Ask, Done, Mailbox};
pub(crate) use view::View;

/// The task's state.
#[derive(Debug)]
pub(crate) struct Writer<S> {
    view: Arc<View>,
    store: S,
    probes: mpsc::UnboundedSender<Probe>,
    desk: Desk,
    /// Lost connections that the store did not take.
    lost: Vec<Arc<Holder>>,
    /// After a failure of the store.
    not_before: Option<Instant>,
    /// The store's last answer was a failure.
    failing: bool,
    authoritative: bool,
}

impl<S: Store> Writer<S> {
    /// What has to be looked at goes to `probes`.
    pub(crate) fn new(
        view: Arc<View>,
        store: S,
        probes: mpsc::UnboundedSender<Probe>,
    ) -> (Self, Mailbox) {
        let (mailbox, inbox) = mailbox::mailbox();
        let authoritative = view.read(Core::is_authoritative);
        let writer = Self {
            desk: Desk::new(Arc::clone(&view), inbox),
            view,
            store,
            probes,
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
                biased;
                () = stop.cancelled() => break,
                news = self.store.hear() => self.hear(news),
                () = sleep_until(wake) => self.tick().await,
                letter = self.desk.next() => match letter {
                    Some(letter) => self.serve(letter).await,
                    None => break,
                },
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
            if batch.is_busy(&letter) {
                put_off.push_back(letter);
            } else {
                let alone = letter.stands_alone();
                self.read(letter, &mut batch);
                if alone {
                    batch.close();
                }
            }
            if batch.is_full() {
                break;
            }
            next = self.desk.try_next();
        }
        self.desk.put_back(put_off);
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

    fn obey(&mut self, holder: &Arc<Holder>, ask: Ask, reply: Reply, batch: &mut Batch) {
        let now = self.view.now();
        let again = S::SHARED.then(|| (Arc::clone(holder), ask.clone()));
        let mut core = self.view.lock();
        let planned = match ask {
            Ask::Heartbeat(ids) => {
                drop(core);
                return self.desk.heartbeat(holder, ids, reply);
            }
            Ask::Register(instances) => core
                .plan_register(now, holder, instances, &batch.plan)
                .map(|plan| (plan, Done::Registered)),
            Ask::Deregister(ids) => core
                .plan_deregister(now, holder, ids)
                .map(|(plan, count)| (plan, Done::Deregistered(count))),
            Ask::Order(patch) => {
                core.plan_order(&patch).map(|(plan, order)| (plan, Done::Ordered(order)))
            }
            Ask::Probed(id, found) => Ok((core.plan_probed(now, &id, found), Done::Noted)),
            Ask::Set(patch) => {
                core.plan_settings(&patch).map(|(plan, settings)| (plan, Done::Set(settings)))
            }
        };
        match planned {
            Ok((plan, done)) => {
                batch.touch(holder);
                batch.answer_later(plan, Pending { reply, done, again });
            }
            Err(refused) => reply.send(Err(refused)),
        }
    }

    async fn commit(&mut self, mut batch: Batch) {
        let plan = std::mem::take(&mut batch.plan);
        match self.keep_and_apply(plan, batch.busy()).await {
            Err(NotKept::Behind) => {
                self.desk.put_back(batch.again());
                self.catch_up().await;
            }
            // Those that were not kept are tried again at a later tick.
            outcome => self.lost.extend(batch.end(&outcome.map_err(Refused::from))),
        }
    }

    /// What others did is heard before anything is planned again; when it does not come, the plans
    /// fail again, and their hosts are told.
    async fn catch_up(&mut self) {
        let Self { store, desk, .. } = self;
        let heard = desk.attend(&HashSet::new(), timeout(CATCH_UP, store.hear())).await;
        if let Ok(news) = heard {
            self.hear(news);
        }
    }

    fn hear(&mut self, news: News) {
        tracing::debug!(?news, "another front end");
        let now = self.view.now();
        let mut core = self.view.lock();
        match news {
            News::Kept(change) => core.hear(now, change),
            News::Anew(stored) => core.restart_from(now, stored),
            News::Came(front) => core.front_came(front),
            News::Went(front) => core.front_went(now, front),
            News::Fronts(others) => core.fronts_are(now, &others),
            News::Alone(alone) => self.view.set_alone(alone),
        }
        drop(core);
        self.view.changed();
    }

    async fn tick(&mut self) {
        self.not_before = None;
        self.desk.put_off(self.lost.drain(..).map(Letter::Lost));
        let now = self.view.now();
        let plan = self.view.lock().plan_tick(now);
        // Expired instances come due again; that it failed was said, and the next try is put off.
        if self.keep_and_apply(plan, &HashSet::new()).await == Err(NotKept::Behind) {
            self.catch_up().await;
        }
        let authoritative = self.view.read(Core::is_authoritative);
        if authoritative != self.authoritative {
            self.authoritative = authoritative;
            self.view.changed();
        }
    }

    async fn keep_and_apply(
        &mut self,
        mut plan: Plan,
        busy: &HashSet<String>,
    ) -> Result<(), NotKept> {
        let change = self.view.lock().change(&plan);
        let revision = change.as_ref().map(|change| change.revision);
        if let Some(change) = change {
            self.keep(change, busy).await?;
        }
        let probes = plan.take_probes();
        self.view.lock().apply(plan);
        for probe in probes {
            // Without a prober the registry is going down.
            let _closed = self.probes.send(probe);
        }
        if let Some(revision) = revision {
            tracing::debug!(revision, "changed");
            self.view.changed();
        }
        Ok(())
    }

    async fn keep(&mut self, change: Change, busy: &HashSet<String>) -> Result<(), NotKept> {
        let Self { store, desk, .. } = self;
        let kept = desk.attend(busy, store.keep(change)).await;
        if kept != Err(NotKept::Behind) {
            self.note(&kept);
        }
        kept
    }

    /// Says it when the store begins to fail, and when it works again; not for every request.
    fn note(&mut self, kept: &Result<(), NotKept>) {
        match kept {
            Err(why) if !self.failing => {
                tracing::error!(%why, "changes are refused; lists and watches go on");
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

/// A store that failed is not asked again by the registry itself before this, lest a full disk
/// turn into a busy loop. Peers' requests still reach it.
const STORE_RETRY: Duration = Duration::from_secs(1);
/// Another's change that the store has taken arrives within milliseconds, or the store is gone.
const CATCH_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
