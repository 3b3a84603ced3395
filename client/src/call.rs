//! A call: what is sent where, and what comes of it.

use std::net::SocketAddr;

use crate::answer::Answer;
use crate::attempt::{Answered, Destination, attempt};
use crate::client::Inner;
use crate::course::{Course, Done, Finished, Job, Way};
use crate::error::CallError;
use crate::snapshot::Endpoint;
use crate::spec::Spec;

/// Runs a call to its end. Dropping the future cancels it, on the host too.
pub(crate) async fn run(inner: &Inner, spec: &Spec) -> Result<Answer, CallError> {
    let job = Job {
        target: &spec.target,
        service: spec.sought(),
        route: &spec.route,
        options: &spec.options,
        left: spec.context.left(),
        is_dialled: true,
    };
    let course = Course::new(inner, job);
    let finished = course.run(|way, deadline| {
        let to = destination(way, &spec.target.method);
        async move {
            let answered = attempt(&inner.pool, &to, spec, &deadline).await?;
            let load = answered.load;
            Ok(Done { value: (answered, to.address), load })
        }
    });
    Ok(answer(finished.await?, spec))
}

fn destination(way: &Way, method: &str) -> Destination {
    match way {
        Way::Seat(seat) => Destination {
            address: seat.endpoint.address.expect("only endpoints with an address are dialled"),
            host: Some(seat.endpoint.instance.host.clone()),
            listed: lists(&seat.endpoint, method),
        },
        Way::Address(address) => Destination { address: *address, host: None, listed: false },
    }
}

/// Whether the registry names the method, by its short or its qualified name.
fn lists(endpoint: &Endpoint, method: &str) -> bool {
    let short = method.rsplit_once('#').map_or(method, |(_, short)| short);
    endpoint.instance.methods.iter().any(|known| known.name == method || known.name == short)
}

fn answer(finished: Finished<(Answered, SocketAddr)>, spec: &Spec) -> Answer {
    let Finished { value: (answered, address), elapsed, attempts } = finished;
    let Answered { host, value, generation, load } = answered;
    let target = spec.target.clone();
    Answer { target, value, generation, load, host, address, elapsed, attempts }
}
