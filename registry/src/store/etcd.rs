//! A store in an etcd cluster, which several front ends share.
//!
//! Membership lies there without leases: instances, removals, and one head with the revision. A front
//! end has one lease, for a key that says that it lives. Every change is one transaction that is bound
//! to the head it was planned on and to that key, so all front ends go through the same revisions, and
//! whoever was paused or cut off changes nothing. What others did arrives by a watch.
//!
//! A thread of its own has the connections, so that the lease does not depend on how busy the
//! registry is; it ends, and gives the lease back, when the store is closed or dropped.

mod client;
mod config;
mod history;
mod list;
mod presence;
mod proto;
mod rows;
mod watch;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch as signal};
use tokio::task::JoinSet;

use super::{News, NotKept, Store, StoreError};
use crate::config::EtcdConfig;
use crate::core::{Change, Front, Stored};
use client::Client;
use history::{Dated, Reader};
use list::{ListError, Listed};
use presence::{Presence, Present};
use rows::Keys;
use watch::Watch;
use write::Writing;

/// The registry's end of the thread.
#[derive(Debug)]
pub(crate) struct EtcdStore {
    jobs: mpsc::UnboundedSender<Job>,
    news: mpsc::UnboundedReceiver<Dated>,
    /// When the head was written that the registry goes by.
    head_at: i64,
    /// Which life of the store the registry goes by.
    epoch: u64,
    /// Never answered: ends with the thread.
    closed: oneshot::Receiver<()>,
}

#[derive(Debug)]
struct Job {
    change: Change,
    head_at: i64,
    answer: oneshot::Sender<Result<i64, NotKept>>,
}

/// What was found when the store was opened.
struct Opened {
    client: Client,
    presence: Presence,
    present: Present,
    listed: Listed,
}

impl EtcdStore {
    /// Joins the front ends of a cluster as `me`; `epoch` names the life of the registry when it is
    /// the first of all.
    ///
    /// # Cost
    /// Reads everything, while this thread waits.
    pub(crate) fn open(
        config: &EtcdConfig,
        me: Front,
        epoch: u64,
        ttl: Duration,
    ) -> Result<(Self, Stored), StoreError> {
        let members = config.members.join(",");
        let client = Client::new(config::endpoints(config)?, Keys::under(&config.prefix));
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (sender, news) = mpsc::unbounded_channel();
        let (first, opened) = std::sync::mpsc::channel();
        let (open, closed) = oneshot::channel();
        let unusable = |what: String| StoreError::Unreachable { members: members.clone(), what };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unusable(format!("no runtime for it: {error}")))?;
        std::thread::Builder::new()
            .name("registry-store".into())
            .spawn(move || {
                live(&runtime, client, me, (epoch, ttl), &first, inbox, sender);
                drop(open);
            })
            .map_err(|error| unusable(format!("no thread for it: {error}")))?;
        let opened = opened.recv().map_err(|_| unusable("its thread has ended".into()))?;
        let (stored, head_at) = opened.map_err(|error| match error {
            ListError::Failure(why) => unusable(why.to_string()),
            strange => {
                let (members, prefix) = (members.clone(), config.prefix.clone());
                StoreError::Strange { members, prefix, what: strange.to_string() }
            }
        })?;
        Ok((Self { jobs, news, head_at, epoch: stored.epoch, closed }, stored))
    }

    /// What is news to the registry: it knows what it did itself.
    fn sift(&mut self, Dated { at, news }: Dated) -> Option<News> {
        match news {
            News::Kept(_) if at <= self.head_at => None,
            // Older than what the registry knows from the answers to its own writes.
            News::Anew(stored) if at < self.head_at && stored.epoch == self.epoch => {
                Some(News::Fronts(stored.others))
            }
            News::Anew(stored) => {
                (self.head_at, self.epoch) = (at, stored.epoch);
                Some(News::Anew(stored))
            }
            News::Kept(_) => {
                self.head_at = at;
                Some(news)
            }
            news => Some(news),
        }
    }
}

impl Store for EtcdStore {
    const SHARED: bool = true;

    async fn keep(&mut self, change: Change) -> Result<(), NotKept> {
        let gone = || NotKept::Failed("its thread has ended: restart the registry".into());
        let (answer, answered) = oneshot::channel();
        let job = Job { change, head_at: self.head_at, answer };
        self.jobs.send(job).map_err(|_| gone())?;
        self.head_at = answered.await.map_err(|_| gone())??;
        Ok(())
    }

    async fn hear(&mut self) -> News {
        loop {
            let Some(dated) = self.news.recv().await else {
                // The thread is gone: the next change says so.
                return std::future::pending().await;
            };
            if let Some(news) = self.sift(dated) {
                return news;
            }
        }
    }

    async fn close(self) {
        drop(self.jobs);
        // It never sends: the error is the end that is waited for.
        let _ended = self.closed.await;
    }
}

type First = std::sync::mpsc::Sender<Result<(Stored, i64), ListError>>;

/// The thread.
fn live(
    runtime: &Runtime,
    client: Client,
    me: Front,
    (epoch, ttl): (u64, Duration),
    first: &First,
    jobs: mpsc::UnboundedReceiver<Job>,
    news: mpsc::UnboundedSender<Dated>,
) {
    runtime.block_on(async {
        // Whoever asked has gone when the answer cannot be sent.
        match open(client, me, epoch, ttl).await {
            Ok(opened) => {
                let Listed { stored, head_at, .. } = &opened.listed;
                if first.send(Ok((stored.clone(), *head_at))).is_ok() {
                    work(opened, me, jobs, news).await;
                }
            }
            Err(error) => drop(first.send(Err(error))),
        }
    });
}

async fn open(client: Client, me: Front, epoch: u64, ttl: Duration) -> Result<Opened, ListError> {
    let lease = Duration::from_secs((ttl / 2).as_secs()).max(SHORTEST_LEASE);
    let presence = Presence::new(client.clone(), me, lease);
    let present = presence.appear().await?;
    let listed = list::list(&client, me, epoch).await?;
    Ok(Opened { client, presence, present, listed })
}

/// Until the registry drops its end.
async fn work(
    opened: Opened,
    me: Front,
    mut jobs: mpsc::UnboundedReceiver<Job>,
    news: mpsc::UnboundedSender<Dated>,
) {
    let Opened { client, presence, present, listed } = opened;
    let (sender, present) = signal::channel(Some(present));
    let reader = Reader { me, revision: listed.stored.revision, at: listed.at };
    let mut tasks = JoinSet::new();
    tasks.spawn(presence.keep(sender, news.clone()));
    let life = Arc::new(AtomicU64::new(listed.epoch));
    let watch = Watch { client: client.clone(), reader, news, life: Arc::clone(&life) };
    tasks.spawn(watch.run());
    let writing = Writing { client, me, life, present };
    while let Some(Job { change, head_at, answer }) = jobs.recv().await {
        let outcome = writing.write(&change, head_at).await;
        // A registry that is going down does not wait; what was kept is kept.
        let _gone = answer.send(outcome);
    }
    tasks.shutdown().await;
    let left = *writing.present.borrow();
    if let Some(present) = left {
        presence::leave(&writing.client, present).await;
    }
}

/// etcd itself makes shorter ones longer.
const SHORTEST_LEASE: Duration = Duration::from_secs(2);

#[cfg(test)]
#[path = "../../tests/stage/etcd.rs"]
pub(crate) mod cluster;
#[cfg(test)]
mod tests;
