//! The list of services: one row for each instance, and their methods on request.

use std::collections::BTreeMap;

use jackfield_wire::registry::{Health, Instance, MethodSummary};
use jackfield_wire::status::printable;

use crate::table::{Cell, Table};
use crate::terminal::{Style, Terminal};

/// The table of instances. What is the same for all unless somebody says otherwise has a column only
/// where somebody did.
pub(crate) fn table(instances: &[&Instance]) -> Table {
    let is_any = |said: fn(&Instance) -> bool| instances.iter().any(|instance| said(instance));
    let extra: Vec<&Column> = EXTRA.iter().filter(|column| is_any(column.is_said)).collect();
    let headings = ["SERVICE", "VERSION", "HOST", "ADDRESS", "HEALTH", "GENERATION", "METHODS"];
    let extra_headings = extra.iter().map(|column| column.heading);
    let mut table = Table::new(headings.into_iter().chain(extra_headings).collect::<Vec<_>>());
    for instance in instances {
        let generation = instance.generation.map(|generation| generation.short());
        let cells = [
            Cell::new(&instance.service, Style::Strong),
            optional(instance.version.as_deref()),
            Cell::plain(&instance.host),
            Cell::plain(&instance.address),
            health(instance),
            optional(generation.as_deref()),
            Cell::plain(instance.methods.len().to_string()),
        ];
        let extra_cells = extra.iter().map(|column| optional((column.text)(instance).as_deref()));
        table.row(cells.into_iter().chain(extra_cells).collect::<Vec<_>>());
    }
    table
}

/// A column that is there when it is needed.
struct Column {
    heading: &'static str,
    is_said: fn(&Instance) -> bool,
    text: fn(&Instance) -> Option<String>,
}

const EXTRA: [Column; 3] = [
    Column {
        heading: "ZONE",
        is_said: |instance| instance.zone.is_some(),
        text: |instance| instance.zone.clone(),
    },
    Column {
        heading: "WEIGHT",
        is_said: |instance| instance.weight != 1,
        text: |instance| Some(instance.weight.to_string()),
    },
    Column { heading: "ORDERED", is_said: |instance| ordered(instance).is_some(), text: ordered },
];

/// What operators say of it.
fn ordered(instance: &Instance) -> Option<String> {
    let order = instance.operator.as_ref().filter(|order| !order.is_empty());
    order.map(crate::instance::words)
}

/// The methods of each service, with signatures. Instances of a service that differ in their
/// methods, as during a roll-out, are shown apart.
pub(crate) fn methods(instances: &[&Instance], terminal: &Terminal) -> Vec<String> {
    let mut groups: BTreeMap<&str, Vec<Alike>> = BTreeMap::new();
    for instance in instances.iter().filter(|instance| !instance.methods.is_empty()) {
        let group = groups.entry(instance.service.as_str()).or_default();
        match group.iter_mut().find(|alike| *alike.methods == *instance.methods) {
            Some(alike) => alike.hosts.push(&instance.host),
            None => group.push(Alike { methods: &instance.methods, hosts: vec![&instance.host] }),
        }
    }
    let mut lines = Vec::new();
    for (service, group) in groups {
        let differ = group.len() > 1;
        for Alike { methods, hosts } in group {
            let on = if differ { format!(" on {}", hosts.join(", ")) } else { String::new() };
            lines.push(String::new());
            lines.push(format!("{}{}", terminal.paint(Style::Strong, service), printable(&on)));
            lines.extend(methods.iter().map(|method| format!("  {}", printable(&method.wit))));
        }
    }
    lines
}

/// Instances of one service with the same methods.
struct Alike<'a> {
    methods: &'a [MethodSummary],
    hosts: Vec<&'a str>,
}

/// Files that do not serve and plugins whose calls are refused, and why.
pub(crate) fn rejections(instances: &[&Instance], terminal: &Terminal) -> Vec<String> {
    let refused = quarantines(instances, terminal);
    let word = terminal.paint(Style::Bad, "rejected");
    let lines: Vec<String> = instances
        .iter()
        .filter(|instance| instance.health != Health::Draining)
        .filter_map(|instance| Some((instance, instance.metadata.get(REJECTED)?)))
        .map(|(instance, reason)| {
            let serving = match instance.generation {
                Some(generation) => format!("; {} goes on serving", generation.short()),
                None => String::new(),
            };
            let Instance { service, host, .. } = instance;
            let text = printable(&format!("{service} on {host}: {reason}{serving}"));
            format!("{word}  {}", text.replace('\n', " "))
        })
        .chain(refused)
        .collect();
    if lines.is_empty() { lines } else { [vec![String::new()], lines].concat() }
}

fn quarantines(instances: &[&Instance], terminal: &Terminal) -> Vec<String> {
    let word = terminal.paint(Style::Bad, "quarantined");
    let told = instances.iter().filter_map(|instance| {
        let reason = instance.metadata.get(QUARANTINED)?;
        let text = printable(&format!("{} on {}: {reason}", instance.service, instance.host));
        Some(format!("{word}  {}", text.replace('\n', " ")))
    });
    told.collect()
}

/// Services whose file does not serve because the version before was returned to.
pub(crate) fn rollbacks(instances: &[&Instance], terminal: &Terminal) -> Vec<String> {
    let word = terminal.paint(Style::Doubtful, "rolled back");
    let on = |instance: &Instance| {
        let from = instance.metadata.get(ROLLED_BACK)?;
        let because = instance.metadata.get(GIVEN_UP);
        let because = because.map(|why| format!(": {why}")).unwrap_or_default();
        let Instance { service, host, .. } = instance;
        let text = format!("{service} on {host}: its file is generation {from}{because}");
        Some(format!("{word}  {}", printable(&text).replace('\n', " ")))
    };
    instances.iter().filter_map(|instance| on(instance)).collect()
}

