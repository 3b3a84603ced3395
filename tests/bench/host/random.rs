//! Choices that are the same in every run.

/// Marsaglia's xorshift64: random enough to cut calls and to fill functions.
pub(crate) struct Random(u64);

impl Random {
    /// The choices that follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // Zero would stay zero; small seeds would begin alike.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let high = u32::try_from(self.0 >> 32).unwrap_or_default();
        high % limit.max(1)
    }
}
