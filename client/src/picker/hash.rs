//! The picker that sends calls with one key to one endpoint.
//!
//! Rendezvous hashing (Thaler and Ravishankar, 1998): of all endpoints the one whose hash with the
//! key is highest. When one goes, only its keys move, evenly to all others; when one comes, it takes
//! 1/n of the keys from everyone. There is no ring to build, which counts when the set changes often;
//! a pick looks at every endpoint, which counts beyond some hundred of them.
//!
//! Loads are bounded (Mirrokni, Thorup and Zadimoghaddam, 2016): an endpoint that has more than
//! 1.25 times its share of the calls in flight passes the next key on to the second in its order.

use super::{Choices, Draw, Picker, mix};

/// Calls with one key to one endpoint, within a bound of its load. Calls without a key go anywhere.
#[derive(Debug)]
pub struct ConsistentHash;

impl Picker for ConsistentHash {
    fn pick(&self, choices: &Choices, draw: &Draw<'_>) -> usize {
        let key = draw.key.map_or(draw.entropy, hash);
        let most = bound(choices.in_flight(), choices.len());
        let mut ceiling = u64::MAX;
        let mut first = None;
        for _ in 0..MOST_PASSES.min(choices.len()) {
            let Some((at, score)) = highest_below(choices, key, ceiling) else { break };
            if choices[at].in_flight() < most {
                return at;
            }
            first.get_or_insert(at);
            ceiling = score;
        }
        first.unwrap_or(0)
    }
}

/// The endpoint with the highest score below `ceiling`.
fn highest_below(choices: &Choices, key: u64, ceiling: u64) -> Option<(usize, u64)> {
    let mut best: Option<(usize, u64)> = None;
    for (at, endpoint) in choices.iter().enumerate() {
        let score = mix(endpoint.hash ^ key) >> 1; // So that the first ceiling is above all.
        if score < ceiling && best.is_none_or(|(_, highest)| score > highest) {
            best = Some((at, score));
        }
    }
    best
}

/// The calls that one of `len` endpoints may have before its keys go on.
fn bound(in_flight: u32, len: usize) -> u32 {
    let share = f64::from(in_flight.saturating_add(1)) / len.max(1) as f64;
    (share * SLACK).ceil() as u32
}

/// A hash of `text` that is the same in every process and version: keys must not move when clients
/// are upgraded one by one. FNV-1a, mixed.
pub(crate) fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// 1.25, as Google and Vimeo run it: less moves more keys, more lets one endpoint carry more.
const SLACK: f64 = 1.25;

/// With a slack of 1.25 at most four of five endpoints can be at the bound, so eight in a row are
/// one pick in six; the first one then takes the call, which bounds the cost of a pick.
const MOST_PASSES: usize = 8;
