//! Draws a curve as SVG.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::curves::{Curve, Line};

/// Writes it to `file`. X is logarithmic; y as well where it spans more than [`WIDE`].
///
/// # Errors
/// When there is nothing to draw, or the file cannot be written.
pub(crate) fn draw(curve: &Curve, file: &Path) -> Result<()> {
    let xs = span(curve, |(x, _)| x).context("nothing to draw")?;
    let ys = span(curve, |(_, y)| y).context("nothing to draw")?;
    let area = SVGBackend::new(file, SIZE).into_drawing_area();
    area.fill(&WHITE).map_err(unwritten)?;
    let mut builder = ChartBuilder::on(&area);
    builder.caption(curve.title, ("sans-serif", 20)).margin(12);
    builder.x_label_area_size(44).y_label_area_size(72);
    let x = (xs.start..xs.end.max(xs.start * 2.0)).log_scale();
    if ys.start > 0.0 && ys.end > ys.start * WIDE {
        let y = (ys.start / 1.5..ys.end * 1.5).log_scale();
        lines(builder.build_cartesian_2d(x, y).map_err(unwritten)?, curve)?;
    } else {
        let y = 0.0..(ys.end * 1.25).max(f64::MIN_POSITIVE);
        lines(builder.build_cartesian_2d(x, y).map_err(unwritten)?, curve)?;
    }
    area.present().map_err(unwritten)
}

fn lines<'a, 'b: 'a, X, Y>(mut chart: Chart<'a, 'b, X, Y>, curve: &Curve) -> Result<()>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(curve.x).y_desc(curve.y).x_label_formatter(&short).y_label_formatter(&short);
    mesh.light_line_style(WHITE).draw().map_err(unwritten)?;
    for (number, Line { name, points }) in curve.lines.iter().enumerate() {
        let colour = Palette99::pick(number).to_rgba();
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        let drawn = chart.draw_series(line).map_err(unwritten)?;
        drawn
            .label(*name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        let dots = points.iter().map(|point| Circle::new(*point, 3, colour.filled()));
        chart.draw_series(dots).map_err(unwritten)?;
    }
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8));
    labels.border_style(BLACK.mix(0.3)).draw().map_err(unwritten)
}

type Chart<'a, 'b, X, Y> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>;

/// From the least to the most.
fn span(curve: &Curve, of: impl Fn((f64, f64)) -> f64) -> Option<Range<f64>> {
    let all = curve.lines.iter().flat_map(|line| line.points.iter().copied().map(&of));
    let ends = |ends: Option<Range<f64>>, value: f64| match ends {
        None => Some(value..value),
        Some(ends) => Some(ends.start.min(value)..ends.end.max(value)),
    };
    all.fold(None, ends)
}

/// `1.5`, `20k`, `1M`.
fn short(value: &f64) -> String {
    let (value, unit) = match value.abs() {
        ..1e3 => (*value, ""),
        ..1e6 => (value / 1e3, "k"),
        _ => (value / 1e6, "M"),
    };
    let text = format!("{value:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Errors of plotters borrow from what they are about.
fn unwritten(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("the plot is not drawn: {error}")
}

const SIZE: (u32, u32) = (720, 400);

/// Times the least that a linear axis still shows.
const WIDE: f64 = 20.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_becomes_a_picture_and_nothing_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.svg");
        let line = |points| Line { name: "host", points };
        let curve = |lines| Curve { name: "a", title: "Plugins", x: "plugins", y: "µs", lines };
        for points in [vec![(1.0, 5.0), (1000.0, 8.0)], vec![(1.0, 1.0), (10.0, 1e6)]] {
            draw(&curve(vec![line(points)]), &file).unwrap();
            let svg = std::fs::read_to_string(&file).unwrap();
            assert!(svg.contains("Plugins") && svg.contains("polyline"), "{svg}");
        }
        assert!(draw(&curve(Vec::new()), &file).is_err());
    }

    #[test]
    fn labels_are_short() {
        assert_eq!([0.5, 20_000.0, 1e6].map(|value| short(&value)), ["0.5", "20k", "1M"]);
    }
}
