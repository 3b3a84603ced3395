//! Which endpoints of a service may take a call, computed when something changes. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use jackfield_wire::registry::Health;

use crate::ejection::Bar;
use crate::filter::Filter;
use crate::picker::Choices;
use crate::snapshot::Endpoint;

/// The best endpoints there are: reachable before not reachable, healthy before not healthy, and no
/// outliers unless too few are left without them. The worst are still better than none, so that a
/// registry which is wrong about everyone stops nobody. Disabled ones are never among them.
///
/// When the caller has a zone, those of its zone are used alone while at least half of the zone's
/// instances are among the best, and not more than half of those say that calls wait there.
#[derive(Debug)]
pub(crate) struct Set {
    best: Choices,
    near: Option<Choices>,
    is_near_crowded: AtomicBool,
}

impl Set {
    /// `None` when there is nobody.
    pub(crate) fn new<'a>(
        endpoints: impl Iterator<Item = &'a Endpoint> + Clone,
        filter: &Filter,
        bar: impl Fn(&Endpoint) -> Bar,
        terms: Terms<'_>,
    ) -> Option<Self> {
        let admitted = endpoints.filter(|e| e.instance.enabled && filter.admits(&e.instance));
        let best = best(admitted.clone(), bar, terms.panic_percent);
        if best.is_empty() {
            return None;
        }
        let near = filter.zone.as_deref().and_then(|zone| near(admitted, &best, zone));
        let choices = |endpoints| Choices::new(endpoints, terms.in_flight.clone());
        let (best, near) = (choices(best), near.map(choices));
        Some(Self { best, near, is_near_crowded: AtomicBool::new(false) })
    }

    /// Those to pick from now.
    pub(crate) fn choices(&self) -> &Choices {
        match &self.near {
            Some(near) if !self.is_near_crowded.load(Ordering::Relaxed) => near,
            _ => &self.best,
        }
    }

    /// Everyone who may take a call.
    pub(crate) fn best(&self) -> &Choices {
        &self.best
    }

    /// Looks whether the own zone has more calls than it can take. Now and then, not for each call.
    pub(crate) fn look_at_crowds(&self, now: Duration) {
        let Some(near) = &self.near else { return };
        let crowded = near.iter().filter(|endpoint| endpoint.stats.is_crowded(now)).count();
        self.is_near_crowded.store(crowded * 2 > near.len(), Ordering::Relaxed);
    }
}

/// What a set depends on beside the endpoints.
#[derive(Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) panic_percent: u32,
    pub(crate) in_flight: &'a Arc<AtomicU32>,
}

/// Those of `choices` that were not `tried`, for another attempt; at most [`MOST_UNTRIED`], from
/// anywhere among them as `entropy` says. Looks at no more than it must.
pub(crate) fn some_of(
    choices: &[Endpoint],
    tried: impl Fn(&Endpoint) -> bool,
    entropy: u64,
) -> Vec<Endpoint> {
    let start = if choices.is_empty() { 0 } else { entropy as usize % choices.len() };
    let turned = choices[start..].iter().chain(&choices[..start]);
    turned.filter(|endpoint| !tried(endpoint)).take(MOST_UNTRIED).cloned().collect()
}

/// The best of these who were not `tried`, whoever they are; otherwise as [`some_of`]. Looks at all.
pub(crate) fn untried(
    endpoints: &[&Endpoint],
    filter: &Filter,
    bar: impl Fn(&Endpoint) -> Bar,
    tried: impl Fn(&Endpoint) -> bool,
    entropy: u64,
) -> Vec<Endpoint> {
    let start = if endpoints.is_empty() { 0 } else { entropy as usize % endpoints.len() };
    let turned = endpoints[start..].iter().chain(&endpoints[..start]).copied();
    let admitted = turned.filter(|e| e.instance.enabled && filter.admits(&e.instance));
    let mut untried: Vec<_> = admitted.filter(|endpoint| !tried(endpoint)).collect();
    untried.sort_by_key(|endpoint| (rank(endpoint, bar(endpoint)), bar(endpoint) != Bar::In));
    let Some(first) = untried.first().copied() else { return Vec::new() };
    let key = |endpoint: &Endpoint| (rank(endpoint, bar(endpoint)), bar(endpoint));
    let equal = untried.into_iter().take_while(|endpoint| key(endpoint) == key(first));
    equal.take(MOST_UNTRIED).cloned().collect()
}

fn best<'a>(
    admitted: impl Iterator<Item = &'a Endpoint>,
    bar: impl Fn(&Endpoint) -> Bar,
    panic_percent: u32,
) -> Vec<Endpoint> {
    let mut best: Vec<(&Endpoint, Bar)> = Vec::new();
    let mut best_rank = None;
    for endpoint in admitted {
        let bar = bar(endpoint);
        let rank = rank(endpoint, bar);
        if best_rank.is_none_or(|best| rank < best) {
            best_rank = Some(rank);
            best.clear();
        }
        if best_rank == Some(rank) {
            best.push((endpoint, bar));
        }
    }
    let left = best.iter().filter(|(_, bar)| *bar == Bar::In).count();
    let panics = left == 0 || left * 100 < best.len() * panic_percent as usize;
    let is_used = |(_, bar): &&(&Endpoint, Bar)| panics || *bar == Bar::In;
    best.iter().filter(is_used).map(|(endpoint, _)| (*endpoint).clone()).collect()
}

fn near<'a>(
    admitted: impl Iterator<Item = &'a Endpoint>,
    best: &[Endpoint],
    zone: &str,
) -> Option<Vec<Endpoint>> {
    let is_near = |endpoint: &&Endpoint| endpoint.zone() == Some(zone);
    let all = admitted.filter(is_near).count();
    let near: Vec<_> = best.iter().filter(is_near).cloned().collect();
    (!near.is_empty() && near.len() * 2 >= all).then_some(near)
}

fn rank(endpoint: &Endpoint, bar: Bar) -> (bool, u8) {
    let instance = &endpoint.instance;
    let health = match instance.health {
        _ if instance.is_available() => 0,
        Health::Healthy | Health::Suspect => 1,
        Health::Draining => 2,
    };
    (bar == Bar::Unreachable, health)
}

/// As many as are worth picking from for another attempt: a retry in a large service copies no
/// more.
const MOST_UNTRIED: usize = 64;

#[cfg(test)]
mod tests;
