//! Letters on their way from the inbox to a batch, and those that need none: heartbeats are answered
//! while the store works.

use std::collections::{HashSet, VecDeque};
use std::future::Future;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::View;
use super::mailbox::{Ask, Done, Letter, Reply};
use crate::core::{Holder, Refused};

/// Where letters wait.
#[derive(Debug)]
pub(super) struct Desk {
    view: Arc<View>,
    inbox: mpsc::UnboundedReceiver<Letter>,
    /// Letters that could not be in the last batch; they come before those in the inbox.
    waiting: VecDeque<Letter>,
}

impl Desk {
    pub(super) fn new(view: Arc<View>, inbox: mpsc::UnboundedReceiver<Letter>) -> Self {
        Self { view, inbox, waiting: VecDeque::new() }
    }

    /// Those that waited longest come first. `None` when nobody can send any more.
    ///
    /// # Cancel safety
    /// No letter is lost.
    pub(super) async fn next(&mut self) -> Option<Letter> {
        match self.waiting.pop_front() {
            Some(letter) => Some(letter),
            None => self.inbox.recv().await,
        }
    }

    /// The next one that is there already.
    pub(super) fn try_next(&mut self) -> Option<Letter> {
        self.waiting.pop_front().or_else(|| self.inbox.try_recv().ok())
    }

    /// These come before all others.
    pub(super) fn put_back(&mut self, mut letters: VecDeque<Letter>) {
        letters.append(&mut self.waiting);
        self.waiting = letters;
    }

    /// These come after those that wait.
    pub(super) fn put_off(&mut self, letters: impl Iterator<Item = Letter>) {
        self.waiting.extend(letters);
    }

    /// Answers heartbeats until `work` is done, but none of `busy` hosts, whose instances are just
    /// being changed.
    pub(super) async fn attend<T>(
        &mut self,
        busy: &HashSet<String>,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                Some(letter) = self.inbox.recv() => self.meanwhile(letter, busy),
            }
        }
    }

    fn meanwhile(&mut self, letter: Letter, busy: &HashSet<String>) {
        let host = letter.holder().peer.name();
        let in_turn = !busy.contains(host)
            && !self.waiting.iter().any(|earlier| earlier.holder().peer.name() == host);
        match letter {
            Letter::Ask { holder, ask: Ask::Heartbeat(ids), reply } if in_turn => {
                self.heartbeat(&holder, ids, reply);
            }
            letter => self.waiting.push_back(letter),
        }
    }

    /// Nothing of this host is planned, and nothing that lasts is changed: done at once.
    pub(super) fn heartbeat(
        &self,
        holder: &Holder,
        ids: Vec<jackfield_wire::InstanceId>,
        reply: Reply,
    ) {
        // The other front ends take this one for dead: it vouches for nobody.
        if self.view.is_alone() {
            return reply.send(Err(Refused::Detached));
        }
        let now = self.view.now();
        reply.send(self.view.lock().heartbeat(now, holder, ids).map(Done::Alive));
    }
}
