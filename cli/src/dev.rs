//! `dev`: a registry, a host and a gateway in one process, for one person on one machine.

mod project;
mod sources;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use jackfield_client::Client;
use jackfield_gateway::{ConsoleMode, Gateway, GatewayConfig, SpawnError as GatewayError};
use jackfield_host::{Host, HostConfig, HostEvent};
use jackfield_registry::{Registry, RegistryConfig, SpawnError};
use jackfield_transport::{BindError, Role};
use jackfield_wire::ServiceName;
use jackfield_wire::reflect::ServiceInfo;
use jackfield_wire::status::printable;
use tokio::sync::broadcast::error::RecvError;

use crate::args::{Common, DevArgs, GATEWAY_PORT, REGISTRY_PORT, RegistryAddress};
use crate::exit::Exit;
use crate::observe::{self, Gated, Hosted, Registering};
use crate::problem::{Outcome, Problem, enumerate};
use crate::project::Project;
use crate::services::ClientServices;
use crate::signals::{GRACE, Signals};
use crate::terminal::{Style, Terminal};
use crate::view::service::Hidden;
use crate::view::{changes, events, example, service};
use crate::{discover, gateway, host, registry, setup};
use project::Builder;

/// Runs all three.
pub(crate) fn run(args: DevArgs, common: &Common, terminal: Terminal) -> Outcome {
    let default = if args.watch { "." } else { "plugins" };
    let folder = args.folder.clone().unwrap_or_else(|| PathBuf::from(default));
    let builder = match args.watch {
        true => Some(Builder::new(Project::at(&folder)?, terminal)),
        false => None,
    };
    host::check_folder(&folder)?;
    if common.identity.is_some() {
        tracing::warn!("dev stays on this machine and does not use the identity that was given");
    }
    let dev = Dev { args, folder, common, terminal };
    setup::serving_runtime()?.block_on(dev.serve(builder))
}

struct Dev<'a> {
    args: DevArgs,
    folder: PathBuf,
    common: &'a Common,
    terminal: Terminal,
}

