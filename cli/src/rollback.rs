//! `rollback`: has hosts return to the version of a service before the one that serves.

use std::net::SocketAddr;

use jackfield_client::{Client, Snapshot};
use jackfield_wire::reflect::Rollback;

use crate::args::{Common, RollbackArgs};
use crate::discover::{self, Via};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem, enumerate};
use crate::terminal::Terminal;

/// Rolls a service back on its hosts. One that refuses does not keep the others from it.
pub(crate) fn run(args: RollbackArgs, common: &Common, terminal: Terminal) -> Outcome {
    let via = Via::new(&args.registry, args.direct.as_deref());
    discover::with_client(common, via, async |client| {
        let snapshot = discover::ready(client, via).await?;
        let hosts = match &args.direct {
            Some(place) => direct(place).await?,
            None => registered(&snapshot, &args)?,
        };
        let mut failed: Option<Problem> = None;
        for (host, address) in hosts {
            match on_host(client, &args, address).await {
                Ok(done) => terminal.out(line(&args, &host, &done))?,
                Err(problem) => {
                    let problem = problem.during(&format!("rolling back on {host}"));
                    if let Some(before) = failed.replace(problem) {
                        terminal.report(&before);
                    }
                }
            }
        }
        failed.map_or(Ok(()), Err)
    })
}

/// The hosts that serve it, or those of them that were named.
fn registered(snapshot: &Snapshot, args: &RollbackArgs) -> Outcome<Vec<(String, SocketAddr)>> {
    let service = args.service.as_str();
    let all = snapshot.instances().filter(|instance| instance.service.as_str() == service);
    let mut hosts: Vec<(String, SocketAddr)> = all
        .filter_map(|instance| Some((instance.host.clone(), instance.address.parse().ok()?)))
        .collect();
    let names: Vec<String> = hosts.iter().map(|(host, _)| host.clone()).collect();
    if names.is_empty() {
        let what = format!("no host serves {service:?}");
        return Err(Problem::new(Exit::NotFound, what).next("see what there is: jackfield ls"));
    }
    if let Some(missing) = args.host.iter().find(|host| !names.contains(host)) {
        let what = format!("the host {missing:?} does not serve {service}");
        let there = format!("these do: {}", enumerate(&names));
        return Err(Problem::new(Exit::NotFound, what).next(there));
    }
    hosts.retain(|(host, _)| args.host.is_empty() || args.host.contains(host));
    Ok(hosts)
}

async fn direct(place: &str) -> Outcome<Vec<(String, SocketAddr)>> {
    let unknown = |why: String| Problem::new(Exit::Unavailable, format!("{place}: {why}"));
    let mut found =
        tokio::net::lookup_host(place).await.map_err(|error| unknown(error.to_string()))?;
    let address = found.next().ok_or_else(|| unknown("no such address".into()))?;
    Ok(vec![(place.to_owned(), address)])
}

async fn on_host(client: &Client, args: &RollbackArgs, address: SocketAddr) -> Outcome<Rollback> {
    let done = client.roll_back_at(address, &args.service).await;
    done.map_err(|error| discover::call_problem(&error))
}

fn line(args: &RollbackArgs, host: &str, done: &Rollback) -> String {
    let (service, from, to) = (&args.service, done.from.short(), done.to.short());
    let how = if done.already { "was rolled back before" } else { "rolled back" };
    format!("{service} on {host}: {how}, {to} serves instead of {from} until its file changes")
}
