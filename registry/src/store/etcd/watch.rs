//! What happens in the cluster, from one revision on, for ever: the watch is made again when its
//! member fails, and begins with a new list when etcd has compacted what it missed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;

use super::client::{Answers, Client, Failure};
use super::history::{Dated, Reader};
use super::list::{self, ListError, Listed};
use super::proto::{WatchCreateRequest, WatchRequest, WatchResponse};
use super::rows::{Unread, end_of};
use crate::store::News;

/// The watching task's state.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) client: Client,
    pub(super) reader: Reader,
    pub(super) news: mpsc::UnboundedSender<Dated>,
    /// The epoch of the head, for those who write it: another once everything was removed.
    pub(super) life: Arc<AtomicU64>,
}

/// Why a watch ended.
enum End {
    /// Nobody listens any more.
    Closed,
    /// The next one goes on where this one ended.
    Broken(Failure),
    /// What comes next is not to be had: everything must be listed.
    Gap(String),
}

impl Watch {
    /// Passes on what happens until nobody listens.
    pub(super) async fn run(mut self) {
        loop {
            match self.watch().await {
                End::Closed => return,
                End::Broken(why) => tracing::debug!(%why, "etcd's watch broke; watching again"),
                End::Gap(why) => {
                    tracing::warn!(%why, "missed changes in etcd; listing everything");
                    self.list().await;
                }
            }
            sleep(RETRY).await;
        }
    }

    async fn watch(&mut self) -> End {
        match self.open().await {
            Ok(mut answers) => loop {
                match answers.next().await {
                    Ok(answer) => {
                        if let Err(end) = self.take(answer) {
                            return end;
                        }
                    }
                    Err(failure) => return end_of_stream(failure),
                }
            },
            Err(failure) => end_of_stream(failure),
        }
    }

    async fn open(&self) -> Result<Answers<WatchResponse>, Failure> {
        let create = WatchCreateRequest {
            key: self.client.keys.root().to_vec(),
            range_end: end_of(self.client.keys.root()),
            start_revision: self.reader.at + 1,
            progress_notify: true,
        };
        self.client.stream(WatchRequest { create: Some(create) }, OPEN_PATIENCE).await
    }

    fn take(&mut self, answer: WatchResponse) -> Result<(), End> {
        if answer.canceled {
            let why = format!(
                "etcd ended the watch at {}: {} (compacted to {})",
                self.reader.at, answer.cancel_reason, answer.compact_revision
            );
            let compacted = answer.compact_revision > 0;
            return Err(if compacted { End::Gap(why) } else { End::Broken(Failure::Refused(why)) });
        }
        let revision = answer.header.as_ref().map_or(0, |header| header.revision);
        if revision > 0 && revision < self.reader.at {
            let why = format!(
                "etcd went back from {} to {revision}: its members have lost their data, or are \
                 another cluster's",
                self.reader.at
            );
            return Err(End::Gap(why));
        }
        // A sign of life without events: everything up to its revision has been told.
        if answer.events.is_empty() {
            self.reader.at = self.reader.at.max(revision);
        }
        let news = self
            .reader
            .read(&self.client.keys, answer.events)
            .map_err(|Unread(what)| End::Gap(what))?;
        news.into_iter().try_for_each(|news| self.news.send(news).map_err(|_| End::Closed))
    }

    async fn list(&mut self) {
        loop {
            match list::list(&self.client, self.reader.me, fastrand::u64(..)).await {
                Ok(Listed { stored, epoch, at, head_at }) => {
                    self.life.store(epoch, Ordering::Relaxed);
                    self.reader = Reader { revision: stored.revision, at, ..self.reader };
                    // Noticed when the watch sends the next.
                    let _closed = self.news.send(Dated { at: head_at, news: News::Anew(stored) });
                    return;
                }
                Err(ListError::Failure(why)) => tracing::debug!(%why, "not listed"),
                Err(why) => {
                    tracing::error!(%why, "etcd holds what cannot be read: this front end is stuck");
                }
            }
            sleep(RETRY).await;
        }
    }
}

fn end_of_stream(failure: Failure) -> End {
    match failure {
        Failure::Compacted(why) => End::Gap(why),
        failure => End::Broken(failure),
    }
}

/// A member that does not begin a watch within this is left for the next.
const OPEN_PATIENCE: Duration = Duration::from_secs(2);
/// A cluster that refuses at once must not be asked in a busy loop.
const RETRY: Duration = Duration::from_millis(100);