impl Dev<'_> {
    async fn serve(self, mut builder: Option<Builder>) -> Outcome {
        let mut signals = Signals::listen()?;
        if let Some(builder) = &builder {
            signals.unless(builder.build()).await?;
        }
        let observation = observe::start("dev", &self.args.metrics, &self.terminal).await?;
        let registry = self.registry().await?;
        observation.watch(Registering(registry.monitor()));
        let gateway = self.gateway(registry.local_addr()).await?;
        if let Some((gateway, _)) = &gateway {
            observation.watch(Gated(gateway.monitor()));
        }
        let (host, services) = self.host(registry.local_addr()).await?;
        observation.watch(Hosted(host.monitor()));
        let url = gateway.as_ref().map(|(gateway, _)| format!("http://{}", gateway.local_addr()));
        let ended =
            self.watch(&registry, &host, url.as_deref(), (&mut signals, builder.as_mut())).await;
        observation.say_stopping();
        if let Some((gateway, client)) = gateway {
            gateway::stop(gateway, client, &mut signals, &self.terminal).await?;
        }
        host::stop(host, &services, &mut signals, &self.terminal).await?;
        signals.insist(&self.terminal, registry.shutdown(GRACE)).await;
        observation.finish().await;
        ended
    }

    async fn registry(&self) -> Outcome<Registry> {
        let identity = setup::local(&setup::state(self.common)?, Role::Registry, "dev")?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.args.port));
        match Registry::spawn(RegistryConfig::new(listen, identity)) {
            Err(SpawnError::Bind(BindError::InUse(address))) => Err(self.taken(address).await),
            spawned => spawned.map_err(|error| registry::spawn_problem(&error)),
        }
    }

    /// The port is in use: most often by another `jackfield dev` or `jackfield registry`.
    async fn taken(&self, address: SocketAddr) -> Problem {
        let problem = setup::bind_problem(&BindError::InUse(address));
        let registry =
            RegistryAddress { registry: vec![address.to_string()], namespace: Default::default() };
        let asked = discover::known(&registry, self.common);
        let Ok(Ok(instances)) = tokio::time::timeout(PATIENCE, asked).await else {
            return problem;
        };
        let mut services: Vec<&str> = instances.iter().map(|i| i.service.as_str()).collect();
        services.dedup();
        let serving = match services.is_empty() {
            true => String::new(),
            false => format!(", which knows {}", enumerate(&services)),
        };
        let folder = self.folder.display();
        let what = format!("{address} is in use by a Jackfield registry of yours{serving}");
        Problem::new(problem.exit(), what)
            .next(format!("to serve {folder} there: jackfield host {folder}"))
            .next("or choose another port by -p PORT (-p 0 picks a free one)")
    }

    async fn host(&self, registry: SocketAddr) -> Outcome<(Host, ClientServices)> {
        let state = setup::state(self.common)?;
        let identity = setup::local(&state, Role::Host, "dev")?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = HostConfig::new(&self.folder, listen, identity, state);
        config.registries = vec![registry.to_string()];
        host::apply(self.common, &mut config);
        config.compiler = host::compiler();
        // Whoever develops a plugin is its caller, too, and would only raise versions for nobody.
        config.accept_breaking_changes = true;
        let services = host::services(&mut config);
        let host = Host::spawn(config).await.map_err(|error| host::spawn_problem(&error))?;
        Ok((host, services))
    }

    /// A gateway and its client, unless nobody wants one.
    async fn gateway(&self, registry: SocketAddr) -> Outcome<Option<(Gateway, Client)>> {
        if self.args.no_gateway {
            return Ok(None);
        }
        let identity = setup::local(&setup::state(self.common)?, Role::Client, "gateway")?;
        let builder = Client::builder().identity(identity).registry(registry.to_string());
        let builder = builder.sampling(jackfield_observe::sampling());
        let client =
            builder.build().await.map_err(|error| Problem::caused(Exit::Internal, &error))?;
        let spawned = match self.args.gateway_port {
            Some(port) => self.gateway_at(port, &client).await,
            None if self.args.port == 0 => self.gateway_at(0, &client).await,
            None => match self.gateway_at(GATEWAY_PORT, &client).await {
                Err(GatewayError::InUse(_)) => self.gateway_at(0, &client).await,
                spawned => spawned,
            },
        };
        let gateway = spawned.map_err(|error| match error {
            GatewayError::InUse(_) => Problem::caused(Exit::Unavailable, &error)
                .next("choose another port by --gateway-port PORT, or leave it out"),
            other => gateway::spawn_problem(&other),
        })?;
        Ok(Some((gateway, client)))
    }

    async fn gateway_at(&self, port: u16, client: &Client) -> Result<Gateway, GatewayError> {
        let mut config = GatewayConfig::new(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        // Its registry is one's own, and nobody else's machine reaches either.
        config.console = ConsoleMode::Orders;
        self.args.http.clone().apply(&mut config);
        Gateway::spawn(config, client.clone()).await
    }

    /// Tells what there is, then each change, until a signal comes.
    async fn watch(
        &self,
        registry: &Registry,
        host: &Host,
        url: Option<&str>,
        (signals, builder): (&mut Signals, Option<&mut Builder>),
    ) -> Outcome {
        tokio::select! {
            () = ready(host) => {}
            _ = signals.next() => return Ok(()),
        }
        // What happened until now is in the welcome.
        let mut changes = host.events();
        self.welcome(registry.local_addr(), host, url)?;
        let mut known = Known::of(host);
        let mut building = pin!(keep_building(builder));
        loop {
            tokio::select! {
                event = changes.recv() => self.tell(event, host, &mut known)?,
                ended = &mut building => return ended,
                _ = signals.next() => return Ok(()),
            }
        }
    }

    fn tell(&self, event: Result<HostEvent, RecvError>, host: &Host, known: &mut Known) -> Outcome {
        match event {
            Ok(event) => {
                if let Some(line) = events::line(&event, &self.terminal) {
                    self.terminal.out(line)?;
                }
                let before = std::mem::replace(known, Known::of(host));
                if let HostEvent::Replaced { service, .. } | HostEvent::RolledBack { service, .. } =
                    &event
                {
                    for line in known.changes_since(&before, service, &self.terminal) {
                        self.terminal.out(line)?;
                    }
                }
            }
            Err(RecvError::Lagged(missed)) => {
                self.terminal.out(format!("{missed} changes were too fast to show"))?;
            }
            // The host tells nothing any more: it is about to be stopped.
            Err(RecvError::Closed) => {}
        }
        Ok(())
    }

    fn welcome(&self, registry: SocketAddr, host: &Host, url: Option<&str>) -> Outcome {
        let folder = self.folder.display();
        let terminal = &self.terminal;
        terminal.out(format!("registry listening on {registry}, host on {}", host.local_addr()))?;
        if let Some(url) = url {
            terminal.out(format!(
                "over HTTP: POST {url}/call/SERVICE/METHOD; for agents {url}/mcp; in a browser: {url}/"
            ))?;
        }
        let services = host.services();
        for info in &services {
            terminal.out("")?;
            terminal.out(self.outline(info))?;
        }
        for rejected in host.rejected() {
            terminal.out("")?;
            let word = terminal.paint(Style::Bad, "rejected");
            terminal.out(format!(
                "{word}  {}",
                printable(&rejection(&rejected.file, &rejected.reason))
            ))?;
        }
        terminal.out("")?;
        if services.is_empty() {
            terminal.out(format!("put .wasm components into {folder}: they are served at once"))?;
        }
        if let Some(line) = self.call_line(&services, registry) {
            terminal.out(format!("in another terminal:  {line}"))?;
        }
        let note = format!("watching {folder}; Ctrl-C stops everything");
        Ok(terminal.out(terminal.paint(Style::Faint, &note))?)
    }

    /// A service and its signatures.
    fn outline(&self, info: &ServiceInfo) -> String {
        let mut lines = vec![service::heading(info, &self.terminal)];
        let methods = Hidden::Omit.filter(info);
        lines.extend(methods.map(|method| format!("  {}", printable(&method.wit))));
        lines.join("\n")
    }

    /// A call that can be pasted as it is.
    fn call_line(&self, services: &[ServiceInfo], registry: SocketAddr) -> Option<String> {
        let (info, method) = services
            .iter()
            .find_map(|info| Hidden::Omit.filter(info).next().map(|method| (info, method)))?;
        let mut line = example::call_line(info.service.as_str(), method);
        if registry.port() != REGISTRY_PORT {
            line.push_str(&format!(" --registry {registry}"));
        }
        if let Some(state) = self.common.state.as_deref().filter(|_| !from_environment()) {
            line.push_str(&format!(" --state {}", example::quote(&absolute(state))));
        }
        Some(printable(&line))
    }
}

