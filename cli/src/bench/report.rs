//! The figures of a run: as they are kept in a file, printed as JSON and compared.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::drive::Driven;
use super::plan::Plan;
use crate::exit::Exit;
use crate::problem::{Outcome, Problem};

/// Everything that is said of a run. Times are in the unit of their name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// [`FORMAT`]
    pub(crate) format: u32,
    /// The version that measured.
    pub(crate) jackfield: String,
    pub(crate) setting: Setting,
    /// How long calls began.
    pub(crate) seconds: f64,
    pub(crate) answers: u64,
    /// Of those that came within `seconds`.
    pub(crate) answers_per_second: f64,
    pub(crate) failures: BTreeMap<String, Failures>,
    /// Calls that were due by the rate, and for which the time was not enough.
    pub(crate) never_begun: u64,
    /// Calls that were in flight when the run was interrupted.
    pub(crate) dropped: u64,
    /// Of answers; without any there is none.
    pub(crate) latency_us: Option<Latency>,
    /// Of answers, from fast to slow.
    pub(crate) histogram: Vec<Bar>,
}

/// What was asked for: runs that differ in it do not compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Setting {
    pub(crate) target: String,
    /// The length of the arguments as they travel.
    pub(crate) argument_bytes: usize,
    pub(crate) in_flight: usize,
    pub(crate) connections: usize,
    pub(crate) rate: Option<f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failures {
    pub(crate) count: u64,
    pub(crate) example: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) min: f64,
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p99_9: f64,
    pub(crate) max: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bar {
    pub(crate) up_to_us: f64,
    pub(crate) count: u64,
}

impl Report {
    /// Of a run.
    pub(crate) fn new(target: String, argument_bytes: usize, plan: &Plan, driven: &Driven) -> Self {
        let tally = &driven.tally;
        let seconds = driven.window.as_secs_f64();
        let failures = tally.failures.iter().map(|(name, failures)| {
            let (count, example) = (failures.count, failures.example.clone());
            ((*name).to_owned(), Failures { count, example })
        });
        Self {
            format: FORMAT,
            jackfield: env!("CARGO_PKG_VERSION").into(),
            setting: Setting {
                target,
                argument_bytes,
                in_flight: plan.load.in_flight,
                connections: plan.connections,
                rate: plan.load.rate,
            },
            seconds,
            answers: tally.answers(),
            answers_per_second: if seconds > 0.0 { tally.in_time as f64 / seconds } else { 0.0 },
            failures: failures.collect(),
            never_begun: driven.never_begun,
            dropped: driven.dropped,
            latency_us: latency(driven),
            histogram: histogram(driven),
        }
    }

    /// As JSON text.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report has string keys and finite numbers")
    }

    /// Keeps it in a file, whole or not at all.
    pub(crate) fn save(&self, path: &Path) -> Outcome {
        let beside = PathBuf::from(format!("{}.{}.tmp", path.display(), std::process::id()));
        let written = fs::write(&beside, format!("{}\n", self.to_json()))
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|error| {
            // What is left of it helps nobody; that it cannot be removed is no second problem.
            let _ = fs::remove_file(&beside);
            Problem::internal(format!("cannot save the figures in {}: {error}", path.display()))
        })
    }

    /// Reads what [`Self::save`] has kept.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let shown = path.display();
        let file = fs::File::open(path);
        let bytes = file.and_then(|file| {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST), &mut bytes)?;
            Ok(bytes)
        });
        let bytes = bytes.map_err(|error| {
            Problem::new(Exit::NotFound, format!("--compare: cannot read {shown}: {error}"))
                .next(format!("save a run first: jackfield bench … --save {shown}"))
        })?;
        let report: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::usage(format!("--compare: {shown} is no saved run: {error}"))
                .next(format!("save a run first: jackfield bench … --save {shown}"))
        })?;
        if report.format != FORMAT {
            return Err(Problem::usage(format!(
                "--compare: {shown} was saved in format {}, this is {FORMAT}; save a run anew",
                report.format
            )));
        }
        Ok(report)
    }

    /// What was asked for otherwise in `saved`, which makes ratios mean less.
    pub(crate) fn differences(&self, saved: &Self) -> Vec<String> {
        let (now, then) = (&self.setting, &saved.setting);
        let rate = |rate: Option<f64>| rate.map_or("none".into(), |rate| rate.to_string());
        [
            ("target", then.target.clone(), now.target.clone()),
            ("bytes of arguments", then.argument_bytes.to_string(), now.argument_bytes.to_string()),
            ("calls in flight", then.in_flight.to_string(), now.in_flight.to_string()),
            ("connections", then.connections.to_string(), now.connections.to_string()),
            ("rate", rate(then.rate), rate(now.rate)),
        ]
        .into_iter()
        .filter(|(_, then, now)| then != now)
        .map(|(what, then, now)| format!("{what}: {then} there, {now} here"))
        .collect()
    }
}

/// Refuses a place where nothing can be saved, before a run is made for nothing.
pub(crate) fn check_place(path: &Path) -> Outcome {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => path,
    };
    let said = match () {
        () if path.is_dir() => format!("{} is a folder", path.display()),
        () if !folder.is_dir() => format!("there is no folder {}", folder.display()),
        () => return Ok(()),
    };
    Err(Problem::usage(format!("--save: {said}; name a file to save the figures in")))
}

