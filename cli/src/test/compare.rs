//! Where two JSON values differ. Pure.

use serde_json::{Number, Value};

/// Where `got` is not `expected`, one line each; none when they are equal. The order of fields does
/// not count, nor how a number is written.
pub(super) fn differences(expected: &Value, got: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk("$", expected, got, &mut found);
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    found
}

/// JSON text, cut where it is too long for a line.
pub(super) fn shortened(json: &str) -> String {
    match json.char_indices().nth(LONGEST) {
        None => json.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &json[..end], json.len()),
    }
}

fn walk(path: &str, expected: &Value, got: &Value, found: &mut Vec<String>) {
    match (expected, got) {
        (Value::Array(expected), Value::Array(got)) => {
            if expected.len() != got.len() {
                found.push(format!(
                    "at {path}: expected {} elements, got {}",
                    expected.len(),
                    got.len()
                ));
            }
            for (index, (expected, got)) in expected.iter().zip(got).enumerate() {
                walk(&format!("{path}[{index}]"), expected, got, found);
            }
        }
        (Value::Object(expected), Value::Object(got)) => {
            for (name, expected) in expected {
                let path = format!("{path}.{name}");
                match got.get(name) {
                    Some(got) => walk(&path, expected, got, found),
                    None => {
                        found.push(format!("at {path}: expected {}, got nothing", show(expected)))
                    }
                }
            }
            for (name, got) in got.iter().filter(|(name, _)| !expected.contains_key(*name)) {
                found.push(format!("at {path}.{name}: expected nothing, got {}", show(got)));
            }
        }
        (Value::Number(expected), Value::Number(got)) if same(expected, got) => {}
        (expected, got) if expected == got => {}
        (expected, got) => {
            found.push(format!("at {path}: expected {}, got {}", show(expected), show(got)));
        }
    }
}

/// `3` is `3.0`; whole numbers are compared digit by digit.
fn same(a: &Number, b: &Number) -> bool {
    let whole = |number: &Number| !number.is_f64();
    a == b || !(whole(a) && whole(b)) && a.as_f64() == b.as_f64()
}

fn show(value: &Value) -> String {
    shortened(&value.to_string())
}

/// Lines for one case.
const MOST: usize = 20;

/// Characters of one value.
const LONGEST: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn equal_values_have_no_difference() {
        let value = json!({"a": [1, 2.5, "x", null], "b": true});
        assert!(differences(&value, &json!({"b": true, "a": [1.0, 2.5, "x", null]})).is_empty());
        let big = json!(9_007_199_254_740_993_u64);
        assert_eq!(differences(&big, &json!(9_007_199_254_740_992_u64)).len(), 1);
    }

    #[test]
    fn each_difference_names_its_place() {
        let expected = json!({"items": [{"price": 3}, 1], "gone": 1});
        let got = json!({"items": [{"price": 4}], "new": [2]});
        assert_eq!(
            differences(&expected, &got),
            [
                "at $.gone: expected 1, got nothing",
                "at $.items: expected 2 elements, got 1",
                "at $.items[0].price: expected 3, got 4",
                "at $.new: expected nothing, got [2]",
            ]
        );
        assert_eq!(differences(&json!("3"), &json!(3)), ["at $: expected \"3\", got 3"]);
    }

    #[test]
    fn much_is_cut() {
        let (zeros, ones) = (json!(vec![0; 50]), json!(vec![1; 50]));
        let found = differences(&zeros, &ones);
        assert_eq!((found.len(), &*found[20]), (21, "and 30 more"));
        assert!(shortened(&"é".repeat(300)).ends_with("(600 bytes)"));
    }
}
