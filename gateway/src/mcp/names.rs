//! The names of tools. Pure.
//!
//! `SERVICE__METHOD` where that fits. MCP itself takes dots and 128 characters; those who use it take
//! less: models' interfaces `[A-Za-z0-9_-]` and 64 characters, of which Claude Code needs
//! `mcp__jackfield__`, and Cursor 60 together with the server's name.

use jackfield_wire::ServiceName;
use sha2::{Digest, Sha256};

/// The name of a method's tool; the same at any time and in any process.
///
/// Two methods never have one name but by chance of one in four thousand million: where the short
/// form would lose something, a part of a hash of both names stands in for it.
pub(crate) fn tool_name(service: &ServiceName, method: &str) -> String {
    let plain = format!("{service}__{method}");
    // Without `_` in the method, the last `__` is the one that was put there.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if plain.len() <= MOST && method.chars().all(is_plain) {
        return plain;
    }
    let function = method.rsplit('#').next().unwrap_or(method);
    let mut name: String = format!("{service}__{function}")
        .chars()
        .map(|c| if is_plain(c) || c == '_' { c } else { '_' })
        .take(MOST - MARK - 1)
        .collect();
    name.truncate(name.trim_end_matches('_').len());
    let digest = Sha256::digest(format!("{service}.{method}"));
    let mark: String = digest.iter().map(|byte| format!("{byte:02x}")).take(MARK / 2).collect();
    format!("{name}_{mark}")
}

/// Characters of a name: with `mcp__jackfield__` before them, 64.
const MOST: usize = 48;

/// Characters of the part of a hash.
const MARK: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn name(service: &str, method: &str) -> String {
        tool_name(&ServiceName::new(service).unwrap(), method)
    }

    #[test]
    fn a_short_name_is_both_names() {
        assert_eq!(name("calc", "is-prime"), "calc__is-prime");
        assert_eq!(name("a__b", "c"), "a__b__c");
    }

    #[test]
    fn what_does_not_fit_keeps_the_functions_name_and_is_told_apart() {
        let slug = name("text", "demo:text/text@0.1.0#slug");
        assert!(slug.starts_with("text__slug_") && slug.len() == "text__slug_".len() + 8, "{slug}");
        assert_ne!(slug, name("text", "demo:text/other@0.1.0#slug"));
        assert_eq!(slug, name("text", "demo:text/text@0.1.0#slug"));
    }

    #[test]
    fn every_name_passes_the_strictest_client() {
        let long = "s".repeat(64);
        let mut seen = HashSet::new();
        for service in ["a", "a_", "_", "a__b", &long] {
            for method in ["f", "a#f", "b#f", "ü", "a b", "[method]x.y", "-", "_", &"m".repeat(300)]
            {
                let name = name(service, method);
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
                assert!(name.len() <= MOST && name.chars().all(fits), "{name}");
                assert!(seen.insert(name.clone()), "{service} {method}: {name}");
            }
        }
    }
}
