//! Calls another service and asks for its own call, by `wit/` of the repository. Documented in `wit/till.wit`.
#![no_std]
extern crate alloc;

use alloc::{format, string::String, string::ToString, vec::Vec};

guest::runtime!();
guest::embed_wit!("../wit/till.wit");
wit_bindgen::generate!({ world: "demo:till/shop", path: ["../../wit", "wit"], generate_all });
export!(Till);

use exports::demo::till::till::{About, Guest as Methods};
use jackfield::plugin::services::{self, Executed, Failure, Options};
use jackfield::plugin::{call, log};

struct Till;

impl Methods for Till {
    fn total(prices: Vec<f64>, tax: Option<f64>) -> Result<f64, String> {
        let list: Vec<String> = prices.iter().map(ToString::to_string).collect();
        let sum = number("calc.sum", &format!("[[{}]]", list.join(",")))?;
        let factor = 1.0 + tax.unwrap_or(0.0) / 100.0;
        let total = number("calc.mul", &format!("[{sum}, {factor}]"))?;
        let fields =
            [("prices".into(), prices.len().to_string()), ("total".into(), total.to_string())];
        log::write(log::Level::Info, "added up", &fields);
        Ok(total)
    }

    fn about_call() -> About {
        About {
            caller: call::caller(),
            time_left: call::time_left(),
            trace_parent: call::trace_parent(),
        }
    }

    fn ask(
        target: String,
        arguments: String,
        deadline: Option<u64>,
        idempotent: Option<bool>,
        key: Option<String>,
    ) -> Result<String, String> {
        let options = Options { deadline, idempotent: idempotent.unwrap_or(false), key };
        services::call_with(&target, &arguments, &options).map_err(|failure| told(&failure))
    }
}

impl Guest for Till {
    /// There is no call while it tests itself, and so no caller.
    fn self_test() -> Result<(), String> {
        match call::caller() {
            None => Ok(()),
            Some(caller) => Err(format!("nobody should call, and {caller} does")),
        }
    }
}

fn number(target: &str, arguments: &str) -> Result<f64, String> {
    let json = services::call(target, arguments).map_err(|failure| told(&failure))?;
    json.parse().map_err(|_| format!("{target} gave {json}, which is no number"))
}

fn told(failure: &Failure) -> String {
    let ran = match failure.executed {
        Executed::No => "not executed",
        Executed::Yes => "executed",
        Executed::Unknown => "perhaps executed",
    };
    let value = failure.value.as_deref().unwrap_or_default();
    format!("{:?} ({ran}): {}{value}", failure.status, failure.message)
}
