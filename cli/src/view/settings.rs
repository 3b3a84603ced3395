//! What a plugin runs with: its limits, its instances, what it may reach.

use jackfield_host::PluginSettings;

use crate::terminal::{Style, Terminal};

/// Text about `settings`, and about what their author may not have meant.
pub(crate) fn settings(
    settings: &PluginSettings,
    warnings: &[String],
    terminal: &Terminal,
) -> String {
    let title = |title| terminal.paint(Style::Strong, title);
    let mut lines = vec![title("limits")];
    let limits = settings.limits_in_words();
    let width = limits.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
    lines.extend(limits.iter().map(|(key, value)| format!("  {key:width$}  {value}")));
    lines.push(format!("\n{}\n  {}", title("instances"), settings.instances_in_words()));
    lines.push(format!("\n{}", title("grants")));
    let grants = settings.grants_in_words();
    if grants.is_empty() {
        lines.push("  none: no file, no variable, no address".into());
    }
    lines.extend(grants.iter().map(|grant| format!("  {grant}")));
    if settings.grants.have_lasting_effects() {
        let note =
            "  its effects may last: a call that ends while its instance starts is `unknown`";
        lines.push(terminal.paint(Style::Faint, note));
    }
    for warning in warnings {
        lines.push(format!("\n{} {warning}", terminal.paint(Style::Doubtful, "warning:")));
    }
    lines.join("\n")
}
