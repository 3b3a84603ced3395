//! What a settings file says of hosts: the limits in `[host]`, and in `[plugins]` what plugins get by
//! default and at most.

use std::path::Path;

use jackfield_settings::{Place, Range, Reader, SettingsError, Table};

use super::limits::{self, Given, LimitOverrides};
use super::resolve::PluginDefaults;
use super::{read_grants, read_instances};
use crate::limits::{HostLimits, PluginLimits};

/// What a settings file says.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HostFile {
    /// The limits of the host, those that the file does not give as they are by default.
    pub limits: HostLimits,
    /// What plugins get whose manifests say nothing.
    pub plugins: PluginDefaults,
}

impl HostFile {
    /// Reads a text that has settings of hosts alone; its relative directories are in `folder`.
    ///
    /// # Errors
    /// Everything that is wrong with it, each with its place.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, SettingsError> {
        Reader::read(text, |table| Self::alone(table, folder))
    }

    pub(super) fn alone(table: Table<'_>, folder: &Path) -> Self {
        let host = table.table("host");
        let file = Self::read(&host, table.table("plugins"), folder);
        host.finish();
        table.finish();
        file
    }

    /// Reads the sections `[host]` and `[plugins]` of a text. The first may have keys besides: the
    /// caller reads those, and finishes it.
    pub fn read(host: &Table<'_>, section: Table<'_>, folder: &Path) -> Self {
        let mut limits = HostLimits::default();
        read_host(host, &mut limits);
        let plugins = Plugins {
            defaults: read_limits(section.table("limits"), LimitOverrides::of_defaults),
            maximum: read_limits(section.table("maximum"), LimitOverrides::of_maximum),
        };
        let defaults = PluginDefaults {
            instances: read_instances(&section).unwrap_or_default(),
            grants: read_grants(&section, folder),
        };
        plugins.maximum.apply(&mut limits.maximum);
        plugins.defaults.apply(&mut limits.plugin);
        plugins.check(&limits, &section);
        section.finish();
        Self { limits, plugins: defaults }
    }
}

struct Plugins {
    defaults: LimitOverrides,
    maximum: LimitOverrides,
}

impl Plugins {
    /// A maximum below the default would be none.
    fn check(&self, limits: &HostLimits, section: &Table<'_>) {
        let (usual, most) = (limits.plugin_defaults(), &limits.maximum);
        let low = |key: &str, given: Option<Place>| {
            if let Some(place) = given {
                let text = format!(
                    "`plugins.maximum.{key}` is lower than what every plugin gets; lower \
                     `{key}` in [plugins.limits] as well"
                );
                section.wrong_at(place, text);
            }
        };
        macro_rules! hold {
            ($($field:ident $key:literal),*) => {$(
                low($key, self.maximum.$field.filter(|_| most.$field < usual.$field)
                    .map(|given| given.place));
            )*};
        }
        hold!(memory "memory", table_elements "table-elements", handles "handles");
        hold!(hostcall_bytes "hostcall-bytes", arguments "arguments", result "result");
        hold!(deadline_cap "deadline-cap", log_rate "log-rate");
        hold!(concurrency "concurrency", queue "queue");
    }
}

impl LimitOverrides {
    /// Replaces what the text gives.
    fn apply(&self, limits: &mut PluginLimits) {
        set(&mut limits.memory, self.memory);
        set(&mut limits.table_elements, self.table_elements);
        set(&mut limits.handles, self.handles);
        set(&mut limits.hostcall_bytes, self.hostcall_bytes);
        set(&mut limits.arguments, self.arguments);
        set(&mut limits.result, self.result);
        set(&mut limits.deadline, self.deadline);
        set(&mut limits.deadline_cap, self.deadline_cap);
        set(&mut limits.concurrency, self.concurrency);
        set(&mut limits.queue, self.queue);
        set(&mut limits.log_rate, self.log_rate);
    }
}

fn read_limits(table: Table<'_>, read: fn(&Table<'_>) -> LimitOverrides) -> LimitOverrides {
    let limits = read(&table);
    table.finish();
    limits
}

