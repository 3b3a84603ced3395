//! The mapping against its vectors, against generated types and values, and against real guests.

mod arguments;
mod component;
mod generate;
mod guests;
mod properties;
mod vectors;
