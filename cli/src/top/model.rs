//! From what hosts say of themselves, look by look, to rows with rates. Pure: no clock, no terminal.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use jackfield_client::HostAnswer;
use jackfield_transport::chain;
use jackfield_wire::Status;
use jackfield_wire::reflect::{HostReport, Latency, MethodReport, ServiceReport};
use jackfield_wire::status::printable;
use serde::{Serialize, Serializer};

use crate::args::{Column, View};

/// What is known after the last look.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// The last report of each host, by its name or address.
    last: HashMap<String, HostReport>,
    now: Picture,
}

/// What there is to show.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Picture {
    pub(crate) services: Vec<Row>,
    pub(crate) methods: Vec<Row>,
    pub(crate) hosts: Vec<Row>,
    /// All hosts together.
    #[serde(skip)]
    pub(crate) whole: Figures,
    /// Hosts that did not answer.
    #[serde(skip)]
    pub(crate) silent: usize,
    /// There was a look before, so that rates are known.
    #[serde(skip)]
    pub(crate) has_rates: bool,
}

/// A service, a method or a host.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// Of a service its version and hosts, of a host its address.
    pub(crate) about: String,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trouble: Option<String>,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// Numbers of calls. Rates and latencies are those of the time between the last two looks.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Figures {
    pub(crate) calls_per_second: f64,
    /// Failures that a person should care for.
    pub(crate) errors_per_second: f64,
    /// Failures of that time, by how they ended.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) failures: BTreeMap<Status, u64>,
    #[serde(rename = "p50_seconds", serialize_with = "p50")]
    pub(crate) latency: Latency,
    #[serde(rename = "p99_seconds")]
    pub(crate) p99: Option<f64>,
    pub(crate) running: u64,
    pub(crate) instances: u64,
    pub(crate) memory_bytes: u64,
    /// Since the hosts started.
    pub(crate) traps: u64,
    /// Since the hosts started.
    pub(crate) calls: u64,
}

impl Model {
    /// Takes the answers of one look.
    pub(crate) fn look(&mut self, answers: &[HostAnswer]) {
        let mut next = Picture { has_rates: self.now.has_rates, ..Picture::default() };
        let (mut services, mut methods) = (BTreeMap::new(), BTreeMap::new());
        let mut reports = HashMap::new();
        for answer in answers {
            let name = answer.host.clone().unwrap_or_else(|| answer.address.to_string());
            match &answer.report {
                Ok(report) => {
                    let key = format!("{name} {}", answer.address);
                    let before = self.last.get(&key);
                    next.has_rates |= before.is_some();
                    let host = Host { report, before };
                    next.hosts.push(host.row(&name, &answer.address.to_string()));
                    host.add(&mut services, &mut methods);
                    reports.insert(key, report.clone());
                }
                Err(error) => {
                    next.silent += 1;
                    let trouble = Some(printable(&chain(error)).replace('\n', " "));
                    let about = answer.address.to_string();
                    let figures = Figures::default();
                    next.hosts.push(Row { name, about, trouble, figures });
                }
            }
        }
        next.services = services.into_iter().map(|(name, sum)| sum.row(name)).collect();
        next.methods = methods.into_iter().map(|(name, sum)| sum.row(name)).collect();
        next.hosts.iter().for_each(|host| next.whole.add(&host.figures));
        for row in next.services.iter_mut().chain(&mut next.methods).chain(&mut next.hosts) {
            row.figures.settle();
        }
        (self.last, self.now) = (reports, next);
    }

    /// What there is to show.
    pub(crate) fn picture(&self) -> &Picture {
        &self.now
    }
}

impl Picture {
    /// The rows of a view whose names have `filter` in them, sorted: names from the first, numbers
    /// from the highest.
    pub(crate) fn rows(&self, view: View, filter: &str, order: Order) -> Vec<&Row> {
        let all = match view {
            View::Services => &self.services,
            View::Methods => &self.methods,
            View::Hosts => &self.hosts,
        };
        let filter = filter.to_lowercase();
        let mut rows: Vec<&Row> =
            all.iter().filter(|row| row.name.to_lowercase().contains(&filter)).collect();
        rows.sort_by(|a, b| match order.by {
            Column::Name => a.name.cmp(&b.name),
            by => b.figures.value(by).total_cmp(&a.figures.value(by)).then(a.name.cmp(&b.name)),
        });
        if order.is_reversed {
            rows.reverse();
        }
        rows
    }
}

/// How rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) by: Column,
    pub(crate) is_reversed: bool,
}

/// A host's report, and the one of the look before.
struct Host<'a> {
    report: &'a HostReport,
    before: Option<&'a HostReport>,
}

/// Rows of several hosts that are about the same.
#[derive(Default)]
struct Sum {
    hosts: usize,
    versions: Vec<String>,
    trouble: Option<String>,
    figures: Figures,
}

