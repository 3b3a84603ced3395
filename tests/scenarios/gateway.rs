//! The HTTP gateway in front of real hosts: callers in other languages, and what it tells of the
//! services.

use std::path::Path;
use std::process::Command;

use jackfield_harness::{Process, eventually_blocking};
use serde_json::{Value, json};

use crate::{Cluster, stage};

/// A cluster with a gateway in front.
fn gateway(cluster: &Cluster) -> Process {
    let registry = cluster.registry.address().to_string();
    cluster.stage.spawn("gateway", &["gateway", "-p", "0", "--registry", &registry]).unwrap()
}

/// What `program` prints, with the gateway's URL as its last argument; `None` where there is no
/// such program on this machine.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn run(program: &str, args: &[&str], gateway: &Process) -> Option<String> {
    let url = format!("http://{}", gateway.address());
    let done = match Command::new(program).args(args).arg(url).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: there is no {program} on this machine");
            return None;
        }
        done => done.unwrap(),
    };
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {args:?}: {said}");
    Some(String::from_utf8(done.stdout).unwrap())
}

/// `GET` by Python's standard library, once the gateway knows the network.
fn get(gateway: &Process, path: &str) -> Option<Value> {
    let code = "import sys, urllib.request; \
                print(urllib.request.urlopen(sys.argv[2] + sys.argv[1]).read().decode())";
    let text = run("python3", &["-c", code, path], gateway)?;
    Some(serde_json::from_str(&text).unwrap())
}

fn example(name: &str) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples")).join(name);
    path.to_string_lossy().into_owned()
}

#[test]
fn javascript_and_python_call_without_any_library() {
    let cluster = Cluster::with(&["calc", "greeter"]);
    let gateway = gateway(&cluster);
    let expected = "Hello, Ada!\n40 + 2 = 42\n1 / 0: division by zero\n";
    for (program, file) in [("node", "gateway.mjs"), ("python3", "gateway.py")] {
        if let Some(said) = run(program, &[&example(file)], &gateway) {
            assert_eq!(said, expected, "{program}");
        }
    }
}

#[test]
fn the_gateway_tells_what_there_is_and_what_it_takes() {
    let cluster = Cluster::with(&["calc", "text"]);
    let gateway = gateway(&cluster);
    let Some(list) = get(&gateway, "/services") else { return };
    let names: Vec<_> =
        list["services"].as_array().unwrap().iter().map(|s| &s["service"]).collect();
    assert_eq!(names, ["calc", "text"]);
    assert_eq!(list["services"][0]["instances"][0]["host"], "host-a");
    let method = get(&gateway, "/services/calc/methods/add").unwrap();
    assert_eq!(method["params_schema"]["required"], json!(["a", "b"]));
    let qualified = get(&gateway, "/services/text/methods/slug").unwrap();
    let qualified = qualified["qualified"].as_str().unwrap().replace('/', "%2F");
    let path = format!("/services/text/methods/{}", qualified.replace('#', "%23"));
    assert_eq!(get(&gateway, &path).unwrap()["name"], "slug");
    assert_eq!(get(&gateway, "/readyz").unwrap()["services"], 2);
}

#[test]
fn the_problem_in_the_documentation_is_one_that_a_gateway_printed() {
    let cluster = Cluster::with(&["calc"]);
    let gateway = gateway(&cluster);
    let code = "import sys, urllib.error, urllib.request as r\n\
                json = {'Content-Type': 'application/json'}\n\
                try: r.urlopen(r.Request(sys.argv[1] + '/call/calc/div', b'[1, 0]', json))\n\
                except urllib.error.HTTPError as error: print(error.read().decode())";
    let Some(printed) = run("python3", &["-c", code], &gateway) else { return };
    let page = include_str!("../../docs/gateway.md");
    let shown = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let [printed, shown] = [&printed, shown].map(|text| {
        let mut problem: Value = serde_json::from_str(text).unwrap();
        assert!(problem["instance"].take().is_string(), "{text}");
        let attempt = &mut problem["attempts"][0];
        assert!(attempt["elapsed_ms"].take().is_f64(), "{text}");
        assert!(attempt["host"].take().is_string() && attempt["address"].take().is_string());
        problem
    });
    assert_eq!(printed, shown);
}

/// An order from the console's own page, as a browser sends it.
fn order(gateway: &Process, body: &Value) -> Option<Value> {
    let code = "import sys, urllib.error, urllib.request as r\n\
                head = {'Content-Type': 'application/json', 'Sec-Fetch-Site': 'same-origin'}\n\
                ask = r.Request(sys.argv[2] + '/console/orders', sys.argv[1].encode(), head)\n\
                try: print(r.urlopen(ask).read().decode())\n\
                except urllib.error.HTTPError as error: print(error.read().decode())";
    let text = run("python3", &["-c", code, &body.to_string()], gateway)?;
    Some(serde_json::from_str(&text).unwrap())
}

