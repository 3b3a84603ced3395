//! Which path leads where, and what every request passes on its way.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use http::header::ALLOW;
use http::{HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use jackfield_client::Client;
use jackfield_wire::Status;
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{self, Admitted};
use crate::call::call;
use crate::catalog::Catalog;
use crate::config::{GatewayConfig, GatewayLimits, Origin};
use crate::console::{self, Console};
use crate::mcp::{McpHttp, Toolbox};
use crate::problem::{self, Problem};
use crate::rate::Rate;
use crate::reply::{self, Reply};
use crate::telemetry::Telemetry;
use crate::{health, services};

/// What every request shares.
pub(crate) struct Desk {
    pub(crate) client: Client,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) console: Arc<Console>,
    pub(crate) limits: GatewayLimits,
    pub(crate) names: Vec<String>,
    pub(crate) origins: Vec<Origin>,
    /// Held to take a token, never across an await.
    pub(crate) rate: Option<Mutex<Rate>>,
    pub(crate) in_flight: Arc<Semaphore>,
    pub(crate) mcp: McpHttp,
    pub(crate) telemetry: Telemetry,
}

impl Desk {
    /// `tasks` and `drain` are the gateway's.
    pub(crate) fn new(
        config: GatewayConfig,
        client: Client,
        tasks: TaskTracker,
        drain: CancellationToken,
    ) -> Self {
        let catalog = Arc::new(Catalog::new(client.clone()));
        let limits = &config.limits;
        let tools = Toolbox::new(client.clone(), catalog.clone(), config.mcp, limits.in_flight);
        Self {
            mcp: McpHttp::new(Arc::new(tools), limits.body),
            console: Console::new(config.console, client.clone(), tasks, drain),
            catalog,
            client,
            rate: config.limits.rate.map(|rate| Mutex::new(Rate::new(rate))),
            in_flight: Arc::new(Semaphore::new(config.limits.in_flight)),
            limits: config.limits,
            telemetry: Telemetry::new(),
            names: config.names,
            origins: config.origins,
        }
    }

    /// Answers one request of `peer`.
    pub(crate) async fn answer(&self, peer: IpAddr, request: Request<Incoming>) -> Reply {
        let counted = self.telemetry.request(request.uri().path());
        let answer = self.admit(peer, request).await;
        counted.ended(answer.status());
        answer
    }

    async fn admit(&self, peer: IpAddr, request: Request<Incoming>) -> Reply {
        let admitted = match admission::check(self, request.uri(), request.headers()) {
            Ok(admitted) => admitted,
            Err(problem) => return admission::finish(problem.reply(), &Admitted::Other),
        };
        if let Some(preflight) = admission::preflight(&admitted, &request) {
            return admission::finish(preflight, &admitted);
        }
        let is_head = request.method() == Method::HEAD;
        let answered = self.route(peer, request).await.unwrap_or_else(Problem::reply);
        let answer = admission::finish(answered, &admitted);
        if is_head { reply::head(answer) } else { answer }
    }

