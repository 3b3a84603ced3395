//! Agents on stdin and stdout: tools, calls, changes, cancelling. What clients of others make of it
//! is in `tests/mcp.sh`.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Cluster;

/// An agent that has started `jackfield mcp`.
struct Agent {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<Value>,
    /// Came while an answer was awaited.
    aside: Vec<Value>,
    asked: u64,
}

impl Agent {
    fn new(cluster: &Cluster, args: &[&str]) -> Self {
        let mut agent = Self::unsaid(cluster, args);
        let hello = json!({
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "scenario", "version": "1" },
        });
        let said = agent.ask("initialize", hello);
        assert_eq!(said["result"]["serverInfo"]["name"], "jackfield", "{said}");
        assert_eq!(said["result"]["capabilities"]["tools"]["listChanged"], true, "{said}");
        agent.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        agent
    }

    /// Without the handshake.
    fn unsaid(cluster: &Cluster, args: &[&str]) -> Self {
        let registry = cluster.registry.address().to_string();
        let all = [&["mcp", "--registry", &registry], args].concat();
        let mut command = cluster.stage.command(&all);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (found, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let message = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if found.send(message).is_err() {
                    return;
                }
            }
        });
        Self { child, stdin, lines, aside: Vec::new(), asked: 0 }
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    /// Sends a request, and gives its number.
    fn begin(&mut self, method: &str, params: Value) -> u64 {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        id
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.begin(method, params);
        self.until(|message| message["id"] == id)
    }

    /// The next message of which this holds.
    fn until(&mut self, holds: impl Fn(&Value) -> bool) -> Value {
        if let Some(found) = self.aside.iter().position(&holds) {
            return self.aside.remove(found);
        }
        loop {
            let message = self.lines.recv_timeout(PATIENCE).expect("it answers");
            if holds(&message) {
                return message;
            }
            self.aside.push(message);
        }
    }

    fn told_of_a_change(&mut self) {
        self.until(|message| message["method"] == "notifications/tools/list_changed");
    }

    fn tools(&mut self) -> Vec<Value> {
        let said = self.ask("tools/list", json!({}));
        said["result"]["tools"].as_array().unwrap_or_else(|| panic!("{said}")).clone()
    }

    fn names(&mut self) -> Vec<String> {
        self.tools().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let params = json!({ "name": tool, "arguments": arguments });
        self.ask("tools/call", params)["result"].take()
    }

    /// A call that is an error: its words.
    fn refused(&mut self, tool: &str, arguments: Value) -> String {
        let said = self.call(tool, arguments);
        assert_eq!(said["isError"], true, "{said}");
        assert_eq!(said.get("structuredContent"), None, "{said}");
        said["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_method_is_a_tool_that_can_be_called() {
    let cluster = Cluster::with(&["calc", "shapes", "text"]);
    let mut agent = Agent::new(&cluster, &[]);
    let tools = agent.tools();
    let add = tools.iter().find(|tool| tool["name"] == "calc__add").unwrap();
    assert_eq!(
        (&add["title"], &add["inputSchema"]["required"]),
        (&json!("calc.add"), &json!(["a", "b"]))
    );
    let words = add["description"].as_str().unwrap();
    assert!(
        words.starts_with("add: func(a: f64, b: f64") && words.contains("Its author says: "),
        "{words}"
    );
    assert_eq!(add["outputSchema"]["required"], json!(["result"]));
    let sum = agent.call("calc__add", json!({ "a": 1, "b": 2 }));
    assert_eq!(
        (&sum["content"][0]["text"], &sum["structuredContent"]),
        (&json!("3.0"), &json!({ "result": 3.0 }))
    );
    let circle = json!({ "shape": { "circle": { "center": { "x": 0, "y": 0 }, "radius": 2 } } });
    let described = tools.iter().find(|tool| tool["name"] == "shapes__area").unwrap();
    let parameter = described["inputSchema"]["required"][0].as_str().unwrap().to_owned();
    let area = agent.call("shapes__area", json!({ parameter: circle["shape"] }));
    assert!(area["structuredContent"]["result"].as_f64().unwrap() > 12.5, "{area}");
}

#[test]
fn whatever_goes_wrong_says_whether_it_ran_and_what_to_do() {
    let cluster = Cluster::with_fixtures(&[("trap", "trap")]);
    let mut agent = Agent::new(&cluster, &[]);
    let said = agent.refused("trap__divide", json!({ "a": 1, "b": 0 }));
    assert!(said.contains("status: trapped; it was executed"), "{said}");
    let said = agent.refused("trap__divide", json!({ "a": 1 }));
    assert!(said.contains("status: invalid-argument; not executed; correct"), "{said}");
    let unknown = agent.ask("tools/call", json!({ "name": "trap__divde" }));
    let message = unknown["error"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean trap__divide?"), "{unknown}");
}

#[test]
fn a_methods_own_error_is_an_error_with_its_value() {
    let cluster = Cluster::with(&["calc"]);
    let mut agent = Agent::new(&cluster, &[]);
    let said = agent.call("calc__div", json!({ "a": 1, "b": 0 }));
    assert_eq!(said["isError"], true, "{said}");
    let data: Value = serde_json::from_str(said["content"][1]["text"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&data["status"], &data["error"]),
        (&json!("application"), &json!("division by zero"))
    );
    assert_eq!(data["executed"], "yes");
}

#[test]
fn an_agent_is_told_when_plugins_come_and_go() {
    let cluster = Cluster::with(&["calc"]);
    let mut agent = Agent::new(&cluster, &[]);
    assert!(!agent.names().iter().any(|name| name.starts_with("greeter__")));
    cluster.folder.add("greeter").unwrap();
    agent.told_of_a_change();
    assert!(agent.names().contains(&"greeter__greet".into()));
    std::fs::remove_file(cluster.folder.path().join("greeter.wasm")).unwrap();
    agent.told_of_a_change();
    assert!(!agent.names().iter().any(|name| name.starts_with("greeter__")));
}

#[test]
fn only_services_that_were_named_are_offered() {
    let cluster = Cluster::with(&["calc", "greeter", "text"]);
    let mut agent = Agent::new(&cluster, &["--service", "calc,text"]);
    let names = agent.names();
    assert!(
        names.iter().all(|name| name.starts_with("calc__") || name.starts_with("text__")),
        "{names:?}"
    );
    let refused = agent
        .ask("tools/call", json!({ "name": "greeter__greet", "arguments": { "name": "Ada" } }));
    assert!(refused["error"]["message"].as_str().unwrap().contains("no tool"), "{refused}");
    for name in ["jackfield__services", "jackfield.services"] {
        assert!(agent.ask("tools/call", json!({ "name": name }))["error"].is_object());
    }
}

#[test]
fn a_call_that_is_cancelled_ends_on_its_host() {
    let cluster = {
        let stage = crate::stage();
        let folder = stage.folder("host-a").unwrap();
        let manifest = "[limits]\nconcurrency = 1\ndeadline-cap = \"10 min\"\n";
        std::fs::write(folder.path().join("sleeper.toml"), manifest).unwrap();
        folder.put_fixture("sleeper", "sleeper").unwrap();
        let registry = stage.registry().unwrap();
        let host = stage.host(&folder, registry.address()).unwrap();
        let cluster = Cluster { host, registry, folder, stage };
        cluster.until("the sleeper is listed", |all| all.len() == 1);
        cluster
    };
    let mut agent = Agent::new(&cluster, &["--deadline", "10m"]);
    // It takes the only place until it is cancelled, which it would be in ten minutes by itself.
    let id = agent.begin("tools/call", json!({ "name": "sleeper__sleep-for-ever" }));
    let cancel = json!({ "requestId": id, "reason": "changed my mind" });
    agent.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel }));
    let awake = agent.call("sleeper__ping", json!({}));
    assert_eq!(awake["structuredContent"]["result"], 1, "{awake}");
}

