//! Whose orders a server obeys: a registry's about instances, a host's about what it serves.

use crate::identity::{Identity, PeerId, Role};

/// Those who may give orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operators {
    /// Every client: whoever has an identity of a private authority is this user on this machine.
    Clients,
    /// These.
    Named(Vec<PeerId>),
}

impl Operators {
    /// As configured: names, or every client where the server's own `identity` is a private one.
    ///
    /// A name is a whole `spiffe://` one, or a client's within the server's domain.
    ///
    /// # Errors
    /// What is wrong with a name.
    pub fn new(names: &[String], identity: &Identity) -> Result<Self, String> {
        if names.is_empty() && !identity.is_deliberate() {
            return Ok(Self::Clients);
        }
        let parse = |name: &String| match name.contains("://") {
            true => name.parse().map_err(|error| format!("{error}")),
            false => PeerId::new(identity.id().domain(), Role::Client, name)
                .map_err(|error| format!("{error}")),
        };
        names.iter().map(parse).collect::<Result<_, _>>().map(Self::Named)
    }

    /// Whether `peer` is one of them.
    pub fn include(&self, peer: &PeerId) -> bool {
        match self {
            Self::Clients => peer.role() == Role::Client,
            Self::Named(names) => names.contains(peer),
        }
    }

    /// What would help somebody who is not one of them; `server` is what it was asked of: `host`,
    /// `registry`.
    pub fn remedy(&self, server: Role) -> String {
        match self {
            Self::Clients => "use a client's identity".into(),
            Self::Named(names) if names.is_empty() => format!(
                "start the {server} with --operator NAME, the name in the operator's certificate"
            ),
            Self::Named(_) => {
                format!("use an identity that the {server} was started with --operator for")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_names_every_client_may_and_with_names_only_those() {
        let peer = |text: &str| text.parse::<PeerId>().unwrap();
        let (ada, bob) = (peer("spiffe://local/client/ada"), peer("spiffe://local/client/bob"));
        assert!(Operators::Clients.include(&ada));
        assert!(!Operators::Clients.include(&peer("spiffe://local/host/h")));
        let named = Operators::Named(vec![ada.clone()]);
        assert!(named.include(&ada) && !named.include(&bob));
        assert!(named.remedy(Role::Host).contains("the host was started with --operator for"));
        let nobody = Operators::Named(Vec::new());
        assert!(!nobody.include(&ada));
        assert!(nobody.remedy(Role::Registry).contains("start the registry with --operator NAME"));
    }
}
