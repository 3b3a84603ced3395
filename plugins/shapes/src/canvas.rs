//! The `canvas` interface: puts paint on shapes and tells about them.

use crate::Shapes;
use crate::exports::demo::shapes::canvas::{Color, Figure, Guest, Shape, Style};
use alloc::{format, string::String, vec::Vec};

impl Guest for Shapes {
    fn paint(
        shape: Shape,
        color: Option<Color>,
        style: Option<Style>,
        label: Option<String>,
    ) -> Figure {
        Figure { shape, style: style.unwrap_or(Style::OUTLINED), color, label }
    }

    fn describe(figure: Figure) -> String {
        let color = figure.color.map(name).unwrap_or("colourless");
        let label = figure.label.map(|label| format!(" called {label}")).unwrap_or_default();
        let styles: Vec<_> = STYLES
            .iter()
            .filter(|(flag, _)| figure.style.contains(*flag))
            .map(|(_, name)| *name)
            .collect();
        let styles = if styles.is_empty() { "not drawn".into() } else { styles.join(" and ") };
        format!("a {color} {}{label}, {styles}", kind(&figure.shape))
    }

    fn legend(figures: Vec<Figure>) -> Vec<(String, Option<Color>)> {
        figures.into_iter().filter_map(|figure| Some((figure.label?, figure.color))).collect()
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Empty => "nothing".into(),
        Shape::Dot(_) => "dot".into(),
        Shape::Circle(_) => "circle".into(),
        Shape::Rectangle(_) => "rectangle".into(),
        Shape::Polygon(corners) => format!("polygon of {} corners", corners.len()),
    }
}

fn name(color: Color) -> &'static str {
    match color {
        Color::Black => "black",
        Color::Red => "red",
        Color::Green => "green",
        Color::Blue => "blue",
        Color::White => "white",
    }
}

const STYLES: [(Style, &str); 4] = [
    (Style::FILLED, "filled"),
    (Style::OUTLINED, "outlined"),
    (Style::DASHED, "dashed"),
    (Style::SHADOW, "with a shadow"),
];
