//! Tables for people: aligned columns, fitted to the terminal.

use jackfield_wire::status::printable;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::terminal::{Style, Terminal};

/// Rows under headings.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<Cell>>,
}

/// One field of a row.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Style,
}

impl Cell {
    /// Text of any origin: made printable, on one line.
    pub(crate) fn new(text: impl AsRef<str>, style: Style) -> Self {
        let text = printable(text.as_ref()).replace(['\n', '\t'], " ");
        Self { text, style }
    }

    /// Uncoloured text.
    pub(crate) fn plain(text: impl AsRef<str>) -> Self {
        Self::new(text, Style::Plain)
    }

    fn width(&self) -> usize {
        self.text.width()
    }
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headings: impl Into<Vec<&'static str>>) -> Self {
        Self { headings: headings.into(), rows: Vec::new() }
    }

    /// Adds a row with a cell for each heading.
    pub(crate) fn row(&mut self, cells: impl Into<Vec<Cell>>) {
        let cells = cells.into();
        assert_eq!(cells.len(), self.headings.len(), "a cell for each heading");
        self.rows.push(cells);
    }

    /// The lines, headings first.
    pub(crate) fn render(&self, terminal: &Terminal, width: Option<usize>) -> Vec<String> {
        let widths = self.widths(width);
        let headings: Vec<Cell> =
            self.headings.iter().map(|heading| Cell::new(heading, Style::Strong)).collect();
        std::iter::once(&headings)
            .chain(&self.rows)
            .map(|row| render_row(row, &widths, terminal))
            .collect()
    }

    /// The columns' widths: as wide as their content; when that is too wide for the terminal,
    /// the widest columns give way first.
    fn widths(&self, available: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headings.iter().map(|h| h.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width());
            }
        }
        let Some(available) = available else {
            return widths;
        };
        let gaps = GAP.len() * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > available {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST_COLUMN => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

fn render_row(row: &[Cell], widths: &[usize], terminal: &Terminal) -> String {
    let mut line = String::new();
    for (at, (cell, &width)) in row.iter().zip(widths).enumerate() {
        if at > 0 {
            line.push_str(GAP);
        }
        let text = fit(&cell.text, width);
        let padding = width - text.width();
        line.push_str(&terminal.paint(cell.style, &text));
        line.push_str(&" ".repeat(padding));
    }
    line.truncate(line.trim_end().len());
    line
}

/// `text`, cut to `width` columns with an ellipsis.
pub(crate) fn fit(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.into();
    }
    let mut fitted = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > width {
            break;
        }
        fitted.push(c);
    }
    fitted.push('…');
    fitted
}

const GAP: &str = "  ";

/// Narrower columns would hold nothing but an ellipsis.
const NARROWEST_COLUMN: usize = 6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ColorChoice;

    fn table() -> Table {
        let mut table = Table::new(["SERVICE", "REASON"]);
        table.row([Cell::plain("calc"), Cell::plain("a long reason to cut")]);
        table.row([Cell::plain("größe"), Cell::plain("日本")]);
        table
    }

    fn render(width: Option<usize>) -> Vec<String> {
        table().render(&Terminal::detect(ColorChoice::Never), width)
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        assert_eq!(
            render(None),
            ["SERVICE  REASON", "calc     a long reason to cut", "größe    日本",]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_column() {
        let lines = render(Some(20));
        assert_eq!(lines[1], "calc     a long rea…");
        assert!(lines.iter().all(|line| line.width() <= 20));
    }

    #[test]
    fn a_cell_cannot_break_the_table_or_the_terminal() {
        let cell = Cell::plain("a\nb\t\u{1b}[31mc");
        assert_eq!(cell.text, "a b \\u{1b}[31mc");
    }

    #[test]
    fn colours_do_not_count_as_width() {
        let mut table = Table::new(["A", "B"]);
        table.row([Cell::new("x", Style::Good), Cell::plain("y")]);
        let lines = table.render(&Terminal::detect(ColorChoice::Always), Some(40));
        assert_eq!(lines[1], "\u{1b}[32mx\u{1b}[0m  y");
    }
}