/// Builds whenever there is something to build. Ends only when nothing can be said any more.
async fn keep_building(builder: Option<&mut Builder>) -> Outcome {
    match builder {
        Some(builder) => builder.keep_building().await,
        None => std::future::pending().await,
    }
}

/// What served when people were last told.
struct Known(BTreeMap<ServiceName, ServiceInfo>);

impl Known {
    fn of(host: &Host) -> Self {
        let services = host.services().into_iter();
        Self(services.map(|info| (info.service.clone(), info)).collect())
    }

    fn changes_since(
        &self,
        before: &Self,
        service: &ServiceName,
        terminal: &Terminal,
    ) -> Vec<String> {
        match (before.0.get(service), self.0.get(service)) {
            (Some(before), Some(now)) => changes::lines(before, now, terminal),
            _ => Vec::new(),
        }
    }
}

/// Until every plugin that is there serves or is rejected, and the registry knows.
async fn ready(host: &Host) {
    host.settled().await;
    // Registering has its own retries, and says on the log what is wrong.
    let _ = tokio::time::timeout(PATIENCE, host.registered()).await;
}

fn rejection(file: &str, reason: &str) -> String {
    format!("{file}: {reason}")
}

fn from_environment() -> bool {
    std::env::var_os("JACKFIELD_STATE").is_some()
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// For a registry in this very process, or on this machine.
const PATIENCE: Duration = Duration::from_secs(2);
