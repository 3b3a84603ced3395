//! WIT text of types.
