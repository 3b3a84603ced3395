//! The web console: what its page may do, what viewers are told, and who may not order anything.
//! What it looks like, and what it does in a browser, is for `tests/console.sh`.

use jackfield_gateway::ConsoleMode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::PATIENCE;
use crate::{Stage, http};

/// A console that listens.
struct Viewer(TcpStream);

impl Viewer {
    async fn open(stage: &Stage, headers: &[&str]) -> Self {
        let mut stream = TcpStream::connect(stage.address()).await.unwrap();
        let request = http::text(stage.address(), "GET /console/events", headers, "");
        stream.write_all(request.as_bytes()).await.unwrap();
        Self(stream)
    }

    /// Everything up to and with `word`.
    async fn until(&mut self, word: &str) -> String {
        let mut text = String::new();
        let reading = async {
            while !text.contains(word) {
                let mut piece = [0; 4096];
                let length = self.0.read(&mut piece).await.unwrap();
                assert!(length > 0, "it ended before {word}: {text}");
                text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
            }
        };
        tokio::time::timeout(PATIENCE, reading).await.expect("it comes");
        text
    }

    /// What comes until the gateway ends it.
    async fn rest(mut self) -> String {
        let mut text = String::new();
        let reading = self.0.read_to_string(&mut text);
        tokio::time::timeout(PATIENCE, reading).await.expect("it ends").unwrap();
        text
    }
}

