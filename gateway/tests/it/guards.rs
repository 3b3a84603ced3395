//! Who may call, and what is refused before anything is called.

use std::num::NonZeroU32;

use crate::Stage;
use crate::harness::reaches;

#[tokio::test]
async fn a_name_that_is_not_the_gateways_is_refused_whatever_is_asked() {
    let stage = Stage::with(|config| config.names = vec!["api.example".into()]).await;
    let port = stage.address().port();
    for path in ["GET /services", "GET /healthz", "POST /call/any/who", "GET /nowhere"] {
        let reply = stage.send(path, &[&format!("Host: evil.example:{port}")], "").await;
        let problem = reply.problem(421, "permission-denied");
        assert!(problem["detail"].as_str().unwrap().contains("--allow-host evil.example"));
    }
    for host in [format!("localhost:{port}"), "api.example".into(), "[::1]".into()] {
        let reply = stage.send("POST /call/any/who", &[&format!("Host: {host}")], "").await;
        assert_eq!(reply.code, 200, "{host}");
    }
    assert_eq!(stage.host.calls(), 3);
}

#[tokio::test]
async fn pages_of_other_origins_are_refused() {
    let stage = Stage::new().await;
    let ours = format!("Origin: http://{}", stage.address());
    assert_eq!(stage.send("POST /call/any/who", &[&ours], "").await.code, 200);
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
        let reply = stage.send("POST /call/any/who", &[&format!("Origin: {origin}")], "").await;
        reply.problem(403, "permission-denied");
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert_eq!(stage.host.calls(), 1);
}

#[tokio::test]
async fn an_origin_that_was_allowed_may_ask_and_read() {
    let allowed = "https://app.example".parse().unwrap();
    let stage = Stage::with(|config| config.origins = vec![allowed]).await;
    let origin = "Origin: https://app.example";
    let asks = ["Access-Control-Request-Method: POST", origin];
    let reply = stage.send("OPTIONS /call/any/who", &asks, "").await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
    let allowed = reply.header("access-control-allow-headers").unwrap();
    assert!(allowed.contains("jackfield-timeout") && allowed.contains("content-type"), "{allowed}");
    let reply = stage.call("missing", &[origin], "").await;
    assert_eq!(reply.code, 404);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(reply.header("access-control-expose-headers").unwrap().contains("jackfield-status"));
    let other = stage.call("who", &["Origin: https://other.example"], "").await;
    other.problem(403, "permission-denied");
}

#[tokio::test]
async fn what_a_form_can_send_is_no_call() {
    let stage = Stage::new().await;
    let reply = stage.send("POST /call/any/first", &["Content-Type: text/plain"], "[1]").await;
    let problem = reply.problem(415, "invalid-argument");
    assert!(problem["detail"].as_str().unwrap().contains("--json"));
    assert_eq!(stage.host.calls(), 0);
}

#[tokio::test]
async fn mistakes_are_told_what_to_mend() {
    let stage = Stage::with(|config| config.limits.body = 100).await;
    for (line, headers, body, code, hint) in [
        ("POST /call/any/first", vec![], "1", 400, "[VALUE]"),
        ("POST /call/any/first", vec![], &*format!("[{}]", "1".repeat(200)), 413, "100 B"),
        ("POST /call/any/first", vec!["Jackfield-Timeout: 5"], "[]", 400, "500ms"),
        ("POST /call/any/first", vec!["Jackfield-Timeout: 11m"], "[]", 400, "10 min"),
        ("POST /call/a%20b/first", vec![], "[]", 400, "service's name"),
        ("POST /call/%ff/first", vec![], "[]", 400, "UTF-8"),
        ("POST /call/jackfield/rollback", vec![], "[]", 403, "GET /services"),
        ("GET /services/jackfield", vec![], "", 403, "GET /services"),
        ("GET /call/any/first", vec![], "", 405, "use POST"),
        ("DELETE /services", vec![], "", 405, "use GET"),
        ("GET /call/any", vec![], "", 404, "/call/SERVICE/METHOD"),
        ("GET /nothing", vec![], "", 404, "GET /openapi.json"),
        ("GET /console/nothing.js", vec![], "", 404, "/console/"),
        ("POST /console/", vec![], "{}", 405, "use GET"),
        ("GET /console/orders", vec![], "", 405, "use POST"),
        ("GET /problems/none", vec![], "", 404, "deadline-exceeded"),
    ] {
        let mut all = vec!["Content-Type: application/json"];
        all.extend(headers);
        let reply = stage.send(line, &all, body).await;
        let detail = reply.json()["detail"].as_str().unwrap_or_default().to_owned();
        assert!(reply.code == code && detail.contains(hint), "{line} {body}: {reply:?}");
        assert_eq!(reply.json()["executed"], "no", "{line}");
    }
    assert_eq!(stage.host.calls(), 0);
}

#[tokio::test]
async fn a_chunked_body_is_held_against_the_limit_too() {
    let stage = Stage::with(|config| config.limits.body = 100).await;
    let chunk = format!("5dc\r\n{}\r\n0\r\n\r\n", "1".repeat(1500));
    let headers = ["Content-Type: application/json", "Transfer-Encoding: chunked"];
    let text = crate::http::text(stage.address(), "POST /call/any/first", &headers, "");
    let text = text.replace("Content-Length: 0\r\n", "") + &chunk;
    let mut stream = tokio::net::TcpStream::connect(stage.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, text.as_bytes()).await.unwrap();
    crate::http::last(&mut stream).await.problem(413, "invalid-argument");
}

#[tokio::test]
async fn more_at_once_than_there_is_room_for_is_refused_and_health_still_answers() {
    let stage = Stage::with(|config| config.limits.in_flight = 1).await;
    let held = stage.call("hold", &[], "");
    let other = async {
        reaches(&stage.host.desk.held, 1).await;
        let reply = stage.call("who", &[], "").await;
        reply.problem(429, "resource-exhausted");
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert_eq!(stage.send("GET /healthz", &[], "").await.code, 200);
        assert_eq!(stage.send("GET /readyz", &[], "").await.code, 200);
        stage.host.desk.release.add_permits(1);
    };
    let (held, ()) = tokio::join!(held, other);
    assert_eq!(held.code, 200);
    assert_eq!(stage.call("who", &[], "").await.code, 200);
}

#[tokio::test]
async fn one_address_may_not_ask_more_often_than_the_rate_says() {
    let stage = Stage::with(|config| config.limits.rate = NonZeroU32::new(1)).await;
    assert_eq!(stage.call("who", &[], "").await.code, 200);
    // A machine so slow that each of these takes a second would refuse none of them.
    for _ in 0..1000 {
        let reply = stage.call("who", &[], "").await;
        if reply.code == 429 {
            assert_eq!(reply.header("retry-after"), Some("1"));
            return;
        }
    }
    panic!("nothing was refused");
}
