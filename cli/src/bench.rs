//! `bench`: many calls of one method, how many were answered and how soon.

mod drive;
mod plan;
mod report;
mod tally;
mod view;

use jackfield_client::{Client, Request};
use jackfield_transport::chain;
use jackfield_wire::Status;
use jackfield_wire::status::printable;
use tokio::task::JoinSet;

use crate::args::{BenchArgs, Common};
use crate::call::{self, Arguments};
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};
use crate::signals::Signals;
use crate::terminal::Terminal;
use crate::{discover, json, setup};
use drive::{Driven, drive};
use plan::{Load, Plan};
use report::Report;
use tally::{Failure, Failures};

/// Makes the calls and tells what came of them.
pub(crate) fn run(args: BenchArgs, common: &Common, terminal: Terminal) -> Outcome {
    let plan = Plan::new(&args.load)?;
    let data = Arguments::from_args(&args.request)?;
    let saved = args.load.compare.as_deref().map(Report::read).transpose()?;
    args.load.save.as_deref().map_or(Ok(()), report::check_place)?;
    let bench = Bench { args: &args, plan: &plan, data, common, terminal };
    let (driven, argument_bytes) = bench.measure()?;
    let report = Report::new(args.request.target.to_string(), argument_bytes, &plan, &driven);
    if args.load.json {
        terminal.out(json::show(&report.to_json(), &terminal))?;
    } else {
        for line in view::lines(&report, saved.as_ref(), &terminal) {
            terminal.out(line)?;
        }
    }
    if let Some(path) = &args.load.save {
        report.save(path)?;
    }
    match driven.interrupted {
        Some(exit) => Err(Problem::silent(exit)),
        None => verdict(&driven),
    }
}

struct Bench<'a> {
    args: &'a BenchArgs,
    plan: &'a Plan,
    data: Arguments,
    common: &'a Common,
    terminal: Terminal,
}

impl Bench<'_> {
    /// What came of the run, and the length of the arguments.
    fn measure(self) -> Outcome<(Driven, usize)> {
        let runtime = setup::server_runtime()?;
        let outcome = runtime.block_on(async {
            let mut signals = Signals::listen()?;
            let mut clients = Vec::new();
            let outcome = self.connected(&mut signals, &mut clients).await;
            self.terminal.status("");
            // The hosts are told, so that none works on for a caller that has gone.
            let mut closing: JoinSet<()> =
                clients.into_iter().map(async |client: Client| client.close().await).collect();
            while closing.join_next().await.is_some() {}
            outcome
        });
        runtime.shutdown_background();
        outcome
    }

    async fn connected(
        &self,
        signals: &mut Signals,
        clients: &mut Vec<Client>,
    ) -> Outcome<(Driven, usize)> {
        let (requests, argument_bytes) = signals.unless(self.connect(clients)).await?;
        if let Some(warm_up) = self.plan.warm_up() {
            let driven = self.drive("warming up", &warm_up, &requests, signals).await;
            if let Some(exit) = driven.interrupted {
                return Err(Problem::silent(exit));
            }
        }
        let driven = self.drive("measuring", &self.plan.load, &requests, signals).await;
        Ok((driven, argument_bytes))
    }

    /// A request for each connection, which is open and has answered once; clients are put where
    /// they are closed whatever happens.
    async fn connect(&self, clients: &mut Vec<Client>) -> Outcome<(Vec<Request>, usize)> {
        let (args, via) = (&self.args.request, self.args.request.via());
        let mut arguments = None;
        let mut requests = Vec::new();
        for number in 1..=self.plan.connections {
            self.terminal.status(&format!("connection {number} of {}", self.plan.connections));
            let client = discover::connect(self.common, via).await?;
            clients.push(client.clone());
            discover::ready(&client, via).await?;
            let known: &Arguments = match &arguments {
                Some(known) => known,
                None => {
                    let typed = call::typed_arguments(&client, args).await?;
                    arguments.insert(typed.and(self.data.clone()))
                }
            };
            let request = call::request(&client, args, known.clone())?;
            try_once(&request).await?;
            requests.push(request);
        }
        Ok((requests, arguments.map_or(0, |arguments| arguments.len())))
    }

    async fn drive(
        &self,
        step: &str,
        load: &Load,
        requests: &[Request],
        signals: &mut Signals,
    ) -> Driven {
        let callers: Vec<_> = requests
            .iter()
            .map(|request| {
                let request = request.clone();
                move || answered(request.clone())
            })
            .collect();
        let progress = |now| self.terminal.status(&view::progress(step, now));
        drive(load, &callers, signals.next(), progress).await
    }
}

/// Fails as `call` does, except for the method's own error: that can be measured too.
async fn try_once(request: &Request) -> Outcome {
    match request.clone().send().await {
        Err(error) if error.status() != Status::Application => {
            Err(discover::call_problem(&error).during("the first call"))
        }
        _ => Ok(()),
    }
}

/// One call, as the tally wants it.
async fn answered(request: Request) -> Result<(), Failure> {
    let answer = request.send().await;
    answer
        .map(drop)
        .map_err(|error| Failure { status: error.status(), text: printable(&chain(&error)) })
}

/// How a whole run ends: well, when anything was answered.
fn verdict(driven: &Driven) -> Outcome {
    let most = driven.tally.failures.values().max_by_key(|failures| failures.count);
    match most {
        Some(Failures { status, .. }) if driven.tally.answers() == 0 => {
            let text = format!("no call was answered with a result; most failed as {status}");
            Err(Problem::new(Exit::of_status(*status), text))
        }
        _ => Ok(()),
    }
}
