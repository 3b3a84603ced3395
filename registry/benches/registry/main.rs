//! The registry's figures, as its peers see them over QUIC on loopback. Registries are processes of
//! their own; hosts and watchers share this one.
//!
//! `cargo bench -p jackfield-registry --bench registry -- [PART…] [--quick] [--markdown|--json]`
//!
//! Parts: `registrations`, `heartbeats`, `memory`, `watchers`, `bytes`, `kills`, `curve`; all when
//! none is named. `--quick` shows in seconds that everything works; its figures mean little.
//! `--seconds=N` is how long heartbeats are sent (default 600), `--kills=N` how often a registry is
//! killed (default 1000).

#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod curve;
mod heartbeats;
mod kills;
mod memory;
mod process;
mod registrations;
mod table;
mod watchers;

#[path = "../../tests/kill/child.rs"]
mod child;
#[path = "../../tests/kill/crash.rs"]
mod crash;
#[path = "../../tests/stage/etcd.rs"]
mod etcd;
#[path = "../../tests/kill/peer.rs"]
mod peer;

use std::path::Path;
use std::time::Duration;

use child::Plan;
use table::{Form, Table};
use tempfile::TempDir;

/// What was asked for.
struct Settings {
    quick: bool,
    seconds: u64,
    kills: u32,
    form: Form,
    parts: Vec<String>,
}

impl Settings {
    fn read(args: impl Iterator<Item = String>) -> Self {
        let (quick, form) = (false, Form::Text);
        let mut settings = Self { quick, seconds: 600, kills: 1000, form, parts: Vec::new() };
        for arg in args {
            match arg.split_once('=') {
                Some(("--seconds", n)) => settings.seconds = n.parse().expect("a number"),
                Some(("--kills", n)) => settings.kills = n.parse().expect("a number"),
                _ if arg == "--quick" => settings.quick = true,
                _ if arg == "--markdown" => settings.form = Form::Markdown,
                _ if arg == "--json" => settings.form = Form::Json,
                // Cargo's own word.
                _ if arg == "--bench" => {}
                _ => settings.parts.push(arg),
            }
        }
        if settings.quick {
            (settings.seconds, settings.kills) = (settings.seconds.min(12), settings.kills.min(3));
        }
        settings
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    /// A tenth, for a quick look.
    fn scaled(&self, full: usize) -> usize {
        if self.quick { full / 10 } else { full }
    }
}

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, serve, dir, store, ttl] = &args[..]
        && serve == "serve"
    {
        return child::serve(Path::new(dir), store, ttl).await;
    }
    let settings = Settings::read(args.into_iter().skip(1));
    let mut table = Table::new(settings.form);
    if settings.wants("registrations") {
        registrations::measure(&settings, &mut table).await;
    }
    if settings.wants("heartbeats") {
        heartbeats::measure(&settings, &mut table).await;
    }
    if settings.wants("memory") {
        memory::measure(&settings, &mut table).await;
    }
    if settings.wants("watchers") {
        watchers::measure(&settings, &mut table).await;
    }
    if settings.wants("bytes") {
        watchers::bytes(&settings, &mut table).await;
    }
    if settings.wants("kills") {
        kills::measure(&settings, &mut table).await;
    }
    if settings.wants("curve") {
        curve::measure(&settings, &mut table).await;
    }
    table.end();
}

/// A registry over this store, in a folder of its own.
fn plan(store: &str, ttl: Duration) -> (TempDir, Plan) {
    let dir = tempfile::tempdir().expect("a folder");
    let plan = Plan { dir: dir.path().into(), store: store.into(), ttl };
    (dir, plan)
}

/// Longer than any part takes.
const HOUR: Duration = Duration::from_secs(3600);
