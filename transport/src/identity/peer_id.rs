//! The one name in a certificate: `spiffe://<domain>/<role>/<name>`.

use std::{fmt, str::FromStr};

/// What a process may act as. A certificate is good for exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Keeps the list of instances.
    Registry,
    /// Serves calls.
    Host,
    /// Makes calls.
    Client,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Registry, Self::Host, Self::Client];

    /// The word in the name: `registry`, `host` or `client`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Host => "host",
            Self::Client => "client",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Who a process is. Its text is the URI in its certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PeerId {
    domain: String,
    role: Role,
    name: String,
}

impl PeerId {
    /// A checked name.
    ///
    /// # Errors
    /// When the domain or the name is empty, longer than 128 bytes, or holds anything but ASCII
    /// letters, digits, `-`, `_` and `.`.
    pub fn new(domain: &str, role: Role, name: &str) -> Result<Self, PeerIdError> {
        for part in [domain, name] {
            if part.is_empty() || part.len() > MAX_PART || !part.chars().all(is_plain) {
                return Err(PeerIdError::Part(jackfield_wire::status::printable(part)));
            }
        }
        Ok(Self { domain: domain.into(), role, name: name.into() })
    }

    /// The trust domain, such as `local`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// What it may act as.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its name within the role.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}/{}", self.domain, self.role, self.name)
    }
}

impl FromStr for PeerId {
    type Err = PeerIdError;

    fn from_str(text: &str) -> Result<Self, PeerIdError> {
        let foreign = || PeerIdError::Form(jackfield_wire::status::printable(text));
        let mut parts = text.strip_prefix("spiffe://").ok_or_else(foreign)?.split('/');
        let (Some(domain), Some(role), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(foreign());
        };
        let role = Role::ALL.into_iter().find(|r| r.word() == role).ok_or_else(foreign)?;
        Self::new(domain, role, name)
    }
}

/// A text that names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeerIdError {
    /// Another form than ours.
    #[error("`{0}` is not of the form spiffe://<domain>/{{registry,host,client}}/<name>")]
    Form(String),
    /// A domain or name with characters that it may not have.
    #[error("`{0}` is no name: 1 to 128 ASCII letters, digits, `-`, `_` and `.` are")]
    Part(String),
}

fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

/// Long enough for any DNS label pair; short enough for every log line.
const MAX_PART: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back_is_the_same_name() {
        for role in Role::ALL {
            let id = PeerId::new("local", role, "a-1.b_2").unwrap();
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "spiffe://local/host",
            "spiffe://local/host/a/b",
            "spiffe://local/admin/a",
            "spiffe://local/host/",
            "spiffe:///host/a",
            "https://local/host/a",
            "spiffe://local/Host/a",
            "spiffe://local/host/a b",
            "spiffe://local/host/ä",
        ] {
            assert!(text.parse::<PeerId>().is_err(), "{text}");
        }
    }
}
