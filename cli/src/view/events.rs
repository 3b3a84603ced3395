//! What happens in a host, one line each.

use jackfield_host::HostEvent;
use jackfield_wire::status::printable;

use crate::duration;
use crate::terminal::{Style, Terminal};

/// The line for an event.
pub(crate) fn line(event: &HostEvent, terminal: &Terminal) -> Option<String> {
    let (style, word, text) = match event {
        HostEvent::Loaded { service, generation, took } => (
            Style::Good,
            "loaded",
            format!("{service}  {}  in {}", generation.short(), duration::show(*took)),
        ),
        HostEvent::Replaced { service, from, to, took } => (
            Style::Good,
            "replaced",
            format!("{service}  {} → {}  in {}", from.short(), to.short(), duration::show(*took)),
        ),
        HostEvent::Rejected { file, reason, serving, .. } => {
            let serving = match serving {
                Some(generation) => {
                    format!(" (the version before, {}, goes on serving)", generation.short())
                }
                None => String::new(),
            };
            (Style::Bad, "rejected", format!("{file}: {reason}{serving}"))
        }
        HostEvent::RolledBack { service, from, to, because } => {
            let because = because.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
            let (from, to) = (from.short(), to.short());
            let text = format!("{service}  {from} → {to} until its file changes{because}");
            (Style::Doubtful, "rollback", text)
        }
        HostEvent::Withdrawn { service } => (Style::Doubtful, "removed", service.to_string()),
        HostEvent::Quarantined { service, reason, .. } => {
            (Style::Bad, "trapping", format!("{service} is {reason}"))
        }
        HostEvent::Recovered { service, caller, .. } => {
            let whom = caller.as_ref().map(|caller| format!(" for {caller}")).unwrap_or_default();
            (Style::Good, "recovered", format!("{service} answers again{whom}"))
        }
        HostEvent::RegistryLost { registry, reason } => {
            (Style::Doubtful, "registry", format!("{registry} cannot be reached: {reason}"))
        }
        _ => return None,
    };
    let word = terminal.paint(style, &format!("{word:<8}"));
    Some(format!("{word}  {}", printable(&text).replace('\n', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ColorChoice;
    use jackfield_wire::{Generation, ServiceName};
    use std::time::Duration;

    fn shown(event: &HostEvent) -> String {
        line(event, &Terminal::detect(ColorChoice::Never)).unwrap()
    }

    #[test]
    fn each_change_is_one_line() {
        let service = ServiceName::new("calc").unwrap();
        let (from, to) = (Generation::of_digest([1; 32]), Generation::of_digest([2; 32]));
        let took = Duration::from_millis(41);
        let replaced = HostEvent::Replaced { service: service.clone(), from, to, took };
        assert_eq!(shown(&replaced), "replaced  calc  010101010101 → 020202020202  in 41.0 ms");
        assert_eq!(shown(&HostEvent::Withdrawn { service }), "removed   calc");
    }

    #[test]
    fn a_rejection_says_why_and_what_goes_on() {
        let rejected = HostEvent::Rejected {
            file: "calc.wasm".into(),
            service: None,
            reason: "truncated\n\u{1b}[2J".into(),
            serving: Some(Generation::of_digest([1; 32])),
        };
        let text = shown(&rejected);
        assert!(
            text.starts_with("rejected  calc.wasm: truncated \\u{1b}[2J (the version before"),
            "{text}"
        );
    }
}
