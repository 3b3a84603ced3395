//! A service in full: its methods, their types and documentation, and calls to paste.

use jackfield_wire::reflect::{MethodInfo, ServiceInfo};
use jackfield_wire::status::printable;
use serde_json::Value;

use super::example::call_line;
use crate::json;
use crate::terminal::{Style, Terminal};

/// Which methods to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// Not those that a tool made for its own use.
    Omit,
    /// All.
    Show,
}

impl Hidden {
    /// What `--all` says.
    pub(crate) fn of_flag(all: bool) -> Self {
        if all { Self::Show } else { Self::Omit }
    }

    /// The methods to show.
    pub(crate) fn filter(self, info: &ServiceInfo) -> impl Iterator<Item = &MethodInfo> {
        info.methods.iter().filter(move |method| self == Self::Show || !method.hidden)
    }
}

/// Text about a service and all its methods.
pub(crate) fn service(info: &ServiceInfo, hidden: Hidden, terminal: &Terminal) -> String {
    let mut page = Page { text: String::new(), terminal };
    page.line(0, &heading(info, terminal));
    if let Some(from) = &info.rolled_back_from {
        let warning = terminal.paint(Style::Doubtful, "rolled back:");
        let from = from.short();
        page.line(0, &format!("{warning} its file is generation {from}, which does not serve"));
        if let Some(because) = &info.rolled_back_because {
            page.line(2, &printable(because).replace('\n', " "));
        }
    }
    if let Some(reason) = &info.rejected {
        let warning = terminal.paint(Style::Doubtful, "its newest file does not serve:");
        page.line(0, &format!("{warning} {}", printable(reason)));
    }
    if let Some(reason) = &info.quarantined {
        let warning = terminal.paint(Style::Bad, "its calls are refused:");
        page.line(0, &format!("{warning} {}", printable(reason)));
    }
    page.docs(0, info.docs.as_deref());
    for method in hidden.filter(info) {
        page.gap();
        page.method(info, method);
    }
    page.definitions(hidden.filter(info));
    page.refused(info);
    page.hidden(info, hidden);
    page.text
}

/// Text about one method, with the schemas that programs use.
pub(crate) fn method(info: &ServiceInfo, method: &MethodInfo, terminal: &Terminal) -> String {
    let mut page = Page { text: String::new(), terminal };
    page.method(info, method);
    if method.qualified != method.name {
        page.line(2, &format!("qualified name: {}", printable(&method.qualified)));
    }
    page.definitions(std::iter::once(method));
    page.schema("arguments (JSON Schema):", &method.params_schema);
    if let Some(schema) = &method.result_schema {
        page.schema("result (JSON Schema):", schema);
    }
    page.text
}

/// `calc 0.1.0  generation abababababab`
pub(crate) fn heading(info: &ServiceInfo, terminal: &Terminal) -> String {
    let version = info.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    let name = terminal.paint(Style::Strong, info.service.as_str());
    let generation = format!("generation {}", info.generation.short());
    format!("{name}{}  {}", printable(&version), terminal.paint(Style::Faint, &generation))
}

struct Page<'a> {
    text: String,
    terminal: &'a Terminal,
}

impl Page<'_> {
    fn line(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            if !line.is_empty() {
                self.text.push_str(&" ".repeat(indent));
                self.text.push_str(line);
            }
            self.text.push('\n');
        }
    }

    fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    fn title(&mut self, title: &str) {
        self.gap();
        let title = self.terminal.paint(Style::Strong, title);
        self.line(0, &title);
    }

    fn docs(&mut self, indent: usize, docs: Option<&str>) {
        if let Some(docs) = docs {
            self.line(indent, &printable(docs.trim()));
        }
    }

    fn method(&mut self, info: &ServiceInfo, method: &MethodInfo) {
        self.line(0, &printable(&method.wit));
        self.docs(4, method.docs.as_deref());
        let line = call_line(info.service.as_str(), method);
        let line = self.terminal.paint(Style::Faint, &printable(&line));
        self.line(4, &line);
    }

    /// The named types that the methods use, each once.
    fn definitions<'m>(&mut self, methods: impl Iterator<Item = &'m MethodInfo>) {
        let mut known: Vec<String> = Vec::new();
        for method in methods {
            for definition in split_definitions(&method.signature.definitions()) {
                if !known.contains(&definition) {
                    known.push(definition);
                }
            }
        }
        if !known.is_empty() {
            self.title("types");
            self.line(2, &printable(&known.join("\n")));
        }
    }

    fn schema(&mut self, title: &str, schema: &Value) {
        self.title(title);
        self.line(2, &json::pretty(&schema.to_string()));
    }

    fn refused(&mut self, info: &ServiceInfo) {
        if info.refused.is_empty() {
            return;
        }
        self.title("cannot be called");
        for refused in &info.refused {
            self.line(2, &printable(&format!("{}: {}", refused.name, refused.reason)));
        }
    }

    fn hidden(&mut self, info: &ServiceInfo, hidden: Hidden) {
        let count = info.methods.len() - hidden.filter(info).count();
        if count > 0 {
            self.gap();
            let note = format!("{count} more made by a tool for its own use: --all shows them");
            let note = self.terminal.paint(Style::Faint, &note);
            self.line(0, &note);
        }
    }
}

