//! etcd's events as changes of the registry: pure. One transaction is one change.

use std::collections::BTreeMap;

use super::proto::{Event, KeyValue};
use super::rows::{Keys, Row, Unread};
use crate::core::{Change, Front, Step};
use crate::store::News;

/// Where the reader of events stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reader {
    /// Which front end reads.
    pub(super) me: Front,
    /// The last revision of the registry that was read.
    pub(super) revision: u64,
    /// The last revision of etcd that was read.
    pub(super) at: i64,
}

/// News, and the revision of etcd that they made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dated {
    pub(super) at: i64,
    pub(super) news: News,
}

impl Reader {
    /// What these events say. An error means that something is missing or strange: only a new list
    /// helps.
    pub(super) fn read(&mut self, keys: &Keys, events: Vec<Event>) -> Result<Vec<Dated>, Unread> {
        let mut news = Vec::new();
        let mut rest =
            events.into_iter().filter_map(|event| Some((event.kind, event.kv?))).peekable();
        while let Some((_, first)) = rest.peek() {
            let at = first.mod_revision;
            let mut written = Written::default();
            while let Some((kind, kv)) = rest.next_if(|(_, kv)| kv.mod_revision == at) {
                written.take((keys, self.me), kind == PUT, &kv)?;
            }
            news.extend(written.front.take().map(|news| Dated { at, news }));
            news.extend(
                written.into_change(self)?.map(|change| Dated { at, news: News::Kept(change) }),
            );
            self.at = at;
        }
        Ok(news)
    }
}

/// What one transaction of etcd wrote.
#[derive(Default)]
struct Written {
    head: Option<super::rows::Head>,
    steps: BTreeMap<u64, Step>,
    front: Option<News>,
}

impl Written {
    fn take(&mut self, (keys, me): (&Keys, Front), put: bool, kv: &KeyValue) -> Result<(), Unread> {
        if let Some(front) = keys.front_of(&kv.key) {
            if front != me {
                self.front = Some(if put { News::Came(front) } else { News::Went(front) });
            }
            return Ok(());
        }
        if !put && kv.key == keys.head() {
            return Err(Unread("everything, which somebody has removed,".into()));
        }
        if !put {
            // Removed instances are told by their removals, and those are forgotten in silence.
            return Ok(());
        }
        match Row::read(keys, kv)? {
            Row::Head(head) => self.head = Some(head),
            Row::Instance { changed, record } => {
                drop(self.steps.insert(changed, Step::Put(record)))
            }
            Row::Order { changed, id, order } => {
                drop(self.steps.insert(changed, Step::Order(id, Some(order))))
            }
            Row::Settings { changed, key, settings } => {
                drop(self.steps.insert(changed, Step::Set(key, settings)))
            }
            Row::Removal { revision, step } => drop(self.steps.insert(revision, step)),
            Row::Front(_) | Row::Other => {}
        }
        Ok(())
    }

    fn into_change(self, reader: &mut Reader) -> Result<Option<Change>, Unread> {
        let Some(head) = self.head else { return Ok(None) };
        let numbers = self.steps.keys().copied();
        if !numbers.eq(reader.revision + 1..=head.revision) {
            let what = format!("revision {} after {}", head.revision, reader.revision);
            return Err(Unread(what));
        }
        reader.revision = head.revision;
        Ok(Some(Change {
            revision: head.revision,
            floor: head.floor,
            authoritative: head.authoritative,
            steps: self.steps.into_values().collect(),
        }))
    }
}

/// The kind of an event that is not a deletion.
const PUT: i32 = 0;
