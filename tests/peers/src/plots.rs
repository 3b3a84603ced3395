//! The curves of a run, drawn and as tables.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::curves::{Curve, Line};
use crate::machine::Machine;
use crate::options::Options;
use crate::plot;

/// What `--curves` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Plots {
    machine: Machine,
    rounds: usize,
    seconds: f64,
    curves: Vec<Curve>,
}

impl Plots {
    /// Draws them into the folder that was asked for.
    ///
    /// # Errors
    /// When one cannot be drawn.
    pub(crate) fn draw(machine: &Machine, options: &Options, curves: Vec<Curve>) -> Result<Self> {
        let out = &options.out;
        std::fs::create_dir_all(out).with_context(|| format!("no folder {}", out.display()))?;
        for curve in &curves {
            plot::draw(curve, &out.join(format!("{}.svg", curve.name)))?;
        }
        let machine = machine.clone();
        Ok(Self { machine, rounds: options.rounds, seconds: options.seconds, curves })
    }
}

impl Display for Plots {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        write!(text, "{}", self.machine)?;
        writeln!(text, "medians of {} rounds of {} s each", self.rounds, self.seconds)?;
        self.curves.iter().try_for_each(|curve| write!(text, "{curve}"))
    }
}

impl Display for Curve {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let Self { name, title, x, y, lines } = self;
        writeln!(text, "\n### {title}\n\n![{title}: {y}]({name}.svg)\n\n{y}:\n")?;
        let mut rows: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (number, (x, y)) in lines
            .iter()
            .enumerate()
            .flat_map(|(number, line)| line.points.iter().map(move |point| (number, *point)))
        {
            // Every x is a whole number.
            let row = rows.entry(x as u64).or_insert_with(|| vec!["-".into(); lines.len()]);
            row[number] = if y < 100.0 { format!("{y:.1}") } else { format!("{y:.0}") };
        }
        let names: Vec<&str> = lines.iter().map(|line| line.name).collect();
        writeln!(text, "| {x} | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()))?;
        rows.iter().try_for_each(|(x, row)| writeln!(text, "| {x} | {} |", row.join(" | ")))?;
        let steepest = lines.iter().filter_map(|line| Some((line, steepest(line)?)));
        for (line, (from, to, times)) in steepest {
            writeln!(text, "\n{}: most from {from} to {to}, × {times:.2}", line.name)?;
        }
        Ok(())
    }
}

/// Between which two neighbours it grows most, and by what.
fn steepest(line: &Line) -> Option<(f64, f64, f64)> {
    let steps = line.points.windows(2).map(|pair| (pair[0].0, pair[1].0, pair[1].1 / pair[0].1));
    steps.max_by(|one, other| one.2.total_cmp(&other.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_x_and_names_the_steepest_step() {
        let line = |name, points: &[(f64, f64)]| Line { name, points: points.to_vec() };
        let lines = vec![
            line("host", &[(1.0, 10.0), (10.0, 30.0), (100.0, 33.0)]),
            line("client", &[(1.0, 150.0), (100.0, 151.0)]),
        ];
        let curve = Curve { name: "plugins", title: "Plugins", x: "plugins", y: "µs", lines };
        let text = curve.to_string();
        for part in ["| plugins | host | client |", "| 1 | 10.0 | 150 |", "| 10 | 30.0 | - |"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.contains("host: most from 1 to 10, × 3.00"), "{text}");
    }
}
