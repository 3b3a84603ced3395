//! Stories over the real binary: registry, hosts and callers as processes of their own.

#![expect(clippy::unwrap_used, reason = "a test has nothing better to do than to fail")]

mod bad_calls;
mod bad_files;
mod balancing;
mod bench;
mod calls;
mod command_line;
mod compiling;
mod documentation;
mod endpoints;
mod floods;
mod gateway;
mod grants;
mod identity;
mod mcp;
mod metrics;
mod notify;
mod outages;
mod registries;
mod reload;
mod rolling;
mod services;
mod top;
mod traces;

#[path = "../../registry/tests/stage/etcd.rs"]
mod etcd;

use std::path::Path;

use jackfield_harness::{Finished, PluginFolder, Process, Stage, eventually_blocking};
use serde_json::Value;

/// A registry and one host with some plugins, ready for calls.
struct Cluster {
    // Dropped in this order: the processes before their directory.
    host: Process,
    registry: Process,
    folder: PluginFolder,
    stage: Stage,
}

impl Cluster {
    /// Starts them, with these example plugins in the host's folder.
    fn with(plugins: &[&str]) -> Self {
        let stage = stage();
        let folder = stage.folder("host-a").unwrap();
        for plugin in plugins {
            folder.add(plugin).unwrap();
        }
        Self::of(stage, folder)
    }

    /// Starts them, with these fixtures in the host's folder, as `(service, fixture)`.
    fn with_fixtures(fixtures: &[(&str, &str)]) -> Self {
        let stage = stage();
        let folder = stage.folder("host-a").unwrap();
        for (service, fixture) in fixtures {
            folder.put_fixture(service, fixture).unwrap();
        }
        Self::of(stage, folder)
    }

    fn of(stage: Stage, folder: PluginFolder) -> Self {
        let registry = stage.registry().unwrap();
        let host = stage.host(&folder, registry.address()).unwrap();
        let cluster = Self { host, registry, folder, stage };
        let files = std::fs::read_dir(cluster.folder.path()).unwrap().count();
        eventually_blocking("every plugin is listed", || {
            (cluster.healthy().len() == files).then_some(())
        });
        cluster
    }

    /// Runs a client command against this registry.
    fn run(&self, args: &[&str]) -> Finished {
        self.stage.run_at(self.registry.address(), args).unwrap()
    }

    /// Calls and gives the result's JSON.
    fn call(&self, args: &[&str]) -> Value {
        let all: Vec<_> = ["call"].iter().chain(args).copied().collect();
        let text = self.run(&all).ok().unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }

    /// Calls, and must fail.
    fn refused(&self, args: &[&str]) -> Finished {
        let all: Vec<_> = ["call"].iter().chain(args).copied().collect();
        let done = self.run(&all);
        assert_ne!(done.code, Some(0), "{done:?}");
        done
    }

    /// The instances that `ls` shows.
    fn instances(&self) -> Vec<Value> {
        let list = self.run(&["ls", "--json"]).ok().unwrap();
        serde_json::from_str(&list).unwrap()
    }

    /// The services of those that may be called.
    fn healthy(&self) -> Vec<String> {
        let available = |i: &&Value| i["health"] == "healthy" && i["enabled"] == true;
        let name = |i: &Value| i["service"].as_str().map(String::from);
        self.instances().iter().filter(available).filter_map(name).collect()
    }

    /// Waits until `what` holds for the list.
    fn until(&self, what: &str, holds: impl Fn(&[Value]) -> bool) {
        eventually_blocking(what, || holds(&self.instances()).then_some(()));
    }

    /// Waits until a call gives `expected`.
    fn until_call(&self, args: &[&str], expected: &Value) {
        let all: Vec<_> = ["call"].iter().chain(args).copied().collect();
        eventually_blocking(&format!("{args:?} gives {expected}"), || {
            let text = self.run(&all).stdout;
            (serde_json::from_str::<Value>(&text).ok()? == *expected).then_some(())
        });
    }
}

fn stage() -> Stage {
    Stage::new(Path::new(env!("CARGO_BIN_EXE_jackfield"))).unwrap()
}
