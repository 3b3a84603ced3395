
fn main() -> Result<(), Box<dyn std::error::Error>> {
    use jackfield_host::{Host, HostConfig};
    use jackfield_registry::{Registry, RegistryConfig};
    use jackfield_transport::{Identity, Role, StateDir};

    let home = tempfile::tempdir()?;
    let path = home.path().join("state");
    // SAFETY: no other thread runs yet.
    unsafe { std::env::set_var("JACKFIELD_STATE", &path) };
    let folder = home.path().join("plugins");
    std::fs::create_dir(&folder)?;
    std::fs::copy(jackfield_guests::plugin("calc"), folder.join("calc.wasm"))?;

    tokio::runtime::Runtime::new()?.block_on(async {
        let state = StateDir::resolve(None)?;
        let listen = "127.0.0.1:0".parse()?;
        let identity = Identity::local(&state, Role::Registry, "readme")?;
        let registry = Registry::spawn(RegistryConfig::new(listen, identity))?;
        let identity = Identity::local(&state, Role::Host, "readme")?;
        let mut config = HostConfig::new(folder, listen, identity, state);
        config.registries = vec![registry.local_addr().to_string()];
        let host = Host::spawn(config).await?;
        host.settled().await;
        example(&registry.local_addr().to_string()).await?;
        host.shutdown(std::time::Duration::ZERO).await;
        registry.shutdown(std::time::Duration::ZERO).await;
        Ok(())
    })
}
