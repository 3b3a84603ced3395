//! The small world that exists in every language, in Rust. Documented in `wit/greeter.wit`.
#![no_std]
extern crate alloc;

use alloc::{format, string::String, vec::Vec};

guest::runtime!();
guest::embed_wit!("../wit/greeter.wit");
wit_bindgen::generate!({ world: "greeter", path: "wit" });
export!(Greeter);

struct Greeter;

impl Guest for Greeter {
    fn greet(name: String, greeting: Option<String>) -> String {
        format!("{}, {name}!", greeting.as_deref().unwrap_or("Hello"))
    }

    fn greet_all(names: Vec<String>) -> Vec<String> {
        names.into_iter().map(|name| Self::greet(name, None)).collect()
    }

    fn add(a: i32, b: i32) -> i32 {
        a.wrapping_add(b)
    }

    fn language() -> String {
        "Rust".into()
    }
}
