//! The registry process: a real one.

use std::path::PathBuf;

use jackfield_registry::{Registry, RegistryConfig, StoreConfig};
use jackfield_transport::{Identity, Role, StateDir};

/// `registry STATE FILE PORT`; ends with its stdin.
pub(crate) fn run(args: impl Iterator<Item = String>) {
    let args: Vec<_> = args.collect();
    let [state, file, port] = &args[..] else { panic!("registry STATE FILE PORT") };
    let state = StateDir::resolve(Some(state.as_ref())).unwrap();
    let identity = Identity::local(&state, Role::Registry, "registry").unwrap();
    let mut config = RegistryConfig::new(format!("127.0.0.1:{port}").parse().unwrap(), identity);
    config.store = StoreConfig::Sqlite(PathBuf::from(file));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let registry = Registry::spawn(config).unwrap();
    println!("listening on {}", registry.local_addr());
    // Its parent is gone when there is nothing more to read; the registry answers meanwhile.
    std::thread::spawn(|| {
        _ = std::io::stdin().lines().last();
        std::process::exit(0);
    });
    runtime.block_on(std::future::pending())
}
