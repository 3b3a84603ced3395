//! Calls for programs without an async runtime.
//!
//! ```no_run
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use jackfield_client::blocking::Client;
//!
//! let client = Client::new(jackfield_client::Client::builder().registry("127.0.0.1:9999"))?;
//! let sum: f64 = client.call("calc.add", (1.0, 2.0))?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] owns one thread, on which its connections live; it ends with the last clone.
//! Threads may share it, or clone it, and call at the same time.

use std::sync::Arc;

use jackfield_wire::name::TargetError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::answer::Answer;
use crate::builder::{BuildError, ClientBuilder};
use crate::error::CallError;
use crate::request::Request;

/// A [`Client`](crate::Client) whose calls wait for their end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    client: crate::Client,
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
}

/// No result of a blocking call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It was made where waiting would stop other tasks.
    #[error(
        "a blocking client inside an async runtime would stop the tasks beside it: use \
         jackfield_client::Client there"
    )]
    InsideRuntime,
    /// No client could be made.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The operating system gave no thread.
    #[error("no thread for the client")]
    Thread(#[source] std::io::Error),
    /// The call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl From<TargetError> for Error {
    fn from(error: TargetError) -> Self {
        Self::Call(error.into())
    }
}

impl Client {
    /// Makes the client that `builder` describes, and the thread that it lives on.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`]; and [`Error::InsideRuntime`].
    pub fn new(builder: ClientBuilder) -> Result<Self, Error> {
        refuse_inside_a_runtime()?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("jackfield-client")
            .enable_all()
            .build()
            .map_err(Error::Thread)?;
        let client = runtime.block_on(builder.build())?;
        Ok(Self(Arc::new(Inner { client, runtime: Some(runtime) })))
    }

    /// As [`Client::call`](crate::Client::call).
    ///
    /// # Errors
    /// See [`CallError`]; and [`Error::InsideRuntime`].
    pub fn call<A, R>(&self, target: &str, args: A) -> Result<R, Error>
    where
        A: Serialize,
        R: DeserializeOwned,
    {
        Ok(self.send(self.request(target)?.args(&args)?)?.decode()?)
    }

    /// A call with everything said one by one, for [`send`](Self::send).
    ///
    /// # Errors
    /// When `target` is not `SERVICE.METHOD`.
    pub fn request(&self, target: &str) -> Result<Request, TargetError> {
        self.0.client.request(target)
    }

    /// Makes the call.
    ///
    /// # Errors
    /// See [`CallError`]; and [`Error::InsideRuntime`].
    pub fn send(&self, request: Request) -> Result<Answer, Error> {
        Ok(self.wait(request.send())??)
    }

    /// Runs any future of the async client to its end, such as `client.describe(…)`.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`].
    pub fn wait<F: Future>(&self, future: F) -> Result<F::Output, Error> {
        refuse_inside_a_runtime()?;
        let runtime = self.0.runtime.as_ref().expect("it is there until the last clone is dropped");
        Ok(runtime.block_on(future))
    }

    /// The async client behind this one: for everything that does not wait, and for
    /// [`wait`](Self::wait).
    pub fn client(&self) -> &crate::Client {
        &self.0.client
    }

    /// As [`Client::close`](crate::Client::close).
    ///
    /// # Errors
    /// [`Error::InsideRuntime`].
    pub fn close(&self) -> Result<(), Error> {
        self.wait(self.0.client.close())
    }
}

impl Drop for Inner {
    /// Waits for nothing, so that it may happen anywhere, inside a runtime too.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A thread of a runtime, also one for blocking work: there the async client can be used.
fn refuse_inside_a_runtime() -> Result<(), Error> {
    match Handle::try_current() {
        Ok(_) => Err(Error::InsideRuntime),
        Err(_) => Ok(()),
    }
}
