//! `host`: serves a folder until a signal ends it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use jackfield_host::{Compiler, Host, HostConfig, HostFile, InstanceMetadata, SpawnError};
use jackfield_transport::{DrainReport, Role};

use crate::args::{Common, HostArgs, MetricsArgs};
use crate::exit::Exit;
use crate::observe::{self, Hosted};
use crate::problem::{Outcome, Problem};
use crate::services::ClientServices;
use crate::setup::{self, Setup};
use crate::signals::{GRACE, Signals};
use crate::terminal::Terminal;

/// Runs a host.
pub(crate) fn run(args: HostArgs, common: &Common, terminal: Terminal) -> Outcome {
    check_folder(&args.folder)?;
    let name = args.name.clone().unwrap_or_else(|| setup::host_name(args.port));
    let setup = setup::setup(common, Role::Host, &name)?;
    check_name(args.name.as_deref(), &setup)?;
    let listen = SocketAddr::new(args.listen, args.port);
    let metadata = metadata(args.metadata)?;
    let mut config = HostConfig::new(args.folder, listen, setup.identity, setup.state);
    config.registries = args.registry.registry;
    config.namespace = args.registry.namespace;
    config.zone = args.zone;
    config.metadata = metadata;
    config.advertise = args.advertise;
    apply(common, &mut config);
    config.compiler = compiler();
    config.accept_breaking_changes = args.accept_breaking_changes;
    config.operators = args.operator;
    setup::serving_runtime()?.block_on(serve(config, &args.metrics, terminal))
}

async fn serve(mut config: HostConfig, metrics: &MetricsArgs, terminal: Terminal) -> Outcome {
    let mut signals = Signals::listen()?;
    let observation = observe::start("host", metrics, &terminal).await?;
    let name = config.identity.id().name().to_owned();
    let services = services(&mut config);
    let host = Host::spawn(config).await.map_err(|error| spawn_problem(&error))?;
    observation.watch(Hosted(host.monitor()));
    tokio::select! {
        () = host.settled() => {
            observation.say_ready(&format!("serving on {}", host.local_addr()));
            terminal.out(format!("host {name} listening on {}", host.local_addr()))?;
            signals.next().await;
        }
        _ = signals.next() => {}
    }
    observation.say_stopping();
    stop(host, &services, &mut signals, &terminal).await?;
    observation.finish().await;
    Ok(())
}

/// Lets plugins call services that the registries of the host know.
pub(crate) fn services(config: &mut HostConfig) -> ClientServices {
    let (identity, registries) = (config.identity.clone(), config.registries.clone());
    let services = ClientServices::new(identity, registries, config.namespace.clone());
    config.services = Some(Arc::new(services.clone()));
    services
}

/// Leaves the registry and finishes the calls in flight.
pub(crate) async fn stop(
    host: Host,
    services: &ClientServices,
    signals: &mut Signals,
    terminal: &Terminal,
) -> Outcome {
    terminal
        .err("stopping: leaving the registry, finishing calls; a second signal stops it at once")?;
    let ended = async {
        let report = host.shutdown(GRACE).await;
        services.close().await;
        report
    };
    let report = signals.insist(terminal, ended).await;
    Ok(terminal.err(farewell(&report))?)
}

fn farewell(report: &DrainReport) -> String {
    match (report.finished, report.cut_off) {
        (_, 0) => "stopped: no call was cut off".into(),
        (finished, cut_off) => {
            format!("stopped: {finished} calls finished, {cut_off} cut off after {GRACE:?}")
        }
    }
}

/// Takes what the settings file says, if there is one, and what the environment says of traces.
pub(crate) fn apply(common: &Common, config: &mut HostConfig) {
    let HostFile { limits, plugins, .. } = common.host.clone();
    (config.limits, config.plugins) = (limits, plugins);
    config.transport.threads = setup::serving_threads();
    config.sampling = jackfield_observe::sampling();
}

/// What its instances say of themselves.
pub(crate) fn metadata(pairs: Vec<(String, String)>) -> Outcome<InstanceMetadata> {
    InstanceMetadata::new(pairs).map_err(|error| Problem::usage(format!("--metadata: {error}")))
}

/// This very program, which a host starts for each plugin that it has to compile.
pub(crate) fn compiler() -> Compiler {
    // Also when the program's file was replaced meanwhile: the engines of both have to be the same.
    let program = match cfg!(target_os = "linux") {
        true => Ok("/proc/self/exe".into()),
        false => std::env::current_exe(),
    };
    match program {
        Ok(program) => Compiler::Child { program, arguments: vec!["compile".into()] },
        Err(error) => {
            tracing::warn!("plugins are compiled in this process, without bounds: {error}");
            Compiler::InProcess
        }
    }
}

/// A folder that a host could serve.
pub(crate) fn check_folder(folder: &Path) -> Outcome {
    let shown = folder.display();
    match fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Problem::new(Exit::NotFound, format!("there is no folder {shown}"))
                .next(format!("make it, and put .wasm components into it: mkdir {shown}"))
                .next("or name the folder where they are"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(Problem::usage(format!("{shown} is a file; plugins are served from a folder"))
                .next(format!("to see what a host would make of it: jackfield check {shown}")))
        }
        Err(error) => {
            Err(Problem::new(Exit::Denied, format!("cannot read the folder {shown}: {error}"))
                .next("let this user read it, or name another folder"))
        }
    }
}

/// A host's name is in its certificate: with one set up on purpose there is nothing to choose.
fn check_name(typed: Option<&str>, setup: &Setup) -> Outcome {
    let id = setup.identity.id();
    match typed {
        Some(name) if name != id.name() => {
            Err(Problem::usage(format!("--name {name} contradicts the identity, which is {id}"))
                .next("leave --name out, or give the identity of that host"))
        }
        _ => Ok(()),
    }
}

/// A host that did not start.
pub(crate) fn spawn_problem(error: &SpawnError) -> Problem {
    match error {
        SpawnError::Bind(error) => setup::bind_problem(error),
        SpawnError::Advertise(_) => {
            Problem::caused(Exit::Usage, error).next("give it by --advertise ADDR:PORT")
        }
        SpawnError::Folder { .. } => Problem::caused(Exit::Denied, error),
        other => Problem::caused(Exit::Internal, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_were_cut_off_are_counted() {
        let mut report = DrainReport::default();
        report.finished = 3;
        assert_eq!(farewell(&report), "stopped: no call was cut off");
        report.cut_off = 1;
        assert_eq!(farewell(&report), "stopped: 3 calls finished, 1 cut off after 20s");
    }
}
