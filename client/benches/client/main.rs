//! What the client does while hosts are slow, die, stop, fail and restart; figures, not tests.
//!
//! `cargo bench -p jackfield-client --bench client -- [PART]… [--quick] [--json|--markdown]
//! [--rounds N] [--outage SECONDS]`; `--help` lists the parts. Hosts and the registry are processes
//! of their own: this program starts itself for them. They speak the real protocol over loopback,
//! with the load generator on the same machine. Latencies count from the moment at which a call was
//! due, so that a stall shows in all that it held up.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on says where")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a report is printed")]

mod cost;
mod ewma;
mod failing;
mod fleet;
mod kill;
mod load;
mod outage;
mod registry;
mod report;
mod rolling;
mod serve;
mod stall;

use std::time::Duration;

use report::{Form, Report};

/// What was asked for.
#[derive(Clone, Debug)]
struct Plan {
    parts: Vec<String>,
    quick: bool,
    rounds: usize,
    outage: Duration,
    form: Form,
}

impl Plan {
    fn read(args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut plan = Self {
            parts: Vec::new(),
            quick: false,
            rounds: 0,
            outage: Duration::ZERO,
            form: Form::Table,
        };
        let mut args = args.peekable();
        let number = |text: Option<String>, of: &str| {
            text.and_then(|text| text.parse().ok()).ok_or(format!("{of} takes a whole number"))
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                // What cargo adds.
                "--bench" => {}
                "--quick" => plan.quick = true,
                "--json" => plan.form = Form::Json,
                "--markdown" => plan.form = Form::Markdown,
                "--rounds" => plan.rounds = number(args.next(), "--rounds")?,
                "--outage" => {
                    let seconds = number(args.next(), "--outage")?;
                    plan.outage = Duration::from_secs(u64::try_from(seconds).unwrap());
                }
                part if PARTS.iter().any(|(name, _)| *name == part) => plan.parts.push(arg),
                other => return Err(format!("there is no part or option {other}")),
            }
        }
        plan.rounds =
            [plan.rounds, if plan.quick { 2 } else { 100 }][usize::from(plan.rounds == 0)];
        if plan.outage.is_zero() {
            plan.outage = Duration::from_secs(if plan.quick { 8 } else { 600 });
        }
        Ok(plan)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    /// A time that is shorter in a quick run.
    fn for_secs(&self, full: u64, quick: u64) -> Duration {
        Duration::from_secs(if self.quick { quick } else { full })
    }

    /// Calls in a second.
    fn rate(&self, full: u32) -> u32 {
        if self.quick { full / 4 } else { full }
    }
}

/// The parts, and about how long each takes in full.
const PARTS: [(&str, &str); 7] = [
    ("ewma", "slow hosts and three pickers, 2 minutes"),
    ("kill", "kill -9 of one of three hosts, 100 times, 8 minutes"),
    ("stall", "SIGSTOP, one-way partition, 5 % loss, 1 minute"),
    ("failing", "every host fails, 10 seconds"),
    ("rolling", "five hosts restarted in turn, half a minute"),
    ("cost", "of a pick, and of a call beyond the raw stream, a minute"),
    ("outage", "registry killed for 10 minutes (--outage SECONDS)"),
];

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("serve") => return serve::run(args),
        Some("registry") => return registry::run(args),
        Some("--help") => return help(),
        // `cargo test --benches` only wants to know that it starts.
        Some("--test") => return,
        _ => {}
    }
    let plan = match Plan::read(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(problem) => {
            eprintln!("{problem}");
            help();
            std::process::exit(2);
        }
    };
    let mut report = Report::default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (part, _) in PARTS.iter().filter(|(part, _)| plan.wants(part)) {
            eprintln!("{part} …");
            match *part {
                "ewma" => ewma::run(&plan, &mut report).await,
                "kill" => kill::run(&plan, &mut report).await,
                "stall" => stall::run(&plan, &mut report).await,
                "failing" => failing::run(&plan, &mut report).await,
                "rolling" => rolling::run(&plan, &mut report).await,
                "cost" => cost::run(&plan, &mut report).await,
                _ => outage::run(&plan, &mut report).await,
            }
        }
    });
    report.print(plan.form);
}

fn help() {
    println!(
        "cargo bench -p jackfield-client --bench client -- [PART]… [--quick] [--json|--markdown]"
    );
    println!("    [--rounds N] [--outage SECONDS]\n\nParts, all by default:");
    for (part, what) in PARTS {
        println!("  {part:8} {what}");
    }
}