fn read_host(table: &Table<'_>, host: &mut HostLimits) {
    set(&mut host.concurrency, limits::number(table, "concurrency", &limits::CONCURRENCY));
    set(&mut host.queue, limits::number(table, "queue", &limits::QUEUE));
    set(&mut host.idle_instances, limits::number(table, "idle-instances", &IDLE));
    set(&mut host.stack, limits::size(table, "stack", &limits::STACK));
    set(&mut host.core_instances, limits::number(table, "core-instances", &PARTS));
    set(&mut host.memories, limits::number(table, "memories", &PARTS));
    set(&mut host.tables, limits::number(table, "tables", &PARTS));
    set(&mut host.plugins, limits::number(table, "plugins", &PLUGINS));
    let file = limits::size(table, "plugin-file", &PLUGIN_FILE);
    set(
        &mut host.plugin_file,
        file.map(|Given { value, place }| Given { value: value as u64, place }),
    );
    let time = |key| limits::duration(table, key, &limits::DEADLINE);
    set(&mut host.request_timeout, time("request-timeout"));
    set(&mut host.answer_timeout, time("answer-timeout"));
    set(&mut host.queue_time, time("queue-time"));
}

fn set<T>(limit: &mut T, given: Option<Given<T>>) {
    if let Some(Given { value, .. }) = given {
        *limit = value;
    }
}

const PARTS: Range = Range {
    of: 1..=1000,
    why: "a component needs at least one, and each reserves addresses for every call",
};

const IDLE: Range =
    Range { of: 0..=10_000, why: "each reserves as many addresses as a running call" };

const PLUGINS: Range =
    Range { of: 1..=100_000, why: "a registry takes only so many services of one host" };

const PLUGIN_FILE: Range = Range {
    of: 1 << 10..=1 << 30,
    why: "a component has some hundred bytes, and the file is read into memory whole",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Instances;
    use std::time::Duration;

    fn parse(text: &str) -> Result<HostFile, SettingsError> {
        HostFile::parse(text, Path::new("/etc/jackfield"))
    }

    #[test]
    fn an_empty_file_changes_nothing() {
        let file = parse("").unwrap();
        assert_eq!(file.limits, HostLimits::default());
        assert_eq!(file.plugins, PluginDefaults::default());
    }

    #[test]
    fn a_file_sets_the_host_and_what_plugins_get() {
        let text = r#"
            [host]
            concurrency = 16
            stack = "1 MiB"
            request-timeout = "3 s"
            [plugins.limits]
            memory = "32 MiB"
            deadline = "2 s"
            [plugins.maximum]
            memory = "64 MiB"
            [plugins.instances]
            strategy = "single"
            [plugins.grants]
            dirs = [{ host = "data", guest = "/data" }]
        "#;
        let HostFile { limits, plugins } = parse(text).unwrap();
        assert_eq!((limits.concurrency, limits.stack), (16, 1 << 20));
        assert_eq!(limits.request_timeout, Duration::from_secs(3));
        assert_eq!((limits.plugin.memory, limits.maximum.memory), (32 << 20, 64 << 20));
        assert_eq!(limits.plugin.deadline, Duration::from_secs(2));
        assert_eq!(plugins.instances, Instances::Single);
        assert_eq!(plugins.grants.dirs[0].host, Path::new("/etc/jackfield/data"));
    }

    #[test]
    fn a_key_of_the_wrong_table_is_told_the_nearest_of_its_own() {
        let error = parse("[host]\nconcurency = 3").unwrap_err().to_string();
        assert!(error.contains("line 2, column 1") && error.contains("`concurrency`"), "{error}");
        assert!(parse("[plugins.limits]\nstack = \"1 MiB\"").is_err());
        assert!(parse("[plugins.maximum]\ndeadline = \"1 s\"").is_err());
    }

    #[test]
    fn a_maximum_below_the_default_is_a_contradiction() {
        let error = parse("[plugins.maximum]\nmemory = \"1 MiB\"").unwrap_err().to_string();
        assert!(error.contains("[plugins.limits]"), "{error}");
        parse("[plugins.maximum]\nmemory = \"1 MiB\"\n[plugins.limits]\nmemory = \"1 MiB\"")
            .unwrap();
    }
}
