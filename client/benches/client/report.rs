//! Figures with their goals, as a table, as Markdown or as JSON.

use serde_json::json;

/// How the figures are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Table,
    Markdown,
    Json,
}

/// The figures so far.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<[String; 4]>);

impl Report {
    /// A figure of a part; an empty goal is none.
    pub(crate) fn add(
        &mut self,
        part: &str,
        what: impl Into<String>,
        figure: impl Into<String>,
        goal: &str,
    ) {
        let row = [part.to_owned(), what.into(), figure.into(), goal.to_owned()];
        eprintln!("  {}: {}", row[1], row[2]);
        self.0.push(row);
    }

    pub(crate) fn print(&self, form: Form) {
        match form {
            Form::Json => {
                let rows = self.0.iter().map(|[part, what, figure, goal]| {
                    json!({"part": part, "what": what, "figure": figure, "goal": goal})
                });
                println!("{}", json!(rows.collect::<Vec<_>>()));
            }
            Form::Markdown => {
                println!("| part | what | figure | goal |\n|---|---|---|---|");
                self.0.iter().for_each(|row| println!("| {} |", row.join(" | ")));
            }
            Form::Table => {
                let width =
                    |at: usize| self.0.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
                let (a, b, c) = (width(0), width(1), width(2));
                for [part, what, figure, goal] in &self.0 {
                    println!("{part:a$}  {what:b$}  {figure:>c$}  {goal}");
                }
            }
        }
    }
}

/// Microseconds as people read them.
pub(crate) fn micros(us: u64) -> String {
    match us {
        0..10_000 => format!("{us} µs"),
        _ => format!("{:.1} ms", us as f64 / 1e3),
    }
}
