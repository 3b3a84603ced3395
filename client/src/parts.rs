//! What `benches/parts.rs` measures of the inside of this crate. No part of its interface.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use jackfield_wire::ServiceName;
use jackfield_wire::registry::Instance;

use crate::balancer::{Balancer, Verdict, Wanted};
use crate::budget::RetryBudget;
use crate::chance::Chance;
use crate::ejection::EjectionPolicy;
use crate::filter::Filter;
use crate::picker::{Choices, Draw, PickerKind};
use crate::snapshot::{Endpoint, Origin, Snapshot};

/// A pick of `kind` among `count` endpoints.
pub fn pick(kind: PickerKind, count: usize) -> impl FnMut() -> usize {
    let endpoints = endpoints(&service(), count).collect();
    let choices = Choices::new(endpoints, Arc::<AtomicU32>::default());
    let (picker, chance) = (kind.picker(7), Chance::seeded(11));
    move || {
        let draw = Draw::new(chance.draw(), Some("a key"), Duration::from_secs(1));
        picker.pick(&choices, &draw)
    }
}

/// A choice of an endpoint among `count`, and its end: all that a call asks of the balancer.
pub fn choice(kind: PickerKind, count: usize) -> impl FnMut() {
    let service = service();
    let budget = RetryBudget::default();
    let balancer = Balancer::new(EjectionPolicy::default(), budget, Chance::seeded(7));
    let snapshot = Snapshot::new(endpoints(&service, count), None, Origin::Registry);
    let (balancer, snapshot) = (Arc::new(balancer), Arc::new(snapshot));
    let (filter, picker) = (Arc::new(Filter::default()), kind.into());
    move || {
        let wanted = Wanted {
            service: &service,
            filter: &filter,
            picker: &picker,
            key: Some("a key"),
            is_dialled: true,
            tried: &[],
        };
        if let Some(seat) = balancer.choose(&snapshot, &wanted) {
            seat.conclude(Verdict::Answered, Duration::from_micros(100), None);
        }
    }
}

fn service() -> ServiceName {
    ServiceName::new("calc").expect("a name")
}

fn endpoints(service: &ServiceName, count: usize) -> impl Iterator<Item = Endpoint> {
    (0..count).map(move |n| {
        let address = ([192, 0, 2, 1], u16::try_from(n + 1).unwrap_or(u16::MAX)).into();
        let at: std::net::SocketAddr = address;
        let instance = Instance::new(service.clone(), &format!("host-{n}"), at.to_string());
        Endpoint::new(Arc::new(instance), Some(at), Arc::default())
    })
}