fn optional(text: Option<&str>) -> Cell {
    text.map_or_else(|| Cell::new("-", Style::Faint), Cell::plain)
}

fn health(instance: &Instance) -> Cell {
    match instance.health {
        Health::Draining => Cell::new(instance.health.name(), Style::Doubtful),
        _ if !instance.enabled && instance.metadata.contains_key(REJECTED) => {
            Cell::new("rejected", Style::Bad)
        }
        _ if !instance.enabled => Cell::new("disabled", Style::Bad),
        _ if !instance.check_healthy => Cell::plain("unchecked"),
        Health::Healthy if instance.metadata.contains_key(QUARANTINED) => {
            Cell::new("quarantined", Style::Bad)
        }
        Health::Healthy => Cell::new(instance.health.name(), Style::Good),
        Health::Suspect => Cell::new(instance.health.name(), Style::Doubtful),
    }
}

/// The metadata key under which a host tells why a file does not serve.
const REJECTED: &str = "rejected";

/// The one under which it tells why it refuses calls of a plugin for a while.
const QUARANTINED: &str = "quarantined";

/// The metadata key of the generation that was left by a rollback.
const ROLLED_BACK: &str = "rolled-back-from";

/// The one under which a host tells why it has returned to the version before by itself.
const GIVEN_UP: &str = "rolled-back-because";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ColorChoice;
    use crate::view::testing::instance;
    use jackfield_wire::registry::Override;

    fn terminal() -> Terminal {
        Terminal::detect(ColorChoice::Never)
    }

    #[test]
    fn a_row_tells_where_and_how_an_instance_is() {
        let lines = table(&[&instance("left")]).render(&terminal(), None);
        assert_eq!(lines[1], "calc     0.1.0    left  127.0.0.1:4433  healthy  abababababab  1");
    }

    #[test]
    fn zones_weights_and_orders_have_columns_where_somebody_has_them() {
        let order = Override { disabled: true, note: Some("disk".into()), ..Override::default() };
        let ordered = order.over(&instance("left"));
        let lines = table(&[&ordered, &instance("right")]).render(&terminal(), None);
        assert!(lines[0].ends_with("METHODS  ORDERED"), "{lines:?}");
        assert!(lines[1].ends_with("1        disabled, note \"disk\""), "{lines:?}");
        assert!(lines[2].ends_with("1        -"), "{lines:?}");
        let zoned = Instance { zone: Some("eu-1a".into()), weight: 3, ..instance("left") };
        let lines = table(&[&zoned, &instance("right")]).render(&terminal(), None);
        assert!(lines[0].ends_with("METHODS  ZONE   WEIGHT"), "{lines:?}");
        assert!(lines[1].ends_with("1        eu-1a  3"), "{lines:?}");
        assert!(lines[2].ends_with("1        -      1"), "{lines:?}");
        let order = Override { weight: Some(0), ..Override::default() };
        let none = table(&[&order.over(&instance("left"))]).render(&terminal(), None);
        assert!(none[0].ends_with("WEIGHT  ORDERED"), "{none:?}");
    }

    #[test]
    fn an_instance_that_may_not_serve_says_so() {
        let disabled = Instance { enabled: false, ..instance("left") };
        let suspect = Instance { health: Health::Suspect, version: None, ..instance("right") };
        let lines = table(&[&disabled, &suspect]).render(&terminal(), None);
        assert!(lines[1].contains("disabled"), "{lines:?}");
        assert!(lines[2].contains("suspect") && lines[2].contains(" -  "), "{lines:?}");
    }

    #[test]
    fn equal_methods_are_listed_once_and_different_ones_apart() {
        let (left, right) = (instance("left"), instance("right"));
        let lines = methods(&[&left, &right], &terminal());
        assert_eq!(lines, ["", "calc", "  add: func(a: f64)"]);
        let none = Instance { methods: Vec::new(), ..right.clone() };
        assert_eq!(methods(&[&left, &none], &terminal()), lines);
        let mut changed = right;
        changed.methods[0].wit = "add: func(a: s32)".into();
        let lines = methods(&[&left, &changed], &terminal());
        assert_eq!(lines[1], "calc on left");
        assert_eq!(lines[4], "calc on right");
    }

    #[test]
    fn a_file_that_does_not_serve_says_why() {
        let mut never = Instance { enabled: false, generation: None, ..instance("left") };
        never.metadata.insert(REJECTED.into(), "truncated".into());
        let older =
            Instance { enabled: true, generation: instance("x").generation, ..never.clone() };
        assert!(table(&[&never]).render(&terminal(), None)[1].contains("  rejected  "));
        let lines = rejections(&[&never, &older, &instance("right")], &terminal());
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert_eq!(lines[1], "rejected  calc on left: truncated");
        assert!(lines[2].ends_with("abababababab goes on serving"), "{lines:?}");
        let gone = Instance { health: Health::Draining, ..never };
        assert!(rejections(&[&instance("right"), &gone], &terminal()).is_empty());
    }

    #[test]
    fn a_hosts_text_cannot_move_the_cursor() {
        let mut bad = instance("a\u{1b}[2J\nb");
        bad.methods[0].wit = "x\u{1b}[0m".into();
        let lines = table(&[&bad]).render(&terminal(), None);
        assert!(!lines.concat().contains('\u{1b}') && lines.len() == 2, "{lines:?}");
        assert!(!methods(&[&bad], &terminal()).concat().contains('\u{1b}'));
    }
}
