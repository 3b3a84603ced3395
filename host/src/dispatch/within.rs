//! Bounds of time for what mostly needs none.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::error::Elapsed;

/// As [`tokio::time::timeout`], without a timer for what ends when it is first looked at, as most
/// requests and answers do.
pub(super) async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let at_once = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
    match at_once {
        Poll::Ready(value) => Ok(value),
        Poll::Pending => tokio::time::timeout(limit, future).await,
    }
}