impl Host<'_> {
    fn row(&self, name: &str, address: &str) -> Row {
        let mut figures = Figures::default();
        for service in &self.report.services {
            figures.add(&self.service(service));
        }
        figures.instances = self.report.instances;
        figures.memory_bytes = self.report.memory_bytes;
        let HostReport { load, concurrency, services, .. } = self.report;
        let about = format!(
            "{address}, {} services, {} of {concurrency} calls at once, {} wait, up {}",
            services.len(),
            load.in_flight,
            load.queued,
            up(self.report.uptime_ms)
        );
        let trouble = self.report.draining.then(|| "takes its leave".to_owned());
        Row { name: printable(name), about, trouble, figures }
    }

    fn add(&self, services: &mut BTreeMap<String, Sum>, methods: &mut BTreeMap<String, Sum>) {
        for service in &self.report.services {
            let sum = services.entry(service.service.to_string()).or_default();
            sum.take(service, &self.report.host);
            sum.figures.add(&self.service(service));
            // What a tool made for its own use is of interest when it is called.
            for method in service.methods.iter().filter(|one| !one.hidden || one.calls > 0) {
                let name = printable(&format!("{}.{}", service.service, method.name));
                let sum = methods.entry(name).or_default();
                sum.take(service, &self.report.host);
                sum.figures.add(&self.method(service, method));
            }
        }
    }

    fn service(&self, service: &ServiceReport) -> Figures {
        let mut figures = Figures::default();
        for method in &service.methods {
            figures.add(&self.method(service, method));
        }
        figures.instances = service.instances;
        figures.memory_bytes = service.memory_bytes;
        figures
    }

    fn method(&self, service: &ServiceReport, method: &MethodReport) -> Figures {
        let since = self.before.map(|report| {
            let all = report.services.iter().find(|one| one.service == service.service);
            let same = all.and_then(|one| one.methods.iter().find(|one| one.name == method.name));
            same.map_or_else(|| method.clone(), |before| method.since(before))
        });
        let rate = |count: u64| per_second(count, self.elapsed());
        let mut figures = Figures {
            running: method.in_flight,
            traps: method.failed(Status::Trapped),
            calls: method.calls,
            ..Figures::default()
        };
        if let Some(since) = since {
            figures.calls_per_second = rate(since.calls);
            figures.errors_per_second = rate(since.errors());
            figures.failures = since.failures;
            figures.latency = since.latency;
        }
        figures
    }

    /// Between the two looks, by the host's own clock.
    fn elapsed(&self) -> Duration {
        let before = self.before.map_or(0, |report| report.uptime_ms);
        // Restarted meanwhile: all of it is new.
        let ms = self.report.uptime_ms.checked_sub(before).unwrap_or(self.report.uptime_ms);
        Duration::from_millis(ms)
    }
}

impl Sum {
    fn take(&mut self, service: &ServiceReport, host: &str) {
        self.hosts += 1;
        let version = service.version.as_ref().map_or_else(
            || service.generation.short(),
            |version| format!("{version} ({})", service.generation.short()),
        );
        if !self.versions.contains(&version) {
            self.versions.push(version);
        }
        if let Some(reason) = &service.quarantined {
            self.trouble = Some(printable(&format!("on {host}: {reason}")).replace('\n', " "));
        }
    }

    fn row(self, name: String) -> Row {
        let hosts = if self.hosts == 1 { "host" } else { "hosts" };
        let about = printable(&format!("{} {hosts}, {}", self.hosts, self.versions.join(", ")));
        Row { name, about, trouble: self.trouble, figures: self.figures }
    }
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.calls_per_second += other.calls_per_second;
        self.errors_per_second += other.errors_per_second;
        for (status, count) in &other.failures {
            *self.failures.entry(*status).or_default() += count;
        }
        self.latency.add(&other.latency);
        self.running += other.running;
        self.instances += other.instances;
        self.memory_bytes += other.memory_bytes;
        self.traps += other.traps;
        self.calls += other.calls;
    }

    /// Once all is added.
    fn settle(&mut self) {
        self.p99 = self.quantile(0.99).map(|time| time.as_secs_f64());
    }

    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        self.latency.quantile(q)
    }

    fn value(&self, column: Column) -> f64 {
        let seconds = |q| self.quantile(q).map_or(0.0, |time| time.as_secs_f64());
        match column {
            Column::Name => 0.0,
            Column::Calls => self.calls_per_second,
            Column::Errors => self.errors_per_second,
            Column::P50 => seconds(0.5),
            Column::P99 => seconds(0.99),
            Column::Running => float(self.running),
            Column::Instances => float(self.instances),
            Column::Memory => float(self.memory_bytes),
            Column::Traps => float(self.traps),
        }
    }
}