fn latency(driven: &Driven) -> Option<Latency> {
    let latencies = &driven.tally.latencies;
    let at = |percent| micros(latencies.value_at_percentile(percent));
    (!latencies.is_empty()).then(|| Latency {
        min: micros(latencies.min()),
        mean: latencies.mean() / 1e3,
        p50: at(50.0),
        p90: at(90.0),
        p99: at(99.0),
        p99_9: at(99.9),
        max: micros(latencies.max()),
    })
}

/// At most [`BARS`] bars, each as many times wider than the one before, from the fastest answer to
/// the slowest.
fn histogram(driven: &Driven) -> Vec<Bar> {
    let latencies = &driven.tally.latencies;
    if latencies.is_empty() {
        return Vec::new();
    }
    let (fastest, slowest) = (latencies.min().max(1), latencies.max().max(1));
    let growth = (slowest as f64 / fastest as f64).powf(1.0 / f64::from(BARS)).max(1.0);
    let mut bars = Vec::new();
    let mut before = 0;
    for bar in 1..=BARS {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to max")]
        let up_to = match bar {
            BARS => slowest,
            _ => (fastest as f64 * growth.powi(bar.cast_signed())) as u64,
        };
        let count = latencies.count_between(0, up_to);
        if count > before {
            bars.push(Bar { up_to_us: micros(up_to), count: count - before });
        }
        before = before.max(count);
    }
    bars
}

fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

impl Latency {
    /// Each figure with its name, from fast to slow.
    pub(crate) fn named(&self) -> [(&'static str, f64); 7] {
        [
            ("min", self.min),
            ("mean", self.mean),
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p99.9", self.p99_9),
            ("max", self.max),
        ]
    }
}

/// Microseconds as a duration.
pub(crate) fn duration(micros: f64) -> Duration {
    Duration::try_from_secs_f64(micros / 1e6).unwrap_or_default()
}

/// Of saved files; grows when the meaning of a field changes.
const FORMAT: u32 = 1;

/// A saved run has a kilobyte or two.
const LARGEST: u64 = 1 << 20;

/// As many as a person takes in at a glance.
const BARS: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tally::{Failure, Tally};

    fn report(latencies_us: &[u64]) -> Report {
        let mut tally = Tally::default();
        for micros in latencies_us {
            tally.add(Ok(()), Duration::from_micros(*micros), true);
        }
        let failure =
            Failure { status: jackfield_wire::Status::Trapped, text: "unreachable".into() };
        tally.add(Err(failure), Duration::ZERO, true);
        let driven = Driven {
            tally,
            window: Duration::from_secs(2),
            dropped: 0,
            never_begun: 3,
            interrupted: None,
        };
        let load = super::super::plan::Load {
            in_flight: 4,
            rate: Some(2.5),
            duration: Some(driven.window),
            count: None,
        };
        let plan = Plan { connections: 2, warm_up: Duration::ZERO, load };
        Report::new("calc.add".into(), 5, &plan, &driven)
    }

    #[test]
    fn figures_are_in_the_units_of_their_names() {
        let report = report(&[1_000, 2_000, 3_000, 4_000]);
        assert_eq!((report.answers, report.answers_per_second), (4, 2.0));
        let latency = report.latency_us.unwrap();
        assert!((latency.min - 1_000.0).abs() < 2.0 && (latency.max - 4_000.0).abs() < 8.0);
        assert!((latency.p50 - 2_000.0).abs() < 4.0, "{latency:?}");
        assert_eq!(report.failures["trapped"].count, 1);
    }

    #[test]
    fn the_bars_hold_every_answer_once() {
        let spread: Vec<u64> = (1..500).map(|n| n * n).collect();
        for latencies in [&spread[..], &[7], &[5, 5, 5], &[1, 1_000_000]] {
            let report = report(latencies);
            let sum: u64 = report.histogram.iter().map(|bar| bar.count).sum();
            assert_eq!(sum, report.answers, "{:?}", report.histogram);
            assert!(report.histogram.len() <= BARS as usize);
        }
    }

    #[test]
    fn without_answers_there_is_no_latency() {
        let report = report(&[]);
        assert_eq!((report.latency_us, report.histogram), (None, Vec::new()));
    }

    #[test]
    fn what_is_saved_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let report = report(&[10, 20]);
        report.save(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), report);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_saved_run_says_how_to_make_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        for (content, exit) in [(None, Exit::NotFound), (Some("{}"), Exit::Usage)] {
            if let Some(content) = content {
                fs::write(&path, content).unwrap();
            }
            let problem = Report::read(&path).unwrap_err();
            assert_eq!(problem.exit(), exit);
            assert!(problem.text().unwrap().1[0].contains("--save"));
        }
        let old = Report { format: 0, ..report(&[]) };
        fs::write(&path, old.to_json()).unwrap();
        assert!(Report::read(&path).unwrap_err().text().unwrap().0.contains("format 0"));
    }

    #[test]
    fn differences_of_the_settings_are_named() {
        let now = report(&[1]);
        let mut then = now.clone();
        assert!(now.differences(&then).is_empty());
        then.setting.rate = None;
        then.setting.in_flight = 64;
        let said = ["calls in flight: 64 there, 4 here", "rate: none there, 2.5 here"];
        assert_eq!(now.differences(&then), said);
    }

    #[test]
    fn a_place_where_nothing_can_be_saved_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(check_place(folder.path()).is_err());
        assert!(check_place(&folder.path().join("no/file")).is_err());
        assert!(check_place(&folder.path().join("file")).is_ok());
        assert!(check_place(Path::new("file")).is_ok());
    }
}
