//! JSON Schema of types.
