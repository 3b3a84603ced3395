//! JSON for people and for programs.
//!
//! Works on the text, not on a parsed tree: fields keep their order, and numbers their digits.

use crate::terminal::Terminal;

/// A JSON text as stdout should show it: indented on a terminal, one line otherwise.
pub(crate) fn show(json: &str, terminal: &Terminal) -> String {
    if terminal.is_interactive() { escape_controls(&pretty(json)) } else { json.trim().to_owned() }
}

/// Characters that JSON allows in strings but that a terminal obeys, as `\u` escapes: the same
/// value, made visible. Outside strings there are none but line feeds.
fn escape_controls(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && c.is_control() || is_bidi_control(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Well-formed JSON, indented; a container that fits in [`INLINE`] columns stays on its line.
pub(crate) fn pretty(json: &str) -> String {
    let tokens = tokens(json);
    let mut out = String::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        match tokens[at] {
            "[" | "{" => match inline(&tokens[at..]) {
                Some((text, count)) => {
                    out.push_str(&text);
                    at += count - 1;
                }
                None => {
                    depth += 1;
                    out.push_str(tokens[at]);
                    new_line(&mut out, depth);
                }
            },
            "]" | "}" => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push_str(tokens[at]);
            }
            "," => {
                out.push(',');
                new_line(&mut out, depth);
            }
            ":" => out.push_str(": "),
            scalar => out.push_str(scalar),
        }
        at += 1;
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
}

/// The container that begins here on one line, if it is short, and how many tokens it has.
fn inline(tokens: &[&str]) -> Option<(String, usize)> {
    let mut text = String::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "[" | "{" => depth += 1,
            "]" | "}" => depth -= 1,
            _ => {}
        }
        text.push_str(token);
        if matches!(*token, "," | ":") {
            text.push(' ');
        }
        if text.len() > INLINE {
            return None;
        }
        if depth == 0 {
            return Some((text, at + 1));
        }
    }
    None
}

/// Strings, scalars and punctuation, without the space between.
fn tokens(json: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = json.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '"' => string_len(rest),
            '[' | ']' | '{' | '}' | ',' | ':' => 1,
            _ => rest
                .find(|c: char| "[]{},:\"".contains(c) || c.is_ascii_whitespace())
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(len);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Containers up to this many bytes stay on one line: a point, a short list.
const INLINE: usize = 72;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_stay_on_a_line_and_keep_their_order() {
        assert_eq!(
            pretty(r#"{"b":[1,2.0],"a":"x, \"y\""}"#),
            r#"{"b": [1, 2.0], "a": "x, \"y\""}"#
        );
        assert_eq!(pretty("3"), "3");
        assert_eq!(pretty("[]"), "[]");
    }

    #[test]
    fn long_values_are_indented() {
        let long = "x".repeat(80);
        let json = format!(r#"{{"a":["{long}",{{"b":1}}],"c":[]}}"#);
        assert_eq!(
            pretty(&json),
            format!("{{\n  \"a\": [\n    \"{long}\",\n    {{\"b\": 1}}\n  ],\n  \"c\": []\n}}")
        );
    }

    #[test]
    fn indented_json_is_the_same_value() {
        let json = serde_json::json!({
            "list": (0..50).collect::<Vec<_>>(), "text": "]},:\\\"", "nested": {"a": [[], {}, null]},
        });
        let read: serde_json::Value = serde_json::from_str(&pretty(&json.to_string())).unwrap();
        assert_eq!(read, json);
    }

    #[test]
    fn a_string_cannot_clear_the_screen() {
        let json = "\"\u{9b}2J\u{202e}\u{7f}\"";
        let shown = escape_controls(json);
        assert_eq!(shown, "\"\\u009b2J\\u202e\\u007f\"");
        let read: String = serde_json::from_str(&shown).unwrap();
        assert_eq!(read, serde_json::from_str::<String>(json).unwrap());
    }
}
