//! From what hosts count to what viewers see: rates, failures and latencies of the last seconds. Pure.
//!
//! Hosts count from when they started. What happened between two answers of a host is their difference;
//! a host that started anew, or is heard for the first time, has none yet.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jackfield_wire::reflect::{HostReport, Latency, MethodReport, NamelessFile};
use jackfield_wire::{ServiceName, Status};
use serde::Serialize;

/// What is known of the last seconds.
#[derive(Default)]
pub(super) struct Figures {
    hosts: BTreeMap<(String, SocketAddr), Host>,
    /// The newest last.
    passes: VecDeque<Pass>,
    heard: Option<Instant>,
}

/// The newest of one host.
#[derive(Default)]
struct Host {
    report: Option<HostReport>,
    /// Why it said nothing the last time.
    error: Option<String>,
    passes: VecDeque<Done>,
}

/// What a host answered, or why it did not.
pub(super) struct Heard {
    pub(super) host: String,
    pub(super) address: SocketAddr,
    pub(super) report: Result<HostReport, String>,
}

/// What happened from one question to the next.
#[derive(Default)]
struct Pass {
    lasted: Duration,
    methods: HashMap<(ServiceName, String), Done>,
}

/// Calls that ended.
#[derive(Clone, Debug, Default, PartialEq)]
struct Done {
    calls: u64,
    /// Those for which nobody can blame the caller or the method's own errors.
    faults: u64,
    failures: BTreeMap<Status, u64>,
    latency: Latency,
}

/// Everything, as it is sent.
#[derive(Debug, Serialize)]
pub(super) struct Told<'f> {
    total: Numbers,
    hosts: Vec<ToldHost<'f>>,
    services: BTreeMap<&'f str, ToldService<'f>>,
}

#[derive(Debug, Serialize)]
struct ToldHost<'f> {
    host: &'f str,
    address: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'f str>,
    uptime_s: Option<u64>,
    /// Bytes of the linear memories of its instances.
    memory: Option<u64>,
    /// Calls in which a guest trapped, since the plugins were loaded.
    traps: Option<u64>,
    /// Files that no service tells of.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    nameless: &'f [NamelessFile],
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Debug, Default, Serialize)]
struct ToldService<'f> {
    memory: u64,
    traps: u64,
    #[serde(flatten)]
    numbers: Numbers,
    methods: BTreeMap<&'f str, Numbers>,
}

/// Numbers of a method, a service, a host, or all. Rates are per second: means of the window, and
/// `_now` of the last second alone. Times are in milliseconds, of the window.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Numbers {
    rate: f64,
    rate_now: f64,
    failed: f64,
    failed_now: f64,
    faults: f64,
    p50: Option<f64>,
    p99: Option<f64>,
    /// Failures of the window, by how the calls ended.
    statuses: BTreeMap<Status, u64>,
    in_flight: u64,
    /// Calls that ended since the plugin was loaded.
    calls: u64,
}

impl Figures {
    /// Takes in what hosts answered at `now`.
    pub(super) fn heard(&mut self, now: Instant, answers: impl IntoIterator<Item = Heard>) {
        let lasted = self.heard.replace(now).map_or(Duration::ZERO, |before| now - before);
        let mut pass = Pass { lasted, ..Pass::default() };
        let mut before = std::mem::take(&mut self.hosts);
        for Heard { host, address, report } in answers {
            let key = (host, address);
            let mut known = before.remove(&key).unwrap_or_default();
            known.hear(report, &mut pass);
            self.hosts.insert(key, known);
        }
        self.passes.push_back(pass);
        if self.passes.len() > WINDOW {
            self.passes.pop_front();
        }
    }

    /// What viewers see of it.
    pub(super) fn told(&self) -> Told<'_> {
        let lasted = Lasted {
            window: self.passes.iter().map(|pass| pass.lasted.as_secs_f64()).sum(),
            last: self.passes.back().map_or(0.0, |pass| pass.lasted.as_secs_f64()),
        };
        let methods = self.methods();
        let mut services: BTreeMap<&str, (Tally, ToldService<'_>)> = BTreeMap::new();
        let mut total = Tally::default();
        let is_crowded = methods.len() > MAX_METHODS;
        for ((service, method), tally) in methods {
            total.add(&tally);
            let (sum, told) = services.entry(service).or_default();
            sum.add(&tally);
            let is_idle = tally.window.calls == 0 && tally.in_flight == 0;
            if !is_idle || (!is_crowded && tally.calls > 0) {
                told.methods.insert(method, tally.numbers(lasted));
            }
        }
        for report in self.reports().flat_map(|report| &report.services) {
            if let Some((_, told)) = services.get_mut(report.service.as_str()) {
                told.memory += report.memory_bytes;
                told.traps += report.traps();
            }
        }
        let services = services.into_iter().map(|(name, (sum, mut told))| {
            told.numbers = sum.numbers(lasted);
            (name, told)
        });
        Told {
            total: total.numbers(lasted),
            hosts: self.hosts.iter().map(|(key, host)| host.told(key, lasted)).collect(),
            services: services.collect(),
        }
    }

    fn reports(&self) -> impl Iterator<Item = &HostReport> {
        self.hosts.values().filter_map(|host| host.report.as_ref())
    }

