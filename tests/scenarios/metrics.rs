//! What operators see over HTTP: metrics and probes of real processes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use jackfield_harness::{PluginFolder, Process, Stage, eventually_blocking};

use crate::stage;

/// A registry, a host and a gateway that serve metrics.
struct Observed {
    gateway: Process,
    host: Process,
    registry: Process,
    stage: Stage,
    _folder: PluginFolder,
}

impl Observed {
    fn start() -> Self {
        let stage = stage();
        let folder = stage.folder("host-a").unwrap();
        folder.add("calc").unwrap();
        let on = ["--metrics", "127.0.0.1:0"];
        let spawn = |name: &str, args: &[&str]| stage.spawn(name, &[args, &on].concat()).unwrap();
        let registry = spawn("registry", &["registry", "-p", "0"]);
        let address = registry.address().to_string();
        let path = folder.path().to_string_lossy().into_owned();
        let host = spawn("host-a", &["host", &path, "--registry", &address]);
        let gateway = spawn("gateway", &["gateway", "-p", "0", "--registry", &address]);
        Self { gateway, host, registry, stage, _folder: folder }
    }

    fn call(&self, args: &[&str]) -> Option<i32> {
        let all = [&["call"], args].concat();
        self.stage.run_at(self.registry.address(), &all).unwrap().code
    }
}

/// Where a process serves its metrics: it says so on stderr.
fn metrics(process: &Process) -> SocketAddr {
    eventually_blocking("it says where its metrics are", || {
        let log = process.log();
        let (_, rest) = log.split_once("metrics: http://")?;
        rest.split('/').next()?.parse().ok()
    })
}

/// The status and the body of `GET path`.
fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, &format!("GET {path} HTTP/1.1\r\n"), "")
}

/// The status of `POST path` with JSON.
fn post(address: SocketAddr, path: &str, json: &str) -> u16 {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json\r\n");
    ask(address, &head, json).0
}

