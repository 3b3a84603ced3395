//! Whether client and registry hold the same set, by its digest. Pure.
//!
//! Counts what the registry named, whether the client took it or left it out: what it left out is
//! no sign of a lost change. A registry that counts in another way, as one of another version may,
//! is found out by its first whole set; its digests are then not looked at.

use std::collections::HashMap;

use jackfield_wire::InstanceId;
use jackfield_wire::registry::{Digest, Instance, ServiceEntry};

use super::ViewError;

/// The digests of what a registry has named.
#[derive(Debug, Default)]
pub(super) struct Told {
    instances: HashMap<InstanceId, Digest>,
    sum: Digest,
    /// The last whole set had the digest that the registry said.
    agreed: bool,
}

impl Told {
    /// Of a whole set.
    pub(super) fn of<'a>(
        instances: &[Instance],
        settings: impl Iterator<Item = &'a ServiceEntry>,
    ) -> Self {
        let sum = settings.map(ServiceEntry::digest).fold(Digest::default(), Digest::with);
        let mut told = Self { sum, ..Self::default() };
        instances.iter().for_each(|instance| told.instance(instance));
        told
    }

    pub(super) fn instance(&mut self, instance: &Instance) {
        let digest = instance.digest();
        let old = self.instances.insert(instance.id.clone(), digest).unwrap_or_default();
        self.sum = self.sum.without(old).with(digest);
    }

    pub(super) fn forget(&mut self, id: &InstanceId) {
        let old = self.instances.remove(id).unwrap_or_default();
        self.sum = self.sum.without(old);
    }

    pub(super) fn settings(&mut self, old: Option<&ServiceEntry>, new: &ServiceEntry) {
        let old = old.map(ServiceEntry::digest).unwrap_or_default();
        self.sum = self.sum.without(old).with(new.digest());
    }

    /// Looks whether this registry counts alike, by a set that just came whole.
    pub(super) fn agree(&mut self, digest: Option<Digest>) {
        self.agreed = digest == Some(self.sum);
        if digest.is_some() && !self.agreed {
            tracing::warn!("the registry's digests are of another kind: lost changes go unnoticed");
        }
    }

    /// Whether nothing was lost.
    pub(super) fn compare(&self, digest: Option<Digest>) -> Result<(), ViewError> {
        match digest {
            Some(digest) if self.agreed && digest != self.sum => Err(ViewError::Digest),
            _ => Ok(()),
        }
    }

    /// Loses an instance without a word, as a bug would.
    #[cfg(test)]
    pub(super) fn corrupt(&mut self) {
        let id = self.instances.keys().next().cloned();
        id.iter().for_each(|id| self.forget(id));
    }
}
