//! What a call inherits from the call that it serves: the time that is left, the trace, and how
//! many calls stand above it.
//!
//! A service that calls on owes its own caller an answer in time. Its calls must end before that,
//! or they work for nobody: inside [`Context::scope`] each takes the shorter of its own deadline and
//! what the caller left.

use std::time::Duration;

use jackfield_wire::{CallHead, TraceContext};

use crate::deadline::Deadline;

/// What a service knows of the call that it is answering, for the calls that it makes meanwhile.
///
/// ```
/// use std::time::Duration;
/// use jackfield_client::Context;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// // A request came in, and its caller waits for two more seconds.
/// let incoming = Context::new().time_left(Duration::from_secs(2));
/// incoming
///     .scope(async {
///         // Every call in here ends within those two seconds, whatever its own deadline.
///         assert!(Context::current().left().unwrap() <= Duration::from_secs(2));
///     })
///     .await;
/// # }
/// ```
///
/// A task that is spawned inside a scope is outside of it: give it the context on purpose, by
/// `Context::current().scope(…)` around its future.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    deadline: Option<Deadline>,
    trace: Option<TraceContext>,
    hops: u8,
}

tokio::task_local! {
    static CURRENT: Context;
}

impl Context {
    /// No deadline, no trace, and no call above.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the head of an incoming call says. The time starts to run now.
    pub fn of(head: &CallHead<'_>) -> Self {
        let context = match head.deadline_ms {
            Some(ms) => Self::new().time_left(Duration::from_millis(ms.into())),
            None => Self::new(),
        };
        // What is no trace context is passed over, as the standard says.
        let trace = head.trace.and_then(|text| text.parse().ok());
        Self { trace, hops: head.hops.saturating_add(1), ..context }
    }

    /// The one of the scope that this runs in; an empty one outside of any.
    pub fn current() -> Self {
        CURRENT.try_with(|current| *current).unwrap_or_default()
    }

    /// The caller waits this much longer, from now on.
    pub fn time_left(self, left: Duration) -> Self {
        Self { deadline: Some(Deadline::after(left)), ..self }
    }

    /// The trace that the incoming call is part of.
    pub fn trace(self, trace: TraceContext) -> Self {
        Self { trace: Some(trace), ..self }
    }

    /// How many calls of services stand above those that are made in this context: hosts stop
    /// plugins that call each other in a circle by it.
    pub fn hops(self, hops: u8) -> Self {
        Self { hops, ..self }
    }

    /// What [`Self::hops`] says; 0 outside of any call.
    pub fn hop_count(&self) -> u8 {
        self.hops
    }

    /// How long the caller still waits; zero when it has given up, `None` when it never said.
    pub fn left(&self) -> Option<Duration> {
        self.deadline.as_ref().map(Deadline::left)
    }

    /// The trace of the calls in this context.
    pub fn trace_context(&self) -> Option<TraceContext> {
        self.trace
    }

    /// Runs `future`; the calls that it makes inherit this context, and what it says nothing of
    /// from the scope around. Of two deadlines the earlier one holds.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self.within(&Self::current()), future).await
    }

    /// This context inside another one.
    pub(crate) fn within(self, outer: &Self) -> Self {
        let sooner = |a: Deadline, b: Deadline| if a.at() <= b.at() { a } else { b };
        let deadline = match (self.deadline, outer.deadline) {
            (Some(own), Some(outer)) => Some(sooner(own, outer)),
            (own, outer) => own.or(outer),
        };
        let hops = self.hops.max(outer.hops);
        Self { deadline, trace: self.trace.or(outer.trace), hops }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[tokio::test(start_paused = true)]
    async fn of_nested_deadlines_the_earlier_one_holds() {
        let long = Context::new().time_left(secs(9));
        let left = || Context::current().left();
        let inner = Context::new().time_left(secs(60));
        long.scope(async {
            assert_eq!(inner.scope(async { left() }).await, Some(secs(9)));
            let shorter = Context::new().time_left(secs(1));
            assert_eq!(shorter.scope(async { left() }).await, Some(secs(1)));
            tokio::time::advance(secs(10)).await;
            assert_eq!(left(), Some(Duration::ZERO));
        })
        .await;
        assert_eq!(left(), None);
    }

    #[tokio::test]
    async fn a_trace_goes_on_until_another_one_begins() {
        let trace = |id| TraceContext::new(id, 1, true).unwrap();
        let now = || Context::current().trace_context();
        Context::new()
            .trace(trace(7))
            .scope(async {
                assert_eq!(Context::new().scope(async { now() }).await, Some(trace(7)));
                let other = Context::new().trace(trace(8));
                assert_eq!(other.scope(async { now() }).await, Some(trace(8)));
            })
            .await;
        assert_eq!(now(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_of_a_call_says_all_of_it() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let head = CallHead {
            service: "calc",
            method: "add",
            deadline_ms: Some(1500),
            trace: Some(text),
            key: None,
            idempotent: false,
            hops: 2,
        };
        let context = Context::of(&head);
        assert_eq!(context.hop_count(), 3);
        assert_eq!(context.left(), Some(Duration::from_millis(1500)));
        assert_eq!(context.trace_context().unwrap().to_string(), text);
        let nothing = Context::of(&CallHead { deadline_ms: None, trace: Some("?"), ..head });
        assert!(nothing.left().is_none() && nothing.trace_context().is_none());
    }
}
