//! Example calls to paste into a shell.

use jackfield_wire::reflect::MethodInfo;
use serde_json::Value;

/// `jackfield call calc.add 1.5 1.5`: the required parameters by position; by name those behind
/// an option.
pub(crate) fn call_line(service: &str, method: &MethodInfo) -> String {
    let values = method.signature.example();
    let mut line = format!("jackfield call {}", quote(&format!("{service}.{}", method.name)));
    let mut skipped = false;
    for param in &method.signature.params {
        let Some(value) = values.get(&param.name) else {
            skipped = true;
            continue;
        };
        let word = quote(&word(value));
        line.push(' ');
        if skipped {
            line.push_str(&format!("--param {}={word}", param.name));
        } else {
            line.push_str(&word);
        }
    }
    line
}

/// A value as a word: text needs no quotes of its own.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A word that a POSIX shell, zsh and fish read as `text`.
pub(crate) fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.,:/@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::testing::method;
    use jackfield_wire::ty::Type;

    #[test]
    fn required_parameters_are_words_and_options_are_left_out() {
        let option = Type::Option(Box::new(Type::F64));
        let add = method("add", &[("a", Type::F64), ("b", Type::String), ("c", option)]);
        assert_eq!(call_line("calc", &add), "jackfield call calc.add 1.5 text");
    }

    #[test]
    fn a_parameter_behind_an_option_is_named() {
        let option = Type::Option(Box::new(Type::F64));
        let pad = method("pad", &[("width", option), ("text", Type::String)]);
        assert_eq!(call_line("text", &pad), "jackfield call text.pad --param text=text");
    }

    #[test]
    fn what_a_shell_would_read_otherwise_is_quoted() {
        let mean = method("demo:x/y#mean", &[("of", Type::List(Box::new(Type::F64)))]);
        assert_eq!(call_line("calc", &mean), "jackfield call 'calc.demo:x/y#mean' '[1.5]'");
        assert_eq!(quote("it's"), "'it'\\''s'");
        assert_eq!(quote(""), "''");
    }
}
