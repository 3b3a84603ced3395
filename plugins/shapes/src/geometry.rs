//! The `geometry` interface: measures and moves shapes.

use crate::Shapes;
use crate::demo::shapes::types::Circle;
use crate::exports::demo::shapes::geometry::{Guest, Point, Rectangle, Shape, ShapeError};
use alloc::{vec, vec::Vec};
use core::f64::consts::PI;

impl Guest for Shapes {
    fn area(shape: Shape) -> Result<f64, ShapeError> {
        Self::validate(shape.clone())?;
        Ok(match shape {
            Shape::Empty | Shape::Dot(_) => 0.0,
            Shape::Circle(circle) => PI * circle.radius * circle.radius,
            Shape::Rectangle(r) => (r.max.x - r.min.x) * (r.max.y - r.min.y),
            // The shoelace formula.
            Shape::Polygon(corners) => {
                edges(&corners).map(|(a, b)| a.x * b.y - b.x * a.y).sum::<f64>().abs() / 2.0
            }
        })
    }

    fn perimeter(shape: Shape) -> Result<f64, ShapeError> {
        Self::validate(shape.clone())?;
        Ok(match shape {
            Shape::Empty | Shape::Dot(_) => 0.0,
            Shape::Circle(circle) => 2.0 * PI * circle.radius,
            Shape::Rectangle(r) => 2.0 * (r.max.x - r.min.x + r.max.y - r.min.y),
            Shape::Polygon(corners) => {
                edges(&corners).map(|(a, b)| libm::hypot(b.x - a.x, b.y - a.y)).sum()
            }
        })
    }

    fn validate(shape: Shape) -> Result<(), ShapeError> {
        match shape {
            Shape::Circle(circle) if circle.radius < 0.0 => {
                Err(ShapeError::Negative(circle.radius))
            }
            Shape::Rectangle(r) if r.max.x < r.min.x || r.max.y < r.min.y => {
                Err(ShapeError::InsideOut(r))
            }
            Shape::Polygon(corners) if corners.len() < 3 => {
                Err(ShapeError::TooFewCorners(corners.len() as u32))
            }
            _ => Ok(()),
        }
    }

    fn bounding_box(shapes: Vec<Shape>) -> Option<Rectangle> {
        shapes.iter().flat_map(extremes).map(|point| Rectangle { min: point, max: point }).reduce(
            |a, b| Rectangle {
                min: Point { x: a.min.x.min(b.min.x), y: a.min.y.min(b.min.y) },
                max: Point { x: a.max.x.max(b.max.x), y: a.max.y.max(b.max.y) },
            },
        )
    }

    fn scale(shape: Shape, factor: f64) -> Result<Shape, ShapeError> {
        if factor < 0.0 {
            return Err(ShapeError::Negative(factor));
        }
        let scaled = map_points(shape, |p| Point { x: p.x * factor, y: p.y * factor });
        Ok(match scaled {
            Shape::Circle(circle) => {
                Shape::Circle(Circle { radius: circle.radius * factor, ..circle })
            }
            other => other,
        })
    }

    fn translate(shape: Shape, by: (f64, f64)) -> Shape {
        map_points(shape, |p| Point { x: p.x + by.0, y: p.y + by.1 })
    }

    fn grid(columns: u32, rows: u32, step: Option<f64>) -> Vec<Vec<Point>> {
        let step = step.unwrap_or(1.0);
        let point = |column, row| Point { x: f64::from(column) * step, y: f64::from(row) * step };
        (0..rows).map(|row| (0..columns).map(|column| point(column, row)).collect()).collect()
    }
}

/// The sides of a closed polygon.
fn edges(corners: &[Point]) -> impl Iterator<Item = (&Point, &Point)> {
    corners.iter().zip(corners.iter().cycle().skip(1))
}

/// The points that a bounding box must hold.
fn extremes(shape: &Shape) -> Vec<Point> {
    match shape {
        Shape::Empty => vec![],
        Shape::Dot(point) => vec![*point],
        Shape::Circle(Circle { center, radius }) => vec![
            Point { x: center.x - radius, y: center.y - radius },
            Point { x: center.x + radius, y: center.y + radius },
        ],
        Shape::Rectangle(r) => vec![r.min, r.max],
        Shape::Polygon(corners) => corners.clone(),
    }
}

fn map_points(shape: Shape, f: impl Fn(Point) -> Point) -> Shape {
    match shape {
        Shape::Empty => Shape::Empty,
        Shape::Dot(point) => Shape::Dot(f(point)),
        Shape::Circle(circle) => Shape::Circle(Circle { center: f(circle.center), ..circle }),
        Shape::Rectangle(r) => Shape::Rectangle(Rectangle { min: f(r.min), max: f(r.max) }),
        Shape::Polygon(corners) => Shape::Polygon(corners.into_iter().map(f).collect()),
    }
}
