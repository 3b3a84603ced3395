//! The README's library example, compiled and run against a real registry and host.

#![cfg(doctest)]

/// The file is the README's text, which a scenario compares.
#[doc = concat!(
    "```rust\n",
    include_str!("../../../docs/example.rs"),
    include_str!("readme_main.rs"),
    "\n```"
)]
pub struct Example;
