//! What changed in a service's interface, one line for each method.

use jackfield_host::goes_on;
use jackfield_wire::reflect::{MethodInfo, ServiceInfo};
use jackfield_wire::status::printable;

use super::service::Hidden;
use crate::terminal::{Style, Terminal};

/// `+` a method that is new, `-` one that is gone, `~` one with other types, and whether callers of
/// the one before can go on.
pub(crate) fn lines(before: &ServiceInfo, now: &ServiceInfo, terminal: &Terminal) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = |style, mark: &str, text: String| {
        lines.push(format!("  {} {}", terminal.paint(style, mark), printable(&text)));
    };
    for method in Hidden::Omit.filter(before) {
        match find(now, method) {
            None => line(Style::Bad, "-", format!("{}  (its callers break)", method.wit)),
            Some(new) if new.wit == method.wit && new.signature == method.signature => {}
            Some(new) => {
                let breaks = !goes_on(&method.signature, &new.signature);
                let (style, verdict) = match breaks {
                    true => (Style::Bad, "its callers break"),
                    false => (Style::Doubtful, "its callers can go on"),
                };
                line(style, "~", format!("{} → {}  ({verdict})", method.wit, new.wit));
            }
        }
    }
    for method in Hidden::Omit.filter(now).filter(|method| find(before, method).is_none()) {
        line(Style::Good, "+", method.wit.clone());
    }
    lines
}

fn find<'a>(info: &'a ServiceInfo, method: &MethodInfo) -> Option<&'a MethodInfo> {
    info.methods.iter().find(|other| other.name == method.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ColorChoice;
    use crate::view::testing::{method, service};
    use jackfield_wire::ty::Type;

    #[test]
    fn what_is_new_gone_or_other_is_told_and_what_it_means_for_callers() {
        let number = |name, ty| method(name, &[("a", ty)]);
        let before = service(vec![
            number("same", Type::U8),
            number("gone", Type::U8),
            number("wider", Type::U8),
            number("narrower", Type::U16),
        ]);
        let now = service(vec![
            number("same", Type::U8),
            number("wider", Type::U16),
            number("narrower", Type::U8),
            number("new", Type::U8),
        ]);
        let lines = lines(&before, &now, &Terminal::detect(ColorChoice::Never));
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("  - gone") && lines[0].contains("break"), "{lines:?}");
        assert!(lines[1].starts_with("  ~ wider") && lines[1].contains("can go on"), "{lines:?}");
        assert!(lines[2].starts_with("  ~ narrower") && lines[2].contains("break"), "{lines:?}");
        assert!(lines[3].starts_with("  + new"), "{lines:?}");
    }
}
