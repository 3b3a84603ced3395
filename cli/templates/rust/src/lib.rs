//! The functions that `wit/plugin.wit` promises.

wit_bindgen::generate!({ world: "plugin", path: "wit" });
export!(Plugin);

struct Plugin;

impl Guest for Plugin {
    fn greet(name: String, greeting: Option<String>) -> String {
        format!("{}, {name}!", greeting.as_deref().unwrap_or("Hello"))
    }

    fn divide(a: i32, b: i32) -> Result<i32, String> {
        match (a, b) {
            (_, 0) => Err("division by zero".into()),
            (a, b) => a.checked_div(b).ok_or_else(|| "the result has more than 32 bits".into()),
        }
    }
}
