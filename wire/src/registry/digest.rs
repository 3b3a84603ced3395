//! A number that two sets share when they are the same set: how a watcher finds out that it and
//! its registry hold different ones.
//!
//! It guards against lost and doubled changes, not against forgers: whoever can forge events can
//! forge digests.

use minicbor::{Decode, Encode};

/// The digest of a set: the sum of its members', in whatever order they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Digest(#[n(0)] u64);

impl Digest {
    /// Of a set with one member, by its encoding: FNV-1a, its bits then spread (the last step of
    /// SplitMix64), because sums of plain FNV values of like texts collide.
    pub fn of(encoded: &[u8]) -> Self {
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        let mut hash = encoded.iter().fold(FNV_BASIS, step);
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(hash ^ (hash >> 31))
    }

    /// With another set's members.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }

    /// Without another set's members, which must have been in it.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

/// FNV-1a for 64 bits, as published by its authors.
const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
/// As above.
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_members_does_not_count() {
        let [a, b, c] = [Digest::of(b"a"), Digest::of(b"b"), Digest::of(b"c")];
        assert_eq!(a.with(b).with(c), c.with(a).with(b));
        assert_eq!(a.with(b).without(a), b);
        assert_eq!(a.without(a), Digest::default());
    }

    #[test]
    fn like_members_have_unlike_digests() {
        let all: std::collections::BTreeSet<_> =
            (0..10_000).map(|n: u32| Digest::of(format!("calc@{n}").as_bytes()).0).collect();
        assert_eq!(all.len(), 10_000);
        let pair = |a: &str, b: &str| Digest::of(a.as_bytes()).with(Digest::of(b.as_bytes()));
        assert_ne!(pair("a1", "b2"), pair("a2", "b1"));
    }
}
