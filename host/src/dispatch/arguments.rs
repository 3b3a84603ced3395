//! Checks the arguments of a call: here, or beside the serving threads when they are long.

use bytes::Bytes;
use jackfield_wire::{Failure, Status};

use super::Call;
use super::request::Request;
use crate::lane::Lane;
use crate::plugin::Method;
use crate::value::Prepared;

/// The arguments of `request` as the method takes them.
///
/// # Errors
/// When they do not fit, or are not checked when the call's deadline is there. Nothing was executed.
pub(super) async fn checked(
    lane: &Lane,
    call: &Call,
    request: &Request,
) -> Result<Prepared, Failure> {
    let (positional, named) = request.arguments();
    if request.length() <= SHORT {
        return prepare(call.method(), positional, named);
    }
    let (plugin, method) = (call.plugin.clone(), call.method);
    let (positional, named) = (positional.cloned(), named.cloned());
    let check = move || prepare(&plugin.methods()[method], positional.as_ref(), named.as_ref());
    match tokio::time::timeout_at(call.deadline, lane.convert(check)).await {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(lost)) => Err(Failure::not_executed(Status::Internal, lost.to_string())),
        Err(_) => {
            let text = format!("the arguments were not checked after {:?}", call.budget);
            Err(Failure::not_executed(Status::DeadlineExceeded, text))
        }
    }
}

fn prepare(
    method: &Method,
    positional: Option<&Bytes>,
    named: Option<&Bytes>,
) -> Result<Prepared, Failure> {
    let prepared = method.plan().prepare(positional.map(|b| &**b), named.map(|b| &**b));
    prepared.map_err(|error| Failure::not_executed(Status::InvalidArgument, error.to_string()))
}

/// Bytes that are checked in well below a millisecond; handing them to another thread costs some
/// twenty microseconds.
const SHORT: usize = 32 << 10;
