//! Metrics as data: under which names the parts of Jackfield report, for exporters and documents.
//!
//! Each part has one table of them; `docs/metrics.md` shows all, and tests of the parts hold it
//! against the tables. What is reported goes through the `metrics` facade; nothing is behind that
//! unless a program installs a recorder.

use metrics::{Gauge, Unit};

/// One metric of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What kind of number it is.
    pub kind: MetricKind,
    /// Its name: `jackfield_PART_WHAT_UNIT`, as Prometheus wants it.
    pub name: &'static str,
    /// `count`, `seconds` or `bytes`.
    pub unit: &'static str,
    /// The names of its labels, with a comma between.
    pub labels: &'static str,
    /// What it counts.
    pub text: &'static str,
}

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, until the process ends.
    Counter,
    /// It is what it is at one moment.
    Gauge,
    /// How values are spread.
    Histogram,
}

impl Metric {
    /// A number that only grows.
    pub const fn counter(name: &'static str, labels: &'static str, text: &'static str) -> Self {
        Self { kind: MetricKind::Counter, name, unit: "count", labels, text }
    }

    /// A number at one moment.
    pub const fn gauge(name: &'static str, labels: &'static str, text: &'static str) -> Self {
        Self { kind: MetricKind::Gauge, ..Self::counter(name, labels, text) }
    }

    /// Durations.
    pub const fn durations(name: &'static str, labels: &'static str, text: &'static str) -> Self {
        Self { kind: MetricKind::Histogram, ..Self::counter(name, labels, text).seconds() }
    }

    /// The same, of seconds.
    pub const fn seconds(self) -> Self {
        Self { unit: "seconds", ..self }
    }

    /// The same, of bytes.
    pub const fn bytes(self) -> Self {
        Self { unit: "bytes", ..self }
    }

    /// Tells the recorder that is installed what it is.
    pub fn describe(&self) {
        let Self { kind, name, unit, text, .. } = *self;
        let unit = Unit::from_string(unit).unwrap_or(Unit::Count);
        match kind {
            MetricKind::Counter => metrics::describe_counter!(name, unit, text),
            MetricKind::Gauge => metrics::describe_gauge!(name, unit, text),
            MetricKind::Histogram => metrics::describe_histogram!(name, unit, text),
        }
    }

    /// Its row in the table of `docs/metrics.md`.
    pub fn row(&self) -> String {
        let kind = match self.kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let Self { name, unit, labels, text, .. } = self;
        let row = format!("| `{name}` | {kind} | {unit} | {labels} | {text} |");
        row.replace("|  |", "| |")
    }
}

/// Rows that only one of both has: `table`, or what `document` lists of metrics whose names begin
/// with `prefix`. For the tests that hold a part's table against the documentation.
pub fn differences(document: &str, prefix: &str, table: &[Metric]) -> Vec<String> {
    let rows: Vec<String> = table.iter().map(Metric::row).collect();
    let begin = format!("| `{prefix}");
    let unlisted = rows.iter().filter(|row| !document.lines().any(|line| line == *row));
    let unknown = document.lines().filter(|line| line.starts_with(&begin));
    let unknown = unknown.filter(|line| !rows.iter().any(|row| row == line));
    let unlisted = unlisted.map(|row| format!("not documented: {row}"));
    unlisted.chain(unknown.map(|row| format!("documented alone: {row}"))).collect()
}

/// Something that a gauge counts for as long as this is.
pub struct There(Gauge);

impl There {
    /// One more.
    pub fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for There {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_only_one_has_is_told() {
        let calls = Metric::counter("a_calls_total", "service", "Calls");
        let took = Metric::durations("a_call_duration_seconds", "", "How long");
        let memory = Metric::gauge("b_memory_bytes", "", "Memory").bytes();
        let document = "| `a_calls_total` | counter | count | service | Calls |\n\
                        | `a_call_duration_seconds` | histogram | seconds | | How long |\n\
                        | `b_memory_bytes` | gauge | bytes | | Memory |\n";
        assert_eq!(differences(document, "a_", &[calls, took]), [""; 0]);
        assert_eq!(differences(document, "b_", &[memory]), [""; 0]);
        let other = Metric { text: "All calls", ..calls };
        let told = differences(document, "a_", &[other, took]);
        let documented = document.lines().next().unwrap();
        let expected =
            [format!("not documented: {}", other.row()), format!("documented alone: {documented}")];
        assert_eq!(told, expected);
    }
}
