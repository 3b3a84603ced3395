//! A call without its stream, and pieces of one, for `benches/parts.rs`.

use std::sync::Arc;

use jackfield_transport::{PeerId, Role};
use jackfield_wire::{CallHead, to_cbor};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::fault::Fault;
use super::gate::{Entrance, Share};
use super::request::Request;
use super::{Call, Dispatch, arguments, fault, lookup, run};
use crate::breaker::Outcome;
use crate::value::Answer;

/// A call of `service`.`method`, from a request that was read to the JSON of its answer; the length
/// of that.
///
/// # Panics
/// When it is answered by anything but a value.
pub(crate) fn call(
    (dispatch, runtime): (Arc<Dispatch>, Arc<Runtime>),
    (service, method): (&'static str, &'static str),
    arguments: &'static str,
) -> impl FnMut() -> usize + use<> {
    let (deadline_ms, trace, key) = (Some(30_000), None, None);
    let (idempotent, hops) = (false, 0);
    let head = CallHead { service, method, deadline_ms, trace, key, idempotent, hops };
    let request = Request::new(to_cbor(&head), Some(arguments.into()), None);
    let peer = PeerId::new("local", Role::Client, "parts").expect("a plain name is one");
    move || match runtime.block_on(dispatch.value(&request, &peer)) {
        Ok(Answer::Ok(json)) => json.len(),
        Ok(Answer::Application(json)) => panic!("{}", String::from_utf8_lossy(&json)),
        Err(fault) => panic!("{:?}", fault.failure()),
    }
}

/// A place taken for a call and given back; whether there was one.
pub(crate) fn permit(dispatch: Arc<Dispatch>) -> impl FnMut() -> bool {
    let (plugin, share) = ("greeter".into(), Share { concurrency: 64, queue: 64 });
    move || matches!(dispatch.gate.enter(&plugin, share), Ok(Entrance::In(_)))
}

impl Dispatch {
    /// The way of any call, but for its span and its lane.
    async fn value(&self, request: &Request, peer: &PeerId) -> Result<Answer, Fault> {
        let head = request.head()?;
        let snapshot = self.catalog.now();
        let plugin = Arc::clone(lookup::plugin(&snapshot, head.service)?);
        let method = lookup::method(&plugin, head.method)?;
        drop(snapshot);
        let (began, budget) = (Instant::now(), plugin.limits().deadline_for(None));
        let deadline = began + budget;
        let served = Arc::clone(&plugin);
        let call = Call { id: 0, plugin: served, method, began, budget, deadline, current: None };
        let counted = plugin.tally(method).begin(began);
        request.check_length(plugin.limits().arguments)?;
        let refused = |told| fault::quarantined(plugin.service(), &told);
        plugin.watch().check(began.into_std(), peer).map_err(refused)?;
        let permit = self.enter(&call).await?;
        let watching = plugin.watch().admit(permit.since(), peer).map_err(refused)?;
        let arguments = arguments::checked(&self.lane, &call, request).await?;
        let answer = run::here(call, arguments, &self.limits, permit).await?;
        watching.ended(Outcome::Good, "");
        counted.ended(jackfield_wire::Status::Ok);
        Ok(answer)
    }
}
