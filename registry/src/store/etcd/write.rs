//! Changes as transactions, each bound to the head that it was planned on and to the front end's own
//! key: whoever was paused, or is taken for dead, changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prost::Message as _;
use tokio::sync::watch;

use super::client::{Client, Failure};
use super::presence::Present;
use super::proto::{Compare, Op, RangeRequest, RequestOp, TxnRequest};
use super::rows::{Head, Keys, VERSION};
use crate::core::{Change, Front, Step};
use crate::store::NotKept;

/// Who writes.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) client: Client,
    pub(super) me: Front,
    /// The epoch as the head says it, which the cluster's own name does not change.
    pub(super) life: Arc<AtomicU64>,
    pub(super) present: watch::Receiver<Option<Present>>,
}

impl Writing {
    /// Writes a change on top of the head that was written at `head_at`; says when it was.
    ///
    /// A change too large for one transaction is written in several, each a state that could have
    /// been: when a later one fails, the earlier ones are heard of like those of another.
    pub(super) async fn write(&self, change: &Change, mut head_at: i64) -> Result<i64, NotKept> {
        let Some(present) = *self.present.borrow() else {
            return Err(NotKept::Failed("etcd has not renewed this front end's lease".into()));
        };
        let parts = parts(&self.client.keys, change);
        let mut kept_some = false;
        for part in parts {
            match self.write_part(part, present, head_at).await {
                Ok(at) => (head_at, kept_some) = (at, true),
                Err(NotKept::Failed(why) | NotKept::Full(why)) if kept_some => {
                    return Err(NotKept::Unsure(format!("a part of it was kept, then {why}")));
                }
                Err(why) => return Err(why),
            }
        }
        Ok(head_at)
    }

    async fn write_part(&self, part: Part, present: Present, head_at: i64) -> Result<i64, NotKept> {
        let Part { mut ops, revision, floor, authoritative, .. } = part;
        let epoch = self.life.load(Ordering::Relaxed);
        let head = Head { version: VERSION, epoch, revision, floor, authoritative };
        let keys = &self.client.keys;
        ops.push(keys.write_head(head));
        let look = RangeRequest { key: keys.head(), ..RangeRequest::default() };
        let question = TxnRequest {
            compare: vec![
                Compare::changed(&keys.head(), head_at),
                Compare::created(&keys.front(self.me), present.created),
            ],
            success: ops,
            failure: vec![RequestOp { request: Some(Op::Range(look)) }],
        };
        let answer = self.client.call(question, PATIENCE).await.map_err(not_kept)?;
        if answer.succeeded {
            return Ok(answer.header.unwrap_or_default().revision);
        }
        let found = answer.responses.first().and_then(|first| first.range.as_ref());
        let found = found.and_then(|range| range.kvs.first()).map(|kv| kv.mod_revision);
        if found == Some(head_at) {
            return Err(NotKept::Failed("etcd has ended this front end's lease".into()));
        }
        Err(NotKept::Behind)
    }
}

/// What goes into one transaction.
struct Part {
    ops: Vec<RequestOp>,
    bytes: usize,
    revision: u64,
    floor: u64,
    authoritative: bool,
}

/// At least one, also of a change without steps.
fn parts(keys: &Keys, change: &Change) -> Vec<Part> {
    let Change { floor, authoritative, .. } = *change;
    let before = change.numbered().next().map_or(change.revision, |(first, _)| first - 1);
    let empty = |revision| Part { ops: Vec::new(), bytes: 0, revision, floor, authoritative };
    let mut parts = vec![empty(before)];
    for (revision, step) in change.numbered() {
        let ops = keys.write(revision, step);
        let bytes = ops.iter().map(RequestOp::encoded_len).sum::<usize>();
        let last = parts.last_mut().expect("there is one at least");
        let full = last.ops.len() + ops.len() > MAX_OPS || last.bytes + bytes > MAX_BYTES;
        if full && !last.ops.is_empty() {
            parts.push(empty(revision));
        }
        let last = parts.last_mut().expect("there is one at least");
        last.ops.extend(ops);
        last.bytes += bytes;
        last.revision = revision;
        // No later than what is written.
        last.floor = floor.min(revision);
    }
    if change.steps.iter().any(Step::removes)
        && let Some(last) = parts.last_mut()
    {
        last.floor = floor;
        last.ops.push(keys.forget(floor));
    }
    parts
}

fn not_kept(failure: Failure) -> NotKept {
    match failure {
        Failure::Refused(why) | Failure::Compacted(why) => NotKept::Failed(why),
        Failure::Full(why) => NotKept::Full(why),
        Failure::Unsure(why) => NotKept::Unsure(why),
    }
}

/// An election takes one to two seconds; a host gives up after three.
const PATIENCE: Duration = Duration::from_millis(2500);
/// etcd takes 128 operations in a transaction unless it was told otherwise; the head and what is
/// forgotten take two.
const MAX_OPS: usize = 126;
/// etcd takes requests of 1.5 MiB unless it was told otherwise; the largest instance has 128 KiB.
const MAX_BYTES: usize = 1 << 20;
