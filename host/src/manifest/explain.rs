//! Says in words what a plugin runs with, for people who want to know before it runs.
//!
//! It names variables and settings but never what they hold: that may be a secret.

use jackfield_wire::status::printable;
use jackfield_wire::units::{show_duration, show_size};

use crate::limits::HostLimits;

use super::{Access, DirGrant, EnvValue, Grants, Instances, PluginSettings};

impl HostLimits {
    /// Each key of `[host]`, and its value in words.
    pub fn in_words(&self) -> Vec<(&'static str, String)> {
        vec![
            ("concurrency", self.concurrency.to_string()),
            ("queue", self.queue.to_string()),
            ("queue-time", show_duration(self.queue_time)),
            ("idle-instances", self.idle_instances.to_string()),
            ("stack", show_size(self.stack as u64)),
            ("core-instances", self.core_instances.to_string()),
            ("memories", self.memories.to_string()),
            ("tables", self.tables.to_string()),
            ("plugins", self.plugins.to_string()),
            ("plugin-file", show_size(self.plugin_file)),
            ("request-timeout", show_duration(self.request_timeout)),
            ("answer-timeout", show_duration(self.answer_timeout)),
        ]
    }
}

impl PluginSettings {
    /// Each limit by its key, and its value in words.
    pub fn limits_in_words(&self) -> Vec<(&'static str, String)> {
        let limits = &self.limits;
        let size = |bytes: usize| show_size(bytes as u64);
        vec![
            ("memory", size(limits.memory)),
            ("table-elements", limits.table_elements.to_string()),
            ("handles", limits.handles.to_string()),
            ("hostcall-bytes", size(limits.hostcall_bytes)),
            ("arguments", size(limits.arguments)),
            ("result", size(limits.result)),
            ("deadline", show_duration(limits.deadline)),
            ("deadline-cap", show_duration(limits.deadline_cap)),
            ("concurrency", limits.concurrency.to_string()),
            ("queue", limits.queue.to_string()),
            ("log-rate", format!("{} per second", size(limits.log_rate))),
        ]
    }

    /// Which instances serve its calls.
    pub fn instances_in_words(&self) -> String {
        match self.instances {
            Instances::Fresh => "a fresh one for each call".into(),
            Instances::Reuse { calls } => format!("a warm one for {calls} calls, then another"),
            Instances::Single => {
                "one for all calls, in turn; its state is lost on a trap and on a reload".into()
            }
            Instances::Concurrent => "one for many calls at the same time".into(),
        }
    }

    /// What each grant opens.
    pub fn grants_in_words(&self) -> Vec<String> {
        let Grants { env, dirs, network, http, config, keyvalue, services } = &self.grants;
        let mut all = Vec::new();
        all.extend(env.iter().map(|(name, value)| match value {
            EnvValue::Text(_) => format!("env: the variable {name}, from the manifest"),
            EnvValue::FromHost(from) => format!("env: the variable {name}, from the host's {from}"),
        }));
        all.extend(dirs.iter().map(directory));
        all.extend(network.iter().map(|host| match host.port {
            Some(port) => format!("network: TCP and UDP to {}, port {port}", host.host),
            None => format!("network: TCP and UDP to every port of {}", host.host),
        }));
        match http.as_deref() {
            Some([]) => all.push("http: the interface, and no host to send requests to".into()),
            http => {
                let hosts = http.into_iter().flatten();
                all.extend(hosts.map(|host| format!("http: requests to {host}")));
            }
        }
        if let Some(config) = config {
            let names: Vec<_> = config.keys().map(String::as_str).collect();
            all.push(format!("config: {}", listed(&names)));
        }
        for (name, store) in keyvalue.iter().flatten() {
            all.push(format!(
                "keyvalue: {name:?} opens the store {store:?} of the host, with all plugins that name it"
            ));
        }
        if let Some(services) = services {
            let names: Vec<_> = services.iter().map(|name| name.as_str()).collect();
            all.push(match names[..] {
                [] => "services: the interface, and no service to call".into(),
                _ => format!("services: calls of {}", names.join(", ")),
            });
        }
        all.iter().map(|line| printable(line)).collect()
    }

    /// What an author may not have meant, of a component that imports `imports`.
    pub(crate) fn doubts(&self, imports: &[String]) -> Vec<String> {
        let Grants { env, dirs, network, http, config, keyvalue, services } = &self.grants;
        let granted = [
            ("env", "wasi:cli/environment", !env.is_empty()),
            ("dirs", "wasi:filesystem/", !dirs.is_empty()),
            ("network", "wasi:sockets/", !network.is_empty()),
            ("http", "wasi:http/", http.is_some()),
            ("config", "wasi:config/", config.is_some()),
            ("keyvalue", "wasi:keyvalue/", keyvalue.is_some()),
            ("services", "jackfield:plugin/services", services.is_some()),
        ];
        let unused = |(grant, interface, granted): (&str, &str, bool)| {
            let imported = imports.iter().any(|import| import.starts_with(interface));
            (granted && !imported).then(|| {
                let interface = interface.trim_end_matches('/');
                format!("grants.{grant} is never used: the component does not import {interface}")
            })
        };
        granted.into_iter().filter_map(unused).collect()
    }
}

fn directory(dir: &DirGrant) -> String {
    let access = match dir.access {
        Access::Read => "to read",
        Access::Write => "to read and to change",
    };
    format!("dirs: {} is the host's {}, {access}", dir.guest, dir.host.display())
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "the interface, and no setting".into() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use crate::limits::HostLimits;
    use crate::manifest::{Manifest, PluginDefaults, PluginSettings};
    use std::path::Path;

    fn settings(text: &str) -> PluginSettings {
        let manifest = Manifest::parse(text, Path::new("/plugins")).expect("it holds");
        manifest.resolve(&HostLimits::default(), &PluginDefaults::default()).expect("it fits")
    }

    #[test]
    fn grants_are_told_by_what_they_open_and_secrets_are_not_told() {
        let settings = settings(
            r#"
            [grants]
            env = { TOKEN = "secret", KEY = { from-env = "HOST_KEY" } }
            dirs = [{ host = "data", guest = "/data" }]
            network = ["db:5432", "10.0.0.1"]
            http = []
            config = { password = "secret" }
            keyvalue = { default = "sessions" }
            "#,
        );
        let words = settings.grants_in_words().join("\n");
        assert!(!words.contains("secret"), "{words}");
        for part in [
            "env: the variable KEY, from the host's HOST_KEY",
            "dirs: /data is the host's /plugins/data, to read",
            "network: TCP and UDP to db, port 5432",
            "network: TCP and UDP to every port of 10.0.0.1",
            "http: the interface, and no host",
            "config: password",
            "keyvalue: \"default\" opens the store \"sessions\"",
        ] {
            assert!(words.contains(part), "{part:?} is not in {words}");
        }
    }

    #[test]
    fn a_grant_that_the_component_cannot_use_is_doubted() {
        let settings = settings("grants = { network = [\"db\"], env = { A = \"x\" } }");
        let doubts = settings.doubts(&["wasi:cli/environment@0.2.3".into()]);
        assert_eq!(doubts.len(), 1);
        assert!(doubts[0].contains("grants.network") && doubts[0].contains("wasi:sockets"));
    }
}
