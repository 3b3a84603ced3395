//! Which part of the set somebody asks for: all, a namespace, or one service.

use jackfield_wire::{InstanceId, Namespace, ServiceKey, ServiceName};

/// A part of the set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Namespace(Namespace),
    Service(ServiceKey),
}

impl Scope {
    /// As a query says it: a service without a namespace is the default one's.
    pub(crate) fn new(namespace: Option<&Namespace>, service: Option<&ServiceName>) -> Self {
        match (namespace, service) {
            (None, None) => Self::All,
            (Some(namespace), None) => Self::Namespace(namespace.clone()),
            (namespace, Some(service)) => Self::Service(ServiceKey {
                namespace: namespace.cloned().unwrap_or_default(),
                service: service.clone(),
            }),
        }
    }

    /// By the id of an instance, or by what all ids of a service begin with: `SERVICE@`,
    /// `NAMESPACE/SERVICE@`. Neither name has one of these characters in it.
    pub(super) fn covers_id(&self, id: &str) -> bool {
        let key = id.split_once('@').map_or(id, |(key, _)| key);
        let is_in = |wanted: &Namespace| match key.split_once('/') {
            Some((namespace, _)) => wanted.as_str() == namespace,
            None => wanted.is_default(),
        };
        match self {
            Self::All => true,
            Self::Namespace(wanted) => is_in(wanted),
            Self::Service(wanted) => {
                let service = key.split_once('/').map_or(key, |(_, service)| service);
                is_in(&wanted.namespace) && wanted.service.as_str() == service
            }
        }
    }

    pub(super) fn covers_key(&self, key: &ServiceKey) -> bool {
        match self {
            Self::All => true,
            Self::Namespace(namespace) => key.namespace == *namespace,
            Self::Service(wanted) => key == wanted,
        }
    }

    /// What the ids of everything in it begin with. Other ids may begin so too.
    pub(super) fn prefix(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Namespace(namespace) if namespace.is_default() => None,
            Self::Namespace(namespace) => Some(format!("{namespace}/")),
            Self::Service(key) => Some(InstanceId::of(key, "").to_string()),
        }
    }
}
