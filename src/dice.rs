//! Chance for tests that try many inputs: the same numbers every time, so that a failure can be repeated.

/// A few lines of xorshift; the seed must not be 0.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// The next number, from 0 up to but not including `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}
