//! The figures of a run as a person reads them.

use super::drive::Progress;
use super::report::{Report, duration};
use crate::duration;
use crate::table::{Cell, Table};
use crate::terminal::{Style, Terminal};

/// How far a run is, in one short line.
pub(crate) fn progress(step: &str, progress: Progress) -> String {
    let seconds = progress.elapsed.as_secs_f64();
    let rate = if seconds > 0.0 { progress.answers as f64 / seconds } else { 0.0 };
    let failed = match progress.failed {
        0 => String::new(),
        failed => format!(", {failed} failed"),
    };
    let Progress { answers, .. } = progress;
    format!("{step}: {seconds:.0} s, {answers} answers, {rate:.0}/s{failed}")
}

/// The lines of a report, beside those of a saved run.
pub(crate) fn lines(report: &Report, saved: Option<&Report>, terminal: &Terminal) -> Vec<String> {
    let mut lines = vec![heading(report)];
    lines.extend(table(report, saved).render(terminal, terminal.width()));
    lines.extend(bars(report, terminal));
    for (name, failures) in &report.failures {
        let text = format!("{} × {name}, such as: {}", failures.count, failures.example);
        lines.push(terminal.paint(Style::Bad, &text));
    }
    if report.never_begun > 0 {
        lines.push(format!(
            "{} calls were due and never begun: the rate was not reached with {} calls in flight",
            report.never_begun, report.setting.in_flight
        ));
    }
    if report.dropped > 0 {
        lines.push(format!("{} calls were in flight at the end and dropped", report.dropped));
    }
    if let Some(saved) = saved {
        let differences = report.differences(saved).into_iter();
        lines.extend(differences.map(|text| format!("the saved run differs: {text}")));
    }
    lines
}

fn heading(report: &Report) -> String {
    let setting = &report.setting;
    let rate = match setting.rate {
        Some(rate) => format!("{rate} calls/s due, at most "),
        None => String::new(),
    };
    let plural = if setting.connections == 1 { "" } else { "s" };
    format!(
        "{}: {rate}{} in flight over {} connection{plural}, {:.1} s",
        setting.target, setting.in_flight, setting.connections, report.seconds
    )
}

fn table(report: &Report, saved: Option<&Report>) -> Table {
    let mut headings = vec!["FIGURE", "VALUE"];
    if saved.is_some() {
        headings.extend(["SAVED", "RATIO"]);
    }
    let mut table = Table::new(headings);
    let mut row = |name: &str, now: f64, then: Option<f64>, show: &dyn Fn(f64) -> String| {
        let mut cells = vec![Cell::plain(name), Cell::plain(show(now))];
        if saved.is_some() {
            cells.push(Cell::plain(then.map_or("-".into(), show)));
            cells.push(Cell::plain(ratio(now, then)));
        }
        table.row(cells);
    };
    let count = |number: f64| format!("{number:.0}");
    let answers = |report: &Report| report.answers as f64;
    row("answers", answers(report), saved.map(answers), &count);
    let per_second = |report: &Report| report.answers_per_second;
    row("answers/s", per_second(report), saved.map(per_second), &count);
    let failed = |report: &Report| {
        report.failures.values().map(|failures| failures.count).sum::<u64>() as f64
    };
    row("failures", failed(report), saved.map(failed), &count);
    if let Some(latency) = &report.latency_us {
        let then = saved.and_then(|saved| saved.latency_us.as_ref()).map(|then| then.named());
        for (at, (name, now)) in latency.named().into_iter().enumerate() {
            let then = then.map(|then| then[at].1);
            row(name, now, then, &|micros| duration::show(duration(micros)));
        }
    }
    table
}

/// `1.08`: how many times as much as before.
fn ratio(now: f64, then: Option<f64>) -> String {
    match then {
        Some(then) if then > 0.0 => format!("{:.2}", now / then),
        _ => "-".into(),
    }
}

fn bars(report: &Report, terminal: &Terminal) -> Vec<String> {
    let most = report.histogram.iter().map(|bar| bar.count).max().unwrap_or(0);
    if most == 0 {
        return Vec::new();
    }
    let mut table = Table::new(["UP TO", "ANSWERS", ""]);
    for bar in &report.histogram {
        let columns = (bar.count * WIDEST).div_ceil(most);
        let columns = usize::try_from(columns).expect("as many as are wide at most");
        table.row([
            Cell::plain(duration::show(duration(bar.up_to_us))),
            Cell::plain(bar.count.to_string()),
            Cell::plain("█".repeat(columns)),
        ]);
    }
    table.render(terminal, terminal.width())
}

/// Of a bar, in columns.
const WIDEST: u64 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_ratio_needs_something_to_compare_with() {
        assert_eq!(ratio(3.0, Some(2.0)), "1.50");
        assert_eq!(ratio(3.0, Some(0.0)), "-");
        assert_eq!(ratio(3.0, None), "-");
    }

    #[test]
    fn progress_tells_failures_once_there_are_any() {
        let mut now = Progress { elapsed: Duration::from_secs(2), answers: 10, failed: 0 };
        assert_eq!(progress("warming up", now), "warming up: 2 s, 10 answers, 5/s");
        now.failed = 1;
        assert!(progress("measuring", now).ends_with(", 1 failed"));
    }
}
