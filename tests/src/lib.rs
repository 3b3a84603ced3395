//! Placeholder-free: see tests/.