    async fn route(&self, peer: IpAddr, request: Request<Incoming>) -> Result<Reply, Problem> {
        let path = request.uri().path().to_owned();
        let segments = segments(&path)?;
        let page = Page::of(&segments).ok_or_else(|| nothing_at(&path))?;
        if let Some(refused) = page.refused(request.method(), &path) {
            return Ok(refused);
        }
        match page {
            Page::Alive => return Ok(health::alive()),
            Page::Ready => return Ok(health::ready(self)),
            Page::Mcp => return self.mcp.answer(self, peer, request).await,
            Page::Enter => return self.console.is_there().map(|()| console::enter()),
            Page::Asset(first, second) => {
                self.console.is_there()?;
                return console::asset(first, second);
            }
            _ => {}
        }
        let room = admission::room(self, peer)?;
        if page == Page::Events {
            // It would hold its room for as long as somebody looks; there is another bound on those.
            return self.console.events(request.uri(), request.headers());
        }
        let reply = match page {
            Page::Call { service, method } => call(self, service, method, request).await,
            Page::Services => services::list(self).await,
            Page::Service(service) => services::describe(self, service).await,
            Page::Method { service, method } => services::method(self, service, method).await,
            Page::OpenApi => services::openapi(self).await,
            Page::Problem(name) => problem::explain(name),
            Page::Orders => console::order(self, request).await,
            _ => unreachable!("answered above"),
        };
        // An answer takes its room until it has been sent.
        Ok(reply.unwrap_or_else(Problem::reply).map(|body| body.hold(room)))
    }
}

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Page<'p> {
    Call {
        service: &'p str,
        method: &'p str,
    },
    Services,
    Service(&'p str),
    Method {
        service: &'p str,
        method: &'p str,
    },
    OpenApi,
    Mcp,
    Problem(&'p str),
    Alive,
    Ready,
    /// Where people begin.
    Enter,
    /// A file of the console, in a folder or not.
    Asset(&'p str, Option<&'p str>),
    Events,
    Orders,
}

impl<'p> Page<'p> {
    fn of(segments: &'p [Cow<'p, str>]) -> Option<Self> {
        let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        Some(match *segments {
            ["call", service, method] => Self::Call { service, method },
            ["services"] => Self::Services,
            ["services", service] => Self::Service(service),
            ["services", service, "methods", method] => Self::Method { service, method },
            ["openapi.json"] => Self::OpenApi,
            ["mcp"] => Self::Mcp,
            ["problems", name] => Self::Problem(name),
            ["healthz"] => Self::Alive,
            ["readyz"] => Self::Ready,
            [""] | ["console"] => Self::Enter,
            ["console", "events"] => Self::Events,
            ["console", "orders"] => Self::Orders,
            ["console", file] => Self::Asset(file, None),
            ["console", folder, file] => Self::Asset(folder, Some(file)),
            _ => return None,
        })
    }

    /// The answer to a method of HTTP that is not the page's.
    fn refused(self, method: &Method, path: &str) -> Option<Reply> {
        let allowed = match self {
            Self::Call { .. } | Self::Orders => "POST",
            Self::Mcp => "GET, POST, DELETE",
            Self::Events => "GET",
            _ => "GET, HEAD",
        };
        if allowed.split(", ").any(|one| one == method.as_str()) {
            return None;
        }
        let detail = format!("{path} is not for {method}: use {allowed}");
        let problem = Problem::new(Status::InvalidArgument, detail);
        let mut reply = problem.code(StatusCode::METHOD_NOT_ALLOWED).reply();
        reply.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        Some(reply)
    }
}

/// The parts of a path between its slashes, each read by itself: a method's qualified name has
/// slashes of its own, written as `%2F`.
fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, Problem> {
    let parts = path.strip_prefix('/').unwrap_or(path).split('/');
    let decoded: Result<Vec<_>, _> =
        parts.map(|part| percent_decode_str(part).decode_utf8()).collect();
    decoded.map_err(|_| {
        Problem::new(Status::InvalidArgument, format!("the path {path} is not UTF-8 as %XX"))
    })
}

fn nothing_at(path: &str) -> Problem {
    let detail = format!(
        "there is nothing at {path}; there is POST /call/SERVICE/METHOD, GET /services, GET \
         /services/SERVICE, GET /services/SERVICE/methods/METHOD, GET /openapi.json, GET /healthz, \
         GET /readyz and, for agents, /mcp, for people GET /console/"
    );
    Problem::new(Status::NotFound, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qualified_method_is_one_segment() {
        let parts = segments("/call/text/demo%3Atext%2Fapi%400.1.0%23slug").unwrap();
        let expected = Page::Call { service: "text", method: "demo:text/api@0.1.0#slug" };
        assert_eq!(Page::of(&parts), Some(expected));
    }

    #[test]
    fn what_is_near_a_path_is_not_it() {
        for path in ["//call/a/b", "/call/a/b/", "/call/a", "/services/", "/Services"] {
            let parts = segments(path).unwrap();
            let page = Page::of(&parts);
            assert!(matches!(page, None | Some(Page::Service(""))), "{path}: {page:?}");
        }
        assert!(segments("/call/%ff/x").is_err());
    }
}
