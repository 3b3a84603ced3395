//! Metrics as data: under which names the parts of Jackfield report, for exporters and documents.
//!
//! Each part has one table of them; `docs/metrics.md` shows all, and tests of the parts hold it
//! against the tables.

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
