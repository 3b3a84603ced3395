//! The protocols that travel over a connection, by their ALPN names.
//!
//! A version is part of the name: peers that share no name never exchange a byte.

use std::fmt;

/// What a connection is for. A server speaks exactly one; a dialer asks for exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Calls of methods, answered by a host.
    Call,
    /// Registration, listing and watching, answered by the registry.
    Registry,
}

impl Protocol {
    /// The name that TLS negotiates, such as `jackfield-call/1`.
    pub fn alpn(self) -> &'static str {
        match self {
            Self::Call => "jackfield-call/1",
            Self::Registry => "jackfield-registry/1",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.alpn())
    }
}
