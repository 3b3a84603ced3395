//! What a run shall be, checked: no I/O, nothing that has begun.

use std::time::Duration;

use crate::args::LoadArgs;
use crate::problem::{Outcome, Problem};

/// A run that can be made.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Clients, each with its own connections; at least 1.
    pub(crate) connections: usize,
    /// Before anything counts; may be zero.
    pub(crate) warm_up: Duration,
    /// What counts.
    pub(crate) load: Load,
}

/// Calls, and when they begin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Load {
    /// The most calls in flight; at least 1.
    pub(crate) in_flight: usize,
    /// Calls due in each second; without it a caller calls again once it has its answer.
    pub(crate) rate: Option<f64>,
    /// For how long calls begin. One of this and `count` is set.
    pub(crate) duration: Option<Duration>,
    /// How many calls are made.
    pub(crate) count: Option<u64>,
}

impl Plan {
    /// Reads it.
    ///
    /// # Errors
    /// For numbers that make no run, with what would.
    pub(crate) fn new(args: &LoadArgs) -> Outcome<Self> {
        let in_flight = within("--concurrency", args.concurrency, MOST_IN_FLIGHT)?;
        let connections = within("--connections", args.connections, MOST_CONNECTIONS)?;
        if connections > in_flight {
            return Err(Problem::usage(format!(
                "--connections {connections} is more than the {in_flight} calls in flight: some \
                 would never be used"
            ))
            .next(format!("let more calls be in flight: -c {connections}")));
        }
        if let Some(rate) = args.rate.filter(|rate| !(SLOWEST..=FASTEST).contains(rate)) {
            return Err(Problem::usage(format!(
                "--rate {rate} is not between {SLOWEST} and {FASTEST} calls per second"
            )));
        }
        if args.count == Some(0) {
            return Err(Problem::usage("--count 0 makes no call; give 1 or more"));
        }
        for (option, time) in [("--duration", args.duration), ("--warm-up", args.warm_up)] {
            if time.is_some_and(|time| time > LONGEST) {
                return Err(Problem::usage(format!("{option} is over 24h, the longest run")));
            }
        }
        let by_count = args.count.is_some();
        Ok(Self {
            connections,
            warm_up: args.warm_up.unwrap_or(if by_count { Duration::ZERO } else { WARM_UP }),
            load: Load {
                in_flight,
                rate: args.rate,
                duration: args.duration.or((!by_count).then_some(DURATION)),
                count: args.count,
            },
        })
    }

    /// The calls before anything counts, if there are any.
    pub(crate) fn warm_up(&self) -> Option<Load> {
        let duration = Some(self.warm_up).filter(|time| !time.is_zero());
        duration.map(|_| Load { duration, count: None, ..self.load.clone() })
    }
}

fn within(option: &str, number: usize, most: usize) -> Outcome<usize> {
    match number {
        0 => Err(Problem::usage(format!("{option} 0 makes no call; give 1 to {most}"))),
        _ if number > most => {
            Err(Problem::usage(format!("{option} {number} is more than the most, {most}")))
        }
        _ => Ok(number),
    }
}

/// Each call in flight is a task with its buffers, and a host takes 1,024 or so by default.
const MOST_IN_FLIGHT: usize = 100_000;

/// Each is a client of its own with a watch of the registry, and with a socket.
const MOST_CONNECTIONS: usize = 1_000;

/// One call in a quarter of an hour or so: below it, a count of single calls says more.
const SLOWEST: f64 = 0.001;

/// Far above what one machine sends; keeps the numbers of calls exact.
const FASTEST: f64 = 10_000_000.0;

const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Long enough for a few hundred thousand calls, short enough to be waited for.
const DURATION: Duration = Duration::from_secs(10);

/// Connections reach their congestion windows and caches fill within the first second.
const WARM_UP: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};

    fn plan(options: &str) -> Outcome<Plan> {
        let line = format!("jackfield bench a.b {options}");
        let typed = line.split_whitespace().map(Into::into).collect();
        let Ok(Command::Bench(args)) = Cli::read(typed).map(|cli| cli.command) else {
            panic!("{line}: not read")
        };
        Plan::new(&args.load)
    }

    #[test]
    fn without_an_end_a_run_takes_ten_seconds_after_one_that_does_not_count() {
        let plan = plan("").unwrap();
        assert_eq!(plan.load.duration, Some(DURATION));
        assert_eq!(plan.warm_up().unwrap().duration, Some(WARM_UP));
    }

    #[test]
    fn a_count_makes_no_other_calls_and_has_no_end_of_its_own() {
        let plan = plan("-n 5").unwrap();
        assert_eq!((plan.load.count, plan.load.duration), (Some(5), None));
        assert_eq!(plan.warm_up(), None);
        assert!(self::plan("-n 5 --warm-up 1s").unwrap().warm_up().is_some());
        assert!(self::plan("--warm-up 0").unwrap().warm_up().is_none());
    }

    #[test]
    fn a_warm_up_is_never_counted_in_calls() {
        let plan = plan("-n 5 --warm-up 1s").unwrap();
        assert_eq!(plan.warm_up().unwrap().count, None);
    }

    #[test]
    fn numbers_that_make_no_run_are_refused_with_their_option() {
        for (options, said) in [
            ("-c 0", "--concurrency 0"),
            ("--connections 0", "--connections 0"),
            ("-c 2 --connections 3", "-c 3"),
            ("-c 1000000", "100000"),
            ("--rate 0", "--rate 0"),
            ("--rate -5", "--rate -5"),
            ("--rate NaN", "--rate NaN"),
            ("--rate inf", "--rate inf"),
            ("-n 0", "--count 0"),
            ("--duration 25h", "--duration is over 24h"),
            ("--warm-up 25h", "--warm-up is over 24h"),
        ] {
            let problem = plan(options).unwrap_err();
            let (what, next) = problem.text().unwrap();
            assert!(format!("{what} {next:?}").contains(said), "{options}: {what} {next:?}");
        }
    }
}
