//! Calls to an etcd cluster: one member at a time, the next one when it fails.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jackfield_transport::chain;
use tokio::time::timeout;
use tokio_stream::StreamExt as _;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::proto::Call;
use super::rows::Keys;

/// Why there is no answer, and whether etcd did what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// It did not: no member could be reached, or the one that was said no.
    #[error("{0}")]
    Refused(String),
    /// It did not: its own space is used up.
    #[error("{0}")]
    Full(String),
    /// The revision that was asked for is compacted.
    #[error("{0}")]
    Compacted(String),
    /// Nobody knows.
    #[error("{0}")]
    Unsure(String),
}

/// Members of one cluster, and a registry's place in it. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client {
    /// What is this registry's there.
    pub(super) keys: Keys,
    members: Arc<[Endpoint]>,
    link: Arc<Mutex<Link>>,
}

/// Locked for moments only, never across an `.await`.
#[derive(Debug, Default)]
struct Link {
    /// The member to use, counted over all members again and again.
    turn: usize,
    channel: Option<Channel>,
}

impl Client {
    /// `members` is not empty.
    pub(super) fn new(members: Vec<Endpoint>, keys: Keys) -> Self {
        let bounded = |member: Endpoint| {
            member
                .connect_timeout(CONNECT_PATIENCE)
                .http2_keep_alive_interval(PING)
                .keep_alive_timeout(PING)
                .keep_alive_while_idle(true)
                .tcp_nodelay(true)
        };
        let members = members.into_iter().map(bounded).collect();
        Self { keys, members, link: Arc::default() }
    }

    /// One question, one answer.
    pub(super) async fn call<Q: Call>(
        &self,
        question: Q,
        within: Duration,
    ) -> Result<Q::Answer, Failure> {
        let (turn, mut grpc) = self.ready().await?;
        let codec = ProstCodec::<Q, Q::Answer>::default();
        let path = Uri::from_static(Q::PATH).into_parts().path_and_query.expect("a path");
        let asked = grpc.unary(Request::new(question), path, codec);
        match timeout(within, asked).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(self.failed(turn, &status)),
            Err(_) => {
                self.leave(turn);
                Err(Failure::Unsure(format!("etcd did not answer within {within:?}")))
            }
        }
    }

    /// One question, many answers; the member says when it has no leader.
    pub(super) async fn stream<Q: Call>(
        &self,
        question: Q,
        within: Duration,
    ) -> Result<Answers<Q::Answer>, Failure> {
        let (turn, mut grpc) = self.ready().await?;
        let open = tokio_stream::once(question).chain(tokio_stream::pending());
        let mut request = Request::new(open);
        let wanted = "true".parse().expect("it is plain text");
        request.metadata_mut().insert("hasleader", wanted);
        let codec = ProstCodec::<Q, Q::Answer>::default();
        let path = Uri::from_static(Q::PATH).into_parts().path_and_query.expect("a path");
        match timeout(within, grpc.streaming(request, path, codec)).await {
            Ok(Ok(answers)) => {
                Ok(Answers { client: self.clone(), turn, stream: answers.into_inner() })
            }
            Ok(Err(status)) => Err(self.failed(turn, &status)),
            Err(_) => {
                self.leave(turn);
                Err(Failure::Unsure(format!("etcd did not answer within {within:?}")))
            }
        }
    }

    /// A connection, made now if need be: what fails here has not reached anybody.
    async fn ready(&self) -> Result<(usize, Grpc<Channel>), Failure> {
        let mut why = String::new();
        for _ in 0..self.members.len() {
            let (turn, channel) = {
                let link = self.link();
                (link.turn, link.channel.clone())
            };
            let member = &self.members[turn % self.members.len()];
            match timeout(CONNECT_PATIENCE, connect(member, channel)).await {
                Ok(Ok((channel, grpc))) => {
                    let mut link = self.link();
                    if link.turn == turn {
                        link.channel = Some(channel);
                    }
                    return Ok((turn, grpc));
                }
                Ok(Err(error)) => why = chain(&error),
                Err(_) => why = format!("no connection within {CONNECT_PATIENCE:?}"),
            }
            why = format!("{} cannot be reached: {why}", member.uri());
            self.leave(turn);
        }
        Err(Failure::Refused(why))
    }

    fn failed(&self, turn: usize, status: &Status) -> Failure {
        let failure = failure(status);
        if matches!(failure, Failure::Unsure(_)) || status.code() == Code::Unavailable {
            self.leave(turn);
        }
        failure
    }

    /// The next member, unless somebody has moved on already.
    fn leave(&self, turn: usize) {
        let mut link = self.link();
        if link.turn == turn {
            *link = Link { turn: turn + 1, channel: None };
        }
    }

    fn link(&self) -> std::sync::MutexGuard<'_, Link> {
        // Two fields that cannot be left half changed by a panic.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers that keep coming.
pub(super) struct Answers<A> {
    client: Client,
    turn: usize,
    stream: Streaming<A>,
}

impl<A> Answers<A> {
    /// The next one. An end is a failure too: who asks wants them for ever.
    pub(super) async fn next(&mut self) -> Result<A, Failure> {
        match self.stream.message().await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(Failure::Refused("etcd ended the stream".into())),
            Err(status) => Err(self.client.failed(self.turn, &status)),
        }
    }
}

/// A connection that takes a call now.
async fn connect(
    member: &Endpoint,
    kept: Option<Channel>,
) -> Result<(Channel, Grpc<Channel>), tonic::transport::Error> {
    let channel = match kept {
        Some(channel) => channel,
        None => member.connect().await?,
    };
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(MAX_ANSWER);
    grpc.ready().await?;
    Ok((channel, grpc))
}

/// What etcd's answers mean. Only what a member says of its own accord is sure not to have happened;
/// the transport's own errors carry these codes too, so the text decides.
fn failure(status: &Status) -> Failure {
    let text = format!("etcd says: {}", status.message());
    let says = |what: &str| status.message().contains(what);
    match status.code() {
        Code::ResourceExhausted if says("space exceeded") => Failure::Full(text),
        Code::OutOfRange if says("compacted") => Failure::Compacted(text),
        Code::InvalidArgument
        | Code::NotFound
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::FailedPrecondition
        | Code::ResourceExhausted
        | Code::OutOfRange => Failure::Refused(text),
        Code::Unavailable if says("no leader") => Failure::Refused(text),
        _ => Failure::Unsure(format!("{text} ({:?})", status.code())),
    }
}

/// A member that does not take a connection within this is down: the next one is tried.
const CONNECT_PATIENCE: Duration = Duration::from_secs(1);
/// A connection that is silent for this long, and then for as long after a ping, is dead: a member
/// behind a partition is left before the host that waits for an answer gives up.
const PING: Duration = Duration::from_secs(1);
/// A page of the largest instances, and a transaction of them.
const MAX_ANSWER: usize = 64 << 20;