    /// Every method that a host serves, over all hosts.
    fn methods(&self) -> BTreeMap<(&str, &str), Tally> {
        let mut all: BTreeMap<(&str, &str), Tally> = BTreeMap::new();
        for report in self.reports().flat_map(|report| &report.services) {
            for method in &report.methods {
                let tally = all.entry((report.service.as_str(), &method.name)).or_default();
                tally.in_flight += method.in_flight;
                tally.calls += method.calls;
            }
        }
        for pass in &self.passes {
            for ((service, method), done) in &pass.methods {
                if let Some(tally) = all.get_mut(&(service.as_str(), method.as_str())) {
                    tally.window.add(done);
                }
            }
        }
        for ((service, method), done) in self.passes.back().iter().flat_map(|pass| &pass.methods) {
            if let Some(tally) = all.get_mut(&(service.as_str(), method.as_str())) {
                (tally.calls_now, tally.failed_now) = (done.calls, done.failed());
            }
        }
        all
    }
}

impl Host {
    fn hear(&mut self, answer: Result<HostReport, String>, pass: &mut Pass) {
        let mut own = Done::default();
        match answer {
            Ok(report) => {
                let before = self.report.as_ref().filter(|old| old.uptime_ms <= report.uptime_ms);
                if let Some(before) = before {
                    own = compare(before, &report, pass);
                }
                (self.report, self.error) = (Some(report), None);
            }
            Err(error) => self.error = Some(error),
        }
        self.passes.push_back(own);
        if self.passes.len() > WINDOW {
            self.passes.pop_front();
        }
    }

    fn told<'f>(
        &'f self,
        (name, address): &'f (String, SocketAddr),
        lasted: Lasted,
    ) -> ToldHost<'f> {
        let report = self.report.as_ref();
        let mut tally = Tally::default();
        self.passes.iter().for_each(|done| tally.window.add(done));
        if let Some(done) = self.passes.back() {
            (tally.calls_now, tally.failed_now) = (done.calls, done.failed());
        }
        tally.in_flight = report.map_or(0, |report| report.load.in_flight.into());
        tally.calls = report.map_or(0, |report| report.services.iter().map(|s| s.calls()).sum());
        ToldHost {
            host: name,
            address: *address,
            error: self.error.as_deref(),
            uptime_s: report.map(|report| report.uptime_ms / 1000),
            memory: report.map(|report| report.memory_bytes),
            traps: report.map(|report| report.services.iter().map(|s| s.traps()).sum()),
            nameless: report.map_or(&[], |report| &report.nameless),
            numbers: tally.numbers(lasted),
        }
    }
}

/// What happened on one host between two answers.
fn compare(before: &HostReport, now: &HostReport, pass: &mut Pass) -> Done {
    let mut own = Done::default();
    for service in &now.services {
        let old = before.services.iter().find(|old| old.service == service.service);
        for method in &service.methods {
            let old = old.and_then(|old| old.methods.iter().find(|old| old.name == method.name));
            let since = old.map_or_else(|| method.clone(), |old| method.since(old));
            if since.calls > 0 {
                let done = Done::of(since);
                own.add(&done);
                let key = (service.service.clone(), method.name.clone());
                pass.methods.entry(key).or_default().add(&done);
            }
        }
    }
    own
}

impl Done {
    fn of(since: MethodReport) -> Self {
        let faults = since.errors();
        Self { calls: since.calls, faults, failures: since.failures, latency: since.latency }
    }

    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.faults += other.faults;
        for (status, count) in &other.failures {
            *self.failures.entry(*status).or_default() += count;
        }
        self.latency.add(&other.latency);
    }

    fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// What numbers are made of.
#[derive(Default)]
struct Tally {
    window: Done,
    calls_now: u64,
    failed_now: u64,
    in_flight: u64,
    calls: u64,
}

/// Seconds that the window and its last pass took; 0 before the second answer.
#[derive(Clone, Copy)]
struct Lasted {
    window: f64,
    last: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.window.add(&other.window);
        self.calls_now += other.calls_now;
        self.failed_now += other.failed_now;
        self.in_flight += other.in_flight;
        self.calls += other.calls;
    }

    fn numbers(&self, lasted: Lasted) -> Numbers {
        let quantile =
            |q| self.window.latency.quantile(q).map(|time| round(time.as_secs_f64() * 1e3));
        Numbers {
            rate: per_second(self.window.calls, lasted.window),
            rate_now: per_second(self.calls_now, lasted.last),
            failed: per_second(self.window.failed(), lasted.window),
            failed_now: per_second(self.failed_now, lasted.last),
            faults: per_second(self.window.faults, lasted.window),
            p50: quantile(0.5),
            p99: quantile(0.99),
            statuses: self.window.failures.clone(),
            in_flight: self.in_flight,
            calls: self.calls,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody counts 2^53 calls in ten seconds")]
fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { round(count as f64 / seconds) } else { 0.0 }
}

/// To a thousandth: what is beyond is noise, and would be most of what is sent.
fn round(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Passes that rates and latencies are of: fewer jump, more hide what is happening.
const WINDOW: usize = 10;

/// Methods whose figures are sent though nobody calls them now. With more, a second's figures would
/// be more than a browser should read each second.
const MAX_METHODS: usize = 2000;

#[cfg(test)]
mod tests;