#[test]
fn the_console_orders_instances_about_where_it_may() {
    let cluster = Cluster::with(&["calc"]);
    let plain = gateway(&cluster);
    let drain = json!({ "instance": "calc@host-a", "drain": true, "weight": 5 });
    let Some(refused) = order(&plain, &drain) else { return };
    assert_eq!(refused["jackfield_status"], "permission-denied");
    let registry = cluster.registry.address().to_string();
    let args = ["gateway", "-p", "0", "--registry", &registry, "--console", "orders"];
    let ordering = cluster.stage.spawn("ordering", &args).unwrap();
    eventually_blocking("the gateway knows the instance", || {
        (get(&ordering, "/readyz")?["services"] == 1).then_some(())
    });
    let holds = order(&ordering, &drain).unwrap();
    assert_eq!((&holds["drain"], &holds["weight"]), (&json!(true), &json!(5)));
    eventually_blocking("both gateways see it draining", || {
        let services = get(&plain, "/services")?;
        (services["services"][0]["instances"][0]["health"] == "draining").then_some(())
    });
    let heavy = json!({ "instance": "calc@host-a", "weight": 2_000_000 });
    let refused = order(&ordering, &heavy).unwrap();
    assert_eq!(refused["jackfield_status"], "invalid-argument", "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("weight"), "{refused}");
    let holds = order(&ordering, &json!({ "instance": "calc@host-a", "clear": true })).unwrap();
    assert_eq!(holds["weight"], Value::Null);
}

#[test]
fn the_openapi_document_is_made_anew_when_plugins_change() {
    let cluster = Cluster::with(&["calc"]);
    let gateway = gateway(&cluster);
    let Some(document) = get(&gateway, "/openapi.json") else { return };
    let add = &document["paths"]["/call/calc/add"]["post"];
    assert!(add["description"].as_str().is_some_and(|docs| !docs.is_empty()), "{add}");
    assert_eq!(document["paths"].get("/call/shapes/area"), None);
    cluster.folder.add("shapes").unwrap();
    eventually_blocking("the new service is in the document", || {
        get(&gateway, "/openapi.json")?["paths"].get("/call/shapes/area").map(|_| ())
    });
}

#[test]
fn the_openapi_document_passes_its_own_validator() {
    let cluster = Cluster::with(&["calc", "text", "shapes", "greeter"]);
    let gateway = gateway(&cluster);
    let Some(document) = get(&gateway, "/openapi.json") else { return };
    assert!(document["paths"].as_object().unwrap().len() > 20);
    let home = cluster.stage.home();
    let (file, packages) = (home.join("openapi.json"), home.join("python"));
    std::fs::write(&file, document.to_string()).unwrap();
    let install = ["-m", "pip", "install", "-q", "--target"];
    let installed = Command::new("python3")
        .args(install)
        .arg(&packages)
        .arg("openapi-spec-validator>=0.7,<1")
        .output()
        .unwrap();
    if !installed.status.success() {
        println!("skipped: openapi-spec-validator cannot be installed here");
        return;
    }
    let checked = Command::new("python3")
        .args(["-m", "openapi_spec_validator"])
        .arg(&file)
        .env("PYTHONPATH", &packages)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn dev_has_a_gateway_inside_unless_it_is_turned_off() {
    let stage = stage();
    let folder = stage.folder("plugins").unwrap();
    folder.add("calc").unwrap();
    let port = free_port();
    let dev = stage.spawn("dev", &["dev", "-p", "0", "--gateway-port", &port]).unwrap();
    assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok());
    let taken = stage.run(&["dev", "-p", "0", "--gateway-port", &port]).unwrap();
    assert!(taken.code == Some(4) && taken.stderr.contains("--gateway-port"), "{taken:?}");
    dev.terminate().unwrap();
    assert_eq!(dev.wait().unwrap().code(), Some(0));
    let without = stage.spawn("dev", &["dev", "-p", "0", "--no-gateway"]).unwrap();
    let sum = stage.run_at(without.address(), &["call", "calc.add", "1", "2"]).unwrap();
    assert_eq!(sum.ok().unwrap().trim(), "3.0");
    assert!(std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err());
}

/// A port that nobody listens on, though somebody may before the test does.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn a_gateway_for_other_machines_has_to_be_asked_for() {
    let done = stage().run(&["gateway", "-l", "0.0.0.0", "-p", "0"]).unwrap();
    assert_eq!(done.code, Some(9), "{done:?}");
    assert!(done.stderr.contains("--open-to-network"), "{}", done.stderr);
}

#[test]
fn a_gateway_ends_in_order_on_a_signal() {
    let cluster = Cluster::with(&["calc"]);
    let gateway = gateway(&cluster);
    gateway.terminate().unwrap();
    assert!(gateway.wait().unwrap().success());
}
