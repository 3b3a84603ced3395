//! Holds an instance to its memory and table limits, and says which one it ran into.

use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::stores::OpenStore;
use crate::lane::Conduct;
use crate::limits::{HostLimits, PluginLimits};

/// A guest asked for more than a limit. It traps: standard libraries abort on it anyway, and do
/// not say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LimitReached {
    #[error("the memory limit was reached: {wanted} bytes wanted, {limit} bytes allowed")]
    Memory { wanted: usize, limit: usize },
    #[error("the table limit was reached: {wanted} elements wanted, {limit} elements allowed")]
    Table { wanted: usize, limit: usize },
}

/// What one store has taken of its limits.
pub(super) struct Meter {
    memory: usize,
    memory_limit: usize,
    table_limit: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    /// Told of its memory, as the next.
    conduct: Arc<Conduct>,
    store: OpenStore,
}

impl Meter {
    /// Holds an instance to the limits of its plugin, and to what the pool of `host` has for one.
    pub(super) fn new(
        limits: &PluginLimits,
        host: &HostLimits,
        conduct: &Arc<Conduct>,
        store: OpenStore,
    ) -> Self {
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            memory: 0,
            memory_limit: limits.memory,
            table_limit: limits.table_elements,
            instances: count(host.core_instances),
            memories: count(host.memories),
            tables: count(host.tables),
            conduct: Arc::clone(conduct),
            store,
        }
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let wanted = self.memory.saturating_add(desired.saturating_sub(current));
        if wanted > self.memory_limit {
            return Err(LimitReached::Memory { wanted, limit: self.memory_limit }.into());
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            // The module's own maximum: the guest knows of it and gets its -1.
            return Ok(false);
        }
        self.memory = wanted;
        self.conduct.weighs(wanted);
        self.store.weighs(wanted);
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // Before the maximum, because the instance pool's own bound comes as one.
        if desired > self.table_limit {
            return Err(LimitReached::Table { wanted: desired, limit: self.table_limit }.into());
        }
        Ok(maximum.is_none_or(|maximum| desired <= maximum))
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn tables(&self) -> usize {
        self.tables
    }

    fn memories(&self) -> usize {
        self.memories
    }
}

#[cfg(test)]
mod tests {
    use super::super::stores::Stores;
    use super::*;
    use jackfield_wire::{Generation, ServiceName};

    fn meter(limits: PluginLimits) -> Meter {
        let service = ServiceName::new("a").unwrap();
        let version = Stores::default().of_version(service, Generation::of_digest([0; 32]));
        Meter::new(&limits, &HostLimits::default(), &Arc::new(Conduct::new()), version.open())
    }

    #[test]
    fn all_memories_of_an_instance_count_together() {
        let mut meter = meter(PluginLimits { memory: 100, ..PluginLimits::default() });
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(meter.memory_growing(0, 40, None).unwrap());
        let error = meter.memory_growing(40, 41, None).unwrap_err();
        let reached = error.downcast_ref::<LimitReached>();
        assert_eq!(reached, Some(&LimitReached::Memory { wanted: 101, limit: 100 }));
    }

    #[test]
    fn an_instance_with_much_memory_makes_its_plugin_heavy() {
        let mut meter = meter(PluginLimits::default());
        assert!(meter.memory_growing(0, 2 << 20, None).unwrap());
        assert!(meter.memory_growing(0, 2 << 20, None).unwrap());
        assert!(!meter.conduct.is_heavy());
        assert!(!meter.memory_growing(0, 9, Some(8)).unwrap());
        assert!(!meter.conduct.is_heavy(), "it did not get that");
        assert!(meter.memory_growing(2 << 20, (2 << 20) + 1, None).unwrap());
        assert!(meter.conduct.is_heavy());
    }

    #[test]
    fn a_modules_own_maximum_is_an_answer_and_not_a_trap() {
        let mut meter = meter(PluginLimits::default());
        assert!(!meter.memory_growing(0, 60, Some(50)).unwrap());
        assert!(!meter.table_growing(0, 60, Some(50)).unwrap());
    }
}
