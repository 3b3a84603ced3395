//! One method of a plugin, ready to be called. Immutable; ends with its plugin.

use std::sync::Arc;

use jackfield_wire::reflect::MethodInfo;
use wasmtime::component::ComponentExportIndex;

use crate::lane::Habit;
use crate::value::MethodPlan;

/// One method of a plugin.
pub(crate) struct Method {
    pub(super) info: MethodInfo,
    pub(super) plan: Arc<MethodPlan>,
    pub(super) index: ComponentExportIndex,
    pub(super) habit: Habit,
    /// Its name, for each call's output.
    pub(super) label: Arc<str>,
}

impl Method {
    /// Its name, which its calls' output shares.
    pub(crate) fn label(&self) -> &Arc<str> {
        &self.label
    }

    pub(crate) fn info(&self) -> &MethodInfo {
        &self.info
    }

    pub(crate) fn plan(&self) -> &MethodPlan {
        &self.plan
    }

    /// The same for a call that outlives its plugin.
    pub(crate) fn shared_plan(&self) -> Arc<MethodPlan> {
        Arc::clone(&self.plan)
    }

    /// Where an instance has it.
    pub(crate) fn index(&self) -> &ComponentExportIndex {
        &self.index
    }
}
