//! What `benches/parts.rs` measures of the inside of this crate. No part of its interface.

use std::num::NonZeroU64;
use std::time::Duration;

use jackfield_transport::{PeerId, Role};
use jackfield_wire::registry::{Instance, ReplyOf, WatchQuery};
use jackfield_wire::{ServiceName, to_cbor};

use crate::core::{Core, Front, Holder, LeaseId, Moment, Plan, Rules, Stored, Watcher};

/// A registry of `hosts` hosts with one instance each.
struct Full {
    core: Core,
    holders: Vec<Holder>,
    now: Moment,
}

impl Full {
    fn of(hosts: u64) -> Self {
        let rules = Rules {
            ttl: Duration::from_secs(10),
            max_instances: usize::MAX,
            max_instances_per_peer: 64,
            max_orders: 50,
            keeper: Front::ONLY,
        };
        let now = Moment::default();
        let mut core = Core::restore(rules, now, Stored { epoch: 1, ..Stored::default() });
        let holders: Vec<_> = (0..hosts).map(holder).collect();
        for holder in &holders {
            put(&mut core, now, holder, instance(holder));
        }
        Self { core, holders, now }
    }
}

/// A heartbeat of one of `hosts` hosts, which renews its lease.
pub fn renew(hosts: u64) -> impl FnMut() -> bool {
    let Full { mut core, holders, mut now } = Full::of(hosts);
    let named: Vec<_> = holders.iter().map(|holder| vec![instance(holder).id]).collect();
    let mut turn = (0..holders.len()).cycle();
    move || {
        now = now.plus(Duration::from_micros(1));
        let at = turn.next().unwrap_or_default();
        core.heartbeat(now, &holders[at], named[at].clone()).is_ok_and(|unknown| unknown.is_empty())
    }
}

/// One instance of `hosts` changes, and each of `watchers` is told: the bytes that it gets.
pub fn tell(hosts: u64, watchers: usize) -> impl FnMut() -> usize {
    let Full { mut core, holders, now } = Full::of(hosts);
    let watch = || Watcher::new(WatchQuery::default());
    let mut watchers: Vec<_> = std::iter::repeat_with(watch).take(watchers).collect();
    let tell = move |core: &Core, watchers: &mut [Watcher]| {
        let told = |watcher: &mut Watcher| {
            let events = std::iter::from_fn(|| watcher.next(core, now));
            events.map(|event| to_cbor(&ReplyOf::Event(event)).len()).sum::<usize>()
        };
        watchers.iter_mut().map(told).sum()
    };
    let _whole_sets: usize = tell(&core, &mut watchers);
    let mut weights = (1..=100).cycle();
    move || {
        let holder = &holders[0];
        let weight = weights.next().unwrap_or(1);
        put(&mut core, now, holder, Instance { weight, ..instance(holder) });
        tell(&core, &mut watchers)
    }
}

fn put(core: &mut Core, now: Moment, holder: &Holder, instance: Instance) {
    let plan = core.plan_register(now, holder, vec![instance], &Plan::default());
    core.apply(plan.expect("there is room"));
}

fn holder(number: u64) -> Holder {
    let name = format!("host-{number}");
    let peer = PeerId::new("local", Role::Host, &name).expect("a name");
    let lease = LeaseId(NonZeroU64::MIN.saturating_add(number));
    Holder { lease, peer, address: ([192, 0, 2, 1], 4433).into(), operator: false }
}

fn instance(holder: &Holder) -> Instance {
    let service = ServiceName::new("calc").expect("a name");
    Instance::new(service, holder.peer.name(), holder.address.to_string())
}
