//! Which endpoints of a service may take an attempt now. Pure.

use std::net::SocketAddr;

use jackfield_wire::registry::Health;

use crate::snapshot::Endpoint;

/// What the call and the client know of an endpoint beyond what the registry says.
pub(crate) trait Experience {
    /// An attempt of this call ended there already.
    fn tried(&self, endpoint: &Endpoint) -> bool;
    /// It could not be reached a moment ago.
    fn down(&self, address: SocketAddr) -> bool;
}

/// The best endpoints there are, all equally good: not tried before not reachable before not
/// healthy. The worst are still better than none, so that a registry which is wrong about
/// everyone stops nobody. Disabled ones are never among them.
pub(crate) fn best<'a>(
    endpoints: impl IntoIterator<Item = &'a Endpoint>,
    experience: &impl Experience,
) -> Vec<&'a Endpoint> {
    let mut best = Vec::new();
    let mut best_rank = None;
    for endpoint in endpoints.into_iter().filter(|endpoint| endpoint.instance.enabled) {
        let rank = rank(endpoint, experience);
        if best_rank.is_none_or(|best| rank < best) {
            best_rank = Some(rank);
            best.clear();
        }
        if best_rank == Some(rank) {
            best.push(endpoint);
        }
    }
    best
}

fn rank(endpoint: &Endpoint, experience: &impl Experience) -> (bool, bool, u8) {
    let instance = &endpoint.instance;
    let health = match instance.health {
        _ if instance.is_available() => 0,
        Health::Healthy | Health::Suspect => 1,
        Health::Draining => 2,
    };
    (experience.tried(endpoint), experience.down(endpoint.address), health)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{endpoint, with};

    #[derive(Default)]
    struct Known {
        tried: Vec<SocketAddr>,
        down: Vec<SocketAddr>,
    }

    impl Experience for Known {
        fn tried(&self, endpoint: &Endpoint) -> bool {
            self.tried.contains(&endpoint.address)
        }
        fn down(&self, address: SocketAddr) -> bool {
            self.down.contains(&address)
        }
    }

    fn hosts<'a>(best: &[&'a Endpoint]) -> Vec<&'a str> {
        best.iter().map(|endpoint| endpoint.instance.host.as_str()).collect()
    }

    #[test]
    fn healthy_ones_come_first_and_suspect_ones_when_nothing_else_is_left() {
        let suspect = with(endpoint("calc", 0), |i| i.health = Health::Suspect);
        let draining = with(endpoint("calc", 1), |i| i.health = Health::Draining);
        let healthy = endpoint("calc", 2);
        let none = Known::default();
        let all = [suspect.clone(), draining.clone(), healthy];
        assert_eq!(hosts(&best(&all, &none)), ["host-2"]);
        assert_eq!(hosts(&best(&[draining.clone(), suspect], &none)), ["host-0"]);
        assert_eq!(hosts(&best(&[draining], &none)), ["host-1"]);
    }

    #[test]
    fn a_disabled_one_never_takes_a_call() {
        let disabled = with(endpoint("calc", 0), |i| i.enabled = false);
        assert!(best(&[disabled], &Known::default()).is_empty());
    }

    #[test]
    fn one_that_could_not_be_reached_or_was_tried_comes_last() {
        let all = [endpoint("calc", 0), endpoint("calc", 1)];
        let down = Known { down: vec![all[0].address], ..Known::default() };
        assert_eq!(hosts(&best(&all, &down)), ["host-1"]);
        let both = Known { tried: vec![all[1].address], ..down };
        assert_eq!(hosts(&best(&all, &both)), ["host-0"]);
        let tried = Known { tried: vec![all[0].address, all[1].address], ..Known::default() };
        assert_eq!(hosts(&best(&all, &tried)), ["host-0", "host-1"]);
    }

    #[test]
    fn an_unchecked_instance_is_available_whatever_its_heartbeat() {
        let unchecked = with(endpoint("calc", 0), |i| {
            i.check_healthy = false;
            i.health = Health::Suspect;
        });
        let all = [unchecked, endpoint("calc", 1)];
        assert_eq!(hosts(&best(&all, &Known::default())), ["host-0", "host-1"]);
    }
}
