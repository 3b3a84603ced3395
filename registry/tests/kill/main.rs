//! Registries that are killed under load, stopped for a while, or cut off, as processes of their own.
//!
//! This program starts itself as the registry (`serve DIR STORE TTL`), so that there is a process to
//! kill without any warning. It is not run by the test harness, whose processes cannot be that.
//! `JACKFIELD_KILLS` sets how often each store is killed.

#![expect(clippy::print_stdout, reason = "the output is how a test reports")]

mod child;
mod crash;
mod fronts;
mod herd;
mod pause;
mod peer;

#[path = "../stage/etcd.rs"]
mod etcd;

use std::path::Path;
use std::time::Duration;

use child::Plan;
use tempfile::TempDir;
use tokio::runtime::Runtime;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = Runtime::new().expect("a runtime");
    if let [_, serve, dir, store, ttl] = &args[..]
        && serve == "serve"
    {
        return runtime.block_on(child::serve(Path::new(dir), store, ttl));
    }
    // Of whatever else a test run passes, words choose tests by their names.
    let words: Vec<&String> = args[1..].iter().filter(|word| !word.starts_with('-')).collect();
    for (name, test) in TESTS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            test(&runtime);
            println!("test {name} ... ok");
        }
    }
}

type Test = fn(&Runtime);

const TESTS: [(&str, Test); 7] = [
    ("what_was_acknowledged_survives_kills_on_sqlite", killed_on_sqlite),
    ("what_was_acknowledged_survives_kills_on_etcd", killed_on_etcd),
    ("a_registry_that_was_stopped_expires_nobody_who_lives", pause::registry),
    ("a_host_that_was_stopped_is_there_when_it_goes_on", pause::host),
    ("two_thousand_that_come_back_at_once_all_get_in", herd::returns),
    ("of_a_dead_front_end_only_those_go_who_do_not_come_back", fronts::dead),
    ("a_front_end_that_was_stopped_takes_nothing_from_the_others", fronts::stopped),
];

fn killed_on_sqlite(runtime: &Runtime) {
    let (_dir, plan) = plan("registry.sqlite", HOUR);
    bounded(runtime, crash::survive(&plan, kills()));
}

fn killed_on_etcd(runtime: &Runtime) {
    let Some(cluster) = etcd::Cluster::start(1) else { return };
    let (_dir, plan) = plan(&over(&cluster), HOUR);
    bounded(runtime, crash::survive(&plan, kills()));
}

/// A registry over this store, in a folder of its own.
fn plan(store: &str, ttl: Duration) -> (TempDir, Plan) {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = Plan { dir: dir.path().into(), store: store.into(), ttl };
    (dir, plan)
}

fn over(cluster: &etcd::Cluster) -> String {
    format!("etcd:{}", cluster.addresses().join(","))
}

fn bounded<T>(runtime: &Runtime, test: impl Future<Output = T>) -> T {
    let patience = PATIENCE.max(Duration::from_secs(10) * kills());
    let ended = runtime.block_on(async { tokio::time::timeout(patience, test).await });
    ended.expect("nothing happened for minutes")
}

fn kills() -> u32 {
    let text = std::env::var("JACKFIELD_KILLS");
    text.map_or(KILLS, |text| text.parse().expect("JACKFIELD_KILLS is a number"))
}

/// Of each store.
const KILLS: u32 = 30;
/// Longer than any test lives.
const HOUR: Duration = Duration::from_secs(3600);
/// Far beyond anything that a loaded machine needs.
const PATIENCE: Duration = Duration::from_secs(600);