#[tokio::test]
async fn the_page_may_load_nothing_from_elsewhere_and_be_in_no_frame() {
    let stage = Stage::new().await;
    let home = stage.send("GET /", &[], "").await;
    assert_eq!((home.code, home.header("location")), (303, Some("/console/")));
    let page = stage.send("GET /console/", &[], "").await;
    assert_eq!((page.code, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self';", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !page.body.contains("<script>"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let script = stage.send("GET /console/pages/services.js", &[], "").await;
    assert_eq!(script.header("content-type"), Some("text/javascript; charset=utf-8"));
}

#[tokio::test]
async fn a_viewer_is_told_what_there_is_and_how_it_fares() {
    let stage = Stage::new().await;
    let mut viewer = Viewer::open(&stage, &["Sec-Fetch-Site: same-origin"]).await;
    let told = viewer.until("event: pulse\ndata: {").await;
    assert!(
        told.contains("Content-Type: text/event-stream")
            || told.contains("content-type: text/event-stream"),
        "{told}"
    );
    let (hello, rest) = told.split_once("event: services").unwrap();
    assert!(hello.contains(r#""orders":false"#), "{hello}");
    assert!(rest.contains(r#"{"whole":true,"set":[],"gone":[]}"#), "{rest}");
    // Each second has figures of its own, for as long as somebody looks.
    viewer.until("event: pulse").await;
    viewer.until("event: pulse").await;
}

#[tokio::test]
async fn a_viewer_that_comes_again_is_not_told_what_it_knows() {
    let stage = Stage::new().await;
    let mut first = Viewer::open(&stage, &[]).await;
    let told = first.until("event: pulse").await;
    let id = told.lines().find(|line| line.starts_with("id: ")).unwrap();
    let again = format!("Last-Event-ID: {}", &id["id: ".len()..]);
    let told = Viewer::open(&stage, &[&again]).await.until("event: pulse").await;
    assert!(told.contains("event: hello") && !told.contains("event: services"), "{told}");
    let told = Viewer::open(&stage, &["Last-Event-ID: other-1"]).await.until("event: pulse").await;
    assert!(told.contains("event: services"), "{told}");
}

#[tokio::test]
async fn there_is_room_for_so_many_viewers_and_it_comes_back() {
    let stage = Stage::with(|config| config.limits.in_flight = 2).await;
    let mut viewers = Vec::new();
    for _ in 0..32 {
        let mut viewer = Viewer::open(&stage, &[]).await;
        viewer.until("event: hello").await;
        viewers.push(viewer);
    }
    let refused = stage.send("GET /console/events", &[], "").await;
    refused.problem(429, "resource-exhausted");
    // They take no room from calls.
    assert_eq!(stage.call("who", &[], "").await.code, 200);
    drop(viewers);
    let opened =
        async { while !Viewer::open(&stage, &[]).await.until("\r\n").await.contains("200") {} };
    tokio::time::timeout(PATIENCE, opened).await.expect("their places are free");
}

#[tokio::test]
async fn viewers_are_let_go_when_the_gateway_ends() {
    let stage = Stage::new().await;
    let mut viewer = Viewer::open(&stage, &[]).await;
    viewer.until("event: pulse").await;
    let ended = stage.gateway.shutdown(PATIENCE).await;
    assert_eq!(ended, jackfield_gateway::Drained::Finished);
    let rest = viewer.rest().await;
    assert!(rest.ends_with("0\r\n\r\n"), "the last chunk: {rest:?}");
}

#[tokio::test]
async fn a_viewer_that_does_not_read_is_cut_off() {
    let stage =
        Stage::with(|config| config.limits.idle = std::time::Duration::from_millis(100)).await;
    let mut tasks = tokio::task::JoinSet::new();
    // Room for the head of the answer alone.
    let mut sender = http::h2(stage.address(), 1, &mut tasks).await;
    let uri = format!("http://{}/console/events", stage.address());
    let request = hyper::Request::get(uri).body(http_body_util::Full::default()).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 200);
    let gone = async {
        while sender.ready().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the gateway closes it");
}

#[tokio::test]
async fn pages_of_others_hear_nothing() {
    let origin = "https://app.example";
    let stage = Stage::with(|config| config.origins = vec![origin.parse().unwrap()]).await;
    for header in
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", &format!("Origin: {origin}")]
    {
        let reply = stage.send("GET /console/events", &[header], "").await;
        reply.problem(403, "permission-denied");
    }
}

const JSON: &str = "Content-Type: application/json";
const OWN: &str = "Sec-Fetch-Site: same-origin";
const DRAIN: &str = r#"{"instance": "calc@host", "drain": true}"#;

#[tokio::test]
async fn without_leave_no_orders_are_taken() {
    let stage = Stage::new().await;
    let reply = stage.send("POST /console/orders", &[JSON, OWN], DRAIN).await;
    let problem = reply.problem(403, "permission-denied");
    assert!(problem["detail"].as_str().unwrap().contains("--console orders"));
}

#[tokio::test]
async fn orders_are_taken_from_the_own_page_alone_and_have_to_make_sense() {
    let allowed = "https://app.example";
    let stage = Stage::with(|config| {
        config.console = ConsoleMode::Orders;
        config.origins = vec![allowed.parse().unwrap()];
    })
    .await;
    let ours = format!("Origin: http://{}", stage.address());
    let allowed = format!("Origin: {allowed}");
    for (headers, body, code, hint) in [
        (vec![JSON], DRAIN, 403, "own page"),
        (vec![JSON, &allowed], DRAIN, 403, "own page"),
        (vec![JSON, &ours, "Sec-Fetch-Site: cross-site"], DRAIN, 403, "own page"),
        (vec!["Content-Type: text/plain", OWN], DRAIN, 415, "application/json"),
        (vec![JSON, OWN], "[]", 400, "an order is"),
        (vec![JSON, OWN], "", 400, "an order is"),
        (vec![JSON, OWN], r#"{"instance": "calc@host"}"#, 404, "no instance"),
        (vec![JSON, OWN], r#"{"instance": "x", "delete": true}"#, 400, "delete"),
        (vec![JSON, OWN], DRAIN, 404, "GET /services"),
        (vec![JSON, &ours], DRAIN, 404, "no instance"),
    ] {
        let reply = stage.send("POST /console/orders", &headers, body).await;
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(reply.code == code && detail.contains(hint), "{headers:?} {body}: {reply:?}");
    }
}

#[tokio::test]
async fn a_gateway_without_a_console_has_none_of_it() {
    let stage = Stage::with(|config| config.console = ConsoleMode::Off).await;
    for line in ["GET /", "GET /console/", "GET /console/main.js", "GET /console/events"] {
        let reply = stage.send(line, &[], "").await;
        let problem = reply.problem(404, "not-found");
        assert!(problem["detail"].as_str().unwrap().contains("--console"), "{line}");
    }
    let reply = stage.send("POST /console/orders", &[JSON, OWN], DRAIN).await;
    reply.problem(404, "not-found");
}
