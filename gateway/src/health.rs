//! `/healthz` and `/readyz`: for whoever starts gateways and sends them requests.

use http::StatusCode;
use jackfield_client::Origin;
use serde_json::json;

use crate::reply::{self, Reply};
use crate::routes::Desk;

/// The process answers. Anything else would have it restarted for somebody else's fault.
pub(crate) fn alive() -> Reply {
    reply::with(StatusCode::OK, "text/plain", "ok\n")
}

/// Whether it knows hosts, so that calls can be made.
pub(crate) fn knows_hosts(desk: &Desk) -> bool {
    let is_direct = desk.client.registry_link().is_none();
    is_direct || desk.client.snapshot().origin() != Origin::Nothing
}

/// Requests may be sent here: not before it knows any hosts. A registry that goes away later
/// changes nothing: calls go on by the last good set. A gateway that ends takes no connections.
pub(crate) fn ready(desk: &Desk) -> Reply {
    let link = desk.client.registry_link();
    let snapshot = desk.client.snapshot();
    let is_ready = knows_hosts(desk);
    let body = json!({
        "ready": is_ready,
        "registry": link.and_then(|link| link.connected),
        "services": snapshot.services().count(),
    });
    let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    reply::json(code, &body)
}