fn p50<S: Serializer>(latency: &Latency, serializer: S) -> Result<S::Ok, S::Error> {
    latency.quantile(0.5).map(|time| time.as_secs_f64()).serialize(serializer)
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { float(count) / time.as_secs_f64() }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
fn float(count: u64) -> f64 {
    count as f64
}

/// `5s`, `12m`, `3h`, `9d`.
fn up(ms: u64) -> String {
    match ms / 1000 {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    /// What a host says that has answered `calls` calls of `calc.add` in a millisecond each, and
    /// trapped in `traps` of `bad.one`.
    pub(crate) fn report(host: &str, uptime_ms: u64, calls: u64, traps: u64) -> HostReport {
        let load = json!({"in_flight": 1, "queued": 0});
        let method = |name: &str, calls: u64, failures| {
            json!({
                "name": name, "calls": calls, "failures": failures, "in_flight": 1,
                "latency": {
                    "sum_ns": calls * 1_000_000,
                    "buckets": [{"up_to_ns": 1_000_000, "count": calls}],
                },
            })
        };
        let service = |name: &str, method: serde_json::Value| {
            json!({
                "service": name, "version": "1.2.0", "generation": "0".repeat(32), "load": load,
                "instances": 2, "idle": 1, "memory_bytes": 2 << 20, "methods": [method],
                "quarantined": (name == "bad").then_some("trapped too often\u{1b}[2J"),
            })
        };
        let report = json!({
            "host": host, "version": "0.1.0", "uptime_ms": uptime_ms, "load": load,
            "concurrency": 64, "draining": false, "instances": 4, "memory_bytes": 4 << 20,
            "retired": 0,
            "services": [
                service("bad", method("one", traps, json!({"trapped": traps}))),
                service("calc", method("add", calls, json!({}))),
            ],
        });
        serde_json::from_value(report).expect("a report")
    }

    /// Two looks at two hosts, a second apart.
    pub(crate) fn looked() -> Model {
        let mut model = Model::default();
        model.look(&[answer("a", report("a", 1000, 100, 0)), answer("b", report("b", 500, 0, 0))]);
        model.look(&[
            answer("a", report("a", 2000, 1100, 5)),
            answer("b", report("b", 1500, 500, 0)),
        ]);
        model
    }

    fn answer(host: &str, report: HostReport) -> HostAnswer {
        let address = ([127, 0, 0, 1], u16::from(host.as_bytes()[0])).into();
        HostAnswer { host: Some(host.into()), address, report: Ok(report) }
    }

    #[test]
    fn rates_are_those_between_two_looks_over_all_hosts() {
        let model = looked();
        let picture = model.picture();
        let calc = picture.services.iter().find(|row| row.name == "calc").unwrap();
        assert_eq!((calc.figures.calls_per_second, calc.figures.calls), (1500.0, 1600));
        assert_eq!((calc.figures.running, calc.figures.instances), (2, 4));
        assert!(calc.figures.quantile(0.5).unwrap() <= Duration::from_millis(1));
        assert_eq!(calc.about, "2 hosts, 1.2.0 (000000000000)");
        let one = picture.methods.iter().find(|row| row.name == "bad.one").unwrap();
        assert_eq!((one.figures.errors_per_second, one.figures.traps), (5.0, 5));
        assert!(one.trouble.as_ref().unwrap().contains("on b: trapped too often\\u{1b}"));
        assert_eq!(picture.whole.calls_per_second, 1505.0);
    }

    #[test]
    fn a_host_that_restarted_has_the_rates_of_its_new_life() {
        let mut model = Model::default();
        model.look(&[answer("a", report("a", 90_000, 5000, 0))]);
        assert!(!model.picture().has_rates);
        model.look(&[answer("a", report("a", 500, 50, 0))]);
        assert_eq!(model.picture().whole.calls_per_second, 100.0);
        assert!(model.picture().has_rates);
    }

    #[test]
    fn rows_are_sorted_and_filtered() {
        let model = looked();
        let names = |filter, by, is_reversed| -> Vec<&str> {
            let rows = model.picture().rows(View::Methods, filter, Order { by, is_reversed });
            rows.iter().map(|row| row.name.as_str()).collect()
        };
        assert_eq!(names("", Column::Calls, false), ["calc.add", "bad.one"]);
        assert_eq!(names("", Column::Traps, false), ["bad.one", "calc.add"]);
        assert_eq!(names("", Column::Name, true), ["calc.add", "bad.one"]);
        assert_eq!(names("CALC", Column::Name, false), ["calc.add"]);
        assert!(names("x", Column::Name, false).is_empty());
    }

    #[test]
    fn a_picture_as_json_has_numbers_with_their_units() {
        let json = serde_json::to_value(looked().picture()).unwrap();
        let calc = &json["services"][1];
        assert_eq!((&calc["name"], &calc["calls_per_second"]), (&json!("calc"), &json!(1500.0)));
        assert!(calc["p50_seconds"].as_f64().unwrap() < 0.001);
        assert!(calc["p99_seconds"].is_f64() && json.get("whole").is_none());
        assert!(!json.to_string().contains("up_to_ns"));
    }
}
