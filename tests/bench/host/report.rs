//! Tables of figures, for eyes, for `docs/measured/host.md`, and as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// All tables of a run.
#[derive(Default)]
pub(crate) struct Report {
    tables: Vec<Table>,
}

/// One table: a first column of what was measured, and others.
pub(crate) struct Table {
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
    broken: Vec<String>,
}

/// One figure: how it is shown, and as JSON.
#[derive(Clone)]
pub(crate) struct Cell {
    shown: String,
    json: Value,
}

impl Report {
    pub(crate) fn add(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// The table that came last, as text.
    pub(crate) fn last(&self, markdown: bool) -> String {
        self.tables.last().map(|table| table.text(markdown)).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        let tables = self.tables.iter().map(|table| (table.title.clone(), table.to_json()));
        Value::Object(tables.collect::<Map<_, _>>())
    }

    /// Promises that did not hold.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.tables.iter().flat_map(|table| table.broken.clone()).collect()
    }
}

impl Table {
    pub(crate) fn new(title: impl Into<String>, columns: &[&'static str]) -> Self {
        let (title, columns) = (title.into(), columns.to_vec());
        Self { title, columns, rows: Vec::new(), broken: Vec::new() }
    }

    /// A table of single figures and what is aimed at.
    pub(crate) fn of_figures(title: impl Into<String>) -> Self {
        Self::new(title, &["figure", "value", "goal"])
    }

    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// A figure without a goal.
    pub(crate) fn figure(&mut self, what: &str, value: Cell) {
        self.row(vec![what.into(), value, "".into()]);
    }

    /// A figure that should be at most `limit`.
    pub(crate) fn aim(&mut self, what: &str, value: Duration, limit: Duration) {
        let goal = format!("{} {}", shown(limit), if value <= limit { "✓" } else { "missed" });
        self.row(vec![what.into(), value.into(), format!("≤ {goal}").into()]);
    }

    /// A count that must be zero, or the run fails.
    pub(crate) fn none(&mut self, what: &str, count: u64) {
        self.row(vec![what.into(), count.into(), "0".into()]);
        if count > 0 {
            self.breaks(format!("{what}: {count}"));
        }
    }

    /// Notes a promise that does not hold.
    pub(crate) fn breaks(&mut self, what: impl Into<String>) {
        self.broken.push(format!("{}: {}", self.title, what.into()));
    }

    fn text(&self, markdown: bool) -> String {
        let head: Vec<String> = self.columns.iter().map(|column| (*column).to_owned()).collect();
        let rows = self.rows.iter().map(|row| row.iter().map(|cell| cell.shown.clone()).collect());
        let lines: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = format!("{}{}\n\n", if markdown { "### " } else { "" }, self.title);
        for (index, line) in lines.iter().enumerate() {
            push_line(&mut text, line, &widths, markdown);
            if index == 0 {
                let rule: Vec<_> = widths.iter().map(|&width| "-".repeat(width)).collect();
                push_line(&mut text, &rule, &widths, markdown);
            }
        }
        text
    }

    fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let cells = self.columns.iter().zip(row);
            Value::Object(
                cells.map(|(name, cell)| ((*name).to_owned(), cell.json.clone())).collect(),
            )
        });
        rows.collect()
    }
}

fn push_line(text: &mut String, line: &[String], widths: &[usize], markdown: bool) {
    let (open, between) = if markdown { ("| ", " | ") } else { ("  ", "  ") };
    let cells = line.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
        // Words stand left, figures right.
        if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
    });
    let joined = cells.collect::<Vec<_>>().join(between);
    let close = if markdown { " |" } else { "" };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", format!("{open}{joined}{close}").trim_end());
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self { shown: text.to_owned(), json: json!(text) }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { shown: text.clone(), json: json!(text) }
    }
}

impl From<u64> for Cell {
    fn from(count: u64) -> Self {
        Self { shown: count.to_string(), json: json!(count) }
    }
}

/// In JSON in milliseconds.
impl From<Duration> for Cell {
    fn from(time: Duration) -> Self {
        Self { shown: shown(time), json: json!(time.as_secs_f64() * 1e3) }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(|| Self { shown: "–".into(), json: Value::Null }, Into::into)
    }
}

impl Cell {
    /// Bytes; in JSON as they are.
    pub(crate) fn bytes(bytes: u64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
        let kib = bytes as f64 / 1024.0;
        let shown =
            if kib < 1024.0 { format!("{kib:.0} KiB") } else { format!("{:.1} MiB", kib / 1024.0) };
        Self { shown, json: json!(bytes) }
    }

    /// How many in a second.
    pub(crate) fn rate(per_second: f64) -> Self {
        Self { shown: format!("{per_second:.0}/s"), json: json!(per_second) }
    }

    /// How many times as much.
    pub(crate) fn times(ratio: f64) -> Self {
        Self { shown: format!("{ratio:.1}×"), json: json!(ratio) }
    }
}

fn shown(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        0.0..10.0 => format!("{ms:.2} ms"),
        10.0..1e3 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}
