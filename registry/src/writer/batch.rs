//! What the store keeps in one go: the plans of letters that have nothing to do with each other.
//!
//! Every plan of a batch is made on the same state, so no two of them may touch the same instance.
//! An instance belongs to the host in its id: letters of one host's name never share a batch, and
//! follow each other in the order they came. An operator's letter is about others: it has a batch
//! of its own.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::mailbox::{Letter, Pending};
use crate::core::{Holder, Plan, Refused};

/// Letters that were read and are not yet answered.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) plan: Plan,
    answers: Vec<Pending>,
    lost: Vec<Arc<Holder>>,
    busy: HashSet<String>,
    letters: usize,
    closed: bool,
}

impl Batch {
    /// Whether a letter must wait for the next batch.
    pub(super) fn is_busy(&self, letter: &Letter) -> bool {
        self.busy.contains(letter.holder().peer.name())
            || letter.stands_alone() && !self.is_untouched()
    }

    /// No letter but the last that was read belongs into this batch.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    fn is_untouched(&self) -> bool {
        self.answers.is_empty() && self.lost.is_empty()
    }

    /// Whether no more letters fit.
    pub(super) fn is_full(&self) -> bool {
        self.closed || self.letters >= MAX_LETTERS || self.plan.len() >= MAX_STEPS
    }

    /// One more letter was looked at.
    pub(super) fn count(&mut self) {
        self.letters += 1;
    }

    /// Something of this host is planned: its next letters wait.
    pub(super) fn touch(&mut self, holder: &Holder) {
        self.busy.insert(holder.peer.name().into());
    }

    /// Takes a plan in; its answer is given when it is kept.
    pub(super) fn answer_later(&mut self, plan: Plan, answer: Pending) {
        self.plan.join(plan);
        self.answers.push(answer);
    }

    /// Hosts whose instances are planned.
    pub(super) fn busy(&self) -> &HashSet<String> {
        &self.busy
    }

    /// The letters that it was made of: another front end has changed what they were planned on.
    pub(super) fn again(self) -> VecDeque<Letter> {
        let asks = self.answers.into_iter().filter_map(Pending::into_letter);
        asks.chain(self.lost.into_iter().map(Letter::Lost)).collect()
    }

    /// Takes the loss of a connection in.
    pub(super) fn lose(&mut self, plan: Plan, holder: Arc<Holder>) {
        self.plan.join(plan);
        self.lost.push(holder);
    }

    /// Tells everyone how it ended; gives back the losses that still have to be dealt with.
    pub(super) fn end(self, outcome: &Result<(), Refused>) -> Vec<Arc<Holder>> {
        for Pending { reply, done, .. } in self.answers {
            reply.send(outcome.clone().map(|()| done));
        }
        if outcome.is_ok() { Vec::new() } else { self.lost }
    }
}

/// Letters looked at for one batch: a round ends even while more arrive.
const MAX_LETTERS: usize = 1024;
/// Changes in one batch, give or take those of one letter: a transaction of about a megabyte keeps
/// those who wait for it waiting for milliseconds.
const MAX_STEPS: usize = 1024;
