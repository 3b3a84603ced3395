//! One front end's key, which lives as long as its lease: the others see by it who is alive, and
//! every write is bound to it.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::client::{Client, Failure};
use super::history::Dated;
use super::proto::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, TxnRequest};
use super::rows;
use crate::core::Front;
use crate::store::News;

/// A front end's key in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Present {
    pub(super) lease: i64,
    /// The revision that made the key: a later one means that it was gone in between.
    pub(super) created: i64,
    /// When the lease ends, as far as is known.
    until: Instant,
}

/// What keeps the key alive.
#[derive(Debug)]
pub(super) struct Presence {
    client: Client,
    me: Front,
    /// Of the lease.
    ttl: Duration,
}

impl Presence {
    pub(super) fn new(client: Client, me: Front, ttl: Duration) -> Self {
        Self { client, me, ttl }
    }

    /// Makes the key, under a new lease.
    pub(super) async fn appear(&self) -> Result<Present, Failure> {
        let until = Instant::now() + self.ttl;
        let seconds = i64::try_from(self.ttl.as_secs()).unwrap_or(i64::MAX);
        let granted = self.client.call(LeaseGrantRequest { ttl: seconds }, PATIENCE).await?;
        let key = self.client.keys.front(self.me);
        let value = std::process::id().to_string().into_bytes();
        let question = TxnRequest {
            // Anew even if a lease of before still runs: its end must not take this key along.
            success: vec![rows::put(key, value, granted.id)],
            ..TxnRequest::default()
        };
        self.client.call(question, PATIENCE).await?;
        let gone = || Failure::Refused("etcd lost this front end's key at once".into());
        let created = self.created().await?.ok_or_else(gone)?;
        Ok(Present { lease: granted.id, created, until })
    }

    /// Keeps the key for ever; says whether it is there, to those who write and to the registry.
    pub(super) async fn keep(
        self,
        present: watch::Sender<Option<Present>>,
        news: mpsc::UnboundedSender<Dated>,
    ) {
        let alone = |alone| {
            // Without a reader the registry is going down.
            let _closed = news.send(Dated { at: 0, news: News::Alone(alone) });
        };
        loop {
            let now = *present.borrow();
            if let Some(now) = now {
                self.renew(now).await;
                tracing::warn!(
                    "etcd has not renewed this front end's lease: others take it for dead"
                );
                present.send_replace(None);
                alone(true);
            }
            match self.appear().await {
                Ok(again) => {
                    present.send_replace(Some(again));
                    alone(false);
                    tracing::info!("this front end has a lease of etcd again");
                }
                Err(why) => {
                    tracing::debug!(%why, "no lease");
                    sleep(RETRY).await;
                }
            }
        }
    }

    /// Until the lease is gone, or was not renewed in time.
    async fn renew(&self, present: Present) {
        let mut until = present.until;
        loop {
            sleep((self.ttl / RENEWALS).min(LONGEST_PAUSE)).await;
            let asked = Instant::now();
            let renewed = async {
                loop {
                    match self.lives(present).await {
                        Ok(lives) => return lives,
                        Err(why) => tracing::debug!(%why, "lease not renewed"),
                    }
                    sleep(RETRY).await;
                }
            };
            tokio::select! {
                lives = renewed => if lives { until = asked + self.ttl } else { return },
                () = sleep_until(until) => return,
            }
        }
    }

    /// Renews the lease. The key may be gone without it: somebody removed everything.
    async fn lives(&self, present: Present) -> Result<bool, Failure> {
        let seconds = self.keep_alive(present.lease).await?;
        Ok(seconds > 0 && self.created().await? == Some(present.created))
    }

    /// Seconds that are left.
    async fn keep_alive(&self, lease: i64) -> Result<i64, Failure> {
        let question = LeaseKeepAliveRequest { id: lease };
        let mut answers = self.client.stream(question, PATIENCE).await?;
        let answer = tokio::time::timeout(PATIENCE, answers.next()).await;
        let silent = |_| Failure::Unsure("etcd did not answer a keep-alive".into());
        answer.map_err(silent)?.map(|answer| answer.ttl)
    }

    /// The revision that made the key, if it is there.
    async fn created(&self) -> Result<Option<i64>, Failure> {
        let key = self.client.keys.front(self.me);
        let question = super::proto::RangeRequest { key, ..Default::default() };
        let found = self.client.call(question, PATIENCE).await?.kvs;
        Ok(found.first().map(|kv| kv.create_revision))
    }
}

/// Gives the lease back: the others need not wait for its end.
pub(super) async fn leave(client: &Client, present: Present) {
    if let Err(why) = client.call(LeaseRevokeRequest { id: present.lease }, PATIENCE).await {
        tracing::info!(%why, "the lease of this front end was not given back; it will expire");
    }
}

/// For one answer: a third of the shortest lease, so that another member can be asked in time.
const PATIENCE: Duration = Duration::from_secs(1);
/// A cluster that refuses at once must not be asked in a busy loop.
const RETRY: Duration = Duration::from_millis(100);
/// However long the lease: a key that somebody removed is made again soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many in the time of a lease: two may be lost.
const RENEWALS: u32 = 3;
