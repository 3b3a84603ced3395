//! Geometry: records, variants, enums, flags, options, nested lists and results, documented in `wit/shapes.wit`.
#![no_std]
extern crate alloc;

mod canvas;
mod geometry;

guest::runtime!();
guest::embed_wit!("../wit/shapes.wit");
wit_bindgen::generate!({ world: "drawing", path: "wit", generate_all });
export!(Shapes);

struct Shapes;
