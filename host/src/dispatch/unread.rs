//! Counts the answers of one connection that its peer has not read yet.
//!
//! QUIC holds back what a peer does not read, and the host holds it meanwhile: a peer that asks
//! for large answers and reads none would take the host's memory with it.

use std::sync::atomic::{AtomicUsize, Ordering};

use jackfield_wire::{Failure, Status};

/// What one connection has not read.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    bytes: AtomicUsize,
}

impl Unread {
    /// Whether another call may run whose answer this connection would get.
    ///
    /// # Errors
    /// When too much waits already. Nothing was executed.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes <= MAX_UNREAD {
            return Ok(());
        }
        let text = format!(
            "{bytes} bytes of answers wait for this connection to read them, the limit is \
             {MAX_UNREAD}: read them first"
        );
        Err(Failure::not_executed(Status::ResourceExhausted, text))
    }

    /// Counts an answer, for as long as what is given back lives.
    pub(super) fn add(&self, bytes: usize) -> Waiting<'_> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Waiting { unread: self, bytes }
    }
}

/// An answer on its way.
pub(super) struct Waiting<'a> {
    unread: &'a Unread,
    bytes: usize,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.unread.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Four answers of the longest kind. Who reads as it asks never has this much outstanding; calls
/// that run already may go beyond it.
const MAX_UNREAD: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_does_not_read_gets_no_more_until_it_does() {
        let unread = Unread::default();
        let one = unread.add(MAX_UNREAD);
        assert_eq!(unread.check(), Ok(()));
        let two = unread.add(1);
        assert_eq!(unread.check().unwrap_err().status, Status::ResourceExhausted);
        drop((one, two));
        assert_eq!(unread.check(), Ok(()));
    }
}
