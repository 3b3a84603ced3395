//! What sessions want changed, on its way to the writer.

use std::sync::Arc;

use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Instance, InstancePatch, Override, ServicePatch, ServiceSettings};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::core::{Found, Holder, Refused};

/// What a peer wants changed.
#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Register(Vec<Instance>),
    Heartbeat(Vec<InstanceId>),
    Deregister(Vec<InstanceId>),
    Order(InstancePatch),
    Set(ServicePatch),
    /// What somebody found who looked; in its owner's name.
    Probed(InstanceId, Found),
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Done {
    Registered,
    /// These have to be registered again.
    Alive(Vec<InstanceId>),
    /// So many were there.
    Deregistered(u32),
    Ordered(Override),
    Set(ServiceSettings),
    Noted,
}

impl Ask {
    /// Whether it may touch what belongs to others than who asks.
    pub(super) fn reaches_others(&self, holder: &Holder) -> bool {
        match self {
            Self::Register(_) | Self::Heartbeat(_) | Self::Probed(..) => false,
            Self::Deregister(_) => holder.operator,
            Self::Order(_) | Self::Set(_) => true,
        }
    }
}

/// Where sessions put what they want changed. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Mailbox {
    letters: mpsc::UnboundedSender<Letter>,
    /// Bounds the letters that wait. Lost connections need none: they are as many as connections.
    room: Arc<Semaphore>,
}

/// One wish for a change.
#[derive(Debug)]
pub(super) enum Letter {
    Ask {
        holder: Arc<Holder>,
        ask: Ask,
        reply: Reply,
    },
    /// The connection is gone.
    Lost(Arc<Holder>),
}

/// Whoever waits for an answer; it makes room for another letter when it is answered or dropped.
#[derive(Debug)]
pub(super) struct Reply {
    answer: oneshot::Sender<Result<Done, Refused>>,
    _room: OwnedSemaphorePermit,
}

/// An answer that is given once the store has kept its plan.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) reply: Reply,
    pub(super) done: Done,
    /// What to plan again, should another front end be faster.
    pub(super) again: Option<(Arc<Holder>, Ask)>,
}

impl Pending {
    /// The letter that it was, unless nobody waits for its answer any more: a host that has gone to
    /// another front end must not be taken back by this one.
    pub(super) fn into_letter(self) -> Option<Letter> {
        let (holder, ask) = self.again?;
        (!self.reply.answer.is_closed()).then_some(Letter::Ask { holder, ask, reply: self.reply })
    }
}

impl Reply {
    pub(super) fn send(self, outcome: Result<Done, Refused>) {
        // Whoever asked may have gone away; what it asked for is done.
        let _gone = self.answer.send(outcome);
    }
}

impl Letter {
    pub(super) fn holder(&self) -> &Holder {
        match self {
            Self::Ask { holder, .. } | Self::Lost(holder) => holder,
        }
    }

    /// Whether nothing else may be planned beside it.
    pub(super) fn stands_alone(&self) -> bool {
        match self {
            Self::Ask { holder, ask, .. } => ask.reaches_others(holder),
            Self::Lost(_) => false,
        }
    }
}

/// A mailbox, and where its letters arrive.
pub(super) fn mailbox() -> (Mailbox, mpsc::UnboundedReceiver<Letter>) {
    let (letters, inbox) = mpsc::unbounded_channel();
    (Mailbox { letters, room: Arc::new(Semaphore::new(MAX_LETTERS)) }, inbox)
}

impl Mailbox {
    /// Waits until the change is made and kept.
    ///
    /// Dropped before its end, the change may or may not be made.
    pub(crate) async fn ask(&self, holder: &Arc<Holder>, ask: Ask) -> Result<Done, Refused> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(|_| Refused::ShuttingDown)?;
        let (answer, answered) = oneshot::channel();
        let reply = Reply { answer, _room: room };
        let letter = Letter::Ask { holder: Arc::clone(holder), ask, reply };
        self.letters.send(letter).map_err(|_| Refused::ShuttingDown)?;
        answered.await.map_err(|_| Refused::ShuttingDown)?
    }

    /// This holder's connection is gone.
    pub(crate) fn lost(&self, holder: &Arc<Holder>) {
        // Without a reader the registry is going down, and its core with it.
        let _closed = self.letters.send(Letter::Lost(Arc::clone(holder)));
    }
}

/// Letters that wait at once. Beyond that, sessions wait before they send theirs.
const MAX_LETTERS: usize = 1024;
