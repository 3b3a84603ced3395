//! What can happen in a generated history.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{HOSTS, SERVICES};
use crate::core::Found;

#[derive(Clone, Debug)]
pub(crate) enum Event {
    Register {
        host: usize,
        services: BTreeSet<usize>,
        version: u8,
    },
    Heartbeat {
        host: usize,
        services: BTreeSet<usize>,
    },
    Deregister {
        host: usize,
        services: BTreeSet<usize>,
    },
    /// The connection breaks.
    Lose {
        host: usize,
    },
    /// The host connects again before the registry notices that the old connection broke.
    Reconnect {
        host: usize,
    },
    /// The registry notices one of those.
    LoseOld,
    Pass {
        ms: u64,
    },
    /// The registry's process stands still, or its clock jumps.
    Freeze {
        ms: u64,
    },
    /// Somebody has looked at what the registry wanted looked at.
    Found {
        found: Found,
    },
    /// A watcher reads all it can.
    Read {
        watcher: usize,
    },
    /// A watcher reads one event.
    Sip {
        watcher: usize,
    },
    /// A watcher hangs up and resumes.
    Resume {
        watcher: usize,
    },
    /// An operator orders, whether the instance is there or not.
    Order {
        host: usize,
        service: usize,
        weight: Option<u32>,
        disabled: bool,
        drain: bool,
    },
    /// An operator sets how a service is called.
    Set {
        service: usize,
        timeout_ms: Option<u32>,
    },
    /// The registry crashes and starts again from its store.
    Restart,
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let services = || proptest::collection::btree_set(0..SERVICES.len(), 0..=SERVICES.len());
    let host = || 0..HOSTS.len();
    let watcher = || 0..6usize;
    prop_oneof![
        6 => (host(), services(), 0u8..3)
            .prop_map(|(host, services, version)| Event::Register { host, services, version }),
        6 => (host(), services())
            .prop_map(|(host, services)| Event::Heartbeat { host, services }),
        3 => (host(), services())
            .prop_map(|(host, services)| Event::Deregister { host, services }),
        2 => host().prop_map(|host| Event::Lose { host }),
        1 => host().prop_map(|host| Event::Reconnect { host }),
        1 => Just(Event::LoseOld),
        6 => (1u64..8000).prop_map(|ms| Event::Pass { ms }),
        1 => (1u64..60_000).prop_map(|ms| Event::Freeze { ms }),
        3 => prop_oneof![Just(Found::Alive), Just(Found::Nobody), Just(Found::Silence)]
            .prop_map(|found| Event::Found { found }),
        3 => watcher().prop_map(|watcher| Event::Read { watcher }),
        3 => watcher().prop_map(|watcher| Event::Sip { watcher }),
        2 => watcher().prop_map(|watcher| Event::Resume { watcher }),
        2 => (host(), 0..SERVICES.len(), proptest::option::of(2u32..4), any::<bool>(), any::<bool>())
            .prop_map(|(host, service, weight, disabled, drain)| Event::Order {
                host,
                service,
                weight,
                disabled,
                drain,
            }),
        1 => (0..SERVICES.len(), proptest::option::of(1u32..4))
            .prop_map(|(service, timeout_ms)| Event::Set { service, timeout_ms }),
        1 => Just(Event::Restart),
    ]
}