fn ask(address: SocketAddr, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let rest = format!("Host: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    write!(stream, "{head}{rest}{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn scrape(process: &Process) -> String {
    let (code, text) = get(metrics(process), "/metrics");
    assert_eq!(code, 200, "{text}");
    text
}

/// The kind of each family in a scrape, or in the table of the documentation.
fn kinds(text: &str) -> BTreeMap<String, String> {
    let of_type = |line: &str| {
        let mut words = line.strip_prefix("# TYPE ")?.split(' ');
        Some((words.next()?.to_owned(), words.next()?.to_owned()))
    };
    text.lines().filter_map(of_type).collect()
}

fn documented() -> BTreeMap<String, String> {
    let page = include_str!("../../docs/metrics.md");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let name = cells.next()?.trim_end_matches('`');
        let is_metric = name.starts_with("jackfield_") || name.starts_with("process_");
        is_metric.then(|| Some((name.to_owned(), cells.next()?.to_owned())))?
    };
    page.lines().filter_map(row).filter(|(_, kind)| KINDS.contains(&kind.as_str())).collect()
}

const KINDS: [&str; 3] = ["counter", "gauge", "histogram"];

/// The number of a series.
fn value(text: &str, series: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

#[test]
fn what_is_served_is_what_is_documented() {
    let observed = Observed::start();
    assert_eq!(observed.call(&["calc.add", "1", "2"]), Some(0));
    assert_eq!(observed.call(&["calc.div", "1", "0"]), Some(5));
    let gateway = observed.gateway.address();
    eventually_blocking("the gateway knows the host", || {
        (post(gateway, "/call/calc/add", "[1, 2]") == 200).then_some(())
    });
    assert_eq!(post(gateway, "/call/calc/nothing", "[]"), 404);
    let documented = documented();
    assert!(documented.len() > 40, "{documented:?}");
    for (process, part) in [
        (&observed.host, "jackfield_host_"),
        (&observed.registry, "jackfield_registry_"),
        (&observed.gateway, "jackfield_gateway_"),
    ] {
        let text = scrape(process);
        let served = kinds(&text);
        for (name, kind) in &served {
            assert_eq!(documented.get(name), Some(kind), "{name} of {part}*");
        }
        let late = ["jackfield_gateway_connections_refused_total"];
        for name in documented.keys().filter(|name| name.starts_with(part)) {
            let is_late = late.contains(&name.as_str());
            assert!(is_late || served.contains_key(name), "{name} is not served: {text}");
        }
        for name in ["jackfield_build_info", "process_resident_memory_bytes"] {
            assert!(served.contains_key(name), "{name} is not served by {part}*");
        }
        accepted(&text);
    }
    let client = "jackfield_client_calls_total{service=\"calc\",status=\"ok\"}";
    assert!(value(&scrape(&observed.gateway), client).is_some_and(|calls| calls >= 1.0));
}

/// Has Prometheus's own tool check a scrape, where it is installed.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn accepted(text: &str) {
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match promtool.spawn() {
        Err(_) => return println!("skipped: there is no promtool on this machine"),
        Ok(child) => child,
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_scrape_has_what_happened_so_far() {
    let observed = Observed::start();
    for _ in 0..3 {
        assert_eq!(observed.call(&["calc.add", "1", "2"]), Some(0));
    }
    assert_eq!(observed.call(&["calc.div", "1", "0"]), Some(5));
    let text = scrape(&observed.host);
    let of = |method: &str, status: &str| {
        let name = "jackfield_host_calls_total";
        value(&text, &format!("{name}{{service=\"calc\",method=\"{method}\",status=\"{status}\"}}"))
    };
    assert_eq!((of("add", "ok"), of("div", "application")), (Some(3.0), Some(1.0)), "{text}");
    let seconds = "jackfield_host_call_duration_seconds";
    let labels = "service=\"calc\",method=\"add\"";
    assert_eq!(value(&text, &format!("{seconds}_count{{{labels}}}")), Some(3.0), "{text}");
    let all = format!("{seconds}_bucket{{{labels},le=\"+Inf\"}}");
    assert_eq!(value(&text, &all), Some(3.0), "{text}");
    assert!(value(&text, &format!("{seconds}_sum{{{labels}}}")).is_some_and(|sum| sum > 0.0));
    assert_eq!(value(&text, "jackfield_host_registered"), Some(1.0));
    let registry = scrape(&observed.registry);
    assert_eq!(value(&registry, "jackfield_registry_instances_available"), Some(1.0));
}

#[test]
fn a_host_is_ready_when_a_registry_has_its_services() {
    let stage = stage();
    let registry = stage.registry().unwrap();
    let address = registry.address();
    registry.kill().unwrap();
    let folder = stage.folder("host-a").unwrap();
    folder.add("calc").unwrap();
    let (path, at) = (folder.path().to_string_lossy().into_owned(), address.to_string());
    let args = ["host", &path, "--registry", &at, "--metrics", "127.0.0.1:0"];
    let host = stage.spawn("host-a", &args).unwrap();
    let probe = metrics(&host);
    assert_eq!(get(probe, "/healthz"), (200, "ok\n".into()));
    let (code, why) = get(probe, "/readyz");
    assert!(code == 503 && why.contains("no registry has taken"), "{code} {why}");
    let _registry = stage.registry_at(address).unwrap();
    eventually_blocking("it is ready", || (get(probe, "/readyz").0 == 200).then_some(()));
    let (code, text) = get(probe, "/");
    assert!(code == 404 && text.contains("GET /metrics"), "{code} {text}");
}

#[test]
fn the_dashboard_asks_for_metrics_that_there_are() {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../deploy/grafana.json")).unwrap();
    let targets = dashboard["panels"].as_array().unwrap().iter().flat_map(|panel| {
        panel["targets"].as_array().into_iter().flatten().map(|target| &target["expr"])
    });
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let variables = variables.iter().map(|variable| &variable["definition"]);
    let queries: Vec<&str> = targets.chain(variables).filter_map(|query| query.as_str()).collect();
    assert!(queries.len() > 30, "{queries:?}");
    let documented = documented();
    let mut asked = std::collections::BTreeSet::new();
    for query in queries {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in
            words.filter(|word| ["jackfield_", "process_"].iter().any(|p| word.starts_with(p)))
        {
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            let kind = documented.get(family);
            let is_right = kind.is_some_and(|kind| (kind == "histogram") == (family != name));
            assert!(is_right, "{name} in {query}");
            let counts = query.contains("rate(") || query.contains("increase(");
            assert!(kind.is_none_or(|kind| kind != "counter") || counts, "{query}");
            asked.insert(family.to_owned());
        }
    }
    let parts =
        ["jackfield_host_", "jackfield_registry_", "jackfield_gateway_", "jackfield_client_"];
    for part in parts {
        assert!(asked.iter().any(|name| name.starts_with(part)), "{part}: {asked:?}");
    }
}

#[test]
fn an_address_for_metrics_that_is_taken_is_said_with_what_to_do() {
    let stage = stage();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let done = stage.run(&["registry", "-p", "0", "--metrics", &address]).unwrap();
    assert_eq!(done.code, Some(4), "{done:?}");
    assert!(done.stderr.contains(&address) && done.stderr.contains("--metrics"), "{done:?}");
}
