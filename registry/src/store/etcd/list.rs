//! Everything that the cluster holds, read at one of its revisions.

use std::time::Duration;

use super::client::{Client, Failure};
use super::proto::{Compare, RangeRequest, RangeResponse, TxnRequest};
use super::rows::{self, Head, Keys, Row, Unread, VERSION};
use crate::core::{Front, Removal, Step, Stored, Subject};

/// The set, and the revisions of etcd that show it.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) stored: Stored,
    /// As the head has it.
    pub(super) epoch: u64,
    /// When the list was read: a watch goes on after it.
    pub(super) at: i64,
    /// When the head was written.
    pub(super) head_at: i64,
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("{0} is not what a registry wrote")]
    Unread(#[from] Unread),
    #[error("version {0}")]
    Newer(u32),
}

/// Reads everything; makes the head, with `epoch`, in a cluster that has none.
pub(super) async fn list(client: &Client, me: Front, epoch: u64) -> Result<Listed, ListError> {
    loop {
        match read(client, me).await {
            Ok(Some(listed)) => return Ok(listed),
            Ok(None) => begin(client, epoch).await?,
            // A long list under much traffic: the next one begins later.
            Err(ListError::Failure(Failure::Compacted(_))) => {}
            Err(error) => return Err(error),
        }
    }
}

async fn read(client: &Client, me: Front) -> Result<Option<Listed>, ListError> {
    let mut set = Set::default();
    let mut question = RangeRequest {
        key: client.keys.root().to_vec(),
        range_end: rows::end_of(client.keys.root()),
        limit: PAGE,
        revision: 0,
    };
    loop {
        let page = client.call(question.clone(), PAGE_PATIENCE).await?;
        let more = page.more;
        let last = page.kvs.last().map(|kv| kv.key.clone());
        question.revision = set.take(page, (&client.keys, me), question.revision)?;
        match last {
            Some(mut after) if more => {
                after.push(0);
                question.key = after;
            }
            _ => return Ok(set.whole(question.revision)),
        }
    }
}

/// The first front end of all makes the head; whoever comes second finds it.
async fn begin(client: &Client, epoch: u64) -> Result<(), Failure> {
    let head = Head { version: VERSION, epoch, ..Head::default() };
    let question = TxnRequest {
        compare: vec![Compare::created(&client.keys.head(), 0)],
        success: vec![client.keys.write_head(head)],
        failure: Vec::new(),
    };
    client.call(question, PAGE_PATIENCE).await.map(drop)
}

#[derive(Default)]
struct Set {
    stored: Stored,
    head_at: Option<i64>,
    cluster: u64,
}

impl Set {
    /// Says at which revision the page was read.
    fn take(
        &mut self,
        page: RangeResponse,
        (keys, me): (&Keys, Front),
        asked: i64,
    ) -> Result<i64, ListError> {
        let header = page.header.unwrap_or_default();
        self.cluster = header.cluster_id;
        for kv in &page.kvs {
            match Row::read(keys, kv)? {
                Row::Head(head) if head.version > VERSION => {
                    return Err(ListError::Newer(head.version));
                }
                Row::Head(head) => {
                    self.head_at = Some(kv.mod_revision);
                    let Head { epoch, revision, floor, authoritative, .. } = head;
                    let stored = std::mem::take(&mut self.stored);
                    self.stored = Stored { epoch, revision, floor, authoritative, ..stored };
                }
                Row::Instance { changed, record } => self.stored.records.push((changed, record)),
                Row::Order { changed, id, order } => self.stored.orders.push((changed, id, order)),
                Row::Settings { changed, key, settings } => {
                    self.stored.settings.push((changed, key, settings));
                }
                Row::Removal { revision, step } => {
                    let subject = removed(step);
                    let removal = subject.map(|subject| Removal { revision, subject });
                    self.stored.removals.extend(removal);
                }
                Row::Front(front) if front != me => drop(self.stored.others.insert(front)),
                Row::Front(_) | Row::Other => {}
            }
        }
        Ok(if asked == 0 { header.revision } else { asked })
    }

    /// `None` without a head.
    fn whole(mut self, at: i64) -> Option<Listed> {
        let head_at = self.head_at?;
        // A cluster that was restored from a backup goes back in time, under another name: watchers
        // must not go on from revisions that it has lost.
        let epoch = self.stored.epoch;
        self.stored.epoch ^= self.cluster;
        Some(Listed { stored: self.stored, epoch, at, head_at })
    }
}

/// What watchers were told is gone; of orders they were not told.
fn removed(step: Step) -> Option<Subject> {
    match step {
        Step::Remove(id) => Some(Subject::Instance(id)),
        Step::Set(key, _) => Some(Subject::settings(key)),
        Step::Put(_) | Step::Order(..) => None,
    }
}

/// Instances in one answer: 32 MiB of the largest, a hundredth of a second of the usual.
const PAGE: i64 = 256;
/// A page takes milliseconds; an election a second or two.
const PAGE_PATIENCE: Duration = Duration::from_secs(5);
