//! Guests for tests and for the demo, built when first needed
