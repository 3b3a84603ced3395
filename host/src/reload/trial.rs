//! Tries a new version before it serves: an instance of it has to start, and its own test to pass.
//!
//! The test is an exported function called `self-test` without parameters and with a `result`, at
//! the root or in an interface. Both run once, in one fresh instance, within the plugin's limits and
//! its default deadline, in the lane for what takes long.

use crate::dispatch::{quoted, trapped};
use crate::guest::{Guest, Output, Source};
use crate::limits::HostLimits;
use crate::plugin::{Method, Plugin, Rejection};
use crate::value::{Answer, CallError};
use jackfield_wire::Executed;
use jackfield_wire::ty::Type;

/// Starts an instance of `plugin` and runs its self-tests.
///
/// # Cancel safety
/// Dropping it ends the guest.
///
/// # Errors
/// What the guest ran into, or what its test says.
pub(crate) async fn trial(plugin: &Plugin, limits: &HostLimits) -> Result<(), Rejection> {
    let service = plugin.service().as_str().into();
    let output =
        Output::new(Source { service, method: SELF_TEST.into(), call: None }, plugin.log().clone());
    let deadline = plugin.limits().deadline_for(None);
    let mut stage = Rejection::Start as Stage;
    let run = Box::pin(run(plugin, limits, &output, &mut stage));
    let ended = tokio::time::timeout(deadline, run).await;
    let stderr = output.finish();
    let text = match ended {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(Failed::Guest(error))) => {
            trapped(&error, Executed::Yes, &stderr, plugin.limits()).message
        }
        Ok(Err(Failed::Said(text))) => format!("{text}{}", quoted(&stderr)),
        Err(_) => format!("it had not ended after {deadline:?}{}", quoted(&stderr)),
    };
    Err(stage(text))
}

/// Which word to put before what went wrong.
type Stage = fn(String) -> Rejection;

enum Failed {
    Guest(wasmtime::Error),
    Said(String),
}

async fn run(
    plugin: &Plugin,
    limits: &HostLimits,
    output: &Output,
    stage: &mut Stage,
) -> Result<(), Failed> {
    let mut store = Guest::store(plugin, limits, output);
    let instance = plugin.pre().instantiate_async(&mut store).await.map_err(Failed::Guest)?;
    *stage = Rejection::SelfTest;
    for method in plugin.methods().iter().filter(|method| is_self_test(method)) {
        let function = instance
            .get_func(&mut store, method.index())
            .ok_or_else(|| Failed::Said("the instance lacks what its component exports".into()))?;
        let nothing = method.plan().prepare(None, None);
        let nothing = nothing.map_err(|error| Failed::Said(error.to_string()))?;
        store.set_epoch_deadline(1);
        let longest = plugin.limits().result;
        match method.plan().call(&mut store, function, nothing, longest).await {
            Ok(Answer::Ok(_)) => {}
            Ok(Answer::Application(said)) => {
                return Err(Failed::Said(String::from_utf8_lossy(&said).into_owned()));
            }
            Err(CallError::Guest(error)) => return Err(Failed::Guest(error)),
            Err(CallError::Result(error)) => return Err(Failed::Said(error.to_string())),
        }
    }
    Ok(())
}

fn is_self_test(method: &Method) -> bool {
    let info = method.info();
    let name = info.qualified.rsplit('#').next().unwrap_or_default();
    let gives_result = matches!(info.signature.result, Some(Type::Result { .. }));
    name == SELF_TEST && info.signature.params.is_empty() && gives_result
}

/// The name of the function that tests its own plugin.
const SELF_TEST: &str = "self-test";
