//! Why the registry does not do what it was asked: what is wrong, where, and what to do.

use std::time::Duration;

use jackfield_wire::registry::Refusal;
use jackfield_wire::status::printable;
use jackfield_wire::{InstanceId, Status};

use super::admission::Flaw;

/// A request that changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// One of the instances cannot be listed as it is.
    #[error("instance {id}: {flaw}")]
    Flawed { id: InstanceId, flaw: Flaw },
    /// Registering in the name of somebody else.
    #[error(
        "instance {id} says that it is on host {claimed:?}, but this connection's certificate is \
         {peer}: register it under that name"
    )]
    ForeignHost { id: InstanceId, claimed: String, peer: String },
    /// The id belongs to another identity.
    #[error(
        "instance {id} belongs to {owner}, and only that identity may change it, not {peer}: give \
         one of the two hosts another name"
    )]
    HeldByAnother { id: InstanceId, owner: String, peer: String },
    /// One request with two truths about one instance.
    #[error("instance {0} is in the request twice: send each instance once")]
    Doubled(InstanceId),
    /// The identity's share is used up.
    #[error(
        "{peer} would hold {wanted} instances and one identity may hold {limit}: serve fewer from \
         one host, or run a second host under another name"
    )]
    TooManyOfPeer { peer: String, wanted: usize, limit: usize },
    /// The identity's share of memory is used up.
    #[error(
        "the instances of {peer} would take {wanted} bytes and one identity's may take {limit}: \
         shorten methods or metadata, or run a second host under another name"
    )]
    TooLargeOfPeer { peer: String, wanted: usize, limit: usize },
    /// No room for anybody.
    #[error(
        "the registry holds {limit} instances, its limit: deregister some, or start another \
         registry"
    )]
    Full { limit: usize },
    /// A heartbeat or deregistration that names more than anyone can hold.
    #[error(
        "the request names {named} instances and one identity may hold {limit}: name each once"
    )]
    TooManyNamed { named: usize, limit: usize },
    /// An id that none can be.
    #[error(
        "an instance id of {len} bytes was named and the longest is {limit}: ids are SERVICE@HOST"
    )]
    IdTooLong { len: usize, limit: usize },
    /// An order that cannot stand as it is.
    #[error("{0}")]
    FlawedOrder(Flaw),
    /// An order about nothing.
    #[error("there is no instance {id} and nothing was ordered about it before{}", meant(nearest))]
    NoSuchInstance { id: InstanceId, nearest: Option<InstanceId> },
    /// Too many orders about instances that are all there.
    #[error(
        "the registry keeps orders about {limit} instances, its limit: take some back by \
         `jackfield instance unset`"
    )]
    OrdersFull { limit: usize },
    /// Too many services with settings.
    #[error(
        "the registry keeps settings of {limit} services, its limit: take some back by \
         `jackfield service unset`"
    )]
    SettingsFull { limit: usize },
    /// Orders are not for everybody.
    #[error("{peer} may not give orders, only operators may: {how}")]
    NotAnOperator { peer: String, how: String },
    /// Only hosts hold instances.
    #[error(
        "{peer} may list and watch, but not {action}: only a host can; connect with a host's \
         certificate"
    )]
    NotAHost { peer: String, action: &'static str },
    /// The store did not keep the change.
    #[error(
        "the registry's store cannot keep the change now ({0}): nothing was changed; try again"
    )]
    Store(String),
    /// The store has no room for the change.
    #[error(
        "the registry's store has no room ({0}): nothing was changed; free space where the registry \
         keeps its file, then try again"
    )]
    StoreFull(String),
    /// The store may have kept the change.
    #[error(
        "the registry's store did not say whether it kept the change ({0}): it may have happened; \
         the same again does no harm"
    )]
    StoreUnsure(String),
    /// A front end that the others take for dead.
    #[error(
        "this front end of the registry has lost touch with its store and cannot vouch for anyone: \
         connect to another, or try again"
    )]
    Detached,
    /// A front end that knows less than the watcher.
    #[error(
        "this front end of the registry has not caught up with revision {0}: watch another, or try \
         again"
    )]
    Behind(u64),
    /// The registry is going down.
    #[error("the registry is shutting down: connect again, or to another registry")]
    ShuttingDown,
    /// Too many watches.
    #[error("{peer} has {limit} watches open, its limit: close some, or share one among tasks")]
    TooManyWatches { peer: String, limit: usize },
    /// More requests than an identity may send.
    #[error(
        "{peer} sends more than {limit} requests in a second, its limit: wait a second, and put \
         several instances into one request"
    )]
    TooManyRequests { peer: String, limit: u32 },
    /// More heartbeats than could say anything.
    #[error(
        "{peer} sends heartbeats more often than every {every:?}: keep to the registry's terms"
    )]
    TooManyHeartbeats { peer: String, every: Duration },
    /// Too many watches of all peers.
    #[error(
        "the registry serves {limit} watches, its limit: list instead, or use another registry"
    )]
    WatchesFull { limit: usize },
    /// The stream did not bring one request.
    #[error("{0}: send one registry request as one message frame and end the stream")]
    Malformed(String),
}

impl Refused {
    /// The kind that programs look at.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::ForeignHost { .. }
            | Self::HeldByAnother { .. }
            | Self::NotAHost { .. }
            | Self::NotAnOperator { .. } => Status::PermissionDenied,
            Self::NoSuchInstance { .. } => Status::NotFound,
            Self::Flawed { .. }
            | Self::FlawedOrder(_)
            | Self::Doubled(_)
            | Self::TooManyNamed { .. }
            | Self::IdTooLong { .. }
            | Self::Malformed(_) => Status::InvalidArgument,
            Self::TooManyOfPeer { .. }
            | Self::TooLargeOfPeer { .. }
            | Self::Full { .. }
            | Self::StoreFull(_)
            | Self::OrdersFull { .. }
            | Self::SettingsFull { .. }
            | Self::TooManyRequests { .. }
            | Self::TooManyHeartbeats { .. }
            | Self::TooManyWatches { .. }
            | Self::WatchesFull { .. } => Status::ResourceExhausted,
            Self::Store(_)
            | Self::StoreUnsure(_)
            | Self::Detached
            | Self::Behind(_)
            | Self::ShuttingDown => Status::Unavailable,
        }
    }
}

impl From<&Refused> for Refusal {
    fn from(refused: &Refused) -> Self {
        Self { status: refused.status(), message: printable(&refused.to_string()) }
    }
}

fn meant(nearest: &Option<InstanceId>) -> String {
    match nearest {
        Some(nearest) => format!(": did you mean {nearest}?"),
        None => ": `jackfield ls` shows what there is".into(),
    }
}
