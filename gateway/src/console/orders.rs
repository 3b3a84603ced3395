//! `POST /console/orders`: what an operator orders of an instance.
//!
//! The registry decides whether it obeys, by the name in the gateway's certificate.

use http::{Request, StatusCode};
use hyper::body::Incoming;
use jackfield_client::RegistryError;
use jackfield_transport::chain;
use jackfield_wire::registry::{Edit, InstancePatch};
use jackfield_wire::{InstanceId, Status};
use serde::Deserialize;

use crate::admission::{self, Asker};
use crate::arguments::Arguments;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::routes::Desk;

/// The body. What it does not name stays as it is.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Order {
    /// Which: `calc@host-a`.
    instance: String,
    /// Out of service.
    disabled: Option<bool>,
    /// Nothing new.
    drain: Option<bool>,
    /// Share of calls.
    weight: Option<u32>,
    /// Takes every order about it back; with nothing else.
    #[serde(default)]
    clear: bool,
}

/// Passes an order on; answers with what holds then.
///
/// # Errors
/// When orders are not taken here, the order makes no sense, or the registry refuses it.
pub(crate) async fn order(desk: &Desk, request: Request<Incoming>) -> Result<Reply, Problem> {
    desk.console.takes_orders()?;
    let (head, body) = request.into_parts();
    if admission::asker(&head.uri, &head.headers) != Asker::OwnPage {
        let detail = "orders are taken from the console's own page alone; from elsewhere: \
                      `jackfield instance set`";
        return Err(Problem::new(Status::PermissionDenied, detail));
    }
    let Arguments::Named(json) = Arguments::receive(&head.headers, body, &desk.limits).await?
    else {
        return Err(invalid(SHAPE));
    };
    let order: Order =
        serde_json::from_slice(&json).map_err(|error| invalid(format!("{error}; {SHAPE}")))?;
    let patch = order.patch(known(desk, &order.instance)?)?;
    let operator = desk.client.operator().await.map_err(|error| refused(&error))?;
    let holds = operator.set_instance(patch).await;
    operator.close().await;
    Ok(reply::json(StatusCode::OK, &holds.map_err(|error| refused(&error))?))
}

/// Only what this gateway's viewers can see can be ordered about.
fn known(desk: &Desk, wanted: &str) -> Result<InstanceId, Problem> {
    let snapshot = desk.client.snapshot();
    let found = snapshot.instances().find(|instance| instance.id.as_str() == wanted);
    found.map(|instance| instance.id.clone()).ok_or_else(|| {
        let detail = format!("there is no instance {wanted:?}; GET /services has those there are");
        Problem::new(Status::NotFound, detail)
    })
}

impl Order {
    fn patch(&self, id: InstanceId) -> Result<InstancePatch, Problem> {
        let Self { disabled, drain, weight, clear, .. } = *self;
        let names_any = disabled.is_some() || drain.is_some() || weight.is_some();
        if clear == names_any {
            return Err(invalid(SHAPE));
        }
        if clear {
            return Ok(InstancePatch {
                disabled: Some(false),
                drain: Some(false),
                weight: Edit::Unset,
                note: Edit::Unset,
                ..InstancePatch::new(id)
            });
        }
        let weight = weight.map_or(Edit::Keep, Edit::Set);
        Ok(InstancePatch { disabled, drain, weight, ..InstancePatch::new(id) })
    }
}

fn refused(error: &RegistryError) -> Problem {
    Problem::new(error.status(), chain(error))
}

fn invalid(detail: impl AsRef<str>) -> Problem {
    Problem::new(Status::InvalidArgument, detail)
}

const SHAPE: &str = "an order is a JSON object with `instance` and some of `drain`, `disabled` and \
                     `weight`, or with `instance` and `\"clear\": true` alone";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<InstancePatch, String> {
        let order: Order = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let id = InstanceId::of(&"calc".parse().unwrap(), "a");
        order.patch(id).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn an_order_changes_what_it_names_or_clears_everything() {
        let set = read(r#"{"instance": "calc@a", "drain": true, "weight": 0}"#).unwrap();
        assert_eq!((set.drain, set.disabled, set.weight), (Some(true), None, Edit::Set(0)));
        let clear = read(r#"{"instance": "calc@a", "clear": true}"#).unwrap();
        assert_eq!((clear.drain, clear.disabled), (Some(false), Some(false)));
        assert_eq!((clear.weight, clear.note), (Edit::Unset, Edit::Unset));
    }

    #[test]
    fn what_is_no_order_is_refused() {
        for json in [
            r#"{"instance": "calc@a"}"#,
            r#"{"instance": "calc@a", "clear": true, "drain": true}"#,
            r#"{"instance": "calc@a", "weight": -1}"#,
            r#"{"instance": "calc@a", "drain": "yes"}"#,
            r#"{"instance": "calc@a", "delete": true}"#,
            r#"{"drain": true}"#,
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }
}
