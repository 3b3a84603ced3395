//! Holds what a manifest asks for against what its host allows.

use std::fmt::Display;
use std::time::Duration;

use jackfield_settings::{Problems, SettingsError};
use jackfield_wire::units::{show_duration, show_size};

use super::limits::{Given, LimitOverrides};
use super::{Instances, Manifest};
use crate::limits::{HostLimits, PluginLimits};
use crate::manifest::Grants;

/// What plugins of a host get whose manifests say nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginDefaults {
    /// Which instances serve calls. Default a fresh one for each.
    pub instances: Instances,
    /// What every plugin may reach, besides what its manifest grants. Default nothing.
    pub grants: Grants,
}

/// What one plugin runs with: its manifest over its host's settings.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PluginSettings {
    /// Its limits.
    pub limits: PluginLimits,
    /// Which instances serve its calls.
    pub instances: Instances,
    /// What it may reach.
    pub grants: Grants,
}

impl Manifest {
    /// What a plugin with this manifest runs with on a host with these settings.
    ///
    /// # Errors
    /// Names each limit that is higher than the host allows, and the setting that allows it.
    pub fn resolve(
        &self,
        host: &HostLimits,
        defaults: &PluginDefaults,
    ) -> Result<PluginSettings, SettingsError> {
        let mut resolving = Resolving { problems: Problems::default() };
        let limits = resolving.limits(&self.limits, host);
        resolving.problems.check()?;
        Ok(PluginSettings {
            limits,
            instances: self.instances.unwrap_or(defaults.instances),
            grants: self.grants.over(&defaults.grants),
        })
    }
}

struct Resolving {
    problems: Problems,
}

impl Resolving {
    fn limits(&mut self, asked: &LimitOverrides, host: &HostLimits) -> PluginLimits {
        let most = host.plugin_maximum();
        let mut limits = host.plugin_defaults();
        let size = |size: usize| show_size(size as u64);
        self.take("memory", asked.memory, &mut limits.memory, most.memory, size);
        let (elements, most_elements) = (&mut limits.table_elements, most.table_elements);
        self.take("table-elements", asked.table_elements, elements, most_elements, show);
        self.take("handles", asked.handles, &mut limits.handles, most.handles, show);
        let (bytes, most_bytes) = (&mut limits.hostcall_bytes, most.hostcall_bytes);
        self.take("hostcall-bytes", asked.hostcall_bytes, bytes, most_bytes, size);
        self.take("arguments", asked.arguments, &mut limits.arguments, most.arguments, size);
        self.take("result", asked.result, &mut limits.result, most.result, size);
        let cap = &mut limits.deadline_cap;
        self.take("deadline-cap", asked.deadline_cap, cap, most.deadline_cap, show_duration);
        let (calls, most_calls) = (&mut limits.concurrency, most.concurrency);
        self.take("concurrency", asked.concurrency, calls, most_calls, show);
        self.take("queue", asked.queue, &mut limits.queue, most.queue, show);
        self.take("log-rate", asked.log_rate, &mut limits.log_rate, most.log_rate, size);
        self.deadline(asked.deadline, &mut limits);
        self.stack(asked.stack, host.stack);
        limits
    }

    fn take<T: Copy + PartialOrd>(
        &mut self,
        key: &str,
        asked: Option<Given<T>>,
        limit: &mut T,
        most: T,
        show: impl Fn(T) -> String,
    ) {
        let Some(Given { value, place }) = asked else { return };
        if value > most {
            let (value, most) = (show(value), show(most));
            let text = format!(
                "`limits.{key}` asks for {value}, and this host allows a plugin {most}; lower it, \
                 or raise `{key}` in [plugins.maximum] of the host's settings"
            );
            return self.problems.add(|| place, text);
        }
        *limit = value;
    }

    /// The default deadline follows a lower cap; one that is asked for has to fit it.
    fn deadline(&mut self, asked: Option<Given<Duration>>, limits: &mut PluginLimits) {
        let cap = limits.deadline_cap;
        limits.deadline = limits.deadline.min(cap);
        let Some(Given { value, place }) = asked else { return };
        if value > cap {
            let (value, cap) = (show_duration(value), show_duration(cap));
            let text = format!(
                "`limits.deadline` is {value}, and no call of this plugin gets more than {cap}; \
                 lower it, or raise `limits.deadline-cap`"
            );
            return self.problems.add(|| place, text);
        }
        limits.deadline = value;
    }

    fn stack(&mut self, asked: Option<Given<usize>>, host: usize) {
        let Some(Given { value, place }) = asked.filter(|asked| asked.value > host) else {
            return;
        };
        let (value, host) = (show_size(value as u64), show_size(host as u64));
        let text = format!(
            "`limits.stack` asks for {value}, and every plugin of this host has {host}, because \
             the engine has one stack size for all; raise `stack` in [host] of the host's settings"
        );
        self.problems.add(|| place, text);
    }
}

fn show(value: impl Display) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn resolve(text: &str, host: &HostLimits) -> Result<PluginSettings, SettingsError> {
        let manifest = Manifest::parse(text, Path::new("/plugins"))?;
        manifest.resolve(host, &PluginDefaults::default())
    }

    #[test]
    fn a_manifest_without_limits_gets_the_hosts() {
        let host = HostLimits::default();
        let settings = resolve("", &host).unwrap();
        assert_eq!(settings.limits, host.plugin_defaults());
        assert_eq!(settings.instances, Instances::Fresh);
        assert_eq!(settings.grants, Grants::default());
    }

    #[test]
    fn a_manifest_lowers_limits_and_raises_them_to_the_maximum() {
        let host = HostLimits::default();
        let text = "[limits]\nmemory = \"1 GiB\"\ndeadline-cap = \"2 s\"\nconcurrency = 3";
        let limits = resolve(text, &host).unwrap().limits;
        assert_eq!(limits.memory, 1 << 30);
        assert_eq!(limits.deadline_cap, Duration::from_secs(2));
        // Nobody gets more by naming nothing.
        assert_eq!(limits.deadline, Duration::from_secs(2));
        assert_eq!(limits.concurrency, 3);
    }

    #[test]
    fn more_than_the_maximum_names_the_place_and_the_setting_that_allows_it() {
        let host = HostLimits::default();
        let error = resolve("[limits]\n  memory = \"2 GiB\"", &host).unwrap_err().to_string();
        assert_eq!(
            error,
            "line 2, column 3: `limits.memory` asks for 2 GiB, and this host allows a plugin 1 \
             GiB; lower it, or raise `memory` in [plugins.maximum] of the host's settings"
        );
        let error = resolve("limits.stack = \"1 MiB\"", &host).unwrap_err().to_string();
        assert!(error.contains("512 KiB") && error.contains("[host]"), "{error}");
        resolve("limits.stack = \"512 KiB\"", &host).unwrap();
    }

    #[test]
    fn a_deadline_above_its_cap_is_a_contradiction() {
        let host = HostLimits::default();
        let error = resolve("limits.deadline = \"2 min\"", &host).unwrap_err().to_string();
        assert!(error.contains("raise `limits.deadline-cap`"), "{error}");
        resolve("limits = { deadline = \"2 min\", deadline-cap = \"2 min\" }", &host).unwrap();
    }

    #[test]
    fn a_default_above_the_maximum_is_the_maximum() {
        let mut host = HostLimits::default();
        host.plugin.memory = 3 << 30;
        assert_eq!(host.plugin_maximum().memory, 3 << 30);
        assert_eq!(resolve("limits.memory = \"3 GiB\"", &host).unwrap().limits.memory, 3 << 30);
    }
}
