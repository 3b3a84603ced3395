//! Which host takes a call, and how often it is tried, as the options of `call` say: over real hosts.

use std::collections::BTreeSet;

use jackfield_harness::{Finished, PluginFolder, Process, Signal, Stage, eventually_blocking};
use serde_json::Value;

use crate::stage;

/// Hosts `a`, `b` and `c` with versions and zones of their own of one service.
struct Three {
    hosts: Vec<Process>,
    registry: Process,
    _folders: Vec<PluginFolder>,
    stage: Stage,
}

impl Three {
    fn start() -> Self {
        let stage = stage();
        let registry = stage.registry().unwrap();
        let address = registry.address().to_string();
        let (mut hosts, mut folders) = (Vec::new(), Vec::new());
        for (name, zone, version, tier) in [
            ("a", "east", "1.2.0", "tier=gold"),
            ("b", "west", "1.3.0", "tier=gold"),
            ("c", "west", "2.0.0", "tier=tin"),
        ] {
            let folder = stage.folder(name).unwrap();
            let manifest = format!("version = \"{version}\"\n");
            std::fs::write(folder.path().join("calc.toml"), manifest).unwrap();
            folder.add("calc").unwrap();
            let path = folder.path().to_string_lossy();
            let place = ["--name", name, "--zone", zone, "--registry", &address];
            let metadata = ["--metadata", tier, "--metadata", "disk=ssd"];
            let args = [&["host", &path], &place[..], &metadata].concat();
            hosts.push(stage.spawn(name, &args).unwrap());
            folders.push(folder);
        }
        let three = Self { hosts, registry, _folders: folders, stage };
        eventually_blocking("three hosts are listed", || {
            let list: Vec<Value> =
                serde_json::from_str(&three.run(&["ls", "--json"]).stdout).ok()?;
            (list.iter().filter(|i| i["health"] == "healthy").count() == 3).then_some(())
        });
        three
    }

    fn run(&self, args: &[&str]) -> Finished {
        self.stage.run_at(self.registry.address(), args).unwrap()
    }

    fn instance(&self, args: &[&str]) -> Finished {
        let registry = self.registry.address().to_string();
        self.stage.run(&[&["instance"], args, &["--registry", &registry]].concat()).unwrap()
    }

    fn call(&self, options: &[&str]) -> Finished {
        let call = ["call", "--verbose", "--deadline", "20s"];
        self.run(&[&call, options, &["calc.add", "1", "2"]].concat())
    }

    /// The host that answers.
    #[track_caller]
    fn who(&self, options: &[&str]) -> String {
        let done = self.call(options);
        assert_eq!((done.code, done.stdout.trim()), (Some(0), "3.0"), "{options:?}: {done:?}");
        done.stderr.split(' ').next().unwrap().to_owned()
    }

    /// Those that answer so many calls.
    fn among(&self, calls: usize, options: &[&str]) -> BTreeSet<String> {
        (0..calls).map(|_| self.who(options)).collect()
    }
}

/// Options that send a key's calls to one host.
fn keyed(key: &str) -> [&str; 4] {
    ["--picker", "consistent-hash", "--key", key]
}

#[test]
fn filters_say_which_hosts_may_answer() {
    let three = Three::start();
    assert_eq!(three.who(&["--endpoint", "b"]), "b");
    let address = three.hosts[2].address().to_string();
    assert_eq!(three.who(&["--endpoint", &address]), "c");
    assert_eq!(three.who(&["--version-req", ">=2"]), "c");
    assert!(!three.among(4, &["--version-req", "^1"]).contains("c"));
    assert_eq!(three.among(4, &["--zone", "east"]), ["a".to_owned()].into());
    assert!(!three.among(4, &["--zone", "west"]).contains("a"));
    assert_eq!(three.who(&["--zone", "west", "--version-req", "^1"]), "b");
    assert_eq!(three.who(&["--where", "tier=tin"]), "c");
    assert_eq!(three.who(&["--where", "tier=gold", "--where", "disk=ssd", "--zone", "west"]), "b");
    for (options, said) in [
        (["--where", "tier=silver"], "tier=silver"),
        (["--version-req", "^3"], "^3"),
        (["--endpoint", "nobody"], "nobody"),
    ] {
        let done = three.call(&options);
        assert_ne!(done.code, Some(0), "{done:?}");
        assert!(done.stderr.contains(said), "{said:?} is not in {done:?}");
    }
}

#[test]
fn pickers_choose_by_key_weight_or_turn() {
    let three = Three::start();
    for picker in ["round-robin", "random", "weighted-round-robin", "least-loaded", "peak-ewma"] {
        three.who(&["--picker", picker]);
    }
    assert_eq!(three.among(4, &keyed("ada")).len(), 1);
    let homes: BTreeSet<_> = (0..12).map(|n| three.who(&keyed(&n.to_string()))).collect();
    assert!(homes.len() > 1, "twelve keys live on {homes:?}");
    for id in ["calc@a", "calc@c"] {
        three.instance(&["set", id, "--weight", "0"]).ok().unwrap();
    }
    eventually_blocking("the weights are known", || {
        let done = three.instance(&["show", "calc@c"]);
        done.stdout.contains("weight     0").then_some(())
    });
    assert_eq!(three.among(4, &["--picker", "weighted-random"]), ["b".to_owned()].into());
    let done = three.call(&["--picker", "robin"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("round-robin"), "{done:?}");
}

#[test]
fn retries_bound_the_attempts_and_a_hedge_passes_a_host_that_hangs() {
    let mut three = Three::start();
    let key = (0..).map(|n| n.to_string());
    let at_a = |key: &String| three.who(&keyed(key)) == "a";
    let key = key.take(60).find(at_a).unwrap();
    three.hosts[0].signal(Signal::STOP).unwrap();
    // Without attempts after the first, only a second beside it reaches another host.
    let hedged = [&keyed(&key)[..], &["--retries", "0", "--hedge", "100ms"]].concat();
    assert_ne!(three.who(&hedged), "a");
    three.hosts.remove(1).kill().unwrap();
    for (retries, attempts) in [("0", 1), ("1", 2)] {
        let done = three.call(&["--endpoint", "b", "--retries", retries]);
        assert_ne!(done.code, Some(0), "{done:?}");
        let made = done.stderr.contains(&format!("attempt {attempts}"));
        let more = done.stderr.contains(&format!("attempt {}", attempts + 1));
        assert!((made || attempts == 1) && !more, "--retries {retries}: {done:?}");
    }
}
