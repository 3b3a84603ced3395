//! Any closure against a chosen instance: for services that are not wasm hosts.
//!
//! The client chooses an instance, runs the closure for it, and learns from how it ends, as it does
//! from its own calls: the same pickers, filters, ejection, retries, budget, deadline and errors.
//! It opens no connection of its own and knows nothing of the protocol.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jackfield_transport::chain;
use jackfield_wire::registry::Instance;
use jackfield_wire::status::printable;
use jackfield_wire::{Executed, ServiceName, Status};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, field};

use crate::attempt::{Failed, FailureKind};
use crate::client::Client;
use crate::context::Context;
use crate::course::{Course, Done, Job, Way};
use crate::error::{Attempt, CallError, Phase};
use crate::options::CallOptions;
use crate::retry::{Cure, Outcome};
use crate::spec::Route;

/// How a closure failed: all that retries, ejection and errors depend on.
///
/// `?` on any error makes one whose execution is unknown, which is repeated only when the options
/// say that the work is idempotent.
#[derive(Debug)]
pub struct Fault {
    status: Status,
    executed: Executed,
    message: String,
    retry_after: Option<Duration>,
    cause: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// The instance certainly did nothing, as when it cannot be connected to: another one is tried.
    pub fn not_executed(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::Unavailable, Executed::No, cause)
    }

    /// Nobody knows whether the instance did it, as when a connection breaks before the answer:
    /// another one is tried if the work is idempotent.
    pub fn unknown(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::Unavailable, Executed::Unknown, cause)
    }

    /// The instance has too much to do and did nothing: another one is tried, and this one is
    /// charged but not left out.
    pub fn busy(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::ResourceExhausted, Executed::No, cause)
    }

    /// The instance did it, and the answer is an error of the application: it is not repeated, and
    /// counts for the instance as an answer.
    pub fn application(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Status::Application, Executed::Yes, cause)
    }

    /// When the instance wants to be asked again; counts when there is no other.
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    fn new(
        status: Status,
        executed: Executed,
        cause: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let cause = cause.into();
        let message = printable(&chain(&*cause));
        Self { status, executed, message, retry_after: None, cause: Some(cause) }
    }

    fn timeout() -> Self {
        let (status, executed) = (Status::DeadlineExceeded, Executed::Unknown);
        let message = "cut off by the deadline".into();
        Self { status, executed, message, retry_after: None, cause: None }
    }

    fn happened(self, instance: &Instance, elapsed: Duration) -> Failed {
        let Self { status, executed, message, retry_after, cause } = self;
        let is_timeout = status == Status::DeadlineExceeded;
        let cure = match status {
            Status::Application | Status::DeadlineExceeded => Cure::Nothing,
            _ => Cure::Time,
        };
        let attempt = Attempt {
            address: instance.address.clone(),
            host: Some(instance.host.clone()),
            phase: Phase::Wait,
            status,
            executed,
            message,
            elapsed,
        };
        Failed {
            attempt: Box::new(attempt),
            outcome: Outcome { status, executed, cure, retry_after },
            value: None,
            kind: if is_timeout { FailureKind::Timeout } else { FailureKind::Answer },
            is_answered: !is_timeout,
            load: None,
            cause,
        }
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::unknown(error)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.status, self.message, self.executed)
    }
}

impl Client {
    /// Runs `work` against an instance of `service` that the client chooses, and against another one
    /// if that failed in a way that allows it. `work` is given the instance, whose address and
    /// metadata say how to reach it, and must say by its [`Fault`] whether anything was done.
    ///
    /// ```no_run
    /// # async fn ask(address: &str) -> std::io::Result<String> { Ok(address.into()) }
    /// # async fn example(client: jackfield_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use jackfield_client::Fault;
    /// let answer = client
    ///     .execute("model", |instance| async move {
    ///         ask(&instance.address).await.map_err(Fault::not_executed)
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`CallError`]; a fault of the closure is in [`ServiceError`](crate::ServiceError), with
    /// its cause. A client that goes directly to one host finds nobody.
    ///
    /// # Cancel safety
    /// Dropping the future drops the one of `work`.
    pub async fn execute<T, W, F>(&self, service: &str, work: W) -> Result<T, CallError>
    where
        W: Fn(Arc<Instance>) -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        self.execute_with(service, CallOptions::new(), work).await
    }

    /// As [`execute`](Self::execute), with options of its own.
    ///
    /// # Errors
    /// As `execute`.
    pub async fn execute_with<T, W, F>(
        &self,
        service: &str,
        options: CallOptions,
        work: W,
    ) -> Result<T, CallError>
    where
        W: Fn(Arc<Instance>) -> F,
        F: Future<Output = Result<T, Fault>>,
    {
        let service = ServiceName::new(service)?;
        let options = options.or(self.inner.options_of(&service));
        let job = Job {
            target: &service,
            service: &service,
            route: &Route::Target,
            options: &options,
            left: Context::current().left(),
            is_dialled: false,
        };
        let metered = self.inner.pool.telemetry().call(&service);
        let span = tracing::debug_span!(
            "jackfield_execute",
            service = service.as_str(),
            status = field::Empty,
            attempts = field::Empty,
        );
        let course = Course::new(&self.inner, job);
        let finished = course.run(|way, deadline| {
            let Way::Seat(seat) = way else { unreachable!("closures run against instances only") };
            let instance = seat.endpoint.instance.clone();
            let running = work(instance.clone());
            async move {
                let started = Instant::now();
                let outcome = timeout_at(deadline.at(), running).await;
                let ended = outcome.unwrap_or_else(|_| Err(Fault::timeout()));
                let failed = |fault: Fault| fault.happened(&instance, started.elapsed());
                ended.map(|value| Done { value, load: None }).map_err(failed)
            }
        });
        let finished = finished.instrument(span.clone()).await;
        let (status, attempts) = match &finished {
            Ok(finished) => (Status::Ok, finished.attempts.len() + 1),
            Err(error) => (error.status(), error.attempts().len()),
        };
        metered.ended(status, attempts);
        span.record("status", status.name()).record("attempts", attempts);
        Ok(finished?.value)
    }
}