#[test]
fn what_is_no_mcp_is_told_so() {
    let cluster = Cluster::with(&["calc"]);
    let mut agent = Agent::unsaid(&cluster, &[]);
    let said = agent.ask("tools/call", json!({ "name": "calc__add" }));
    assert!(said["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
}

#[test]
fn the_session_in_the_documentation_is_one_that_took_place() {
    let cluster = Cluster::with(&["calc"]);
    let mut agent = Agent::unsaid(&cluster, &["--service", "calc"]);
    let page = include_str!("../../docs/mcp.md");
    let shown = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    for block in shown.split("→ ").skip(1) {
        let (sent, answers) = block.split_once('\n').unwrap();
        agent.send(&serde_json::from_str(sent).unwrap_or_else(|e| panic!("{e}: {sent}")));
        let Some(answer) = answers.split("← ").nth(1) else { continue };
        let expected: Value =
            serde_json::from_str(answer).unwrap_or_else(|e| panic!("{e}: {answer}"));
        let mut got = agent.until(|message| message["id"] == expected["id"]);
        // The page shows one of the tools.
        if let Some(tools) = got.pointer_mut("/result/tools").and_then(Value::as_array_mut) {
            tools.retain(|tool| tool["name"] == "calc__div");
        }
        assert_eq!(got, expected, "{sent}");
    }
}

/// For an answer, on a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(60);