/// WIT definitions one by one: each begins at the margin and may go on indented, up to its `}`.
fn split_definitions(text: &str) -> Vec<String> {
    let mut definitions: Vec<String> = Vec::new();
    for line in text.lines() {
        match definitions.last_mut() {
            Some(last) if line.starts_with([' ', '}']) => {
                last.push('\n');
                last.push_str(line);
            }
            _ => definitions.push(line.to_owned()),
        }
    }
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ColorChoice;
    use crate::view::testing;
    use jackfield_wire::reflect::RefusedFunction;
    use jackfield_wire::ty::{Field, Type};

    fn terminal() -> Terminal {
        Terminal::detect(ColorChoice::Never)
    }

    fn point() -> Type {
        let field = |name: &str| Field { name: name.into(), ty: Type::F64 };
        Type::Record { name: Some("point".into()), fields: vec![field("x"), field("y")] }
    }

    #[test]
    fn a_service_shows_signatures_docs_types_and_calls() {
        let mut add = testing::method("add", &[("a", Type::F64)]);
        add.docs = Some("Adds.\nTwice.".into());
        let moved = testing::method("move", &[("p", point())]);
        let again = testing::method("again", &[("p", point())]);
        let text = service(&testing::service(vec![add, moved, again]), Hidden::Omit, &terminal());
        assert!(text.starts_with("calc 0.1.0  generation abababababab\n\nadd: func(a: f64)\n"));
        assert!(
            text.contains("    Adds.\n    Twice.\n    jackfield call calc.add 1.5\n"),
            "{text}"
        );
        assert_eq!(text.matches("record point").count(), 1, "{text}");
    }

    #[test]
    fn definitions_of_several_lines_stay_whole() {
        let one = "record a { x: u8 }";
        let two = "variant b {\n  c,\n  d(a),\n}";
        assert_eq!(split_definitions(&format!("{one}\n{two}\n{one}")), [one, two, one]);
        assert!(split_definitions("").is_empty());
    }

    #[test]
    fn a_tools_own_methods_are_hidden_unless_asked_for() {
        let mut init = testing::method("init", &[]);
        init.hidden = true;
        let info = testing::service(vec![init]);
        let without = service(&info, Hidden::Omit, &terminal());
        assert!(!without.contains("init: func()") && without.contains("1 more made by a tool"));
        assert!(service(&info, Hidden::Show, &terminal()).contains("init: func()"));
    }

    #[test]
    fn what_cannot_be_called_says_why() {
        let mut info = testing::service(Vec::new());
        info.refused.push(RefusedFunction { name: "open".into(), reason: "a resource".into() });
        info.rejected = Some("truncated \u{1b}[2J".into());
        let text = service(&info, Hidden::Omit, &terminal());
        assert!(text.contains("  open: a resource\n"), "{text}");
        assert!(text.contains("its newest file does not serve: truncated \\u{1b}[2J"), "{text}");
    }

    #[test]
    fn a_method_shows_its_schemas() {
        let moved = testing::method("move", &[("p", point())]);
        let info = testing::service(vec![moved.clone()]);
        let text = method(&info, &moved, &terminal());
        assert!(text.contains("arguments (JSON Schema):"), "{text}");
        assert!(text.contains("\"p\""), "{text}");
        assert!(text.contains("types\n  record point"), "{text}");
    }
}
